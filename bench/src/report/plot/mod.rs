//! Plots as SVG, written by hand: bars, lines over a logarithm, dots over a logarithm. They stand on a ground of
//! their own and change their colours with the reader's, so they can be read on any page.

mod bars;
mod canvas;
mod dots;
mod lines;
mod scale;

pub use bars::{Bar, Bars};
pub use canvas::Role;
pub use dots::{Dots, Row};
pub use lines::{Line, Lines};
