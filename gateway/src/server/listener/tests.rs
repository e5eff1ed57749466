use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::*;
use crate::telemetry::Metrics;

const DEADLINE: Duration = Duration::from_secs(10);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// A listener with one seat, on a port of its own.
struct House {
    address: SocketAddr,
    tasks: Tasks,
    stop: CancellationToken,
}

impl House {
    fn open(router: Router, life_max: Duration, grace: Duration) -> Self {
        let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = bound.address();
        let (seats, stop) = (Arc::new(Semaphore::new(1)), CancellationToken::new());
        let tasks = Tasks::new(Arc::new(Metrics::new()));
        let header_timeout = DEADLINE * 100;
        let header_max = ByteSize::kib(16);
        let entrance = Entrance::plain();
        let gate = Gate { seats, header_timeout, header_max, life_max, grace, entrance };
        tasks.spawn("listener", bound.serve(router, gate, tasks.clone(), stop.clone()));
        Self { address, tasks, stop }
    }
}

/// Asks and asks until no more requests are taken, and reads nothing.
async fn ask_and_never_read(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let requests = REQUEST.repeat(1000);
    let _ = tokio::time::timeout(DEADLINE, stream.write_all(&requests)).await;
    stream
}

fn large_answers() -> Router {
    Router::new().route("/", get(|| async { "x".repeat(1024 * 1024) }))
}

#[tokio::test]
async fn who_asks_and_never_reads_loses_the_seat() {
    let short = Duration::from_secs(1);
    let house = House::open(large_answers(), short, short);
    let silent = ask_and_never_read(house.address).await;
    // The next in the queue gets the seat and an answer.
    let mut next = TcpStream::connect(house.address).await.unwrap();
    next.write_all(REQUEST).await.unwrap();
    let mut head = [0; 12];
    tokio::time::timeout(DEADLINE, next.read_exact(&mut head)).await.expect("an answer").unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    drop(silent);
}

#[tokio::test]
async fn who_asks_and_never_reads_does_not_hold_up_a_stop() {
    let house = House::open(large_answers(), DEADLINE * 100, Duration::from_millis(300));
    let _silent = ask_and_never_read(house.address).await;
    house.stop.cancel();
    house.tasks.shutdown(DEADLINE).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_has_to_end_finishes_the_request_under_way() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (begun, finish) = (begun.clone(), finish.clone());
        || async move {
            begun.notify_one();
            finish.notified().await;
            "finished"
        }
    };
    let house = House::open(Router::new().route("/", get(handler)), DEADLINE * 100, DEADLINE);
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(&REQUEST.repeat(2)).await.unwrap();
    begun.notified().await;
    house.stop.cancel();
    // The listener is gone when the address is refused: from then on the connection knows, too.
    while TcpStream::connect(house.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    finish.notify_one();
    let mut answers = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answers)).await.expect("the end").unwrap();
    assert_eq!(answers.matches("finished").count(), 1, "{answers}");
    house.tasks.shutdown(DEADLINE).await.unwrap();
}
