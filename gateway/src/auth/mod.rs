//! (to come)

pub mod mint;
