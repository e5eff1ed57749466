//! One fault each, and exactly what is promised for it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::checker::{Entry, KINDS, Name, Place, check, plant};
use crate::client::{Character, Orders};
use crate::nemesis::{self, Fault};
use crate::proxy::Weather;
use crate::publisher::last_words;
use crate::world::{LIMITS, Plan, World, channels, seed};

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
        world.publisher(&channels, 20, Duration::from_millis(50));
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
        world.publisher(&channels, 20, Duration::from_millis(50));
    }
    let mut dice = world.dice.fork();
    let cut = nemesis::inject(&mut world, Fault::SubscriptionsCut, 0, &mut dice).await;
    sleep(Duration::from_secs(10)).await;
    nemesis::heal(&mut world, cut).await;
    let report = world.finish().await;
    assert_eq!((subscribes(&world), report.told), (before, 0), "clients noticed");
    assert!(report.acked > 500, "only {} acknowledged", report.acked);
    plant_into(&mut world);
}

/// The judge would have seen it: a real log, broken in every way that it has a place for.
fn plant_into(world: &mut World) {
    let log = world.recorder.read(Clone::clone);
    let mut planted = 0;
    for kind in KINDS {
        let Some(broken) = (0..20).find_map(|_| plant(&log, kind, &mut world.dice)) else { continue };
        planted += 1;
        assert_eq!(kind.missed(&check(&broken, LIMITS)), None);
    }
    println!("{}: {planted} kinds of violations planted into its log, all found", world.run);
    assert!(planted >= 15, "only {planted} kinds had a place");
}

