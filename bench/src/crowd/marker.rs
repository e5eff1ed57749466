//! What a payload says of itself: its number and when it was published, in a form that survives being
//! carried raw, inside JSON or inside a JSON string.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memchr;

/// Bytes from `#` to `#`.
pub const LEN: usize = 32;

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

    fn read(bytes: &[u8]) -> Option<Self> {
        let marker: &[u8; LEN] = bytes.first_chunk()?;
        if marker[0] != b'#' || marker[11] != b'.' || marker[LEN - 1] != b'#' {
            return None;
        }
        Some(Self { sequence: u32::try_from(digits(&marker[1..11])?).ok()?, at: digits(&marker[12..31])? })
    }

    /// The first marker in `bytes` and where it ends; `hint` is where it may be, and will be where it was.
    pub fn find(bytes: &[u8], hint: &mut usize) -> Option<(Self, usize)> {
        if let Some(marker) = bytes.get(*hint..).and_then(Self::read) {
            return Some((marker, *hint + LEN));
        }
        let mut from = 0;
        while let Some(place) = memchr(b'#', &bytes[from..]) {
            if let Some(marker) = Self::read(&bytes[from + place..]) {
                *hint = from + place;
                return Some((marker, *hint + LEN));
            }
            from += place + 1;
        }
        None
    }
}

fn digits(bytes: &[u8]) -> Option<u64> {
    bytes.iter().try_fold(0_u64, |number, byte| {
        byte.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')))
    })
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
    }
}
