//! Raw ids to numbers: each distinct text is stored once and named by its order of appearance.

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
/// Two million rows name a million users, so a `String` a row or a node a user would cost more than the data, and time goes
/// into cache misses. So a text of up to 15 bytes, as ids are, lies in 16 bytes of its own, longer ones in a common
/// buffer, and an open-addressing table of (32 bits of hash, number) at most three quarters full finds them: two misses a
/// look-up.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    keys: Vec<Key>,
    /// Bytes of the texts that are too long for a key.
    long: Vec<u8>,
    /// `hash << 32 | number + 1`, 0 where free. The length is 0 or a power of two.
    slots: Vec<u64>,
}

/// A short text, filled up with zeros, and its length in the last byte; or a place in the buffer of long texts: start
/// (8 bytes), length (7 bytes) and the mark [`LONG`].
type Key = [u8; 16];

const SHORT_BYTES: usize = 15;
const LONG: u8 = u8::MAX;

impl Interner {
    /// How many distinct texts there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The bytes of text `number`.
    pub(crate) fn bytes(&self, number: u32) -> &[u8] {
        let key = &self.keys[number as usize];
        if key[SHORT_BYTES] != LONG {
            return &key[..usize::from(key[SHORT_BYTES])];
        }
        let (start, length) = long_place(key);
        &self.long[start..start + length]
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
        self.find(text, short_key(text), hash(text)).ok()
    }

    /// The number of `text`, which is taken if it is new.
    pub(crate) fn intern(&mut self, text: &[u8]) -> Result<u32, Refused> {
        if (self.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.intern_hashed(text, short_key(text), hash(text))
    }

    /// Take every text of `batch` and push their numbers to `numbers`.
    ///
    /// One text after the other, each would wait for its own cache misses. So the batch first touches what it will need, with
    /// loads that do not depend on each other and overlap.
    pub(crate) fn intern_all(&mut self, batch: &Batch, numbers: &mut Vec<u32>) -> Result<(), Refused> {
        let n = batch.len();
        if n == 0 {
            return Ok(());
        }
        while (self.len() + n) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut keys = [None; Batch::ROWS];
        let mut hashes = [0u32; Batch::ROWS];
        let mut touched = 0u64;
        for at in 0..n {
            let text = batch.get(at);
            keys[at] = short_key(text);
            hashes[at] = hash(text);
        }
        for &hash in &hashes[..n] {
            touched ^= self.slots[hash as usize & mask];
        }
        for &hash in &hashes[..n] {
            touched ^= self.likely(hash).map_or(0, |number| u64::from(self.keys[number as usize][0]));
        }
        std::hint::black_box(touched);
        for at in 0..n {
            numbers.push(self.intern_hashed(batch.get(at), keys[at], hashes[at])?);
        }
        Ok(())
    }

    /// There must be a free slot.
    fn intern_hashed(&mut self, text: &[u8], key: Option<Key>, hash: u32) -> Result<u32, Refused> {
        match self.find(text, key, hash) {
            Ok(number) => Ok(number),
            Err(slot) => {
                if std::str::from_utf8(text).is_err() {
                    return Err(Refused::NotUtf8);
                }
                // `number + 1` must fit, and the largest u32 is left free for callers who need a mark.
                let number =
                    u32::try_from(self.len()).ok().filter(|&n| n < u32::MAX - 1).ok_or(Refused::Full)?;
                let key = key.unwrap_or_else(|| long_key(self.long.len(), text.len()));
                if key[SHORT_BYTES] == LONG {
                    self.long.extend_from_slice(text);
                }
                self.keys.push(key);
                self.slots[slot] = entry(hash, number);
                Ok(number)
            }
        }
    }

    /// The first number on the way of `hash` whose 32 bits agree: nearly always the right one.
    fn likely(&self, hash: u32) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let found = self.slots[slot];
            if found == 0 {
                return None;
            }
            if found >> 32 == u64::from(hash) {
                return Some(found as u32 - 1);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The number of `text`, or the free slot where it belongs. The table is never full.
    fn find(&self, text: &[u8], key: Option<Key>, hash: u32) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let found = self.slots[slot];
            if found == 0 {
                return Err(slot);
            }
            let number = (found as u32) - 1;
            if found >> 32 == u64::from(hash) {
                let same = match &key {
                    Some(key) => self.keys[number as usize] == *key,
                    None => self.bytes(number) == text,
                };
                if same {
                    return Ok(number);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The new home of an entry is its old one or that plus the old size, so this runs through memory in order.
    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(1024);
        let old = std::mem::replace(&mut self.slots, vec![0; size]);
        for entry in old.into_iter().filter(|&entry| entry != 0) {
            let mut slot = (entry >> 32) as usize & (size - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = entry;
        }
    }
}

fn short_key(text: &[u8]) -> Option<Key> {
    if text.len() > SHORT_BYTES {
        return None;
    }
    let mut key = [0; SHORT_BYTES + 1];
    key[..text.len()].copy_from_slice(text);
    key[SHORT_BYTES] = text.len() as u8;
    Some(key)
}

/// A length of 2^56 bytes or more fits no memory.
fn long_key(start: usize, length: usize) -> Key {
    let mut key = [LONG; SHORT_BYTES + 1];
    key[..8].copy_from_slice(&(start as u64).to_le_bytes());
    key[8..SHORT_BYTES].copy_from_slice(&(length as u64).to_le_bytes()[..7]);
    key
}

fn long_place(key: &Key) -> (usize, usize) {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0usize, |word, &byte| word << 8 | usize::from(byte));
    (word(&key[..8]), word(&key[8..SHORT_BYTES]))
}

/// Some texts on their way to an [`Interner`].
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Batch {
    /// How many texts a batch may hold: what it touches should stay in the second-level cache.
    pub(crate) const ROWS: usize = 512;

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == Self::ROWS
    }

    /// Append a text; the batch must not be full.
    pub(crate) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }
}

fn entry(hash: u32, number: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(number + 1)
}

/// Eight bytes at a time, multiply and fold; the last step is `MurmurHash3`'s 64-bit finalizer (Appleby 2011). It never
/// decides a result, only where a text lies in the table.
fn hash(text: &[u8]) -> u32 {
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
    (state >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::{Batch, Interner, Refused};

    #[test]
    fn a_batch_gives_the_numbers_that_one_by_one_gives() {
        let texts: Vec<String> =
            (0..Batch::ROWS * 6).map(|n| "ab".repeat(n % 13) + &((n * n) % 997).to_string()).collect();
        let (mut one, mut all) = (Interner::default(), Interner::default());
        let expected: Vec<u32> = texts.iter().map(|text| one.intern(text.as_bytes()).unwrap()).collect();
        let mut numbers = Vec::new();
        for chunk in texts.chunks(Batch::ROWS) {
            let mut batch = Batch::default();
            chunk.iter().for_each(|text| batch.push(text.as_bytes()));
            all.intern_all(&batch, &mut numbers).unwrap();
        }
        assert_eq!(numbers, expected);
    }

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
