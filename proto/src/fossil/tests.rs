//! Patches make what they were made from, whatever it is; and what comes from elsewhere does no harm. That
//! the official client reads them is the golden files' part.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ENOUGH: usize = 1 << 20;

/// The patch, once it is seen to work.
fn patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    let patch = create(old, new);
    assert!(apply(old, &patch, new.len()).as_deref() == Ok(new), "{old:x?} {new:x?} {patch:x?}");
    patch
}

fn text_patch(old: &str, new: &str) -> String {
    String::from_utf8(patch(old.as_bytes(), new.as_bytes())).unwrap()
}

#[test]
fn patches_look_as_the_format_wants_it() {
    assert_eq!(text_patch("", ""), "0\n0;");
    let sum = encoded(0x6162_6364);
    assert_eq!(text_patch("", "abcd"), format!("4\n4:abcd{sum};"));
    let old = "0123456789".repeat(10);
    let new = format!("{}x{}", &old[..70], &old[70..]);
    let sum = encoded(checksum(new.as_bytes()));
    assert_eq!(text_patch(&old, &new), format!("1a\n16@0,1:xU@16,{sum};"));
}

fn encoded(number: u32) -> String {
    let mut writer = Writer { new: b"", text: None, done: 0, out: Vec::new() };
    writer.number(number as usize);
    String::from_utf8(writer.out).unwrap()
}

#[test]
fn numbers_have_their_own_digits() {
    for (number, text) in
        [(0, "0"), (9, "9"), (10, "A"), (35, "Z"), (36, "_"), (37, "a"), (62, "z"), (63, "~"), (64, "10")]
    {
        assert_eq!(encoded(number), text);
        assert_eq!(Reader(text.as_bytes()).number(), Ok(number));
    }
    assert_eq!(encoded(u32::MAX), "3~~~~~");
    assert_eq!(Reader(b"3~~~~~").number(), Ok(u32::MAX));
    for text in [&b""[..], b"-", b"400000", b"00000000001000000"] {
        assert_eq!(Reader(text).number(), Err(PatchError::Malformed), "{text:?}");
    }
}

#[test]
fn checksums_fill_the_last_word_up() {
    for (bytes, sum) in
        [(&b""[..], 0), (b"\x01", 0x0100_0000), (b"\0\0\0\x01\0\0\x02", 0x0201), (b"\xff\xff\xff\xff\0\0\0\x02", 1)]
    {
        assert_eq!(checksum(bytes), sum);
    }
}

#[test]
fn small_changes_make_small_patches() {
    let row = |i| format!("{{\"symbol\":\"S{i}\",\"price\":{}}}", i * 7919 % 1000);
    let rows = |order: &mut dyn Iterator<Item = u32>| order.map(row).collect::<Vec<_>>().join(",");
    let old = rows(&mut (0..100));
    for (what, new) in [
        ("one number", old.replace("\"price\":919", "\"price\":920")),
        ("a row in front", format!("{},{old}", row(200))),
        ("halves swapped", rows(&mut (50..100).chain(0..50))),
        ("a row gone", old.replace(&format!("{},", row(50)), "")),
        ("two places", old.replace("S10\"", "T10\"").replace("S90\"", "T90\"")),
    ] {
        let size = text_patch(&old, &new).len();
        assert!(size < 80, "{what}: {size} of {}", new.len());
    }
}

#[test]
fn a_patch_to_text_cuts_no_character() {
    // The same bytes at both ends of characters that differ.
    let old = "äéüß😀".repeat(40);
    for new in [old.replace('é', "è"), old.replace('😀', "😁"), format!("ä{old}"), old.replace('ä', "")] {
        text_patch(&old, &new);
        text_patch(&new, &old);
    }
}

