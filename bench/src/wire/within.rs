//! Where a part of a message is: for wires whose messages a JSON parser reads.

use std::ops::Range;

/// Where `part` is in `whole`, of which it must be a piece (not an equal one from elsewhere): what serde
/// borrows from its input is such a piece. None if it is not.
pub(super) fn place(whole: &[u8], part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len()).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_found_and_a_likeness_is_not() {
        let whole = "one two one".to_owned();
        assert_eq!(place(whole.as_bytes(), &whole[8..]), Some(8..11));
        assert_eq!(place(whole.as_bytes(), &whole[4..4]), Some(4..4));
        assert_eq!(place(&whole.as_bytes()[4..], &whole[..3]), None);
        assert_eq!(place(&whole.as_bytes()[..7], &whole[8..]), None);
    }
}
