//! What Redis' errors mean to a publisher: whose fault, whether to try again, and whether the connection
//! is worth keeping.

use redis::{ErrorKind, RedisError};

use super::super::error::chain;
use super::super::{Fault, PublishError};

/// Something that answers for the whole rest of a batch.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: PublishError,
    /// The connection is of no more use.
    pub(super) broken: bool,
}

impl Failure {
    pub(super) fn broken(error: PublishError) -> Self {
        Self { error, broken: true }
    }

    pub(super) fn of(address: &str, error: &RedisError) -> Self {
        let code = code(error);
        let broken = match code.as_deref() {
            // Also READONLY: the name may lead to the new primary when it is resolved anew.
            Some(code) => code == "READONLY",
            None => true,
        };
        Self { error: meaning(address, error, code.as_deref()), broken }
    }
}

/// No answer within the deadline.
pub(super) fn late(address: &str) -> PublishError {
    PublishError::unknown(Fault::Broker, format!("the broker at {address} did not answer in time"))
}

/// The server is a replica: it would take a PUBLISH and reach nobody.
pub(super) fn replica(address: &str) -> PublishError {
    let text = format!("the broker at {address} is a read-only replica; nothing was published");
    PublishError::unknown(Fault::Broker, text)
}

/// The first word of what the server said; none if it is not the server that speaks. Of a transaction that
/// was refused as a whole, the reason.
pub(super) fn code(error: &RedisError) -> Option<String> {
    if let Some(errors) = error.clone().into_server_errors()
        && let Some((_, first)) = errors.first()
    {
        return Some(first.code().to_owned());
    }
    error.code().map(str::to_owned)
}

fn meaning(address: &str, error: &RedisError, code: Option<&str>) -> PublishError {
    let text = format!("the broker at {address}: {}", chain(error));
    // Within a script a missing right has no code of its own.
    let code = if text.contains("The user executing the script can't") { Some("NOPERM") } else { code };
    match code {
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => PublishError::refused(text),
        Some("WRONGTYPE") => {
            PublishError::refused(format!("{text}; something else keeps its data under the gateways' prefix"))
        }
        Some("MOVED" | "ASK" | "CROSSSLOT") => PublishError::refused(format!("{text}; Redis Cluster is not supported")),
        // It says so before it does anything.
        Some(
            "READONLY" | "OOM" | "NOREPLICAS" | "LOADING" | "BUSY" | "MASTERDOWN" | "MISCONF" | "TRYAGAIN"
            | "CLUSTERDOWN" | "NOSCRIPT",
        ) => PublishError::unknown(Fault::Broker, format!("{text}; nothing was published")),
        _ if matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig) => {
            PublishError::refused(text)
        }
        _ => PublishError::unknown(Fault::Broker, text),
    }
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    /// As the server would have said it.
    fn said(code: &str) -> RedisError {
        redis::make_extension_error(code.to_owned(), Some("for a reason".to_owned()))
    }

    #[test]
    fn what_passes_by_itself_may_be_tried_again() {
        for code in ["OOM", "NOREPLICAS", "MISCONF", "BUSY", "ERR"] {
            let failure = Failure::of("here", &said(code));
            assert!(failure.error.is_retryable(), "{code}: {}", failure.error);
            assert_eq!((failure.error.fault(), failure.broken), (Fault::Broker, false), "{code}");
        }
        for kind in [ServerErrorKind::BusyLoading, ServerErrorKind::MasterDown, ServerErrorKind::ClusterDown] {
            let failure = Failure::of("here", &RedisError::from((ErrorKind::Server(kind), "x")));
            assert!(failure.error.is_retryable() && failure.error.to_string().contains("nothing was published"));
        }
    }

    #[test]
    fn what_somebody_must_set_right_may_not() {
        for code in ["NOAUTH", "WRONGPASS", "WRONGTYPE"] {
            let failure = Failure::of("here", &said(code));
            assert!(failure.error.is_rejected(), "{code}: {}", failure.error);
            assert_eq!((failure.error.fault(), failure.broken), (Fault::Setup, false), "{code}");
        }
        for kind in [ServerErrorKind::NoPerm, ServerErrorKind::Moved, ServerErrorKind::CrossSlot] {
            let error = Failure::of("here", &RedisError::from((ErrorKind::Server(kind), "x"))).error;
            assert!(error.is_rejected(), "{error}");
        }
    }

    #[test]
    fn a_connection_that_leads_nowhere_is_not_kept() {
        let readonly = RedisError::from((ErrorKind::Server(ServerErrorKind::ReadOnly), "x"));
        let cut = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        for error in [readonly, cut] {
            let failure = Failure::of("here", &error);
            assert!(failure.broken && failure.error.is_retryable(), "{}", failure.error);
        }
    }
}
