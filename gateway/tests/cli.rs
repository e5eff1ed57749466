//! Runs the real binary: exit codes, what goes to which stream, and the files in the repository that
//! are made of its manual. `UPDATE_DOCS=1` writes those files instead of comparing them.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail as its tests do")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fanfare_gateway::config::print;
use serde_json::{Value, json};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The binary, without what this process happens to have in its environment.
fn gateway(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare-gateway"));
    command.args(args);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FANFARE_") {
            command.env_remove(name);
        }
    }
    command
}

/// Exit code, standard output, standard error stream.
fn outcome(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Compares a file of the repository with what it should be, or writes it.
fn assert_file(path: &str, expected: &str) {
    let full = repository().join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(&full, expected).unwrap();
    }
    let found = fs::read_to_string(&full).unwrap_or_default();
    let line = found.lines().zip(expected.lines()).position(|(found, expected)| found != expected);
    let line = line.unwrap_or_else(|| found.lines().count().min(expected.lines().count())) + 1;
    let fix = "UPDATE_DOCS=1 cargo test -p fanfare-gateway --test cli";
    assert!(found == expected, "{path} is out of date (line {line}): {fix}");
}

#[test]
fn the_sample_configuration_is_what_print_config_prints() {
    let (code, out, err) = outcome(&mut gateway(&["print-config"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_file("deploy/config/gateway.toml", &out);
}

#[test]
fn the_manual_is_made_of_the_keys_comments() {
    assert_file("docs/config.md", &print::markdown());
}

#[test]
fn the_table_of_centrifugos_names_is_the_one_that_complaints_use() {
    let path = "docs/from-centrifugo.md";
    let text = fs::read_to_string(repository().join(path)).unwrap();
    let marker = "--test cli`. -->\n";
    let head = &text[..text.find(marker).expect("the marker above the tables") + marker.len()];
    assert_file(path, &format!("{head}\n{}", print::centrifugo_tables()));
}

#[test]
fn the_sample_configuration_runs_once_it_has_a_secret() {
    let (_, sample, _) = outcome(&mut gateway(&["print-config"]));
    let sample = file(&sample);
    let mut check = gateway(&["check-config", "-c", sample.path().to_str().unwrap()]);
    assert_eq!(outcome(&mut check).0, Some(78));
    let (code, out, _) = outcome(check.env("FANFARE_AUTH__TOKEN__HMAC_SECRET", SECRET));
    assert_eq!((code, out.as_str()), (Some(0), "ok\n"));
}

#[test]
fn exit_codes() {
    let bad = file("[server]\nlisten = 1\n");
    let bad = bad.path().to_str().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = format!("http://{free}/ready");
    let cases: [(&[&str], i32); 23] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["version"], 0),
        (&["print-config"], 0),
        (&[], 2),
        (&["sing"], 2),
        (&["serve", "--sing"], 2),
        (&["token"], 2),
        (&["token", "--user", "42", "--ttl", "0s"], 2),
        (&["token", "--user", "42", "--info", "{"], 2),
        (&["token", "--user", "42", "--channel", "a b"], 2),
        (&["token", "--user", "42", "--channel", "a", "--channels", "b"], 2),
        (&["token", "--user", "42", "--secret", ""], 2),
        (&["token", "--user", "42"], 78),
        (&["check-token"], 2),
        (&["check-token", "--channel", "a", "x"], 2),
        (&["check-token", "-c", bad, "x"], 78),
        (&["check-config", "-c", "no-such-file.toml"], 78),
        (&["check-config", "-c", bad], 78),
        (&["print-config", "-c", bad], 78),
        (&["serve", "-c", "no-such-file.toml"], 78),
        (&["serve", "--listen", "x"], 78),
        (&["health", "--url", &nobody], 1),
    ];
    for (args, expected) in cases {
        let (code, out, err) = outcome(&mut gateway(args));
        assert_eq!(code, Some(expected), "{args:?}: {out}{err}");
        assert_eq!(out.is_empty(), expected != 0, "{args:?}: {out}");
        assert_eq!(err.is_empty(), expected == 0, "{args:?}: {err}");
    }
}

#[test]
fn all_problems_are_told_and_no_secret_is() {
    let bad = file("[client]\nping_interval = 25\n[auth.token]\nhmac_secret = [\"hunter2\"]\n[server]\nlisen = 1\n");
    let name = bad.path().display().to_string();
    for command in ["check-config", "serve"] {
        // What would be warned of is set, so that nothing is.
        let quiet = [("FANFARE_BROKER__URL", "memory://"), ("FANFARE_SERVER__CONNECTIONS_MAX", "1")];
        let (code, out, err) = outcome(gateway(&[command, "-c", &name]).envs(quiet));
        let expected = format!(
            "the configuration has 3 problems:\n\
             \x20 client.ping_interval ({name}:2): 25 is not a duration such as \"25s\", \"500ms\" or \"1h30m\"\n\
             \x20 auth.token.hmac_secret ({name}:4): is not a text\n\
             \x20 server.lisen ({name}:6): there is no such key: did you mean server.listen?\n"
        );
        assert_eq!((code, out.as_str(), err), (Some(78), "", expected), "{command}");
    }
}

#[test]
fn a_misspelt_variable_is_told_before_what_is_missing() {
    for command in ["check-config", "serve"] {
        let (code, _, err) = outcome(gateway(&[command]).env("FANFARE_AUTH__TOKEN__HMAC_SECRE", SECRET));
        assert_eq!(code, Some(78), "{command}: {err}");
        let warned = err.find("did you mean FANFARE_AUTH__TOKEN__HMAC_SECRET").expect("a warning");
        let missed = err.find("auth.token.hmac_secret: is not set").expect("a problem");
        assert!(warned < missed, "{command}: {err}");
        assert!(!err.contains(SECRET), "{command}: {err}");
    }
}

#[test]
fn warnings_do_not_fail_a_check() {
    let loose = file("client.insecure = true\nbroker.url = \"memory://\"\nserver.connections_max = 1\n");
    let (code, out, err) = outcome(&mut gateway(&["check-config", "-c", loose.path().to_str().unwrap()]));
    assert_eq!((code, out.as_str()), (Some(0), "ok\n"));
    assert!(err.starts_with("warning: client.insecure"), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn a_flag_is_named_when_it_is_wrong() {
    let (_, _, err) = outcome(&mut gateway(&["serve", "--broker", "redis://:hunter2@host:port", "--listen", "8080"]));
    assert!(err.contains("broker.url (--broker): is not a good Redis URL"), "{err}");
    assert!(err.contains("server.listen (--listen): \"8080\" is not an address"), "{err}");
    assert!(!err.contains("hunter2"), "{err}");
}

#[test]
fn print_config_of_a_file_shows_what_is_set_and_masks_secrets() {
    let some = file("client.ping_interval = \"90s\"\n");
    let name = some.path().display().to_string();
    let mut print = gateway(&["print-config", "-c", &name]);
    let (code, out, _) = outcome(print.env("FANFARE_AUTH__TOKEN__HMAC_SECRET", "hunter2"));
    assert_eq!(code, Some(0));
    let set: Vec<&str> = out.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).collect();
    let expected = [
        format!("ping_interval = \"1m30s\" # {name}:1"),
        "hmac_secret = \"***\" # by FANFARE_AUTH__TOKEN__HMAC_SECRET".to_owned(),
    ];
    assert_eq!(set, expected);
    let mut print = gateway(&["print-config", "--effective"]);
    let (_, out, _) = outcome(print.env("FANFARE_CLIENT__CHANNEL_LIMIT", "7"));
    assert!(out.contains("\nchannel_limit = 7 # by FANFARE_CLIENT__CHANNEL_LIMIT\n"), "{out}");
}

/// Reads a token by the rules of its consumers: signature, algorithm, expiry.
fn decode(token: &str, secret: &str, algorithm: jsonwebtoken::Algorithm) -> Result<Value, String> {
    let mut validation = jsonwebtoken::Validation::new(algorithm);
    validation.set_required_spec_claims::<&str>(&[]);
    let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
    let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|error| error.to_string())?;
    Ok(decoded.claims)
}

fn unix_now() -> i64 {
    use fanfare_gateway::model::time::{Clock, SystemClock};
    SystemClock::new().unix_ms() / 1000
}

#[test]
fn token_prints_a_good_token_and_nothing_else() {
    let before = unix_now();
    let mut token = gateway(&["token", "--user", "42", "--ttl", "1h", "--channels", "a,b", "--info", r#"{"n":1}"#]);
    let (code, out, err) = outcome(token.env("FANFARE_AUTH__TOKEN__HMAC_SECRET", SECRET));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let jwt = out.strip_suffix('\n').unwrap();
    assert!(jwt.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{jwt}");
    let claims = decode(jwt, SECRET, jsonwebtoken::Algorithm::HS256).unwrap();
    let iat = claims["iat"].as_i64().unwrap();
    assert!((before..=unix_now()).contains(&iat), "{claims}");
    let expected = json!({"sub": "42", "channels": ["a", "b"], "info": {"n": 1}, "iat": iat, "exp": iat + 3600});
    assert_eq!(claims, expected);
    assert!(decode(jwt, "another secret", jsonwebtoken::Algorithm::HS256).is_err());
}

#[test]
fn a_subscription_token_is_made_as_configured() {
    let some = file(
        "[auth.token]\nalgorithms = [\"HS512\", \"HS256\"]\nhmac_secret = \"connection secret of thirty-two bytes\"\n\
         [auth.subscription_token]\nhmac_secret = \"subscription secret of 32 bytes or more\"\n",
    );
    let name = some.path().to_str().unwrap();
    let args = ["token", "-c", name, "--user", "42", "--channel", "$news"];
    let (_, out, _) = outcome(&mut gateway(&args));
    let secret = "subscription secret of 32 bytes or more";
    let mut claims = decode(out.trim_end(), secret, jsonwebtoken::Algorithm::HS512).unwrap();
    claims.as_object_mut().unwrap().remove("iat").unwrap();
    assert_eq!(claims, json!({"sub": "42", "channel": "$news"}), "and no exp without --ttl");

    let overridden = [&args[..], &["--secret", SECRET]].concat();
    let (_, out, _) = outcome(&mut gateway(&overridden));
    assert!(decode(out.trim_end(), SECRET, jsonwebtoken::Algorithm::HS512).is_ok());
}

/// What `check-token` says of a token: exit code, what it found, why it refuses.
fn checked(config: &str, args: &[&str], token: &str) -> (Option<i32>, String, String) {
    let file = file(config);
    let mut check = gateway(&["check-token", "-c", file.path().to_str().unwrap()]);
    outcome(check.args(args).arg(token))
}

/// A token of these claims.
fn signed(claims: &Value, algorithm: jsonwebtoken::Algorithm, secret: &str) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), claims, &key).unwrap()
}

const HS256: jsonwebtoken::Algorithm = jsonwebtoken::Algorithm::HS256;

#[test]
fn check_token_tells_what_a_good_one_opens() {
    let config = format!("[auth.token]\nhmac_secret = \"{SECRET}\"\n");
    let token = signed(&json!({"sub": "42", "channels": ["news"], "exp": 4_102_444_800_i64}), HS256, SECRET);
    let (code, out, err) = checked(&config, &[], &token);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    for line in [
        "header       algorithm \"HS256\", no key named\n",
        "issuer       not named\n",
        "keys of      [auth.token]\n",
        "user         \"42\"\n",
        "channels     \"news\"\n",
        "exp          2100-01-01T00:00:00Z, in ",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
    assert!(out.contains("\ngood, unless it was revoked"), "{out}");
    assert!(!out.contains(SECRET), "{out}");

    let caps = json!([{"channels": ["chat:*"], "match": "wildcard", "allow": ["sub", "pub"]}, {"channels": ["x"], "allow": []}]);
    let (code, out, _) = checked(&config, &[], &signed(&json!({"sub": "42", "caps": caps}), HS256, SECRET));
    assert_eq!(code, Some(0));
    let lines = "capability   \"chat:*\": subscribe, publish\ncapability   \"x\": nothing\n";
    assert!(out.contains(lines) && !out.contains("note"), "{out}");
    let caps = json!([{"channels": ["x", "room:1"], "allow": ["sub"]}]);
    let (code, out, _) = checked(&config, &[], &signed(&json!({"sub": "42", "caps": caps}), HS256, SECRET));
    assert_eq!(code, Some(0));
    assert!(out.contains("note         \"room:1\" is in a namespace that is not configured: error 102\n"), "{out}");

    let token = signed(&json!({"sub": "42", "channel": "$news"}), HS256, SECRET);
    let (code, out, _) = checked(&config, &["--subscription", "--channel", "$news"], &token);
    assert_eq!(code, Some(0));
    assert!(out.contains("channel      \"$news\"\n") && out.contains("client       any of the user's\n"), "{out}");
}

#[test]
fn check_token_reads_the_standard_input() {
    use std::process::Stdio;
    let config = file(&format!("[auth.token]\nhmac_secret = \"{SECRET}\"\n"));
    let mut check = gateway(&["check-token", "-c", config.path().to_str().unwrap(), "-"]);
    let mut child = check.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let token = signed(&json!({"sub": "42"}), HS256, SECRET);
    child.stdin.take().unwrap().write_all(format!("{token}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn check_token_says_why_it_is_refused() {
    let config = format!("[auth.token]\nhmac_secret = \"{SECRET}\"\naudience = \"fanfare\"\n");
    let good = json!({"sub": "42", "aud": "fanfare"});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        signed(&claims, HS256, SECRET)
    };
    let as_signed = signed(&good, HS256, SECRET);
    let cases: [(&[&str], String, &str); 20] = [
        (&[], with("exp", json!(1)), "it expired (exp) at 1970-01-01T00:00:01Z, "),
        (&[], with("nbf", json!(4_102_444_800_i64)), "it is not valid before (nbf) 2100-01-01T00:00:00Z, in "),
        (&[], with("iat", json!(4_102_444_800_i64)), "it was made in the future (iat), 2100-01-01T00:00:00Z, in "),
        (&[], with("expire_at", json!(1)), "what it opens is over (expire_at) already"),
        (
            &[],
            with("exp", json!("1")),
            "the claim \"exp\" has a wrong type or value: it must be a number of seconds since 1970",
        ),
        (
            &[],
            with("sub", json!(42)),
            "it must be a text of at most 512 bytes without control characters; a number is none: write \"42\"",
        ),
        (&[], with("jti", json!("x".repeat(513))), "it must be a text of at most 512 bytes"),
        (&[], with("caps", json!([{"channels": ["*"], "allow": ["read"]}])), "allow (a list of sub, pub, prs, hst)"),
        (&[], with("aud", json!("somebody")), "its aud does not name auth.token.audience"),
        (&[], with("channel", json!("$news")), "a connection token must not have a claim \"channel\""),
        (&[], with("channels", json!(["nobody:x"])), "is in a namespace that is not configured (102)"),
        (&[], signed(&good, HS256, "another secret of 32 bytes or more"), "no key of [auth.token] has signed it"),
        (
            &[],
            signed(&good, jsonwebtoken::Algorithm::HS512, SECRET),
            "its algorithm is \"HS512\", and auth.token.algorithms allows HS256",
        ),
        (&[], format!("{as_signed} "), "there is white space in it"),
        (&[], format!("{as_signed}="), "it is padded with ="),
        (&[], format!("{as_signed}.a.b"), "it has five parts, so it is encrypted"),
        (&[], "abc".to_owned(), "it has not three parts with dots between, but 1"),
        (&["--user", "43"], as_signed.clone(), "it is about another user than \"43\" (3500)"),
        (&["--subscription"], as_signed.clone(), "the claim \"channel\" is missing"),
        (
            &["--subscription", "--channel", "$chat"],
            with("channel", json!("$news")),
            "it is for another channel than \"$chat\" (3500)",
        ),
    ];
    for (args, token, why) in cases {
        let (code, out, err) = checked(&config, args, &token);
        assert_eq!(code, Some(1), "{why}: {out}{err}");
        assert!(err.starts_with("error: the token is refused: ") && err.contains(why), "{why}: {err}");
        assert!(out.starts_with("token        ") && !out.contains("good"), "{why}: {out}");
        assert!(!format!("{out}{err}").contains(SECRET), "{out}{err}");
    }
}

#[test]
fn a_key_that_is_no_good_is_a_bad_configuration() {
    let config = file("[auth.token]\nalgorithms = [\"RS256\"]\npublic_keys = [\"no-such-file.pem\"]\n");
    for command in ["check-config", "serve"] {
        let (code, _, err) = outcome(&mut gateway(&[command, "-c", config.path().to_str().unwrap()]));
        assert_eq!(code, Some(78), "{err}");
        assert!(err.contains("auth.token.public_keys: no-such-file.pem cannot be read"), "{err}");
    }
}

#[test]
fn check_config_looks_where_serve_would_stop() {
    let token = format!("[auth.token]\nhmac_secret = \"{SECRET}\"\nalgorithms = [\"HS256\", \"RS256\"]\n");
    for (more, why) in [
        (
            "jwks_url = \"https://127.0.0.1/jwks.json\"\n",
            "auth.token.jwks_url: it leads to a private address: set auth.token.jwks_allow_private_addresses = true",
        ),
        ("[server.tls]\ncertificate = \"no-such.crt\"\nkey = \"no-such.key\"\n", "server.tls: no-such"),
    ] {
        let config = file(&format!("{token}{more}"));
        for command in ["check-config", "serve"] {
            let (code, _, err) = outcome(&mut gateway(&[command, "-c", config.path().to_str().unwrap()]));
            assert_ne!(code, Some(0), "{command}: {err}");
            assert!(err.contains(why), "{command}: {err}");
        }
    }
}

#[test]
fn check_token_says_why_a_key_set_cannot_be_had() {
    let config = "[auth.token]\nalgorithms = [\"RS256\"]\njwks_url = \"https://127.0.0.1:1/jwks.json\"\n\
                  jwks_allow_private_addresses = true\n";
    // {"alg":"RS256","kid":"a"}, {} and a signature of nothing.
    let (code, _, err) = checked(config, &[], "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.e30.AAAA");
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("could not be fetched from auth.token.jwks_url: it cannot be reached: "), "{err}");
}

/// A server that answers one request with the given text and tells its first line.
fn answer_once(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let first = lines.next().unwrap();
        assert!(lines.any(|line| line.is_empty()), "the head ends");
        (&stream).write_all(answer.as_bytes()).unwrap();
        first
    });
    (address, server)
}

