//! How an outbox meets its socket: what is gathered, what waits, who is woken.

use std::sync::atomic::AtomicBool;
use std::task::Wake;

use super::*;

/// Remembers that it was woken.
#[derive(Debug, Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Bell {
    fn rang(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

fn with_bell(listener: &mut Listener) -> (Arc<Bell>, Waker) {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    assert_eq!(listener.reader.poll(&mut Context::from_waker(&waker), false), Poll::Pending);
    (bell, waker)
}

#[test]
fn what_has_gathered_goes_out_in_one_write_and_wakes_nobody() {
    let mut a = Listener::open();
    let (bell, _) = with_bell(&mut a);
    let before = a.tape.writes.load(Ordering::SeqCst);
    assert_eq!(a.outbox.push(frame("1")), Ok(Taken::Flush));
    for text in ["2", "3", "4"] {
        assert_eq!(a.outbox.push(frame(text)), Ok(Taken::Waits), "it is on a list already");
    }
    assert_eq!(a.read(), ["1", "2", "3", "4"]);
    assert_eq!(a.tape.writes.load(Ordering::SeqCst), before + 1);
    assert_eq!(a.outbox.waiting(), ByteSize(0));
    assert!(!bell.rang(), "the reader has nothing to do with it");
    assert_eq!(a.outbox.push(frame("5")), Ok(Taken::Flush), "the next one is listed again");
}

#[test]
fn what_a_socket_does_not_take_waits_for_the_reader() {
    let mut a = Listener::open();
    let (bell, waker) = with_bell(&mut a);
    // Half of the first frame, with its head of nine bytes.
    a.tape.give_room(9 + 2);
    assert_eq!(a.outbox.push(frame("1234")), Ok(Taken::Flush));
    assert_eq!(a.outbox.push(frame("5678")), Ok(Taken::Waits));
    a.outbox.flush();
    assert!(bell.rang(), "somebody has to wait for the socket");
    assert_eq!(a.outbox.waiting(), ByteSize(2 + 9 + 4));
    assert_eq!(a.outbox.push(frame("9")), Ok(Taken::Waits), "the socket takes nothing");
    let mut cx = Context::from_waker(&waker);
    assert_eq!(a.reader.poll(&mut cx, false), Poll::Pending);
    assert!(a.tape.frames().is_empty());
    a.tape.give_room(usize::MAX);
    assert_eq!(a.reader.poll(&mut cx, false), Poll::Pending);
    assert_eq!(a.tape.frames(), [frame("1234"), frame("5678"), frame("9")]);
    assert_eq!(a.outbox.waiting(), ByteSize(0));
}

#[test]
fn large_frames_keep_their_place_however_they_are_cut() {
    let mut a = Listener::open();
    let large: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    a.tape.give_room(0);
    for text in ["1", large, "2"] {
        a.outbox.reply(frame(text)).unwrap();
    }
    // Poured out in thimblefuls: each poll goes on where the one before was stopped.
    while a.outbox.waiting() > ByteSize(0) {
        a.tape.give_room(7_001);
        assert_eq!(a.poll(), Poll::Pending);
    }
    assert_eq!(a.tape.frames(), [frame("1"), frame(large), frame("2")]);
}

#[test]
fn a_word_of_the_transports_own_goes_first_even_past_the_cork() {
    let mut a = Listener::with_limit(1 << 20);
    assert_eq!(a.outbox.push(frame("1")), Ok(Taken::Waits));
    a.reader.control(Bytes::from_static(b"pong"));
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(a.reader.poll_control(&mut cx), Poll::Ready(()));
    assert_eq!(a.tape.bytes(), b"pong");
}

#[test]
fn a_slow_reader_keeps_what_is_half_out_so_that_a_goodbye_can_follow() {
    let mut a = Listener::with_limit(100);
    a.outbox.uncork(frame("x"));
    a.read();
    a.tape.give_room(9 + 2);
    assert_eq!(a.outbox.push(frame("1234")), Ok(Taken::Flush));
    a.outbox.flush();
    while a.outbox.push(frame("5678")).is_ok() {}
    assert_eq!(a.poll(), Poll::Ready(Signal::Close(CloseCode::Slow.into())));
    a.reader.finish(&CloseCode::Slow.into());
    a.reader.give_up();
    a.reader.control(Bytes::from_static(b"goodbye"));
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(a.reader.poll_clear(&mut cx), Poll::Pending);
    a.tape.give_room(usize::MAX);
    assert_eq!(a.reader.poll_clear(&mut cx), Poll::Ready(()));
    assert_eq!(a.tape.frames(), [frame("1234")]);
    assert_eq!(a.tape.bytes(), b"goodbye");
}

#[tokio::test]
async fn writers_carry_deliveries_out_and_hold_a_pump_that_runs_ahead() {
    let (hub, ..) = hub();
    let mut here: Vec<_> = (0..1000).map(|_| Listener::open()).collect();
    here.iter().for_each(|listener| listener.join(&hub, "news", WireKey::CentrifugeJson));
    let ahead = ByteSize(1000);
    let tasks = crate::task::Tasks::new(Arc::new(Metrics::new()));
    tasks.spawn("writer", Arc::clone(hub.writers()).run(tasks.stop()));
    for _ in 0..1000 {
        hub.writers().keep_up(ahead, 1).await;
        hub.deliver(&channel("news"), &say("1"), None);
        let waiting = here.iter().map(|listener| listener.outbox.waiting().bytes()).max().unwrap();
        assert!(waiting <= 2 * ahead.bytes(), "{waiting} bytes wait");
    }
    tasks.spawn("writer", Arc::clone(hub.writers()).run(tasks.stop()));
    while here.iter().any(|listener| listener.outbox.waiting() > ByteSize(0)) {
        tokio::task::yield_now().await;
    }
    assert!(here.iter_mut().all(|listener| listener.read().len() == 1000));
    assert!(tasks.shutdown(std::time::Duration::from_secs(5)).await.is_ok());
}

#[tokio::test]
async fn what_is_large_goes_alone() {
    let (hub, ..) = hub();
    let a = Listener::open();
    a.join(&hub, "news", WireKey::CentrifugeJson);
    let ahead = ByteSize(1000);
    hub.writers().keep_up(ahead, 900).await;
    hub.deliver(&channel("news"), &say("as if it were large"), None);
    assert!(a.outbox.waiting() > ByteSize(0));
    hub.writers().keep_up(ahead, 900).await;
    assert_eq!(a.outbox.waiting(), ByteSize(0), "the one before was written first");
}

#[test]
fn what_came_before_the_first_word_of_a_connection_that_ends_is_not_told() {
    let mut a = Listener::with_limit(1 << 20);
    assert_eq!(a.outbox.push(frame("1")), Ok(Taken::Waits));
    a.outbox.close(CloseCode::Shutdown.into());
    a.outbox.uncork(frame("connected"));
    a.reader.finish(&CloseCode::Shutdown.into());
    assert!(a.read().is_empty());
}

#[test]
fn one_word_of_the_transports_own_waits_behind_what_is_half_out() {
    let mut a = Listener::with_limit(1 << 20);
    let mut cx = Context::from_waker(Waker::noop());
    a.tape.give_room(2);
    a.reader.control(Bytes::from_static(b"pong"));
    assert_eq!(a.reader.poll_control(&mut cx), Poll::Ready(()), "it is on its way");
    a.reader.control(Bytes::from_static(b"PONG"));
    assert_eq!(a.reader.poll_control(&mut cx), Poll::Pending);
    a.tape.give_room(usize::MAX);
    assert_eq!(a.reader.poll_control(&mut cx), Poll::Ready(()));
    assert_eq!(a.tape.bytes(), b"pongPONG");
}

/// A pipe that notes in whose name it was written to.
#[derive(Debug)]
struct Noted {
    name: &'static str,
    notes: Arc<parking_lot::Mutex<Vec<&'static str>>>,
}

impl Pipe for Noted {
    fn head(&self, _: &Frame, _: &mut Vec<u8>) {}

    fn gather(&self) -> usize {
        1
    }

    fn try_write(&mut self, parts: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
        self.notes.lock().push(self.name);
        Ok(parts.iter().map(|part| part.len()).sum())
    }

    fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_publication_to_a_few_does_not_wait_for_one_to_many() {
    let (hub, ..) = hub();
    let notes = Arc::default();
    let mut readers = Vec::new();
    for (name, count) in [("many", 19_000), ("few", 3)] {
        for _ in 0..count {
            let pipe = Noted { name, notes: Arc::clone(&notes) };
            let (outbox, reader) = Outbox::new(ByteSize::mib(1), Box::new(pipe), Arc::new(Metrics::new()));
            outbox.uncork(frame("hello"));
            outbox.flush();
            let subscriber =
                Subscriber { outbox, wire: WireKey::CentrifugeJson, wants: Wants::default(), ahead: 0, base: 0 };
            hub.add(&channel(name), ConnectionId::random(), subscriber, None);
            readers.push(reader);
        }
    }
    notes.lock().clear();
    for _ in 0..2 {
        hub.deliver(&channel("many"), &say("1"), None);
    }
    hub.deliver(&channel("few"), &say("1"), None);
    let tasks = crate::task::Tasks::new(Arc::new(Metrics::new()));
    tasks.spawn("writer", Arc::clone(hub.writers()).run(tasks.stop()));
    while notes.lock().len() < 2 * 19_000 + 3 {
        tokio::task::yield_now().await;
    }
    let few = notes.lock().iter().rposition(|name| *name == "few").unwrap();
    assert!(few < 200, "the last of a few was written to after {few} others");
    assert!(tasks.shutdown(std::time::Duration::from_secs(5)).await.is_ok());
}
