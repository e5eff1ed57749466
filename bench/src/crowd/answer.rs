//! As much of HTTP answers as publishers need: where they end, and whether they say yes.

use anyhow::{Context, Result, ensure};

/// A complete answer that says yes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// No other request may follow on the connection.
    pub(super) closes: bool,
}

impl Answer {
    /// The one answer in `bytes`; none if it is not all here. Any status but 2xx is an error.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(&bytes[..end]).context("the answer to a publication is no HTTP")?;
        let body = &bytes[end + 4..];
        let is_chunked = header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let length = header(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if if is_chunked { !body.ends_with(b"0\r\n\r\n") } else { body.len() < length } {
            return Ok(None);
        }
        let succeeded = head.split(' ').nth(1).is_some_and(|status| status.starts_with('2'));
        ensure!(succeeded, "the server refuses a publication over HTTP: {}", String::from_utf8_lossy(bytes).trim());
        Ok(Some(Self { closes: header(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) }))
    }
}

fn header<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let read = |text: &str| Answer::read(text.as_bytes()).unwrap();
        let whole = Some(Answer { closes: false });
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), whole);
        assert_eq!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), None);
        assert_eq!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), whole);
        assert_eq!(read("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"), Some(Answer { closes: true }));
    }

    #[test]
    fn a_refusal_says_what_the_server_says() {
        let refusal = Answer::read(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nkey").unwrap_err();
        assert!(refusal.to_string().ends_with("Content-Length: 3\r\n\r\nkey"), "{refusal}");
    }
}
