//! Orders about a user's connections. They go to all nodes; who is meant is looked up there.

use fanfare_proto::code::{CloseCode, ErrorCode};
use fanfare_proto::envelope::{self, Order, Target};
use fanfare_proto::limits::{CLOSE_REASON_BYTES_MAX, EPOCH_BYTES_MAX, ORDER_BYTES_MAX};

use super::request::{Disconnect, Refresh, Subscribe, Unsubscribe, Who};
use super::{Api, ApiError, payload};
use crate::model::command::Since;
use crate::model::{Close, ConnectionId, SessionId};

impl Api {
    pub(super) async fn subscribe(&self, subscribe: Subscribe) -> Result<(), ApiError> {
        let target = target(subscribe.who)?;
        let expire_at = expiry(subscribe.expire_at)?;
        let (channel, options) = self.channel(&subscribe.channel)?;
        let format = options.publication_data_format;
        if subscribe.recover_since.is_some() && options.history.is_none() {
            return Err(ApiError::new(ErrorCode::NotAvailable, "recover_since: the channel keeps no history"));
        }
        self.order(Order::Subscribe(envelope::Subscribe {
            recover: subscribe.recover_since.map(position).transpose()?,
            target: Some(target),
            channel: channel.as_str().to_owned(),
            info: payload::check_optional(subscribe.info, format, "info")?,
            data: payload::check_optional(subscribe.data, format, "data")?,
            expire_at,
        }))
        .await
    }

    pub(super) async fn unsubscribe(&self, unsubscribe: Unsubscribe) -> Result<(), ApiError> {
        let target = target(unsubscribe.who)?;
        let (channel, _) = self.channel(&unsubscribe.channel)?;
        self.order(Order::Unsubscribe(envelope::Unsubscribe {
            target: Some(target),
            channel: channel.as_str().to_owned(),
        }))
        .await
    }

    pub(super) async fn disconnect(&self, disconnect: Disconnect) -> Result<(), ApiError> {
        let target = target(disconnect.who)?;
        let close = close(disconnect.code, &disconnect.reason)?;
        self.order(Order::Disconnect(envelope::Disconnect {
            target: Some(target),
            code: close.code.into(),
            reason: close.reason.into_owned(),
            whitelist: disconnect.whitelist,
        }))
        .await
    }

    pub(super) async fn refresh(&self, refresh: Refresh) -> Result<(), ApiError> {
        let target = target(refresh.who)?;
        let expire_at = expiry(refresh.expire_at)?;
        self.order(Order::Refresh(envelope::Refresh { target: Some(target), expired: refresh.expired, expire_at }))
            .await
    }

    async fn order(&self, order: Order) -> Result<(), ApiError> {
        let bytes = order.encoded_len();
        if bytes > ORDER_BYTES_MAX {
            return Err(ApiError::too_many(format!("an order of {bytes} bytes is over {ORDER_BYTES_MAX}")));
        }
        Ok(self.node.order(order).await?)
    }
}

fn target(who: Who) -> Result<Target, ApiError> {
    if who.user.is_empty() {
        return Err(ApiError::bad("user: cannot be empty"));
    }
    // No node would know what to do with it.
    if !who.client.is_empty() && ConnectionId::parse(&who.client).is_none() {
        return Err(ApiError::bad("client: is no connection's id"));
    }
    if !who.session.is_empty() && SessionId::parse(&who.session).is_none() {
        return Err(ApiError::bad("session: is no session's id"));
    }
    Ok(Target { user: who.user, client: who.client, session: who.session })
}

/// A place in a stream. Nobody could answer a caller whose order is refused later, so the form is
/// checked here.
fn position(since: Since) -> Result<envelope::Since, ApiError> {
    if since.epoch.len() > EPOCH_BYTES_MAX {
        return Err(ApiError::bad("recover_since.epoch: no stream has an epoch of this length"));
    }
    Ok(envelope::Since { offset: since.offset, epoch: since.epoch.as_ref().to_owned() })
}

fn expiry(seconds: i64) -> Result<i64, ApiError> {
    if seconds < 0 { Err(ApiError::bad("expire_at: cannot be negative")) } else { Ok(seconds) }
}

/// What the clients are told. A reason that they would misread is refused, not replaced: see [`Close`].
fn close(code: u32, reason: &str) -> Result<Close, ApiError> {
    let code = match u16::try_from(code) {
        Ok(0) => CloseCode::ForceDisconnect.code(),
        Ok(code @ 3000..=4999) => code,
        _ => return Err(ApiError::bad("disconnect.code: must be within 3000-4999")),
    };
    let usual = CloseCode::ALL.into_iter().find(|known| known.code() == code);
    match (usual, reason) {
        (Some(usual), "") => return Ok(usual.into()),
        (None, "") => return Ok(Close::custom(code, "")),
        _ => {}
    }
    let close = Close::custom(code, reason);
    if close.reason == reason {
        Ok(close)
    } else {
        Err(ApiError::bad(format!(
            "disconnect.reason: must be plain text of at most {CLOSE_REASON_BYTES_MAX} bytes, not JSON"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_are_told() {
        let told = |code, reason| close(code, reason).map(|close| (close.code, close.reason.into_owned()));
        assert_eq!(told(0, ""), Ok((3503, "force disconnect".to_owned())));
        assert_eq!(told(0, "bye"), Ok((3503, "bye".to_owned())));
        assert_eq!(told(3011, ""), Ok((3011, "force reconnect".to_owned())));
        assert_eq!(told(4999, "banned"), Ok((4999, "banned".to_owned())));
        assert!(!told(4000, "").expect("a code alone is enough").1.is_empty(), "no reason means reconnect for ever");
    }

    #[test]
    fn what_would_mislead_clients_is_refused() {
        for code in [1, 1000, 2999, 5000, 65_536 + 3503, u32::MAX] {
            assert!(close(code, "x").is_err(), "{code}");
        }
        for reason in ["{}", "true", "42", &"x".repeat(124)] {
            assert!(close(4000, reason).is_err(), "{reason}");
        }
    }
}
