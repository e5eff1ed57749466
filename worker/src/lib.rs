//! Publishes to Fanfare from a backend.
//!
//! Two roads lead to the clients, and the URL chooses: `redis://` goes straight to the broker and needs
//! no gateway to be up; `http://` and `https://` go through a gateway's server API. Both keep to the same
//! channel rules, and what is published arrives on every gateway.
//!
//! ```no_run
//! use fanfare_worker::{Message, Options};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), fanfare_worker::PublishError> {
//!     let publisher = fanfare_worker::open("redis://127.0.0.1:6379", Options::default())?;
//!     publisher.publish(Message::new("news", r#"{"text":"hello"}"#)).await?;
//!     publisher.publish(Message::to_user("42", r#"{"text":"for you alone"}"#)?).await?;
//!     Ok(())
//! }
//! ```
//!
//! | to read | for |
//! | --- | --- |
//! | [`Publisher`] | what a publisher promises: order, deadlines, what an error means |
//! | [`Message`] | what is said, once or not, and how surely |
//! | [`Options`] | API key, prefix, deadline |
//! | [`PublishError`] | whether to try again, and whose fault it was |
//! | [`RedisPublisher`], [`HttpPublisher`] | the two roads |
//!
//! This crate knows the wire (`fanfare-proto`) and never the gateway's code.

pub mod publish;

pub use publish::http::HttpPublisher;
pub use publish::redis::RedisPublisher;
pub use publish::{Ack, Fault, Message, Options, Position, PublishError, Publisher, Receipt, Version, open};
