//! nchan: what is published comes as it is, one message each. The locations are those of
//! bench/peers/parts/nchan/nginx.conf.

use super::{Heard, Message, Opening, Request, Who, Wire};

/// nchan.
#[derive(Clone, Copy, Debug)]
pub struct Nchan;

impl Wire for Nchan {
    fn opening(&self, who: &Who) -> Opening {
        Opening { path: format!("/channel/{}", who.channel), headers: Vec::new() }
    }

    fn begin(&self, _: &Who) -> Vec<Message> {
        Vec::new()
    }

    fn hear(&self, _: &Who, message: &[u8]) -> Heard {
        Heard::Publications(std::iter::once(0..message.len()).collect())
    }

    fn silent(&self) -> bool {
        // nginx upgrades after it has subscribed.
        true
    }

    fn publish(&self, _: &Who, payload: &[u8]) -> Option<Message> {
        Some(Message::Text(payload.to_vec()))
    }

    fn publish_http(&self, channel: &str, payload: &[u8]) -> Option<Request> {
        Some(Request {
            method: "POST",
            path: format!("/publish/{channel}"),
            headers: Vec::new(),
            body: payload.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_subscribed_by_its_path_alone() {
        let who = Who { number: 3, channel: "room".to_owned(), secret: String::new() };
        assert_eq!(Nchan.opening(&who).path, "/channel/room");
        assert!(Nchan.begin(&who).is_empty() && Nchan.silent());
        assert_eq!(Nchan.hear(&who, b"{\"a\":1}"), Heard::Publications(std::iter::once(0..7).collect()));
        assert_eq!(Nchan.publish(&who, b"{}"), Some(Message::Text(b"{}".to_vec())));
    }

    #[test]
    fn a_post_carries_nothing_but_the_payload() {
        let request = Nchan.publish_http("room", b"{}").expect("nchan publishes over HTTP");
        assert_eq!(
            (request.method, request.path.as_str(), request.body.as_slice()),
            ("POST", "/publish/room", b"{}".as_slice())
        );
    }
}
