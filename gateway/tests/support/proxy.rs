//! A TCP proxy that does to a connection what networks do: holds bytes back, lets them drip, cuts, closes
//! one half, refuses. What it does can be changed while it runs, for each direction; what is left to
//! chance comes from a seed. It never alters or reorders what it passes.
//!
//! For `#[path = "../support/proxy.rs"] mod proxy;` beside `mod dice;` in integration tests.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
#![allow(clippy::disallowed_methods, reason = "tests spawn plain tasks")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::dice::Dice;

/// Read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Pieces under way in one direction of a connection; the sender waits when so many are.
const PIECES_MAX: usize = 16;

/// What happens to bytes in one direction. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// How much later everything arrives.
    pub delay: Duration,
    /// Up to how much later still, by chance; later bytes never overtake.
    pub jitter: Duration,
    /// Bytes per second that get through.
    pub throttle: Option<u64>,
    /// Arrives in slices of 1 to so many bytes, each in a segment of its own.
    pub slice: Option<usize>,
    /// Nothing arrives, and ends are not noticed. What was sent comes after it is over.
    pub stall: bool,
    /// The connection is reset, both ways, after so many more bytes.
    pub reset_after: Option<u64>,
    /// This direction is closed after so many more bytes; the other one stays open.
    pub half_close_after: Option<u64>,
}

impl Weather {
    /// Later, by so much.
    pub fn delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Later, by chance.
    pub fn jitter(jitter: Duration) -> Self {
        Self { jitter, ..Self::default() }
    }

    /// Slowly.
    pub fn throttle(bytes_per_second: u64) -> Self {
        Self { throttle: Some(bytes_per_second), ..Self::default() }
    }

    /// In small slices.
    pub fn slice(most: usize) -> Self {
        Self { slice: Some(most), ..Self::default() }
    }

    /// Not at all.
    pub fn stall() -> Self {
        Self { stall: true, ..Self::default() }
    }

    /// Cut after so much.
    pub fn reset_after(bytes: u64) -> Self {
        Self { reset_after: Some(bytes), ..Self::default() }
    }

    /// Half closed after so much.
    pub fn half_close_after(bytes: u64) -> Self {
        Self { half_close_after: Some(bytes), ..Self::default() }
    }
}

/// Everything that happens at a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// From who connects to the server.
    pub up: Weather,
    /// Back.
    pub down: Weather,
    /// New connections are accepted and reset at once.
    pub refuse: bool,
    /// Counts changes: how much has passed is counted anew after each.
    change: u64,
}

/// A running proxy. It ends when dropped, and all its connections with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    conditions: watch::Sender<Conditions>,
    cut: watch::Sender<u64>,
    traffic: Arc<Traffic>,
    task: tokio::task::JoinHandle<()>,
}

/// What has gone through.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Connections ever accepted and passed on.
    pub connections: AtomicU64,
    /// Connections open now.
    pub open: AtomicUsize,
    /// Bytes passed on, both ways.
    pub bytes: AtomicU64,
}

impl Proxy {
    /// Starts one to a port of this machine, on a free port.
    pub async fn start(to: u16, seed: u64) -> Self {
        Self::start_to_any(&[to], seed).await
    }

