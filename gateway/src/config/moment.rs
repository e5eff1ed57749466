//! Moments as people write them: `2026-12-01T00:00:00Z`, `2026-12-01T01:00:00+01:00`, or seconds since 1970.

use std::time::{Duration, UNIX_EPOCH};

/// The end of the year 9999. A larger number is most often a time in milliseconds.
const SECONDS_MAX: u64 = 253_402_300_799;

/// A moment, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    /// Reads an RFC 3339 date and time, or whole seconds since 1970.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Self::from_unix(text.parse().ok()?);
        }
        // Written as an offset from UTC, which the parser does not read.
        let (local, ahead_s) = match text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)) {
            Some((local, zone)) if zone.starts_with(['+', '-']) => (format!("{local}Z"), offset_s(zone)?),
            _ => (text.to_owned(), 0),
        };
        let utc = humantime::parse_rfc3339(&local).ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
        Self::from_unix(u64::try_from(i64::try_from(utc).ok()?.checked_sub(ahead_s)?).ok()?)
    }

    fn from_unix(seconds: u64) -> Option<Self> {
        i64::try_from(seconds).ok().filter(|_| seconds <= SECONDS_MAX).map(Self)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let since = Duration::from_secs(u64::try_from(self.0).unwrap_or(0).min(SECONDS_MAX));
        humantime::format_rfc3339_seconds(UNIX_EPOCH + since).fmt(f)
    }
}

/// `+01:30` in seconds.
fn offset_s(zone: &str) -> Option<i64> {
    let (hours, minutes) = zone[1..].split_once(':')?;
    let number = |text: &str, max: i64| -> Option<i64> {
        let good = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse().ok().filter(|number| good && *number <= max)
    };
    let ahead: i64 = (number(hours, 23)? * 60 + number(minutes, 59)?) * 60;
    Some(if zone.starts_with('-') { -ahead } else { ahead })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let read = |text: &str| Moment::parse(text).map(|Moment(seconds)| seconds);
        for (text, seconds) in [
            ("0", 0),
            ("1700000000", 1_700_000_000),
            ("1970-01-01T00:00:10Z", 10),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000),
            ("2023-11-14T16:43:20-05:30", 1_700_000_000),
        ] {
            assert_eq!(read(text), Some(seconds), "{text}");
            assert_eq!(read(&Moment(seconds).to_string()), Some(seconds), "{text}");
        }
        for text in [
            "",
            "soon",
            "-1",
            "1.5",
            "1700000000000",
            "2023-11-14",
            "2023-13-14T00:00:00Z",
            "2023-11-14T00:00:00+1:00",
            "2023-11-14T00:00:00+24:00",
            "1970-01-01T00:00:00+01:00",
            "é+01:00",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
