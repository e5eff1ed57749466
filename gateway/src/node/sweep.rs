//! Gives back to the broker what nobody listens to any more, and looks after the streams of what is quiet.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::Node;

/// How long a channel stays held without listeners: long enough for a client that reconnects or a page
/// that reloads.
const LINGER: Duration = Duration::from_secs(2);

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(500);

/// Give-backs under way at once; the broker gathers them into few commands.
const AT_ONCE: usize = 256;

pub(super) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut interval = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        let idle = node.take_idle(LINGER);
        let sweep = stream::iter(idle).for_each_concurrent(AT_ONCE, |channel| {
            let node = &node;
            async move { node.give_back(&channel).await }
        });
        let sweep = async {
            sweep.await;
            node.check_positions().await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = sweep => {}
        }
    }
}
