//! The demo's ticker: made-up prices that wander, one message for each symbol and tick. It shows what a
//! publisher does when the other side goes away: it keeps trying, says so once, and goes on with the
//! present instead of the past.

use std::time::{Duration, SystemTime};

use fanfare_worker::{Message, PublishError, Publisher};
use rand::RngExt;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{Instrument, info, info_span, warn};

/// The longest wait between two tries while the other side is away.
const RETRY_MAX: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_millis(200);

/// What to publish, where, how often.
#[derive(Debug)]
pub(crate) struct Ticker {
    pub(crate) channel: String,
    pub(crate) interval: Duration,
    /// Ticks that got through; none for no end.
    pub(crate) count: Option<u64>,
    /// Drifting prices, one for each symbol.
    pub(crate) quotes: Vec<Quote>,
}

/// A price as it is published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Quote {
    symbol: String,
    price: f64,
    /// Against the tick before.
    change: f64,
    /// Milliseconds since 1970.
    time: u64,
}

impl Quote {
    pub(crate) fn new(symbol: &str, price: f64) -> Self {
        Self { symbol: symbol.to_owned(), price, change: 0.0, time: now_ms() }
    }

    /// One step of the walk: up to half a per cent of the price either way, to the cent, never below one.
    fn step(&mut self, random: f64) {
        let price = to_cents((self.price * (1.0 + random * 0.005)).max(1.0));
        self.change = to_cents(price - self.price);
        self.price = price;
        self.time = now_ms();
    }

    fn message(&self, channel: &str) -> Message {
        let data = serde_json::to_vec(self).expect("a quote has nothing that JSON cannot hold");
        Message::new(channel, data)
    }
}

/// Ticks until `count` is reached. Ends early only if the other side refuses the messages: then trying
/// again is no use.
///
/// # Cancel safety
/// Dropping it between two ticks loses nothing.
pub(crate) async fn run(mut ticker: Ticker, publisher: &dyn Publisher) -> Result<(), PublishError> {
    let mut ticks = tokio::time::interval(ticker.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut done = 0;
    while ticker.count.is_none_or(|count| done < count) {
        ticks.tick().await;
        get_through(&mut ticker, publisher).await?;
        done += 1;
    }
    Ok(())
}

/// One tick, tried until it is taken: with fresh prices each time, because old ones are of no interest.
async fn get_through(ticker: &mut Ticker, publisher: &dyn Publisher) -> Result<(), PublishError> {
    let mut outage: Option<Instant> = None;
    let mut wait = RETRY_FIRST;
    loop {
        let error = match tick(ticker, publisher).await {
            Ok(()) => break,
            Err(error) if error.is_retryable() => error,
            Err(error) => return Err(error),
        };
        if outage.is_none() {
            warn!(%error, fault = %error.fault(), "not published; trying on");
            outage = Some(Instant::now());
        }
        tokio::time::sleep(wait.mul_f64(rand::rng().random_range(0.5..=1.0))).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
    if let Some(since) = outage {
        let away = humantime::format_duration(Duration::from_millis(
            u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        ));
        info!(%away, "publishing again");
    }
    Ok(())
}

async fn tick(ticker: &mut Ticker, publisher: &dyn Publisher) -> Result<(), PublishError> {
    for quote in &mut ticker.quotes {
        quote.step(rand::rng().random_range(-1.0..=1.0));
    }
    let messages = ticker.quotes.iter().map(|quote| quote.message(&ticker.channel)).collect();
    let span = info_span!("tick", channel = ticker.channel);
    publisher.publish_all(messages).instrument(span).await.into_iter().try_for_each(|answer| answer.map(drop))
}

fn to_cents(price: f64) -> f64 {
    (price * 100.0).round() / 100.0
}

#[allow(clippy::disallowed_methods, reason = "the rule keeps the gateway's clock movable; here the time is only told")]
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_wander_within_reason() {
        let mut quote = Quote::new("FAN", 100.0);
        quote.step(1.0);
        assert_eq!((quote.price, quote.change), (100.5, 0.5));
        quote.step(-1.0);
        assert_eq!((quote.price, quote.change), (100.0, -0.5));
        for _ in 0..2000 {
            quote.step(-1.0);
        }
        assert!(quote.price >= 1.0, "{}", quote.price);
    }
}
