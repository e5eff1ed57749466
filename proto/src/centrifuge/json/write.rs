//! Writes JSON by hand, for the messages that must be written fast. What is written can be measured
//! first, by the same code, so that the buffer has exactly the right size.

use bytes::{BufMut, Bytes, BytesMut};

use super::field::raw;

/// Takes bytes.
pub(super) trait Out {
    fn put(&mut self, bytes: &[u8]);
}

impl Out for BytesMut {
    fn put(&mut self, bytes: &[u8]) {
        self.put_slice(bytes);
    }
}

/// Measures instead of writing.
pub(super) struct Count(pub(super) usize);

impl Out for Count {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// An object being written. Names are ours and need no escapes. Close it.
#[must_use = "an object wants to be closed"]
pub(super) struct Object<'a, O> {
    out: &'a mut O,
    /// Stands before the next name.
    separator: &'static [u8],
}

impl<'a, O: Out> Object<'a, O> {
    pub(super) fn open(out: &'a mut O) -> Self {
        Self { out, separator: b"{\"" }
    }

    pub(super) fn close(self) {
        let nothing = self.separator == b"{\"";
        self.out.put(if nothing { b"{}" } else { b"}" });
    }

    fn name(&mut self, name: &str) {
        self.out.put(self.separator);
        self.separator = b",\"";
        self.out.put(name.as_bytes());
        self.out.put(b"\":");
    }

    /// An object within; also when it stays empty.
    pub(super) fn object(&mut self, name: &str) -> Object<'_, O> {
        self.name(name);
        Object::open(self.out)
    }

    /// An object within whose name is not ours.
    pub(super) fn foreign_object(&mut self, name: &str) -> Object<'_, O> {
        self.foreign_name(name);
        Object::open(self.out)
    }

    /// Values that are written already, unless there are none.
    pub(super) fn list(&mut self, name: &str, values: &[&[u8]]) {
        if !values.is_empty() {
            self.whole_list(name, values);
        }
    }

    /// Values that are written already, also if there are none.
    pub(super) fn whole_list(&mut self, name: &str, values: &[&[u8]]) {
        self.name(name);
        self.out.put(b"[");
        for (i, value) in values.iter().enumerate() {
            self.out.put(if i == 0 { b"" } else { b"," });
            self.out.put(value);
        }
        self.out.put(b"]");
    }

    /// What is true; what is not is not written.
    pub(super) fn flag(&mut self, name: &str, is_true: bool) {
        if is_true {
            self.name(name);
            self.out.put(b"true");
        }
    }

    /// Text, unless empty.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.text_or_empty(name, text);
        }
    }

    /// Text, also when empty.
    pub(super) fn text_or_empty(&mut self, name: &str, text: &str) {
        self.name(name);
        put_string(self.out, text);
    }

    /// Text that should be UTF-8, unless empty. What is not, is replaced rather than breaking the frame.
    pub(super) fn text_of(&mut self, name: &str, text: &[u8]) {
        self.text(name, &String::from_utf8_lossy(text));
    }

    /// An application's payload that nobody has looked at yet, unless empty.
    pub(super) fn data(&mut self, name: &str, data: &Bytes) {
        if !data.is_empty() {
            self.raw(name, &raw::line(data));
        }
    }

    /// JSON as it is, unless empty.
    pub(super) fn raw(&mut self, name: &str, json: &[u8]) {
        if !json.is_empty() {
            self.name(name);
            self.out.put(json);
        }
    }

    /// A number of up to 64 bits, signed or not, unless zero.
    pub(super) fn number(&mut self, name: &str, number: i128) {
        if number != 0 {
            self.number_or_zero(name, number);
        }
    }

    /// A number of up to 64 bits, signed or not.
    pub(super) fn number_or_zero(&mut self, name: &str, number: i128) {
        self.name(name);
        put_number(self.out, number);
    }

    /// A name that is not ours, and text, also when empty.
    pub(super) fn entry(&mut self, name: &str, text: &str) {
        self.foreign_name(name);
        put_string(self.out, text);
    }

    fn foreign_name(&mut self, name: &str) {
        // The separator ends with the quote that `put_string` brings.
        self.out.put(&self.separator[..1]);
        self.separator = b",\"";
        put_string(self.out, name);
        self.out.put(b":");
    }
}

fn put_number(out: &mut impl Out, number: i128) {
    // 64 bits have 20 digits at most.
    let mut digits = [0; 20];
    let mut start = digits.len();
    // Cannot cut: the number came from 64 bits.
    let mut rest = number.unsigned_abs() as u64;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.put(b"-");
    }
    out.put(&digits[start..]);
}

fn put_string(out: &mut impl Out, text: &str) {
    out.put(b"\"");
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let escape = ESCAPE[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        out.put(&bytes[plain..at]);
        plain = at + 1;
        if escape == b'u' {
            let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
            out.put(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 0xf)]);
        } else {
            out.put(&[b'\\', escape]);
        }
    }
    out.put(&bytes[plain..]);
    out.put(b"\"");
}

/// What follows the backslash for bytes that need one; 0 for all others.
static ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl Fn(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn numbers_of_all_sizes() {
        for number in [0, 1, -1, 9, 10, i128::from(u64::MAX), i128::from(i64::MIN)] {
            assert_eq!(written(|out| put_number(out, number)), number.to_string());
        }
    }

    #[test]
    fn every_control_character_is_escaped_like_serde_json_does_it() {
        let text: String = (0..=0x80).map(char::from).collect();
        assert_eq!(written(|out| put_string(out, &text)), serde_json::to_string(&text).unwrap());
    }

    #[test]
    fn an_object_may_stay_empty() {
        assert_eq!(written(|out| Object::open(out).close()), "{}");
    }

    proptest! {
        #[test]
        fn strings_like_serde_json_and_measured_right(text in any::<String>()) {
            let string = written(|out| put_string(out, &text));
            prop_assert_eq!(&string, &serde_json::to_string(&text).unwrap());
            let mut count = Count(0);
            put_string(&mut count, &text);
            prop_assert_eq!(count.0, string.len());
        }
    }
}
