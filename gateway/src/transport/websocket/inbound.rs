//! Bytes from the socket to messages. No I/O: bytes go in, messages and words of the protocol come out.
//! Keeps nothing of its own while no frame is half here.

use bytes::Bytes;

use super::frame::{self, BadHead, Head, Opcode};
use crate::model::ByteSize;
use crate::model::wire::Frame;

/// What came from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Message(Frame),
    /// The client wants a pong: this one, as bytes.
    Ping(Bytes),
    /// The client says goodbye and waits for this answer, as bytes.
    Close(Bytes),
}

/// How a client broke the protocol: the close codes of RFC 6455, 7.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Protocol,
    NotUtf8,
    TooBig,
}

impl From<BadHead> for Fault {
    fn from(_: BadHead) -> Self {
        Self::Protocol
    }
}

/// Puts messages together.
#[derive(Debug)]
pub(crate) struct Inbound {
    /// Bytes that came and were not read yet, from `at` on.
    pending: Vec<u8>,
    at: usize,
    /// What has come of a message in fragments.
    begun: Option<Box<Begun>>,
    message_max: usize,
}

#[derive(Debug)]
struct Begun {
    opcode: Opcode,
    bytes: Vec<u8>,
    /// So many of them are known to be whole characters, if they are text.
    checked: usize,
}

impl Begun {
    fn new(opcode: Opcode, bytes: Vec<u8>) -> Result<Self, Fault> {
        let mut begun = Self { opcode, bytes, checked: 0 };
        begun.check().map(|()| begun)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.bytes.extend_from_slice(bytes);
        self.check()
    }

    /// What can no longer become text ends here, and is not waited for. A character may be cut by the end.
    fn check(&mut self) -> Result<(), Fault> {
        if self.opcode != Opcode::Text {
            return Ok(());
        }
        match std::str::from_utf8(&self.bytes[self.checked..]) {
            Ok(text) => self.checked += text.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(Fault::NotUtf8),
        }
        Ok(())
    }
}

impl Inbound {
    /// Takes messages of up to `message_max` bytes; `early` came before anybody asked.
    pub(crate) fn new(message_max: ByteSize, early: &[u8]) -> Self {
        Self { pending: early.to_vec(), at: 0, begun: None, message_max: message_max.bytes() }
    }

    /// The next item of what has come already; none if more has to come first.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, Fault> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let mut pending = std::mem::take(&mut self.pending);
        let mut rest = &pending[self.at..];
        let item = self.take(&mut rest)?;
        self.at = pending.len() - rest.len();
        if self.at < pending.len() {
            if item.is_none() {
                pending.drain(..self.at);
                self.at = 0;
            }
            self.pending = pending;
        } else {
            self.at = 0;
        }
        Ok(item)
    }

    /// Takes what has just come, after [`Inbound::next`] had nothing; answers the first item of it.
    pub(crate) fn receive(&mut self, fresh: &[u8]) -> Result<Option<Item>, Fault> {
        if !self.pending.is_empty() {
            self.pending.extend_from_slice(fresh);
            return self.next();
        }
        let mut rest = fresh;
        let item = self.take(&mut rest)?;
        if !rest.is_empty() {
            self.pending.extend_from_slice(rest);
        }
        Ok(item)
    }

    /// The first item of `input`, which is moved behind it; none if it is not all here.
    fn take(&mut self, input: &mut &[u8]) -> Result<Option<Item>, Fault> {
        loop {
            let Some(head) = Head::parse(input)? else { return Ok(None) };
            let begun = self.begun.as_ref().map_or(0, |begun| begun.bytes.len());
            let room = if head.opcode.is_control() { self.message_max } else { self.message_max - begun };
            // Before it is here: what is too long is not waited for.
            let len = usize::try_from(head.len).ok().filter(|len| *len <= room).ok_or(Fault::TooBig)?;
            let Some(masked) = input.get(head.size..head.size + len) else { return Ok(None) };
            *input = &input[head.size + len..];
            let mut payload = masked.to_vec();
            frame::unmask(&mut payload, head.mask);
            if let Some(item) = self.frame(head, payload)? {
                return Ok(Some(item));
            }
        }
    }

    fn frame(&mut self, head: Head, payload: Vec<u8>) -> Result<Option<Item>, Fault> {
        match head.opcode {
            Opcode::Ping => Ok(Some(Item::Ping(frame::whole(Opcode::Pong, &payload).into()))),
            Opcode::Pong => Ok(None),
            Opcode::Close => answer_close(&payload).map(Some),
            Opcode::Text | Opcode::Binary if self.begun.is_some() => Err(Fault::Protocol),
            opcode @ (Opcode::Text | Opcode::Binary) if head.last => message(opcode, payload).map(Some),
            opcode @ (Opcode::Text | Opcode::Binary) => {
                self.begun = Some(Box::new(Begun::new(opcode, payload)?));
                Ok(None)
            }
            Opcode::Continuation => {
                let Some(mut begun) = self.begun.take() else { return Err(Fault::Protocol) };
                begun.append(&payload)?;
                if head.last {
                    return message(begun.opcode, begun.bytes).map(Some);
                }
                self.begun = Some(begun);
                Ok(None)
            }
        }
    }
}

fn message(opcode: Opcode, bytes: Vec<u8>) -> Result<Item, Fault> {
    if opcode != Opcode::Text {
        return Ok(Item::Message(Frame::Binary(bytes.into())));
    }
    let text = String::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
    Ok(Item::Message(Frame::Text(text.into())))
}

/// The client's code goes back to it, unless it may not be sent at all (7.4).
fn answer_close(payload: &[u8]) -> Result<Item, Fault> {
    let code = match payload {
        [] => &[],
        [_] => return Err(Fault::Protocol),
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Fault::Protocol);
            }
            std::str::from_utf8(reason).map_err(|_| Fault::NotUtf8)?;
            &payload[..2]
        }
    };
    Ok(Item::Close(frame::whole(Opcode::Close, code).into()))
}

#[cfg(test)]
mod tests;
