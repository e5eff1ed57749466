//! Why something was not published, said so that a program can decide and a person can act. Opaque: what
//! library failed underneath is nobody's business but the source's.

use std::error::Error;
use std::fmt;

use fanfare_proto::code::ErrorCode;

/// Where to look for the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The message: its channel, data or size.
    Message,
    /// The settings: URL, key, prefix, or versions that do not fit.
    Setup,
    /// The gateway, or the way to it.
    Gateway,
    /// The broker, or the way to it.
    Broker,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "the message",
            Self::Setup => "the settings",
            Self::Gateway => "the gateway, or the way to it",
            Self::Broker => "the broker, or the way to it",
        })
    }
}

/// Why something was not published, or may not have been.
#[derive(Clone, Debug)]
pub struct PublishError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    fault: Fault,
    verdict: Verdict,
    text: String,
}

/// What may be concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It was looked at and refused.
    Rejected,
    /// It never left, and never will this way.
    Impossible,
    /// It may have arrived or not; another try may succeed.
    Unknown,
}

impl PublishError {
    /// Whether the same call may succeed later. The message may have been published all the same.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.0.verdict == Verdict::Unknown
    }

    /// Whether the message was looked at and refused, by the channel rules or by the gateway: it was not
    /// published, and will not be as it is.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.0.verdict == Verdict::Rejected
    }

    /// Where to look for the cause.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.0.fault
    }

    pub(crate) fn message(text: impl Into<String>) -> Self {
        Self::new(Fault::Message, Verdict::Rejected, text.into())
    }

    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::new(Fault::Setup, Verdict::Rejected, text.into())
    }

    pub(crate) fn setup(text: impl Into<String>) -> Self {
        Self::new(Fault::Setup, Verdict::Impossible, text.into())
    }

    pub(crate) fn unknown(fault: Fault, text: impl Into<String>) -> Self {
        Self::new(fault, Verdict::Unknown, text.into())
    }

    /// What the server API answered in the place of a result.
    pub(crate) fn answered(code: u32, text: &str) -> Self {
        let temporary = [ErrorCode::Internal, ErrorCode::TooManyRequests].iter().any(|known| known.code() == code);
        if temporary {
            Self::unknown(Fault::Gateway, format!("the gateway could not: error {code}, {text}"))
        } else {
            Self::message(format!("the gateway refused it: error {code}, {text}"))
        }
    }

    fn new(fault: Fault, verdict: Verdict, text: String) -> Self {
        Self(Box::new(Inner { fault, verdict, text }))
    }
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl Error for PublishError {}

/// The error and all its causes in one line: libraries differ in whether they repeat theirs.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_answers_may_be_tried_again() {
        for (code, retryable) in [(100, true), (111, true), (102, false), (103, false), (107, false), (108, false)] {
            let error = PublishError::answered(code, "x");
            assert_eq!(error.is_retryable(), retryable, "{code}");
            assert_eq!(error.is_rejected(), !retryable, "{code}");
        }
    }

    #[test]
    fn no_verdict_is_two_things() {
        let setup = PublishError::setup("x");
        assert!(!setup.is_retryable() && !setup.is_rejected());
        let unknown = PublishError::unknown(Fault::Broker, "x");
        assert!(unknown.is_retryable() && !unknown.is_rejected());
    }
}
