//! Writing a model that is not quantized: `config.json` and `model.safetensors` as transformers reads them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, View};

use super::build::{EMBED, HEAD, NORM, plan};
use super::{Weights, WeightsError};
use crate::backbone::Error;
use crate::backbone::files::{CONFIG, WEIGHTS};
use crate::nn::quant::Frozen;

impl Weights {
    /// Write the model into `folder`, which is made if need be. Each file is there in full or not at all, the description
    /// last.
    ///
    /// # Errors
    /// [`WeightsError::Quantized`]; when the folder cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        let bytes = self.to_bytes()?;
        std::fs::create_dir_all(folder).map_err(|e| Error::write(folder, e))?;
        write(&folder.join(WEIGHTS), &bytes)?;
        write(&folder.join(CONFIG), self.config.to_json().as_bytes())
    }

    /// The bytes of a safetensors file of all weights.
    ///
    /// # Errors
    /// [`WeightsError::Quantized`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut tensors = self.tensors();
        let mut views = Vec::new();
        for (name, shape) in plan(&self.config) {
            let numbers = tensors.remove(&name).expect("a tensor of the plan");
            if let Numbers::Matrix(matrix @ (Frozen::Int8(_) | Frozen::Nf4(_))) = numbers {
                return Err(WeightsError::Quantized { found: matrix.storage().to_string() }.into());
            }
            views.push((name, Tensor { shape, numbers }));
        }
        // transformers refuses files without this word.
        let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
        safetensors::serialize(views, Some(metadata))
            .map_err(|e| Error::write(Path::new(WEIGHTS), std::io::Error::other(e)))
    }

    /// All tensors by their names in files.
    fn tensors<'a>(&'a self) -> BTreeMap<String, Numbers<'a>> {
        let mut tensors = BTreeMap::new();
        tensors.insert(EMBED.to_owned(), Numbers::Matrix(&self.embed));
        tensors.insert(NORM.to_owned(), Numbers::Vector(&self.norm));
        tensors.extend(self.head.as_ref().map(|head| (HEAD.to_owned(), Numbers::Matrix(head))));
        for (i, layer) in self.layers.iter().enumerate() {
            let mut vector = |name: &str, vector: Option<&'a Vec<f32>>| {
                tensors.extend(vector.map(|v| (format!("model.layers.{i}.{name}"), Numbers::Vector(v))));
            };
            vector("input_layernorm.weight", Some(&layer.input_norm));
            vector("post_attention_layernorm.weight", Some(&layer.post_norm));
            vector("self_attn.q_norm.weight", layer.q_norm.as_ref());
            vector("self_attn.k_norm.weight", layer.k_norm.as_ref());
            let names = [
                "self_attn.q",
                "self_attn.k",
                "self_attn.v",
                "self_attn.o",
                "mlp.gate",
                "mlp.up",
                "mlp.down",
            ];
            for (name, projection) in names.into_iter().zip(layer.projections()) {
                vector(&format!("{name}_proj.bias"), projection.bias.as_ref());
            }
            for (name, projection) in names.into_iter().zip(layer.projections()) {
                let name = format!("model.layers.{i}.{name}_proj.weight");
                tensors.insert(name, Numbers::Matrix(&projection.weight));
            }
        }
        tensors
    }
}

/// Write a file beside its place, flush it, and rename it over its place.
fn write(path: &PathBuf, bytes: &[u8]) -> Result<(), Error> {
    let fail = |e: std::io::Error| Error::write(path, e);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fail)?;
    std::io::Write::write_all(&mut file, bytes).and_then(|()| file.as_file().sync_all()).map_err(fail)?;
    file.persist(path).map_err(|refused| fail(refused.error))?;
    Ok(())
}

enum Numbers<'a> {
    Matrix(&'a Frozen),
    Vector(&'a [f32]),
}

struct Tensor<'a> {
    shape: Vec<usize>,
    numbers: Numbers<'a>,
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.numbers {
            Numbers::Matrix(Frozen::Bf16(_)) => Dtype::BF16,
            _ => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let floats = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        match self.numbers {
            Numbers::Matrix(Frozen::Bf16(matrix)) => {
                matrix.data().iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into()
            }
            Numbers::Matrix(matrix) => Cow::Owned(floats(matrix.as_slice().unwrap_or_default())),
            Numbers::Vector(values) => Cow::Owned(floats(values)),
        }
    }

    fn data_len(&self) -> usize {
        let width = if self.dtype() == Dtype::BF16 { 2 } else { 4 };
        self.shape.iter().product::<usize>() * width
    }
}
