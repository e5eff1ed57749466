//! What all plots are drawn with: text, lines, boxes, and one style for light and dark.

use std::fmt::Write;

/// Width of all plots in pixels.
pub const WIDTH: f64 = 760.0;
/// Free space at the edges.
pub const EDGE: f64 = 18.0;

/// What a mark stands for; decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// What this repository builds.
    Ours,
    /// What the kernel charges for the same.
    Floor,
    /// Other servers.
    Peer,
    /// A further line of ours.
    OursToo,
    /// A further line of the floor.
    FloorToo,
}

impl Role {
    /// By the server's name: the floor is `floor` and what begins with it, we are `fanfare`.
    pub fn of(server: &str) -> Self {
        match server {
            _ if server.starts_with("floor") => Self::Floor,
            _ if server.starts_with("fanfare") => Self::Ours,
            _ => Self::Peer,
        }
    }

    /// Class in the style below.
    pub fn class(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::Peer => "peer",
            Self::OursToo => "ours-too",
            Self::FloorToo => "floor-too",
        }
    }
}

/// Where a text is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// By its beginning.
    Start,
    /// By its middle.
    Middle,
    /// By its end.
    End,
}

/// Colours are told by class, once for each scheme: renderers that know no variables show them, too.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;fill:#1f2328}\
.title{font-size:16px;font-weight:600}.soft{fill:#59636e;font-size:12px}.bold{font-weight:600}\
.ground{fill:#fff;stroke:#d1d9e0}.grid{stroke:#d1d9e0;stroke-width:1}.axis{stroke:#818b98;stroke-width:1}\
.whisker{stroke:#1f2328;stroke-width:1.5;fill:none}.mark{stroke:#fff;stroke-width:1.5}\
.line{fill:none;stroke-width:2.5}.dash{stroke-dasharray:5 4;stroke-width:1.5}\
.f-ours{fill:#0969da}.f-peer{fill:#8c959f}.f-floor{fill:#c4690c}.f-ours-too{fill:#54aeff}.f-floor-too{fill:#e5a261}\
.s-ours{stroke:#0969da}.s-peer{stroke:#8c959f}.s-floor{stroke:#c4690c}.s-ours-too{stroke:#54aeff}\
.s-floor-too{stroke:#e5a261}\
@media(prefers-color-scheme:dark){\
text{fill:#e6edf3}.soft{fill:#9198a1}.ground{fill:#0d1117;stroke:#3d444d}.grid{stroke:#2a3038}.axis{stroke:#656c76}\
.whisker{stroke:#e6edf3}.mark{stroke:#0d1117}\
.f-ours{fill:#4493f8}.f-peer{fill:#7d8590}.f-floor{fill:#db8a3a}.f-ours-too{fill:#9ecbff}.f-floor-too{fill:#f2c491}\
.s-ours{stroke:#4493f8}.s-peer{stroke:#7d8590}.s-floor{stroke:#db8a3a}.s-ours-too{stroke:#9ecbff}\
.s-floor-too{stroke:#f2c491}}";

/// A drawing in the making.
#[derive(Debug)]
pub struct Canvas {
    body: String,
}

impl Canvas {
    /// With a title, and below it what the axis shows.
    pub fn new(title: &str, subtitle: &str) -> Self {
        let mut canvas = Self { body: String::new() };
        canvas.text(EDGE, 32.0, Anchor::Start, "title", title);
        canvas.text(EDGE, 52.0, Anchor::Start, "soft", subtitle);
        canvas
    }

    /// The whole file.
    pub fn finish(self, title: &str, height: f64) -> String {
        let title = escaped(title);
        let (inner_width, inner_height) = (px(WIDTH - 1.0), px(height - 1.0));
        let (width, height) = (px(WIDTH), px(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{title}\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" x=\"0.5\" y=\"0.5\" width=\"{inner_width}\" height=\"{inner_height}\" rx=\"6\"/>\n\
             {}</svg>\n",
            self.body
        )
    }

    /// A text at a baseline.
    pub fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.put(&format!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>",
            px(x),
            px(y)
        ));
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let (x1, y1, x2, y2) = (px(from.0), px(from.1), px(to.0), px(to.1));
        self.put(&format!("<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"));
    }

    /// A line through points.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
        self.put(&format!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }

    /// A filled box.
    pub fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.put(&format!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"2\"/>",
            px(x),
            px(y),
            px(width.max(1.0)),
            px(height)
        ));
    }

    /// One of a few shapes that can be told apart without colours.
    pub fn mark(&mut self, shape: usize, class: &str, x: f64, y: f64) {
        let class = format!("mark {class}");
        match shape {
            0 => self.put(&format!("<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"5\"/>", px(x), px(y))),
            1 => self.put(&format!("<path class=\"{class}\" d=\"M{} {}l6 6l-6 6l-6 -6z\"/>", px(x), px(y - 6.0))),
            2 => self.rect_mark(&class, x, y),
            _ => self.put(&format!("<path class=\"{class}\" d=\"M{} {}l6 11h-12z\"/>", px(x), px(y - 7.0))),
        }
    }

    /// From the lowest to the highest run, along x.
    pub fn whisker(&mut self, from: f64, to: f64, y: f64) {
        let (from, to, top, end) = (px(from), px(to), px(y - 4.0), px(y + 4.0));
        let y = px(y);
        self.put(&format!("<path class=\"whisker\" d=\"M{from} {top}V{end}M{from} {y}H{to}M{to} {top}V{end}\"/>"));
    }

    /// The same along y, in the colour of a role.
    pub fn upright_whisker(&mut self, role: Role, x: f64, from: f64, to: f64) {
        let (from, to, left, right) = (px(from), px(to), px(x - 2.5), px(x + 2.5));
        let (class, x) = (role.class(), px(x));
        let path = format!("M{left} {from}H{right}M{x} {from}V{to}M{left} {to}H{right}");
        self.put(&format!("<path class=\"whisker s-{class}\" d=\"{path}\"/>"));
    }

    fn rect_mark(&mut self, class: &str, x: f64, y: f64) {
        let (x, y) = (px(x - 4.5), px(y - 4.5));
        self.put(&format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"9\" height=\"9\"/>"));
    }

    fn put(&mut self, element: &str) {
        let _ = writeln!(self.body, "{element}");
    }
}

/// How wide a text of the plots is, about: there are no fonts here to ask.
pub fn text_width(text: &str) -> f64 {
    text.chars().map(|c| if "ijl.,:;|' []()".contains(c) { 4.0 } else { 7.8 }).sum()
}

/// A tenth of a pixel is enough.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_become_elements() {
        let mut canvas = Canvas::new("a < b", "");
        canvas.text(1.0, 2.0, Anchor::End, "soft", "<script>&\"");
        let svg = canvas.finish("a < b \"c\"", 100.0);
        assert!(svg.contains(">&lt;script&gt;&amp;&quot;</text>"), "{svg}");
        assert!(svg.contains("aria-label=\"a &lt; b &quot;c&quot;\""), "{svg}");
    }

    #[test]
    fn each_role_has_its_colours_in_both_schemes() {
        let (light, dark) = STYLE.split_once("@media(prefers-color-scheme:dark)").unwrap();
        for role in [Role::Ours, Role::Floor, Role::Peer, Role::OursToo, Role::FloorToo] {
            for way in ["f", "s"] {
                let class = format!(".{way}-{}{{", role.class());
                assert!(light.contains(&class) && dark.contains(&class), "{class}");
            }
        }
    }

    #[test]
    fn roles_go_by_names() {
        assert_eq!(Role::of("floor-32"), Role::Floor);
        assert_eq!(Role::of("fanfare"), Role::Ours);
        assert_eq!(Role::of("nchan"), Role::Peer);
    }
}
