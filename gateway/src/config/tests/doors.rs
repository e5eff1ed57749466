//! What is said of the doors' keys: origins, cookies, proxies, TLS.

use super::*;
use crate::config::section::{AddressHeader, ProxyProtocol, TlsVersion};

/// What is wrong with one line of a file, without its place.
fn wrong(line: &str) -> Vec<String> {
    problems(line, &[]).into_iter().map(|problem| problem.replace(" (gateway.toml:1)", "")).collect()
}

#[test]
fn what_no_browser_sends_is_no_origin() {
    for good in [
        "https://example.com",
        "HTTPS://Example.com",
        "https://example.com:8443",
        "https://*.example.com",
        "https://app-*.example.com",
        "http://localhost:*",
        "http://[::1]:3000",
        "capacitor://localhost",
    ] {
        assert_eq!(wrong(&format!("client.allowed_origins = [\"{good}\"]")), Vec::<String>::new(), "{good}");
    }
    for (bad, text) in [
        ("null", "is not an origin"),
        ("example.com", "is not an origin"),
        ("://example.com", "is not an origin"),
        ("https://", "is not an origin"),
        ("https://example.com/", "is not an origin"),
        ("https://user@example.com", "is not an origin"),
        ("https://exämple.com", "write the host in ASCII"),
        ("https://example.com:443", "write \"https://example.com\""),
        ("http://example.com:80", "write \"http://example.com\""),
        ("https://*example.com", "lets in others than meant"),
        ("https://example.*", "lets in others than meant"),
        ("https://ex*mple.com", "lets in others than meant"),
        ("https://*", "lets in others than meant"),
        ("https://*.*.example.com", "more than one \"*\""),
    ] {
        let told = wrong(&format!("client.allowed_origins = [\"{bad}\"]"));
        assert!(told.len() == 1 && told[0].contains(text), "{bad}: {told:?}");
    }
}

#[test]
fn a_cookie_needs_origins() {
    let told = wrong("client.token_cookie = \"fanfare\"");
    let fix = "list the origins of your own pages in client.allowed_origins, such as \"https://example.com\"";
    let expected = format!("client.token_cookie: would never be read, because no page's origin is listed: {fix}");
    assert_eq!(told, [expected]);
    let any = "client = { token_cookie = \"fanfare\", allowed_origins = [\"https://a.com\", \"*\"] }";
    let told = wrong(any);
    assert!(told.len() == 1 && told[0].contains("any page could act as whoever opens it: remove \"*\""), "{told:?}");
    let listed = "client = { token_cookie = \"__Host-t\", allowed_origins = [\"https://a.com\"] }";
    assert_eq!(good(listed, &[]).config.client.token_cookie.as_deref(), Some("__Host-t"));
    let told = wrong("client = { token_cookie = \"a=b\", allowed_origins = [\"https://a.com\"] }");
    assert!(told.len() == 1 && told[0].contains("is not a cookie's name"), "{told:?}");
}

#[test]
fn proxies_are_ranges_of_addresses() {
    let server = good("server.trusted_proxies = [\"10.0.0.0/8\", \"::1\"]", &[]).config.server;
    assert_eq!(server.trusted_proxies.len(), 2);
    assert_eq!(
        (server.client_address_header, server.proxy_protocol),
        (AddressHeader::XForwardedFor, ProxyProtocol::Off)
    );
    assert_eq!(
        wrong("server.trusted_proxies = [\"10.1.0.0/8\"]"),
        ["server.trusted_proxies: \"10.1.0.0/8\" names one address and says how many bits of it count: write \
          \"10.0.0.0/8\""]
    );
    assert_eq!(
        wrong("server.trusted_proxies = [\"balancer\"]"),
        ["server.trusted_proxies: \"balancer\" in the list is not a range of addresses such as \"10.0.0.0/8\" or \
          \"fd00::/8\""]
    );
    assert_eq!(
        wrong("server.proxy_protocol = \"required\""),
        ["server.proxy_protocol: \"required\" lets nobody in while no proxy is trusted: list yours in \
          server.trusted_proxies"]
    );
    let warnings = good("server.client_address_header = \"forwarded\"", &[]).warnings;
    assert!(warnings.iter().any(|text| text.contains("does nothing without server.trusted_proxies")), "{warnings:?}");
}

#[test]
fn a_certificate_has_a_key() {
    assert_eq!(
        wrong("server.tls.certificate = \"a.pem\""),
        ["server.tls.certificate: does nothing without its key: set server.tls.key, too"]
    );
    assert_eq!(
        wrong("server.tls.key = \"a.pem\""),
        ["server.tls.key: does nothing without a certificate: set server.tls.certificate, too"]
    );
    let tls = good("server.tls = { certificate = \"a.pem\", key = \"b.pem\" }", &[]).config.server.tls.unwrap();
    assert_eq!((tls.min_version, tls.handshake_timeout), (TlsVersion::V1_2, Duration::from_secs(5)));
    let told = wrong("server.tls.min_version = \"1.1\"");
    assert_eq!(told, ["server.tls.min_version: \"1.1\" is not \"1.2\" or \"1.3\""]);
}
