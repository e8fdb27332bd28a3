//! A pre-trained backbone as the run store keeps it: a folder in Hugging Face's format.

use serde_json::json;

use super::train::Point;
use crate::run::{CellKey, Files, Flaw, Manifest, Stage};

/// The description of the model.
pub const CONFIG: &str = "config.json";
/// The weights.
pub const WEIGHTS: &str = "model.safetensors";
/// The tokenizer.
pub const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const CURVE: &str = "curve.json";

/// Version of the code of the stage; part of every key. Raise it when the same settings and data would give other weights.
pub const PRETRAIN_STAGE_VERSION: u32 = 2;

/// A backbone that was pre-trained for one dataset. Its cell's folder can be opened like any folder of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct PretrainedCell {
    /// What it says about itself.
    pub manifest: Manifest,
    /// `config.json`.
    pub config: Vec<u8>,
    /// `model.safetensors`.
    pub weights: Vec<u8>,
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// The learning curve.
    pub curve: Vec<Point>,
}

impl Stage for PretrainedCell {
    const NAME: &'static str = "pretraining";

    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn encode(&self) -> Result<Vec<(String, Vec<u8>)>, Flaw> {
        let curve = serde_json::to_vec_pretty(&self.curve).map_err(|e| Flaw::new(CURVE, e.to_string()))?;
        let tokens = json!({ "bos_token": super::tokenizer::BOS, "eos_token": super::tokenizer::EOS });
        Ok(vec![
            (CONFIG.to_owned(), self.config.clone()),
            (WEIGHTS.to_owned(), self.weights.clone()),
            (TOKENIZER.to_owned(), self.tokenizer.clone()),
            (TOKENIZER_CONFIG.to_owned(), tokens.to_string().into_bytes()),
            (CURVE.to_owned(), curve),
        ])
    }

    fn decode(manifest: Manifest, files: &Files) -> Result<Self, Flaw> {
        let bytes = |name: &str| files.bytes(name).map(<[u8]>::to_vec);
        bytes(TOKENIZER_CONFIG)?;
        Ok(Self {
            manifest,
            config: bytes(CONFIG)?,
            weights: bytes(WEIGHTS)?,
            tokenizer: bytes(TOKENIZER)?,
            curve: files.json(CURVE)?,
        })
    }
}

/// What the weights depend on, as a key of the store.
#[must_use]
pub fn key(inputs: &serde_json::Value) -> CellKey {
    CellKey::of(
        &json!({ "stage": PretrainedCell::NAME, "version": PRETRAIN_STAGE_VERSION, "inputs": inputs }),
    )
}
