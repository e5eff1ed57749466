//! Everything that others write and we read, each as a function that takes any bytes: it must come back, and
//! what it promises must hold. The crate in `fuzz/` tries bytes by chance (`make fuzz`), and
//! `tests/corpus.rs` those that are kept in `fuzz/corpus`.

use std::sync::LazyLock;

use bytes::Bytes;
use fanfare_proto::claims::{ConnectClaims, SubscribeClaims};
use fanfare_proto::name;
use futures_util::FutureExt;

use crate::auth::{Auth, jwk};
use crate::codec::{Codec, centrifuge};
use crate::config::secret::Secret;
use crate::config::section::auth::Algorithm;
use crate::config::section::{AuthConfig, TokenConfig};
use crate::door;
use crate::model::{ByteSize, ChannelName};
use crate::server::proxy_protocol;
use crate::transport::websocket::inbound::{Fault, Inbound, Item};

/// One kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Also the name of its folder of kept inputs.
    pub name: &'static str,
    /// Panics if a promise is broken.
    pub run: fn(&[u8]),
}

/// All kinds.
pub const TARGETS: &[Target] = &[
    Target { name: "token", run: token },
    Target { name: "jwks", run: jwks },
    Target { name: "claims", run: claims },
    Target { name: "channel", run: channel },
    Target { name: "json", run: json },
    Target { name: "protobuf", run: protobuf },
    Target { name: "api", run: api },
    Target { name: "proxy", run: proxy },
    Target { name: "websocket", run: websocket },
];

/// Nobody who does not know the secret makes a good token.
fn token(bytes: &[u8]) {
    static AUTH: LazyLock<Auth> = LazyLock::new(|| {
        let algorithms = vec![Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512];
        let secret = Some(Secret::new(format!("{:032x}", rand::random::<u128>())));
        let config = TokenConfig { algorithms, hmac_secret: secret, ..TokenConfig::default() };
        Auth::new(&AuthConfig { token: config, ..AuthConfig::default() }).expect("a secret is a good key")
    });
    let Ok(text) = str::from_utf8(bytes) else { return };
    let connection = AUTH.verify_connection(text, 0).now_or_never().expect("its key is here");
    let subscription = AUTH.verify_subscription(text, 0).now_or_never().expect("its key is here");
    assert!(connection.is_err() && subscription.is_err());
}

/// A set is no larger than it may be, and keys of it do not verify what they have not signed.
fn jwks(bytes: &[u8]) {
    // Both read the same bytes; a key is no set, and a set is no key.
    let key = jwk::parse_key(bytes);
    if let Ok(set) = jwk::parse_set(bytes) {
        assert!(key.is_err() && set.keys.len() + set.skipped.len() <= jwk::KEYS_MAX);
    }
}

/// What claims hold for clients is on one line.
fn claims(bytes: &[u8]) {
    let one_line = |payload: &Bytes| assert!(!payload.contains(&b'\n'));
    if let Ok(claims) = ConnectClaims::parse(bytes) {
        [&claims.info, &claims.meta].into_iter().for_each(one_line);
        claims.subs.values().for_each(|options| one_line(&options.info));
        claims.subs.values().for_each(|options| one_line(&options.data));
    }
    if let Ok(claims) = SubscribeClaims::parse(bytes) {
        [&claims.options.info, &claims.options.data].into_iter().for_each(one_line);
        assert!(!claims.channel.is_empty());
    }
}

/// A name that was good once stays good and whole.
fn channel(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(channel) = ChannelName::parse(text) {
        assert_eq!(channel.as_str(), text);
        let namespace = name::namespace(text);
        assert!(namespace.is_none_or(|namespace| text.contains(&format!("{namespace}:"))));
    }
}

/// A message in JSON.
fn json(bytes: &[u8]) {
    decode(&centrifuge::Json, bytes);
}

/// A message in Protobuf.
fn protobuf(bytes: &[u8]) {
    decode(&centrifuge::Protobuf, bytes);
}

/// Every command that has to be answered has an id.
fn decode(codec: &dyn Codec, bytes: &[u8]) {
    use crate::model::command::Ask;
    let decoded = codec.decode(Bytes::copy_from_slice(bytes));
    for command in &decoded.commands {
        assert!(command.id != 0 || matches!(command.ask, Ask::Send { .. } | Ask::Pong), "{command:?}");
    }
}

/// A body of the server API, as a call of each method.
fn api(bytes: &[u8]) {
    const METHODS: [&str; 14] = [
        "publish",
        "broadcast",
        "subscribe",
        "unsubscribe",
        "disconnect",
        "refresh",
        "history",
        "history_remove",
        "presence",
        "presence_stats",
        "info",
        "channels",
        "batch",
        "rpc",
    ];
    let body = Bytes::copy_from_slice(bytes);
    for method in METHODS.map(Some).into_iter().chain([None]) {
        door::http::is_call(method, &body);
    }
}

/// Where a header ends does not depend on what is behind it, nor on how it comes.
fn proxy(bytes: &[u8]) {
    let Ok(Some(header)) = proxy_protocol::parse(bytes) else { return };
    assert!(header.size <= bytes.len() && header.size <= proxy_protocol::HEADER_MAX);
    assert_eq!(proxy_protocol::parse(&bytes[..header.size]), Ok(Some(header)));
    for end in 0..header.size {
        assert_eq!(proxy_protocol::parse(&bytes[..end]), Ok(None), "{end} of {bytes:?}");
    }
}

/// What frames say does not depend on how they come: the first byte says in which pieces.
fn websocket(bytes: &[u8]) {
    let Some((step, bytes)) = bytes.split_first() else { return };
    let at_once = items([bytes].into_iter());
    let in_pieces = items(bytes.chunks(usize::from(*step) + 1));
    assert_eq!(at_once, in_pieces);
}

/// The items of a stream until it ends or breaks the rules.
fn items<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Item>, Option<Fault>) {
    const MESSAGE_MAX: ByteSize = ByteSize::kib(1);
    let mut inbound = Inbound::new(MESSAGE_MAX, &[]);
    let mut items = Vec::new();
    for piece in pieces {
        let mut next = inbound.receive(piece);
        loop {
            match next {
                Ok(Some(Item::Close(answer))) => {
                    items.push(Item::Close(answer));
                    return (items, None);
                }
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(fault) => return (items, Some(fault)),
            }
            next = inbound.next();
        }
    }
    (items, None)
}
