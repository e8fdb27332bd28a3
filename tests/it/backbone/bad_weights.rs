//! Files of weights that are damaged or of another model are refused by a message that says where and what to do.

use std::path::{Path, PathBuf};

use bench::backbone::{Architecture, Folder, ModelConfig, Weights, load};
use bench::events::{Interrupt, Silent};
use bench::nn::quant::Storage;
use bench::seed::Seed;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::checkpoint::Checkpoint;
use super::weights::tiny;

fn config() -> ModelConfig {
    tiny(Architecture::Mistral)
}

fn checkpoint() -> Checkpoint {
    Checkpoint::read(&Weights::random(&config(), Storage::F32, Seed::new(4)).to_bytes().unwrap())
}

/// What is said about the file `W`.
fn refused(bytes: &[u8]) -> String {
    Weights::from_bytes(&config(), Path::new("W"), bytes, Storage::Nf4 { double: true })
        .unwrap_err()
        .to_string()
}

const DAMAGED: &str = "the file is damaged or was not fetched in full: fetch it again";

#[test]
fn an_empty_file_is_too_short() {
    let wanted = format!("W: 0 bytes, expected at least the 8 of a safetensors header; {DAMAGED}");
    assert_eq!(refused(b""), wanted);
    let folder = tempfile::tempdir().unwrap();
    checkpoint().write(folder.path(), &config());
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, "").unwrap();
    assert_eq!(refused_in(folder.path()), wanted.replacen('W', &path.display().to_string(), 1));
}

fn refused_in(folder: &Path) -> String {
    let folder = Folder::open(folder).unwrap();
    load(&folder, Storage::Bf16, &Silent, &Interrupt::default()).unwrap_err().to_string()
}

#[test]
fn a_pointer_of_git_lfs_is_told() {
    let text = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4976698672\n";
    assert_eq!(
        refused(text),
        "W: a pointer of Git LFS, not the weights themselves; run `git lfs pull` in its repository, or fetch the model again"
    );
}

#[test]
fn a_header_that_lies_about_its_length_is_not_believed() {
    for length in [u64::MAX, 1 << 40, 100_000_001, 4_000] {
        let mut file = length.to_le_bytes().to_vec();
        file.extend([b'{'; 100]);
        assert_eq!(
            refused(&file),
            format!(
                "W: the header is said to have {length} bytes, but 100 follow, and at most 100000000 are read; {DAMAGED}"
            )
        );
    }
}

#[test]
fn a_header_that_is_no_json_is_refused() {
    assert_eq!(
        refused(&checkpoint().with_header("{\"a\": }")),
        format!(
            "W: the header is not that of a safetensors file: expected value at line 1 column 7; {DAMAGED}"
        )
    );
    assert_eq!(
        refused(&checkpoint().with_header("[]")),
        format!(
            "W: the header is not that of a safetensors file: invalid type: sequence, expected an object of tensors \
             at line 1 column 0; {DAMAGED}"
        )
    );
}

#[test]
fn a_truncated_file_names_the_first_tensor_that_is_cut() {
    let file = checkpoint().to_bytes();
    let data = file.len() - 8 - u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    assert_eq!(
        refused(&file[..file.len() - 1]),
        format!(
            "W: model.norm.weight should have bytes {} to {data}, but {} bytes follow the header; {DAMAGED}",
            data - 96,
            data - 1
        )
    );
}

#[test]
fn bytes_behind_the_last_tensor_are_refused() {
    let mut file = checkpoint().to_bytes();
    let length = file.len();
    file.push(0);
    assert_eq!(
        refused(&file),
        format!("W: the last tensor ends at byte {length}, but the file has {}; {DAMAGED}", length + 1)
    );
}

#[test]
fn tensors_may_not_overlap() {
    let checkpoint = checkpoint();
    let mut header = checkpoint.header();
    // Both norms of the last layer are 24 numbers.
    header["model.norm.weight"]["data_offsets"] =
        header["model.layers.1.post_attention_layernorm.weight"]["data_offsets"].clone();
    let text = Value::Object(header).to_string();
    let message = refused(&checkpoint.with_header(&text));
    assert!(message.starts_with("W: model.norm.weight begins at byte "), "{message}");
    assert!(message.ends_with(&format!("; {DAMAGED}")), "{message}");
}

#[test]
fn a_tensor_must_have_the_bytes_of_its_shape() {
    let mut checkpoint = checkpoint();
    checkpoint.tensor("model.norm.weight").shape = vec![25];
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        format!(
            "W: model.norm.weight has 96 bytes, which is not the size of [25] numbers of type F32; {DAMAGED}"
        )
    );
    checkpoint.tensor("model.norm.weight").shape = vec![usize::MAX, 8, 3];
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        format!(
            "W: model.norm.weight has 96 bytes, which is not the size of [18446744073709551615, 8, 3] numbers of type F32; \
             {DAMAGED}"
        )
    );
}

#[test]
fn a_tensor_listed_twice_is_refused() {
    let checkpoint = checkpoint();
    let text = Value::Object(checkpoint.header()).to_string();
    let entry = checkpoint.header()["model.norm.weight"].to_string();
    let text = format!("{{\"model.norm.weight\":{entry},{}", &text[1..]);
    assert_eq!(
        refused(&checkpoint.with_header(&text)),
        format!("W: model.norm.weight is listed twice; {DAMAGED}")
    );
}

#[test]
fn a_type_that_is_not_read_is_named() {
    let mut checkpoint = checkpoint();
    let tensor = checkpoint.tensor("model.layers.0.mlp.up_proj.weight");
    tensor.dtype = "F8_E4M3".to_owned();
    tensor.bytes.truncate(40 * 24);
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        "W: model.layers.0.mlp.up_proj.weight has numbers of type F8_E4M3, expected F32, F16 or BF16; name the checkpoint \
         that is not quantized (backbone.quantization quantizes it while it is read)"
    );
}

