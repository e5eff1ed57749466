//! HTTP connections that publish: kept alive, one request at a time on each.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::wire::Request;

/// Connections, and so requests under way, at most.
const CONNECTIONS: usize = 16;

/// Tokens of the crowd's members end below.
const FIRST: usize = 1 << 40;

/// Requests that wait for a connection.
const WAITING_MAX: usize = 4096;

pub(super) struct Posts {
    address: SocketAddr,
    registry: Registry,
    connections: Vec<TcpStream>,
    free: Vec<usize>,
    waiting: VecDeque<Vec<u8>>,
}

impl Posts {
    pub(super) fn new(address: SocketAddr, registry: Registry) -> Self {
        Self { address, registry, connections: Vec::new(), free: Vec::new(), waiting: VecDeque::new() }
    }

    pub(super) fn post(&mut self, request: &Request) -> anyhow::Result<()> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n",
            request.method,
            request.path,
            request.body.len()
        );
        for (name, value) in &request.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        let bytes = [head.as_bytes(), &request.body].concat();
        if let Some(free) = self.free.pop() {
            return self.send(free, &bytes);
        }
        if self.connections.len() < CONNECTIONS {
            let socket =
                std::net::TcpStream::connect(self.address).context("no connection for publishing over HTTP")?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(socket);
            let place = self.connections.len();
            self.registry.register(&mut socket, Token(FIRST + place), Interest::READABLE)?;
            self.connections.push(socket);
            return self.send(place, &bytes);
        }
        ensure!(self.waiting.len() < WAITING_MAX, "the server takes publications too slowly over HTTP");
        self.waiting.push_back(bytes);
        Ok(())
    }

    fn send(&mut self, place: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.connections[place].write(bytes).context("publishing over HTTP")?;
        ensure!(written == bytes.len(), "a request of {} bytes did not fit into the socket", bytes.len());
        Ok(())
    }

    /// An answer has come.
    pub(super) fn attend(&mut self, token: usize, scratch: &mut [u8]) -> anyhow::Result<()> {
        let Some(place) = token.checked_sub(FIRST) else { return Ok(()) };
        match self.connections[place].read(scratch) {
            Ok(0) => bail!("the server closed a connection that publishes over HTTP"),
            Ok(count) => {
                let answer = &scratch[..count];
                let good = answer.starts_with(b"HTTP/1.1 2");
                ensure!(good, "the server refused a publication: {}", String::from_utf8_lossy(answer));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error).context("publishing over HTTP"),
        }
        match self.waiting.pop_front() {
            Some(bytes) => self.send(place, &bytes),
            None => {
                self.free.push(place);
                Ok(())
            }
        }
    }
}
