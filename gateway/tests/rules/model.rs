//! The rules once more, from the manual (docs/operations/security), in the plainest way: no state but who
//! holds what, nothing shared with the gateway.

use std::collections::{BTreeMap, BTreeSet};

use crate::script::{CLIENTS, Cap, House, Options, Step, Ticket, Token};

/// What a client has got since the last step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Got {
    /// The answer to its command: 0 for done, else the error's code; none if it has asked nothing, or was
    /// not answered.
    pub(crate) answer: Option<u64>,
    /// Channel and number of each publication, in order; those in answers first.
    pub(crate) publications: Vec<(String, u64)>,
    /// Subscriptions that ended without its asking, with their codes.
    pub(crate) ended: BTreeSet<(String, u64)>,
    /// The close code, if the connection ended.
    pub(crate) closed: Option<u16>,
}

/// What all clients have got.
pub(crate) type All = [Got; CLIENTS];

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    subscribed_by_rule: u32,
    subscribed_by_token: u32,
    subscribed_by_cap: u32,
    subscribe_denied: u32,
    delivered: u32,
    recovered: u32,
    history_read: u32,
    history_denied: u32,
    withdrawn: u32,
    closed: u32,
    recheck_ended: u32,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.subscribed_by_rule += other.subscribed_by_rule;
        self.subscribed_by_token += other.subscribed_by_token;
        self.subscribed_by_cap += other.subscribed_by_cap;
        self.subscribe_denied += other.subscribe_denied;
        self.delivered += other.delivered;
        self.recovered += other.recovered;
        self.history_read += other.history_read;
        self.history_denied += other.history_denied;
        self.withdrawn += other.withdrawn;
        self.closed += other.closed;
        self.recheck_ended += other.recheck_ended;
    }

    pub(crate) fn all_above(&self, least: u32) -> bool {
        let often = [
            self.subscribed_by_rule,
            self.subscribed_by_token,
            self.subscribed_by_cap,
            self.subscribe_denied,
            self.delivered,
            self.recovered,
            self.history_read,
            self.history_denied,
            self.closed,
        ];
        // Needs several things in a row.
        let seldom = [self.withdrawn, self.recheck_ended];
        often.iter().all(|count| *count > least) && seldom.iter().all(|count| *count > least / 10)
    }
}

/// What a client is.
#[derive(Debug)]
enum State {
    /// It may connect.
    Fresh,
    /// Its connect was refused: every further command ends it.
    Refused,
    Live(Client),
    Closed,
}

#[derive(Debug)]
struct Client {
    user: &'static str,
    caps: Vec<Cap>,
    id: Option<u8>,
    subscriptions: BTreeMap<&'static str, Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    server_side: bool,
    /// Only a capability opened it.
    by_cap: bool,
    /// It recovers, and only because of a capability.
    recovers_by_cap: bool,
    /// Of the subscription token.
    id: Option<u8>,
}

#[derive(Debug)]
pub(crate) struct Model {
    house: House,
    clients: [State; CLIENTS],
    /// All that was said, and on which channel; the number is the place.
    said: Vec<&'static str>,
    revoked: BTreeSet<u8>,
    blocked: BTreeSet<&'static str>,
    tally: Tally,
}

const DENIED: u64 = 103;
const UNKNOWN: u64 = 102;
const BAD: u64 = 107;
const OFF: u64 = 108;
const EXPIRED: u64 = 109;

