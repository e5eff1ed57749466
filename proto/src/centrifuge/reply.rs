//! A publication on its way to clients. It is written once for each form in use and node, however many
//! clients read it, and it is what a busy gateway writes most: so it is borrowed, and [`super::json`] and
//! [`super::protobuf`] write it by hand, to the same bytes as the generated code would.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::schema;

/// One publication for the subscribers of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// Where it was said.
    pub channel: &'a str,
    /// What was said. In the JSON form one JSON value on one line ([`crate::data`]).
    pub data: &'a [u8],
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

/// The slow road, by which tests judge the fast one.
impl From<&Publication<'_>> for schema::Reply {
    fn from(publication: &Publication<'_>) -> Self {
        let info = publication.info.map(|info| schema::ClientInfo {
            user: info.user.to_owned(),
            client: info.client.to_owned(),
            conn_info: Bytes::copy_from_slice(info.conn_info),
            chan_info: Bytes::copy_from_slice(info.chan_info),
        });
        let message = schema::Publication {
            data: Bytes::copy_from_slice(publication.data),
            info,
            offset: publication.offset,
            tags: publication.tags.clone(),
            time: publication.time,
            epoch: publication.epoch.to_owned(),
            ..schema::Publication::default()
        };
        let push =
            schema::Push { channel: publication.channel.to_owned(), r#pub: Some(message), ..schema::Push::default() };
        Self { push: Some(push), ..Self::default() }
    }
}
