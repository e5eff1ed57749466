//! Subscription tokens: claims in, the grant for one channel out.

use bytes::Bytes;
use fanfare_proto::claims::SubscribeClaims;

use super::issuer::Issuer;
use super::{TokenError, overrides};
use crate::model::{Overrides, UserId};

/// What a good subscription token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionToken {
    /// Who may subscribe. Must be the connection's user.
    pub user: UserId,
    /// The channel. Must be the one asked for.
    pub channel: String,
    /// The only connection that it is good for; none for any of the user's.
    pub client: Option<String>,
    /// What others on the channel see of the user: JSON on one line; empty if none.
    pub info: Bytes,
    /// What the client gets with the subscription: JSON on one line; empty if none.
    pub data: Bytes,
    /// When the subscription expires, in seconds since 1970; none for never.
    pub expires_at: Option<i64>,
    /// Where the channel's options do not hold.
    pub overrides: Overrides,
    /// The token's own id; empty if none.
    pub jti: String,
    /// When the token was made, in seconds since 1970; none if it does not say.
    pub issued_at: Option<i64>,
}

pub(super) fn read(issuer: &Issuer, payload: &[u8], now_unix_s: i64) -> Result<SubscriptionToken, TokenError> {
    let claims = SubscribeClaims::parse(payload)?;
    issuer.check_origin(&claims.registered)?;
    let expires_at = issuer.expiry(&claims.registered, claims.expire_at, now_unix_s)?;
    Ok(SubscriptionToken {
        user: issuer.user(&claims.registered, payload)?,
        channel: claims.channel,
        client: claims.client,
        info: claims.options.info,
        data: claims.options.data,
        expires_at,
        overrides: overrides(claims.options.overrides),
        jti: claims.registered.jti,
        issued_at: claims.registered.iat,
    })
}
