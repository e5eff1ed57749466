//! The table: each row is a good token but for one property, with the exact outcome for a connection
//! token and for a subscription token made in the same way.

mod claims;
mod header;
mod shape;
mod signature;

use crate::draft::Draft;

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is in.
    Good,
    /// Its command is answered with this error.
    Error(u64),
    /// Its connection is closed with this code.
    Close(u16),
}

/// For a connection token, for a subscription token.
pub(crate) type Outcomes = [Outcome; 2];

pub(crate) const GOOD: Outcomes = [Outcome::Good, Outcome::Good];
pub(crate) const EXPIRED: Outcomes = [Outcome::Error(109), Outcome::Error(109)];
pub(crate) const INVALID: Outcomes = [Outcome::Close(3500), Outcome::Error(103)];
/// Well signed, but about another user: as a connection token it is good for that one.
pub(crate) const OTHER_USER: Outcomes = [Outcome::Good, Outcome::Close(3500)];
/// A claim that only connection tokens have.
pub(crate) const IGNORED_IN_SUBSCRIPTION: Outcomes = [Outcome::Close(3500), Outcome::Good];

/// A way to be wrong.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Changes a good token in one property.
    pub(crate) change: fn(&mut Draft),
    pub(crate) outcomes: Outcomes,
}

pub(crate) const fn row(name: &'static str, change: fn(&mut Draft), outcomes: Outcomes) -> Row {
    Row { name, change, outcomes }
}

/// All rows.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    [shape::ROWS, header::ROWS, signature::ROWS, claims::ROWS].into_iter().flatten()
}
