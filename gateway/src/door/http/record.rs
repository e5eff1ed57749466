//! How publications and clients are written: what is JSON as JSON, everything else as base64. Payloads
//! come from other processes, through Redis; one that is not what its namespace says must not break the
//! answer it stands in.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fanfare_proto::api::{ClientInfo, HistoryResult, PresenceResult, Publication, Text};
use serde_json::value::RawValue;

use crate::api::Page;
use crate::config::section::DataFormat;
use crate::model;

pub(super) fn page(page: &Page) -> HistoryResult<'_> {
    HistoryResult {
        publications: page.publications.iter().map(|retained| publication(retained, page.format)).collect(),
        offset: page.top.offset,
        epoch: text(&page.top.epoch),
    }
}

pub(super) fn presence(members: &[model::ClientInfo]) -> PresenceResult<'_> {
    PresenceResult { presence: members.iter().map(|info| (text(&info.client), client(info))).collect() }
}

fn publication(retained: &model::Retained, format: DataFormat) -> Publication<'_> {
    let said = retained.publication();
    let (data, b64data) = match format {
        DataFormat::Json => json_or_base64(&said.data),
        // Also what happens to be JSON: readers find it where they look for it.
        DataFormat::Binary => (None, base64(&said.data)),
    };
    Publication {
        offset: retained.position().offset,
        data,
        b64data,
        info: said.info.as_ref().map(client),
        tags: said.tags.iter().map(|(name, value)| (text(name), text(value))).collect(),
        time: said.time_ms,
    }
}

fn client(info: &model::ClientInfo) -> ClientInfo<'_> {
    let (conn_info, b64conn_info) = optional(&info.connection_info);
    let (chan_info, b64chan_info) = optional(&info.channel_info);
    ClientInfo {
        user: text(info.user.as_str()),
        client: text(&info.client),
        conn_info,
        b64conn_info,
        chan_info,
        b64chan_info,
    }
}

fn optional(bytes: &[u8]) -> (Option<&RawValue>, Option<Text<'_>>) {
    if bytes.is_empty() { (None, None) } else { json_or_base64(bytes) }
}

fn json_or_base64(bytes: &[u8]) -> (Option<&RawValue>, Option<Text<'_>>) {
    match serde_json::from_slice(bytes) {
        Ok(json) => (Some(json), None),
        Err(_) => (None, base64(bytes)),
    }
}

fn base64<'a>(bytes: &[u8]) -> Option<Text<'a>> {
    Some(STANDARD.encode(bytes).into())
}

fn text(text: &str) -> Text<'_> {
    Text(Cow::Borrowed(text))
}
