//! Seeds and the random streams that grow from them. There is no global randomness: whoever needs random
//! numbers asks a [`Seed`] for the stream of its own name, so one more draw here changes nothing there.

use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The seed of one run of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(u64);

impl Seed {
    /// A seed from its number in the experiment file.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number in the experiment file.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The generator named `stream`: PCG-64 (O'Neill 2014) whose state and increment are the SHA-256 of seed and name.
    #[must_use]
    pub fn stream(self, stream: &str) -> Pcg64 {
        let digest =
            Sha256::new().chain_update(self.0.to_le_bytes()).chain_update(stream.as_bytes()).finalize();
        let word = |at: usize| {
            let mut bytes = [0u8; 16];
            bytes.copy_from_slice(&digest[at..at + 16]);
            u128::from_le_bytes(bytes)
        };
        Pcg64::new(word(0), word(16))
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
