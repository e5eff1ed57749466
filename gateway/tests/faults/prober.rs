//! Asks each node whether it is ready, and sends a canary through it: a publication on a channel without
//! history, over the node's API, to a client of the same node. Both past all proxies.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::checker::Entry;
use crate::gateway::API_KEY;
use crate::recorder::Recorder;
use crate::token;

/// How often.
const PERIOD: Duration = Duration::from_millis(250);

/// For each step of the canary's way.
const STEP_LIMIT: Duration = Duration::from_secs(2);

/// A node, as it is watched.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) name: String,
    pub(crate) listen: SocketAddr,
    pub(crate) internal: SocketAddr,
}

/// Watches until `stop` says true.
pub(crate) async fn watch(node: Watched, recorder: Recorder, http: reqwest::Client, stop: watch::Receiver<bool>) {
    let (mut heard, mut stopped) = (stop.clone(), stop);
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = readiness(&node, &recorder, &http) => {}
        () = sing(&node, &http) => {}
        () = listen(&node, &recorder) => {}
    }
    let _ = heard.wait_for(|stop| *stop).await;
}

async fn readiness(node: &Watched, recorder: &Recorder, http: &reqwest::Client) {
    let name = recorder.name(&node.name);
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = http.get(format!("http://{}/ready", node.internal)).timeout(STEP_LIMIT).send().await;
        if let Ok(answer) = answer {
            recorder.push(Entry::Ready { node: name, ready: answer.status() == 200 });
        }
    }
}

async fn sing(node: &Watched, http: &reqwest::Client) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let song = format!(r#"{{"channel":"canary:{}","data":1}}"#, node.name);
        let request = http.post(format!("http://{}/api/publish", node.listen)).timeout(STEP_LIMIT).body(song);
        let _ = request.header("X-API-Key", API_KEY).header("Content-Type", "application/json").send().await;
    }
}

async fn listen(node: &Watched, recorder: &Recorder) {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    let name = recorder.name(&node.name);
    loop {
        tokio::time::sleep(PERIOD).await;
        let come = async {
            let stream = tokio::net::TcpStream::connect(node.listen).await.ok()?;
            let url = format!("ws://{}/connection/websocket", node.listen);
            Some(tokio_tungstenite::client_async(url, stream).await.ok()?.0)
        };
        let Ok(Some(mut socket)) = timeout(STEP_LIMIT, come).await else { continue };
        let token = token::mint(&serde_json::json!({ "sub": "canary" }));
        let hello = format!(
            "{{\"id\":1,\"connect\":{{\"token\":\"{token}\"}}}}\n{{\"id\":2,\"subscribe\":{{\"channel\":\"canary:{}\"}}}}",
            node.name
        );
        if socket.send(Message::text(hello)).await.is_err() {
            continue;
        }
        // A node that says nothing for so long has stopped, or its canary was refused a seat.
        while let Ok(Some(Ok(message))) = timeout(Duration::from_secs(5), socket.next()).await {
            let Message::Text(text) = message else { break };
            if text.split('\n').any(|line| line == "{}") && socket.send(Message::text("{}")).await.is_err() {
                break;
            }
            if text.contains(r#""pub""#) {
                recorder.push(Entry::Canary { node: name });
            }
            if text.contains(r#""error""#) {
                break;
            }
        }
    }
}
