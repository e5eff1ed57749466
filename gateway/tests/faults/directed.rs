//! One fault each, and exactly what is promised for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::checker::{Entry, Name};
use crate::client::{Character, Orders};
use crate::nemesis::{self, Fault};
use crate::world::{Plan, World, channels, seed};

/// How often somebody subscribed, by the log.
fn subscribes(world: &World) -> usize {
    world.recorder.read(|log| log.lines.iter().filter(|l| matches!(l.entry, Entry::Subscribed { .. })).count())
}

fn listener(world: &World, name: String, channels: &[String]) -> Character {
    // Past the proxies: what is not broken here shall cost nothing.
    Character { name, doors: world.addresses(), channels: channels.to_vec(), restless: None, publishes: None }
}

/// So many listeners, each on two of the channels.
fn listeners(world: &mut World, count: usize, channels: &[String]) {
    for i in 0..count {
        let mine = [channels[i % channels.len()].clone(), channels[(i + 1) % channels.len()].clone()];
        let character = listener(world, format!("client{i}"), &mine);
        world.client(character);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_kill_a_node_under_load() {
    let _turn = crate::turn().await;
    let mut world = World::start("fault_run_kill_a_node_under_load", seed(), Plan { nodes: 3, durable: false }).await;
    let channels = channels("stream", 10);
    listeners(&mut world, 300, &channels);
    world.all_subscribed().await;
    for _ in 0..2 {
        world.publisher(&channels, 10, Duration::from_millis(50));
    }
    world.watch();
    for node in [0, 2] {
        sleep(Duration::from_secs(2)).await;
        let mut dice = world.dice.fork();
        let killed = nemesis::inject(&mut world, Fault::NodeKilled, node, &mut dice).await;
        sleep(Duration::from_secs(1)).await;
        nemesis::heal(&mut world, killed).await;
        world.all_subscribed().await;
    }
    let report = world.finish().await;
    assert_eq!((report.unrecovered, report.told), (0, 0), "all could go on from where they were");
    assert!(report.recovered >= 100, "only {} came back", report.recovered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_cut_subscriptions_unnoticed() {
    let _turn = crate::turn().await;
    let mut world =
        World::start("fault_run_cut_subscriptions_unnoticed", seed(), Plan { nodes: 3, durable: false }).await;
    let channels = channels("stream", 10);
    listeners(&mut world, 60, &channels);
    world.all_subscribed().await;
    let before = subscribes(&world);
    for _ in 0..2 {
        world.publisher(&channels, 10, Duration::from_millis(50));
    }
    let mut dice = world.dice.fork();
    let cut = nemesis::inject(&mut world, Fault::SubscriptionsCut, 0, &mut dice).await;
    sleep(Duration::from_secs(10)).await;
    nemesis::heal(&mut world, cut).await;
    let report = world.finish().await;
    assert_eq!((subscribes(&world), report.told), (before, 0), "clients noticed");
    assert!(report.acked > 500, "only {} acknowledged", report.acked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_redis_empty_is_told() {
    let _turn = crate::turn().await;
    let mut world = World::start("fault_run_redis_empty_is_told", seed(), Plan { nodes: 3, durable: false }).await;
    let channels = channels("stream", 10);
    listeners(&mut world, 100, &channels);
    world.all_subscribed().await;
    world.publisher(&channels, 20, Duration::from_millis(50));
    sleep(Duration::from_secs(2)).await;
    let mut dice = world.dice.fork();
    let gone = nemesis::inject(&mut world, Fault::RedisEmpty, 0, &mut dice).await;
    sleep(Duration::from_secs(1)).await;
    nemesis::heal(&mut world, gone).await;
    let back_ms = world.recorder.now_ms();
    let seats = 200;
    // Everybody is told by a reply that says so, within five seconds of Redis being there again.
    let deadline = Instant::now() + Duration::from_secs(30);
    let told_by = loop {
        let told = told_since(&world, back_ms);
        if told.len() == seats {
            break told.into_iter().max().unwrap();
        }
        assert!(Instant::now() < deadline, "only {} of {seats} were told", told.len());
        sleep(Duration::from_millis(20)).await;
    };
    assert!(told_by - back_ms <= 5_000, "the last one was told after {} ms", told_by - back_ms);
    println!("fault_run_redis_empty_is_told: all told within {} ms", told_by - back_ms);
    world.finish().await;
}

/// When each seat was first told that its recovery failed.
fn told_since(world: &World, since_ms: u64) -> Vec<u64> {
    let mut first = std::collections::HashMap::<(Name, Name), u64>::new();
    world.recorder.read(|log| {
        for line in log.lines.iter().rev().take_while(|line| line.at_ms >= since_ms) {
            if let Entry::Subscribed { client, channel, asked: Some(_), recovered: false, .. } = line.entry {
                first.insert((client, channel), line.at_ms);
            }
        }
    });
    first.into_values().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_storm_reads_history_once() {
    const CLIENTS: usize = 10_000;
    const READS_MAX: u64 = 15;
    let _turn = crate::turn().await;
    let mut world = World::start("fault_run_storm_reads_history_once", seed(), Plan { nodes: 3, durable: false }).await;
    let channel = channels("stream", 1);
    for i in 0..CLIENTS {
        let character = listener(&world, format!("client{i}"), &channel);
        world.client(character);
    }
    world.all_subscribed().await;
    world.orders.send_modify(|orders| orders.away = true);
    world.until("everybody is away", |seen| !seen.live).await;
    let words = crate::publisher::last_words(&world.press, &world.addresses(), &vec![channel[0].clone(); 50]).await;
    assert_eq!(words.len(), 50);
    let before = reads(&world).await;
    let begin = Instant::now();
    world.orders.send_modify(|orders: &mut Orders| orders.away = false);
    world.all_subscribed().await;
    let reads = reads(&world).await - before;
    println!("fault_run_storm_reads_history_once: back after {:?}, {reads} history reads", begin.elapsed());
    let report = world.finish().await;
    assert_eq!(report.recovered, CLIENTS);
    assert!(reads <= READS_MAX * 3, "{reads} history reads for three nodes");
}

/// History reads that Redis has done, scripts' included.
async fn reads(world: &World) -> u64 {
    let info: String = world.redis.run(&["INFO", "commandstats"]).await;
    let calls = |line: &str| line.split("calls=").nth(1)?.split(',').next()?.parse::<u64>().ok();
    let reads = info.lines().filter(|line| line.starts_with("cmdstat_xrange") || line.starts_with("cmdstat_xrevrange"));
    reads.filter_map(calls).sum()
}
