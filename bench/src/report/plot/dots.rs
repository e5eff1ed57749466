//! Dots by server over a logarithm: percentiles of a latency, or figures that lie far apart.

use super::canvas::{Anchor, Canvas, EDGE, Role, WIDTH, text_width};
use super::scale::Scale;
use crate::report::figure::{self, Unit};
use crate::report::stats::Spread;

/// One server.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// Decides the colour.
    pub role: Role,
    /// One for each of [`Dots::series`]; none where it could not be measured.
    pub spreads: Vec<Option<Spread>>,
}

/// A plot of dots.
#[derive(Clone, Debug)]
pub struct Dots {
    /// What was measured.
    pub title: String,
    /// What the dots show, with the unit.
    pub subtitle: String,
    /// Of all dots.
    pub unit: Unit,
    /// What the dots of a row are, e.g. p50, p99, p99.9. With a single one, whiskers are drawn.
    pub series: Vec<String>,
    /// From top to bottom.
    pub rows: Vec<Row>,
}

const TOP: f64 = 74.0;
const ROW: f64 = 28.0;

impl Dots {
    /// The file.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::new(&self.title, &self.subtitle);
        let left = EDGE + self.rows.iter().map(|row| text_width(&row.label)).fold(60.0, f64::max) + 12.0;
        let texts = self.rows.iter().map(|row| text_width(&self.behind(row))).fold(40.0, f64::max);
        let bottom = TOP + self.rows.len() as f64 * ROW;
        let scale = self.scale(left, WIDTH - EDGE - texts - 24.0);

        for tick in scale.ticks() {
            canvas.line("grid", (scale.at(tick), TOP), (scale.at(tick), bottom));
            canvas.text(scale.at(tick), bottom + 18.0, Anchor::Middle, "soft", &figure::tick(tick));
        }
        for (at, row) in self.rows.iter().enumerate() {
            self.row(&mut canvas, &scale, row, left, TOP + at as f64 * ROW + ROW / 2.0);
        }
        self.legend(&mut canvas, bottom + 46.0);
        canvas.finish(&self.title, bottom + 62.0)
    }

    fn scale(&self, from: f64, to: f64) -> Scale {
        let all = || self.rows.iter().flat_map(|row| row.spreads.iter().flatten());
        // Whiskers are drawn for single dots only: they alone need the room.
        let ends = |spread: &Spread| match self.series.len() {
            1 => (spread.min, spread.max),
            _ => (spread.median, spread.median),
        };
        let low = all().map(|spread| ends(spread).0).fold(f64::INFINITY, f64::min);
        let high = all().map(|spread| ends(spread).1).fold(0.0, f64::max);
        Scale::logarithmic(if low.is_finite() { low } else { 1.0 }, high.max(low.min(1.0)), from, to)
    }

    fn row(&self, canvas: &mut Canvas, scale: &Scale, row: &Row, left: f64, y: f64) {
        let weight = if row.role == Role::Ours { "bold" } else { "" };
        canvas.text(left - 10.0, y + 4.5, Anchor::End, weight, &row.label);
        let points: Vec<(f64, f64)> = row.spreads.iter().flatten().map(|spread| (scale.at(spread.median), y)).collect();
        if points.len() > 1 {
            canvas.polyline(&format!("line s-{}", row.role.class()), &points);
        }
        for (shape, spread) in row.spreads.iter().enumerate() {
            let Some(spread) = spread else { continue };
            if self.series.len() == 1 && spread.runs > 1 {
                canvas.whisker(scale.at(spread.min), scale.at(spread.max), y);
            }
            canvas.mark(shape, &format!("f-{}", row.role.class()), scale.at(spread.median), y);
        }
        canvas.text(WIDTH - EDGE, y + 4.5, Anchor::End, weight, &self.behind(row));
    }

    fn behind(&self, row: &Row) -> String {
        let number = |spread: &Option<Spread>| match spread {
            Some(spread) => self.unit.number(spread.median),
            None => "-".to_owned(),
        };
        let numbers: Vec<String> = row.spreads.iter().map(number).collect();
        format!("{} {}", numbers.join(" / "), self.unit.symbol())
    }

    fn legend(&self, canvas: &mut Canvas, y: f64) {
        let mut x = EDGE;
        let entry = |canvas: &mut Canvas, x: &mut f64, shape: usize, role: Role, text: &str| {
            canvas.mark(shape, &format!("f-{}", role.class()), *x + 6.0, y - 4.0);
            canvas.text(*x + 18.0, y, Anchor::Start, "soft", text);
            *x += 18.0 + text_width(text) + 18.0;
        };
        if self.series.len() > 1 {
            for (shape, name) in self.series.iter().enumerate() {
                entry(canvas, &mut x, shape, Role::Peer, name);
            }
        }
        for (role, text) in [(Role::Ours, "Fanfare"), (Role::Floor, "floor"), (Role::Peer, "others")] {
            if self.rows.iter().any(|row| row.role == role) {
                entry(canvas, &mut x, 0, role, text);
            }
        }
        let runs = self.rows.iter().flat_map(|row| row.spreads.iter().flatten()).map(|spread| spread.runs).max();
        let Some(runs) = runs.filter(|runs| *runs > 1) else { return };
        let whiskers = if self.series.len() == 1 { ", lowest to highest" } else { "" };
        canvas.text(x, y, Anchor::Start, "soft", &format!("medians of {runs} runs{whiskers}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_go_to_the_right_and_what_is_missing_is_said() {
        let row = |label: &str, role, values: [Option<f64>; 3]| Row {
            label: label.into(),
            role,
            spreads: values.map(Spread::of).to_vec(),
        };
        let plot = Dots {
            title: "t".into(),
            subtitle: "s".into(),
            unit: Unit::Milliseconds,
            series: ["p50", "p99", "p99.9"].map(str::to_owned).to_vec(),
            rows: vec![
                row("fanfare", Role::Ours, [Some(0.2), Some(0.7), Some(28.0)]),
                row("nchan", Role::Peer, [Some(0.8), Some(4.5), None]),
            ],
        };
        let svg = plot.svg();
        assert!(svg.contains(">0.80 / 4.50 / - ms</text>"), "{svg}");
        let line = svg.lines().find(|line| line.contains("s-ours\" points")).unwrap();
        let xs: Vec<f64> = line
            .split('"')
            .nth(3)
            .unwrap()
            .split(' ')
            .map(|point| point.split(',').next().unwrap().parse().unwrap())
            .collect();
        assert!(xs.len() == 3 && xs.is_sorted(), "{xs:?}");
    }
}
