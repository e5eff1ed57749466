//! A crowd at a server that says exactly what a test wants it to say.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use super::*;
use crate::wire::plain::Plain;

const UPGRADE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n";

/// Takes one connection, reads its request, and answers what the script does with it.
fn serve<T: Send + 'static>(
    script: impl FnOnce(&mut TcpStream) -> std::io::Result<T> + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(STALL)).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut part = [0; 512];
            let count = stream.read(&mut part).unwrap();
            request.extend_from_slice(&part[..count]);
        }
        script(&mut stream).unwrap()
    });
    (address, server)
}

fn plan(address: SocketAddr, members: usize) -> Plan {
    let (channel, secret) = Default::default();
    Plan { address, wire: Arc::new(Plain), channel, secret, members, first: 0, at_once: 4 }
}

fn publication(sequence: u32) -> Vec<u8> {
    Marker { sequence, at: 1 }.payload(64)
}

/// A frame of a server: short, so its length is one byte.
fn frame(begin: u8, payload: &[u8]) -> Vec<u8> {
    [&[begin, u8::try_from(payload.len()).unwrap()], payload].concat()
}

/// Turns until nothing is owed and the tally is as it should be.
fn turn_until(crowd: &mut Crowd, done: impl Fn(&Tally) -> bool) {
    let end = Instant::now() + STALL;
    while !done(crowd.tally()) {
        assert!(Instant::now() < end, "{:?}", crowd.tally());
        crowd.turn(Duration::from_millis(20)).unwrap();
    }
}

#[test]
fn messages_are_whole_wherever_they_are_cut() {
    let (address, server) = serve(|stream| {
        // Text; a ping; two publications in one message, which comes in three frames.
        let both = [publication(2), b"\n".to_vec(), publication(3)].concat();
        let mut said = [frame(0x81, &publication(1)), frame(0x89, b"beat")].concat();
        said.extend([frame(0x01, &both[..50]), frame(0x00, &both[50..90]), frame(0x80, &both[90..])].concat());
        let said = [UPGRADE, &said].concat();
        for byte in said.chunks(7) {
            stream.write_all(byte)?;
            thread::sleep(Duration::from_micros(300));
        }
        // A word of its own after the upgrade, and the answer to the ping.
        let mut pongs = [0; 16];
        stream.read_exact(&mut pongs)?;
        Ok(pongs)
    });
    let mut crowd = Crowd::connect(plan(address, 1)).unwrap();
    turn_until(&mut crowd, |tally| tally.deliveries == 3);
    let tally = crowd.tally();
    assert_eq!((tally.passed_over, tally.duplicated, tally.misordered, crowd.published()), (0, 0, 0, 3));
    assert_eq!(&server.join().unwrap(), b"\x8a\x80\0\0\0\0\x8a\x84\0\0\0\0beat");
}

#[test]
fn what_comes_together_with_the_upgrade_counts() {
    let (address, server) = serve(|stream| stream.write_all(&[UPGRADE, &frame(0x82, &publication(1))].concat()));
    let mut crowd = Crowd::connect(plan(address, 1)).unwrap();
    server.join().unwrap();
    turn_until(&mut crowd, |tally| tally.deliveries == 1);
}

#[test]
fn a_member_that_is_cut_off_costs_what_it_misses() {
    let (address, server) = serve(|stream| {
        stream.write_all(&[UPGRADE, &frame(0x81, &publication(1)), &frame(0x88, b"\x0b\xc2slow")].concat())
    });
    let mut crowd = Crowd::connect(plan(address, 1)).unwrap();
    server.join().unwrap();
    turn_until(&mut crowd, |tally| tally.ended == 1);
    crowd.expect(3);
    assert_eq!(crowd.tally().ended_how.as_deref(), Some("connection 0: the server says goodbye: 3010 slow"));
    assert_eq!((crowd.tally().deliveries, crowd.missing(), crowd.outstanding()), (1, 2, 0));
    assert!(crowd.settle(STALL).unwrap(), "nobody is left to wait for");
    assert_eq!(crowd.survive().unwrap().0, [1]);
}

#[test]
fn a_member_that_is_refused_says_why() {
    let (address, server) = serve(|stream| stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\nno token"));
    let error = Crowd::connect(plan(address, 1)).err().unwrap();
    server.join().unwrap();
    let told = format!("{error:#}");
    assert_eq!(told, "connection 0 gets no further than Upgrading: no upgrade: HTTP/1.1 403 Forbidden\r\n\r\nno token");
}

#[test]
fn nobody_is_connected_where_nobody_listens() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = format!("{:#}", Crowd::connect(plan(address, 1)).err().unwrap());
    assert!(told.contains("the server does not take connections") && told.contains("refused"), "{told}");
}

#[test]
fn the_floor_tells_everybody_everything_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || crate::floor::serve_on(listener, 3));
    let mut crowd = Crowd::connect(plan(address, 7)).unwrap();
    // The last one waits alone until the floor no longer waits for others.
    for _ in 0..10 {
        crowd.publish(200, marker::now()).unwrap();
    }
    assert_eq!(crowd.outstanding(), 10);
    assert!(crowd.settle(STALL).unwrap());
    let tally = crowd.tally();
    assert_eq!((tally.deliveries, tally.passed_over, crowd.missing(), crowd.outstanding()), (70, 0, 0, 0));
    assert!(crowd.publishes_in_order());
}
