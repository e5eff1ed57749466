//! Who is on a channel, as clients and backends of several nodes see it.

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::redis::RedisServer;
use crate::token;
use crate::ws::Socket;

fn with_presence(redis: &str) -> String {
    format!(
        "[channel.default]\nallow_subscribe_for_client = true\npresence = true\njoin_leave = true\n\
         force_push_join_leave = true\nallow_presence_for_subscriber = true\nleave_delay = \"1s\"\n\
         [broker]\nurl = \"{redis}\"\nheartbeat_interval = \"200ms\"\nnode_lease = \"4s\"\nunready_after = \"1s\"\n\
         command_timeout = \"5s\"\n[shutdown]\nready_delay = \"0s\"\ndrain = \"0s\"\n"
    )
}

async fn member(gateway: &Gateway, user: &str) -> Socket {
    let mut socket = Socket::open(gateway.listen).await;
    socket.connect(&json!({ "token": token::mint(&json!({ "sub": user })) })).await;
    socket.text(r#"{"id":2,"subscribe":{"channel":"room"}}"#).await;
    let reply = socket.reply(2).await;
    assert!(reply["error"].is_null(), "{reply}");
    // Everybody is told of themselves, after the answer.
    assert_eq!(news(&mut socket).await, ("join".to_owned(), user.to_owned()));
    socket
}

/// What happened next on the channel, and to whom.
async fn news(socket: &mut Socket) -> (String, String) {
    loop {
        let line = socket.expect_line().await;
        for what in ["join", "leave"] {
            if let Some(user) = line["push"][what]["info"]["user"].as_str() {
                return (what.to_owned(), user.to_owned());
            }
        }
    }
}

async fn users(gateway: &Gateway) -> Vec<String> {
    let answer = gateway.api("presence", &json!({ "channel": "room" })).await;
    let members = answer["result"]["presence"].as_object().cloned().unwrap_or_default();
    let mut users: Vec<String> =
        members.values().map(|member| member["user"].as_str().unwrap_or_default().to_owned()).collect();
    users.sort();
    users
}

#[tokio::test]
async fn joins_and_leaves_are_seen_from_every_node_once() {
    let redis = RedisServer::start();
    let config = with_presence(&redis.url(0));
    let (a, mut b) = tokio::join!(Gateway::start(&config), Gateway::start(&config));
    let mut ann = member(&a, "ann").await;
    let ben = member(&b, "ben").await;
    assert_eq!(news(&mut ann).await, ("join".into(), "ben".into()));
    assert_eq!(users(&a).await, ["ann", "ben"]);
    ann.text(r#"{"id":3,"presence_stats":{"channel":"room"}}"#).await;
    let stats = ann.reply(3).await;
    assert_eq!(stats["presence_stats"], json!({ "num_clients": 2, "num_users": 2 }), "{stats}");

    // A lost connection is waited for, and then told.
    drop(ben);
    assert_eq!(news(&mut ann).await, ("leave".into(), "ben".into()));
    assert_eq!(users(&b).await, ["ann"]);

    // Who comes back meanwhile makes no noise.
    let cleo = member(&b, "cleo").await;
    assert_eq!(news(&mut ann).await, ("join".into(), "cleo".into()));
    drop(cleo);
    let mut cleo = member(&a, "cleo").await;
    cleo.text(r#"{"id":4,"unsubscribe":{"channel":"room"}}"#).await;
    assert_eq!(cleo.reply(4).await["unsubscribe"], json!({}));
    assert_eq!(news(&mut ann).await, ("leave".into(), "cleo".into()), "one leave, and no join before it");

    // A clean exit does not wait for a lease.
    let _dan = member(&b, "dan").await;
    assert_eq!(news(&mut ann).await, ("join".into(), "dan".into()));
    b.terminate();
    assert_eq!(news(&mut ann).await, ("leave".into(), "dan".into()));
    assert_eq!(b.exit_code().await, Some(0));
}

#[tokio::test]
async fn the_members_of_a_killed_node_are_gone_with_its_lease() {
    let redis = RedisServer::start();
    let config = with_presence(&redis.url(0));
    let (a, b, c) = tokio::join!(Gateway::start(&config), Gateway::start(&config), Gateway::start(&config));
    let mut ann = member(&a, "ann").await;
    let mut cleo = member(&c, "cleo").await;
    assert_eq!(news(&mut ann).await, ("join".into(), "cleo".into()));
    let _ben = member(&b, "ben").await;
    for socket in [&mut ann, &mut cleo] {
        assert_eq!(news(socket).await, ("join".into(), "ben".into()));
    }
    // Dropping kills it outright.
    drop(b);
    for socket in [&mut ann, &mut cleo] {
        assert_eq!(news(socket).await, ("leave".into(), "ben".into()));
    }
    assert_eq!(users(&a).await, ["ann", "cleo"]);
    // Told once: what comes next is something else.
    let _dan = member(&c, "dan").await;
    for socket in [&mut ann, &mut cleo] {
        assert_eq!(news(socket).await, ("join".into(), "dan".into()));
    }
    let stats = a.api("presence_stats", &json!({ "channel": "room" })).await;
    assert_eq!(stats["result"], json!({ "num_clients": 3, "num_users": 3 }), "{stats}");
    assert_eq!(stats["error"], Value::Null);
}

#[tokio::test]
async fn who_goes_while_it_subscribes_is_not_there() {
    let redis = RedisServer::start();
    let gateway = Gateway::start(&with_presence(&redis.url(0))).await;
    let mut ann = member(&gateway, "ann").await;
    for round in 0..5 {
        let mut ben = Socket::open(gateway.listen).await;
        ben.connect(&json!({ "token": token::mint(&json!({ "sub": "ben" })) })).await;
        let _: () = redis.run(&["CLIENT", "PAUSE", "100", "ALL"]).await;
        ben.text(r#"{"id":2,"subscribe":{"channel":"room"}}"#).await;
        drop(ben);
        // What comes after it on the same road has been answered when it has.
        ann.text(json!({ "id": 10 + round, "presence_stats": { "channel": "room" } }).to_string()).await;
        ann.reply(10 + round).await;
    }
    // Joined or not: within the delay it is gone.
    let gone = async {
        while users(&gateway).await != ["ann"] {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::gateway::DEADLINE, gone).await.expect("nobody is left behind");
}
