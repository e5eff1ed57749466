//! The server API over HTTP: the real door and the real executor on a node whose broker writes down
//! what it is told.

mod bad_input;
mod calls;
mod kit;
