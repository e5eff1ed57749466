//! What several runs say together. Medians, because one run in five may be disturbed by whatever else the
//! machine does, and ratios within a run before anything else, because disturbances come and go in minutes.

use std::fmt;

use super::figure::Unit;

/// A measure over several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one; between two, their mean.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    /// How many there were, at least 1.
    pub runs: usize,
}

/// The values of one measure by the number of their run.
pub type ByRun = Vec<(u32, f64)>;

impl Spread {
    /// Over these values; none if there are none. Values that are no numbers do not count.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max, runs) = (*values.first()?, *values.last()?, values.len());
        let median = (values[(runs - 1) / 2] + values[runs / 2]) / 2.0;
        Some(Self { median, min, max, runs })
    }

    /// Over one value of each run.
    pub fn of_runs(values: &ByRun) -> Option<Self> {
        Self::of(values.iter().map(|(_, value)| *value))
    }

    /// `ours` divided by `theirs`, run by run. Runs that only one of them has do not count.
    pub fn ratio(ours: &ByRun, theirs: &ByRun) -> Option<Self> {
        Self::paired(ours, theirs, |our, their| our / their)
    }

    /// Any combination of two values of the same run.
    pub fn paired(ours: &ByRun, theirs: &ByRun, combine: impl Fn(f64, f64) -> f64) -> Option<Self> {
        Self::of(pair(ours, theirs).map(|(our, their)| combine(our, their)))
    }

    /// In a unit that the reader is told elsewhere: `8.70 [7.80..9.70]`; one run has no range.
    pub fn show(&self, unit: Unit) -> String {
        let median = unit.number(self.median);
        if self.runs == 1 {
            return median;
        }
        format!("{median} [{}..{}]", unit.number(self.min), unit.number(self.max))
    }

    /// With the unit: `8.70 µs [7.80..9.70]`.
    pub fn tell(&self, unit: Unit) -> String {
        let median = unit.quantity(self.median);
        if self.runs == 1 {
            return median;
        }
        format!("{median} [{}..{}]", unit.number(self.min), unit.number(self.max))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(Unit::Times))
    }
}

fn pair<'a>(ours: &'a ByRun, theirs: &'a ByRun) -> impl Iterator<Item = (f64, f64)> + 'a {
    ours.iter().filter_map(|(run, our)| {
        let (_, their) = theirs.iter().find(|(other, _)| other == run)?;
        Some((*our, *their))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(spread, Spread { median: 2.5, min: 1.0, max: 4.0, runs: 4 });
        assert_eq!(Spread::of([5.0, 1.0, 9.0]).unwrap().median, 5.0);
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([f64::NAN, f64::INFINITY]), None);
    }

    #[test]
    fn ratios_are_taken_within_a_run() {
        // Both got twice as slow in run 2: no reason for another ratio.
        let (ours, theirs) = (vec![(1, 5.0), (2, 10.0), (3, 6.0)], vec![(2, 20.0), (1, 10.0)]);
        let ratio = Spread::ratio(&ours, &theirs).unwrap();
        assert_eq!(ratio, Spread { median: 0.5, min: 0.5, max: 0.5, runs: 2 });
        assert_eq!(Spread::ratio(&ours, &vec![(7, 1.0)]), None);
        assert_eq!(Spread::ratio(&vec![(1, 5.0)], &vec![(1, 0.0)]), None);
    }

    #[test]
    fn one_run_has_no_range() {
        assert_eq!(Spread::of([8.7]).unwrap().show(Unit::Microseconds), "8.70");
        assert_eq!(Spread::of([8.7, 9.1]).unwrap().tell(Unit::Microseconds), "8.90 µs [8.70..9.10]");
    }
}
