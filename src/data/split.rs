//! Leave-one-out, and the fingerprint that identifies its result.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::{Dataset, ItemId};

/// Which held-out item is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The last but one interaction of every user.
    Validation,
    /// The last interaction of every user.
    Test,
}

/// SHA-256, in hex, over raw user, raw history and raw targets of every user in order.
///
/// The hashed bytes are, for each user: the user id, the number of training items (u64, little endian), the training
/// item ids, the validation item id, the test item id; each id is its length in bytes (u64, little endian) and its UTF-8
/// bytes. Dense ids do not enter, so two programs that agree on the split agree on the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every user's sequence, cut into training, validation and test. Index u is the same user everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// All but the last two items of every user, in time order; never empty.
    pub train: Vec<Vec<ItemId>>,
    /// The last but one item.
    pub validation: Vec<ItemId>,
    /// The last item.
    pub test: Vec<ItemId>,
    /// How many items there are: ids run from 1 to this.
    pub n_items: usize,
    /// Identifies the split.
    pub fingerprint: Fingerprint,
}

impl Split {
    /// Hold out the last item of every user for the test and the one before it for validation (protocol, section 1).
    ///
    /// # Errors
    /// [`Error::ShortUser`] if a user has fewer than three interactions.
    pub fn leave_one_out(dataset: &Dataset) -> Result<Self, Error> {
        let n = dataset.sequences.len();
        let mut split = Self {
            train: Vec::with_capacity(n),
            validation: Vec::with_capacity(n),
            test: Vec::with_capacity(n),
            n_items: dataset.items.len(),
            fingerprint: Fingerprint(String::new()),
        };
        for (user, sequence) in dataset.users.iter().zip(&dataset.sequences) {
            let [train @ .., validation, test] = sequence.as_slice() else {
                return Err(short(dataset, user, sequence.len()));
            };
            if train.is_empty() {
                return Err(short(dataset, user, sequence.len()));
            }
            split.train.push(train.to_vec());
            split.validation.push(*validation);
            split.test.push(*test);
        }
        split.fingerprint = fingerprint(dataset, &split);
        Ok(split)
    }

    /// What is known of every user when `part` is predicted: the training items, and for the test also the validation
    /// item.
    #[must_use]
    pub fn histories(&self, part: Part) -> Vec<Vec<ItemId>> {
        match part {
            Part::Validation => self.train.clone(),
            Part::Test => self
                .train
                .iter()
                .zip(&self.validation)
                .map(|(train, &validation)| {
                    let mut history = Vec::with_capacity(train.len() + 1);
                    history.extend_from_slice(train);
                    history.push(validation);
                    history
                })
                .collect(),
        }
    }

    /// The held-out item of every user.
    #[must_use]
    pub fn targets(&self, part: Part) -> &[ItemId] {
        match part {
            Part::Validation => &self.validation,
            Part::Test => &self.test,
        }
    }
}

fn short(dataset: &Dataset, user: &str, found: usize) -> Error {
    Error::ShortUser { dataset: dataset.name.clone(), user: user.to_owned(), found }
}

fn fingerprint(dataset: &Dataset, split: &Split) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut user_bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    for (u, user) in dataset.users.iter().enumerate() {
        user_bytes.clear();
        put(&mut user_bytes, user);
        user_bytes.extend_from_slice(&(split.train[u].len() as u64).to_le_bytes());
        for &item in split.train[u].iter().chain([&split.validation[u], &split.test[u]]) {
            put(&mut user_bytes, &dataset.items[item.index()].raw_id);
        }
        hash.update(&user_bytes);
    }
    Fingerprint(hex::encode(hash.finalize()))
}
