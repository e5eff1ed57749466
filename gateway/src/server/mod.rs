//! Listeners, routes and what stands before them. Binds early, serves late; knows doors and transports,
//! never sessions, brokers or Redis.

pub mod demo;
pub mod health;
pub mod listener;
pub mod origin;
pub mod router;

pub use health::{Readiness, Vitals};
pub use listener::{Bound, Gate};
