//! Socket.IO 5 over Engine.IO 4, WebSocket only: packets are text with a type digit for each of the two.
//! The channel goes with the handshake, and bench/peers/parts/socketio joins the room of that name.

use serde_json::json;

use super::{Heard, Message, Opening, Request, Who, Wire};

/// What the event is called on both ways.
const EVENT: &[u8] = br#"42["message","#;

/// Socket.IO.
#[derive(Clone, Copy, Debug)]
pub struct SocketIo;

impl Wire for SocketIo {
    fn opening(&self, _: &Who) -> Opening {
        Opening { path: "/socket.io/?EIO=4&transport=websocket".to_owned(), headers: Vec::new() }
    }

    fn begin(&self, _: &Who) -> Vec<Message> {
        // The server has the first word.
        Vec::new()
    }

    fn hear(&self, who: &Who, message: &[u8]) -> Heard {
        match message {
            [b'0', ..] => answer(format!("40{}", json!({ "channel": who.channel }))),
            [b'2', ..] => answer("3".to_owned()),
            [b'4', b'0', ..] => Heard::Ready,
            [b'4', b'1' | b'4', ..] | [b'1', ..] => Heard::Refused(String::from_utf8_lossy(message).into_owned()),
            _ if message.starts_with(EVENT) && message.ends_with(b"]") => {
                Heard::Publications(std::iter::once(EVENT.len()..message.len() - 1).collect())
            }
            _ => Heard::Nothing,
        }
    }

    fn publish(&self, _: &Who, payload: &[u8]) -> Option<Message> {
        Some(Message::Text([EVENT, payload, b"]"].concat()))
    }

    fn publish_http(&self, _: &str, _: &[u8]) -> Option<Request> {
        None
    }
}

fn answer(text: String) -> Heard {
    Heard::Answer(vec![Message::Text(text.into_bytes())])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        Who { number: 0, channel: "room".to_owned(), secret: String::new() }
    }

    fn hear(message: &str) -> Heard {
        SocketIo.hear(&who(), message.as_bytes())
    }

    #[test]
    fn a_connection_names_its_channel_and_is_ready_when_the_namespace_is() {
        let open = r#"0{"sid":"a-DvBhTecDWgVG5CAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#;
        assert_eq!(hear(open), Heard::Answer(vec![Message::Text(br#"40{"channel":"room"}"#.to_vec())]));
        assert_eq!(hear(r#"40{"sid":"pJrxhWDO9Gys4scGAAAA"}"#), Heard::Ready);
        assert_eq!(hear("2"), Heard::Answer(vec![Message::Text(b"3".to_vec())]));
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let refusal = r#"44{"message":"Invalid namespace"}"#;
        assert_eq!(hear(refusal), Heard::Refused(refusal.to_owned()));
        assert_eq!(hear("41"), Heard::Refused("41".to_owned()));
    }

    #[test]
    fn what_is_published_is_what_comes_back() {
        let payload = br##"{"marker":"#0000000007.0000000000000000009#"}"##;
        let Some(Message::Text(sent)) = SocketIo.publish(&who(), payload) else { panic!("no publication") };
        let Heard::Publications(places) = SocketIo.hear(&who(), &sent) else { panic!("not heard") };
        assert_eq!(places.into_iter().map(|place| &sent[place]).collect::<Vec<_>>(), [payload]);
        assert_eq!(hear(r#"42["other",1]"#), Heard::Nothing);
    }
}
