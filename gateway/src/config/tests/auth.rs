//! What is said of keys about tokens.

use super::section::auth::{IssuerConfig, KeyFile, PreviousSecret};
use super::*;

#[test]
fn every_key_about_tokens_is_read() {
    let other = "another secret of 32 bytes or more";
    let file = format!(
        "[auth.token]
        algorithms = [\"HS256\", \"EdDSA\"]
        hmac_secret = \"{SECRET}\"
        hmac_previous_secret = \"{other}\"
        hmac_previous_valid_until = 2023-11-14T22:13:20Z
        public_keys = [\"a.pem\", \"k1=b.pem\", \"=c=d.pem\"]
        jwks_url = \"https://a.example/jwks.json\"
        jwks_allow_private_addresses = true
        leeway = \"10s\"
        user_id_claim = \"user.id\"
        [[auth.issuer]]
        name = \"staff\"
        issuer = \"https://staff.example\"
        algorithms = [\"ES512\"]
        public_keys = [\"staff.pem\"]
        audience = \"fanfare\"
        user_prefix = \"staff:\"
        "
    );
    let auth = good(&file, &[]).config.auth;
    let token = &auth.token;
    assert_eq!(token.algorithms, [Algorithm::Hs256, Algorithm::EdDsa]);
    let previous = PreviousSecret { secret: secret::Secret::new(other), valid_until_unix_s: 1_700_000_000 };
    assert_eq!(token.hmac_previous, Some(previous));
    let key = |path: &str, kid: Option<&str>| KeyFile { path: path.to_owned(), kid: kid.map(str::to_owned) };
    assert_eq!(token.public_keys, [key("a.pem", None), key("b.pem", Some("k1")), key("c=d.pem", None)]);
    let jwks = token.jwks.as_ref().unwrap();
    assert_eq!((jwks.url.expose(), jwks.allow_http), ("https://a.example/jwks.json", false));
    assert!(jwks.allow_private_addresses);
    assert_eq!(
        (token.leeway, token.user_id_claim.names()),
        (Duration::from_secs(10), &["user".into(), "id".into()][..])
    );
    assert_eq!(auth.subscription_token, auth.token, "the same unless set");
    let [IssuerConfig { name, token }] = auth.issuers.as_slice() else { panic!("{:?}", auth.issuers) };
    assert_eq!((name.as_str(), token.issuer.as_deref()), ("staff", Some("https://staff.example")));
    assert_eq!((token.algorithms.as_slice(), token.user_prefix.as_deref()), (&[Algorithm::Es512][..], Some("staff:")));
}

#[test]
fn a_key_of_its_own_stands_in_the_place_of_all_others() {
    let file = format!(
        "[auth.token]
        algorithms = [\"HS256\", \"RS256\"]
        hmac_secret = \"{SECRET}\"
        audience = \"a\"
        leeway = \"5s\"
        [auth.subscription_token]
        public_keys = [\"subscriptions.pem\"]
        "
    );
    let own = good(&file, &[]).config.auth.subscription_token;
    assert_eq!((own.hmac_secret, own.public_keys.len()), (None, 1));
    assert_eq!((own.audience.as_deref(), own.leeway), (Some("a"), Duration::from_secs(5)));
}

#[test]
fn issuers_may_come_by_a_variable() {
    let list = format!(r#"[{{"name":"a","issuer":"https://a.example","hmac_secret":"{SECRET}"}}]"#);
    let config = good("", &[("FANFARE_AUTH__ISSUER", &list)]).config;
    assert_eq!(config.auth.issuers[0].name, "a");
    assert_eq!(
        problems("", &[("FANFARE_AUTH__ISSUER", "a")]),
        ["auth.issuer (FANFARE_AUTH__ISSUER): is not a JSON list of objects such as \
          [{\"name\":\"staff\",\"issuer\":\"https://staff.example.com\",\"public_keys\":[\"staff.pem\"]}]"]
    );
}

#[test]
fn wrong_things_about_tokens() {
    let secret = format!("auth.token.hmac_secret = \"{SECRET}\"\n");
    let issuer = format!("[[auth.issuer]]\nname = \"a\"\nissuer = \"i\"\nhmac_secret = \"{SECRET}\"\n");
    let with = |more: &str| format!("{secret}{more}");
    let cases = [
        (
            with("auth.token.leeway = \"6m\""),
            "auth.token.leeway (gateway.toml:2): is counted in whole seconds, at most 5m: write \"10s\", say",
        ),
        (
            with("auth.token.leeway = \"1500ms\""),
            "auth.token.leeway (gateway.toml:2): is counted in whole seconds, at most 5m: write \"10s\", say",
        ),
        (
            with("auth.token.user_id_claim = \"a..b\""),
            "auth.token.user_id_claim (gateway.toml:2): \"a..b\" is not a claim such as \"sub\" or \"user.id\"",
        ),
        (
            with("auth.token.public_keys = [\"k=\"]"),
            "auth.token.public_keys (gateway.toml:2): \"k=\" in the list is not a file such as \"app.pem\", or with the key's name \"2026-11=app.pem\"",
        ),
        (
            with(&format!("auth.token.hmac_previous_secret = \"{SECRET}\"")),
            "auth.token.hmac_previous_secret (gateway.toml:2): would be good for ever: say until when by \
             auth.token.hmac_previous_valid_until",
        ),
        (
            with("auth.token.hmac_previous_valid_until = 1"),
            "auth.token.hmac_previous_valid_until (gateway.toml:2): is about auth.token.hmac_previous_secret, which is not \
             set: set it, or remove this",
        ),
        (
            with("auth.token.algorithms = [\"ES256\"]"),
            "auth.token.hmac_secret (gateway.toml:1): is of no use, because auth.token.algorithms names none of HS256, \
             HS384, HS512: remove it",
        ),
        (
            with("auth.token.jwks_url = \"http://a.example\""),
            "auth.token.jwks_url (gateway.toml:2): is not https, so whoever is on the way could make tokens: write \
             https://, or for tests set auth.token.jwks_allow_http = true",
        ),
        (
            with("[[auth.issuer]]\nname = \"a\"\nissuer = \"i\""),
            "auth.issuer[0] (gateway.toml:2): has no key: set hmac_secret, public_keys or jwks_url",
        ),
        (issuer.replace("issuer = \"i\"\n", ""), "auth.issuer[0].issuer: is missing: every issuer has one"),
        (
            format!("{issuer}{}", issuer.replace("\"i\"", "\"j\"")),
            "auth.issuer[1].name (gateway.toml:6): there is another issuer \"a\": rename one",
        ),
        (
            format!("{issuer}{}", issuer.replace("\"a\"", "\"b\"")),
            "auth.issuer[1].issuer (gateway.toml:7): is another issuer's, too, so a token could be either's: join them, or \
             correct one",
        ),
        (
            "[auth.issuer]\nname = \"a\"".to_owned(),
            "auth.issuer.name (gateway.toml:2): is a list: write each issuer as [[auth.issuer]], with double brackets",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problems(&file, &[]), [expected], "{file}");
    }
}

#[test]
fn issuers_whose_users_may_be_mixed_up_are_told_of() {
    let issuer = |name: &str, more: &str| {
        format!("[[auth.issuer]]\nname = \"{name}\"\nissuer = \"{name}\"\nhmac_secret = \"{SECRET}\"\n{more}\n")
    };
    let alone = issuer("a", "");
    let mixed = |index: usize, name: &str| {
        format!(
            "auth.issuer[{index}].user_prefix: is not set, so its user \"42\" is the same as that of other issuers: set \
             \"{name}-\", say, if they are not"
        )
    };
    let token = format!("auth.token.hmac_secret = \"{SECRET}\"\n");
    let prefix = "user_prefix = \"b-\"";
    for (file, expected) in [
        (alone.clone(), vec![]),
        (format!("{token}{alone}"), vec![mixed(0, "a")]),
        (format!("{token}{}", issuer("b", prefix)), vec![]),
        (format!("{alone}{}", issuer("b", prefix)), vec![]),
        (format!("{alone}{}", issuer("b", "")), vec![mixed(0, "a"), mixed(1, "b")]),
    ] {
        let warnings = serve_warnings(&file, &[]);
        let told: Vec<_> = warnings.iter().filter(|warning| warning.contains("user_prefix")).collect();
        assert_eq!(told, expected.iter().collect::<Vec<_>>(), "{file}");
    }
}

#[test]
fn prefixes_that_do_not_keep_users_apart_are_refused() {
    let issuer = |name: &str, prefix: &str| {
        format!(
            "[[auth.issuer]]\nname = \"{name}\"\nissuer = \"{name}\"\nhmac_secret = \"{SECRET}\"\nuser_prefix = \"{prefix}\"\n"
        )
    };
    for (prefixes, expected) in [
        (
            ["s", "st-"],
            "auth.issuer[0].user_prefix (gateway.toml:5): \"st-\" begins with \"s\", so users of both can be",
        ),
        (["a-", "\\u0007"], "auth.issuer[1].user_prefix (gateway.toml:10): is no beginning of an id"),
    ] {
        let file = format!("{}{}", issuer("a", prefixes[0]), issuer("b", prefixes[1]));
        let told = problems(&file, &[]);
        assert!(told[0].starts_with(expected), "{told:?}");
    }
    for (prefixes, expected) in [
        (
            ["a:", "b-"],
            "auth.issuer[0].user_prefix (gateway.toml:5): \"a:\" has `:` in it, so that its users have channels by",
        ),
        (["a#", "b-"], "auth.issuer[0].user_prefix (gateway.toml:5): \"a#\" has `,` or `#` in it"),
        (["a-", "a-"], "auth.issuer[1].user_prefix (gateway.toml:10): \"a-\" is another issuer's, too"),
    ] {
        let warnings = serve_warnings(&format!("{}{}", issuer("a", prefixes[0]), issuer("b", prefixes[1])), &[]);
        assert_eq!(warnings.iter().filter(|warning| warning.starts_with(expected)).count(), 1, "{warnings:?}");
    }
}

#[test]
fn a_key_in_pem_is_no_secret() {
    let file = "[auth.token]\nhmac_secret = \"\"\"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\"\"\"\n";
    let told = problems(file, &[]);
    assert!(told[0].starts_with("auth.token.hmac_secret (gateway.toml:2): is a key in PEM"), "{told:?}");
}

#[test]
fn an_issuer_is_enough_to_serve() {
    let file = format!("[[auth.issuer]]\nname = \"a\"\nissuer = \"i\"\nhmac_secret = \"{SECRET}\"\n");
    assert!(load_from(Purpose::Serve, &file, &[]).is_ok());
    let file = "[auth.token]\njwks_url = \"https://a.example/jwks.json\"\n";
    let warnings = serve_warnings(file, &[]);
    assert_eq!(
        warnings,
        [
            "auth.token.jwks_url (gateway.toml:2): its keys are of no use, because auth.token.algorithms names only HS ones: \
          add \"RS256\", say"
        ]
    );
}
