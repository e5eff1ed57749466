//! A backend's whole publisher. Run it: `cargo run -p fanfare-worker --example publish`.

use fanfare_worker::{Message, Options, PublishError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), PublishError> {
    let publisher = fanfare_worker::open("redis://127.0.0.1:6379", Options::default())?;
    publisher.publish(Message::new("news", r#"{"text":"hello"}"#)).await?;
    publisher.publish(Message::to_user("42", r#"{"text":"for you alone"}"#)?).await?;
    Ok(())
}
