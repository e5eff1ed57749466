//! Commands that break the protocol.

use serde_json::{Value, json};

use crate::room::{INSECURE, Room, SECURE, ends};
use crate::token;

const BAD_REQUEST: u16 = 3501;

#[tokio::test]
async fn unknown_command() {
    ends(r#"{"id":2,"fly":{}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn command_without_a_method() {
    ends(r#"{"id":2}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn two_commands_in_one() {
    ends(r#"{"id":2,"subscribe":{"channel":"a"},"unsubscribe":{"channel":"a"}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn second_connect() {
    ends(r#"{"id":2,"connect":{}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn ping_command() {
    ends(r#"{"id":2,"ping":{}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn empty_frame() {
    ends("", BAD_REQUEST).await;
}

#[tokio::test]
async fn pong_without_a_ping() {
    ends("{}", BAD_REQUEST).await;
}

#[tokio::test]
async fn id_zero() {
    ends(r#"{"id":0,"subscribe":{"channel":"a"}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn id_missing() {
    ends(r#"{"subscribe":{"channel":"a"}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn id_negative() {
    ends(r#"{"id":-1,"subscribe":{"channel":"a"}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn id_two_to_the_64() {
    ends(r#"{"id":18446744073709551616,"subscribe":{"channel":"a"}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn json_cut_off() {
    ends(r#"{"id":2,"subscribe":{"channel":"a""#, BAD_REQUEST).await;
}

#[tokio::test]
async fn json_with_something_behind_it() {
    ends(r#"{"id":2,"subscribe":{"channel":"a"}}]"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn json_that_is_no_object() {
    ends("[1,2,3]", BAD_REQUEST).await;
}

#[tokio::test]
async fn json_of_the_wrong_shape() {
    ends(r#"{"id":2,"subscribe":{"channel":["a"]}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn not_a_number() {
    ends(r#"{"id":2,"publish":{"channel":"a","data":NaN}}"#, BAD_REQUEST).await;
}

#[tokio::test]
async fn nested_30_000_deep_and_never_closed() {
    ends(&format!(r#"{{"id":2,"publish":{{"channel":"a","data":{}"#, "[".repeat(30_000)), BAD_REQUEST).await;
}

#[tokio::test]
async fn unknown_field_nested_30_000_deep() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    ends(&format!(r#"{{"id":2,"fly":{deep}}}"#), BAD_REQUEST).await;
}

#[tokio::test]
async fn first_command_is_not_connect() {
    let room = Room::open(INSECURE).await;
    for frame in [r#"{"id":1,"subscribe":{"channel":"a"}}"#, r#"{"send":{"data":1}}"#, "{}", "", "nonsense"] {
        let mut stranger = room.stranger().await;
        stranger.text(frame).await;
        stranger.expect_close(BAD_REQUEST).await;
    }
    room.close().await;
}

#[tokio::test]
async fn command_after_a_refused_connect() {
    let room = Room::open(SECURE).await;
    let mut stranger = room.stranger().await;
    let expired = token::mint(&json!({ "sub": "42", "exp": token::now() - 60 }));
    assert_eq!(stranger.connect(&json!({ "token": expired })).await["error"]["code"], 109);
    stranger.text(r#"{"id":2,"subscribe":{"channel":"a"}}"#).await;
    stranger.expect_close(BAD_REQUEST).await;
    room.close().await;
}

#[tokio::test]
async fn repeated_id_is_answered_both_times() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    guest.text("{\"id\":7,\"unsubscribe\":{\"channel\":\"a\"}}\n{\"id\":7,\"rpc\":{\"method\":\"m\"}}").await;
    assert_eq!(guest.expect_line().await, json!({ "id": 7, "unsubscribe": {} }));
    assert_eq!(guest.error(7).await, 108);
    room.close().await;
}

#[tokio::test]
async fn commands_before_a_bad_one_in_the_same_frame_count() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    guest.text("{\"id\":2,\"unsubscribe\":{\"channel\":\"a\"}}\n{\"id\":0,\"unsubscribe\":{\"channel\":\"a\"}}").await;
    guest.expect_close(BAD_REQUEST).await;
    room.close().await;
}

#[tokio::test]
async fn tiny_commands_2_500_in_one_frame() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    let commands: Vec<_> = (2..2_502).map(|id| format!(r#"{{"id":{id},"rpc":{{}}}}"#)).collect();
    let frame = commands.join("\n");
    assert!(frame.len() <= 64 * 1024, "{} bytes", frame.len());
    guest.text(frame).await;
    for id in 2..2_502_u64 {
        let reply: Value = guest.expect_line().await;
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(id), &json!(108)));
    }
    room.close().await;
}

#[tokio::test]
async fn more_commands_in_one_frame_than_anybody_batches() {
    let room = Room::open(INSECURE).await;
    let mut guest = room.guest().await;
    // 4,096 are carried out; the next one ends the connection.
    guest.text(r#"{"send":{}}"#.repeat(5_000)).await;
    guest.expect_close(3501).await;
    room.close().await;
}
