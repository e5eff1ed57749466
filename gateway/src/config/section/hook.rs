//! `[hook]`: how the application's backend is asked, and about what.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::secret::Secret;
use crate::config::web_url::WebUrl;
use crate::model::ByteSize;

/// All hooks. Which of them channels ask is in their own options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HooksConfig {
    /// By name.
    pub targets: BTreeMap<String, HookConfig>,
    /// The one that is asked about connections without a token.
    pub connect: Option<String>,
    /// The one that is asked about connections that have expired.
    pub refresh: Option<String>,
    /// The one that answers clients' calls.
    pub rpc: Option<String>,
}

/// One backend as it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookConfig {
    /// Where it is.
    pub url: HookUrl,
    /// For a whole question: waiting for a place, connection, request, answer.
    pub timeout: Duration,
    /// Headers that go with each call.
    pub headers: Vec<(String, Secret)>,
    /// Headers of the client's own request that are passed on.
    pub header_allow: Vec<String>,
    /// Headers that clients write into their protocol and that are passed on. Nothing of them need be true.
    pub emulated_headers: Vec<String>,
    /// Payloads go in base64, and need not be JSON.
    pub binary: bool,
    /// What the application has left with the connection goes with each question.
    pub include_connection_meta: bool,
    /// The largest answer.
    pub answer_max: ByteSize,
    /// Calls under way at once; as many again may wait.
    pub concurrency_max: usize,
    /// Calls in a row without an answer after which the backend is left alone.
    pub breaker_failures: usize,
    /// For how long.
    pub breaker_pause: Duration,
    /// What HTTP statuses other than 200 mean.
    pub status_to_code: Vec<StatusRule>,
}

/// Where a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookUrl(WebUrl);

/// How a backend is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookScheme {
    /// `http://` and `https://`: POSTs of JSON.
    Http,
    /// `grpc://` and `grpcs://`: unary calls.
    Grpc,
}

/// What a status of HTTP means to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusRule {
    /// Other than 200.
    pub status: u16,
    /// What the client is told.
    pub meaning: StatusMeaning,
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusMeaning {
    /// The request is refused.
    Error {
        /// 400-1999.
        code: u32,
        /// For people.
        message: String,
        /// It may work later.
        temporary: bool,
    },
    /// The connection ends.
    Disconnect {
        /// 4000-4999.
        code: u32,
        /// For people.
        reason: String,
    },
}

/// Which hook a channel asks about something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HookChoice {
    /// None: the rules decide.
    #[default]
    Off,
    /// The one that `[hook]` names for it.
    Usual,
    /// The one of this name.
    Named(String),
}

impl HookUrl {
    /// None if it begins with no scheme that a hook has, or names no host.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let good = matches!(scheme, "http" | "https" | "grpc" | "grpcs")
            && !host.is_empty()
            && !host.starts_with(':')
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(WebUrl::new(text)))
    }

    /// How it is spoken to.
    #[must_use]
    pub fn scheme(&self) -> HookScheme {
        if self.expose().starts_with("grpc") { HookScheme::Grpc } else { HookScheme::Http }
    }

    /// The whole of it, for the one who calls.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Without what may be a secret.
    #[must_use]
    pub fn masked(&self) -> String {
        self.0.masked()
    }
}

impl HookConfig {
    /// A hook on this machine, with all defaults; for tests.
    #[must_use]
    pub fn example() -> Self {
        Self {
            url: HookUrl(WebUrl::new("http://127.0.0.1:3000/hook")),
            timeout: Duration::from_secs(1),
            headers: Vec::new(),
            header_allow: Vec::new(),
            emulated_headers: Vec::new(),
            binary: false,
            include_connection_meta: false,
            answer_max: ByteSize::mib(1),
            concurrency_max: 256,
            breaker_failures: 10,
            breaker_pause: Duration::from_secs(5),
            status_to_code: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for good in ["http://app", "https://app:8443/hooks?x=1", "grpc://127.0.0.1:9000", "grpcs://[::1]:9000"] {
            assert!(HookUrl::parse(good).is_some(), "{good}");
        }
        for bad in
            ["app", "http://", "http://:80", "ftp://app", "http:/app", "http://a b", "grpc://user@", "HTTP://app"]
        {
            assert!(HookUrl::parse(bad).is_none(), "{bad}");
        }
    }
}
