//! Why a connection ends.

use fanfare_proto::code::CloseCode;

/// Why a connection ends, with the text that the client sees.
///
/// The text is never empty and never JSON: the stock JavaScript client honours terminal codes only then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code on the wire; 3500-3999 and 4500-4999 tell clients not to come back.
    pub code: u16,
    /// For people; at most 123 bytes, the room in a WebSocket close frame.
    pub reason: std::borrow::Cow<'static, str>,
}

impl Close {
    /// A code of ours, with the given or its usual reason where the given one would mislead clients.
    #[must_use]
    pub fn custom(code: u16, reason: &str) -> Self {
        let plain =
            !reason.is_empty() && reason.len() <= 123 && serde_json::from_str::<serde::de::IgnoredAny>(reason).is_err();
        let reason = if plain { reason.to_owned().into() } else { "disconnected by the application".into() };
        Self { code, reason }
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self { code: code.code(), reason: code.reason().into() }
    }
}
