//! Members with many channels each, on servers that speak Centrifugo's protocol: so a hundred thousand channels
//! have a listener, and there are not as many connections.

use serde_json::json;

use super::centrifugo::Centrifugo;
use super::{Heard, Message, Opening, Request, Who, Wire};

/// A member subscribes to its channel, which is called as with any other wire, and to more of that name with a
/// number behind it.
#[derive(Clone, Debug)]
pub struct Many {
    /// What all else is done by.
    pub wire: Centrifugo,
    /// Channels of each member, at least 1.
    pub each: usize,
}

/// The id of the first command beyond those of the wire.
const FIRST: usize = 100;

impl Many {
    /// The id of the last command of the handshake, if there are more than the wire's own.
    fn last(&self) -> Option<usize> {
        (self.each > 1).then(|| FIRST + self.each - 2)
    }
}

impl Wire for Many {
    fn opening(&self, who: &Who) -> Opening {
        self.wire.opening(who)
    }

    fn begin(&self, who: &Who) -> Vec<Message> {
        let mut messages = self.wire.begin(who);
        let subscribe = |number: usize| {
            let channel = format!("{}-{number}", who.channel);
            json!({ "id": FIRST + number - 1, "subscribe": { "channel": channel } }).to_string()
        };
        let lines: Vec<String> = (1..self.each).map(subscribe).collect();
        if !lines.is_empty() {
            messages.push(Message::Text(lines.join("\n").into_bytes()));
        }
        messages
    }

    fn hear(&self, who: &Who, message: &[u8]) -> Heard {
        let heard = self.wire.hear(who, message);
        match (self.last(), heard) {
            (Some(last), Heard::Ready | Heard::Nothing) => {
                let reply = format!(r#"{{"id":{last},"#);
                let is_last = message.windows(reply.len()).any(|window| window == reply.as_bytes());
                if is_last { Heard::Ready } else { Heard::Nothing }
            }
            (_, heard) => heard,
        }
    }

    fn pong(&self, message: &[u8]) -> Option<Message> {
        self.wire.pong(message)
    }

    fn publish(&self, who: &Who, payload: &[u8]) -> Option<Message> {
        self.wire.publish(who, payload)
    }

    fn publish_http(&self, channel: &str, payload: &[u8]) -> Option<Request> {
        self.wire.publish_http(channel, payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(each: usize) -> Many {
        Many { wire: Centrifugo { api_key: "key".to_owned() }, each }
    }

    fn who() -> Who {
        Who { number: 7, channel: "other".to_owned(), secret: "secret".to_owned() }
    }

    fn sent(each: usize) -> String {
        let texts = many(each).begin(&who()).into_iter().map(|message| match message {
            Message::Text(text) => String::from_utf8(text).unwrap(),
            Message::Binary(_) => panic!("the protocol is text"),
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_channel_is_asked_for_once() {
        let sent = sent(3);
        let asked: Vec<&str> = sent.lines().filter(|line| line.contains("subscribe")).collect();
        assert_eq!(asked.len(), 3);
        assert!(
            asked[0].contains(r#""other""#) && asked[1].contains(r#""other-1""#) && asked[2].contains(r#""other-2""#)
        );
        assert_eq!(many(1).begin(&who()), many(1).wire.begin(&who()));
    }

    #[test]
    fn ready_is_who_has_all_of_them() {
        let hear = |each: usize, message: &str| many(each).hear(&who(), message.as_bytes());
        assert_eq!(hear(1, r#"{"id":2,"subscribe":{}}"#), Heard::Ready);
        assert_eq!(hear(3, r#"{"id":2,"subscribe":{}}"#), Heard::Nothing);
        assert_eq!(hear(3, "{\"id\":2,\"subscribe\":{}}\n{\"id\":100,\"subscribe\":{}}"), Heard::Nothing);
        assert_eq!(hear(3, "{\"id\":100,\"subscribe\":{}}\n{\"id\":101,\"subscribe\":{}}"), Heard::Ready);
        assert!(matches!(hear(3, r#"{"id":101,"error":{"code":106}}"#), Heard::Refused(_)));
    }
}
