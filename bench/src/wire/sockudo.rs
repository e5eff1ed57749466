//! Sockudo: the Pusher protocol, version 7, on a public channel. Clients may publish on private channels only
//! and do not hear themselves there, so publications come over the signed HTTP API.

use aws_lc_rs::hmac;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::{Heard, Message, Opening, Request, Who, Wire, within};

/// The application's id and key, as bench/peers/sockudo configures them.
const APP: &str = "bench";
/// What the event is called.
const EVENT: &str = "message";

/// Sockudo.
#[derive(Clone, Debug)]
pub struct Sockudo {
    /// Signs publications.
    pub secret: String,
    /// Seconds since 1970: a signature is good for ten minutes.
    pub now_s: fn() -> u64,
}

#[derive(Deserialize)]
struct Event<'a> {
    event: &'a str,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Wire for Sockudo {
    fn opening(&self, _: &Who) -> Opening {
        Opening { path: format!("/app/{APP}?protocol=7&client=fanfare-bench&version=1.0"), headers: Vec::new() }
    }

    fn begin(&self, _: &Who) -> Vec<Message> {
        // The server has the first word.
        Vec::new()
    }

    fn hear(&self, who: &Who, message: &[u8]) -> Heard {
        let Ok(event) = serde_json::from_slice::<Event<'_>>(message) else {
            return Heard::Refused(format!("no event: {}", String::from_utf8_lossy(message)));
        };
        match event.event {
            "pusher:connection_established" => {
                answer(&json!({ "event": "pusher:subscribe", "data": { "channel": who.channel } }))
            }
            "pusher_internal:subscription_succeeded" => Heard::Ready,
            "pusher:ping" => answer(&json!({ "event": "pusher:pong", "data": {} })),
            "pusher:error" | "pusher:subscription_error" => {
                Heard::Refused(String::from_utf8_lossy(message).into_owned())
            }
            EVENT => Heard::Publications(
                event.data.and_then(|data| within::place(message, data.get())).into_iter().collect(),
            ),
            _ => Heard::Nothing,
        }
    }

    fn publish(&self, _: &Who, _: &[u8]) -> Option<Message> {
        None
    }

    fn publish_http(&self, channel: &str, payload: &[u8]) -> Option<Request> {
        // Data is a string, as the protocol has it: JSON in JSON.
        let data = String::from_utf8_lossy(payload);
        let body = json!({ "name": EVENT, "channel": channel, "data": data }).to_string().into_bytes();
        let path = format!("/apps/{APP}/events");
        let query = signed(APP, &self.secret, (self.now_s)(), &path, &body);
        Some(Request {
            method: "POST",
            path: format!("{path}?{query}"),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body,
        })
    }
}

/// The query of a POST, with its signature at the end; the names stand in the order that is signed.
fn signed(key: &str, secret: &str, now_s: u64, path: &str, body: &[u8]) -> String {
    let digest = hex(&Md5::digest(body));
    let query = format!("auth_key={key}&auth_timestamp={now_s}&auth_version=1.0&body_md5={digest}");
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&secret, format!("POST\n{path}\n{query}").as_bytes());
    format!("{query}&auth_signature={}", hex(signature.as_ref()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(event: &serde_json::Value) -> Heard {
    Heard::Answer(vec![Message::Text(event.to_string().into_bytes())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockudo() -> Sockudo {
        Sockudo { secret: "secret".to_owned(), now_s: || 1_353_088_179 }
    }

    fn hear(message: &str) -> Heard {
        let who = Who { number: 0, channel: "room".to_owned(), secret: String::new() };
        sockudo().hear(&who, message.as_bytes())
    }

    #[test]
    fn a_connection_subscribes_and_is_ready_when_that_is_confirmed() {
        let established =
            r#"{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}"#;
        let Heard::Answer(answer) = hear(established) else { panic!("no answer") };
        let [Message::Text(answer)] = &answer[..] else { panic!("one text") };
        let answer: serde_json::Value = serde_json::from_slice(answer).expect("JSON");
        assert_eq!(answer, json!({ "event": "pusher:subscribe", "data": { "channel": "room" } }));
        let succeeded = r#"{"event":"pusher_internal:subscription_succeeded","channel":"room","data":"{}"}"#;
        assert_eq!(hear(succeeded), Heard::Ready);
        let error = r#"{"event":"pusher:error","data":{"code":4001,"message":"App does not exist"}}"#;
        assert_eq!(hear(error), Heard::Refused(error.to_owned()));
    }

    #[test]
    fn a_publication_is_where_its_data_is() {
        let message = r##"{"channel":"room","event":"message","data":"{\"marker\":\"#7.9#\"}"}"##;
        let Heard::Publications(places) = hear(message) else { panic!("not heard") };
        assert_eq!(
            places.into_iter().map(|place| &message[place]).collect::<Vec<_>>(),
            [r##""{\"marker\":\"#7.9#\"}""##]
        );
    }

    /// The worked example of Pusher's documentation of its API.
    #[test]
    fn a_post_is_signed_as_pusher_signs_it() {
        let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let query = signed("278d425bdf160c739803", "7ad3773142a6692b25b8", 1_353_088_179, "/apps/3/events", body);
        assert!(query.contains("body_md5=ec365a775a4cd0599faeb73354201b6f"), "{query}");
        assert!(query.ends_with("=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"), "{query}");
    }

    #[test]
    fn a_publication_is_json_in_json() {
        let request = sockudo().publish_http("room", br#"{"a":1}"#).expect("an API over HTTP");
        assert!(request.path.starts_with("/apps/bench/events?auth_key=bench&auth_timestamp=1353088179&"));
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body, json!({ "name": "message", "channel": "room", "data": r#"{"a":1}"# }));
    }
}
