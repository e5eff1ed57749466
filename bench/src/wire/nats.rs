//! NATS over WebSocket: the lines of its TCP protocol in binary messages, one or several in each. A server
//! puts whole lines into a message, so none has to be kept until the next.

use super::{Heard, Message, Opening, Request, Who, Wire};

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"PONG\r\n";

/// NATS, core subjects.
#[derive(Clone, Copy, Debug)]
pub struct Nats;

impl Wire for Nats {
    fn opening(&self, _: &Who) -> Opening {
        Opening { path: "/".to_owned(), headers: Vec::new() }
    }

    fn begin(&self, who: &Who) -> Vec<Message> {
        // The pong comes after the subscription has been made.
        let lines = format!("CONNECT {{\"verbose\":false,\"pedantic\":false}}\r\nSUB {} 1\r\nPING\r\n", who.channel);
        vec![Message::Binary(lines.into_bytes())]
    }

    fn hear(&self, _: &Who, message: &[u8]) -> Heard {
        let mut places = Vec::new();
        let mut heard = Heard::Nothing;
        let mut at = 0;
        while let Some(length) = memchr::memmem::find(&message[at..], b"\r\n") {
            let line = &message[at..at + length];
            at += length + 2;
            if line.starts_with(b"MSG ") {
                let Some(end) = payload_length(line).map(|bytes| at + bytes).filter(|end| *end <= message.len()) else {
                    return Heard::Refused(format!("a broken line: {}", String::from_utf8_lossy(line)));
                };
                places.push(at..end);
                // Its own line end follows the payload.
                at = (end + 2).min(message.len());
            } else if line == b"PONG" {
                heard = Heard::Ready;
            } else if line == b"PING" {
                heard = Heard::Answer(vec![Message::Binary(PONG.to_vec())]);
            } else if line.starts_with(b"-ERR") {
                return Heard::Refused(String::from_utf8_lossy(line).into_owned());
            }
        }
        if places.is_empty() { heard } else { Heard::Publications(places) }
    }

    fn pong(&self, message: &[u8]) -> Option<Message> {
        // The server says so before or after publications; what is between is not searched for it.
        let has_ping = message.starts_with(PING) || message.ends_with(PING);
        has_ping.then(|| Message::Binary(PONG.to_vec()))
    }

    fn publish(&self, who: &Who, payload: &[u8]) -> Option<Message> {
        let line = format!("PUB {} {}\r\n", who.channel, payload.len());
        Some(Message::Binary([line.as_bytes(), payload, b"\r\n"].concat()))
    }

    fn publish_http(&self, _: &str, _: &[u8]) -> Option<Request> {
        None
    }
}

/// The last word of `MSG subject sid [reply] bytes`.
fn payload_length(line: &[u8]) -> Option<usize> {
    std::str::from_utf8(line).ok()?.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        Who { number: 0, channel: "room".to_owned(), secret: String::new() }
    }

    fn places(message: &[u8]) -> Vec<&[u8]> {
        match Nats.hear(&who(), message) {
            Heard::Publications(places) => places.into_iter().map(|place| &message[place]).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_member_is_ready_when_its_ping_is_answered() {
        let info = b"INFO {\"server_id\":\"NC\",\"version\":\"2.9.10\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n";
        assert_eq!(Nats.hear(&who(), info), Heard::Nothing);
        assert_eq!(Nats.hear(&who(), b"PONG\r\n"), Heard::Ready);
        assert_eq!(Nats.hear(&who(), &[info.as_slice(), b"PONG\r\n"].concat()), Heard::Ready);
        let [Message::Binary(lines)] = &Nats.begin(&who())[..] else { panic!("one message") };
        assert!(lines.ends_with(b"SUB room 1\r\nPING\r\n"));
    }

    #[test]
    fn a_ping_is_answered_and_an_error_is_told() {
        assert_eq!(Nats.hear(&who(), b"PING\r\n"), Heard::Answer(vec![Message::Binary(b"PONG\r\n".to_vec())]));
        let error = "-ERR 'Authorization Violation'";
        assert_eq!(Nats.hear(&who(), format!("{error}\r\n").as_bytes()), Heard::Refused(error.to_owned()));
    }

    #[test]
    fn a_ping_beside_publications_is_answered() {
        let publication = b"MSG room 1 2\r\n{}\r\n".as_slice();
        let pong = Some(Message::Binary(PONG.to_vec()));
        assert_eq!(Nats.pong(publication), None);
        assert_eq!(Nats.pong(&[publication, PING].concat()), pong);
        assert_eq!(Nats.pong(&[PING, publication].concat()), pong);
    }

    #[test]
    fn each_publication_of_a_message_is_found() {
        assert_eq!(
            places(b"MSG room 1 7\r\n{\"a\":1}\r\nMSG room 1 answer 2\r\n{}\r\n"),
            [b"{\"a\":1}".as_slice(), b"{}"]
        );
        // A payload may look like a line.
        assert_eq!(places(b"MSG room 1 8\r\nA\r\nMSG \n\r\n"), [b"A\r\nMSG \n"]);
    }

    #[test]
    fn what_is_cut_off_is_no_publication() {
        for message in ["MSG room 1 90\r\n{}\r\n", "MSG room 1 x\r\n{}\r\n"] {
            assert!(matches!(Nats.hear(&who(), message.as_bytes()), Heard::Refused(_)), "{message}");
        }
    }

    #[test]
    fn a_publication_says_how_long_it_is() {
        assert_eq!(Nats.publish(&who(), b"{}"), Some(Message::Binary(b"PUB room 2\r\n{}\r\n".to_vec())));
    }
}
