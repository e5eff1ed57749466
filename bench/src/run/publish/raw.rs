//! PUBLISH commands on one connection, as many under way as asked for: what Redis takes at most.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{CHANNEL, Done, PublishArgs, WARM_UP};
use crate::crowd::marker::{self, Marker};
use crate::machine::Tree;
use crate::outcome::{Outcome, measure};
use crate::redis::Redis;
use crate::resp;

pub(super) fn run(args: &PublishArgs, outcome: &mut Outcome) -> anyhow::Result<Done> {
    outcome.ask("under_way", args.under_way as f64);
    let redis = Redis::start(args.target.redis_port())?;
    let mut pipe = Pipe::open(redis.address, args)?;
    pipe.run(WARM_UP)?;
    let tree = Tree::new(redis.pid);
    let before = tree.cpu()?;
    let done = pipe.run(Duration::from_secs_f64(args.seconds))?;
    outcome.found(measure::REDIS_CPU_PER_PUBLISH_US, done.each_us(tree.cpu()? - before));
    Ok(done)
}

/// A connection that publishes.
pub(super) struct Pipe {
    socket: TcpStream,
    under_way: usize,
    payload: usize,
    sequence: u32,
}

impl Pipe {
    pub(super) fn open(redis: SocketAddr, args: &PublishArgs) -> anyhow::Result<Self> {
        let socket = resp::connect(redis)?;
        Ok(Self { socket, under_way: args.under_way, payload: args.payload, sequence: 0 })
    }

    /// Publishes for a while; nothing is under way before and after.
    pub(super) fn run(&mut self, time: Duration) -> anyhow::Result<Done> {
        let begin = Instant::now();
        let (mut publications, mut under_way) = (0, 0);
        let (mut out, mut heard, mut part) = (Vec::new(), Vec::new(), vec![0; 64 * 1024]);
        loop {
            if begin.elapsed() < time {
                out.clear();
                (under_way..self.under_way).for_each(|_| self.command(&mut out));
                under_way = self.under_way;
                self.socket.write_all(&out).context("Redis takes no more publications")?;
            }
            if under_way == 0 {
                return Ok(Done { publications, took: begin.elapsed() });
            }
            let count = self.socket.read(&mut part).context("Redis has stopped answering publications")?;
            ensure!(count > 0, "Redis has hung up");
            heard.extend_from_slice(&part[..count]);
            let mut used = 0;
            while let Some(size) = resp::reply(&heard[used..]) {
                let reply = &heard[used..used + size];
                ensure!(reply.starts_with(b":"), "Redis refuses to publish: {}", String::from_utf8_lossy(reply));
                used += size;
                under_way -= 1;
                publications += 1;
            }
            heard.drain(..used);
        }
    }

    fn command(&mut self, out: &mut Vec<u8>) {
        self.sequence += 1;
        let payload = Marker { sequence: self.sequence, at: marker::now() }.payload(self.payload);
        out.extend_from_slice(&resp::command(&[b"PUBLISH", CHANNEL.as_bytes(), &payload]));
    }
}
