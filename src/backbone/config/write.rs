//! [`ModelConfig`] to `config.json`, with the keys that both transformers 4 and 5 read.

use serde_json::{Map, Value, json};

use super::{Architecture, ModelConfig, RopeScaling};

/// The object that [`super::parse`] reads back to the same configuration.
pub(super) fn to_json(config: &ModelConfig) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("architectures", json!([config.architecture.name()]));
    put("model_type", json!(config.architecture.model_type()));
    put("vocab_size", json!(config.vocab));
    put("hidden_size", json!(config.hidden));
    put("intermediate_size", json!(config.intermediate));
    put("num_hidden_layers", json!(config.layers));
    put("num_attention_heads", json!(config.heads));
    put("num_key_value_heads", json!(config.kv_heads));
    put("head_dim", json!(config.head_dim));
    put("hidden_act", json!("silu"));
    put("max_position_embeddings", json!(config.max_positions));
    put("rms_norm_eps", json!(config.rms_eps));
    put("rope_theta", json!(config.rope.theta));
    put("rope_scaling", scaling(&config.rope.scaling));
    put("tie_word_embeddings", json!(config.tied));
    put("bos_token_id", json!(config.bos));
    put(
        "eos_token_id",
        match config.eos.as_slice() {
            [] => Value::Null,
            [id] => json!(id),
            ids => json!(ids),
        },
    );
    match config.architecture {
        Architecture::Llama => {
            put("attention_bias", json!(false));
            put("mlp_bias", json!(false));
        }
        Architecture::Mistral => {
            put("sliding_window", json!(config.sliding_window));
        }
        Architecture::Qwen2 | Architecture::Qwen3 => {
            if config.architecture == Architecture::Qwen3 {
                put("attention_bias", json!(false));
            }
            put("use_sliding_window", json!(config.sliding_window.is_some()));
            put("sliding_window", json!(config.sliding_window));
            // Which layers have the window is not kept: within its length it makes no difference.
            put("max_window_layers", json!(if config.sliding_window.is_some() { 0 } else { config.layers }));
        }
    }
    Value::Object(map)
}

fn scaling(scaling: &RopeScaling) -> Value {
    match *scaling {
        RopeScaling::None => Value::Null,
        RopeScaling::Linear { factor } => json!({ "rope_type": "linear", "factor": factor }),
        RopeScaling::Dynamic { factor } => json!({ "rope_type": "dynamic", "factor": factor }),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_max_positions,
        }),
        RopeScaling::Yarn {
            factor,
            beta_fast,
            beta_slow,
            original_max_positions,
            attention_factor,
            truncate,
        } => json!({
            "rope_type": "yarn",
            "factor": factor,
            "beta_fast": beta_fast,
            "beta_slow": beta_slow,
            "original_max_position_embeddings": original_max_positions,
            "attention_factor": attention_factor,
            "truncate": truncate,
        }),
    }
}
