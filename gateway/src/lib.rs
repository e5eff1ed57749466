//! Fanfare's gateway: it terminates clients' connections and relays what they and backends publish
//! through a broker, so that everyone on every node gets it.
//!
//! The modules stand on floors; a module imports from lower floors only, and `tests/floors.rs` sees to
//! it. ARCHITECTURE.md has the drawing and the journeys.

// ---- floor 7: roof
pub mod app;
pub mod cli;
pub mod fuzz;
// ---- floor 6: doors house
pub mod server;
// ---- floor 5: edge
pub mod door;
pub mod transport;
// ---- floor 4: rooms
pub mod api;
pub mod session;
// ---- floor 3: hall
pub mod node;
// ---- floor 2: services, none knows another
pub mod auth;
pub mod backend;
pub mod broker;
pub mod channel;
pub mod codec;
pub mod hub;
pub mod limit;
pub mod presence;
// ---- floor 1: ground, from right to left
pub mod config;
pub mod model;
pub mod outbound;
pub mod redis_link;
pub mod task;
pub mod telemetry;
