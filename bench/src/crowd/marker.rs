//! What a payload says of itself: its number and when it was published, in a form that survives being
//! carried raw, inside JSON or inside a JSON string.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memchr;

/// Bytes from `#` to `#`.
pub const LEN: usize = 32;

/// Bytes of the smallest payload.
pub const PAYLOAD_MIN: usize = LEN + 8;

/// A payload's number and moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Counts from 1 within a run.
    pub sequence: u32,
    /// When it was published, or was to be, in nanoseconds since 1970.
    pub at: u64,
}

/// Nanoseconds since 1970: the same clock in all processes.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

impl Marker {
    /// A payload of `size` bytes of JSON, or of the smallest size that holds the marker.
    pub fn payload(self, size: usize) -> Vec<u8> {
        let mut payload = format!(r##"{{"m":"#{:010}.{:019}#"##, self.sequence, self.at).into_bytes();
        payload.resize(payload.len().max(size.saturating_sub(2)), b'x');
        payload.extend_from_slice(b"\"}");
        payload
    }

    #[inline]
    fn read(bytes: &[u8]) -> Option<Self> {
        let marker: &[u8; LEN] = bytes.first_chunk()?;
        if marker[0] != b'#' || marker[11] != b'.' || marker[LEN - 1] != b'#' {
            return None;
        }
        Some(Self { sequence: u32::try_from(digits(&marker[1..11])?).ok()?, at: digits(&marker[12..31])? })
    }

    /// The first marker in `bytes` and where it ends. `hint` is where it may be, and will be where it was: a stream of
    /// messages of one kind is never searched.
    #[inline]
    pub fn find(bytes: &[u8], hint: &mut usize) -> Option<(Self, usize)> {
        if let Some(marker) = bytes.get(*hint..).and_then(Self::read) {
            return Some((marker, *hint + LEN));
        }
        let (marker, end) = Self::search(bytes)?;
        *hint = end - LEN;
        Some((marker, end))
    }

    /// The first marker in `bytes`, wherever it is, and where it ends.
    #[inline]
    pub fn search(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut from = 0;
        while let Some(place) = memchr(b'#', bytes.get(from..)?) {
            from += place;
            if let Some(marker) = Self::read(&bytes[from..]) {
                return Some((marker, from + LEN));
            }
            from += 1;
        }
        None
    }
}

/// 19 digits always fit.
#[inline]
fn digits(bytes: &[u8]) -> Option<u64> {
    let (mut number, mut largest) = (0_u64, 0);
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        largest = largest.max(digit);
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
    }
    (largest <= 9).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_found_where_it_was_and_elsewhere() {
        let marker = Marker { sequence: 7, at: 1_763_716_543_210_123_456 };
        let payload = marker.payload(128);
        assert_eq!(payload.len(), 128);
        serde_json::from_slice::<serde_json::Value>(&payload).unwrap();
        let mut hint = 0;
        let (found, end) = Marker::find(&payload, &mut hint).unwrap();
        assert_eq!((found, hint, end), (marker, 6, 38));
        let carried = [b"#no marker# ".as_slice(), &payload].concat();
        assert_eq!(Marker::find(&carried, &mut hint), Some((marker, 12 + 38)));
        assert_eq!(hint, 18);
        assert_eq!(Marker::find(b"nothing # here", &mut hint), None);
        assert_eq!(Marker::find(b"#0000000x07.1763716543210123456#", &mut hint), None);
    }

    #[test]
    fn a_marker_survives_being_escaped() {
        let marker = Marker { sequence: u32::MAX, at: 9_999_999_999_999_999_999 };
        let smallest = marker.payload(0);
        assert_eq!(smallest.len(), PAYLOAD_MIN);
        let escaped = serde_json::to_string(std::str::from_utf8(&smallest).unwrap()).unwrap();
        assert_eq!(Marker::search(escaped.as_bytes()).map(|(found, _)| found), Some(marker));
    }
}