    /// Starts one to several ports, as a balancer: each connection goes to one of them by chance, and on
    /// to the next while that refuses.
    pub async fn start_to_any(to: &[u16], seed: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (conditions, state) = watch::channel(Conditions::default());
        let (cut, cuts) = watch::channel(0);
        let traffic = Arc::new(Traffic::default());
        let dice = Arc::new(Mutex::new(Dice::new(seed)));
        let shared = Shared { to: to.into(), conditions: state, cuts, traffic: traffic.clone(), dice };
        let task = tokio::spawn(accept(listener, shared));
        Self { address, conditions, cut, traffic, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a Redis database behind it.
    pub fn url(&self, db: u16) -> String {
        format!("redis://{}/{db}", self.address)
    }

    /// What happens from now on, to connections that are open, too.
    pub fn set(&self, up: Weather, down: Weather) {
        self.change(|now| (now.up, now.down) = (up, down));
    }

    /// The same in both directions.
    pub fn set_both(&self, weather: Weather) {
        self.set(weather.clone(), weather);
    }

    /// New connections are reset, or let through again.
    pub fn refuse(&self, refuse: bool) {
        self.change(|now| now.refuse = refuse);
    }

    /// Fair weather again.
    pub fn heal(&self) {
        self.change(|now| *now = Conditions { change: now.change, ..Conditions::default() });
    }

    /// Resets all connections that are open.
    pub fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    fn change(&self, change: impl FnOnce(&mut Conditions)) {
        self.conditions.send_modify(|now| {
            change(now);
            now.change += 1;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
struct Shared {
    to: Arc<[u16]>,
    conditions: watch::Receiver<Conditions>,
    cuts: watch::Receiver<u64>,
    traffic: Arc<Traffic>,
    dice: Arc<Mutex<Dice>>,
}

async fn accept(listener: TcpListener, shared: Shared) {
    while let Ok((client, _)) = listener.accept().await {
        if shared.conditions.borrow().refuse {
            let _ = client.set_zero_linger();
            continue;
        }
        let shared = shared.clone();
        tokio::spawn(async move {
            shared.traffic.open.fetch_add(1, Ordering::Relaxed);
            let _ = pass(client, &shared).await;
            shared.traffic.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn reach(shared: &Shared) -> io::Result<TcpStream> {
    let first = shared.dice.lock().expect("nobody panics while throwing").below(shared.to.len());
    let mut refused = io::ErrorKind::ConnectionRefused.into();
    for port in shared.to.iter().cycle().skip(first).take(shared.to.len()) {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).await {
            Ok(server) => return Ok(server),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Passes one connection on until both directions have ended or one of them was cut.
async fn pass(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut server = reach(shared).await?;
    shared.traffic.connections.fetch_add(1, Ordering::Relaxed);
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
        // Whoever ends early is cut: a close without lingering is a reset. A proper end shuts down first.
        socket.set_zero_linger()?;
    }
    let (mut up, mut down) = {
        let mut dice = shared.dice.lock().expect("nobody panics while throwing");
        (dice.fork(), dice.fork())
    };
    let mut cuts = shared.cuts.clone();
    cuts.mark_unchanged();
    let (client_in, client_out) = client.split();
    let (server_in, server_out) = server.split();
    let upwards = Way { shared, side: Side::Up };
    let downwards = Way { shared, side: Side::Down };
    let both = async {
        tokio::try_join!(upwards.run(client_in, server_out, &mut up), downwards.run(server_in, client_out, &mut down))
    };
    tokio::select! {
        ended = both => ended.map(drop),
        _ = cuts.changed() => Ok(()),
    }
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Up,
    Down,
}

/// A piece and when it may arrive at the earliest.
#[derive(Debug)]
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
}

/// One direction of one connection.
#[derive(Debug)]
struct Way<'a> {
    shared: &'a Shared,
    side: Side,
}

impl Way<'_> {
    /// Ends well when this direction is closed, and with an error when the connection is to be reset.
    async fn run(&self, from: ReadHalf<'_>, to: WriteHalf<'_>, dice: &mut Dice) -> io::Result<()> {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        let mut drops = dice.fork();
        tokio::try_join!(self.take(from, sender, dice), self.give(to, receiver, &mut drops)).map(drop)
    }

    fn weather(&self, conditions: &Conditions) -> Weather {
        match self.side {
            Side::Up => conditions.up.clone(),
            Side::Down => conditions.down.clone(),
        }
    }

    /// Reads, and says of each piece when it may arrive.
    async fn take(&self, mut from: ReadHalf<'_>, to: mpsc::Sender<Piece>, dice: &mut Dice) -> io::Result<()> {
        loop {
            let mut bytes = vec![0; PIECE_BYTES];
            let read = from.read(&mut bytes).await?;
            bytes.truncate(read);
            let weather = self.weather(&self.shared.conditions.borrow());
            let due = Instant::now() + weather.delay + dice.time(Duration::ZERO, weather.jitter);
            // An empty piece is the end, and as late as any.
            if to.send(Piece { due, bytes }).await.is_err() || read == 0 {
                return Ok(());
            }
        }
    }

    /// Writes the pieces when they are due, in the order in which they came.
    async fn give(&self, mut to: WriteHalf<'_>, mut pieces: mpsc::Receiver<Piece>, dice: &mut Dice) -> io::Result<()> {
        let mut conditions = self.shared.conditions.clone();
        let (mut passed, mut change) = (0, 0);
        while let Some(Piece { due, bytes }) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            let mut rest = &bytes[..];
            loop {
                let now = conditions.wait_for(|now| !self.weather(now).stall).await;
                let now = now.map_err(|_| io::ErrorKind::ConnectionReset)?.clone();
                let weather = self.weather(&now);
                if now.change != change {
                    (passed, change) = (0, now.change);
                }
                if rest.is_empty() {
                    break;
                }
                let Some(length) = allowed(&weather, rest.len(), passed, dice)? else {
                    return to.shutdown().await;
                };
                to.write_all(&rest[..length]).await?;
                self.shared.traffic.bytes.fetch_add(length as u64, Ordering::Relaxed);
                passed += length as u64;
                rest = &rest[length..];
                pace(&weather, length).await;
            }
            if bytes.is_empty() {
                break;
            }
        }
        to.shutdown().await
    }
}

/// How much may pass now; none: this direction ends here; an error: the connection does.
fn allowed(weather: &Weather, wanted: usize, passed: u64, dice: &mut Dice) -> io::Result<Option<usize>> {
    let left = |limit: u64| usize::try_from(limit.saturating_sub(passed)).unwrap_or(usize::MAX);
    if weather.reset_after.is_some_and(|limit| left(limit) == 0) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    if weather.half_close_after.is_some_and(|limit| left(limit) == 0) {
        return Ok(None);
    }
    let mut length = wanted;
    if let Some(most) = weather.slice {
        length = length.min(1 + dice.below(most.max(1)));
    }
    if let Some(rate) = weather.throttle {
        // A tenth of a second's worth, so that a change of the weather is felt soon.
        length = length.min(usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1));
    }
    for limit in [weather.reset_after, weather.half_close_after].into_iter().flatten() {
        length = length.min(left(limit));
    }
    Ok(Some(length))
}

/// Takes the time that so many bytes take.
async fn pace(weather: &Weather, length: usize) {
    if let Some(rate) = weather.throttle {
        tokio::time::sleep(Duration::from_secs_f64(length as f64 / rate.max(1) as f64)).await;
    } else if weather.slice.is_some() {
        // Lets the other side see the slice before the next one comes.
        tokio::task::yield_now().await;
    }
}

mod tests {
    use super::*;

    /// Says back what it hears, and closes when the other side does.
    async fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                    let _ = to.shutdown().await;
                });
            }
        });
        port
    }

