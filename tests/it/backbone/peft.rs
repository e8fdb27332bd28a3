//! Adapters against transformers and PEFT: fixtures made by them (see the README beside them), and their file format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bench::backbone::peft::{AdapterError, PeftFiles};
use bench::backbone::{
    Adapter, AdapterSpec, Batch, Decoder, FullModel, Keep, ModelConfig, Step, Weights, Workspace,
};
use bench::experiment::LoraTarget;
use bench::nn::adamw::{self, AdamW};
use bench::nn::matmul::Precision;
use bench::seed::Seed;
use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::twin::{ALL, assert_close, error, fill, tiny};
use crate::support::shared;

pub(crate) type Named = BTreeMap<String, Tensor>;

pub(crate) fn folder() -> Option<PathBuf> {
    shared().map(|shared| shared.join("fixtures/llama_lora_tiny"))
}

pub(crate) fn load(path: &Path) -> Named {
    candle_core::safetensors::load(path, &Device::Cpu).expect("a fixture").into_iter().collect()
}

pub(crate) fn f64s(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(candle_core::DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn f32s(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

pub(crate) fn i64s(tensor: &Tensor) -> Vec<i64> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// The fixture's backbone, of its first `layers` layers.
pub(crate) fn backbone(folder: &Path, layers: usize) -> Weights {
    let mut config = ModelConfig::read(&folder.join("config.json")).unwrap();
    config.layers = layers;
    let named = load(&folder.join("base.weights.safetensors"));
    let mut model = FullModel::zeros(&config);
    for slot in model.plan().slots.clone() {
        assert_eq!(named[&slot.name].dims(), slot.shape, "{}", slot.name);
        model.weights[slot.range()].copy_from_slice(&f32s(&named[&slot.name]));
    }
    model.to_weights()
}

pub(crate) fn adapter(folder: &Path, config: &ModelConfig, tag: &str) -> Adapter {
    let targets = vec![LoraTarget::QProj, LoraTarget::VProj];
    let mut adapter = Adapter::zeros(config, &AdapterSpec { r: 8, alpha: 32.0, dropout: 0.0, targets });
    let named = load(&folder.join(format!("{tag}.lora.safetensors")));
    assert_eq!(named.len(), adapter.plan().slots.len());
    for slot in adapter.plan().slots.clone() {
        adapter.weights[slot.range()].copy_from_slice(&f32s(&named[&slot.name]));
    }
    adapter
}

/// The rows of a padded batch, without their padding.
pub(crate) fn prompts(io: &Named, part: &str) -> Vec<Vec<u32>> {
    let (ids, mask) = (i64s(&io[&format!("{part}_input_ids")]), i64s(&io[&format!("{part}_attention_mask")]));
    let width = io[&format!("{part}_input_ids")].dims()[1];
    ids.chunks(width)
        .zip(mask.chunks(width))
        .map(|(ids, mask)| ids.iter().zip(mask).filter(|(_, m)| **m == 1).map(|(id, _)| *id as u32).collect())
        .collect()
}

/// The training prompts without their end token, which predicts nothing, and the labels of their last two rows.
pub(crate) fn training(io: &Named) -> (Vec<Vec<u32>>, Vec<u32>) {
    let all = prompts(io, "train");
    let labels = all.iter().flat_map(|prompt| prompt[prompt.len() - 2..].to_vec()).collect();
    (all.iter().map(|prompt| prompt[..prompt.len() - 1].to_vec()).collect(), labels)
}

pub(crate) fn slices(prompts: &[Vec<u32>]) -> Vec<&[u32]> {
    prompts.iter().map(Vec::as_slice).collect()
}

pub(crate) const TAGS: [&str; 2] = ["b_zero", "b_random"];

#[test]
fn every_logit_of_a_real_token_equals_that_of_transformers() {
    let Some(folder) = folder() else { return };
    for tag in TAGS {
        let io = load(&folder.join(format!("{tag}.io.safetensors")));
        let decoder = Decoder::new(backbone(&folder, 2), Precision::F32);
        let adapter = adapter(&folder, decoder.config(), tag);
        let every: Vec<u32> = (0..512).collect();
        let prompts = prompts(&io, "train");
        let batch = Batch::new(&slices(&prompts), usize::MAX);
        let found = decoder.letter_scores(&batch, &every, Some(&adapter), &mut Workspace::default());
        let expected = f64s(&io["train_logits"]);
        let mut compared = 0;
        for (i, prompt) in prompts.iter().enumerate() {
            let rows = batch.wanted_of(i);
            let expected = &expected[((i + 1) * 40 - prompt.len()) * 512..(i + 1) * 40 * 512];
            assert_close(&format!("{tag} row {i}"), &found[rows.start * 512..rows.end * 512], expected, 1e-5);
            compared += rows.len();
        }
        assert_eq!(compared, 40 + 33 + 21 + 10);
    }
}

#[test]
fn scores_of_letters_and_hidden_states_equal_those_of_transformers() {
    let Some(folder) = folder() else { return };
    for tag in TAGS {
        let io = load(&folder.join(format!("{tag}.io.safetensors")));
        let decoder = Decoder::new(backbone(&folder, 2), Precision::F32);
        let adapter = adapter(&folder, decoder.config(), tag);
        let prompts = prompts(&io, "eval");
        let batch = Batch::new(&slices(&prompts), 1);
        let mut workspace = Workspace::default();
        let hidden = decoder.hidden(&batch, Some(&adapter), &mut workspace).to_vec();
        assert_close(&format!("{tag} hidden"), &hidden, &f64s(&io["eval_final_hidden_last"]), 1e-5);
        let letters: Vec<u32> = i64s(&io["verbalizer_ids"]).into_iter().map(|id| id as u32).collect();
        let found = decoder.letter_scores(&batch, &letters, Some(&adapter), &mut workspace);
        assert_close(&format!("{tag} letters"), &found, &f64s(&io["verbalizer_logits"]), 1e-5);
        let every: Vec<u32> = (0..512).collect();
        let found = decoder.letter_scores(&batch, &every, Some(&adapter), &mut workspace);
        assert_close(&format!("{tag} last logits"), &found, &f64s(&io["eval_last_logits"]), 1e-5);

        // The input of layer 1 is the output of a model of one layer, which has its norm behind it.
        let shallow = Decoder::new(backbone(&folder, 1), Precision::F32);
        let mut first = Adapter::zeros(shallow.config(), adapter.spec());
        let len = first.weights.len();
        first.weights.copy_from_slice(&adapter.weights[..len]);
        let batch = Batch::new(&slices(&prompts), usize::MAX);
        let found = shallow.hidden(&batch, Some(&first), &mut workspace).to_vec();
        let states = f64s(&io["eval_hidden_layer1_in"]);
        let norm: Vec<f64> = decoder.weights().norm.iter().map(|x| f64::from(*x)).collect();
        for (i, prompt) in prompts.iter().enumerate() {
            let expected: Vec<f64> = states[((i + 1) * 38 - prompt.len()) * 64..(i + 1) * 38 * 64]
                .chunks(64)
                .flat_map(|row| {
                    let mean = row.iter().map(|x| x * x).sum::<f64>() / 64.0;
                    let root = (mean + 1e-5).sqrt();
                    row.iter().zip(&norm).map(|(x, w)| x / root * w).collect::<Vec<_>>()
                })
                .collect();
            let rows = batch.wanted_of(i);
            assert_close(
                &format!("{tag} layer 1, row {i}"),
                &found[rows.start * 64..rows.end * 64],
                &expected,
                1e-5,
            );
        }
    }
}

#[test]
fn loss_and_gradients_equal_those_of_peft() {
    let Some(folder) = folder() else { return };
    for tag in TAGS {
        let io = load(&folder.join(format!("{tag}.io.safetensors")));
        let decoder = Decoder::new(backbone(&folder, 2), Precision::F32);
        let adapter = adapter(&folder, decoder.config(), tag);
        let (prompts, labels) = training(&io);
        let mut workspace = Workspace::default();
        let every: Vec<u32> = (0..512).collect();
        let batch = Batch::new(&slices(&prompts), 2);
        let found = decoder.letter_scores(&batch, &every, Some(&adapter), &mut workspace);
        assert_close(&format!("{tag} label logits"), &found, &f64s(&io["train_label_position_logits"]), 1e-5);
        let expected = load(&folder.join(format!("{tag}.lora_grads.safetensors")));
        // One batch, and four micro-batches that add up.
        let whole = vec![(batch, labels.clone())];
        let parts = prompts
            .iter()
            .zip(labels.chunks(2))
            .map(|(prompt, labels)| (Batch::new(&[prompt], 2), labels.to_vec()));
        for (what, batches) in [("whole", whole), ("parts", parts.collect())] {
            let mut gradients = vec![0.0; adapter.weights.len()];
            let mut loss = 0.0;
            for (batch, labels) in &batches {
                let keep = if what == "parts" { Keep::Inputs } else { Keep::Everything };
                let step = Step { dropout: None, labels: 8, keep };
                loss +=
                    decoder.loss_and_gradients(batch, labels, &adapter, step, &mut gradients, &mut workspace);
            }
            assert_close(&format!("{tag} loss"), &[loss as f32], &f64s(&io["loss"]), 1e-5);
            for slot in &adapter.plan().slots {
                let found = &gradients[slot.range()];
                let expected = f64s(&expected[&slot.name]);
                if expected.iter().all(|x| *x == 0.0) {
                    assert!(found.iter().all(|x| *x == 0.0), "{tag} {what} {} has a gradient", slot.name);
                } else {
                    assert_close(&format!("{tag} {what} {}", slot.name), found, &expected, 1e-4);
                }
            }
        }
    }
}

#[test]
fn weights_after_three_steps_equal_those_of_peft_and_pytorch() {
    let Some(folder) = folder() else { return };
    let io = load(&folder.join("b_random.io.safetensors"));
    let info: Value = serde_json::from_slice(&std::fs::read(folder.join("info.json")).unwrap()).unwrap();
    let decoder = Decoder::new(backbone(&folder, 2), Precision::F32);
    let mut adapter = adapter(&folder, decoder.config(), "b_random");
    let (prompts, labels) = training(&io);
    let batch = Batch::new(&slices(&prompts), 2);
    let n = adapter.weights.len();
    let (mut first, mut second) = (vec![0.0; n], vec![0.0; n]);
    let adam = AdamW { learning_rate: 1e-3, weight_decay: 0.0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    let mut workspace = Workspace::default();
    for number in 1..=3 {
        let mut gradients = vec![0.0; n];
        let step = Step { dropout: None, labels: 8, keep: Keep::Everything };
        let loss =
            decoder.loss_and_gradients(&batch, &labels, &adapter, step, &mut gradients, &mut workspace);
        let expected = info["adamw_3steps_losses"][number as usize - 1].as_f64().unwrap();
        assert_close(&format!("loss of step {number}"), &[loss as f32], &[expected], 1e-5);
        let decayed = adapter.plan().decayed();
        let state = adamw::State { weights: &mut adapter.weights, first: &mut first, second: &mut second };
        adamw::step(&adam, number, 1.0, &gradients, &decayed, state);
    }
    let expected = load(&folder.join("adamw_3steps.lora.safetensors"));
    for slot in &adapter.plan().slots {
        assert_close(&slot.name, &adapter.weights[slot.range()], &f64s(&expected[&slot.name]), 1e-4);
    }
}

fn any(config: &ModelConfig) -> Adapter {
    let spec = AdapterSpec { r: 4, alpha: 6.5, dropout: 0.05, targets: ALL.to_vec() };
    let mut adapter = Adapter::new(config, &spec, Seed::new(1));
    fill(&mut adapter, 0.5);
    adapter
}

#[test]
fn an_adapter_goes_to_pefts_files_and_back() {
    let config = tiny();
    let adapter = any(&config);
    let files = adapter.to_peft("some/backbone");
    let described: Value = serde_json::from_slice(&files.config).unwrap();
    assert_eq!(described["peft_type"], "LORA");
    assert_eq!(described["r"], 4);
    assert_eq!(described["lora_alpha"], 6.5);
    assert_eq!(described["target_modules"][6], "down_proj");
    let tensors = candle_core::safetensors::load_buffer(&files.weights, &Device::Cpu).unwrap();
    assert_eq!(tensors.len(), 3 * 7 * 2);
    assert_eq!(tensors["base_model.model.model.layers.2.self_attn.k_proj.lora_B.weight"].dims(), [16, 4]);
    assert_eq!(tensors["base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"].dims(), [4, 40]);
    assert_eq!(Adapter::from_peft(&files, &config, Some("some/backbone")).unwrap(), adapter);
    let kept = tempfile::tempdir().unwrap();
    std::fs::write(kept.path().join("adapter_config.json"), &files.config).unwrap();
    std::fs::write(kept.path().join("adapter_model.safetensors"), &files.weights).unwrap();
    assert_eq!(PeftFiles::read(kept.path()).unwrap(), files);
}

#[test]
fn halves_are_read_as_floats() {
    let config = tiny();
    let adapter = any(&config);
    let mut files = adapter.to_peft("b");
    let tensors: BTreeMap<String, Tensor> =
        candle_core::safetensors::load_buffer(&files.weights, &Device::Cpu)
            .unwrap()
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_dtype(candle_core::DType::BF16).unwrap()))
            .collect();
    files.weights = safetensors::serialize(&tensors, None).unwrap();
    let found = Adapter::from_peft(&files, &config, None).unwrap();
    let expected: Vec<f64> = adapter.weights.iter().map(|x| f64::from(*x)).collect();
    let off = error(&found.weights, &expected);
    assert!(off > 0.0 && off < 1.0 / 256.0, "bf16 is {off} away");
}

#[test]
fn an_adapter_of_another_backbone_is_refused_with_the_reason() {
    let config = tiny();
    let files = any(&config).to_peft("some/backbone");
    let refuse = |files: &PeftFiles, config: &ModelConfig, base| -> String {
        Adapter::from_peft(files, config, base).unwrap_err().to_string()
    };
    assert_eq!(
        refuse(&files, &config, Some("another/backbone")),
        "this adapter was trained on some/backbone, not on another/backbone; name some/backbone as backbone.name, or \
         train anew"
    );
    let wide = ModelConfig { hidden: 32, ..tiny() };
    assert_eq!(
        refuse(&files, &wide, None),
        "adapter_model.safetensors of the adapter: base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight is \
         [4, 24], but this backbone needs [4, 32]; the adapter belongs to another backbone"
    );
    let deep = ModelConfig { layers: 4, ..tiny() };
    assert!(
        refuse(&files, &deep, None)
            .contains("lacks base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight")
    );
    let shallow = ModelConfig { layers: 2, ..tiny() };
    assert!(matches!(
        Adapter::from_peft(&files, &shallow, None),
        Err(AdapterError::Unknown { name }) if name.contains("layers.2")
    ));
}

#[test]
fn damaged_or_foreign_descriptions_say_what_is_wrong() {
    let config = tiny();
    let files = any(&config).to_peft("b");
    let with = |key: &str, value: Value| {
        let mut described: Value = serde_json::from_slice(&files.config).unwrap();
        described[key] = value;
        let files = PeftFiles { config: described.to_string().into_bytes(), weights: files.weights.clone() };
        Adapter::from_peft(&files, &config, None).unwrap_err().to_string()
    };
    let before = "adapter_config.json of the adapter: ";
    for (key, value, message) in [
        ("peft_type", json!("IA3"), "peft_type is IA3, expected LORA"),
        ("use_dora", json!(true), "use_dora is true, which is not supported; expected false"),
        ("use_rslora", json!(true), "use_rslora is true, which is not supported; expected false"),
        ("bias", json!("all"), "bias is \"all\", which is not supported; expected \"none\""),
        (
            "rank_pattern",
            json!({ "q_proj": 2 }),
            "rank_pattern is set, which is not supported; expected null",
        ),
        ("r", json!(0), "r is 0, expected a whole number from 1 to 65536"),
        ("lora_alpha", json!("x"), "lora_alpha is \"x\", expected a number above 0"),
        ("lora_dropout", json!(1.0), "lora_dropout is 1.0, expected a number from 0 to below 1"),
        ("target_modules", json!("all-linear"), "target_modules is \"all-linear\", expected a list of names"),
        (
            "target_modules",
            json!(["embed_tokens"]),
            "target_modules names \"embed_tokens\", expected some of q_proj, k_proj, v_proj, o_proj, gate_proj, \
             up_proj, down_proj",
        ),
        ("target_modules", json!([]), "target_modules is empty, expected names such as \"q_proj\""),
    ] {
        assert_eq!(with(key, value), format!("{before}{message}"));
    }
    let cut = |config: &[u8], weights: &[u8]| {
        let files = PeftFiles { config: config.to_vec(), weights: weights.to_vec() };
        Adapter::from_peft(&files, &tiny(), None).unwrap_err()
    };
    assert!(matches!(cut(b"{", &files.weights), AdapterError::Config { .. }));
    assert!(matches!(cut(&files.config, &files.weights[..100]), AdapterError::Weights { .. }));
    let mut broken = any(&config);
    broken.weights[5] = f32::NAN;
    let message = Adapter::from_peft(&broken.to_peft("b"), &config, None).unwrap_err().to_string();
    assert!(message.contains("q_proj.lora_A.weight holds NaN at element 5"), "{message}");
}
