//! The application behind the gateway, and how it is called.

pub mod webhook;
