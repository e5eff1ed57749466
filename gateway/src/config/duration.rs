//! Lengths of time and amounts of memory as people write them: `25s`, `1h30m`, `64KiB`.

use std::time::Duration;

use crate::model::ByteSize;

/// Longest time that a key may hold: far over anything sensible, far under what arithmetic on
/// deadlines can bear.
const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads `25s`, `500ms`, `1h30m`; a number needs its unit, except 0.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text).ok().filter(|duration| *duration <= DURATION_MAX)
}

/// Writes what [`parse_duration`] reads.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "")
}

/// Reads `64KiB`, `1MiB`, `2GiB`, `512B`; a plain number is bytes.
#[must_use]
pub fn parse_size(text: &str) -> Option<ByteSize> {
    const UNITS: [(&str, usize); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)];
    let text = text.trim();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, bytes)| text.strip_suffix(name).map(|number| (number.trim_end(), *bytes)))
        .unwrap_or((text, 1));
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<usize>().ok()?.checked_mul(unit).map(ByteSize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("25s", 25_000), ("500ms", 500), ("1h30m", 5_400_000), ("2 min", 120_000), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "25", "s", "-1s", "25 parsecs", "1e3s", "9999999d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("64KiB", 65_536), ("1 MiB", 1 << 20), ("2GiB", 2 << 30), ("512B", 512), ("65536", 65_536)]
        {
            assert_eq!(parse_size(text), Some(ByteSize(bytes)), "{text}");
        }
        for text in ["", "KiB", "64KB", "64k", "-1", "+1", "1.5MiB", "99999999999999999999", "99999999999GiB"] {
            assert_eq!(parse_size(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for ms in [0, 1, 999, 25_000, 5_400_000, 86_400_000, 90_061_001] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        for bytes in [0, 1, 1023, 1024, 65_536, (1 << 20) + 1, 3 << 30] {
            assert_eq!(parse_size(&ByteSize(bytes).to_string()), Some(ByteSize(bytes)));
        }
    }
}
