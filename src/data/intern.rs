//! Raw ids to numbers: each distinct text is stored once, in one buffer, and named by its order of appearance.

/// Why a text was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its bytes are not UTF-8.
    NotUtf8,
    /// All 32-bit numbers are used.
    Full,
}

/// Distinct UTF-8 texts, numbered from 0 in order of first appearance.
///
/// Two million rows name a million users, so a `String` a row or a node a user would cost more than the data: this is
/// one byte buffer plus an open-addressing table of (32 bits of hash, number), at most three quarters full.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    bytes: Vec<u8>,
    /// End of each text in `bytes`; text i starts where text i - 1 ends.
    ends: Vec<usize>,
    /// `hash << 32 | number + 1`, 0 where free. The length is 0 or a power of two.
    slots: Vec<u64>,
}

impl Interner {
    /// How many distinct texts there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of text `number`.
    pub(crate) fn bytes(&self, number: u32) -> &[u8] {
        let at = number as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }

    /// Text `number`.
    pub(crate) fn text(&self, number: u32) -> &str {
        std::str::from_utf8(self.bytes(number)).expect("a text is checked when it is taken")
    }

    /// The number of `text`, if it was taken before.
    pub(crate) fn get(&self, text: &[u8]) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        self.find(text, hash(text)).ok()
    }

    /// The number of `text`, which is taken if it is new.
    pub(crate) fn intern(&mut self, text: &[u8]) -> Result<u32, Refused> {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let hash = hash(text);
        match self.find(text, hash) {
            Ok(number) => Ok(number),
            Err(slot) => {
                if std::str::from_utf8(text).is_err() {
                    return Err(Refused::NotUtf8);
                }
                // `number + 1` must fit, and the largest u32 is left free for callers who need a mark.
                let number =
                    u32::try_from(self.len()).ok().filter(|&n| n < u32::MAX - 1).ok_or(Refused::Full)?;
                self.bytes.extend_from_slice(text);
                self.ends.push(self.bytes.len());
                self.slots[slot] = entry(hash, number);
                Ok(number)
            }
        }
    }

    /// The number of `text`, or the free slot where it belongs. The table is never full.
    fn find(&self, text: &[u8], hash: u64) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let found = self.slots[slot];
            if found == 0 {
                return Err(slot);
            }
            let number = (found as u32) - 1;
            if found >> 32 == hash >> 32 && self.bytes(number) == text {
                return Ok(number);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(1024);
        self.slots.clear();
        self.slots.resize(size, 0);
        for number in 0..self.len() as u32 {
            let hash = hash(self.bytes(number));
            let mut slot = hash as usize & (size - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = entry(hash, number);
        }
    }
}

fn entry(hash: u64, number: u32) -> u64 {
    (hash >> 32 << 32) | u64::from(number + 1)
}

/// Eight bytes at a time, multiply and fold; the last step is `MurmurHash3`'s 64-bit finalizer (Appleby 2011). It never
/// decides a result, only where a text lies in the table.
fn hash(text: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = text.len() as u64;
    let mut words = text.chunks_exact(8);
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().expect("chunks of eight"));
        state = (state.rotate_left(29) ^ word).wrapping_mul(ODD);
    }
    let mut last = [0u8; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    state = (state.rotate_left(29) ^ u64::from_le_bytes(last)).wrapping_mul(ODD);
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^ (state >> 33)
}

#[cfg(test)]
mod tests {
    use super::{Interner, Refused};

    #[test]
    fn numbers_follow_first_appearance_and_survive_growth() {
        let mut interner = Interner::default();
        for round in 0..2 {
            for n in 0..5000u32 {
                assert_eq!(interner.intern(format!("id-{n}").as_bytes()), Ok(n), "round {round}");
            }
        }
        assert_eq!(interner.len(), 5000);
        assert_eq!(interner.text(4321), "id-4321");
        assert_eq!(interner.get(b"id-17"), Some(17));
        assert_eq!(interner.get(b"id-5000"), None);
        assert_eq!(interner.intern(b"\xff"), Err(Refused::NotUtf8));
    }
}
