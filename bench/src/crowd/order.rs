//! What one member has received, in two words: which publication was its last, and which of the 63 before came.

/// What a publication is to the member that it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Later than all before; so many in between have not come.
    Later(u32),
    /// Earlier than one that came already.
    Late,
    /// One that it has.
    Again,
}

/// The publications of one channel as they reached one member.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    last: u32,
    /// Bit n: number `last - n` has come.
    seen: u64,
}

impl Order {
    /// Of a member to whom nothing up to this number is owed.
    pub fn after(number: u32) -> Self {
        Self { last: number, seen: !0 }
    }

    /// Notes a publication. How often one came that is more than 63 before the last is not known: it is late.
    #[inline]
    pub fn note(&mut self, number: u32) -> Place {
        if number > self.last {
            let ahead = number - self.last;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.last = number;
            return Place::Later(ahead - 1);
        }
        let bit = 1_u64.checked_shl(self.last - number).unwrap_or(0);
        if self.seen & bit != 0 {
            return Place::Again;
        }
        self.seen |= bit;
        Place::Late
    }

    /// The latest that has come.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// How many have been published after its last one.
    pub fn behind(&self, published: u32) -> u32 {
        published.saturating_sub(self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_repetitions_and_latecomers_are_told_apart() {
        let later = Place::Later;
        let mut order = Order::after(10);
        let heard = [
            (11, later(0)),
            (12, later(0)),
            (15, later(2)),
            (13, Place::Late),
            (13, Place::Again),
            (10, Place::Again),
            (16, later(0)),
            (14, Place::Late),
            (300, later(283)),
            (299, Place::Late),
            (200, Place::Late),
        ];
        for (number, place) in heard {
            assert_eq!(order.note(number), place, "{number}");
        }
        assert_eq!((order.last(), order.behind(300), order.behind(305)), (300, 0, 5));
    }
}
