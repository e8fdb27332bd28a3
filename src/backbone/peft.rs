//! Adapters in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::adapter::{TARGETS, name};
use super::{Adapter, AdapterSpec, ModelConfig};

/// The description of an adapter.
pub const CONFIG: &str = "adapter_config.json";
/// Its matrices.
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// What PEFT writes before a module's name.
const PREFIX: &str = "base_model.model.";

/// Why an adapter cannot be read, or not be used with a backbone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// A file could not be read.
    #[error("read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The description is not one, or asks for what is not done here.
    #[error("{CONFIG} of the adapter: {problem}")]
    Config {
        /// What is wrong.
        problem: String,
    },
    /// It was trained on another backbone.
    #[error(
        "this adapter was trained on {found}, not on {expected}; name {found} as backbone.name, or train anew"
    )]
    Backbone {
        /// The backbone of the adapter.
        found: String,
        /// The backbone that is asked for.
        expected: String,
    },
    /// The matrices are no safetensors file.
    #[error("{WEIGHTS} of the adapter: {problem}; the file is damaged: fetch or train it again")]
    Weights {
        /// What is wrong.
        problem: String,
    },
    /// A matrix has another shape.
    #[error(
        "{WEIGHTS} of the adapter: {name} is {found:?}, but this backbone needs {expected:?}; the adapter belongs to \
         another backbone"
    )]
    Shape {
        /// The matrix.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape that fits.
        expected: Vec<usize>,
    },
    /// A matrix is missing.
    #[error(
        "{WEIGHTS} of the adapter lacks {name}; the adapter belongs to another backbone or the file is cut"
    )]
    Missing {
        /// The matrix.
        name: String,
    },
    /// A matrix that the backbone has no place for.
    #[error(
        "{WEIGHTS} of the adapter: {name} has no place in this backbone; the adapter belongs to another backbone"
    )]
    Unknown {
        /// The matrix.
        name: String,
    },
}

/// The two files of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeftFiles {
    /// [`CONFIG`].
    pub config: Vec<u8>,
    /// [`WEIGHTS`].
    pub weights: Vec<u8>,
}

impl PeftFiles {
    /// Read both files from a folder.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn read(folder: &Path) -> Result<Self, AdapterError> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| AdapterError::Read { path, source })
        };
        Ok(Self { config: read(CONFIG)?, weights: read(WEIGHTS)? })
    }
}

impl Adapter {
    /// The files that PEFT reads (`PeftModel.from_pretrained`), for the backbone `base`.
    ///
    /// # Panics
    /// Never: names are unique and shapes agree with the data.
    #[must_use]
    pub fn to_peft(&self, base: &str) -> PeftFiles {
        let spec = self.spec();
        let number = |x: f64| if x.fract() == 0.0 { json!(x as i64) } else { json!(x) };
        let config = json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "lora_alpha": number(spec.alpha),
            "lora_dropout": spec.dropout,
            "modules_to_save": null,
            "r": spec.r,
            "target_modules": spec.targets.iter().map(|target| name(*target)).collect::<Vec<_>>(),
            "use_dora": false,
            "use_rslora": false,
        });
        let mut text = serde_json::to_vec_pretty(&config).expect("JSON of plain values");
        text.push(b'\n');
        let tensors: BTreeMap<String, Tensor> =
            self.plan().slots.iter().map(|slot| self.tensor(slot)).collect();
        let metadata = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
        let weights = safetensors::serialize(&tensors, Some(metadata)).expect("tensors with shapes");
        PeftFiles { config: text, weights }
    }

    fn tensor(&self, slot: &crate::nn::params::Slot) -> (String, Tensor) {
        let values = &self.weights[slot.range()];
        let tensor =
            Tensor::from_slice(values, slot.shape.as_slice(), &Device::Cpu).expect("a shape that fits");
        (format!("{PREFIX}{}", slot.name), tensor)
    }

    /// The adapter in `files`, for a backbone of shape `model`. With `base` it must have been trained on the backbone of this
    /// name.
    ///
    /// # Errors
    /// When the files are damaged, belong to another backbone, or describe a kind of adapter that is not done here.
    pub fn from_peft(
        files: &PeftFiles,
        model: &ModelConfig,
        base: Option<&str>,
    ) -> Result<Self, AdapterError> {
        let (spec, found) = describe(&files.config).map_err(|problem| AdapterError::Config { problem })?;
        if let Some(expected) = base.filter(|expected| *expected != found) {
            return Err(AdapterError::Backbone { found, expected: expected.to_owned() });
        }
        let damaged = |error: candle_core::Error| AdapterError::Weights { problem: first_line(&error) };
        let tensors: BTreeMap<String, Tensor> =
            candle_core::safetensors::load_buffer(&files.weights, &Device::Cpu)
                .map_err(damaged)?
                .into_iter()
                .collect();
        let mut adapter = Self::zeros(model, &spec);
        let slots = adapter.plan().slots.clone();
        for slot in &slots {
            let name = format!("{PREFIX}{}", slot.name);
            let tensor = tensors.get(&name).ok_or_else(|| AdapterError::Missing { name: name.clone() })?;
            if tensor.dims() != slot.shape {
                let (found, expected) = (tensor.dims().to_vec(), slot.shape.clone());
                return Err(AdapterError::Shape { name, found, expected });
            }
            let values: Vec<f32> = tensor
                .to_dtype(DType::F32)
                .and_then(|tensor| tensor.flatten_all()?.to_vec1())
                .map_err(damaged)?;
            if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                return Err(AdapterError::Weights {
                    problem: format!("{name} holds {} at element {at}", values[at]),
                });
            }
            adapter.weights[slot.range()].copy_from_slice(&values);
        }
        let known = |name: &str| {
            name.strip_prefix(PREFIX).is_some_and(|name| slots.iter().any(|slot| slot.name == name))
        };
        match tensors.into_keys().find(|name| !known(name)) {
            Some(name) => Err(AdapterError::Unknown { name }),
            None => Ok(adapter),
        }
    }
}

fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// What `adapter_config.json` says, and the name of the backbone.
fn describe(text: &[u8]) -> Result<(AdapterSpec, String), String> {
    let config: Value = serde_json::from_slice(text).map_err(|error| format!("no JSON ({error})"))?;
    let kind = config["peft_type"].as_str().unwrap_or("missing");
    if kind != "LORA" {
        return Err(format!("peft_type is {kind}, expected LORA"));
    }
    for flag in ["use_dora", "use_rslora", "fan_in_fan_out", "lora_bias", "use_qalora"] {
        if config[flag].as_bool() == Some(true) {
            return Err(format!("{flag} is true, which is not supported; expected false"));
        }
    }
    if let Some(bias) = config["bias"].as_str().filter(|bias| *bias != "none") {
        return Err(format!("bias is {bias:?}, which is not supported; expected \"none\""));
    }
    for list in
        ["rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform", "layer_replication"]
    {
        let empty = match &config[list] {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !empty {
            return Err(format!("{list} is set, which is not supported; expected null"));
        }
    }
    let number = |key: &str, fits: fn(f64) -> bool, expected: &str| {
        let found = &config[key];
        found.as_f64().filter(|x| fits(*x)).ok_or_else(|| format!("{key} is {found}, expected {expected}"))
    };
    let whole = |x: f64| x.fract() == 0.0 && (1.0..=65_536.0).contains(&x);
    let r = number("r", whole, "a whole number from 1 to 65536")? as usize;
    let alpha = number("lora_alpha", |x| x.is_finite() && x > 0.0, "a number above 0")?;
    let dropout = match &config["lora_dropout"] {
        Value::Null => 0.0,
        _ => number("lora_dropout", |x| (0.0..1.0).contains(&x), "a number from 0 to below 1")?,
    };
    let listed = config["target_modules"]
        .as_array()
        .ok_or_else(|| format!("target_modules is {}, expected a list of names", config["target_modules"]))?;
    let mut targets = Vec::with_capacity(listed.len());
    for module in listed {
        let target = TARGETS.into_iter().find(|target| module.as_str() == Some(name(*target)));
        targets.push(target.ok_or_else(|| {
            let known: Vec<_> = TARGETS.into_iter().map(name).collect();
            format!("target_modules names {module}, expected some of {}", known.join(", "))
        })?);
    }
    if targets.is_empty() {
        return Err("target_modules is empty, expected names such as \"q_proj\"".to_owned());
    }
    let base = config["base_model_name_or_path"].as_str().unwrap_or_default().to_owned();
    Ok((AdapterSpec { r, alpha, dropout, targets }, base))
}