    async fn through(seed: u64) -> (Proxy, TcpStream) {
        let proxy = Proxy::start(echo().await, seed).await;
        let client = TcpStream::connect(proxy.address()).await.unwrap();
        (proxy, client)
    }

    async fn says(client: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
        let mut back = vec![0; bytes.len()];
        let (mut from, mut to) = client.split();
        let both = async { tokio::try_join!(to.write_all(bytes), from.read_exact(&mut back)).map(drop) };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("in time").unwrap();
        back
    }

    #[tokio::test]
    async fn proxy_passes_everything_in_order_whatever_the_weather() {
        let mut dice = Dice::new(7);
        let bytes: Vec<u8> = (0..200_000).map(|_| dice.next() as u8).collect();
        for weather in [
            Weather::default(),
            Weather::delay(Duration::from_millis(30)),
            Weather::jitter(Duration::from_millis(30)),
            Weather::throttle(400_000),
            Weather { slice: Some(700), jitter: Duration::from_millis(3), ..Weather::default() },
        ] {
            let (proxy, mut client) = through(3).await;
            proxy.set_both(weather.clone());
            let begin = Instant::now();
            assert!(says(&mut client, &bytes).await == bytes, "altered by {weather:?}");
            assert!(begin.elapsed() >= weather.delay * 2, "too early: {weather:?}");
            assert_eq!(proxy.traffic().bytes.load(Ordering::Relaxed), 400_000);
        }
    }

    #[tokio::test]
    async fn proxy_throttle_takes_its_time() {
        let (proxy, mut client) = through(1).await;
        proxy.set(Weather::throttle(20_000), Weather::default());
        let begin = Instant::now();
        says(&mut client, &[1; 10_000]).await;
        assert!(begin.elapsed() >= Duration::from_millis(400), "{:?}", begin.elapsed());
    }

    #[tokio::test]
    async fn proxy_stall_holds_and_heals() {
        let (proxy, mut client) = through(1).await;
        says(&mut client, b"before").await;
        proxy.set(Weather::default(), Weather::stall());
        client.write_all(b"during").await.unwrap();
        let mut back = [0; 6];
        let early = tokio::time::timeout(Duration::from_millis(200), client.read_exact(&mut back)).await;
        assert!(early.is_err(), "a stalled proxy passed {back:?}");
        proxy.heal();
        tokio::time::timeout(Duration::from_secs(10), client.read_exact(&mut back)).await.expect("healed").unwrap();
        assert_eq!(&back, b"during");
    }

    #[tokio::test]
    async fn proxy_resets_after_so_many_bytes() {
        let (proxy, mut client) = through(1).await;
        says(&mut client, &[0; 100]).await;
        // Counted from the change on.
        proxy.set(Weather::default(), Weather::reset_after(10));
        client.write_all(&[2; 50]).await.unwrap();
        let mut back = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut back)).await.expect("an end");
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert!(back.len() <= 10, "{} bytes passed", back.len());
    }

    #[tokio::test]
    async fn proxy_half_close_leaves_the_other_half() {
        let (proxy, mut client) = through(1).await;
        proxy.set(Weather::half_close_after(5), Weather::default());
        client.write_all(b"hello and more").await.unwrap();
        let mut back = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut back)).await.expect("an end").unwrap();
        assert_eq!(back, b"hello", "the way back stays open for what was said");
    }

    #[tokio::test]
    async fn proxy_refuses_and_cuts() {
        let (proxy, mut client) = through(1).await;
        says(&mut client, b"hello").await;
        proxy.refuse(true);
        says(&mut client, b"old connections stay").await;
        let mut second = TcpStream::connect(proxy.address()).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(10), second.read(&mut [0; 1])).await.expect("an end");
        assert!(!matches!(end, Ok(1..)), "a refused connection got something");
        proxy.refuse(false);
        proxy.cut();
        let end = tokio::time::timeout(Duration::from_secs(10), client.read(&mut [0; 1])).await.expect("an end");
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        let mut third = TcpStream::connect(proxy.address()).await.unwrap();
        says(&mut third, b"and new ones come").await;
    }
}
