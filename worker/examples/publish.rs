//! A backend's whole publisher. Run it: `cargo run -p fanfare-worker --example publish`.

use fanfare_worker::{Message, Options, PublishError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), PublishError> {
    let publisher = fanfare_worker::open("redis://127.0.0.1:6379", Options::default())?;
    publisher.publish(Message::new("news", r#"{"text":"hello"}"#)).await?;
    // Named, so that it may be published again after a failure and is heard once.
    let paid =
        Message { idempotency_key: Some("order-42-paid".to_owned()), ..Message::new("orders", r#"{"paid":42}"#) };
    publisher.publish(paid).await?;
    publisher.publish(Message::to_user("42", r#"{"text":"for you alone"}"#)?).await?;
    Ok(())
}
