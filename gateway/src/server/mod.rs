//! Listeners, routes and what stands before them. Binds early, serves late; knows doors and transports,
//! never sessions, brokers or Redis.

pub mod client_address;
pub mod cors;
pub mod demo;
pub mod entrance;
pub mod health;
pub mod listener;
pub mod origin;
pub mod proxy_protocol;
pub mod router;
pub mod tls;

pub use entrance::Entrance;
pub use health::{Readiness, Vitals};
pub use listener::{Bound, Gate};
