//! Who may do what on a channel. Pure: options and facts in, a [`Decision`] out.
//!
//! The functions read top-down in the order in which rules win. What the application has signed comes
//! first: a token for the channel, then the connection's capabilities. `client.insecure` comes last: it
//! opens what no rule speaks about, but neither private channels nor those of other users.

use fanfare_proto::code::ErrorCode;
use fanfare_proto::name;

use crate::config::section::{ChannelOptions, DataFormat, DeltaType, HookChoice};
use crate::model::command::Subscribe;
use crate::model::{ChannelName, Rights, UserId};

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
    /// What the connection's capabilities allow on the channel that is asked about.
    pub rights: Rights,
}

impl Asker<'_> {
    /// The same without capabilities.
    fn plain(self) -> Self {
        Self { rights: Rights::NONE, ..self }
    }

    fn may(self, right: Rights) -> bool {
        self.rights.include(right)
    }
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
    /// The application's yes, which its hook has given for this user, channel and connection.
    Hook,
}

/// Whether whoever asks listens to the channel, too.
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

/// What a subscriber gets of what it asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent grants, as the protocol names them")]
pub struct Granted {
    /// It is told when it may have missed something.
    pub positioned: bool,
    /// It gets what it missed when it comes back; only with `positioned`.
    pub recoverable: bool,
    /// It is told who joins and leaves.
    pub join_leave: bool,
    /// It gets publications as patches where that is shorter; only with `positioned`, because a patch
    /// is of no use to those who may have missed the publication before.
    pub delta: bool,
}

const ALLOW: Decision = Decision::Allow;
const DENY: Decision = Decision::Deny(ErrorCode::PermissionDenied);
const OFF: Decision = Decision::Deny(ErrorCode::NotAvailable);

/// May they subscribe?
pub fn subscribe(asker: Asker<'_>, channel: &ChannelName, options: &ChannelOptions, grant: Grant) -> Decision {
    if grant != Grant::None || asker.may(Rights::SUBSCRIBE) {
        return ALLOW;
    }
    if let Some(decision) = by_name(asker, channel, options) {
        return decision;
    }
    if options.subscribe_hook != HookChoice::Off {
        // The hook decides, and it has not let them in.
        return DENY;
    }
    let identified = !asker.user.is_anonymous() || options.allow_subscribe_for_anonymous;
    if options.allow_subscribe_for_client && identified { ALLOW } else { unless_insecure(asker) }
}

/// Whether a hook decides who may subscribe, rather than the rules: where one is named, the asker has no capability
/// for it, and the channel's name neither keeps everybody out nor lists who may come in.
#[must_use]
pub fn leaves_it_to_hook(asker: Asker<'_>, channel: &ChannelName, options: &ChannelOptions) -> bool {
    let opened = asker.may(Rights::SUBSCRIBE) || by_name(asker, channel, options).is_some();
    options.subscribe_hook != HookChoice::Off && !opened
}

/// May they publish? The channel's name plays no part: who may publish to a private channel is who the
/// options name, and options that name subscribers leave it to the token that made them one.
pub fn publish(asker: Asker<'_>, options: &ChannelOptions, standing: Standing) -> Decision {
    let named = Named {
        client: options.allow_publish_for_client,
        subscriber: options.allow_publish_for_subscriber,
        anonymous: options.allow_publish_for_anonymous,
    };
    if asker.may(Rights::PUBLISH) || named.includes(asker, standing) { ALLOW } else { unless_insecure(asker) }
}

/// May they read what was said? Error 108 where nothing is kept, whoever asks. The options open private
/// channels and those of other users as they open publishing; `client.insecure` opens them to
/// subscribers only.
pub fn history(asker: Asker<'_>, channel: &ChannelName, options: &ChannelOptions, standing: Standing) -> Decision {
    match options.history {
        None => OFF,
        Some(_) if reads(asker, options, standing) => ALLOW,
        Some(_) => unless_insecure_stranger(asker, channel, options, standing),
    }
}

/// May they ask who is there? Error 108 where nobody knows, whoever asks; else as for [`history`].
pub fn presence(asker: Asker<'_>, channel: &ChannelName, options: &ChannelOptions, standing: Standing) -> Decision {
    if !options.presence {
        OFF
    } else if sees(asker, options, standing) {
        ALLOW
    } else {
        unless_insecure_stranger(asker, channel, options, standing)
    }
}

