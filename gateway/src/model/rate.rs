//! How often something may happen.

use std::time::Duration;

/// So many in so long on the average, and how many may come at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least one.
    pub count: u32,
    /// In how long.
    pub per: Per,
    /// How many may come at once, at least one.
    pub burst: u32,
}

/// What a rate is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
}

impl Per {
    /// As a length of time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

impl Rate {
    /// The time from one to the next where they come evenly.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.per.duration() / self.count.max(1)
    }

    /// How long after a full burst the next full burst may come.
    #[must_use]
    pub fn rest(&self) -> Duration {
        self.interval().saturating_mul(self.burst)
    }
}
