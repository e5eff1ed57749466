//! Two tables that must not be mixed up: why a *request* was refused ([`ErrorCode`]), and why a
//! *connection* ended ([`CloseCode`]). Numbers are the Centrifuge protocol's; custom errors use
//! 400-1999, custom closes 4000-4999.

/// Why a request was refused. The connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum ErrorCode {
    /// Something of ours, or the broker, failed. Temporary: the same request may work later.
    Internal = 100,
    /// Nobody is logged in.
    Unauthorized = 101,
    /// No namespace of this name.
    UnknownChannel = 102,
    /// The rules forbid it.
    PermissionDenied = 103,
    /// No such method.
    MethodNotFound = 104,
    /// This connection holds the channel already.
    AlreadySubscribed = 105,
    /// One more would be too many.
    LimitExceeded = 106,
    /// The request makes no sense.
    BadRequest = 107,
    /// Not switched on for this channel, or not in this version.
    NotAvailable = 108,
    /// The token has expired: bring a new one.
    TokenExpired = 109,
    /// The session or subscription has expired.
    Expired = 110,
    /// Slow down. Temporary.
    TooManyRequests = 111,
    /// What was missed can no longer be replayed.
    UnrecoverablePosition = 112,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    /// For people.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Internal => "internal server error",
            Self::Unauthorized => "unauthorized",
            Self::UnknownChannel => "unknown channel",
            Self::PermissionDenied => "permission denied",
            Self::MethodNotFound => "method not found",
            Self::AlreadySubscribed => "already subscribed",
            Self::LimitExceeded => "limit exceeded",
            Self::BadRequest => "bad request",
            Self::NotAvailable => "not available",
            Self::TokenExpired => "token expired",
            Self::Expired => "expired",
            Self::TooManyRequests => "too many requests",
            Self::UnrecoverablePosition => "unrecoverable position",
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(self) -> bool {
        matches!(self, Self::Internal | Self::TooManyRequests)
    }
}

/// Why a connection ended. Clients come back after 3000-3499 and stay away after 3500-3999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// This node goes down; another one will take you.
    Shutdown = 3001,
    /// Something of ours failed.
    ServerError = 3004,
    /// The connection expired: no new token came, or the application says so.
    Expired = 3005,
    /// A subscription that the server made expired.
    SubscriptionExpired = 3006,
    /// The client reads more slowly than its channels speak.
    Slow = 3008,
    /// The socket broke while writing.
    WriteError = 3009,
    /// A publication was missed on a positioned server-side subscription.
    InsufficientState = 3010,
    /// An operator or the application wants the client to connect anew.
    ForceReconnect = 3011,
    /// No answer to a ping.
    NoPong = 3012,
    /// Slow down.
    TooManyRequests = 3013,
    /// The token is wrong.
    InvalidToken = 3500,
    /// The client broke the protocol.
    BadRequest = 3501,
    /// Nobody said who they are in time.
    Stale = 3502,
    /// An operator or the application ended it.
    ForceDisconnect = 3503,
    /// Too many connections.
    ConnectionLimit = 3504,
    /// Too many channels.
    ChannelLimit = 3505,
    /// The client's protocol cannot carry the channel's data.
    InappropriateProtocol = 3506,
    /// The rules forbid it.
    PermissionDenied = 3507,
    /// Not switched on.
    NotAvailable = 3508,
    /// Too many errors.
    TooManyErrors = 3509,
}

impl CloseCode {
    /// Every code, for tables and metrics.
    pub const ALL: [Self; 20] = [
        Self::Shutdown,
        Self::ServerError,
        Self::Expired,
        Self::SubscriptionExpired,
        Self::Slow,
        Self::WriteError,
        Self::InsufficientState,
        Self::ForceReconnect,
        Self::NoPong,
        Self::TooManyRequests,
        Self::InvalidToken,
        Self::BadRequest,
        Self::Stale,
        Self::ForceDisconnect,
        Self::ConnectionLimit,
        Self::ChannelLimit,
        Self::InappropriateProtocol,
        Self::PermissionDenied,
        Self::NotAvailable,
        Self::TooManyErrors,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        self as u16
    }

    /// For people. Never empty and never JSON: the stock JavaScript client reads a JSON reason as
    /// reconnect advice and ignores terminal codes that come without one.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::ServerError => "internal server error",
            Self::Expired => "connection expired",
            Self::SubscriptionExpired => "subscription expired",
            Self::Slow => "slow",
            Self::WriteError => "write error",
            Self::InsufficientState => "insufficient state",
            Self::ForceReconnect => "force reconnect",
            Self::NoPong => "no pong",
            Self::TooManyRequests => "too many requests",
            Self::InvalidToken => "invalid token",
            Self::BadRequest => "bad request",
            Self::Stale => "stale",
            Self::ForceDisconnect => "force disconnect",
            Self::ConnectionLimit => "connection limit",
            Self::ChannelLimit => "channel limit",
            Self::InappropriateProtocol => "inappropriate protocol",
            Self::PermissionDenied => "permission denied",
            Self::NotAvailable => "not available",
            Self::TooManyErrors => "too many errors",
        }
    }

    /// Whether clients stay away afterwards.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self.code() >= 3500
    }
}

/// Why a subscription ended while the connection stays.
pub mod unsubscribe {
    /// The server ended it for good.
    pub const SERVER: u32 = 2000;
    /// Publications may be missing: subscribe again.
    pub const INSUFFICIENT_STATE: u32 = 2500;
    /// The subscription's token expired: subscribe again with a new one.
    pub const EXPIRED: u32 = 2501;

    /// For people.
    #[must_use]
    pub fn reason(code: u32) -> &'static str {
        match code {
            INSUFFICIENT_STATE => "insufficient state",
            EXPIRED => "subscription expired",
            _ => "server unsubscribe",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_plain_text() {
        for code in CloseCode::ALL {
            assert!(!code.reason().is_empty());
            assert!(serde_json::from_str::<serde_json::Value>(code.reason()).is_err());
            assert!(code.reason().len() <= crate::limits::CLOSE_REASON_BYTES_MAX);
        }
    }
}
