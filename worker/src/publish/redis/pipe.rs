//! A connection that publishes and does nothing else: commands gather in one buffer and leave together, replies
//! are read in their order. What a driver for all of Redis costs beside (a task, two channels, a value and a
//! command of its own for each message) is most of what a PUBLISH costs.

use bytes::{Buf, BytesMut};
use fanfare_proto::envelope::Envelope;
use redis::{ErrorKind, RedisError, RedisResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::resp::{self, Reply};

/// Bytes that gather before they leave: Redis works on them while the next are being made.
const WRITE: usize = 16 * 1024;

/// Bytes to read at once.
const READ: usize = 4 * 1024;

/// No reply to what is asked here is longer, by far.
const REPLY_MAX: usize = 64 * 1024;

/// After a message that was larger, the buffer is given back.
const KEEP_MAX: usize = 64 * 1024;

/// Where to, and who we are.
pub(super) struct Door {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

/// Commands on their way out, replies on their way in.
#[derive(Debug)]
pub(super) struct Pipe {
    socket: TcpStream,
    out: Vec<u8>,
    heard: BytesMut,
}

impl Pipe {
    /// Connects and says who we are.
    pub(super) async fn open(door: &Door) -> RedisResult<Self> {
        let socket = TcpStream::connect((door.host.as_str(), door.port)).await?;
        socket.set_nodelay(true)?;
        let mut pipe = Self { socket, out: Vec::new(), heard: BytesMut::new() };
        match (&door.user, &door.password) {
            (Some(user), Some(password)) => pipe.authenticate(&["AUTH", user, password]).await?,
            (None, Some(password)) => pipe.authenticate(&["AUTH", password]).await?,
            (_, None) => {}
        }
        Ok(pipe)
    }

    async fn authenticate(&mut self, command: &[&str]) -> RedisResult<()> {
        resp::command(&mut self.out, command);
        self.flush().await?;
        self.reply(|reply| match reply {
            Reply::Error(text) => {
                let text = String::from_utf8_lossy(text).into_owned();
                Err((ErrorKind::AuthenticationFailed, "it does not let us in", text).into())
            }
            Reply::Number(_) | Reply::Other(_) => Ok(()),
        })
        .await
    }

    /// Whether the server follows another one, and would hand nothing to anybody. One who may not ask is told
    /// that it does not.
    pub(super) async fn is_replica(&mut self) -> RedisResult<bool> {
        resp::command(&mut self.out, &["ROLE"]);
        self.flush().await?;
        let name = b"$5\r\nslave\r\n";
        let follows =
            |bytes: &[u8]| bytes.splitn(2, |byte| *byte == b'\n').nth(1).is_some_and(|rest| rest.starts_with(name));
        self.reply(|reply| Ok(matches!(reply, Reply::Other(bytes) if follows(bytes)))).await
    }

    /// Whether nothing has been heard since the last answer, not even that the other side has hung up.
    pub(super) fn is_quiet(&self) -> bool {
        let heard = self.socket.try_read(&mut [0]);
        self.heard.is_empty() && heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Puts one in line, and writes if many are.
    pub(super) async fn publish(&mut self, name: &str, envelope: &Envelope) -> RedisResult<()> {
        resp::publish(&mut self.out, name, envelope);
        if self.out.len() < WRITE { Ok(()) } else { self.flush().await }
    }

    /// Writes all that is in line.
    pub(super) async fn flush(&mut self) -> RedisResult<()> {
        self.socket.write_all(&self.out).await?;
        self.out.clear();
        self.out.shrink_to(KEEP_MAX);
        Ok(())
    }

    /// The answer to the first PUBLISH that has none: how many gateways got it. The outer error is of the
    /// connection, which is of no more use; the inner one is the server's, about this message.
    pub(super) async fn answer(&mut self) -> RedisResult<RedisResult<u64>> {
        self.reply(|reply| match reply {
            Reply::Number(gateways) => Ok(Ok(u64::try_from(gateways).unwrap_or_default())),
            Reply::Error(text) => Ok(Err(said(text))),
            Reply::Other(_) => Err(senseless()),
        })
        .await
    }

    async fn reply<T>(&mut self, read: impl FnOnce(Reply<'_>) -> RedisResult<T>) -> RedisResult<T> {
        loop {
            if let Some((reply, len)) = resp::reply(&self.heard).map_err(|_| senseless())? {
                let read = read(reply);
                self.heard.advance(len);
                return read;
            }
            if self.heard.len() > REPLY_MAX {
                return Err(senseless());
            }
            self.heard.reserve(READ);
            if self.socket.read_buf(&mut self.heard).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
}

/// What the server said: a code, and more words for people.
fn said(text: &[u8]) -> RedisError {
    let text = String::from_utf8_lossy(text);
    let (code, detail) = text.split_once(' ').unwrap_or((&text, ""));
    redis::make_extension_error(code.to_owned(), Some(detail.to_owned()))
}

fn senseless() -> RedisError {
    (ErrorKind::Parse, "it answers something else than Redis does").into()
}
