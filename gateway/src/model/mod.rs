//! The nouns that every part of the gateway shares. Pure values: no serde, no tokio, no async; what a
//! wire calls them is the codecs' business.

pub mod address;
pub mod capability;
pub mod channel;
pub mod close;
pub mod command;
pub mod directive;
pub mod event;
pub mod headers;
pub mod id;
pub mod name_regex;
pub mod network;
pub mod overrides;
pub mod permit;
pub mod publication;
pub mod rate;
pub mod retained;
pub mod seen;
pub mod size;
pub mod time;
pub mod token;
pub mod wire;

pub use address::{Address, ClientAddress};
pub use capability::{Capabilities, Rights};
pub use channel::ChannelName;
pub use close::Close;
pub use directive::{Directive, Renewed};
pub use event::CustomError;
pub use headers::{ClientHeaders, TransportHeaders};
pub use id::{ConnectionId, NodeId, SessionId, UserId};
pub use name_regex::NameRegex;
pub use network::{Network, NotANetwork};
pub use overrides::Overrides;
pub use permit::Permit;
pub use publication::{Change, ClientInfo, Membership, Position, Publication};
pub use retained::Retained;
pub use seen::{Place, Seen};
pub use size::ByteSize;
pub use token::Fingerprint;
pub use token::Token;
