//! Publications to everybody, through the API of one gateway, and the count of who has got them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::CHANNEL;
use super::field::Field;
use super::member::Report;
use crate::crowd::marker::{self, Marker};
use crate::outcome::{Outcome, measure};
use crate::wire::{self, Request};

/// Bytes of a publication.
const PAYLOAD: usize = 128;
/// How long nothing may come before the rest counts as lost.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the API may take.
const ANSWERING: Duration = Duration::from_secs(30);

/// One after the other, each when everybody has the one before.
pub fn to_everybody(field: &mut Field, publications: u32, outcome: &mut Outcome) -> Result<()> {
    let members = field.connections() as u64;
    let address = field.gateways[0].address;
    let cpu = field.cpu()?;
    let (mut slowest, mut seen) = (0.0_f64, Report::default());
    for sequence in 1..=publications {
        let at = marker::now();
        publish(address, &Marker { sequence, at }.payload(PAYLOAD))?;
        seen = wait(field, members * u64::from(sequence))?;
        let reached = seen.last_at.saturating_sub(at) as f64 / 1e9;
        println!("    publication {sequence} reached {} after {reached:.2} s", seen.deliveries);
        slowest = slowest.max(reached);
    }
    // Whatever comes twice may come late.
    thread::sleep(Duration::from_secs(2));
    let (seen, cpu) = (if publications > 0 { field.reports()? } else { seen }, field.cpu()? - cpu);

    let expected = members * u64::from(publications);
    outcome.found(measure::LOST, expected.saturating_sub(seen.deliveries - seen.duplicated) as f64);
    outcome.found(measure::DUPLICATED, seen.duplicated as f64);
    outcome.found(measure::MISORDERED, seen.misordered as f64);
    outcome.found(measure::DELIVERIES, seen.deliveries as f64);
    outcome.found(measure::CPU_PER_DELIVERY_US, cpu.as_secs_f64() * 1e6 / expected.max(1) as f64);
    outcome.found(measure::REACHED_S, slowest);
    Ok(())
}

/// Until everybody has got so many, or nothing comes any more.
fn wait(field: &mut Field, expected: u64) -> Result<Report> {
    let mut progress = (0, Instant::now());
    loop {
        let seen = field.reports()?;
        if seen.deliveries >= expected || progress.1.elapsed() > SILENCE {
            return Ok(seen);
        }
        if seen.deliveries > progress.0 {
            progress = (seen.deliveries, Instant::now());
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// One request on a connection of its own.
fn publish(address: SocketAddr, payload: &[u8]) -> Result<()> {
    let wire = wire::by_name("fanfare").context("there is no wire of our own")?;
    let request = wire.publish_http(CHANNEL, payload).context("our wire publishes over no HTTP")?;
    let mut stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(ANSWERING))?;
    stream.write_all(&written(&request))?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status).context("the API does not answer")?;
    ensure!(status.contains(" 200 "), "the API answers `{}`", status.trim());
    Ok(())
}

fn written(request: &Request) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", request.body.len()));
    [text.as_bytes(), &request.body].concat()
}
