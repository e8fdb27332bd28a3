//! Safetensors files that tests take apart, spoil and put together again.

use std::path::Path;

use bench::backbone::ModelConfig;
use half::{bf16, f16};
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

/// A type of numbers.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    F32,
    F16,
    Bf16,
}

/// A tensor: its name, type, shape and bytes.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// The tensors of a file in their order.
#[derive(Debug, Clone)]
pub struct Checkpoint(pub Vec<Tensor>);

impl Checkpoint {
    pub fn read(bytes: &[u8]) -> Self {
        let file = SafeTensors::deserialize(bytes).unwrap();
        let mut tensors: Vec<Tensor> = file
            .tensors()
            .into_iter()
            .map(|(name, view)| Tensor {
                name,
                dtype: format!("{:?}", view.dtype()),
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
            })
            .collect();
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Self(tensors)
    }

    pub fn tensor(&mut self, name: &str) -> &mut Tensor {
        self.0.iter_mut().find(|tensor| tensor.name == name).unwrap()
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|tensor| tensor.name != name);
    }

    pub fn add(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.0.push(Tensor { name: name.to_owned(), dtype: "F32".to_owned(), shape: shape.to_vec(), bytes });
    }

    /// The numbers of an F32 tensor.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = self.0.iter().find(|tensor| tensor.name == name).unwrap();
        tensor.bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// All F32 tensors rounded to another type.
    pub fn with_numbers(&self, number: Number) -> Self {
        let mut tensors = self.0.clone();
        for tensor in &mut tensors {
            let values = self.floats(&tensor.name);
            (tensor.dtype, tensor.bytes) = match number {
                Number::F32 => ("F32".to_owned(), values.iter().flat_map(|x| x.to_le_bytes()).collect()),
                Number::F16 => {
                    ("F16".to_owned(), values.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect())
                }
                Number::Bf16 => (
                    "BF16".to_owned(),
                    values.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
                ),
            };
        }
        Self(tensors)
    }

    /// The header as JSON.
    pub fn header(&self) -> Map<String, Value> {
        let mut at = 0;
        let mut header = Map::new();
        for tensor in &self.0 {
            let end = at + tensor.bytes.len();
            header.insert(
                tensor.name.clone(),
                json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [at, end] }),
            );
            at = end;
        }
        header
    }

    /// The file with another header.
    pub fn with_header(&self, header: &str) -> Vec<u8> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(self.0.iter().flat_map(|tensor| &tensor.bytes));
        file
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.with_header(&Value::Object(self.header()).to_string())
    }

    /// The folder of a model in one file.
    pub fn write(&self, folder: &Path, config: &ModelConfig) {
        std::fs::write(folder.join("config.json"), config.to_json()).unwrap();
        std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
        std::fs::write(folder.join("model.safetensors"), self.to_bytes()).unwrap();
    }

    /// The folder of a model whose tensors are dealt to `count` files; the result is the index.
    pub fn write_shards(&self, folder: &Path, config: &ModelConfig, count: usize) -> Value {
        self.write(folder, config);
        std::fs::remove_file(folder.join("model.safetensors")).unwrap();
        let mut map = Map::new();
        for shard in 0..count {
            let name = format!("model-{}-of-{count}.safetensors", shard + 1);
            let part = Self(self.0.iter().skip(shard).step_by(count).cloned().collect());
            map.extend(part.0.iter().map(|tensor| (tensor.name.clone(), Value::String(name.clone()))));
            std::fs::write(folder.join(name), part.to_bytes()).unwrap();
        }
        let index = json!({ "metadata": { "total_size": 1 }, "weight_map": map });
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
        index
    }
}
