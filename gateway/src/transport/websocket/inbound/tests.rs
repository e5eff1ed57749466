//! Against tungstenite, as a client that knows the protocol, and against what no client may send.

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame as WireFrame, FrameHeader};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use super::*;

const MAX: ByteSize = ByteSize(100_000);

/// All that comes of these bytes, given in pieces of these sizes, over and over.
fn receive(bytes: &[u8], pieces: &[usize]) -> Result<Vec<Item>, Fault> {
    let mut inbound = Inbound::new(MAX, &[]);
    let (mut items, mut rest) = (Vec::new(), bytes);
    let mut sizes = pieces.iter().copied().cycle();
    while !rest.is_empty() {
        let piece;
        (piece, rest) = rest.split_at(sizes.next().unwrap().clamp(1, rest.len()));
        items.extend(inbound.receive(piece)?);
        while let Some(item) = inbound.next()? {
            items.push(item);
        }
    }
    Ok(items)
}

/// A client's frame, masked.
fn client_frame(opcode: OpCode, last: bool, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let header = FrameHeader { is_final: last, opcode, mask: Some(mask), ..FrameHeader::default() };
    let mut out = Vec::new();
    header.format(payload.len() as u64, &mut out).unwrap();
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

fn text(text: &str) -> Item {
    Item::Message(Frame::Text(Bytes::copy_from_slice(text.as_bytes())))
}

proptest! {
    #[test]
    fn what_a_client_sends_comes_in_however_it_is_cut(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..70_000), 1..4),
        fragment in 1_usize..9_000,
        pieces in proptest::collection::vec(1_usize..20_000, 1..5),
    ) {
        let mut bytes = Vec::new();
        for message in &messages {
            let last = message.chunks(fragment).count().saturating_sub(1);
            for (i, chunk) in message.chunks(fragment).enumerate() {
                let kind = if i == 0 { Data::Binary } else { Data::Continue };
                bytes.extend(client_frame(OpCode::Data(kind), i == last, chunk));
                // Between fragments, too.
                bytes.extend(client_frame(OpCode::Control(Control::Pong), true, b"unasked"));
            }
            if message.is_empty() {
                bytes.extend(client_frame(OpCode::Data(Data::Binary), true, &[]));
            }
        }
        let expected: Vec<_> = messages.into_iter().map(|bytes| Item::Message(Frame::Binary(bytes.into()))).collect();
        prop_assert_eq!(receive(&bytes, &pieces), Ok(expected));
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_a_message(
        bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
        pieces in proptest::collection::vec(1_usize..100, 1..5),
    ) {
        let _ = receive(&bytes, &pieces);
    }

    #[test]
    fn what_is_written_is_read_by_a_client(sizes in proptest::collection::vec(0_usize..70_000, 1..5)) {
        let mut bytes = Vec::new();
        for size in &sizes {
            frame::write_head(Opcode::Text, *size, &mut bytes);
            bytes.extend(std::iter::repeat_n(b'x', *size));
        }
        let mut client = WebSocket::from_raw_socket(std::io::Cursor::new(bytes), Role::Client, None);
        for size in sizes {
            prop_assert_eq!(client.read().unwrap(), Message::Text("x".repeat(size).into()));
        }
    }
}

#[test]
fn pings_and_goodbyes_are_answered_in_kind() {
    let ping = client_frame(OpCode::Control(Control::Ping), true, b"42");
    let pong = WireFrame::pong(b"42".as_slice());
    let mut expected = Vec::new();
    pong.format(&mut expected).unwrap();
    assert_eq!(receive(&ping, &[1]), Ok(vec![Item::Ping(expected.into())]));
    let close = client_frame(OpCode::Control(Control::Close), true, b"\x03\xe8bye");
    assert_eq!(receive(&close, &[100]), Ok(vec![Item::Close(Bytes::from_static(b"\x88\x02\x03\xe8"))]));
    let silent = client_frame(OpCode::Control(Control::Close), true, b"");
    assert_eq!(receive(&silent, &[100]), Ok(vec![Item::Close(Bytes::from_static(b"\x88\x00"))]));
}

#[test]
fn what_no_client_may_send_is_a_fault() {
    let data = |kind| OpCode::Data(kind);
    let control = |kind| OpCode::Control(kind);
    let unmasked = {
        let mut out = Vec::new();
        WireFrame::message(b"x".as_slice(), data(Data::Text), true).format(&mut out).unwrap();
        out
    };
    let reserved = {
        let mut bytes = client_frame(data(Data::Text), true, b"x");
        bytes[0] |= 0x40;
        bytes
    };
    let two = |a: Vec<u8>, b: Vec<u8>| [a, b].concat();
    let begun = client_frame(data(Data::Text), false, b"x");
    let cases = [
        ("not masked", unmasked, Fault::Protocol),
        ("an extension nobody agreed upon", reserved, Fault::Protocol),
        ("a reserved opcode", vec![0x83, 0x80, 0, 0, 0, 0], Fault::Protocol),
        ("a long ping", client_frame(control(Control::Ping), true, &[b'x'; 126]), Fault::Protocol),
        ("a ping in pieces", client_frame(control(Control::Ping), false, b"x"), Fault::Protocol),
        ("a fragment of nothing", client_frame(data(Data::Continue), true, b"x"), Fault::Protocol),
        ("a message inside another", two(begun.clone(), client_frame(data(Data::Text), true, b"y")), Fault::Protocol),
        ("half a close code", client_frame(control(Control::Close), true, b"\x03"), Fault::Protocol),
        ("a close code for nobody", client_frame(control(Control::Close), true, b"\x03\xed"), Fault::Protocol),
        ("a reason that is not text", client_frame(control(Control::Close), true, b"\x03\xe8\xff"), Fault::NotUtf8),
        ("text that is not text", client_frame(data(Data::Text), true, b"\xc3\x28"), Fault::NotUtf8),
        ("the beginning of what is not text", client_frame(data(Data::Text), false, b"\xc3\x28"), Fault::NotUtf8),
        ("text that ends in half a character", client_frame(data(Data::Text), true, b"\xc3"), Fault::NotUtf8),
        ("too long", client_frame(data(Data::Text), true, &vec![b'x'; 100_001]), Fault::TooBig),
        (
            "too long together",
            two(begun, client_frame(data(Data::Continue), true, &vec![b'x'; 100_000])),
            Fault::TooBig,
        ),
        (
            "longer than there is memory",
            vec![0x81, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0],
            Fault::TooBig,
        ),
    ];
    for (name, bytes, fault) in cases {
        assert_eq!(receive(&bytes, &[1_000]), Err(fault), "{name}");
        assert_eq!(receive(&bytes, &[1]), Err(fault), "{name}, byte by byte");
    }
}

#[test]
fn a_character_may_be_cut_by_fragments_and_nothing_is_kept_at_rest() {
    let (a, b) = "né".as_bytes().split_at(2);
    let bytes = [client_frame(OpCode::Data(Data::Text), false, a), client_frame(OpCode::Data(Data::Continue), true, b)]
        .concat();
    assert_eq!(receive(&bytes, &[3]), Ok(vec![text("né")]));
    let mut inbound = Inbound::new(MAX, &bytes);
    assert_eq!(inbound.next(), Ok(Some(text("né"))));
    assert_eq!((inbound.pending.capacity(), inbound.begun.is_none()), (0, true));
}