#[test]
fn what_is_no_patch_is_refused() {
    let old = b"0123456789abcdef";
    for (patch, error) in [
        (&b""[..], PatchError::Malformed),
        (b"4", PatchError::Malformed),
        (b"4\n", PatchError::Malformed),
        (b"4\n4", PatchError::Malformed),
        (b"4\n4@0", PatchError::Malformed),
        (b"4\n4@0;", PatchError::Malformed),
        (b"4\n4:abc", PatchError::Malformed),
        (b"4\n4?abcd", PatchError::Malformed),
        (b"4\n4@0,", PatchError::Malformed),
        (b"0\n0;0;", PatchError::Malformed),
        (b"4\n4@D,", PatchError::Outside),
        (b"4\n4@3~~~~~,", PatchError::Outside),
        (b"4\n5:abcde", PatchError::TooLarge),
        (b"3~~~~~\n", PatchError::TooLarge),
        (b"4\n0;", PatchError::Mismatch),
        (b"4\n4@0,0;", PatchError::Mismatch),
    ] {
        assert_eq!(apply(old, patch, ENOUGH), Err(error), "{:?}", String::from_utf8_lossy(patch));
    }
    let small = create(b"", &[0; 100]);
    assert_eq!(apply(b"", &small, 99), Err(PatchError::TooLarge));
}

#[test]
fn hostile_payloads_of_64_kib_cost_no_more_than_others() {
    const SIZE: usize = 64 << 10;
    let period = |length: usize| (0..SIZE).map(|i| (i % length) as u8).collect::<Vec<_>>();
    let blocks = |step: u64| {
        let block = |i: u64| (i.wrapping_mul(step)).to_le_bytes();
        (0..SIZE as u64 / 8).flat_map(block).collect::<Vec<_>>()
    };
    // Almost a block, everywhere: each place has candidates and none is long.
    let broken: Vec<u8> = (0..SIZE).map(|i| if i % 17 == 16 { (i / 17) as u8 } else { 7 }).collect();
    let all = [vec![0; SIZE], period(3), period(15), period(16), period(251), blocks(1), blocks(1 << 40), broken];
    for old in &all {
        for new in &all {
            patch(old, new);
            patch(&old[1..], new);
        }
    }
}

/// Payloads that have something in common: pieces of a few kinds, in any order.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => (0_u8..6, 1_usize..80).prop_map(|(kind, len)| {
            (0..len).map(|i| kind.wrapping_mul(31).wrapping_add((i * i) as u8)).collect()
        }),
        1 => vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 1_usize..100).prop_map(|(byte, len)| vec![byte; len]),
    ];
    vec(piece, 0..12).prop_map(|pieces: Vec<Vec<u8>>| pieces.concat())
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\"price\":1234567890,".to_owned()),
        Just("déjà vu, 😀😁😂 ".to_owned()),
        Just("ünïcödé ünïcödè ".to_owned()),
        any::<String>(),
        "[éèê]{0,20}",
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn patches_make_what_they_were_made_from(old in payload(), new in payload()) {
        let patch = create(&old, &new);
        prop_assert!(patch.len() <= new.len() + 24, "{} for {}", patch.len(), new.len());
        prop_assert_eq!(apply(&old, &patch, new.len()), Ok(new));
    }

    #[test]
    fn of_any_bytes(old in vec(any::<u8>(), 0..200), new in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(apply(&old, &create(&old, &new), new.len()), Ok(new));
    }

    #[test]
    fn of_text_they_are_text(old in text(), new in text()) {
        let patch = create(old.as_bytes(), new.as_bytes());
        prop_assert!(std::str::from_utf8(&patch).is_ok());
        prop_assert_eq!(apply(old.as_bytes(), &patch, new.len()), Ok(new.into_bytes()));
    }

    #[test]
    fn damage_is_noticed_or_harmless(old in payload(), new in payload(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut patch = create(&old, &new);
        let place = at.index(patch.len());
        patch[place] = byte;
        if let Ok(made) = apply(&old, &patch, ENOUGH) {
            prop_assert!(made.len() <= ENOUGH);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(old in vec(any::<u8>(), 0..40), patch in "[0-4]{1,2}\n([0-9~]{1,6}(@[0-9]{1,2},|:[a-z]{0,9}|;)){0,5}") {
        let _ = apply(&old, patch.as_bytes(), 1000);
    }
}
