//! Hooks: names of the operator's choice, and who asks which.

use super::*;
use crate::config::section::{HookChoice, StatusMeaning, StatusRule};

const APP: &str = "[hook.app]\nurl = \"http://127.0.0.1:3000\"\n";

#[test]
fn a_hook_with_everything() {
    let file = r#"
        [hook]
        connect = "app"
        rpc = "other-1"
        [hook.app]
        url = "https://me:hunter2@app/hook"
        timeout = "2s"
        header_allow = ["Cookie"]
        emulated_headers = ["Authorization"]
        binary = true
        include_connection_meta = true
        answer_max = "64KiB"
        concurrency_max = 8
        breaker_failures = 3
        breaker_pause = "1s"
        status_to_code = ["404 error 1404 not found", "429 temporary 1429", "403 disconnect 4403 out you go"]
        [hook.app.headers]
        X-Key = "hunter2"
        "x.y" = "hunter2"
        [hook.other-1]
        url = "grpc://127.0.0.1:9000"
    "#;
    let loaded = good(file, &[]);
    let hook = loaded.config.hook;
    assert_eq!(
        (hook.connect.as_deref(), hook.refresh.as_deref(), hook.rpc.as_deref()),
        (Some("app"), None, Some("other-1"))
    );
    let app = &hook.targets["app"];
    assert_eq!((app.timeout, app.concurrency_max, app.answer_max), (Duration::from_secs(2), 8, ByteSize::kib(64)));
    assert_eq!(app.header_allow, ["Cookie"]);
    let names: Vec<&str> = app.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["X-Key", "x.y"]);
    assert_eq!(app.headers[0].1.expose(), "hunter2");
    let error = |code, message: &str, temporary| StatusMeaning::Error { code, message: message.into(), temporary };
    let out = StatusMeaning::Disconnect { code: 4403, reason: "out you go".into() };
    let rules = [(404, error(1404, "not found", false)), (429, error(1429, "", true)), (403, out)];
    assert_eq!(app.status_to_code, rules.map(|(status, meaning)| StatusRule { status, meaning }));
    assert!(hook.targets["other-1"].status_to_code.is_empty());
    let shown = format!("{}{app:?}", print::effective(&loaded.settings));
    assert!(!shown.contains("hunter2") && shown.contains("[hook.other-1]"), "{shown}");
}

