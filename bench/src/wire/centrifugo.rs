//! Centrifugo: the Centrifuge protocol in JSON, one or several replies in a message, a line each.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Heard, Message, Opening, Request, Who, Wire, token, within};

/// Centrifugo 5 and later.
#[derive(Clone, Debug)]
pub struct Centrifugo {
    /// Of the HTTP API.
    pub api_key: String,
}

/// The id of the command that subscribes: its reply is the last of the handshake.
const SUBSCRIBE: u32 = 2;
/// The id of a publication over the WebSocket: all the same, nobody waits for a certain one.
const PUBLISH: u32 = 3;

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(default)]
    id: u32,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    push: Option<Push<'a>>,
    #[serde(borrow)]
    connect: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Push<'a> {
    #[serde(borrow, rename = "pub")]
    publication: Option<Publication<'a>>,
}

#[derive(Deserialize)]
struct Publication<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Wire for Centrifugo {
    fn opening(&self, _: &Who) -> Opening {
        Opening { path: "/connection/websocket".to_owned(), headers: Vec::new() }
    }

    fn begin(&self, who: &Who) -> Vec<Message> {
        let token = token::hs256(&who.secret, &json!({ "sub": who.number.to_string() }));
        let connect = json!({ "id": 1, "connect": { "token": token } });
        let subscribe = json!({ "id": SUBSCRIBE, "subscribe": { "channel": who.channel } });
        vec![text(format!("{connect}\n{subscribe}"))]
    }

    fn hear(&self, _: &Who, message: &[u8]) -> Heard {
        let mut places = Vec::new();
        let mut heard = Heard::Nothing;
        for line in message.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if line == b"{}" {
                heard = Heard::Answer(vec![text("{}".to_owned())]);
                continue;
            }
            let Ok(reply) = serde_json::from_slice::<Reply<'_>>(line) else {
                return Heard::Refused(format!("no reply: {}", String::from_utf8_lossy(line)));
            };
            if let Some(error) = reply.error {
                return Heard::Refused(error.get().to_owned());
            }
            if let Some(publication) = reply.push.and_then(|push| push.publication) {
                places.extend(within::place(message, publication.data.get()));
            } else if reply.id == SUBSCRIBE && reply.connect.is_none() {
                heard = Heard::Ready;
            }
        }
        if places.is_empty() { heard } else { Heard::Publications(places) }
    }

    fn publish(&self, who: &Who, payload: &[u8]) -> Option<Message> {
        let head = format!(r#"{{"id":{PUBLISH},"publish":{{"channel":"{}","data":"#, who.channel);
        Some(Message::Text([head.as_bytes(), payload, b"}}"].concat()))
    }

    fn publish_http(&self, channel: &str, payload: &[u8]) -> Option<Request> {
        let head = format!(r#"{{"channel":"{channel}","data":"#);
        Some(Request {
            method: "POST",
            path: "/api/publish".to_owned(),
            headers: vec![
                ("Content-Type".to_owned(), "application/json".to_owned()),
                ("X-API-Key".to_owned(), self.api_key.clone()),
            ],
            body: [head.as_bytes(), payload, b"}"].concat(),
        })
    }
}

fn text(text: String) -> Message {
    Message::Text(text.into_bytes())
}
