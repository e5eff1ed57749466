//! A goal beside what was measured: reached, or missed by how much.

use crate::report::figure::Unit;
use crate::report::stats::Spread;

/// One goal and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The goal as a reader is told.
    pub goal: String,
    /// What became of it.
    pub answer: Answer,
}

/// What became of a goal.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The median is there: the figure.
    Reached(String),
    /// It is not: the figure, and how far it is away.
    Missed {
        /// The median and the range.
        found: String,
        /// As a share of the limit.
        by: String,
    },
    /// One side of it was not measured.
    Unmeasured,
}

impl Claim {
    /// The median shall be at most this.
    pub fn at_most(goal: impl Into<String>, found: Option<Spread>, limit: f64, unit: Unit) -> Self {
        let by = |median: f64| match limit {
            _ if median <= limit => None,
            _ if unit == Unit::Percent => Some(format!("{:.0} points above", median - limit)),
            0.0 => Some(format!("{} too many", unit.quantity(median))),
            _ => Some(format!("{} above", percent(median / limit - 1.0))),
        };
        Self::new(goal, found, limit, unit, by)
    }

    /// No run shall be above this: for what must never happen.
    pub fn never_above(goal: impl Into<String>, found: Option<Spread>, limit: f64, unit: Unit) -> Self {
        let worst = found.filter(|spread| spread.max > limit);
        match worst {
            None => Self::at_most(goal, found, limit, unit),
            Some(spread) => {
                let by = if limit == 0.0 {
                    "in some runs".to_owned()
                } else {
                    percent(spread.max / limit - 1.0) + " above in the worst run"
                };
                Self { goal: goal.into(), answer: Answer::Missed { found: spread.tell(unit), by } }
            }
        }
    }

    /// The median shall be at least this.
    pub fn at_least(goal: impl Into<String>, found: Option<Spread>, limit: f64, unit: Unit) -> Self {
        let by = |median: f64| (median < limit).then(|| format!("{} below", percent(1.0 - median / limit)));
        Self::new(goal, found, limit, unit, by)
    }

    fn new(
        goal: impl Into<String>,
        found: Option<Spread>,
        limit: f64,
        unit: Unit,
        by: impl Fn(f64) -> Option<String>,
    ) -> Self {
        let goal = goal.into();
        let Some(spread) = found else { return Self { goal, answer: Answer::Unmeasured } };
        let found = spread.tell(unit);
        let answer = match by(spread.median) {
            None => Answer::Reached(found),
            Some(by) if spread.min <= limit && limit <= spread.max => {
                Answer::Missed { found, by: format!("{by} (some runs reach it)") }
            }
            Some(by) => Answer::Missed { found, by },
        };
        Self { goal, answer }
    }

    /// For a cell of the page.
    pub fn markdown(&self) -> String {
        match &self.answer {
            Answer::Reached(found) => format!("**reached**: {found}"),
            Answer::Missed { found, by } => format!("**missed**, {by}: {found}"),
            Answer::Unmeasured => "not measured".to_owned(),
        }
    }
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 1.0 => "less than 1 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(found: &[f64], at_least: bool) -> String {
        let found = Spread::of(found.iter().copied());
        let claim = if at_least { Claim::at_least } else { Claim::at_most };
        claim("goal", found, 2.0, Unit::Times).markdown()
    }

    #[test]
    fn a_goal_is_reached_by_the_median() {
        assert_eq!(claimed(&[2.0], false), "**reached**: 2.00 ×");
        assert_eq!(claimed(&[1.0, 1.5, 9.0], false), "**reached**: 1.50 × [1.00..9.00]");
        assert_eq!(claimed(&[2.0, 3.0, 2.5], true), "**reached**: 2.50 × [2.00..3.00]");
    }

    #[test]
    fn what_must_never_happen_is_judged_by_the_worst_run() {
        let never = |found: &[f64], limit| {
            Claim::never_above("goal", Spread::of(found.iter().copied()), limit, Unit::Times).markdown()
        };
        assert_eq!(never(&[1.0, 1.5, 2.0], 2.0), "**reached**: 1.50 × [1.00..2.00]");
        assert_eq!(never(&[1.0, 1.5, 3.0], 2.0), "**missed**, 50 % above in the worst run: 1.50 × [1.00..3.00]");
        assert_eq!(never(&[0.0, 0.0, 1.0], 0.0), "**missed**, in some runs: 0.00 × [0.00..1.00]");
    }

    #[test]
    fn a_goal_that_is_missed_says_by_how_much() {
        assert_eq!(claimed(&[2.5], false), "**missed**, 25 % above: 2.50 ×");
        assert_eq!(
            claimed(&[1.9, 2.5, 3.0], false),
            "**missed**, 25 % above (some runs reach it): 2.50 × [1.90..3.00]"
        );
        assert_eq!(claimed(&[1.0], true), "**missed**, 50 % below: 1.00 ×");
        assert_eq!(claimed(&[2.001], false), "**missed**, less than 1 % above: 2.00 ×");
    }

    #[test]
    fn shares_of_shares_are_told_in_points() {
        let claim = Claim::at_most("goal", Spread::of([29.4]), 5.0, Unit::Percent);
        assert_eq!(claim.markdown(), "**missed**, 24 points above: 29.4 %");
        let claim = Claim::at_most("goal", Spread::of([3.0]), 0.0, Unit::Count);
        assert_eq!(claim.markdown(), "**missed**, 3 too many: 3");
    }

    #[test]
    fn what_was_not_measured_is_not_reached() {
        assert_eq!(claimed(&[], false), "not measured");
    }
}
