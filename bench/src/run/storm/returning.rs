//! The wire of clients who come back and say what they have: the Centrifuge protocol's recovery.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::wire::{Heard, Message, Opening, Request, Who, Wire};

/// What all clients together have been told of their subscriptions.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Of the channel's stream.
    pub(super) epoch: String,
    /// Clients who have missed nothing for good.
    pub(super) recovered: u64,
}

/// Subscribes as `inner` does, and recovers if there is something to come back to.
pub(super) struct Returning {
    inner: Arc<dyn Wire>,
    /// Where each member left the stream, by its number, and the stream's epoch; none before they did.
    from: Option<(Vec<u32>, String)>,
    told: Mutex<Told>,
}

#[derive(Deserialize)]
struct Reply {
    subscribe: Option<Subscribed>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Subscribed {
    recoverable: bool,
    epoch: String,
    recovered: bool,
}

impl Returning {
    /// Of clients who come for the first time.
    pub(super) fn first(inner: Arc<dyn Wire>) -> Self {
        Self { inner, from: None, told: Mutex::default() }
    }

    /// Of clients who left a stream of this epoch after these publications.
    pub(super) fn back(inner: Arc<dyn Wire>, positions: Vec<u32>, epoch: String) -> Self {
        Self { inner, from: Some((positions, epoch)), told: Mutex::default() }
    }

    pub(super) fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The command that subscribes, with what the client has.
    fn recovering(&self, who: &Who, line: &[u8]) -> Vec<u8> {
        let command = serde_json::from_slice::<Value>(line);
        let (Ok(mut command), Some((positions, epoch))) = (command, &self.from) else { return line.to_vec() };
        if let Some(Value::Object(subscribe)) = command.get_mut("subscribe") {
            subscribe.insert("recover".to_owned(), json!(true));
            subscribe.insert("epoch".to_owned(), json!(epoch));
            subscribe.insert("offset".to_owned(), json!(positions.get(who.number)));
        }
        command.to_string().into_bytes()
    }

    /// Notes what a subscription's reply says; why it will not do, if it does not.
    fn note(&self, subscribed: Subscribed) -> Result<(), String> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !subscribed.recoverable {
            return Err("the channel keeps no history to recover from".to_owned());
        }
        if told.epoch.is_empty() {
            told.epoch = subscribed.epoch;
        } else if told.epoch != subscribed.epoch {
            return Err(format!("the stream's epoch is {} for some and {} for others", told.epoch, subscribed.epoch));
        }
        told.recovered += u64::from(subscribed.recovered);
        Ok(())
    }
}

impl Wire for Returning {
    fn opening(&self, who: &Who) -> Opening {
        self.inner.opening(who)
    }

    fn begin(&self, who: &Who) -> Vec<Message> {
        let with_positions = |message| match message {
            Message::Text(text) => {
                let lines: Vec<_> = text.split(|byte| *byte == b'\n').map(|line| self.recovering(who, line)).collect();
                Message::Text(lines.join(&b'\n'))
            }
            Message::Binary(_) => message,
        };
        self.inner.begin(who).into_iter().map(with_positions).collect()
    }

    fn hear(&self, who: &Who, message: &[u8]) -> Heard {
        let mut ready = false;
        for line in message.split(|byte| *byte == b'\n') {
            if let Ok(Reply { subscribe: Some(subscribed) }) = serde_json::from_slice(line) {
                if let Err(why) = self.note(subscribed) {
                    return Heard::Refused(why);
                }
                ready = true;
            }
        }
        if ready { Heard::Ready } else { self.inner.hear(who, message) }
    }

    fn pong(&self, message: &[u8]) -> Option<Message> {
        self.inner.pong(message)
    }

    fn publish(&self, who: &Who, payload: &[u8]) -> Option<Message> {
        self.inner.publish(who, payload)
    }

    fn publish_http(&self, channel: &str, payload: &[u8]) -> Option<Request> {
        self.inner.publish_http(channel, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire;

    fn who() -> Who {
        Who { number: 1, channel: "kept:storm".to_owned(), secret: "secret".to_owned() }
    }

    fn subscribe(wire: &Returning) -> Value {
        let [Message::Text(sent)] = &wire.begin(&who())[..] else { panic!("one text") };
        let line = sent.split(|byte| *byte == b'\n').nth(1).unwrap();
        serde_json::from_slice::<Value>(line).unwrap()["subscribe"].clone()
    }

    #[test]
    fn who_comes_back_says_what_it_has() {
        let inner = wire::by_name("fanfare").unwrap();
        assert_eq!(subscribe(&Returning::first(inner.clone())), json!({ "channel": "kept:storm" }));
        let back = Returning::back(inner, vec![4, 7], "e".to_owned());
        let expected = json!({ "channel": "kept:storm", "recover": true, "epoch": "e", "offset": 7 });
        assert_eq!(subscribe(&back), expected);
    }

    #[test]
    fn replies_are_counted_and_other_epochs_refused() {
        let wire = Returning::first(wire::by_name("fanfare").unwrap());
        let reply =
            |text: &str| wire.hear(&who(), format!("{{\"id\":1}}\n{{\"id\":2,\"subscribe\":{text}}}").as_bytes());
        assert_eq!(reply(r#"{"recoverable":true,"epoch":"e","recovered":true,"publications":[]}"#), Heard::Ready);
        assert_eq!(reply(r#"{"recoverable":true,"epoch":"e","offset":3}"#), Heard::Ready);
        assert!(matches!(reply(r#"{"recoverable":true,"epoch":"f"}"#), Heard::Refused(_)));
        assert!(matches!(reply("{}"), Heard::Refused(_)));
        assert_eq!((wire.told().epoch.as_str(), wire.told().recovered), ("e", 1));
    }
}
