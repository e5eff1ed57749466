//! Lines over a logarithm: how a cost grows with the number of those who cause it.

use super::canvas::{Anchor, Canvas, EDGE, Role, WIDTH, text_width};
use super::scale::Scale;
use crate::report::figure;
use crate::report::stats::Spread;

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub label: String,
    /// Decides the colour.
    pub role: Role,
    /// By x, ascending; x is positive.
    pub points: Vec<(f64, Spread)>,
}

/// A plot of lines.
#[derive(Clone, Debug)]
pub struct Lines {
    /// What was measured.
    pub title: String,
    /// What goes upwards, with the unit.
    pub subtitle: String,
    /// What goes to the right.
    pub x_label: String,
    /// In the order of the legend.
    pub lines: Vec<Line>,
}

const TOP: f64 = 74.0;
const BOTTOM: f64 = 330.0;
const LEFT: f64 = 48.0;
/// How far the points of different lines stand apart.
const ASIDE: f64 = 6.0;

impl Lines {
    /// The file.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::new(&self.title, &self.subtitle);
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let high = points().map(|(_, spread)| spread.max).fold(0.0, f64::max);
        let low_x = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
        let high_x = points().map(|(x, _)| *x).fold(1.0, f64::max);
        let xs = Scale::logarithmic(low_x.min(high_x), high_x, LEFT, WIDTH - EDGE);
        let ys = Scale::linear(high, BOTTOM, TOP);

        self.grid(&mut canvas, &xs, &ys);
        for (shape, line) in self.lines.iter().enumerate() {
            let aside = (shape as f64 - (self.lines.len() - 1) as f64 / 2.0) * ASIDE;
            draw(&mut canvas, shape, line, |x| xs.at(x) + aside, |y| ys.at(y));
        }
        self.legend(&mut canvas, BOTTOM + 66.0);
        canvas.finish(&self.title, BOTTOM + 82.0)
    }

    fn grid(&self, canvas: &mut Canvas, xs: &Scale, ys: &Scale) {
        for (at, tick) in ys.ticks().into_iter().enumerate() {
            let class = if at == 0 { "axis" } else { "grid" };
            canvas.line(class, (LEFT, ys.at(tick)), (WIDTH - EDGE, ys.at(tick)));
            canvas.text(LEFT - 8.0, ys.at(tick) + 4.0, Anchor::End, "soft", &figure::tick(tick));
        }
        let mut named: Vec<f64> = self.lines.iter().flat_map(|line| &line.points).map(|(x, _)| *x).collect();
        named.sort_by(f64::total_cmp);
        named.dedup();
        for x in named {
            canvas.line("grid", (xs.at(x), TOP), (xs.at(x), BOTTOM));
            canvas.text(xs.at(x), BOTTOM + 18.0, Anchor::Middle, "soft", &figure::tick(x));
        }
        canvas.text((LEFT + WIDTH - EDGE) / 2.0, BOTTOM + 38.0, Anchor::Middle, "soft", &self.x_label);
    }

    fn legend(&self, canvas: &mut Canvas, y: f64) {
        let mut x = EDGE;
        for (shape, line) in self.lines.iter().enumerate() {
            let class = line.role.class();
            canvas.line(&format!("line s-{class}"), (x, y - 4.0), (x + 24.0, y - 4.0));
            canvas.mark(shape, &format!("f-{class}"), x + 12.0, y - 4.0);
            canvas.text(x + 32.0, y, Anchor::Start, "soft", &line.label);
            x += 32.0 + text_width(&line.label) + 18.0;
        }
    }
}

/// Lines stand a little aside of each other, so that their whiskers can be told apart.
fn draw(canvas: &mut Canvas, shape: usize, line: &Line, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) {
    let class = line.role.class();
    let at: Vec<(f64, f64)> = line.points.iter().map(|(at, spread)| (x(*at), y(spread.median))).collect();
    canvas.polyline(&format!("line s-{class}"), &at);
    for ((at, middle), (_, spread)) in at.into_iter().zip(&line.points) {
        if spread.runs > 1 {
            canvas.upright_whisker(line.role, at, y(spread.min), y(spread.max));
        }
        canvas.mark(shape, &format!("f-{class}"), at, middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_higher_and_further_right() {
        let point = |x: f64, value: f64| (x, Spread::of([value]).unwrap());
        let line = Line {
            label: "floor".into(),
            role: Role::Floor,
            points: vec![point(64.0, 8.0), point(1_000.0, 8.7), point(19_000.0, 12.2)],
        };
        let plot = Lines { title: "t".into(), subtitle: "s".into(), x_label: "subscribers".into(), lines: vec![line] };
        let svg = plot.svg();
        let drawn = svg.lines().find(|line| line.starts_with("<polyline")).unwrap();
        let points: Vec<(f64, f64)> = drawn
            .split('"')
            .nth(3)
            .unwrap()
            .split(' ')
            .map(|point| point.split_once(',').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 > pair[1].1), "{points:?}");
        for named in ["64", "1,000", "19,000", "subscribers"] {
            assert!(svg.contains(&format!(">{named}</text>")), "{named}");
        }
    }
}
