//! Patches in Fossil's delta format: what makes a new payload out of an old one. A patch is
//! `size\n`, then commands, then `checksum;`:
//!
//! | command | appends |
//! | --- | --- |
//! | `count@from,` | so many bytes of the old payload, from there on |
//! | `count:bytes` | these bytes |
//!
//! Numbers have base 64 with digits of their own; size and checksum are the new payload's.
//!
//! A patch to a payload that is UTF-8 is UTF-8 itself, so that it can travel as a JSON string: nothing is
//! cut within a character. Time and memory grow with the sizes of both payloads and with nothing else,
//! whatever is in them.

/// Of numbers.
const DIGITS: &[u8; 64] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";

/// Equal stretches are found by blocks of the old payload of so many bytes. Longer than the longest copy
/// command, so that what is found is worth it.
const BLOCK: usize = 16;

/// Old blocks that a place of the new payload is compared with. Those that repeat are many, and the first
/// few are as good.
const CANDIDATES_MAX: usize = 8;

/// Why bytes are no patch, or not one to this payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// Not in the format.
    #[error("malformed patch")]
    Malformed,
    /// The new payload would be larger than allowed, or than the patch says.
    #[error("the patch makes too much")]
    TooLarge,
    /// It copies what the old payload has not.
    #[error("the patch is for another payload")]
    Outside,
    /// What came out is not what went in.
    #[error("what the patch makes has another size or checksum")]
    Mismatch,
}

/// A patch that makes `new` of `old`. It may be longer than `new`, by some bytes, where the two have
/// little in common. For payloads below 4 GiB: the format has no larger numbers.
#[must_use]
pub fn create(old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut patch = Writer::new(new);
    // Most updates change little: what they share at both ends is found without any index.
    let head = shared(old.iter(), new.iter());
    let tail = shared(old[head..].iter().rev(), new[head..].iter().rev());
    patch.copy(Stretch { from: 0, to: 0, len: head });
    let middle_end = new.len() - tail;
    if middle_end - head >= BLOCK {
        let blocks = Blocks::of(old);
        let mut at = head;
        while let Some(stretch) = blocks.longest(&new[..middle_end], at, patch.done) {
            at = if patch.copy(stretch) { patch.done } else { stretch.to.max(at) + 1 };
        }
    }
    patch.copy(Stretch { from: old.len() - tail, to: middle_end, len: tail });
    patch.finish()
}

/// Carries a patch out.
///
/// # Errors
/// When it is no patch, not one to `old`, or makes more than `size_max` bytes.
pub fn apply(old: &[u8], patch: &[u8], size_max: usize) -> Result<Vec<u8>, PatchError> {
    let mut reader = Reader(patch);
    let size = reader.number()? as usize;
    if reader.byte()? != b'\n' {
        return Err(PatchError::Malformed);
    }
    if size > size_max {
        return Err(PatchError::TooLarge);
    }
    let mut new = Vec::with_capacity(size);
    loop {
        let number = reader.number()?;
        let count = number as usize;
        let piece = match reader.byte()? {
            b'@' => {
                let from = reader.number()? as usize;
                if reader.byte()? != b',' {
                    return Err(PatchError::Malformed);
                }
                let rest = old.get(from..).ok_or(PatchError::Outside)?;
                rest.get(..count).ok_or(PatchError::Outside)?
            }
            b':' => reader.bytes(count)?,
            b';' if !reader.0.is_empty() => return Err(PatchError::Malformed),
            b';' if new.len() != size || number != checksum(&new) => return Err(PatchError::Mismatch),
            b';' => return Ok(new),
            _ => return Err(PatchError::Malformed),
        };
        if piece.len() > size - new.len() {
            return Err(PatchError::TooLarge);
        }
        new.extend_from_slice(piece);
    }
}

/// The sum of all words of four bytes, the last one filled up with zeros.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.chunks(4).fold(0, |sum: u32, chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        sum.wrapping_add(u32::from_be_bytes(word))
    })
}

/// How many items are the same at the beginning of both.
fn shared<'a>(a: impl Iterator<Item = &'a u8>, b: impl Iterator<Item = &'a u8>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

/// A part of the new payload that is in the old one, too.
#[derive(Clone, Copy)]
struct Stretch {
    /// Where in the old one.
    from: usize,
    /// Where in the new one.
    to: usize,
    len: usize,
}

/// The old payload's blocks by their content.
struct Blocks<'a> {
    old: &'a [u8],
    /// The first block of each chain, counted from 1; 0 for none.
    heads: Vec<u32>,
    /// For each block the next one of its chain, in the same way.
    next: Vec<u32>,
}

