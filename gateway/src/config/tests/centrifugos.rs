//! Centrifugo's names, and where they lead.

use super::*;

#[test]
fn names_of_centrifugo() {
    let file = r#"
        admin.enabled = true
        client.token.hmac_secret_key = "x"
        client.token.rsa_public_key = "x"
        http_api.key = "x"
        engine.type = "redis"
        prometheus.enabled = true
        [channel.without_namespace]
        allow_subscribe_for_client = true
        auto_cache_recover = true
        [[channel.namespaces]]
        name = "chat"
        presence = true
    "#;
    let expected = [
        "admin.enabled (gateway.toml:2): is Centrifugo's name: not built yet; remove it",
        "channel.namespaces[0].name (gateway.toml:12): is Centrifugo's name: here it is channel.namespace.name",
        "channel.namespaces[0].presence (gateway.toml:13): is Centrifugo's name: here it is channel.namespace.presence",
        "channel.without_namespace.allow_subscribe_for_client (gateway.toml:9): is Centrifugo's name: here it is \
         channel.default.allow_subscribe_for_client",
        "channel.without_namespace.auto_cache_recover (gateway.toml:10): is not built yet: remove it",
        "client.token.hmac_secret_key (gateway.toml:3): is Centrifugo's name: here it is auth.token.hmac_secret",
        "client.token.rsa_public_key (gateway.toml:4): is Centrifugo's name: here it is auth.token.public_keys (as a file)",
        "engine.type (gateway.toml:6): is Centrifugo's name: here it is broker.url (`memory://` or \
         `redis://host:port/db`)",
        "http_api.key (gateway.toml:5): is Centrifugo's name: here it is api.key",
        "prometheus.enabled (gateway.toml:7): is Centrifugo's name: always on: /metrics on server.internal_listen; \
         remove it",
    ];
    assert_eq!(problems(file, &[]), expected);
}

#[test]
fn centrifugos_names_lead_to_keys_that_exist() {
    let known: Vec<String> = load::paths().collect();
    for name in centrifugo::NAMES {
        let leads = |here: &str| known.iter().any(|known| known == here) || here == "channel.default";
        assert!(name.here.is_none_or(leads), "{name:?}");
        assert!(name.here.is_some() || !name.note.is_empty(), "{name:?}");
        let first = centrifugo::find(name.theirs.trim_end_matches(".*")).unwrap();
        assert_eq!(first.theirs, name.theirs, "hidden by an earlier one");
    }
}
