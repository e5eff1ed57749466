//! The Centrifuge client protocol v2, as it is written: [`json`] and [`protobuf`].
//!
//! | here | what |
//! | --- | --- |
//! | [`schema`] | every message of the protocol, from `schema/client.proto`, for both forms |
//! | [`command`] | a client's command once it is known to be one: an id and exactly one request |
//! | [`reply`] | publications on their way to clients, alone and in answers, borrowed: what must be written fast |
//! | [`delimit`] | how Protobuf messages share a frame |
//!
//! Must not know what commands mean or when they are allowed: that is the gateway's `codec` and
//! `session`. `docs/protocol/centrifuge.md` says what of the protocol is supported.

pub mod command;
pub mod delimit;
pub mod json;
mod masked;
pub mod protobuf;
pub mod reply;

/// The messages, generated from the schema. JSON names are the fields' names.
#[allow(missing_docs, reason = "generated; the schema has the comments")]
#[allow(clippy::all, reason = "generated")]
pub mod schema {
    include!(concat!(env!("OUT_DIR"), "/fanfare.client.rs"));
}

pub use command::{Command, CommandError, Request};
pub use reply::{Answer, ClientInfo, Data, Publication};
