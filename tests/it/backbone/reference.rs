//! The decoder beside the models of candle-transformers, with the same random weights in f32.

use bench::backbone::{
    Architecture, Batch, Decoder, FullModel, ModelConfig, RopeConfig, RopeScaling, Workspace,
};
use bench::nn::matmul::Precision;
use candle_core::{DType, Device, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::{llama, mistral, qwen2, qwen3};

use super::twin::{assert_close, random, tiny, tokens};

fn shape(architecture: Architecture) -> ModelConfig {
    ModelConfig {
        architecture,
        hidden: 48,
        intermediate: 80,
        heads: 6,
        kv_heads: 2,
        head_dim: 8,
        vocab: 97,
        tied: false,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
        max_positions: 128,
        ..tiny()
    }
}

/// The weights under the names of Hugging Face, which are candle's too.
fn builder(model: &FullModel) -> VarBuilder<'static> {
    let tensor = |slot: &bench::nn::params::Slot| {
        let values = model.weights[slot.range()].to_vec();
        (slot.name.clone(), Tensor::from_vec(values, slot.shape.as_slice(), &Device::Cpu).unwrap())
    };
    VarBuilder::from_tensors(model.plan().slots.iter().map(tensor).collect(), DType::F32, &Device::Cpu)
}

/// Scores of all tokens behind the last of `prompt`, and those of `theirs`.
fn compare(what: &str, config: &ModelConfig, theirs: impl Fn(VarBuilder<'static>, &Tensor) -> Tensor) {
    let model = random(config);
    let prompts = [tokens(1, 61, config.vocab), tokens(2, 17, config.vocab)];
    let every: Vec<u32> = (0..config.vocab as u32).collect();
    let batch = Batch::new(&[&prompts[0], &prompts[1]], 1);
    let decoder = Decoder::new(model.to_weights(), Precision::F32);
    let found = decoder.letter_scores(&batch, &every, None, &mut Workspace::default());
    for (prompt, found) in prompts.iter().zip(found.chunks(config.vocab)) {
        let ids = Tensor::from_slice(prompt, (1, prompt.len()), &Device::Cpu).unwrap();
        let expected: Vec<f32> = theirs(builder(&model), &ids).flatten_all().unwrap().to_vec1().unwrap();
        let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
        assert_close(what, found, &expected, 2e-5);
    }
}

#[test]
fn llama_with_and_without_scaled_rotation_and_tied_head_scores_as_candles() {
    let scaled = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 32,
    };
    for (scaling, tied, theta) in
        [(RopeScaling::None, false, 10_000.0), (scaled, true, 500_000.0), (scaled, false, 50.0)]
    {
        let config = ModelConfig { tied, rope: RopeConfig { theta, scaling }, ..shape(Architecture::Llama) };
        let rope_scaling = (scaling == scaled).then_some(llama::Llama3RopeConfig {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 32,
            rope_type: llama::Llama3RopeType::Llama3,
        });
        let theirs = llama::Config {
            hidden_size: config.hidden,
            intermediate_size: config.intermediate,
            vocab_size: config.vocab,
            num_hidden_layers: config.layers,
            num_attention_heads: config.heads,
            num_key_value_heads: config.kv_heads,
            use_flash_attn: false,
            rms_norm_eps: config.rms_eps,
            rope_theta: theta as f32,
            bos_token_id: None,
            eos_token_id: None,
            rope_scaling,
            max_position_embeddings: config.max_positions,
            tie_word_embeddings: tied,
        };
        compare(&format!("llama, tied {tied}, {scaling:?}"), &config, |weights, ids| {
            let model = llama::Llama::load(weights, &theirs).unwrap();
            let mut cache = llama::Cache::new(false, DType::F32, &theirs, &Device::Cpu).unwrap();
            model.forward(ids, 0, &mut cache).unwrap()
        });
    }
}

#[test]
fn mistral_scores_as_candles() {
    let config = shape(Architecture::Mistral);
    let theirs = mistral::Config {
        vocab_size: config.vocab,
        hidden_size: config.hidden,
        intermediate_size: config.intermediate,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        head_dim: None,
        num_key_value_heads: config.kv_heads,
        hidden_act: Activation::Silu,
        max_position_embeddings: config.max_positions,
        rms_norm_eps: config.rms_eps,
        rope_theta: config.rope.theta,
        sliding_window: None,
        use_flash_attn: false,
    };
    compare("mistral", &config, |weights, ids| {
        mistral::Model::new(&theirs, weights).unwrap().forward(ids, 0).unwrap()
    });
}

#[test]
fn qwen2_scores_as_candles() {
    for tied in [false, true] {
        let config = ModelConfig { tied, ..shape(Architecture::Qwen2) };
        let theirs = qwen2::Config {
            vocab_size: config.vocab,
            hidden_size: config.hidden,
            intermediate_size: config.intermediate,
            num_hidden_layers: config.layers,
            num_attention_heads: config.heads,
            num_key_value_heads: config.kv_heads,
            max_position_embeddings: config.max_positions,
            sliding_window: 4096,
            max_window_layers: 0,
            tie_word_embeddings: tied,
            rope_theta: config.rope.theta,
            rms_norm_eps: config.rms_eps,
            use_sliding_window: false,
            hidden_act: Activation::Silu,
        };
        compare(&format!("qwen2, tied {tied}"), &config, |weights, ids| {
            qwen2::ModelForCausalLM::new(&theirs, weights).unwrap().forward(ids, 0).unwrap()
        });
    }
}

#[test]
fn qwen3_scores_as_candles() {
    // Heads wider than hidden / heads, as Qwen 3's small models have them.
    let config = ModelConfig { head_dim: 16, tied: true, ..shape(Architecture::Qwen3) };
    let theirs = qwen3::Config {
        vocab_size: config.vocab,
        hidden_size: config.hidden,
        intermediate_size: config.intermediate,
        num_hidden_layers: config.layers,
        num_attention_heads: config.heads,
        head_dim: config.head_dim,
        attention_bias: false,
        num_key_value_heads: config.kv_heads,
        max_position_embeddings: config.max_positions,
        sliding_window: None,
        max_window_layers: 0,
        tie_word_embeddings: true,
        rope_theta: config.rope.theta,
        rms_norm_eps: config.rms_eps,
        use_sliding_window: false,
        hidden_act: Activation::Silu,
    };
    compare("qwen3", &config, |weights, ids| {
        qwen3::ModelForCausalLM::new(&theirs, weights).unwrap().forward(ids, 0).unwrap()
    });
}