/// What somebody who may subscribe gets besides publications. Never an error: the answer tells who asks
/// in vain. A subscriber who may read the history could find out alone what it has missed, and one who
/// may ask for presence who comes and goes: so they get the same from us.
#[must_use]
pub fn claims(asker: Asker<'_>, options: &ChannelOptions, asked: &Subscribe) -> Granted {
    let insecure = asker.trust == Trust::Insecure;
    let reads = insecure || reads(asker, options, Standing::Subscriber);
    let sees = insecure || sees(asker, options, Standing::Subscriber);
    let kept = options.history.is_some();
    let told = options.presence && options.join_leave;
    let recoverable = kept && (options.force_recovery || (asked.recoverable && (options.allow_recovery || reads)));
    let asks = asked.positioned && (options.allow_positioning || reads);
    let positioned = kept && (options.force_positioning || asks || recoverable);
    Granted {
        positioned,
        recoverable,
        join_leave: told && (options.force_push_join_leave || (asked.join_leave && sees)),
        delta: positioned && options.allowed_delta.is_some_and(|delta| called(delta) == asked.delta),
    }
}

/// Which of the asker's capabilities a subscription stands on: without them it would not be there, or
/// would get less. Once they are withdrawn it must not go on as it is.
#[must_use]
pub fn stands_on(
    asker: Asker<'_>,
    channel: &ChannelName,
    options: &ChannelOptions,
    grant: Grant,
    asked: &Subscribe,
) -> Rights {
    let (with, without) = (claims(asker, options, asked), claims(asker.plain(), options, asked));
    Rights::SUBSCRIBE
        .only_if(asker.may(Rights::SUBSCRIBE) && subscribe(asker.plain(), channel, options, grant) != ALLOW)
        .and(Rights::PRESENCE.only_if(with.join_leave && !without.join_leave))
        .and(Rights::HISTORY.only_if(with.positioned && !without.positioned))
        .and(Rights::HISTORY.only_if(with.recoverable && !without.recoverable))
}

/// Can their wire carry what is said on the channel? Asked on subscribing, so that nobody is
/// disconnected for what another publishes later.
pub fn carry(options: &ChannelOptions, carries: Carries) -> Decision {
    match (options.publication_data_format, carries) {
        (DataFormat::Binary, Carries::Json) => Decision::Deny(ErrorCode::NotAvailable),
        (DataFormat::Binary, Carries::Bytes) | (DataFormat::Json, _) => ALLOW,
    }
}

/// What the channel's name says about who may subscribe; none if it says nothing.
fn by_name(asker: Asker<'_>, channel: &ChannelName, options: &ChannelOptions) -> Option<Decision> {
    if name::is_private(channel.as_str()) {
        return Some(DENY);
    }
    let mut users = name::users(channel.as_str()).filter(|_| options.allow_user_limited_channels)?;
    // `room#` lists the empty name; that does not let everyone in who has none.
    let listed = !asker.user.is_anonymous() && users.any(|user| user == asker.user.as_str());
    Some(if listed { ALLOW } else { DENY })
}

/// Whom three options name together.
#[derive(Clone, Copy, Debug)]
struct Named {
    /// Everybody with a user id.
    client: bool,
    /// Subscribers with a user id.
    subscriber: bool,
    /// With either of them: those without one, too.
    anonymous: bool,
}

impl Named {
    fn includes(self, asker: Asker<'_>, standing: Standing) -> bool {
        let stands = self.client || (self.subscriber && standing == Standing::Subscriber);
        stands && (self.anonymous || !asker.user.is_anonymous())
    }
}

fn reads(asker: Asker<'_>, options: &ChannelOptions, standing: Standing) -> bool {
    let named = Named {
        client: options.allow_history_for_client,
        subscriber: options.allow_history_for_subscriber,
        anonymous: options.allow_history_for_anonymous,
    };
    asker.may(Rights::HISTORY) || named.includes(asker, standing)
}

fn sees(asker: Asker<'_>, options: &ChannelOptions, standing: Standing) -> bool {
    let named = Named {
        client: options.allow_presence_for_client,
        subscriber: options.allow_presence_for_subscriber,
        anonymous: options.allow_presence_for_anonymous,
    };
    asker.may(Rights::PRESENCE) || named.includes(asker, standing)
}

/// What clients call a kind of patch.
const fn called(delta: DeltaType) -> &'static str {
    match delta {
        DeltaType::Fossil => "fossil",
    }
}

fn unless_insecure(asker: Asker<'_>) -> Decision {
    if asker.trust == Trust::Insecure { ALLOW } else { DENY }
}

/// The same where something would be told: a private channel's name must not be enough to hear it.
fn unless_insecure_stranger(
    asker: Asker<'_>,
    channel: &ChannelName,
    options: &ChannelOptions,
    standing: Standing,
) -> Decision {
    match (standing, by_name(asker, channel, options)) {
        (Standing::Outsider, Some(DENY)) => DENY,
        _ => unless_insecure(asker),
    }
}

#[cfg(test)]
mod tests;
