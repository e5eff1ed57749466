//! From figures to pixels, and which figures an axis names.

/// An axis: from figures to pixels.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    /// From 0 to a round figure that is at least `high`.
    pub fn linear(high: f64, from: f64, to: f64) -> Self {
        let high = high.max(1e-9);
        let step = round_step(high);
        Self { low: 0.0, high: (high / step).ceil() * step, from, to, logarithmic: false }
    }

    /// Over these positive figures, with some room on both sides.
    pub fn logarithmic(low: f64, high: f64, from: f64, to: f64) -> Self {
        let (low, high) = (low.max(1e-9), high.max(1e-9));
        Self { low: low / 1.3, high: high * 1.3, from, to, logarithmic: true }
    }

    /// Where a figure lies; what is outside lies on the edge.
    pub fn at(&self, value: f64) -> f64 {
        let share = match self.logarithmic {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// The figures that the axis names, about half a dozen.
    pub fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            return self.logarithmic_ticks();
        }
        let step = round_step(self.high);
        let count = (self.high / step).round() as usize;
        (0..=count).map(|at| at as f64 * step).collect()
    }

    fn logarithmic_ticks(&self) -> Vec<f64> {
        let within = |ticks: Vec<f64>| -> Vec<f64> {
            ticks.into_iter().filter(|tick| (self.low..=self.high).contains(tick)).collect()
        };
        let decades = || (self.low.log10().floor() as i32)..=(self.high.log10().ceil() as i32);
        let steps = |steps: &[f64]| -> Vec<f64> {
            decades().flat_map(|decade| steps.iter().map(move |step| step * 10_f64.powi(decade))).collect()
        };
        let fine = within(steps(&[1.0, 2.0, 5.0]));
        if fine.len() <= 8 { fine } else { within(steps(&[1.0])) }
    }
}

/// 1, 2 or 5 times a power of ten, so that there are four to ten of them.
fn round_step(high: f64) -> f64 {
    let power = 10_f64.powf((high / 4.0).log10().floor());
    let rest = high / 4.0 / power;
    let factor = [5.0, 2.0, 1.0].into_iter().find(|factor| *factor <= rest * 1.000_001).unwrap_or(1.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_nothing_and_ends_round() {
        let scale = Scale::linear(18.3, 100.0, 300.0);
        assert_eq!(scale.ticks(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!((scale.at(0.0), scale.at(10.0), scale.at(20.0), scale.at(99.0)), (100.0, 200.0, 300.0, 300.0));
        assert_eq!(Scale::linear(0.9, 0.0, 1.0).ticks().len(), 6);
        assert!(Scale::linear(0.0, 0.0, 1.0).at(0.0).is_finite());
    }

    #[test]
    fn a_logarithmic_axis_names_round_figures() {
        let scale = Scale::logarithmic(64.0, 19_000.0, 0.0, 100.0);
        assert_eq!(scale.ticks(), [1e2, 1e3, 1e4]);
        let middle = scale.at((64.0_f64 * 19_000.0).sqrt());
        assert!((middle - 50.0).abs() < 1e-6);
        assert_eq!(Scale::logarithmic(0.3, 5.0, 0.0, 1.0).ticks(), [0.5, 1.0, 2.0, 5.0]);
    }
}