#[test]
fn health_tells_what_the_gateway_answers() {
    let ready = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{\"status\":\"ok\"}";
    let (address, server) = answer_once(ready);
    let mut health = gateway(&["health"]);
    let (code, out, err) = outcome(health.env("FANFARE_SERVER__INTERNAL_LISTEN", &address));
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "{\"status\":\"ok\"}\n", ""));
    assert_eq!(server.join().unwrap(), "GET /ready HTTP/1.0");

    let draining = "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"draining\"}";
    let (address, server) = answer_once(draining);
    let (code, out, err) = outcome(&mut gateway(&["health", "--url", &format!("http://{address}/health")]));
    assert_eq!((code, out.as_str()), (Some(1), "{\"status\":\"draining\"}\n"));
    assert_eq!(err, "error: the answer's status is 503\n");
    assert_eq!(server.join().unwrap(), "GET /health HTTP/1.0");

    let (address, server) = answer_once("SSH-2.0-x\r\n");
    let (code, _, err) = outcome(&mut gateway(&["health", "--url", &format!("http://{address}")]));
    assert_eq!((code, err.as_str()), (Some(1), "error: the answer is not HTTP\n"));
    server.join().unwrap();
}

#[test]
fn help_names_every_command_and_shows_examples() {
    let (_, out, _) = outcome(&mut gateway(&["--help"]));
    for command in ["dev", "serve", "token", "check-token", "check-config", "print-config", "health", "version"] {
        assert!(out.lines().any(|line| line.trim_start().starts_with(&format!("{command} "))), "{command}: {out}");
        let (code, help, _) = outcome(&mut gateway(&[command, "--help"]));
        assert_eq!(code, Some(0));
        assert!(command == "version" || help.contains("Example"), "{command}: {help}");
    }
}
