//! Amounts of memory, with their unit in the type.

use std::fmt;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub usize);

impl ByteSize {
    /// So many KiB.
    #[must_use]
    pub const fn kib(n: usize) -> Self {
        Self(n * 1024)
    }

    /// So many MiB.
    #[must_use]
    pub const fn mib(n: usize) -> Self {
        Self(n * 1024 * 1024)
    }

    /// The plain number.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.0
    }
}

/// Writes the largest unit that leaves no remainder, in the form that the configuration reads.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(usize, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let unit = UNITS.iter().find(|(size, _)| self.0 >= *size && self.0.is_multiple_of(*size));
        match unit {
            Some((size, name)) => write!(f, "{}{name}", self.0 / size),
            None => write!(f, "{}B", self.0),
        }
    }
}
