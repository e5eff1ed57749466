//! From outcomes to what people read: tables in the terminal, plots, and the page docs/performance.md.
//!
//! Nothing here measures. A [`Record`] holds all runs of a suite as they came; everything else is computed
//! from it, so that the page can be made again from its data.

mod compare;
mod figure;
mod page;
mod plot;
mod record;
mod section;
mod stats;
mod table;
mod terminal;

pub use page::{PageArgs, write_page};
pub use record::{LeftOut, Record};
#[cfg(test)]
pub use section::SECTIONS;
pub use section::{GROWTH, fanout_setting};
pub use terminal::{ROUNDS, in_short, rounds, tables};
