//! The PROXY header, versions 1 and 2: how a balancer that does not speak HTTP says for whom it connects
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). Nothing behind the header is read.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";

/// The longest header of version 1, its end of line included.
const LINE_MAX: usize = 107;

/// Signature, version and command, family, length.
const FIXED: usize = 16;

/// The longest header that is taken. Version 2 could have 64 KiB of notes that nobody here reads; proxies send
/// a few hundred bytes.
pub const HEADER_MAX: usize = 4096;

/// A header that is all here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// For whom the proxy connects; none if for itself, to see whether we live, or if it cannot say.
    pub client: Option<SocketAddr>,
    /// Its length, in bytes.
    pub size: usize,
}

/// The bytes are no PROXY header. The fault of the proxy, or of whoever is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it does not begin with a PROXY header")]
pub struct Malformed;

/// Reads the header that a connection begins with, and not a byte more.
///
/// # Errors
/// [`Malformed`] as [`io::ErrorKind::InvalidData`], and whatever ends a connection.
pub(super) async fn accept(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut known = Vec::new();
    let mut fresh = [0; 512];
    loop {
        let count = stream.peek(&mut fresh).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = known.len();
        known.extend_from_slice(&fresh[..count]);
        let header = parse(&known).map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
        // Without its end all that has come is the header's; with it, only what is before the end.
        let taken = header.map_or(count, |header| header.size - before);
        stream.read_exact(&mut fresh[..taken]).await?;
        if let Some(header) = header {
            return Ok(header.client);
        }
    }
}

/// Reads a header from the beginning of what has come; none if there is not all of it yet.
///
/// # Errors
/// [`Malformed`], as soon as that is sure.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
    if begins(SIGNATURE) {
        binary(bytes)
    } else if begins(WORD) {
        line(bytes)
    } else {
        Err(Malformed)
    }
}

/// Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 1234 443` and CR LF.
fn line(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some(end) = bytes.iter().take(LINE_MAX).position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE_MAX { Ok(None) } else { Err(Malformed) };
    };
    let text = bytes[..end].strip_suffix(b"\r").and_then(|line| str::from_utf8(line).ok()).ok_or(Malformed)?;
    let mut words = text.split(' ').skip(1);
    let client = match words.next() {
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(ends::<Ipv4Addr>(words)?),
        Some("TCP6") => Some(ends::<Ipv6Addr>(words)?),
        _ => return Err(Malformed),
    };
    Ok(Some(Header { client, size: end + 1 }))
}

/// Both addresses, both ports; the first of each is the client's.
fn ends<'a, A>(mut words: impl Iterator<Item = &'a str>) -> Result<SocketAddr, Malformed>
where
    A: std::str::FromStr + Into<IpAddr>,
{
    let mut next = || words.next().ok_or(Malformed);
    let (client, _here) = (address::<A>(next()?)?, address::<A>(next()?)?);
    let (port, _here) = (port(next()?)?, port(next()?)?);
    if words.next().is_some() { Err(Malformed) } else { Ok(SocketAddr::new(client.into(), port)) }
}

fn address<A: std::str::FromStr>(text: &str) -> Result<A, Malformed> {
    text.parse().map_err(|_| Malformed)
}

fn port(text: &str) -> Result<u16, Malformed> {
    // `parse` would take a sign.
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().map_err(|_| Malformed) } else { Err(Malformed) }
}

/// Version 2.
fn binary(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED>() else { return Ok(None) };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let size = FIXED + length;
    if size > HEADER_MAX || !matches!(command, 0x20 | 0x21) {
        return Err(Malformed);
    }
    // LOCAL: the proxy's own connection, whatever follows.
    let addresses = match (command, family) {
        (0x20, _) | (_, 0x00) => 0,
        (_, 0x11) => 12,
        (_, 0x21) => 36,
        // Datagrams and sockets of a file system do not come by TCP.
        _ => return Err(Malformed),
    };
    if length < addresses {
        return Err(Malformed);
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    Ok(Some(Header { client: client(addresses, body), size }))
}

/// The client's address and port of a block of so many bytes: two addresses, then two ports.
fn client(addresses: usize, body: &[u8]) -> Option<SocketAddr> {
    let width = (addresses / 2).checked_sub(2)?;
    let ip = match width {
        4 => IpAddr::from(*body.first_chunk::<4>()?),
        _ => IpAddr::from(*body.first_chunk::<16>()?),
    };
    let port = body.get(2 * width..)?.first_chunk::<2>()?;
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests;
