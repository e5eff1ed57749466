//! Everything at once, by dice: all kinds of clients and publishers, and one to three faults at a time.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::Character;
use crate::nemesis::{self, Fault};
use crate::world::{Plan, World, channels, seed};

/// At least so long, and at least so many acknowledged publications.
const TIME: Duration = Duration::from_secs(75);
const ACKED: u64 = 100_000;

/// And no longer than this, on a machine that cannot do so much.
const TIME_MAX: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_run_mix() {
    let _turn = crate::turn().await;
    let minutes: Option<u64> = std::env::var("FANFARE_FAULTS_MINUTES").ok().map(|minutes| minutes.parse().unwrap());
    let end = Instant::now() + minutes.map_or(Duration::ZERO, |minutes| Duration::from_secs(60 * minutes));
    let mut seed = seed();
    loop {
        mix(seed).await;
        seed = seed.wrapping_add(1);
        if Instant::now() >= end {
            break;
        }
    }
}

/// One run.
async fn mix(seed: u64) {
    // Half of the runs have a Redis that keeps what it has acknowledged, and dies and comes back with it.
    let durable = seed.is_multiple_of(2);
    let mut world = World::start("fault_run_mix", seed, Plan { nodes: 3, durable }).await;
    populate(&mut world);
    world.all_subscribed().await;
    let faults: Vec<Fault> = Fault::ALL
        .iter()
        .copied()
        .filter(|fault| *fault != if durable { Fault::RedisEmpty } else { Fault::RedisRestarted })
        .collect();
    let begin = Instant::now();
    let goes_on = |world: &World| {
        let enough = world.acked() >= ACKED && begin.elapsed() >= TIME;
        !enough && begin.elapsed() < TIME_MAX
    };
    nemesis::rage(&mut world, &faults, goes_on).await;
    // A machine that is too slow for all of it has shown a good part.
    let slow = begin.elapsed() >= TIME_MAX;
    let wanted = if slow { ACKED / 4 } else { ACKED };
    println!("fault_run_mix: {} acknowledged in {:?}, {wanted} are wanted", world.acked(), begin.elapsed());
    let report = world.finish().await;
    assert!(report.acked as u64 >= wanted, "only {} publications were acknowledged", report.acked);
    assert!(report.recovered > 0, "nobody recovered anything");
    assert!(report.unrecovered > 0, "nobody was told of a loss, and much was lost");
}

fn populate(world: &mut World) {
    let (streams, windows) = (channels("stream", 12), channels("window", 4));
    let all: Vec<String> = streams.iter().chain(&windows).cloned().collect();
    let doors = world.doors();
    for i in 0..24 {
        let mut mine = all.clone();
        world.dice.shuffle(&mut mine);
        mine.truncate(4);
        let character = Character {
            name: format!("client{i}"),
            doors: doors.clone(),
            channels: mine,
            restless: (i % 4 == 0).then_some(Duration::from_millis(400)),
            publishes: (i % 6 == 1).then_some(Duration::from_millis(60)),
        };
        world.client(character);
    }
    world.officials(4, &[streams[0].clone(), streams[1].clone(), windows[0].clone()]);
    for _ in 0..6 {
        world.publisher(&all, 50, Duration::from_millis(150));
    }
    world.watch();
}
