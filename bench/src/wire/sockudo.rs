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
        let query = self.sign(&path, &body);
        Some(Request {
            method: "POST",
            path: format!("{path}?{query}"),
            headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
            body,
        })
    }
}

impl Sockudo {
    /// The query of a POST, with its signature at the end; the names stand in the order that is signed.
    fn sign(&self, path: &str, body: &[u8]) -> String {
        let digest = hex(&Md5::digest(body));
        let query = format!("auth_key={APP}&auth_timestamp={}&auth_version=1.0&body_md5={digest}", (self.now_s)());
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let signature = hmac::sign(&key, format!("POST\n{path}\n{query}").as_bytes());
        format!("{query}&auth_signature={}", hex(signature.as_ref()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(event: &serde_json::Value) -> Heard {
    Heard::Answer(vec![Message::Text(event.to_string().into_bytes())])
}
