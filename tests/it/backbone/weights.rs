//! Weights in memory are those in the file, however they are split, typed, drawn or written.

use std::path::Path;
use std::sync::Mutex;

use bench::backbone::{Architecture, Folder, ModelConfig, RopeConfig, RopeScaling, Weights, load};
use bench::events::{Event, Interrupt, Reporter, Silent};
use bench::nn::quant::{Frozen, Storage};
use bench::seed::Seed;
use half::{bf16, f16};
use safetensors::SafeTensors;

use super::checkpoint::{Checkpoint, Number};
use crate::support::shared;

/// A model of a few thousand numbers.
pub fn tiny(architecture: Architecture) -> ModelConfig {
    ModelConfig {
        architecture,
        hidden: 24,
        intermediate: 40,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        vocab: 50,
        rms_eps: 1e-5,
        rope: RopeConfig { theta: 10_000.0, scaling: RopeScaling::None },
        tied: architecture == Architecture::Llama,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
        sliding_window: None,
        max_positions: 128,
        bos: Some(1),
        eos: vec![2],
    }
}

fn open(folder: &Path, storage: Storage) -> Weights {
    load(&Folder::open(folder).unwrap(), storage, &Silent, &Interrupt::default()).unwrap()
}

fn numbers(matrix: &Frozen) -> Vec<u32> {
    let mut out = vec![f32::NAN; matrix.rows() * matrix.cols()];
    matrix.read(0, matrix.rows(), 0, matrix.cols(), &mut out, matrix.cols());
    out.iter().map(|x| x.to_bits()).collect()
}

/// Every number of a model, as bits, with the names of its parts.
fn all(weights: &Weights) -> Vec<(String, Vec<u32>)> {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let mut all =
        vec![("embed".to_owned(), numbers(&weights.embed)), ("norm".to_owned(), bits(&weights.norm))];
    all.extend(weights.head.as_ref().map(|head| ("head".to_owned(), numbers(head))));
    for (i, layer) in weights.layers.iter().enumerate() {
        for (j, projection) in layer.projections().into_iter().enumerate() {
            all.push((format!("{i} weight {j}"), numbers(&projection.weight)));
            all.extend(projection.bias.as_ref().map(|bias| (format!("{i} bias {j}"), bits(bias))));
        }
        let norms =
            [Some(&layer.input_norm), Some(&layer.post_norm), layer.q_norm.as_ref(), layer.k_norm.as_ref()];
        all.extend(
            norms.into_iter().flatten().enumerate().map(|(j, norm)| (format!("{i} norm {j}"), bits(norm))),
        );
    }
    all
}

#[test]
fn stories260k_is_in_memory_as_it_is_in_its_file() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("models/stories260K");
    let weights = open(&folder, Storage::F32);
    assert_eq!((weights.layers.len(), weights.config.tied), (5, false));
    let count: usize = all(&weights).iter().map(|(_, numbers)| numbers.len()).sum();
    assert_eq!(count as u64, weights.config.parameters());
    assert_eq!(weights.bytes(), 4 * count);

    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let in_file = |name: &str| -> Vec<u32> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    assert!(numbers(&weights.embed) == in_file("model.embed_tokens.weight"));
    assert!(numbers(weights.output()) == in_file("lm_head.weight"));
    for (i, layer) in weights.layers.iter().enumerate() {
        let names =
            ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"];
        for (name, projection) in names.into_iter().zip(layer.projections()) {
            let name = format!("model.layers.{i}.{name}_proj.weight");
            assert!(numbers(&projection.weight) == in_file(&name), "{name}");
        }
        let norm: Vec<u32> = layer.post_norm.iter().map(|x| x.to_bits()).collect();
        assert_eq!(norm, in_file(&format!("model.layers.{i}.post_attention_layernorm.weight")));
    }
}

