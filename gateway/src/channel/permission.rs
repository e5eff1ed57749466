//! Who may do what on a channel. Pure: options and facts in, a [`Decision`] out.
//!
//! The functions read top-down in the order in which rules win. `client.insecure` comes last: it opens
//! what no rule speaks about, but neither private channels nor those of other users.

use fanfare_proto::code::ErrorCode;
use fanfare_proto::name;

use crate::config::section::{ChannelOptions, DataFormat};
use crate::model::{ChannelName, UserId};

/// Yes, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Go ahead.
    Allow,
    /// The request is refused with this error.
    Deny(ErrorCode),
}

impl Decision {
    /// For `?`.
    ///
    /// # Errors
    /// The error of a denial.
    pub fn into_result(self) -> Result<(), ErrorCode> {
        match self {
            Self::Allow => Ok(()),
            Self::Deny(code) => Err(code),
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The connection's user.
    pub user: &'a UserId,
    /// What applies to them.
    pub trust: Trust,
}

/// What applies to whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The rules of the channel.
    Rules,
    /// `client.insecure`: what the rules leave open is allowed.
    Insecure,
}

/// What somebody brings besides their identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Nothing.
    None,
    /// A subscription token for this user, channel and connection, verified.
    Token,
}

/// Whether a publisher listens to the channel, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On this connection, yes.
    Subscriber,
    /// No.
    Outsider,
}

/// What a connection's wire can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// JSON only.
    Json,
    /// Any bytes.
    Bytes,
}

const ALLOW: Decision = Decision::Allow;
const DENY: Decision = Decision::Deny(ErrorCode::PermissionDenied);

/// May they subscribe?
pub fn subscribe(asker: Asker<'_>, channel: &ChannelName, options: &ChannelOptions, grant: Grant) -> Decision {
    if grant == Grant::Token {
        return ALLOW;
    }
    if name::is_private(channel.as_str()) {
        return DENY;
    }
    if options.allow_user_limited_channels
        && let Some(mut users) = name::users(channel.as_str())
    {
        // `room#` lists the empty name; that does not let everyone in who has none.
        let listed = !asker.user.is_anonymous() && users.any(|user| user == asker.user.as_str());
        return if listed { ALLOW } else { DENY };
    }
    let identified = !asker.user.is_anonymous() || options.allow_subscribe_for_anonymous;
    if options.allow_subscribe_for_client && identified { ALLOW } else { unless_insecure(asker) }
}

/// May they publish? The channel's name plays no part: who may publish to a private channel is who the
/// options name, and options that name subscribers leave it to the token that made them one.
pub fn publish(asker: Asker<'_>, options: &ChannelOptions, standing: Standing) -> Decision {
    let identified = !asker.user.is_anonymous() || options.allow_publish_for_anonymous;
    let named =
        options.allow_publish_for_client || (options.allow_publish_for_subscriber && standing == Standing::Subscriber);
    if named && identified { ALLOW } else { unless_insecure(asker) }
}

/// Can their wire carry what is said on the channel? Asked on subscribing, so that nobody is
/// disconnected for what another publishes later.
pub fn carry(options: &ChannelOptions, carries: Carries) -> Decision {
    match (options.publication_data_format, carries) {
        (DataFormat::Binary, Carries::Json) => Decision::Deny(ErrorCode::NotAvailable),
        (DataFormat::Binary, Carries::Bytes) | (DataFormat::Json, _) => ALLOW,
    }
}

fn unless_insecure(asker: Asker<'_>) -> Decision {
    if asker.trust == Trust::Insecure { ALLOW } else { DENY }
}

#[cfg(test)]
mod tests;
