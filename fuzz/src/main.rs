//! One fuzzer for all kinds of input: `FUZZ_TARGET` says which.

#![no_main]

use std::sync::LazyLock;

use fanfare_gateway::fuzz::TARGETS;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let target = TARGETS.iter().find(|target| target.name == name);
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    target.unwrap_or_else(|| panic!("FUZZ_TARGET={name} is none of {names:?}")).run
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
