//! One connection beside a crowd that asks for pongs (RFC 6455, 5.5.2), on a thread of its own: how long a
//! server that is busy with others lets one wait.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::Plan;
use super::frame::{self, PING, PONG};
use super::histogram::Histogram;
use super::member;
use crate::wire::{Heard, Message, Who};

/// Between one pong and the next ping.
const PAUSE: Duration = Duration::from_millis(5);

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pings until it is stopped.
pub struct Pinger {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Histogram>>,
}

impl Pinger {
    /// Connects as the plan's first member and begins.
    pub fn start(plan: Plan) -> Result<Self> {
        let mut client = Client::connect(&plan)?;
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut times = Histogram::default();
            while !told.load(Ordering::Relaxed) {
                let begun = Instant::now();
                client.ping()?;
                times.add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
                std::thread::sleep(PAUSE);
            }
            Ok(times)
        });
        Ok(Self { stop, thread })
    }

    /// Stops; answers how long the pongs took.
    pub fn stop(self) -> Result<Histogram> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|_| bail!("the thread that pings has panicked"))
    }
}

struct Client {
    socket: TcpStream,
    /// What has come and was not heard yet.
    bytes: Vec<u8>,
}

impl Client {
    fn connect(plan: &Plan) -> Result<Self> {
        let socket = TcpStream::connect(plan.address).context("the connection that pings")?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self { socket, bytes: Vec::new() };
        let channel = plan.channel.replace("{n}", &plan.first.to_string());
        let who = Who { number: plan.first, channel, secret: plan.secret.clone() };
        client.socket.write_all(member::request(&plan.wire.opening(&who)).as_bytes())?;
        while !client.bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            client.read()?;
        }
        ensure!(client.bytes.starts_with(b"HTTP/1.1 101"), "the connection that pings was not upgraded");
        let end = client.bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(0);
        client.bytes.drain(..end + 4);
        client.say(&plan.wire.begin(&who))?;
        while !plan.wire.silent() {
            let (_, message) = client.next()?;
            match plan.wire.hear(&who, &message) {
                Heard::Ready => break,
                Heard::Refused(why) => bail!("the connection that pings was refused: {why}"),
                Heard::Answer(messages) => client.say(&messages)?,
                Heard::Nothing | Heard::Publications(_) => {}
            }
        }
        Ok(client)
    }

    fn say(&mut self, messages: &[Message]) -> Result<()> {
        let mut out = Vec::new();
        messages.iter().for_each(|message| frame::write_message(message, &mut out));
        Ok(self.socket.write_all(&out)?)
    }

    fn ping(&mut self) -> Result<()> {
        let mut out = Vec::new();
        frame::write(PING, b"bench", &mut out);
        self.socket.write_all(&out)?;
        while self.next()?.0 != PONG {}
        Ok(())
    }

    fn next(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = frame::first(&self.bytes) {
                let (opcode, payload, size) = (frame.opcode, frame.payload.to_vec(), frame.size);
                self.bytes.drain(..size);
                return Ok((opcode, payload));
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<()> {
        let mut scratch = [0; 16 * 1024];
        let count = self.socket.read(&mut scratch).context("the connection that pings")?;
        ensure!(count > 0, "the server closed the connection that pings");
        self.bytes.extend_from_slice(&scratch[..count]);
        Ok(())
    }
}