#[test]
fn stories260k_is_quantized_but_for_embedding_and_output() {
    let Some(shared) = shared() else { return };
    let plain = open(&shared.join("models/stories260K"), Storage::F32);
    let weights = open(&shared.join("models/stories260K"), Storage::Nf4 { double: true });
    assert_eq!(weights.storage(), Storage::Nf4 { double: true });
    // The file is f32, so what is not quantized is f32.
    assert!(numbers(&weights.embed) == numbers(&plain.embed));
    assert!(numbers(weights.output()) == numbers(plain.output()));
    let down = plain.layers[4].down.weight.as_slice().unwrap();
    let quantized = Frozen::quantize(Storage::Nf4 { double: true }, 64, 172, down);
    assert!(numbers(&weights.layers[4].down.weight) == numbers(&quantized));
}

#[test]
fn the_tiny_llama_of_the_fixtures_loads_from_bytes() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fixtures/llama_lora_tiny");
    let bytes = std::fs::read(folder.join("base.weights.safetensors")).unwrap();
    let mut text: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    text["architectures"] = serde_json::json!(["LlamaForCausalLM"]);
    let config = ModelConfig::from_json(text.to_string().as_bytes()).unwrap();
    let weights = Weights::from_bytes(&config, Path::new("base"), &bytes, Storage::F32).unwrap();
    assert_eq!((weights.layers[1].k.weight.rows(), weights.layers[1].k.weight.cols()), (32, 64));
    assert_eq!(weights.bytes() as u64, 4 * config.parameters());
}

#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    for architecture in Architecture::ALL {
        for storage in [Storage::F32, Storage::Bf16] {
            let folder = tempfile::tempdir().unwrap();
            let weights = Weights::random(&tiny(architecture), storage, Seed::new(3));
            weights.save(folder.path()).unwrap();
            std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
            let found = open(folder.path(), storage);
            assert_eq!(found.config, weights.config);
            assert!(all(&found) == all(&weights), "{architecture:?} {storage:?}");
            assert_eq!((found.embed.storage(), found.bytes()), (storage, weights.bytes()));
        }
    }
}

#[test]
fn quantized_weights_are_not_written() {
    let weights = Weights::random(&tiny(Architecture::Qwen3), Storage::Nf4 { double: false }, Seed::new(3));
    assert_eq!(
        weights.to_bytes().unwrap_err().to_string(),
        "weights stored as nf4 cannot be written; expected f32 or bf16: load them with \
         backbone.quantization = \"f32\""
    );
}

#[test]
fn random_weights_are_normal_and_have_streams_of_their_own() {
    let config = ModelConfig { hidden: 256, intermediate: 700, ..tiny(Architecture::Qwen2) };
    let of = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Weights::random(&config, Storage::F32, Seed::new(seed)))
    };
    let weights = of(1, 5);
    assert!(all(&weights) == all(&of(2, 5)) && all(&weights) == all(&of(3, 5)));
    assert!(all(&weights) != all(&of(1, 6)));
    let layer = &weights.layers[0];
    assert!(numbers(&layer.gate.weight) != numbers(&layer.up.weight));
    let values = layer.gate.weight.as_slice().unwrap();
    let n = values.len() as f64;
    let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let moment = |power: i32| values.iter().map(|x| (f64::from(*x) / 0.02).powi(power)).sum::<f64>() / n;
    // Five standard errors of mean, second and fourth moment of n standard normal draws.
    assert!(mean.abs() < 5.0 * 0.02 / n.sqrt(), "{mean}");
    assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{}", moment(2));
    assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(), "{}", moment(4));
    assert!(layer.input_norm.iter().all(|x| *x == 1.0));
    assert_eq!(layer.q.bias, Some(vec![0.0; 24]));
    let quantized = Weights::random(&config, Storage::Int8, Seed::new(5));
    let wanted = Frozen::quantize(Storage::Int8, 700, 256, values);
    assert!(numbers(&quantized.layers[0].gate.weight) == numbers(&wanted));
}

