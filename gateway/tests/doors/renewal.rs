//! Another certificate while the gateway runs.

use std::fs;

use serde_json::json;

use crate::certificate::Pair;
use crate::gateway::Gateway;
use crate::tls::Client;

#[tokio::test]
async fn a_new_pair_is_shown_a_bad_one_is_not_and_connections_stay() {
    let (shown, new) = (Pair::make(), Pair::make());
    let gateway = Gateway::start(&format!("[client]\ninsecure = true\n{}", shown.section())).await;
    let old = Pair::make();
    fs::copy(shown.certificate(), old.certificate()).unwrap();
    let mut client = Client::open(old.connect(gateway.listen).await.unwrap()).await;

    // Half of a pair.
    fs::copy(new.certificate(), shown.certificate()).unwrap();
    gateway.signal("HUP");
    reloads(&gateway, "error", 1.0).await;
    gateway.logs("clients are shown the one before").await;
    assert!(old.connect(gateway.listen).await.is_ok() && new.connect(gateway.listen).await.is_err());

    // The other half, too. Looked at in any case before long; by then the signal has done it.
    fs::copy(new.key(), shown.key()).unwrap();
    gateway.signal("HUP");
    reloads(&gateway, "ok", 1.0).await;
    assert!(new.connect(gateway.listen).await.is_ok() && old.connect(gateway.listen).await.is_err());

    // No certificate at all, and no file.
    fs::write(shown.certificate(), "nothing").unwrap();
    gateway.signal("HUP");
    reloads(&gateway, "error", 2.0).await;
    fs::remove_file(shown.certificate()).unwrap();
    gateway.signal("HUP");
    reloads(&gateway, "error", 3.0).await;
    assert!(new.connect(gateway.listen).await.is_ok());
    let key = fs::read_to_string(new.key()).unwrap();
    let secret = key.lines().nth(1).unwrap();
    assert!(!gateway.log().contains(secret), "a key in the log");

    client.send(&json!({ "id": 9, "publish": { "channel": "news", "data": 1 } })).await;
    assert!(!client.line().await.is_null(), "the first connection is open still");
}

async fn reloads(gateway: &Gateway, outcome: &str, count: f64) {
    gateway.counts("fanfare_certificate_reloads_total", &format!("outcome=\"{outcome}\""), count).await;
}
