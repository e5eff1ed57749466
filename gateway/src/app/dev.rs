//! `dev`: a gateway for trying out, with throw-away secrets, a demo page and a ticker that says
//! something. Several of them on one Redis share secrets and take the next free ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::build::{App, Ground, Joint};
use super::renewal::Security;
use super::{Gateway, Listeners};
use crate::auth::mint::{self, Ticket};
use crate::broker::Outgoing;
use crate::config::Config;
use crate::config::secret::Secret;
use crate::config::section::ServerConfig;
use crate::model::time::{Clock, SystemClock};
use crate::model::{ChannelName, NodeId, Publication};
use crate::node::{Node, PublishAsk};
use crate::server::Bound;
use crate::server::demo::{self, Demo};
use crate::telemetry::tracing as telemetry;

/// Ports tried after the usual one.
const PORTS: u16 = 100;

/// How long throw-away secrets are kept in a shared Redis after the last `dev` gateway took them.
const SECRETS_TTL: Duration = Duration::from_secs(24 * 3600);

/// How long to wait for a Redis that is only just starting.
const SECRETS_PATIENCE: Duration = Duration::from_secs(10);

/// How often the demo ticker speaks.
const TICK: Duration = Duration::from_secs(1);

/// What was given on the command line and is therefore not to be changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct DevOptions {
    /// `--listen`.
    pub listen_given: bool,
    /// `--internal-listen`.
    pub internal_listen_given: bool,
}

/// Secrets that nobody has to keep.
#[derive(Serialize, Deserialize)]
struct ThrowAway {
    token: String,
    api: String,
}

/// Runs a gateway for trying out, until it is told to stop.
///
/// # Errors
/// As [`super::serve`], and when a shared Redis does not answer for the secrets.
pub async fn dev(mut config: Config, options: DevOptions, warnings: Vec<String>) -> anyhow::Result<()> {
    let id = NodeId::random();
    let guard = telemetry::init(&config.telemetry, "fanfare-gateway", id).context("telemetry cannot start")?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let listeners = free_ports(&config.server, options)?;
    let ground = Ground::new(id, guard.tracing());
    let joint = Joint::build(&config, &ground)?;
    fill_in_secrets(&mut config, &joint).await?;
    let app = App::assemble(config, ground, joint)?;
    let address = listeners.public.address();
    let page = demo::router(demo_page(&app.config, address));
    announce(&app.config, address);
    app.back.spawn("demo ticker", ticker(Arc::clone(&app.sessions.node), app.back.stop()));
    let ended = Gateway::open(app, listeners, Some(page)).drain_on_signal().await;
    drop(guard);
    ended
}

fn free_ports(config: &ServerConfig, options: DevOptions) -> anyhow::Result<Listeners> {
    let bind = |key: &str, wanted: SocketAddr, given: bool, not: Option<SocketAddr>| {
        let last = if given { wanted.port() } else { wanted.port().saturating_add(PORTS) };
        let tries = (wanted.port()..=last).map(|port| SocketAddr::new(wanted.ip(), port));
        let mut error = None;
        for address in tries.filter(|address| given || Some(*address) != not) {
            match Bound::bind(address) {
                Ok(bound) => return Ok(bound),
                Err(e) => error = Some(e),
            }
        }
        let error = error.map_or_else(|| "no port is left".to_owned(), |error| error.to_string());
        anyhow::bail!("{key}: cannot listen on {wanted}: {error}")
    };
    // 8081 is the internal listener's: a second gateway's public one goes to 8082.
    let public = bind("server.listen", config.listen, options.listen_given, Some(config.internal_listen))?;
    let internal = bind("server.internal_listen", config.internal_listen, options.internal_listen_given, None)?;
    Ok(Listeners { public, internal, security: Security::load(config)? })
}

