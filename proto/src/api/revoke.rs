//! Who and what is no longer let in. Names and fields are those of Centrifugo's commercial edition.

use serde::{Deserialize, Serialize};

use super::field::{Given, Text, first_given, is_zero, or_default};

/// `revoke_token`: a token is good no longer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RevokeToken<'a> {
    /// Its id: the claim `jti`.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub uid: Text<'a>,
    /// Until when this must be remembered, in seconds since 1970: when the token expires. 0: for ever.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub expire_at: i64,
}

/// `invalidate_user_tokens`: a user's older tokens are good no longer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InvalidateUserTokens<'a> {
    /// Whose.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub user: Text<'a>,
    /// Those that were made before this moment, in seconds since 1970, by their claim `iat`; 0: until now.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub issued_before: i64,
    /// As in [`RevokeToken::expire_at`].
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub expire_at: i64,
    /// Not built. Ignoring it would widen the order.
    #[serde(default, skip_serializing)]
    pub channel: Given,
}

impl InvalidateUserTokens<'_> {
    /// The first option asked for that this version has not built.
    #[must_use]
    pub fn unbuilt(&self) -> Option<&'static str> {
        first_given(&[("channel", self.channel)])
    }
}

/// `block_user`: a user is not let in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BlockUser<'a> {
    /// Who.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub user: Text<'a>,
    /// Until when, in seconds since 1970; 0: until the block is ended.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub expire_at: i64,
}

/// `unblock_user`: a user is let in again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UnblockUser<'a> {
    /// Who.
    #[serde(borrow, default, deserialize_with = "or_default")]
    pub user: Text<'a>,
}
