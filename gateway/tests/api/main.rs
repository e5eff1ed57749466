//! The server API over HTTP: the real door and the real executor on a node whose broker writes down
//! what it is told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod calls;
mod kit;
mod options;
mod reading;