impl Model {
    pub(crate) fn new(house: &House) -> Self {
        Self {
            house: house.clone(),
            clients: [const { State::Fresh }; CLIENTS],
            said: Vec::new(),
            revoked: BTreeSet::new(),
            blocked: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    pub(crate) fn play(&mut self, step: &Step) -> All {
        let mut all = All::default();
        match step {
            Step::Connect { client, token } => self.connect(*client, token.as_ref(), &mut all),
            Step::Refresh { client, token } => self.refresh(*client, token, &mut all),
            Step::Subscribe { client, channel, ticket, recover } => {
                self.subscribe(*client, channel, ticket.as_ref(), *recover, &mut all);
            }
            Step::Unsubscribe { client, channel } => {
                if let Some(live) = self.live(*client, &mut all) {
                    live.subscriptions.remove(channel);
                    all[*client].answer = Some(0);
                }
            }
            Step::Publish { client, channel } => self.publish(*client, channel, &mut all),
            Step::History { client, channel } => self.history(*client, channel, &mut all),
            Step::Presence { client, channel } => self.presence(*client, channel, &mut all),
            Step::Say { channel } => {
                if self.place(channel).is_some() {
                    self.say(channel, &mut all);
                }
            }
            Step::Revoke { id } => {
                self.revoked.insert(*id);
                self.review(&mut all);
            }
            Step::Block { user } => {
                self.blocked.insert(user);
                self.review(&mut all);
            }
            Step::Unblock { user } => {
                self.blocked.remove(user);
            }
        }
        self.tally.closed += u32::try_from(all.iter().filter(|got| got.closed.is_some()).count()).unwrap();
        all
    }

    /// The connected client; one that is not connected breaks the protocol by asking.
    fn live(&mut self, client: usize, all: &mut All) -> Option<&mut Client> {
        if matches!(self.clients[client], State::Fresh | State::Refused) {
            self.close(client, 3501, all);
        }
        match &mut self.clients[client] {
            State::Live(live) => Some(live),
            _ => None,
        }
    }

    fn close(&mut self, client: usize, code: u16, all: &mut All) {
        self.clients[client] = State::Closed;
        all[client].closed = Some(code);
    }

    fn connect(&mut self, client: usize, token: Option<&Token>, all: &mut All) {
        match &self.clients[client] {
            State::Fresh => {}
            // Who was closed comes anew.
            State::Closed => self.clients[client] = State::Fresh,
            State::Refused | State::Live(_) => return self.close(client, 3501, all),
        }
        let nobody = Token { user: "", caps: Vec::new(), channels: Vec::new(), id: None };
        let token = token.unwrap_or(&nobody);
        if self.blocked.contains(token.user) {
            return self.close(client, 3503, all);
        }
        let mut wrong = token.id.filter(|id| self.revoked.contains(id)).map(|_| EXPIRED);
        let channels: BTreeSet<_> = token.channels.iter().copied().collect();
        wrong = wrong.or(channels.iter().find_map(|channel| self.nameless(channel)));
        if let Some(code) = wrong {
            self.clients[client] = State::Refused;
            all[client].answer = Some(code);
            return;
        }
        let held = Held { server_side: true, by_cap: false, recovers_by_cap: false, id: None };
        let subscriptions = channels.into_iter().map(|channel| (channel, held)).collect();
        let (user, caps, id) = (token.user, token.caps.clone(), token.id);
        self.clients[client] = State::Live(Client { user, caps, id, subscriptions });
        all[client].answer = Some(0);
    }

    fn refresh(&mut self, client: usize, token: &Token, all: &mut All) {
        let (blocked, revoked) =
            (self.blocked.contains(token.user), token.id.is_some_and(|id| self.revoked.contains(&id)));
        let Some(live) = self.live(client, all) else { return };
        if token.user != live.user {
            return self.close(client, 3500, all);
        }
        if blocked {
            return self.close(client, 3503, all);
        }
        if revoked {
            all[client].answer = Some(EXPIRED);
            return;
        }
        (live.caps, live.id) = (token.caps.clone(), token.id);
        let mut ended = BTreeSet::new();
        let caps = &live.caps;
        live.subscriptions.retain(|channel, held| {
            let code = if held.by_cap && !allows(caps, channel, "sub") {
                2000
            } else if held.recovers_by_cap && !allows(caps, channel, "hst") {
                2500
            } else {
                return true;
            };
            ended.insert(((*channel).to_owned(), code));
            false
        });
        self.tally.withdrawn += u32::try_from(ended.len()).unwrap();
        all[client].answer = Some(0);
        all[client].ended = ended;
    }

    fn subscribe(
        &mut self,
        client: usize,
        channel: &'static str,
        ticket: Option<&Ticket>,
        recover: bool,
        all: &mut All,
    ) {
        let (revoked, blocked) = (self.revoked.clone(), self.blocked.clone());
        let Some(live) = self.live(client, all) else { return };
        if live.subscriptions.contains_key(channel) {
            all[client].answer = Some(105);
            return;
        }
        if let Some(ticket) = ticket {
            if ticket.user != live.user || ticket.channel != channel {
                return self.close(client, 3500, all);
            }
            if blocked.contains(live.user) {
                return self.close(client, 3503, all);
            }
            if ticket.id.is_some_and(|id| revoked.contains(&id)) {
                all[client].answer = Some(EXPIRED);
                return;
            }
        }
        if let Some(code) = self.nameless(channel) {
            all[client].answer = Some(code);
            return;
        }
        let options = self.place(channel).unwrap().clone();
        let State::Live(live) = &mut self.clients[client] else { return };
        let by_rule = subscribes(live.user, channel, &options);
        let by_cap = allows(&live.caps, channel, "sub");
        if ticket.is_none() && !by_rule && !by_cap {
            self.tally.subscribe_denied += 1;
            all[client].answer = Some(DENIED);
            return;
        }
        let reads = options.allow_recovery || reads(live.user, &options, true);
        let reads_by_cap = allows(&live.caps, channel, "hst");
        let recovers = options.kept && recover && (reads || reads_by_cap);
        let held = Held {
            server_side: false,
            by_cap: ticket.is_none() && !by_rule,
            recovers_by_cap: recovers && !reads,
            id: ticket.and_then(|ticket| ticket.id),
        };
        live.subscriptions.insert(channel, held);
        match (ticket, held.by_cap) {
            (Some(_), _) => self.tally.subscribed_by_token += 1,
            (None, true) => self.tally.subscribed_by_cap += 1,
            (None, false) => self.tally.subscribed_by_rule += 1,
        }
        all[client].answer = Some(0);
        if recovers {
            all[client].publications = self.kept(channel);
            self.tally.recovered += u32::try_from(all[client].publications.len()).unwrap();
        }
    }

    fn publish(&mut self, client: usize, channel: &'static str, all: &mut All) {
        let Some(_) = self.live(client, all) else { return };
        if let Some(code) = self.nameless(channel) {
            all[client].answer = Some(code);
            return;
        }
        let options = self.place(channel).unwrap();
        let State::Live(live) = &self.clients[client] else { return };
        let subscriber = live.subscriptions.contains_key(channel);
        let named = options.publish_client || (options.publish_subscriber && subscriber);
        let identified = options.publish_anonymous || !live.user.is_empty();
        if !(allows(&live.caps, channel, "pub") || named && identified) {
            all[client].answer = Some(DENIED);
            return;
        }
        all[client].answer = Some(0);
        self.say(channel, all);
    }

    fn history(&mut self, client: usize, channel: &'static str, all: &mut All) {
        let Some(_) = self.live(client, all) else { return };
        if let Some(code) = self.nameless(channel) {
            all[client].answer = Some(code);
            return;
        }
        let options = self.place(channel).unwrap();
        let State::Live(live) = &self.clients[client] else { return };
        let subscriber = live.subscriptions.contains_key(channel);
        if !options.kept {
            all[client].answer = Some(OFF);
        } else if allows(&live.caps, channel, "hst") || reads(live.user, options, subscriber) {
            all[client].answer = Some(0);
            all[client].publications = self.kept(channel);
            self.tally.history_read += 1;
        } else {
            all[client].answer = Some(DENIED);
            self.tally.history_denied += 1;
        }
    }

    fn presence(&mut self, client: usize, channel: &'static str, all: &mut All) {
        let Some(_) = self.live(client, all) else { return };
        if let Some(code) = self.nameless(channel) {
            all[client].answer = Some(code);
            return;
        }
        let options = self.place(channel).unwrap();
        let State::Live(live) = &self.clients[client] else { return };
        let subscriber = live.subscriptions.contains_key(channel);
        let named = options.presence_client || (options.presence_subscriber && subscriber);
        let sees = named && (options.presence_anonymous || !live.user.is_empty());
        let answer = match (options.presence, sees || allows(&live.caps, channel, "prs")) {
            (false, _) => OFF,
            (true, true) => 0,
            (true, false) => DENIED,
        };
        all[client].answer = Some(answer);
    }

    /// Reaches exactly those who hold the channel.
    fn say(&mut self, channel: &'static str, all: &mut All) {
        let number = self.said.len() as u64;
        self.said.push(channel);
        for (client, got) in self.clients.iter().zip(all) {
            if let State::Live(live) = client
                && live.subscriptions.contains_key(channel)
            {
                got.publications.push((channel.to_owned(), number));
                self.tally.delivered += 1;
            }
        }
    }

    /// Ends what is no longer let in.
    fn review(&mut self, all: &mut All) {
        for client in 0..CLIENTS {
            let State::Live(live) = &mut self.clients[client] else { continue };
            if self.blocked.contains(live.user) {
                self.close(client, 3503, all);
            } else if live.id.is_some_and(|id| self.revoked.contains(&id)) {
                self.close(client, 3500, all);
            } else {
                let revoked = &self.revoked;
                let over = |held: &Held| held.id.is_some_and(|id| revoked.contains(&id));
                let ended = live.subscriptions.iter().filter(|(_, held)| over(held));
                all[client].ended = ended.map(|(channel, _)| ((*channel).to_owned(), 2501)).collect();
                self.tally.recheck_ended += u32::try_from(all[client].ended.len()).unwrap();
                live.subscriptions.retain(|_, held| !over(held));
                debug_assert!(live.subscriptions.values().all(|held| !held.server_side || held.id.is_none()));
            }
        }
    }

    /// What is kept of a channel.
    fn kept(&self, channel: &str) -> Vec<(String, u64)> {
        let said = self.said.iter().zip(0..).filter(|(name, _)| **name == channel);
        said.map(|(name, number)| ((*name).to_owned(), number)).collect()
    }

    /// Why a name is none, for clients.
    fn nameless(&self, channel: &str) -> Option<u64> {
        let Some(options) = self.place(channel) else { return Some(UNKNOWN) };
        let plain = channel.trim_start_matches('$');
        let own = if plain.starts_with('/') { plain } else { plain.split_once(':').map_or(plain, |(_, own)| own) };
        (options.digits && !own.bytes().any(|b| b.is_ascii_digit())).then_some(BAD)
    }

    /// Whose options a channel has.
    fn place(&self, channel: &str) -> Option<&Options> {
        let plain = channel.trim_start_matches('$');
        let at = if plain.starts_with('/') {
            match plain.split('/').collect::<Vec<_>>()[..] {
                ["", "p", "me"] => 3,
                ["", "p", id] if !id.is_empty() => 2,
                _ => return None,
            }
        } else {
            match plain.split_once(':') {
                None => 0,
                Some(("ns", _)) => 1,
                Some(_) => return None,
            }
        };
        Some(&self.house.places[at])
    }
}

/// Whether the rules alone let a user subscribe.
fn subscribes(user: &str, channel: &str, options: &Options) -> bool {
    let users = channel.rsplit_once('#').map(|(_, users)| users);
    match users {
        _ if channel.starts_with('$') => false,
        Some(users) if options.user_limited => !user.is_empty() && users.split(',').any(|listed| listed == user),
        _ => options.subscribe_client && (options.subscribe_anonymous || !user.is_empty()),
    }
}

/// Whether the rules alone let a user read the history.
fn reads(user: &str, options: &Options, subscriber: bool) -> bool {
    let named = options.history_client || (options.history_subscriber && subscriber);
    named && (options.history_anonymous || !user.is_empty())
}

/// Whether the first entry that names the channel has the right.
fn allows(caps: &[Cap], channel: &str, right: &str) -> bool {
    let names =
        |cap: &Cap, name: &str| if cap.wildcard { fits(name.as_bytes(), channel.as_bytes()) } else { name == channel };
    let first = caps.iter().find(|cap| cap.channels.iter().any(|name| names(cap, name)));
    first.is_some_and(|cap| cap.allow.contains(&right))
}

fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match pattern {
        [] => name.is_empty(),
        [b'*', rest @ ..] => (0..=name.len()).any(|skip| fits(rest, &name[skip..])),
        [first, rest @ ..] => name.first() == Some(first) && fits(rest, &name[1..]),
    }
}
