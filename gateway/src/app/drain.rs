//! Going down: not ready, wait for the balancer, send clients to other nodes a few at a time, then close
//! what is behind. Each phase has a deadline; who is still inside at the end is named.

use std::sync::Arc;
use std::time::Duration;

use fanfare_proto::code::CloseCode;
use rand::seq::SliceRandom;
use tokio_util::sync::CancellationToken;

use super::build::App;
use crate::node::Node;

/// How often a batch of sockets is closed.
const STEP: Duration = Duration::from_millis(100);

/// What the parts behind the sockets get to end, at most: they only have to notice.
const BACK_MAX: Duration = Duration::from_secs(5);

/// `/ready` says no already; `accepting` ends the public listener.
pub(super) async fn drain(app: &App, accepting: CancellationToken) {
    let config = &app.config.shutdown;
    let back = BACK_MAX.min(config.timeout / 4);
    let all = async {
        tokio::time::sleep(config.ready_delay).await;
        accepting.cancel();
        close_in_batches(&app.sessions.node, config.drain).await;
        // Those that came meanwhile, and those that have not said who they are.
        app.sessions.begin_shutdown();
        close_in_batches(&app.sessions.node, Duration::ZERO).await;
        app.front.drained().await;
    };
    if tokio::time::timeout(config.timeout.saturating_sub(back), all).await.is_err() {
        tracing::warn!(left = ?app.front.names(), "shutdown.timeout is over; these are cut off");
    }
    // While the broker's link is still there.
    let _ = tokio::join!(tokio::time::timeout(back / 2, app.sessions.node.retire()), retire_webhook(app, back / 2));
    if let Err(left) = app.back.shutdown(back).await {
        tracing::warn!(?left, "these did not end");
    }
    tracing::info!("down");
}

/// That clients have gone is told as well.
async fn retire_webhook(app: &App, patience: Duration) {
    let Some(webhook) = &app.webhook else { return };
    if tokio::time::timeout(patience, webhook.retire()).await.is_err() {
        tracing::warn!("not all events for the webhook are delivered; other nodes go on with them, if there are any");
    }
}

/// Tells everyone to come back elsewhere, evenly over `window`, in random order.
async fn close_in_batches(node: &Arc<Node>, window: Duration) {
    let mut members = node.everyone();
    if members.is_empty() {
        return;
    }
    tracing::info!(connections = members.len(), window_ms = window.as_millis(), "closing connections");
    members.shuffle(&mut rand::rng());
    let steps = usize::try_from(window.as_millis() / STEP.as_millis()).unwrap_or(0).max(1);
    for batch in members.chunks(members.len().div_ceil(steps)) {
        for member in batch {
            member.outbox.close(CloseCode::Shutdown.into());
        }
        if !window.is_zero() {
            tokio::time::sleep(STEP).await;
        }
    }
}
