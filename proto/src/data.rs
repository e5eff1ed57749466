//! What a publication's data may be: exactly one JSON value, on one line.
//!
//! Every road into a `json` channel (client, server API, worker) goes through [`normalise_json`], once.
//! After that the data is copied into JSON frames as it is, so whatever passes here must not be able to
//! break a frame: clients split frames on line feeds, and several of them cannot read what a lenient
//! parser lets through.
//!
//! Stricter than RFC 8259 demands: no lone surrogates in `\u` escapes (many languages cannot hold them
//! in a string) and at most [`DATA_DEPTH_MAX`] levels of nesting (many parsers recurse). Numbers may be
//! of any size and keys may repeat, as the RFC has it: what to make of those is the reader's affair.

use bytes::Bytes;

use crate::limits::DATA_DEPTH_MAX;

/// Why data is refused. The fault of whoever published it; positions are in bytes, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Nothing at all, or white space only.
    #[error("data is empty")]
    Empty,
    /// Not text.
    #[error("data is not UTF-8 from byte {at} on")]
    Utf8 {
        /// The first byte that is no text.
        at: usize,
    },
    /// Something that JSON does not have here: `NaN`, a comma too many, a single quote.
    #[error("data is not JSON: unexpected byte at {at}")]
    Unexpected {
        /// The byte that cannot stand there.
        at: usize,
    },
    /// The value is not complete.
    #[error("data is not JSON: it ends too early")]
    CutOff,
    /// Control characters in strings must be escaped.
    #[error("data is not JSON: control character in a string at byte {at}")]
    ControlCharacter {
        /// Where it stands.
        at: usize,
    },
    /// Half of a character.
    #[error("data holds half of a surrogate pair at byte {at}")]
    LoneSurrogate {
        /// Where the escape starts.
        at: usize,
    },
    /// Something follows the value.
    #[error("data holds more than one JSON value: the second starts at byte {at}")]
    SecondValue {
        /// Where it starts.
        at: usize,
    },
    /// Deeper than [`DATA_DEPTH_MAX`].
    #[error("data is nested deeper than {DATA_DEPTH_MAX} levels")]
    TooDeep,
}

/// Checks that data is one JSON value, and puts it on one line: white space around it and line breaks
/// within it go. Data without line breaks within it is not copied.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn normalise_json(data: Bytes) -> Result<Bytes, DataError> {
    // First, and as a whole: the standard library's check takes ASCII by the word, and the scanner need
    // not care for bytes above 0x7F any more.
    if let Err(error) = std::str::from_utf8(&data) {
        return Err(DataError::Utf8 { at: error.valid_up_to() });
    }
    let value = Scanner::new(&data).value()?;
    let value = data.slice(value);
    // The value is valid, so line breaks stand between its tokens only: in strings they are errors.
    if !value.iter().any(|byte| is_line_break(*byte)) {
        return Ok(value);
    }
    Ok(value.iter().copied().filter(|byte| !is_line_break(*byte)).collect())
}

fn is_line_break(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

/// What may come next.
#[derive(Clone, Copy)]
enum Expect {
    /// A value: at the start, after `,` in an array and after `:`.
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `,` in an object.
    Key,
    /// After `{`.
    KeyOrEnd,
    /// After a key.
    Colon,
    /// After a value within an array or object.
    CommaOrEnd,
}

/// Walks over one value without recursion.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The open brackets, innermost in the lowest bit: 1 for an object, 0 for an array.
    open: u128,
    depth: usize,
}