/// Everybody is told of a loss within five seconds, on channels where something is said and on those where
/// nothing is; answers after how long the last one was.
async fn all_told(world: &World, back_ms: u64, seats: usize) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let last_ms = loop {
        let told = told_since(world, back_ms);
        if told.len() == seats {
            break told.into_iter().max().unwrap() - back_ms;
        }
        assert!(Instant::now() < deadline, "only {} of {seats} were told", told.len());
        sleep(Duration::from_millis(20)).await;
    };
    println!("{}: all told within {last_ms} ms", world.run);
    assert!(last_ms <= 5_000, "the last one was told after {last_ms} ms");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_redis_empty_is_told() {
    let _turn = crate::turn().await;
    let mut world = World::start("fault_run_redis_empty_is_told", seed(), Plan { nodes: 3, durable: false }).await;
    let channels = channels("stream", 10);
    listeners(&mut world, 100, &channels);
    world.all_subscribed().await;
    // Half of the channels are silent from here on.
    last_words(&world.press, &world.addresses(), &channels).await;
    world.publisher(&channels[..5], 20, Duration::from_millis(50));
    sleep(Duration::from_secs(1)).await;
    let mut dice = world.dice.fork();
    let gone = nemesis::inject(&mut world, Fault::RedisEmpty, 0, &mut dice).await;
    sleep(Duration::from_secs(1)).await;
    nemesis::heal(&mut world, gone).await;
    all_told(&world, world.recorder.now_ms(), 200).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_flush_is_told_in_silence() {
    let _turn = crate::turn().await;
    let mut world = World::start("fault_run_flush_is_told_in_silence", seed(), Plan { nodes: 3, durable: false }).await;
    let channels = channels("stream", 10);
    listeners(&mut world, 100, &channels);
    world.all_subscribed().await;
    last_words(&world.press, &world.addresses(), &channels).await;
    let mut dice = world.dice.fork();
    // No link breaks, nothing more is published: only who looks can know.
    let flushed_ms = world.recorder.now_ms();
    nemesis::inject(&mut world, Fault::Flushed, 0, &mut dice).await;
    all_told(&world, flushed_ms, 200).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_last_word_is_heard() {
    let _turn = crate::turn().await;
    let mut world = World::start("fault_run_last_word_is_heard", seed(), Plan { nodes: 3, durable: false }).await;
    let channels = channels("stream", 10);
    listeners(&mut world, 60, &channels);
    world.all_subscribed().await;
    let before = subscribes(&world);
    for round in 0..4 {
        // Node 0 does not hear what node 1 publishes, and nothing comes after it that would show the gap.
        let cut = match round % 2 {
            0 => {
                world.links[0].set(Weather::default(), Weather::stall());
                None
            }
            _ => {
                let mut dice = world.dice.fork();
                Some(nemesis::inject(&mut world, Fault::SubscriptionsCut, 0, &mut dice).await)
            }
        };
        sleep(Duration::from_millis(300)).await;
        let words = last_words(&world.press, &world.addresses()[1..2], &channels).await;
        sleep(Duration::from_secs(1)).await;
        // What was held back is lost, and not just late.
        world.links[0].cut();
        world.links[0].heal();
        if let Some(cut) = cut {
            nemesis::heal(&mut world, cut).await;
        }
        let healed = Instant::now();
        let words: HashMap<Name, Place> = words.into_iter().collect();
        world.until("the last word is heard", |channel, seen| seen.live && seen.place == Some(words[&channel])).await;
        println!("{}: heard {:?} after the link was back", world.run, healed.elapsed());
        assert!(healed.elapsed() < Duration::from_secs(10), "heard after {:?}", healed.elapsed());
    }
    let report = world.finish().await;
    assert_eq!((subscribes(&world), report.told), (before, 0), "clients noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_slow_readers() {
    let _turn = crate::turn().await;
    let mut world = World::start("fault_run_slow_readers", seed(), Plan { nodes: 2, durable: false }).await;
    let channels = channels("stream", 2);
    listeners(&mut world, 20, &channels);
    for i in 0..5 {
        let mut character = listener(&world, format!("slow{i}"), &channels);
        character.doors = vec![world.doors()[0]];
        world.client(character);
    }
    world.all_subscribed().await;
    world.doors[0].set(Weather::default(), Weather::throttle(2_000));
    for _ in 0..2 {
        world.publisher_of(&channels, 20, Duration::from_millis(50), 8_000);
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while world.metric("fanfare_disconnects_total", "code=\"3008\"").await < 5.0 {
        assert!(Instant::now() < deadline, "slow readers are not cut off");
        sleep(Duration::from_millis(100)).await;
    }
    world.doors[0].heal();
    let report = world.finish().await;
    assert!(report.recovered + report.unrecovered >= 10, "all slow ones came back on both channels");
}

/// When each seat was first told that its recovery failed.
fn told_since(world: &World, since_ms: u64) -> Vec<u64> {
    let mut first = HashMap::<(Name, Name), u64>::new();
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
    world.until("everybody is away", |_, seen| !seen.live).await;
    let words = last_words(&world.press, &world.addresses(), &vec![channel[0].clone(); 50]).await;
    assert_eq!(words.len(), 50);
    let before = reads(&world).await;
    let begin = Instant::now();
    world.orders.send_modify(|orders: &mut Orders| orders.away = false);
    world.all_subscribed().await;
    let reads = reads(&world).await - before;
    println!("fault_run_storm_reads_history_once: back after {:?}, {reads} history reads", begin.elapsed());
    let report = world.finish().await;
    // Who is cut off once more on a slow machine recovers once more.
    assert!(report.recovered >= CLIENTS, "{} recoveries", report.recovered);
    assert_eq!(report.unrecovered, 0);
    assert!(reads <= READS_MAX * 3, "{reads} history reads for three nodes");
}

/// History reads that Redis has done, scripts' included.
async fn reads(world: &World) -> u64 {
    let info: String = world.redis.run(&["INFO", "commandstats"]).await;
    let calls = |line: &str| line.split("calls=").nth(1)?.split(',').next()?.parse::<u64>().ok();
    let reads = info.lines().filter(|line| line.starts_with("cmdstat_xrange") || line.starts_with("cmdstat_xrevrange"));
    reads.filter_map(calls).sum()
}
