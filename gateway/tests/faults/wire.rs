//! What a server says in the Centrifuge protocol, in JSON, as far as the clients of these runs listen.

use serde::Deserialize;
use serde_json::value::RawValue;

/// One line from the server. Fields that are not there are zero, as the protocol has it.
#[derive(Debug, Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(default)]
    pub(crate) id: u64,
    pub(crate) error: Option<Refusal>,
    #[serde(borrow)]
    pub(crate) subscribe: Option<Subscribed<'a>>,
    #[serde(borrow)]
    pub(crate) push: Option<Push<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: u32,
    #[serde(default)]
    pub(crate) message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Subscribed<'a> {
    pub(crate) epoch: String,
    pub(crate) offset: u64,
    pub(crate) positioned: bool,
    pub(crate) recoverable: bool,
    pub(crate) recovered: bool,
    pub(crate) was_recovering: bool,
    #[serde(borrow)]
    pub(crate) publications: Vec<Publication<'a>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Push<'a> {
    #[serde(default)]
    pub(crate) channel: String,
    #[serde(borrow, rename = "pub")]
    pub(crate) publication: Option<Publication<'a>>,
    pub(crate) unsubscribe: Option<Unsubscribed>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Publication<'a> {
    #[serde(borrow)]
    pub(crate) data: &'a RawValue,
    #[serde(default)]
    pub(crate) offset: u64,
    #[serde(default)]
    pub(crate) epoch: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Unsubscribed {
    #[serde(default)]
    pub(crate) code: u32,
    #[serde(default)]
    pub(crate) reason: String,
}