const _: () = assert!(DATA_DEPTH_MAX <= u128::BITS as usize, "the stack of open brackets is one integer");

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, open: 0, depth: 0 }
    }

    /// Where the one value stands.
    fn value(mut self) -> Result<std::ops::Range<usize>, DataError> {
        self.skip_space();
        let start = self.at;
        if start == self.bytes.len() {
            return Err(DataError::Empty);
        }
        self.walk()?;
        let end = self.at;
        self.skip_space();
        if self.at < self.bytes.len() { Err(DataError::SecondValue { at: self.at }) } else { Ok(start..end) }
    }

    fn walk(&mut self) -> Result<(), DataError> {
        let mut expect = Expect::Value;
        loop {
            self.skip_space();
            let at = self.at;
            let byte = self.next()?;
            expect = match (expect, byte) {
                (Expect::Value | Expect::ValueOrEnd, b'{') => self.open(true)?,
                (Expect::Value | Expect::ValueOrEnd, b'[') => self.open(false)?,
                (Expect::ValueOrEnd, b']') | (Expect::KeyOrEnd, b'}') => self.close(),
                (Expect::Value | Expect::ValueOrEnd, _) => self.scalar(byte)?,
                (Expect::Key | Expect::KeyOrEnd, b'"') => {
                    self.string()?;
                    Expect::Colon
                }
                (Expect::Colon, b':') => Expect::Value,
                (Expect::CommaOrEnd, b',') if self.in_object() => Expect::Key,
                (Expect::CommaOrEnd, b',') => Expect::Value,
                (Expect::CommaOrEnd, b'}') if self.in_object() => self.close(),
                (Expect::CommaOrEnd, b']') if !self.in_object() => self.close(),
                _ => return Err(DataError::Unexpected { at }),
            };
            if self.depth == 0 {
                return Ok(());
            }
        }
    }

    fn open(&mut self, object: bool) -> Result<Expect, DataError> {
        if self.depth == DATA_DEPTH_MAX {
            return Err(DataError::TooDeep);
        }
        self.depth += 1;
        self.open = self.open << 1 | u128::from(object);
        Ok(if object { Expect::KeyOrEnd } else { Expect::ValueOrEnd })
    }

    fn close(&mut self) -> Expect {
        self.depth -= 1;
        self.open >>= 1;
        Expect::CommaOrEnd
    }

    fn in_object(&self) -> bool {
        self.open & 1 == 1
    }

    /// A value without brackets, whose first byte is taken already.
    fn scalar(&mut self, first: u8) -> Result<Expect, DataError> {
        match first {
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.number(first)?,
            b't' => self.literal(b"rue")?,
            b'f' => self.literal(b"alse")?,
            b'n' => self.literal(b"ull")?,
            _ => return Err(DataError::Unexpected { at: self.at - 1 }),
        }
        Ok(Expect::CommaOrEnd)
    }

    fn literal(&mut self, rest: &[u8]) -> Result<(), DataError> {
        for &wanted in rest {
            let at = self.at;
            if self.next()? != wanted {
                return Err(DataError::Unexpected { at });
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Result<(), DataError> {
        let first = if first == b'-' { self.next()? } else { first };
        match first {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return Err(DataError::Unexpected { at: self.at - 1 }),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        // `01` is no second value but a bad number.
        match self.peek() {
            Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => Err(DataError::Unexpected { at: self.at }),
            _ => Ok(()),
        }
    }

    /// At least one digit.
    fn digits(&mut self) -> Result<(), DataError> {
        let at = self.at;
        if !self.next()?.is_ascii_digit() {
            return Err(DataError::Unexpected { at });
        }
        self.skip_digits();
        Ok(())
    }

    fn skip_digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    /// A string, whose opening quote is taken already.
    fn string(&mut self) -> Result<(), DataError> {
        loop {
            self.skip_plain();
            let at = self.at;
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                _ => return Err(DataError::ControlCharacter { at }),
            }
        }
    }

    /// Goes to the next byte that means something in a string.
    fn skip_plain(&mut self) {
        let rest = &self.bytes[self.at..];
        let words = rest.chunks_exact(8).take_while(|chunk| {
            let word = u64::from_le_bytes((*chunk).try_into().expect("chunks of eight bytes"));
            !has_special(word)
        });
        self.at += words.count() * 8;
        while self.peek().is_some_and(|byte| !IS_SPECIAL[usize::from(byte)]) {
            self.at += 1;
        }
    }

    /// An escape, whose backslash is taken already.
    fn escape(&mut self) -> Result<(), DataError> {
        let start = self.at - 1;
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex4()? {
                0xd800..=0xdbff => {
                    let pair = self.bytes[self.at..].starts_with(b"\\u");
                    if !pair {
                        return Err(DataError::LoneSurrogate { at: start });
                    }
                    self.at += 2;
                    match self.hex4()? {
                        0xdc00..=0xdfff => Ok(()),
                        _ => Err(DataError::LoneSurrogate { at: start }),
                    }
                }
                0xdc00..=0xdfff => Err(DataError::LoneSurrogate { at: start }),
                _ => Ok(()),
            },
            _ => Err(DataError::Unexpected { at: self.at - 1 }),
        }
    }

    fn hex4(&mut self) -> Result<u32, DataError> {
        let mut code = 0;
        for _ in 0..4 {
            let at = self.at;
            let digit = char::from(self.next()?).to_digit(16).ok_or(DataError::Unexpected { at })?;
            code = code << 4 | digit;
        }
        Ok(code)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Result<u8, DataError> {
        let byte = self.peek().ok_or(DataError::CutOff)?;
        self.at += 1;
        Ok(byte)
    }
}

/// The bytes at which a run of plain characters in a string ends.
static IS_SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};

/// [`IS_SPECIAL`] for eight bytes at once. Right about "none"; a borrow may make it see one too many,
/// after a true one only.
fn has_special(word: u64) -> bool {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    let has_less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word & TOPS != 0;
    let has = |byte: u8| has_less(word ^ (ONES * u64::from(byte)), 1);
    has_less(word, 0x20) || has(b'"') || has(b'\\')
}

#[cfg(test)]
mod tests;
