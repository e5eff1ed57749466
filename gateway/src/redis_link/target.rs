//! Where Redis is: the URL, read once.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};

use super::SetupError;
use crate::config::secret::Secret;

/// A Redis server, as the URL names it.
#[derive(Clone)]
pub struct Target {
    /// Host name or address. Looked up anew for each connection.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// For `AUTH`; none for the default user.
    pub(super) user: Option<String>,
    /// For `AUTH`; none if there is none.
    pub(super) password: Option<Secret>,
    /// The database's number.
    pub(super) db: i64,
    /// The same, for the redis crate.
    pub(super) info: ConnectionInfo,
}

impl Target {
    /// Reads `redis://[user:password@]host[:port][/db]`.
    ///
    /// # Errors
    /// When the URL is malformed, or asks for TLS or a Unix socket.
    pub fn parse(url: &str) -> Result<Self, SetupError> {
        match url.split_once("://").map(|(scheme, _)| scheme) {
            Some("redis") => {}
            Some("rediss") => return Err(SetupError::Unsupported("TLS (rediss://)")),
            Some("redis+unix" | "unix") => return Err(SetupError::Unsupported("a Unix socket")),
            _ => return Err(SetupError::Url("it does not begin with redis://".into())),
        }
        let info = url.into_connection_info().map_err(|error| SetupError::Url(error.to_string()))?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(SetupError::Unsupported("something else than TCP"));
        };
        let settings = info.redis_settings();
        if settings.db() < 0 {
            return Err(SetupError::Url("the database's number is negative".into()));
        }
        Ok(Self {
            host: host.clone(),
            port: *port,
            user: settings.username().map(str::to_owned),
            password: settings.password().map(Secret::new),
            db: settings.db(),
            info,
        })
    }

    /// The database's number.
    #[must_use]
    pub fn db(&self) -> i64 {
        self.db
    }
}

/// Without the password, which `ConnectionInfo` may show.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "redis://{}:{}/{}", self.host, self.port, self.db)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_url() {
        let target = Target::parse("redis://ann:p%40ss@example.org:7000/3").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.db), ("example.org", 7000, 3));
        assert_eq!(target.user.as_deref(), Some("ann"));
        assert_eq!(target.password.as_ref().map(Secret::expose), Some("p@ss"));
        assert_eq!(format!("{target:?}"), "redis://example.org:7000/3");
    }

    #[test]
    fn defaults() {
        let target = Target::parse("redis://localhost").unwrap();
        assert_eq!((target.port, target.db), (6379, 0));
        assert!(target.user.is_none() && target.password.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_the_reason() {
        for url in ["", "localhost", "http://localhost", "redis://", "redis://h/x", "redis://h/-1", "redis://h:99999"] {
            assert!(matches!(Target::parse(url), Err(SetupError::Url(_))), "{url}");
        }
        for url in ["rediss://h", "redis+unix:///s", "unix:///s"] {
            assert!(matches!(Target::parse(url), Err(SetupError::Unsupported(_))), "{url}");
        }
    }
}
