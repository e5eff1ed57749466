//! Servers without a protocol: what any member sends is told to everybody.

use super::{Heard, Message, Opening, Request, Who, Wire};

/// A room that echoes to all.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Wire for Plain {
    fn opening(&self, _: &Who) -> Opening {
        Opening { path: "/".to_owned(), headers: Vec::new() }
    }

    fn begin(&self, _: &Who) -> Vec<Message> {
        Vec::new()
    }

    fn hear(&self, _: &Who, _: &[u8]) -> Heard {
        Heard::Nothing
    }

    fn silent(&self) -> bool {
        true
    }

    fn publish(&self, _: &Who, payload: &[u8]) -> Option<Message> {
        Some(Message::Text(payload.to_vec()))
    }

    fn publish_http(&self, _: &str, _: &[u8]) -> Option<Request> {
        None
    }
}
