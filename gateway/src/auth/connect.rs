//! Connection tokens: claims in, the connection's identity out.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare_proto::claims::ConnectClaims;

use super::issuer::Issuer;
use super::{Refusal, TokenError, overrides};
use crate::model::{Capabilities, ChannelName, Permit, UserId};

/// What a good connection token says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionToken {
    /// Who connects; anonymous if the token names nobody.
    pub user: UserId,
    /// What others see of the user: JSON on one line; empty if none.
    pub info: Bytes,
    /// When the connection expires, in seconds since 1970; none for never.
    pub expires_at: Option<i64>,
    /// Channels that the client is subscribed to without asking. Their namespaces may be unknown.
    pub subs: BTreeMap<ChannelName, Permit>,
    /// The token's own id; empty if none.
    pub jti: String,
    /// When the token was made, in seconds since 1970; none if it does not say.
    pub issued_at: Option<i64>,
    /// What the connection may do beyond its channels' rules; none if nothing.
    pub caps: Option<Box<Capabilities>>,
    /// For the application's hooks, never for clients: JSON on one line; empty if none.
    pub meta: Bytes,
}

pub(super) fn read(issuer: &Issuer, payload: &[u8], now_unix_s: i64) -> Result<ConnectionToken, TokenError> {
    let claims = ConnectClaims::parse(payload)?;
    issuer.check_origin(&claims.registered)?;
    let expires_at = issuer.expiry(&claims.registered, claims.expire_at, now_unix_s)?;
    Ok(ConnectionToken {
        user: issuer.user(&claims.registered, payload)?,
        info: claims.info,
        expires_at,
        subs: subs(claims.channels, claims.subs)?,
        jti: claims.registered.jti,
        issued_at: claims.registered.iat,
        caps: Capabilities::new(claims.caps),
        meta: claims.meta,
    })
}

/// Joins both claims about server-side subscriptions; the one with options wins.
fn subs(
    channels: Vec<String>,
    with_options: BTreeMap<String, fanfare_proto::claims::SubscriptionOptions>,
) -> Result<BTreeMap<ChannelName, Permit>, Refusal> {
    let plain = channels.into_iter().map(|channel| (channel, Permit::default()));
    let rich = with_options.into_iter().map(|(channel, options)| {
        let overrides = overrides(options.overrides);
        // Tokens have no word for the end of one of them.
        (channel, Permit { info: options.info, data: options.data, overrides, expires_at: None })
    });
    // Of two entries with one name a map keeps the later.
    plain
        .chain(rich)
        .map(|(channel, sub)| Ok((ChannelName::parse(&channel).map_err(|_| Refusal::Channel)?, sub)))
        .collect()
}
