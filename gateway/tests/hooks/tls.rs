//! Hooks in TLS: whoever shows a certificate for another name is not asked.

use serde_json::json;

use crate::backend::Backend;
use crate::{INTERNAL, client, connect, gateway, rpc};

#[tokio::test]
async fn a_backend_with_a_good_certificate_is_asked() {
    let backend = Backend::start();
    for url in ["localhost", "127.0.0.1"].iter().flat_map(|host| [backend.https(host), backend.grpcs(host)]) {
        let gateway = gateway(&url, "").await;
        let mut socket = client(&gateway, &backend, "42").await;
        let said = json!({ "plan": { "answer": { "result": { "data": [1, 2] } } } });
        assert_eq!(rpc(&mut socket, 2, said).await["rpc"]["data"], json!([1, 2]), "{url}");
        assert_eq!(backend.asked().await.body["user"], "42", "{url}");
    }
}

#[tokio::test]
async fn a_backend_with_a_certificate_for_another_name_is_not() {
    let backend = Backend::start();
    // It listens there, too, and the certificate does not say so.
    for url in [backend.https("127.0.0.2"), backend.grpcs("127.0.0.2")] {
        let gateway = gateway(&url, "").await;
        let (_socket, reply) = connect(&gateway, json!({ "password": "hush" })).await;
        assert_eq!(reply["error"]["code"], INTERNAL, "{url}: {reply}");
        assert!(gateway.metric("fanfare_hook_calls_total", "outcome=\"unreachable\"").await > 0.5, "{url}");
        assert!(gateway.log().contains("certificate"), "{url}: the log says why\n{}", gateway.log());
    }
    assert!(backend.seen().await.is_empty(), "nothing was said to it");
}
