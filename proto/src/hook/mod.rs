//! What the gateway says to the application's backend over HTTP.

pub mod event;
