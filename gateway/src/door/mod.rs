//! The faces of the server API: each reads requests in its own form, hands them to [`crate::api`] and
//! writes what became of them. Must not know brokers, sessions or each other.

pub mod http;
