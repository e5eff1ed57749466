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
/// The id of every publication over the WebSocket: nobody tells their replies apart.
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

    fn pong(&self, message: &[u8]) -> Option<Message> {
        let has_ping = message.ends_with(b"\n{}") || message.starts_with(b"{}\n");
        has_ping.then(|| text("{}".to_owned()))
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

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECTED: &str = r#"{"id":1,"connect":{"client":"6624ea45","version":"6.2.4 OSS","ping":25,"pong":true}}"#;
    const SUBSCRIBED: &str = r#"{"id":2,"subscribe":{}}"#;

    fn centrifugo() -> Centrifugo {
        Centrifugo { api_key: "key".to_owned() }
    }

    fn who() -> Who {
        Who { number: 7, channel: "room".to_owned(), secret: "secret".to_owned() }
    }

    fn hear(message: &str) -> Heard {
        centrifugo().hear(&who(), message.as_bytes())
    }

    #[test]
    fn both_commands_go_at_once_with_a_token() {
        let [Message::Text(sent)] = &centrifugo().begin(&who())[..] else { panic!("one text") };
        let lines: Vec<serde_json::Value> =
            sent.split(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).expect("JSON")).collect();
        let token = token::hs256("secret", &json!({ "sub": "7" }));
        assert_eq!(lines[0], json!({ "id": 1, "connect": { "token": token } }));
        assert_eq!(lines[1], json!({ "id": 2, "subscribe": { "channel": "room" } }));
    }

    #[test]
    fn a_member_is_ready_when_its_subscription_is_confirmed() {
        assert_eq!(hear(&format!("{CONNECTED}\n{SUBSCRIBED}")), Heard::Ready);
        assert_eq!(hear(CONNECTED), Heard::Nothing);
        assert_eq!(hear(SUBSCRIBED), Heard::Ready);
        assert_eq!(hear(r#"{"id":3,"publish":{}}"#), Heard::Nothing);
        assert_eq!(hear("{}"), Heard::Answer(vec![text("{}".to_owned())]));
    }

    #[test]
    fn an_error_is_a_refusal() {
        let refused = hear(r#"{"id":2,"error":{"code":103,"message":"permission denied"}}"#);
        assert_eq!(refused, Heard::Refused(r#"{"code":103,"message":"permission denied"}"#.to_owned()));
        assert!(matches!(hear("HTTP/1.1 400"), Heard::Refused(_)));
    }

    #[test]
    fn each_publication_of_a_message_is_found() {
        let push = |data: &str| {
            format!(
                r#"{{"push":{{"channel":"room","pub":{{"data":{data},"info":{{"user":"7","client":"6624ea45"}}}}}}}}"#
            )
        };
        let message = [push(r#"{"a":1}"#), r#"{"id":3,"publish":{}}"#.to_owned(), push("\"b\"")].join("\n");
        let Heard::Publications(places) = hear(&message) else { panic!("not heard") };
        assert_eq!(places.into_iter().map(|place| &message[place]).collect::<Vec<_>>(), [r#"{"a":1}"#, "\"b\""]);
    }

    #[test]
    fn a_ping_beside_publications_is_answered() {
        let push = r#"{"push":{"channel":"room","pub":{"data":{}}}}"#;
        let pong = Some(text("{}".to_owned()));
        assert_eq!(centrifugo().pong(push.as_bytes()), None);
        assert_eq!(centrifugo().pong(format!("{push}\n{{}}").as_bytes()), pong);
        assert_eq!(centrifugo().pong(format!("{{}}\n{push}").as_bytes()), pong);
    }

    #[test]
    fn publications_carry_the_payload_as_json() {
        let Some(Message::Text(sent)) = centrifugo().publish(&who(), b"[1]") else { panic!("one text") };
        let sent: serde_json::Value = serde_json::from_slice(&sent).expect("JSON");
        assert_eq!(sent, json!({ "id": 3, "publish": { "channel": "room", "data": [1] } }));
        let request = centrifugo().publish_http("room", b"[1]").expect("an API over HTTP");
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!((request.path.as_str(), body), ("/api/publish", json!({ "channel": "room", "data": [1] })));
        assert!(request.headers.contains(&("X-API-Key".to_owned(), "key".to_owned())));
    }
}
