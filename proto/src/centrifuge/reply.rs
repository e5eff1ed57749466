//! What is told often or to many: publications, and the answers that hold them. A publication is written
//! once for each form in use and node, however many clients read it; an answer to each client that
//! recovers holds a thousand of them, written before. So all are borrowed, and [`super::json`] and
//! [`super::protobuf`] write them by hand, to the same bytes as the generated code would.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::schema;

/// One publication for the subscribers of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// What was said.
    pub data: Data<'a>,
    /// Who said it; none if a backend did.
    pub info: Option<ClientInfo<'a>>,
    /// The place in the channel's stream; 0 without history.
    pub offset: u64,
    /// The application's labels.
    pub tags: &'a BTreeMap<String, String>,
    /// In milliseconds since 1970; 0 if unknown.
    pub time: i64,
    /// The stream's epoch, where the client has to be told; else empty.
    pub epoch: &'a str,
}

/// A payload, in one of the forms that it can have on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// As it is. In JSON one JSON value on one line ([`crate::data`]).
    Plain(&'a [u8]),
    /// The same for subscriptions that have agreed to patches. In JSON a string: the client wants the
    /// bytes that the next patch is for.
    Whole(&'a [u8]),
    /// A patch ([`crate::fossil`]) to the payload that the subscription got before. In JSON a string, so
    /// it must be UTF-8.
    Patch(&'a [u8]),
}

/// A client, as others see it.
#[derive(Clone, Copy, Debug)]
pub struct ClientInfo<'a> {
    /// The user; empty for anonymous.
    pub user: &'a str,
    /// The connection.
    pub client: &'a str,
    /// From the connection's token; one JSON value on one line, or empty.
    pub conn_info: &'a [u8],
    /// From the subscription's token; the same.
    pub chan_info: &'a [u8],
}

/// Answers that may hold publications.
#[derive(Clone, Debug)]
pub enum Answer<'a> {
    /// To connect.
    Connect(Box<Connected<'a>>),
    /// To subscribe.
    Subscribe(Subscribed<'a>),
    /// To history.
    History(History<'a>),
}

/// The answer to connect. Fields are the schema's.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the schema says what each field is")]
pub struct Connected<'a> {
    pub client: String,
    pub version: &'a str,
    pub expires: bool,
    pub ttl: u32,
    pub data: Bytes,
    pub subs: BTreeMap<&'a str, Subscribed<'a>>,
    pub ping: u32,
    pub pong: bool,
    pub session: String,
    pub node: String,
    pub time: i64,
}

/// How a subscription begins. Fields are the schema's; publications are written already, by
/// [`super::json::listed`] or [`super::protobuf::listed`].
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the schema says what each field is")]
pub struct Subscribed<'a> {
    pub expires: bool,
    pub ttl: u32,
    pub recoverable: bool,
    pub epoch: &'a str,
    pub publications: Vec<&'a [u8]>,
    pub recovered: bool,
    pub offset: u64,
    pub positioned: bool,
    pub data: Bytes,
    pub was_recovering: bool,
    pub delta: bool,
}

/// A part of a channel's stream; publications as in [`Subscribed`].
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the schema says what each field is")]
pub struct History<'a> {
    pub publications: Vec<&'a [u8]>,
    pub epoch: &'a str,
    pub offset: u64,
}

impl<'a> Data<'a> {
    /// The payload's or patch's bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Plain(bytes) | Self::Whole(bytes) | Self::Patch(bytes) => bytes,
        }
    }

    /// Whether they are a patch.
    #[must_use]
    pub fn is_patch(&self) -> bool {
        matches!(self, Self::Patch(_))
    }
}

/// The slow road, by which tests judge the fast one. In JSON, strings are up to the caller.
impl From<&Publication<'_>> for schema::Publication {
    fn from(publication: &Publication<'_>) -> Self {
        let info = publication.info.map(|info| schema::ClientInfo {
            user: info.user.to_owned(),
            client: info.client.to_owned(),
            conn_info: Bytes::copy_from_slice(info.conn_info),
            chan_info: Bytes::copy_from_slice(info.chan_info),
        });
        Self {
            data: Bytes::copy_from_slice(publication.data.bytes()),
            info,
            offset: publication.offset,
            tags: publication.tags.clone(),
            delta: publication.data.is_patch(),
            time: publication.time,
            epoch: publication.epoch.to_owned(),
            ..Self::default()
        }
    }
}
