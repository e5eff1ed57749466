//! No sequence of commands lets a client receive a publication of a channel that the rules deny to it:
//! real sessions on a real node with the broker in memory, against a small model of the rules that was
//! written from the manual and shares no code with them.
//!
//! Each run makes up namespaces and patterns with options, tokens with and without capabilities, and a
//! sequence of what several clients, a backend and an operator do. After each step everything that every
//! client got is compared with what the model says it gets: not more, and not less either, since a gateway
//! that lets nobody in would keep the promise, too.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/alone.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod alone;

mod model;
mod script;
mod world;

use proptest::prelude::*;

use model::Model;
use script::{House, Step};
use world::World;

/// Plays steps in both, and compares after each.
fn play(house: &House, steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (mut world, mut model) = (World::new(house), Model::new(house));
        for (number, step) in steps.iter().enumerate() {
            let expected = model.play(step);
            let seen = world.play(step).await;
            prop_assert_eq!(&seen, &expected, "after step {}: {:?}", number, step);
        }
        world.end().await;
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_receives_what_the_rules_deny(house in script::house(), steps in script::steps()) {
        play(&house, &steps)?;
    }
}

/// The property is of no use if its runs do nothing: most kinds of what may happen must happen in some.
#[test]
fn the_runs_are_not_empty() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut tally = model::Tally::default();
    for _ in 0..2_000 {
        let house = script::house().new_tree(&mut runner).unwrap().current();
        let mut model = Model::new(&house);
        for step in script::steps().new_tree(&mut runner).unwrap().current() {
            model.play(&step);
        }
        tally.add(model.tally());
    }
    assert!(tally.all_above(100), "{tally:?}");
}
