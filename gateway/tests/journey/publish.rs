//! A message gets to everybody, whoever says it and wherever they are.

use fanfare_worker::{Message, Options, open};
use serde_json::{Value, json};

use crate::gateway::{API_KEY, Gateway};
use crate::redis::RedisServer;
use crate::{client, open_to_all, reader};

#[tokio::test]
async fn by_every_road_to_every_node_in_one_order() {
    let redis = RedisServer::start();
    let config = open_to_all(&redis.url(0), "");
    let (a, b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let (mut on_a, mut on_b) = (reader(&a, "ann").await, reader(&b, "ben").await);

    let mut cleo = client(&a, "cleo").await;
    cleo.text(r#"{"id":3,"publish":{"channel":"news","data":"from a client"}}"#).await;
    cleo.reply(3).await;
    b.api("publish", &json!({ "channel": "news", "data": "from the API" })).await;
    let http =
        open(&format!("http://{}", a.listen), Options { api_key: Some(API_KEY.to_owned()), ..Options::default() })
            .unwrap();
    http.publish(Message::new("news", r#""from a worker through the API""#)).await.unwrap();
    let straight = open(&redis.url(0), Options::default()).unwrap();
    straight.publish(Message::new("news", "\"from a worker\"")).await.unwrap();

    let said = ["from a client", "from the API", "from a worker through the API", "from a worker"];
    for socket in [&mut on_a, &mut on_b] {
        for text in said {
            let (channel, publication) = socket.publication().await;
            assert_eq!((channel.as_str(), &publication), ("news", &Value::from(text)));
        }
    }
}

#[tokio::test]
async fn line_breaks_are_taken_out_on_every_road() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&open_to_all(&redis.url(0), "")).await;
    let mut reader = reader(&gateway, "ann").await;
    let data = "{\"a\":\r\n[1,\n2]}";
    let (status, text) =
        gateway.api_raw("publish", Some(API_KEY), format!(r#"{{"channel":"news","data":{data}}}"#)).await;
    assert_eq!(status, 200, "{text}");
    let straight = open(&redis.url(0), Options::default()).unwrap();
    straight.publish(Message::new("news", data)).await.unwrap();
    for _ in 0..2 {
        // One line each, or this would not be JSON.
        let (_, publication) = reader.publication().await;
        assert_eq!(publication, json!({ "a": [1, 2] }));
    }
}