#[test]
fn every_float_type_of_a_file_reads_as_its_numbers() {
    let config = tiny(Architecture::Mistral);
    let bytes = Weights::random(&config, Storage::F32, Seed::new(1)).to_bytes().unwrap();
    let plain = Checkpoint::read(&bytes);
    for number in [Number::F32, Number::F16, Number::Bf16] {
        let file = plain.with_numbers(number).to_bytes();
        let weights = Weights::from_bytes(&config, Path::new("it"), &file, Storage::F32).unwrap();
        let wanted: Vec<u32> = plain
            .floats("model.layers.1.mlp.up_proj.weight")
            .iter()
            .map(|x| match number {
                Number::F32 => x.to_bits(),
                Number::F16 => f16::from_f32(*x).to_f32().to_bits(),
                Number::Bf16 => bf16::from_f32(*x).to_f32().to_bits(),
            })
            .collect();
        assert!(numbers(&weights.layers[1].up.weight) == wanted, "{number:?}");
        let narrow =
            Weights::from_bytes(&config, Path::new("it"), &file, Storage::Nf4 { double: true }).unwrap();
        let expected = if matches!(number, Number::Bf16) { Storage::Bf16 } else { Storage::F32 };
        assert_eq!(narrow.embed.storage(), expected, "{number:?}");
        assert_eq!(narrow.output().storage(), expected);
    }
}

#[test]
fn shards_read_as_one_file() {
    let config = tiny(Architecture::Qwen3);
    let weights = Weights::random(&config, Storage::F32, Seed::new(8));
    let folder = tempfile::tempdir().unwrap();
    Checkpoint::read(&weights.to_bytes().unwrap()).write_shards(folder.path(), &config, 3);
    assert!(all(&open(folder.path(), Storage::F32)) == all(&weights));
}

/// Keeps the lines that a person would see.
#[derive(Default)]
pub struct Lines(Mutex<Vec<String>>);

impl Lines {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Reporter for Lines {
    fn emit(&self, event: Event<'_>) {
        self.0.lock().unwrap().push(match event {
            Event::Started { stage, total, unit } => format!("{stage}: {total:?} {unit}"),
            Event::Advanced { done, .. } => format!("{done}"),
            Event::Finished { summary } => summary.to_owned(),
            Event::Note(text) | Event::Warning(text) => text.to_owned(),
        });
    }
}

#[test]
fn progress_is_told_in_bytes_and_surplus_tensors_are_told_once() {
    let config = tiny(Architecture::Llama);
    let folder = tempfile::tempdir().unwrap();
    let mut checkpoint =
        Checkpoint::read(&Weights::random(&config, Storage::F32, Seed::new(2)).to_bytes().unwrap());
    // Constants of the rotation and the copy of a tied embedding are in many files.
    checkpoint.add("model.layers.0.self_attn.rotary_emb.inv_freq", &[3], &[1.0; 3]);
    checkpoint.add("lm_head.weight", &[50, 24], &[0.5; 50 * 24]);
    checkpoint.write(folder.path(), &config);
    let lines = Lines::default();
    let of = |lines: &Lines| {
        load(&Folder::open(folder.path()).unwrap(), Storage::F32, lines, &Interrupt::default())
    };
    let weights = of(&lines).unwrap();
    let (bytes, told) = (4 * config.parameters(), lines.take());
    assert_eq!(told[0], format!("load weights: Some({bytes}) bytes"));
    assert_eq!(told[told.len() - 2], bytes.to_string());
    assert_eq!(told[told.len() - 1], "20 tensors, 0.0 MB in memory");
    assert_eq!(weights.head.map(|head| head.rows()), None);

    checkpoint.add("score.buffer", &[2], &[1.0; 2]);
    checkpoint.add("other.buffer", &[2], &[1.0; 2]);
    checkpoint.write(folder.path(), &config);
    of(&lines).unwrap();
    assert_eq!(lines.take()[0], "the weights hold other.buffer and 1 more, which the model does not use");
}

#[test]
fn an_interrupt_stops_loading() {
    let config = tiny(Architecture::Llama);
    let folder = tempfile::tempdir().unwrap();
    let bytes = Weights::random(&config, Storage::F32, Seed::new(2)).to_bytes().unwrap();
    Checkpoint::read(&bytes).write(folder.path(), &config);
    let interrupt = Interrupt::default();
    interrupt.request();
    let error = load(&Folder::open(folder.path()).unwrap(), Storage::F32, &Silent, &interrupt).unwrap_err();
    assert!(error.is_interrupt(), "{error}");
}
