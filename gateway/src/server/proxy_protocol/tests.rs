use super::*;

/// A header of version 2.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, body].concat()
}

fn of_ipv4() -> Vec<u8> {
    let mut body = vec![192, 0, 2, 1, 10, 0, 0, 1];
    body.extend(4711_u16.to_be_bytes());
    body.extend(443_u16.to_be_bytes());
    body
}

/// What is read of a good header with something behind it; of each part of it nothing is.
fn client_of(header: &[u8]) -> Option<SocketAddr> {
    for end in 0..header.len() {
        assert_eq!(parse(&header[..end]), Ok(None), "{end} bytes of {header:?}");
    }
    let with_more = [header, b"GET / HTTP/1.1\r\n"].concat();
    let read = parse(&with_more).unwrap().expect("it is all here");
    assert_eq!(read.size, header.len());
    read.client
}

#[test]
fn version_1() {
    let client = |line: &str| client_of(format!("{line}\r\n").as_bytes()).map(|client| client.to_string());
    assert_eq!(client("PROXY TCP4 192.0.2.1 10.0.0.1 4711 443").as_deref(), Some("192.0.2.1:4711"));
    assert_eq!(client("PROXY TCP6 2001:db8::1 ::1 4711 443").as_deref(), Some("[2001:db8::1]:4711"));
    assert_eq!(client("PROXY UNKNOWN"), None);
    assert_eq!(client("PROXY UNKNOWN ffff::1 ffff::2 65535 65535"), None);
}

#[test]
fn version_2() {
    assert_eq!(client_of(&v2(0x21, 0x11, &of_ipv4())), Some("192.0.2.1:4711".parse().unwrap()));
    let mut of_ipv6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].repeat(2);
    of_ipv6.extend([0x12, 0x67, 1, 0xbb]);
    assert_eq!(client_of(&v2(0x21, 0x21, &of_ipv6)), Some("[2001:db8::1]:4711".parse().unwrap()));
    // Notes behind the addresses are not for us.
    let noted = [of_ipv4(), vec![3, 0, 4, 1, 2, 3, 4]].concat();
    assert_eq!(client_of(&v2(0x21, 0x11, &noted)), Some("192.0.2.1:4711".parse().unwrap()));
    assert_eq!(client_of(&v2(0x20, 0x00, &[])), None, "the proxy's own");
    assert_eq!(client_of(&v2(0x20, 0x11, &of_ipv4())), None, "the proxy's own, whatever it says");
    assert_eq!(client_of(&v2(0x21, 0x00, &[])), None, "it cannot say");
}

#[test]
fn anything_else_is_refused() {
    let lines = [
        "GET / HTTP/1.1",
        "PROXY",
        "PROXY ",
        "PROXY TCP5 192.0.2.1 10.0.0.1 4711 443",
        "PROXY tcp4 192.0.2.1 10.0.0.1 4711 443",
        "PROXY TCP4 192.0.2.1 10.0.0.1 4711",
        "PROXY TCP4 192.0.2.1 10.0.0.1 4711 443 x",
        "PROXY TCP4  192.0.2.1 10.0.0.1 4711 443",
        "PROXY TCP4 192.0.2.1 10.0.0.1 +711 443",
        "PROXY TCP4 192.0.2.1 10.0.0.1 65536 443",
        "PROXY TCP4 ::1 ::1 4711 443",
        "PROXY TCP6 192.0.2.1 10.0.0.1 4711 443",
    ];
    for line in lines {
        assert_eq!(parse(format!("{line}\r\n").as_bytes()), Err(Malformed), "{line}");
    }
    assert_eq!(parse(b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\n"), Err(Malformed), "no CR");
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(LINE_MAX));
    assert_eq!(parse(endless.as_bytes()), Err(Malformed));
    for (header, why) in [
        (v2(0x11, 0x11, &of_ipv4()), "version 1"),
        (v2(0x22, 0x11, &of_ipv4()), "an unknown command"),
        (v2(0x21, 0x12, &of_ipv4()), "datagrams"),
        (v2(0x21, 0x31, &[0; 216]), "a socket of a file system"),
        (v2(0x21, 0x11, &of_ipv4()[..11]), "too short for its addresses"),
        (v2(0x21, 0x11, &[0; HEADER_MAX - FIXED + 1]), "too long"),
    ] {
        assert_eq!(parse(&header), Err(Malformed), "{why}");
    }
    // Told from the head alone: nobody waits for 64 KiB.
    let huge = [&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat();
    assert_eq!(parse(&huge), Err(Malformed));
}
