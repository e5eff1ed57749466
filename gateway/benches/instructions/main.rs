//! What the gateway's hot paths cost in instructions, which, unlike times, are the same on a busy machine
//! and on a quiet one. Without arguments it lists its scenarios; with the name of one it carries that out
//! once, and callgrind counts what happens inside of [`measure::measured`]. `deploy/check/instructions` runs
//! them all and compares the counts with `recorded.toml`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal and a script")]

#[path = "../../tests/support/alone.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses a part of the kit")]
mod alone;
mod codec;
mod fanout;
mod measure;
mod sink;
mod socket;
mod stream;
mod token;

use std::process::ExitCode;

/// Something that is counted.
struct Scenario {
    name: &'static str,
    run: fn(),
    /// How many of `what` one run is about.
    count: usize,
    what: &'static str,
}

impl Scenario {
    const fn new(name: &'static str, run: fn(), count: usize, what: &'static str) -> Self {
        Self { name, run, count, what }
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario::new("deliver", fanout::deliver, fanout::SUBSCRIBERS, "subscriber"),
    Scenario::new("write_1", fanout::write_1, fanout::SUBSCRIBERS, "outbox with 1 frame"),
    Scenario::new("write_32", fanout::write_32, fanout::SUBSCRIBERS, "outbox with 32 frames"),
    Scenario::new("outbox", fanout::outbox, fanout::ROUNDS, "push with its flush"),
    Scenario::new("encode_json", codec::encode_json, codec::ROUNDS, "publication"),
    Scenario::new("encode_protobuf", codec::encode_protobuf, codec::ROUNDS, "publication"),
    Scenario::new("decode_connect_json", codec::decode_connect_json, codec::ROUNDS, "command"),
    Scenario::new("decode_connect_protobuf", codec::decode_connect_protobuf, codec::ROUNDS, "command"),
    Scenario::new("decode_subscribe_json", codec::decode_subscribe_json, codec::ROUNDS, "command"),
    Scenario::new("decode_subscribe_protobuf", codec::decode_subscribe_protobuf, codec::ROUNDS, "command"),
    Scenario::new("decode_publish_json", codec::decode_publish_json, codec::ROUNDS, "command"),
    Scenario::new("decode_publish_protobuf", codec::decode_publish_protobuf, codec::ROUNDS, "command"),
    Scenario::new("receive", socket::receive, socket::MESSAGES, "message of 128 bytes"),
    Scenario::new("live", stream::live, stream::MISSED, "publication from the broker to one client"),
    Scenario::new("recover_first", stream::recover_first, stream::MISSED, "publication read and written"),
    Scenario::new("recover_again", stream::recover_again, stream::MISSED, "publication kept and shared"),
    Scenario::new("heal", stream::heal, stream::MISSED, "publication that the node had missed"),
    Scenario::new("verify_hs256", token::verify_hs256, token::ROUNDS, "connection token"),
];

fn main() -> ExitCode {
    // `cargo bench` says --bench to every program.
    let name = std::env::args().skip(1).find(|argument| argument != "--bench");
    let Some(name) = name else {
        for Scenario { name, count, what, .. } in SCENARIOS {
            println!("{name}\t{count}\t{what}");
        }
        return ExitCode::SUCCESS;
    };
    let Some(scenario) = SCENARIOS.iter().find(|scenario| scenario.name == name) else {
        eprintln!("no scenario is called {name}: run without arguments for a list");
        return ExitCode::from(2);
    };
    (scenario.run)();
    ExitCode::SUCCESS
}
