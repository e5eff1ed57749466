//! Everything two processes must agree upon: gateway and worker, gateway and Redis, gateway and client.
//!
//! | module | whose agreement |
//! | --- | --- |
//! | [`limits`], [`code`], [`name`], [`pattern`], [`data`] | everybody's: sizes, numbers, names, what a payload may be |
//! | [`claims`], [`capability`] | the application's, which signs tokens and answers hooks, and the gateway's |
//! | [`centrifuge`] | clients' that speak the Centrifuge protocol v2 |
//! | [`api`] | backends' that call the server API |
//! | [`hook`] | the application's backend that is asked by hooks, and told of events |
//! | [`fossil`] | clients' that agreed to get payloads as patches |
//! | [`envelope`], [`keys`], [`rules`], [`script`] | all nodes' and workers' that meet in one Redis |
//!
//! Invariant: no I/O here, no clock, no randomness. Bytes in, values out, and back; everything can be
//! fuzzed and compared with golden files.

pub mod api;
pub mod capability;
pub mod centrifuge;
pub mod claims;
pub mod code;
pub mod data;
pub mod envelope;
pub mod fossil;
pub mod hook;
pub mod keys;
pub mod limits;
pub mod name;
pub mod pattern;
pub mod rules;
pub mod script;
