//! `health`: asks a running gateway whether it is ready. For containers' health checks, which have no
//! other HTTP client at hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cli::{ConfigFile, Failure, look_up, on_runtime, say};

/// For the whole exchange.
const DEADLINE: Duration = Duration::from_secs(3);
/// Our answers are one line; whoever else is there shall not fill the memory.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, Args)]
#[command(after_help = "\
Asks /ready on server.internal_listen, which is read from the file and the environment as `serve` does.
Prints the answer; ends with 0 if it is 200, else with 1.

Examples:
  fanfare-gateway health
  fanfare-gateway health --url http://127.0.0.1:8081/health")]
pub(crate) struct Health {
    #[command(flatten)]
    file: ConfigFile,
    /// Ask this address instead, http only
    #[arg(long, value_name = "URL", value_parser = target, conflicts_with = "config")]
    url: Option<Target>,
}

/// An `http://` URL in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    /// With its port.
    host: String,
    path: String,
}

impl Health {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let target = match self.url {
            Some(target) => target,
            None => ready_of(look_up(&self.file)?.config.server.internal_listen),
        };
        on_runtime(async move {
            let answer = tokio::time::timeout(DEADLINE, get(&target));
            let (status, body) = answer
                .await
                .with_context(|| format!("{} has not answered within {} s", target.host, DEADLINE.as_secs()))??;
            say(body.trim_end()).map_err(|_| anyhow::anyhow!("the answer cannot be printed"))?;
            if status == 200 { Ok(()) } else { bail!("the answer's status is {status}") }
        })
    }
}

/// Where to ask a gateway that listens there: the address for "any" is none to connect to.
fn ready_of(listen: SocketAddr) -> Target {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Target { host: SocketAddr::new(ip, listen.port()).to_string(), path: "/ready".into() }
}

fn target(url: &str) -> Result<Target, &'static str> {
    const FORM: &str = "not a URL such as http://127.0.0.1:8081/ready";
    let rest = url.strip_prefix("http://").ok_or(FORM)?;
    if rest.bytes().any(|b| b.is_ascii_control() || b == b' ') {
        return Err(FORM);
    }
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if host.is_empty() || host.contains('@') {
        return Err(FORM);
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let host = if has_port { host.to_owned() } else { format!("{host}:80") };
    Ok(Target { host, path: if path.is_empty() { "/ready".into() } else { path.to_owned() } })
}

/// HTTP/1.0, so that the answer simply ends with the connection.
async fn get(target: &Target) -> anyhow::Result<(u16, String)> {
    let Target { host, path } = target;
    let mut stream = TcpStream::connect(host.as_str()).await.with_context(|| format!("cannot connect to {host}"))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.context("cannot send")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await.context("cannot receive")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    Ok((status.context("the answer is not HTTP")?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let cases = [
            ("http://127.0.0.1:8081/ready", Some(("127.0.0.1:8081", "/ready"))),
            ("http://gateway", Some(("gateway:80", "/ready"))),
            ("http://gateway/", Some(("gateway:80", "/"))),
            ("http://[::1]:81/health", Some(("[::1]:81", "/health"))),
            ("http://[::1]/health", Some(("[::1]:80", "/health"))),
            ("https://gateway/", None),
            ("gateway:80", None),
            ("http://", None),
            ("http:///ready", None),
            ("http://user@gateway/", None),
            ("http://gateway/\r\nX: y", None),
        ];
        for (url, expected) in cases {
            let expected = expected.map(|(host, path)| Target { host: host.into(), path: path.into() });
            assert_eq!(target(url).ok(), expected, "{url}");
        }
    }

    #[test]
    fn any_address_is_asked_on_loopback() {
        for (listen, host) in [("0.0.0.0:81", "127.0.0.1:81"), ("[::]:81", "[::1]:81"), ("10.1.2.3:81", "10.1.2.3:81")]
        {
            assert_eq!(ready_of(listen.parse().unwrap()), Target { host: host.into(), path: "/ready".into() });
        }
    }
}
