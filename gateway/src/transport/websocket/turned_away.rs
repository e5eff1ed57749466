//! Who is turned away before the upgrade because there are too many: whose address it is, and what they are
//! answered.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::limit::{Limit, Over};
use crate::model::ClientAddress;

/// The client's own, as far as whoever stands in front of the gateway is believed.
pub(super) fn address(request: &Request) -> IpAddr {
    let client = request.extensions().get::<ClientAddress>();
    // It is noted for every request; without it all are counted as one.
    client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ClientAddress(address)| *address)
}

/// 429 to those of whose kind there are too many, 503 where all together are; with the time after which it is
/// worth while to come again, spread so that not all of them come again at once.
pub(super) fn answer(over: Over) -> Response {
    let (status, text) = match over.limit {
        Limit::ConnectRate => (StatusCode::SERVICE_UNAVAILABLE, "too many clients connect now: come again later\n"),
        Limit::ConnectRatePerAddress => {
            (StatusCode::TOO_MANY_REQUESTS, "your address connects too often: come again later\n")
        }
        _ => (StatusCode::TOO_MANY_REQUESTS, "your address has too many connections: close one, or come again later\n"),
    };
    let after = HeaderValue::from(retry_after(over.wait, rand::random()));
    // The connection ends with the answer: who is turned away keeps no seat.
    let close = HeaderValue::from_static("close");
    (status, [(header::RETRY_AFTER, after), (header::CONNECTION, close)], text).into_response()
}

/// Whole seconds: at least one, at least the wait, at most about twice it. `jitter` is between 0 and 1.
fn retry_after(wait: Duration, jitter: f64) -> u64 {
    wait.max(Duration::from_secs(1)).mul_f64(1.0 + jitter).as_secs_f64().ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_come_too_early_and_not_all_to_come_together() {
        assert_eq!(retry_after(Duration::ZERO, 0.0), 1);
        assert_eq!(retry_after(Duration::from_millis(1500), 0.0), 2);
        assert_eq!(retry_after(Duration::from_secs(5), 0.99), 10);
        assert_eq!(retry_after(Duration::from_secs(5), 0.5), 8);
    }
}
