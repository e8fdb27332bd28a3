//! The weights that every built-in backbone starts from: layers that look up titles in lists, and the embeddings of the tokens
//! of which prompts are made besides titles. They come with the program; `examples/first_weights.rs` makes them.

use std::collections::BTreeMap;

use half::bf16;
use rand_pcg::Pcg64;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::init::{self, Roles};
use super::{Error, Geometry};
use crate::backbone::decoder::FullModel;
use crate::prompt::Tokenizer;

/// The tensor of the frame's embeddings, a row each.
const FRAME: &str = "frame";
/// The word of the file's header that lists the frame's tokens.
const TOKENS: &str = "tokens";

/// Layers, and embeddings of the frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Values of every tensor but the embedding, by name.
    tensors: BTreeMap<String, Vec<f32>>,
    /// Embeddings of tokens that belong to no title, by the token's text.
    frame: BTreeMap<String, Vec<f32>>,
}

fn embedding(model: &FullModel) -> std::ops::Range<usize> {
    model.plan().slots[0].range()
}

impl Start {
    /// What a model has learnt; `frame` are tokens with their ids.
    #[must_use]
    pub fn of(model: &FullModel, frame: &BTreeMap<String, u32>) -> Self {
        let rounded = |values: &[f32]| values.iter().map(|value| bf16::from_f32(*value).to_f32()).collect();
        let slots = &model.plan().slots;
        let tensors =
            slots[1..].iter().map(|slot| (slot.name.clone(), rounded(&model.weights[slot.range()])));
        let (d, rows) = (model.config().hidden, &model.weights[embedding(model)]);
        let frame = frame.iter().map(|(token, id)| (token.clone(), rounded(&rows[*id as usize * d..][..d])));
        Self { tensors: tensors.collect(), frame: frame.collect() }
    }

    /// The tokens whose embeddings are known, in order.
    pub fn frame(&self) -> impl Iterator<Item = &str> {
        self.frame.keys().map(String::as_str)
    }

    /// As a safetensors file of bf16 numbers.
    ///
    /// # Errors
    /// If the format refuses the names.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let bytes = |values: &[f32]| -> Vec<u8> {
            values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect()
        };
        let width = self.frame.values().next().map_or(0, Vec::len);
        let frame: Vec<u8> = self.frame.values().flat_map(|row| bytes(row)).collect();
        let mut parts: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, values)| (name.clone(), vec![values.len()], bytes(values)))
            .collect();
        parts.push((FRAME.to_owned(), vec![self.frame.len(), width], frame));
        let refused = |problem: safetensors::SafeTensorError| Error::Start(problem.to_string());
        let mut views = Vec::new();
        for (name, shape, bytes) in &parts {
            views.push((name.as_str(), TensorView::new(Dtype::BF16, shape.clone(), bytes).map_err(refused)?));
        }
        let tokens: Vec<&String> = self.frame.keys().collect();
        let header = [(TOKENS.to_owned(), serde_json::json!(tokens).to_string())].into_iter().collect();
        safetensors::serialize(views, Some(header)).map_err(refused)
    }

    /// From the bytes of [`Start::to_bytes`].
    ///
    /// # Errors
    /// If they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let refused = |problem: String| Error::Start(problem);
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| refused(e.to_string()))?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| refused(e.to_string()))?;
        let tokens =
            header.metadata().as_ref().and_then(|words| words.get(TOKENS)).cloned().unwrap_or_default();
        let tokens: Vec<String> = serde_json::from_str(&tokens).map_err(|e| refused(e.to_string()))?;
        let numbers = |view: &TensorView<'_>| -> Vec<f32> {
            view.data().chunks_exact(2).map(|two| bf16::from_le_bytes([two[0], two[1]]).to_f32()).collect()
        };
        let (mut tensors, mut frame) = (BTreeMap::new(), BTreeMap::new());
        for (name, view) in file.tensors() {
            let values = numbers(&view);
            if name == FRAME {
                let width = values.len() / tokens.len().max(1);
                let rows = tokens.iter().zip(values.chunks_exact(width.max(1)));
                frame = rows.map(|(token, row)| (token.clone(), row.to_vec())).collect();
            } else {
                tensors.insert(name, values);
            }
        }
        Ok(Self { tensors, frame })
    }

    /// The weights that come with the program.
    ///
    /// # Errors
    /// Never, unless the program was built with a damaged file.
    pub fn shipped(geometry: Geometry) -> Result<Self, Error> {
        Self::from_bytes(match geometry {
            Geometry::Tiny => include_bytes!("start/tiny.safetensors"),
            Geometry::Small => include_bytes!("start/small.safetensors"),
        })
    }

    /// Give `model` these weights. A token of titles that is not in the frame gets a random embedding, the rarer the longer.
    ///
    /// # Errors
    /// If the model has other tensors.
    pub fn give(
        &self,
        model: &mut FullModel,
        tokenizer: &Tokenizer,
        roles: &Roles,
        rng: &mut Pcg64,
    ) -> Result<(), Error> {
        let (d, rows) = (model.config().hidden, embedding(model));
        let slots = model.plan().slots.clone();
        for slot in &slots[1..] {
            let values = self.tensors.get(&slot.name).filter(|values| values.len() == slot.range().len());
            let values = values
                .ok_or_else(|| Error::Start(format!("no {} of {} numbers", slot.name, slot.range().len())))?;
            model.weights[slot.range()].copy_from_slice(values);
        }
        let rows = &mut model.weights[rows];
        let framed: BTreeMap<u32, &Vec<f32>> =
            self.frame.iter().filter_map(|(token, row)| Some((tokenizer.token_to_id(token)?, row))).collect();
        for row in rows.chunks_exact_mut(d) {
            init::unknown(row, rng);
        }
        init::words(rows, d, roles, &|id| framed.contains_key(&id), rng);
        for (id, row) in framed {
            if row.len() != d {
                return Err(Error::Start(format!("rows of {} numbers for a width of {d}", row.len())));
            }
            rows[id as usize * d..][..d].copy_from_slice(row);
        }
        Ok(())
    }
}
