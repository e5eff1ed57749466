//! Bars by server with whiskers: what one costs beside the others.

use super::canvas::{Anchor, Canvas, EDGE, Role, WIDTH, text_width};
use super::scale::Scale;
use crate::report::figure::{self, Unit};
use crate::report::stats::Spread;

/// One server.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Its name.
    pub label: String,
    /// Decides the colour.
    pub role: Role,
    /// Length and whiskers.
    pub spread: Spread,
    /// What else is to be said, behind the bar: the ratio to the floor, mostly.
    pub note: String,
}

/// A plot of bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What was measured.
    pub title: String,
    /// What the bars show, with the unit, and which direction is good.
    pub subtitle: String,
    /// Of all bars.
    pub unit: Unit,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

const TOP: f64 = 74.0;
const ROW: f64 = 28.0;
const THICK: f64 = 16.0;

impl Bars {
    /// The file.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::new(&self.title, &self.subtitle);
        let left = EDGE + self.bars.iter().map(|bar| text_width(&bar.label)).fold(60.0, f64::max) + 12.0;
        let notes = self.bars.iter().map(|bar| text_width(&self.behind(bar))).fold(40.0, f64::max);
        let right = WIDTH - EDGE - notes - 24.0;
        let bottom = TOP + self.bars.len() as f64 * ROW;
        let high = self.bars.iter().map(|bar| bar.spread.max).fold(0.0, f64::max);
        let scale = Scale::linear(high, left, right);

        self.grid(&mut canvas, &scale, bottom);
        for (at, bar) in self.bars.iter().enumerate() {
            self.bar(&mut canvas, &scale, bar, TOP + at as f64 * ROW + ROW / 2.0);
        }
        self.floor(&mut canvas, &scale, bottom);
        legend(&mut canvas, &self.bars, bottom + 46.0);
        canvas.finish(&self.title, bottom + 62.0)
    }

    fn grid(&self, canvas: &mut Canvas, scale: &Scale, bottom: f64) {
        let ticks = scale.ticks();
        let every = if ticks.len() > 6 { 2 } else { 1 };
        for (at, tick) in ticks.iter().enumerate() {
            let class = if at == 0 { "axis" } else { "grid" };
            canvas.line(class, (scale.at(*tick), TOP), (scale.at(*tick), bottom));
            if at % every == 0 {
                canvas.text(scale.at(*tick), bottom + 18.0, Anchor::Middle, "soft", &figure::tick(*tick));
            }
        }
    }

    fn bar(&self, canvas: &mut Canvas, scale: &Scale, bar: &Bar, y: f64) {
        let weight = if bar.role == Role::Ours { "bold" } else { "" };
        canvas.text(scale.at(0.0) - 10.0, y + 4.5, Anchor::End, weight, &bar.label);
        let (from, to) = (scale.at(0.0), scale.at(bar.spread.median));
        canvas.rect(&format!("f-{}", bar.role.class()), from, y - THICK / 2.0, to - from, THICK);
        if bar.spread.runs > 1 {
            canvas.whisker(scale.at(bar.spread.min), scale.at(bar.spread.max), y);
        }
        canvas.text(WIDTH - EDGE, y + 4.5, Anchor::End, weight, &self.behind(bar));
    }

    /// The floor's median, through all bars: of several floors, that of the plain one.
    fn floor(&self, canvas: &mut Canvas, scale: &Scale, bottom: f64) {
        for bar in self.bars.iter().filter(|bar| bar.label == "floor") {
            let x = scale.at(bar.spread.median);
            canvas.line("dash s-floor", (x, TOP), (x, bottom));
        }
    }

    fn behind(&self, bar: &Bar) -> String {
        let figure = self.unit.quantity(bar.spread.median);
        if bar.note.is_empty() { figure } else { format!("{figure} · {}", bar.note) }
    }
}

fn legend(canvas: &mut Canvas, bars: &[Bar], y: f64) {
    let mut x = EDGE;
    for (role, text) in [(Role::Ours, "Fanfare"), (Role::Floor, "floor"), (Role::Peer, "others")] {
        if bars.iter().any(|bar| bar.role == role) {
            canvas.rect(&format!("f-{}", role.class()), x, y - 9.0, 12.0, 10.0);
            canvas.text(x + 18.0, y, Anchor::Start, "soft", text);
            x += 18.0 + text_width(text) + 18.0;
        }
    }
    let runs = bars.iter().map(|bar| bar.spread.runs).max().unwrap_or(1);
    if runs > 1 {
        canvas.whisker(x, x + 24.0, y - 4.0);
        canvas.text(x + 32.0, y, Anchor::Start, "soft", &format!("median of {runs} runs, lowest to highest"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_a_bar_of_its_length() {
        let bar = |label: &str, role, values: &[f64]| Bar {
            label: label.into(),
            role,
            spread: Spread::of(values.iter().copied()).unwrap(),
            note: String::new(),
        };
        let plot = Bars {
            title: "t".into(),
            subtitle: "s".into(),
            unit: Unit::Microseconds,
            bars: vec![
                bar("fanfare", Role::Ours, &[5.0]),
                bar("floor", Role::Floor, &[9.0, 10.0, 11.0]),
                bar("nchan", Role::Peer, &[20.0]),
            ],
        };
        let svg = plot.svg();
        let width = |class: &str| -> f64 {
            let rect = svg.lines().find(|line| line.starts_with(&format!("<rect class=\"f-{class}\""))).unwrap();
            rect.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        assert!((width("floor") / width("ours") - 2.0).abs() < 0.01);
        assert!((width("peer") / width("ours") - 4.0).abs() < 0.01);
        assert_eq!(svg.matches("class=\"whisker\"").count(), 2, "one bar has several runs, and the legend says so");
        assert!(svg.contains(">5.00 µs</text>") && svg.contains(">0</text>"), "{svg}");
    }
}