#[test]
fn a_shape_that_disagrees_with_the_description_is_refused() {
    let mut checkpoint = checkpoint();
    checkpoint.tensor("model.layers.1.self_attn.k_proj.weight").shape = vec![24, 12];
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        "W: model.layers.1.self_attn.k_proj.weight has the shape [24, 12], but config.json makes it [12, 24]; are both of \
         one model? Fetch them again"
    );
}

#[test]
fn a_weight_that_is_not_finite_is_named_with_its_place() {
    let mut checkpoint = checkpoint();
    let at = (7 * 24 + 5) * 4;
    let bytes = &mut checkpoint.tensor("model.layers.1.mlp.gate_proj.weight").bytes;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let told = "the file is damaged or its training diverged: fetch it again, or name another model";
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        format!("W: model.layers.1.mlp.gate_proj.weight holds NaN at [7, 5]; {told}")
    );
    let bytes = &mut checkpoint.tensor("model.layers.0.input_layernorm.weight").bytes;
    bytes[12..16].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        format!("W: model.layers.0.input_layernorm.weight holds -inf at [3]; {told}")
    );
}

#[test]
fn missing_tensors_are_listed() {
    let mut checkpoint = checkpoint();
    checkpoint.remove("model.layers.1.mlp.down_proj.weight");
    let told = "of the 21 tensors that config.json makes; fetch the model again, or correct config.json";
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        format!("W: model.layers.1.mlp.down_proj.weight is missing, {told}")
    );
    for name in ["input_layernorm", "self_attn.q_proj", "self_attn.o_proj"] {
        checkpoint.remove(&format!("model.layers.0.{name}.weight"));
    }
    assert_eq!(
        refused(&checkpoint.to_bytes()),
        format!(
            "W: model.layers.0.input_layernorm.weight, model.layers.0.self_attn.o_proj.weight, \
             model.layers.0.self_attn.q_proj.weight and 1 more are missing, {told}"
        )
    );
}

#[test]
fn weights_without_a_place_in_the_model_are_refused() {
    let mut more = checkpoint();
    more.add("model.layers.2.input_layernorm.weight", &[24], &[1.0; 24]);
    let told = "in the model that config.json describes; are both of one model? Fetch them again";
    assert_eq!(refused(&more.to_bytes()), format!("W: model.layers.2.input_layernorm.weight is not {told}"));
    let mut biased = checkpoint();
    biased.add("model.layers.0.self_attn.q_proj.bias", &[24], &[1.0; 24]);
    biased.add("model.layers.0.self_attn.k_proj.bias", &[12], &[1.0; 12]);
    assert_eq!(
        refused(&biased.to_bytes()),
        format!(
            "W: model.layers.0.self_attn.k_proj.bias and model.layers.0.self_attn.q_proj.bias are not {told}"
        )
    );
}

/// A folder of two shards whose index `spoil` changes.
fn sharded(spoil: impl FnOnce(&mut Value, &Path)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let mut index = checkpoint().write_shards(folder.path(), &config(), 2);
    spoil(&mut index, folder.path());
    let path = folder.path().join("model.safetensors.index.json");
    std::fs::write(&path, index.to_string()).unwrap();
    (folder, path)
}

#[test]
fn an_index_that_places_a_tensor_elsewhere_is_refused() {
    let (folder, index) = sharded(|index, _| {
        index["weight_map"]["lm_head.weight"] = json!("model-2-of-2.safetensors");
    });
    let shard = folder.path().join("model-2-of-2.safetensors");
    assert_eq!(
        refused_in(folder.path()),
        format!(
            "{}: lm_head.weight should be in {}, which has no such tensor; fetch both again",
            index.display(),
            shard.display()
        )
    );
}

#[test]
fn a_tensor_that_the_index_does_not_list_is_refused() {
    let (folder, index) = sharded(|index, _| {
        index["weight_map"].as_object_mut().unwrap().remove("lm_head.weight");
    });
    let shard = folder.path().join("model-1-of-2.safetensors");
    assert_eq!(
        refused_in(folder.path()),
        format!(
            "{}: lm_head.weight is not listed, but {} has it; fetch both again",
            index.display(),
            shard.display()
        )
    );
}

#[test]
fn a_tensor_in_two_shards_is_refused() {
    let (folder, _) = sharded(|_, folder| {
        let path = folder.join("model-2-of-2.safetensors");
        let mut second = Checkpoint::read(&std::fs::read(&path).unwrap());
        second.add("lm_head.weight", &[50, 24], &[0.0; 50 * 24]);
        std::fs::write(path, second.to_bytes()).unwrap();
    });
    assert_eq!(
        refused_in(folder.path()),
        format!(
            "lm_head.weight is in {} and in {}, expected in one; remove the file that is not of this model",
            folder.path().join("model-1-of-2.safetensors").display(),
            folder.path().join("model-2-of-2.safetensors").display()
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_damage_makes_loading_panic(cut in 0usize..60_000, changes in prop::collection::vec((0usize..3_000, any::<u8>()), 0..6)) {
        let mut file = checkpoint().to_bytes();
        file.truncate(file.len().saturating_sub(cut.saturating_sub(30_000)));
        for (at, byte) in changes {
            if let Some(old) = file.get_mut(at) {
                *old = byte;
            }
        }
        if let Err(error) = Weights::from_bytes(&config(), Path::new("W"), &file, Storage::Int8) {
            prop_assert!(error.to_string().contains("W: "), "{}", error);
        }
    }
}
