//! The connections that publish and do nothing else: made as they are needed, kept for the next call.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::failure::{self, Failure};
use super::pipe::{Door, Pipe};

/// Those at rest, and how many more there may be.
pub(super) struct Pipes {
    door: Door,
    address: String,
    /// How long it is believed that the other side is a primary.
    ttl: Duration,
    permits: Semaphore,
    /// The last one used is the next one used. Never more than there are permits.
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    pipe: Pipe,
    proven_at: Instant,
}

/// A connection in use. Unless it is [given back](Lent::give_back) it is closed: whoever stops half-way leaves
/// answers in it that belong to nobody.
pub(super) struct Lent<'a> {
    pub(super) pipe: Pipe,
    proven_at: Instant,
    pipes: &'a Pipes,
    _permit: SemaphorePermit<'a>,
}

impl Pipes {
    pub(super) fn new(door: Door, address: String, ttl: Duration, max: usize) -> Self {
        Self { door, address, ttl, permits: Semaphore::new(max), idle: Mutex::default() }
    }

    /// A connection to a primary, as far as was heard within `ttl`. Waits as long as too many are in use: the
    /// deadline is the caller's.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, Failure> {
        let permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let failed = |error| Failure::of(&self.address, &error);
        let idle = self.idle();
        let (mut pipe, proven_at) = match idle {
            Some(Idle { pipe, proven_at }) => (pipe, Some(proven_at)),
            None => (Pipe::open(&self.door).await.map_err(failed)?, None),
        };
        let proven_at = match proven_at.filter(|at| at.elapsed() < self.ttl) {
            Some(at) => at,
            // A replica takes a PUBLISH and reaches nobody.
            None if pipe.is_replica().await.map_err(failed)? => {
                return Err(Failure::broken(failure::replica(&self.address)));
            }
            None => Instant::now(),
        };
        Ok(Lent { pipe, proven_at, pipes: self, _permit: permit })
    }

    /// One that the other side has not hung up on meanwhile.
    fn idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|idle| idle.pipe.is_quiet())
    }
}

impl Lent<'_> {
    /// For the next call. Everything that was asked has been answered.
    pub(super) fn give_back(self) {
        let Self { pipe, proven_at, pipes, .. } = self;
        pipes.idle.lock().unwrap_or_else(PoisonError::into_inner).push(Idle { pipe, proven_at });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use super::*;

    pub(in super::super) const PATIENCE: Duration = Duration::from_secs(30);
    pub(in super::super) const PRIMARY: &[u8] = b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";

    /// A connection to somebody who says this, one part for each thing that is asked, and then hangs up if it
    /// is asked for more. Tells how often it was asked.
    pub(in super::super) fn pipes(ttl: Duration, says: &'static [&'static [u8]]) -> (Pipes, JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let side = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut asked = 0;
            while socket.read(&mut [0; 1024]).unwrap() > 0 {
                asked += 1;
                match says.get(asked - 1) {
                    Some(part) => socket.write_all(part).unwrap(),
                    None => break,
                }
            }
            asked
        });
        let door = Door { host: "127.0.0.1".to_owned(), port, user: None, password: None };
        (Pipes::new(door, "there".to_owned(), ttl, 1), side)
    }

    async fn lend(pipes: &Pipes) -> Result<Lent<'_>, String> {
        let lent = tokio::time::timeout(PATIENCE, pipes.lend()).await.expect("an answer");
        lent.map_err(|failure| failure.error.to_string())
    }

    #[tokio::test]
    async fn a_replica_is_found_out_also_later() {
        const REPLICA: &[u8] = b"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:0\r\n";
        let (pipes, side) = pipes(Duration::ZERO, &[PRIMARY, REPLICA]);
        lend(&pipes).await.unwrap_or_else(|error| panic!("{error}")).give_back();
        let error = lend(&pipes).await.map(|_| ()).unwrap_err();
        assert!(error.contains("replica") && error.contains("nothing was published"), "{error}");
        assert!(pipes.idle().is_none(), "it is not kept");
        assert_eq!(side.join().unwrap(), 2);
    }

    #[tokio::test]
    async fn who_was_asked_lately_is_believed() {
        let (pipes, side) = pipes(PATIENCE, &[PRIMARY]);
        for _ in 0..3 {
            lend(&pipes).await.unwrap_or_else(|error| panic!("{error}")).give_back();
        }
        drop(pipes);
        assert_eq!(side.join().unwrap(), 1, "asked once, over one connection");
    }

    #[tokio::test]
    async fn one_who_may_not_ask_publishes() {
        let (pipes, side) = pipes(PATIENCE, &[b"-NOPERM this user has no permissions to run the 'role' command\r\n"]);
        assert!(lend(&pipes).await.is_ok());
        drop(pipes);
        assert_eq!(side.join().unwrap(), 1);
    }

    #[tokio::test]
    async fn what_is_no_redis_is_told() {
        let (pipes, side) = pipes(PATIENCE, &[b"HTTP/1.1 400 Bad Request\r\n\r\n"]);
        let error = lend(&pipes).await.map(|_| ()).unwrap_err();
        assert!(error.contains("there") && error.contains("something else than Redis"), "{error}");
        side.join().unwrap();
    }
}