#[test]
fn a_hook_of_variables() {
    let environment = [
        ("FANFARE_HOOK__CONNECT", "app"),
        ("FANFARE_HOOK__APP__URL", "http://app"),
        ("FANFARE_HOOK__APP__HEADERS", r#"{"X-Key":"hunter2"}"#),
    ];
    let app = &good("", &environment).config.hook.targets["app"];
    assert_eq!((app.url.expose(), app.headers[0].1.expose()), ("http://app", "hunter2"));
    let over = &good(&format!("{APP}headers = {{ X-Other = \"x\" }}"), &environment).config.hook.targets["app"];
    assert_eq!(over.headers.len(), 1, "a table wins as a whole");
}

#[test]
fn channels_name_the_usual_hook_or_another() {
    let file = format!(
        "{APP}[hook.other]\nurl = \"http://other\"\n[hook]\nsubscribe = \"app\"\n[channel.default]\nsubscribe_hook = true\n\
         publish_hook = \"other\"\n[[channel.namespace]]\nname = \"chat\"\n"
    );
    let channel = good(&file, &[]).config.channel;
    let named = |name: &str| HookChoice::Named(name.to_owned());
    assert_eq!((channel.default.subscribe_hook, channel.default.publish_hook), (named("app"), named("other")));
    assert_eq!(channel.namespaces[0].options.subscribe_hook, HookChoice::Off);
}

#[test]
fn cookies_for_a_hook_want_a_list_of_origins() {
    let file = |origins: &str| {
        let first = format!("client.allowed_origins = {origins}\nhook.connect = \"app\"\n");
        format!("{first}{APP}header_allow = [\"X-A\", \"cookie\"]\n")
    };
    let told = problems(&file("[\"*\"]"), &[]);
    assert!(told[0].starts_with("hook.app.header_allow (gateway.toml:5): with Cookie in it, and \"*\""), "{told:?}");
    // Of one that is not asked who connects it is only said.
    assert_eq!(problems(&file("[\"*\"]").replace("hook.connect", "hook.rpc"), &[]), [""; 0]);
    for origins in ["[]", "[\"https://app.example.com\"]"] {
        assert_eq!(problems(&file(origins), &[]), [""; 0]);
    }
}

#[test]
fn what_is_wrong_with_hooks() {
    let cases = [
        (
            "hook.connect = \"app\"",
            "hook.connect (gateway.toml:1): there is no hook \"app\": add a section [hook.app] with its url",
        ),
        ("hook.app.timeout = \"1s\"", "hook.app.url: is missing: write url = \"http://...\" or \"grpc://...\""),
        (
            "hook.connect.url = \"http://app\"",
            "hook.connect.url (gateway.toml:1): hook.connect names the hook that is asked, so no hook can be called so: call \
             it [hook.app], say, and set hook.connect = \"app\"",
        ),
        (
            "channel.default.subscribe_hook = true",
            "channel.default.subscribe_hook (gateway.toml:1): needs a hook: set hook.subscribe, or write its name here",
        ),
        (
            "channel.default.publish_hook = \"x\"",
            "channel.default.publish_hook (gateway.toml:1): there is no hook \"x\": add a section [hook.x] with its url",
        ),
        (
            "channel.default.subscribe_proxy_enabled = true",
            "channel.default.subscribe_proxy_enabled (gateway.toml:1): is Centrifugo's name: here it is subscribe_hook (true, or a hook's name)",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(file, &[]), [expected], "{file}");
    }
    let cases = [
        ("urll = 1", "hook.app.urll (gateway.toml:3): there is no such key: did you mean hook.app.url?"),
        ("timeout = \"31s\"", "hook.app.timeout (gateway.toml:3): 31s is too long: write 30s or less"),
        ("timeout = \"0s\"", "hook.app.timeout (gateway.toml:3): cannot be 0: give it some time"),
        ("concurrency_max = 0", "hook.app.concurrency_max (gateway.toml:3): 0 is out of range: write 1 to 65536"),
        ("header_allow = [\"a b\"]", "hook.app.header_allow (gateway.toml:3): \"a b\" is not a header's name"),
        (
            "emulated_headers = [\"Host\"]",
            "hook.app.emulated_headers (gateway.toml:3): \"Host\" belongs to the call itself: take it out",
        ),
        (
            "headers = { X-Key = 1 }",
            "hook.app.headers (gateway.toml:3): is not a table such as { X-Key = \"...\" } (in a variable: JSON)",
        ),
        (
            "status_to_code = [\"200 error 1000 x\"]",
            "hook.app.status_to_code (gateway.toml:3): \"200 error 1000 x\" in the list is not a rule such as \"404 error 1404 \
             not found\" or \"403 disconnect 4403 banned\"",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(problems(&format!("{APP}{line}"), &[]), [expected], "{line}");
    }
    let twice = format!("{APP}headers = {{ x-key = \"k\" }}\nheader_allow = [\"X-Key\"]");
    assert_eq!(
        problems(&twice, &[]),
        [
            "hook.app.header_allow (gateway.toml:4): \"X-Key\" is in headers, too, so that it never would be passed on: take \
          one of them out"
        ]
    );
    let bad_name = problems("[hook.App]\nurl = \"http://app\"", &[]);
    assert!(bad_name[0].contains("\"App\" cannot name a hook"), "{bad_name:?}");
}

#[test]
fn a_hook_lets_somebody_in() {
    let file = format!("{APP}[hook]\nconnect = \"app\"");
    assert!(load_from(Purpose::Serve, &file, &[]).is_ok());
}
