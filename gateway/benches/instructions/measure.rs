//! The line between what is counted and what is not.

use std::hint::black_box;

use tokio::runtime::Runtime;

/// Carries out what is to be counted. callgrind finds it by its name, so it must remain a function.
#[inline(never)]
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// A runtime of this thread alone: callgrind counts what one thread does, in one order.
pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
