//! A backend that does not answer, or not so that one could use it: error 100 for the client, a word for the
//! operator, and nothing of what was in the body.

use serde_json::{Value, json};

use crate::backend::Backend;
use crate::gateway::free_address;
use crate::{INTERNAL, connect, gateway, rpc};

/// A plan, and the metric's word for what becomes of it.
fn bad_answers() -> Vec<(Value, &'static str)> {
    vec![
        (json!({ "status": 500 }), "status"),
        (json!({ "status": 302 }), "status"),
        (json!({ "raw": "" }), "bad_answer"),
        (json!({ "raw": "<html>hunter2</html>" }), "bad_answer"),
        (json!({ "raw": "[]" }), "bad_answer"),
        (json!({ "raw": "{\"result\":{\"data\":NaN}}" }), "bad_answer"),
        (json!({ "answer": { "error": { "code": 7, "message": "hunter2" } } }), "bad_answer"),
        (json!({ "answer": { "disconnect": { "code": 1000 } } }), "bad_answer"),
        (json!({ "answer": { "result": "hunter2" } }), "bad_answer"),
        (json!({ "bytes": 2_000_000 }), "too_large"),
        (json!({ "sleep": 5 }), "timeout"),
        (json!({ "drip": 5 }), "timeout"),
    ]
}

#[tokio::test]
async fn a_bad_answer_is_error_100_and_counted_by_its_kind() {
    let backend = Backend::start();
    let gateway = gateway(&backend.http(), "timeout = \"2s\"\n").await;
    for (plan, outcome) in bad_answers() {
        let label = format!("hook=\"app\",kind=\"connect\",outcome=\"{outcome}\"");
        let before = gateway.metric("fanfare_hook_calls_total", &label).await;
        let (_socket, reply) = connect(&gateway, json!({ "plan": plan })).await;
        assert_eq!(
            reply["error"],
            json!({ "code": INTERNAL, "message": "internal server error", "temporary": true }),
            "{plan}"
        );
        assert!((gateway.metric("fanfare_hook_calls_total", &label).await - before - 1.0).abs() < 0.5, "{plan}");
    }
    let log = gateway.log();
    assert!(log.contains("a hook has no answer") && log.contains("hook=\"app\""), "{log}");
    assert!(!log.contains("hunter2"), "bodies are not for logs");
}

#[tokio::test]
async fn nobody_there() {
    let port = free_address().port();
    for scheme in ["http", "grpc"] {
        let gateway = gateway(&format!("{scheme}://127.0.0.1:{port}"), "").await;
        let (_socket, reply) = connect(&gateway, Value::Null).await;
        assert_eq!(reply["error"]["code"], INTERNAL, "{scheme}");
        let count = gateway.metric("fanfare_hook_calls_total", "outcome=\"unreachable\"").await;
        assert!((count - 1.0).abs() < 0.5, "{scheme}: {count}");
    }
}

#[tokio::test]
async fn statuses_mean_what_the_operator_says() {
    let backend = Backend::start();
    let rules =
        r#"status_to_code = ["404 error 1404 not found", "429 temporary 1429 slow down", "403 disconnect 4403 out"]"#;
    let gateway = gateway(&backend.http(), &format!("{rules}\n")).await;
    let mut socket = crate::client(&gateway, &backend, "1").await;
    let mut error = async |id: u64, status: u16| rpc(&mut socket, id, json!({ "plan": { "status": status } })).await;
    assert_eq!(error(2, 404).await["error"], json!({ "code": 1404, "message": "not found" }));
    assert_eq!(error(3, 429).await["error"], json!({ "code": 1429, "message": "slow down", "temporary": true }));
    assert_eq!(error(4, 500).await["error"]["code"], INTERNAL);
    socket.text(r#"{"id":5,"rpc":{"method":"do","data":{"plan":{"status":403}}}}"#).await;
    socket.expect_close(4403).await;
}
