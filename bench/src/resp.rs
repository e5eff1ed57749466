//! Just enough of Redis' protocol (RESP 2) to publish past all servers, which is the floor below every server that
//! stands on Redis, and to ask what Redis has done.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use memchr::memmem;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection, for one question or the first of many.
pub fn connect(redis: SocketAddr) -> Result<TcpStream> {
    let socket = TcpStream::connect(redis).context("no connection to Redis")?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Sends a command and waits for its reply.
pub fn ask(socket: &mut TcpStream, parts: &[&[u8]]) -> Result<Vec<u8>> {
    socket.write_all(&command(parts))?;
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while reply(&answer).is_none() {
        let count = socket.read(&mut part).context("Redis does not answer")?;
        ensure!(count > 0, "Redis has hung up");
        answer.extend_from_slice(&part[..count]);
    }
    ensure!(!answer.starts_with(b"-"), "Redis refuses: {}", String::from_utf8_lossy(&answer).trim());
    Ok(answer)
}

/// How many scripts a Redis has run.
pub fn scripts_run(redis: SocketAddr) -> Result<u64> {
    let answer = ask(&mut connect(redis)?, &[b"INFO", b"commandstats"])?;
    Ok(calls(&String::from_utf8_lossy(&answer), &["eval", "evalsha", "eval_ro", "evalsha_ro"]))
}

/// The calls of some commands, of the text of `INFO commandstats`.
fn calls(stats: &str, commands: &[&str]) -> u64 {
    let call = |line: &str| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        commands.contains(&name).then(|| rest.split(',').next()?.parse::<u64>().ok())?
    };
    stats.lines().filter_map(call).sum()
}

/// A command as it is sent.
pub fn command(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        out.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Bytes of the first reply (or push); none if it is not all here.
pub fn reply(bytes: &[u8]) -> Option<usize> {
    let line = memmem::find(bytes, b"\r\n")? + 2;
    let number = || std::str::from_utf8(&bytes[1..line - 2]).ok()?.parse::<i64>().ok();
    match bytes.first()? {
        b'$' => {
            // -1 is nothing, without a line of its own.
            let Ok(len) = usize::try_from(number()?) else { return Some(line) };
            (bytes.len() >= line + len + 2).then_some(line + len + 2)
        }
        b'*' => {
            let mut end = line;
            for _ in 0..number()? {
                end += reply(&bytes[end..])?;
            }
            Some(end)
        }
        _ => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_where_it_ends() {
        let replies: [&[u8]; 5] =
            [b":12\r\n", b"$-1\r\n", b"$4\r\na\r\nb\r\n", b"-ERR no\r\n", b"*3\r\n$1\r\na\r\n*1\r\n:5\r\n+b\r\n"];
        for whole in replies {
            let two = [whole, b":1\r\n"].concat();
            assert_eq!(reply(&two), Some(whole.len()), "{}", String::from_utf8_lossy(whole));
            for end in 0..whole.len() {
                assert_eq!(reply(&whole[..end]), None, "{end} of {}", String::from_utf8_lossy(whole));
            }
        }
    }

    #[test]
    fn commands_have_the_length_of_each_part() {
        assert_eq!(command(&[b"PUBLISH", b"room", b""]), b"*3\r\n$7\r\nPUBLISH\r\n$4\r\nroom\r\n$0\r\n\r\n");
    }

    #[test]
    fn only_the_commands_asked_for_are_counted() {
        let stats = "# Commandstats\r\ncmdstat_evalsha:calls=40,usec=9\r\ncmdstat_eval:calls=2,usec=1\r\n\
                     cmdstat_get:calls=7,usec=1\r\ncmdstat_client|list:calls=5,usec=1\r\n";
        assert_eq!(calls(stats, &["eval", "evalsha"]), 42);
    }
}