impl<'a> Blocks<'a> {
    fn of(old: &'a [u8]) -> Self {
        let count = u32::try_from(old.len() / BLOCK).unwrap_or(0);
        let mut heads = vec![0; (count as usize).next_power_of_two()];
        let mut next = vec![0; count as usize];
        // From the last one on: a chain then begins with the first, from where most can be copied.
        for block in (0..count).rev() {
            let index = block as usize;
            if let Some(content) = block_at(old, index * BLOCK) {
                let head = &mut heads[slot(content, old.len() / BLOCK)];
                next[index] = std::mem::replace(head, block + 1);
            }
        }
        Self { old, heads, next }
    }

    /// The longest stretch that holds the first block of `new` from `at` on that is in the old payload,
    /// too. It may begin earlier, but not before `done`.
    fn longest(&self, new: &[u8], at: usize, done: usize) -> Option<Stretch> {
        if self.next.is_empty() {
            return None;
        }
        (at..new.len()).map_while(|to| Some((to, block_at(new, to)?))).find_map(|(to, content)| {
            let first = self.heads[slot(content, self.next.len())].checked_sub(1);
            std::iter::successors(first, |block| self.next[*block as usize].checked_sub(1))
                .take(CANDIDATES_MAX)
                .map(|block| block as usize * BLOCK)
                .filter(|from| block_at(self.old, *from) == Some(content))
                .map(|from| self.widened(new, Stretch { from, to, len: BLOCK }, done))
                .max_by_key(|stretch| stretch.len)
        })
    }

    /// As far as both payloads are the same, in both directions.
    fn widened(&self, new: &[u8], stretch: Stretch, done: usize) -> Stretch {
        let Stretch { from, to, len } = stretch;
        let after = shared(self.old[from + len..].iter(), new[to + len..].iter());
        let before = shared(self.old[..from].iter().rev(), new[done..to].iter().rev());
        Stretch { from: from - before, to: to - before, len: before + len + after }
    }
}

fn block_at(bytes: &[u8], at: usize) -> Option<u128> {
    bytes.get(at..)?.first_chunk().map(|block: &[u8; BLOCK]| u128::from_le_bytes(*block))
}

/// The chain of a content, where there are so many blocks.
fn slot(content: u128, blocks: usize) -> usize {
    let (low, high) = (content as u64, (content >> 64) as u64);
    let mixed = (low.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ high).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    (mixed >> 32) as usize & (blocks.next_power_of_two() - 1)
}

struct Writer<'a> {
    new: &'a [u8],
    /// The same, if it is text.
    text: Option<&'a str>,
    /// So much of it is in the patch already.
    done: usize,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(new: &'a [u8]) -> Self {
        let mut writer = Self { new, text: std::str::from_utf8(new).ok(), done: 0, out: Vec::new() };
        writer.number(new.len());
        writer.out.push(b'\n');
        writer
    }

    /// Copies a stretch, after all that comes before it. True unless it is so short that its bytes
    /// themselves are shorter.
    fn copy(&mut self, Stretch { mut from, mut to, mut len }: Stretch) -> bool {
        if let Some(text) = self.text {
            while len > 0 && !text.is_char_boundary(to) {
                (from, to, len) = (from + 1, to + 1, len - 1);
            }
            while !text.is_char_boundary(to + len) {
                len -= 1;
            }
        }
        // Both its own command and the one that it makes two of.
        if len <= digits(len) + 1 + digits(from) + 1 + digits(to - self.done) + 1 {
            return false;
        }
        self.literal(to);
        self.number(len);
        self.out.push(b'@');
        self.number(from);
        self.out.push(b',');
        self.done = to + len;
        true
    }

    /// What is left up to there, as it is.
    fn literal(&mut self, end: usize) {
        if self.done < end {
            self.number(end - self.done);
            self.out.push(b':');
            self.out.extend_from_slice(&self.new[self.done..end]);
            self.done = end;
        }
    }

    fn number(&mut self, number: usize) {
        for place in (0..digits(number)).rev() {
            self.out.push(DIGITS[(number >> (6 * place)) & 63]);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.literal(self.new.len());
        self.number(checksum(self.new) as usize);
        self.out.push(b';');
        self.out
    }
}

fn digits(number: usize) -> usize {
    number.checked_ilog2().map_or(1, |bits| bits as usize / 6 + 1)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, PatchError> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], PatchError> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(PatchError::Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u32, PatchError> {
        let digit = |byte: &u8| DIGITS.iter().position(|digit| digit == byte);
        let mut number: u32 = 0;
        let mut count = 0;
        while let Some(value) = self.0.get(count).and_then(digit) {
            if number.leading_zeros() < 6 {
                return Err(PatchError::Malformed);
            }
            number = number << 6 | value as u32;
            count += 1;
        }
        if count == 0 {
            return Err(PatchError::Malformed);
        }
        self.0 = &self.0[count..];
        Ok(number)
    }
}

#[cfg(test)]
mod tests;