async fn fill_in_secrets(config: &mut Config, joint: &Joint) -> anyhow::Result<()> {
    let hex = || format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
    let mut secrets = ThrowAway { token: hex(), api: hex() };
    if let Some(redis) = &joint.redis {
        let proposed = serde_json::to_string(&secrets)?;
        let shared = async {
            loop {
                match redis.shared_secrets(&proposed, SECRETS_TTL).await {
                    Ok(shared) => return shared,
                    Err(error) => {
                        tracing::info!(%error, "waiting for Redis, which keeps the shared secrets");
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            }
        };
        let shared = tokio::time::timeout(SECRETS_PATIENCE, shared).await;
        let shared = shared.with_context(|| format!("broker.url: {} does not answer", config.broker.url.masked()))?;
        secrets = serde_json::from_str(&shared)
            .context("the shared secrets in Redis are not ours: another broker.prefix helps")?;
    }
    let token = Secret::new(secrets.token);
    config.auth.token.hmac_secret.get_or_insert_with(|| token.clone());
    let token = config.auth.token.hmac_secret.clone();
    config.auth.subscription_token.hmac_secret = config.auth.subscription_token.hmac_secret.take().or(token);
    config.api.key.get_or_insert_with(|| Secret::new(secrets.api));
    Ok(())
}

fn api_key(config: &Config) -> &str {
    config.api.key.as_ref().map_or("", Secret::expose)
}

/// Where everything is.
fn base(config: &Config, address: SocketAddr) -> String {
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{address}")
}

fn demo_page(config: &Config, address: SocketAddr) -> Demo {
    let (auth, clock) = (config.auth.clone(), SystemClock::new());
    let mint = move |user: &str| {
        let issued_at = clock.unix_ms() / 1000;
        let ticket = Ticket { user, channel: None, channels: &[], info: None, issued_at, ttl: None };
        // A secret and an algorithm are there: filled in above, or checked.
        mint::mint(&auth, &ticket).unwrap_or_default()
    };
    let command_hint = format!(
        "curl {}/api/publish -H 'X-API-Key: {}' -H 'Content-Type: application/json' -d '{{\"channel\":\"#{{user}}\",\"data\":{{\"text\":\"hello from the backend\"}}}}'",
        base(config, address),
        api_key(config)
    );
    Demo { mint: Arc::new(mint), command_hint }
}

#[allow(clippy::print_stdout, reason = "what a person at a terminal copies from")]
fn announce(config: &Config, address: SocketAddr) {
    let token = (demo_page(config, address).mint)("dev");
    let (base, key) = (base(config, address), api_key(config));
    println!(
        "\
Fanfare is up, for trying out: broker {}, throw-away secrets.

Demo page
  {base}/

A token for user \"dev\"
  {token}

Publish from a backend
  curl {base}/api/publish -H 'X-API-Key: {key}' -H 'Content-Type: application/json' -d '{{\"channel\":\"chat\",\"data\":{{\"name\":\"backend\",\"text\":\"hello\"}}}}'

The same with the worker
  cargo run --release -p fanfare-worker -- publish --to {base} --api-key {key} --channel chat --data '{{\"name\":\"backend\",\"text\":\"hello\"}}'
",
        config.broker.url.masked()
    );
}

/// Prices that wander. Of several `dev` gateways on one Redis, the one with the lowest id speaks.
async fn ticker(node: Arc<Node>, stop: CancellationToken) {
    let Ok(channel) = ChannelName::parse("ticker") else { return };
    let mut interval = tokio::time::interval(TICK);
    let mut prices = [("FAN", 100.0_f64), ("HORN", 42.0), ("DRUM", 7.5)];
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => {}
        }
        let lowest = node.nodes().await.ok().and_then(|nodes| nodes.into_iter().map(|node| node.id).min());
        if lowest.is_some_and(|lowest| lowest != node.id().to_string()) {
            continue;
        }
        for (symbol, price) in &mut prices {
            *price = (*price * (1.0 + rand::random_range(-0.01..=0.01))).clamp(1.0, 10_000.0);
            let time_ms = node.clock().unix_ms();
            let data =
                serde_json::json!({ "symbol": symbol, "price": (*price * 100.0).round() / 100.0, "time": time_ms });
            let publication = Publication { data: Bytes::from(data.to_string()), time_ms, ..Publication::default() };
            // A tick that is lost is followed by the next one.
            let outgoing = Outgoing { publication, traceparent: String::new() };
            let _ = node.publish(&channel, outgoing, PublishAsk::default()).await;
        }
    }
}
