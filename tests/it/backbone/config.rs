//! `config.json`: what is read, what is refused, what is written.

use bench::backbone::{Architecture, Error, ModelConfig, RopeConfig, RopeScaling};
use candle_transformers::models::{llama, mistral, qwen2, qwen3};
use proptest::prelude::*;
use serde_json::{Value, json};

// The descriptions in the repositories of the models, without the keys that say nothing about arithmetic.
const LLAMA_2_7B: &str = r#"{"architectures": ["LlamaForCausalLM"], "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
    "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 11008, "max_position_embeddings": 4096,
    "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 32,
    "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null, "tie_word_embeddings": false,
    "torch_dtype": "float16", "transformers_version": "4.31.0.dev0", "use_cache": true, "vocab_size": 32000}"#;
const LLAMA_31_8B: &str = r#"{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "bos_token_id": 128000, "eos_token_id": 128001, "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02,
    "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
    "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8, "pretraining_tp": 1,
    "rms_norm_eps": 1e-05, "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 128256}"#;
const LLAMA_32_1B: &str = r#"{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 128000,
    "eos_token_id": [128001, 128008, 128009], "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
    "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8, "rms_norm_eps": 1e-05,
    "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
    "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0,
    "tie_word_embeddings": true, "vocab_size": 128256}"#;
const SMOLLM_2_135M: &str = r#"{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 0,
    "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 576, "intermediate_size": 1536, "is_llama_config": true,
    "max_position_embeddings": 8192, "mlp_bias": false, "model_type": "llama", "num_attention_heads": 9,
    "num_hidden_layers": 30, "num_key_value_heads": 3, "rms_norm_eps": 1e-05, "rope_interleaved": false,
    "rope_scaling": null, "rope_theta": 100000, "tie_word_embeddings": true, "vocab_size": 49152}"#;
const MISTRAL_7B: &str = r#"{"architectures": ["MistralForCausalLM"], "bos_token_id": 1, "eos_token_id": 2,
    "hidden_act": "silu", "hidden_size": 4096, "initializer_range": 0.02, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "model_type": "mistral", "num_attention_heads": 32, "num_hidden_layers": 32,
    "num_key_value_heads": 8, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "sliding_window": 4096,
    "tie_word_embeddings": false, "vocab_size": 32000}"#;
const QWEN_25_05B: &str = r#"{"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": 151643, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
    "max_position_embeddings": 32768, "max_window_layers": 24, "model_type": "qwen2", "num_attention_heads": 14,
    "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 32768, "tie_word_embeddings": true, "use_mrope": false, "use_sliding_window": false,
    "vocab_size": 151936}"#;
const QWEN_3_06B: &str = r#"{"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "bos_token_id": 151643,
    "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072,
    "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16,
    "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000,
    "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false, "vocab_size": 151936}"#;

fn read(text: &str) -> ModelConfig {
    ModelConfig::from_json(text.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Llama 2 with some entries changed; null takes an entry away.
fn changed(base: &str, entries: Value) -> Result<ModelConfig, Vec<String>> {
    let mut value: Value = serde_json::from_str(base).unwrap();
    let map = value.as_object_mut().unwrap();
    for (key, entry) in entries.as_object().unwrap() {
        match entry {
            Value::String(word) if word == "absent" => map.remove(key),
            entry => map.insert(key.clone(), entry.clone()),
        };
    }
    ModelConfig::from_json(value.to_string().as_bytes())
}

fn problems(base: &str, entries: Value) -> Vec<String> {
    changed(base, entries).expect_err("this description must be refused")
}

#[test]
fn a_description_is_read_in_full() {
    let scaling = RopeScaling::Llama3 {
        factor: 32.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 8192,
    };
    let expected = ModelConfig {
        architecture: Architecture::Llama,
        hidden: 2048,
        intermediate: 8192,
        layers: 16,
        heads: 32,
        kv_heads: 8,
        head_dim: 64,
        vocab: 128_256,
        rms_eps: 1e-5,
        rope: RopeConfig { theta: 500_000.0, scaling },
        tied: true,
        qkv_bias: false,
        qk_norm: false,
        sliding_window: None,
        max_positions: 131_072,
        bos: Some(128_000),
        eos: vec![128_001, 128_008, 128_009],
    };
    assert_eq!(read(LLAMA_32_1B), expected);
    let mistral = read(MISTRAL_7B);
    assert_eq!((mistral.architecture, mistral.sliding_window), (Architecture::Mistral, Some(4096)));
    assert_eq!(mistral.longest_prompt(), 32_768, "all of its layers have the window, so it can be applied");
    let qwen = read(QWEN_25_05B);
    assert_eq!((qwen.architecture, qwen.qkv_bias, qwen.qk_norm), (Architecture::Qwen2, true, false));
    assert_eq!((qwen.sliding_window, qwen.longest_prompt()), (None, 32_768));
    let qwen = read(QWEN_3_06B);
    assert_eq!((qwen.architecture, qwen.qkv_bias, qwen.qk_norm), (Architecture::Qwen3, false, true));
    assert_eq!((qwen.heads * qwen.head_dim, qwen.hidden), (2048, 1024));
}

/// The counts that the hub shows beside the models (from the headers of their safetensors files).
#[test]
fn the_number_of_parameters_is_the_published_one() {
    for (text, parameters) in [
        (LLAMA_2_7B, 6_738_415_616),
        (LLAMA_31_8B, 8_030_261_248),
        (LLAMA_32_1B, 1_235_814_400),
        (SMOLLM_2_135M, 134_515_008),
        (MISTRAL_7B, 7_241_732_096),
        (QWEN_25_05B, 494_032_768),
        (QWEN_3_06B, 596_049_920),
    ] {
        assert_eq!(read(text).parameters(), parameters, "{text}");
    }
}

#[test]
fn sizes_are_those_that_candle_reads() {
    for text in [LLAMA_2_7B, LLAMA_31_8B, LLAMA_32_1B, SMOLLM_2_135M] {
        let (ours, theirs) =
            (read(text), serde_json::from_str::<llama::LlamaConfig>(text).unwrap().into_config(false));
        assert_eq!(
            (ours.hidden, ours.intermediate, ours.vocab, ours.layers, ours.heads, ours.kv_heads),
            (
                theirs.hidden_size,
                theirs.intermediate_size,
                theirs.vocab_size,
                theirs.num_hidden_layers,
                theirs.num_attention_heads,
                theirs.num_key_value_heads
            )
        );
        assert_eq!((ours.rms_eps, ours.rope.theta as f32), (theirs.rms_norm_eps, theirs.rope_theta));
        assert_eq!(
            (ours.max_positions, ours.tied),
            (theirs.max_position_embeddings, theirs.tie_word_embeddings)
        );
        assert_eq!(ours.bos, theirs.bos_token_id);
        let eos = match theirs.eos_token_id {
            Some(llama::LlamaEosToks::Single(id)) => vec![id],
            Some(llama::LlamaEosToks::Multiple(ids)) => ids,
            None => vec![],
        };
        assert_eq!(ours.eos, eos);
        match (ours.rope.scaling, theirs.rope_scaling) {
            (RopeScaling::None, None) => {}
            (
                RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions },
                Some(theirs),
            ) => {
                assert_eq!(
                    [factor as f32, low_freq_factor as f32, high_freq_factor as f32],
                    [theirs.factor, theirs.low_freq_factor, theirs.high_freq_factor]
                );
                assert_eq!(original_max_positions, theirs.original_max_position_embeddings);
            }
            (ours, theirs) => panic!("{ours:?} {theirs:?}"),
        }
    }
    let (ours, theirs) = (read(MISTRAL_7B), serde_json::from_str::<mistral::Config>(MISTRAL_7B).unwrap());
    assert_eq!(
        (ours.hidden, ours.layers, ours.vocab),
        (theirs.hidden_size, theirs.num_hidden_layers, theirs.vocab_size)
    );
    assert_eq!((ours.kv_heads, ours.sliding_window), (theirs.num_key_value_heads, theirs.sliding_window));
    let (ours, theirs) = (read(QWEN_25_05B), serde_json::from_str::<qwen2::Config>(QWEN_25_05B).unwrap());
    assert_eq!(
        (ours.hidden, ours.layers, ours.vocab),
        (theirs.hidden_size, theirs.num_hidden_layers, theirs.vocab_size)
    );
    assert_eq!((ours.rope.theta, ours.tied), (theirs.rope_theta, theirs.tie_word_embeddings));
    assert_eq!(ours.sliding_window.is_some(), theirs.use_sliding_window);
    let (ours, theirs) = (read(QWEN_3_06B), serde_json::from_str::<qwen3::Config>(QWEN_3_06B).unwrap());
    assert_eq!(
        (ours.hidden, ours.layers, ours.vocab),
        (theirs.hidden_size, theirs.num_hidden_layers, theirs.vocab_size)
    );
    assert_eq!(
        (ours.head_dim, ours.heads, ours.kv_heads),
        (theirs.head_dim, theirs.num_attention_heads, theirs.num_key_value_heads)
    );
}

/// rope.json was made by transformers, see rope.py. Its powers are rounded by a vector routine that may be off by one in
/// the last place; ours are rounded once.
#[test]
fn frequencies_are_those_of_transformers() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("rope.json")).unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let config = read(&case["config"].to_string());
        let ours = config.rope.inverse_frequencies(config.head_dim);
        let theirs: Vec<f32> = serde_json::from_value(case["inverse_frequencies"].clone()).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let apart = ours.to_bits().abs_diff(theirs.to_bits());
            assert!(apart <= 2, "{}, pair {i}: {ours} and {theirs} are {apart} units apart", case["name"]);
        }
        let factor = case["attention_factor"].as_f64().unwrap() as f32;
        assert_eq!(config.rope.attention_factor(), factor, "{}", case["name"]);
    }
}

/// Worked by hand: 10000^(-i/8) for head_dim 16; Llama 3.1 keeps waves shorter than 2048 positions and divides those
/// longer than 8192 by 8.
#[test]
fn frequencies_are_those_of_the_formula() {
    let plain = RopeConfig { theta: 10_000.0, scaling: RopeScaling::None };
    // sqrt(0.1), rounded to f32 at each power of ten.
    let expected: [f32; 8] =
        [1.0, 0.316_227_76, 0.1, 0.031_622_78, 0.01, 0.003_162_277_6, 0.001, 0.000_316_227_76];
    for (found, expected) in plain.inverse_frequencies(16).into_iter().zip(expected) {
        assert!((found / expected - 1.0f32).abs() < 2e-7, "{found} {expected}");
    }
    let llama = read(LLAMA_31_8B);
    let scaled = llama.rope.inverse_frequencies(128);
    let base = RopeConfig { scaling: RopeScaling::None, ..llama.rope }.inverse_frequencies(128);
    let (mut kept, mut divided, mut blended) = (0, 0, 0);
    for (scaled, base) in scaled.into_iter().zip(base) {
        let wave = 2.0 * std::f64::consts::PI / f64::from(base);
        if wave < 2048.0 {
            kept += 1;
            assert_eq!(scaled, base);
        } else if wave > 8192.0 {
            divided += 1;
            assert_eq!(scaled, base / 8.0);
        } else {
            blended += 1;
            assert!(scaled < base && scaled > base / 8.0);
        }
    }
    // Pair i has the wave 2 pi 500000^(i/64): 2048 lies between pairs 28 and 29, 8192 between 34 and 35.
    assert_eq!((kept, blended, divided), (29, 6, 29));
}

#[test]
fn the_keys_of_transformers_5_mean_the_same() {
    let old = read(LLAMA_31_8B);
    let new = changed(
        LLAMA_31_8B,
        json!({"rope_scaling": "absent", "rope_theta": "absent", "torch_dtype": "absent", "dtype": "bfloat16",
            "rope_parameters": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192, "rope_type": "llama3", "rope_theta": 500000.0}}),
    );
    assert_eq!(new, Ok(old));
    let nested = changed(
        LLAMA_2_7B,
        json!({"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 123.0}}}),
    );
    assert_eq!(nested.unwrap().rope, RopeConfig { theta: 123.0, scaling: RopeScaling::None });
}

#[test]
fn what_a_description_leaves_out_is_what_transformers_takes() {
    let absent = json!({"num_key_value_heads": "absent", "rms_norm_eps": "absent", "tie_word_embeddings": "absent",
        "rope_scaling": "absent", "hidden_act": "absent", "architectures": null, "eos_token_id": null, "bos_token_id": -1});
    let config = changed(LLAMA_2_7B, absent).unwrap();
    assert_eq!((config.kv_heads, config.rms_eps, config.tied), (32, 1e-6, false));
    assert_eq!((config.bos, config.eos), (None, vec![]));
    assert_eq!(config.rope, RopeConfig { theta: 10_000.0, scaling: RopeScaling::None });
    let window = |entries| changed(MISTRAL_7B, entries).unwrap().sliding_window;
    assert_eq!(window(json!({"sliding_window": "absent"})), Some(4096));
    assert_eq!(window(json!({"sliding_window": null})), None);
    let window = |entries| changed(QWEN_25_05B, entries).unwrap().sliding_window;
    assert_eq!(
        window(json!({"use_sliding_window": true})),
        None,
        "all 24 layers are below max_window_layers"
    );
    assert_eq!(window(json!({"use_sliding_window": true, "max_window_layers": 20})), Some(32_768));
    let slides = json!({"use_sliding_window": true, "max_window_layers": 20, "sliding_window": 100});
    assert_eq!(
        changed(QWEN_25_05B, slides).unwrap().longest_prompt(),
        100,
        "some layers have it, others not"
    );
    assert_eq!(
        window(json!({"use_sliding_window": true, "layer_types": ["sliding_attention"]})),
        Some(32_768)
    );
    assert_eq!(
        window(json!({"use_sliding_window": true, "max_window_layers": 0, "sliding_window": 64})),
        Some(64)
    );
    assert_eq!(changed(QWEN_3_06B, json!({"head_dim": "absent"})).unwrap().head_dim, 128);
}

#[test]
fn an_unsupported_architecture_is_refused_by_name() {
    let supported = "supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM";
    assert_eq!(
        problems(LLAMA_2_7B, json!({"architectures": ["Gemma2ForCausalLM"]})),
        [format!("architecture Gemma2ForCausalLM is not supported; {supported}")]
    );
    assert_eq!(
        problems(LLAMA_2_7B, json!({"architectures": null, "model_type": "mixtral"})),
        [format!("model_type mixtral is not supported; {supported}")]
    );
    assert_eq!(
        problems(LLAMA_2_7B, json!({"architectures": "absent", "model_type": "absent"})),
        [format!("neither architectures nor model_type is there; {supported}")]
    );
}

#[test]
fn what_would_change_the_arithmetic_is_refused_by_name() {
    for (entries, problem) in [
        (json!({"hidden_act": "gelu"}), "hidden_act gelu is not supported; supported: silu"),
        (
            json!({"attention_bias": true}),
            "attention_bias (biases on all attention projections, o_proj too) is not supported",
        ),
        (json!({"mlp_bias": true}), "mlp_bias (biases in the feed-forward part) is not supported"),
        (json!({"num_local_experts": 8}), "num_local_experts: mixtures of experts are not supported"),
        (
            json!({"partial_rotary_factor": 0.5}),
            "partial_rotary_factor 0.5 (heads that turn in part) is not supported",
        ),
        (
            json!({"rope_scaling": {"type": "longrope", "factor": 2.0}}),
            "rope_type longrope is not supported; supported: default, linear, dynamic, llama3, yarn",
        ),
        (
            json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}),
            "the weights are quantized already (gptq), which is not supported; name the model they were made from: \
             backbone.quantization quantizes it on loading",
        ),
        (
            json!({"rope_parameters": {"full_attention": {"rope_theta": 2.0}, "sliding_attention": {"rope_theta": 3.0}}}),
            "rope_parameters.full_attention: frequencies that differ by layer are not supported",
        ),
    ] {
        assert_eq!(problems(LLAMA_2_7B, entries), [problem]);
    }
    assert_eq!(
        problems(QWEN_25_05B, json!({"layer_types": ["chunked_attention"]})),
        ["layer_types: chunked_attention is not supported; supported: full_attention, sliding_attention"]
    );
}

#[test]
fn every_wrong_value_is_told_at_once() {
    let entries = json!({"hidden_size": "4096", "num_hidden_layers": 0, "vocab_size": "absent", "rms_norm_eps": -1.0,
        "tie_word_embeddings": "no", "eos_token_id": [1, "x"],
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}});
    assert_eq!(
        problems(LLAMA_2_7B, entries),
        [
            "hidden_size is \"4096\", expected a whole number from 1 to 16777216",
            "hidden_size 1 is not a multiple of num_attention_heads 32",
            "num_hidden_layers is 0, expected a whole number from 1 to 16777216",
            "vocab_size is missing",
            "rms_norm_eps is -1.0, expected a number above 0 and up to 1",
            "rope_scaling.high_freq_factor is missing",
            "tie_word_embeddings is \"no\", expected true or false",
            "eos_token_id is [1,\"x\"], expected a token id or a list of them",
        ]
    );
    assert_eq!(
        problems(LLAMA_2_7B, json!({"num_key_value_heads": 5, "head_dim": 7, "bos_token_id": 32000})),
        [
            "num_attention_heads 32 is not a multiple of num_key_value_heads 5",
            "head_dim 7 is odd, so its numbers cannot turn in pairs",
            "bos_token_id 32000 is not below vocab_size 32000",
        ]
    );
}

#[test]
fn a_file_that_is_no_description_is_told_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let message = || ModelConfig::read(&path).expect_err("must fail").to_string();
    assert!(message().starts_with(&format!("read {}: ", path.display())), "{}", message());
    std::fs::write(&path, "{").unwrap();
    assert_eq!(
        message(),
        format!("{}: is not JSON: EOF while parsing an object at line 1 column 1", path.display())
    );
    std::fs::write(&path, "[1]").unwrap();
    assert_eq!(message(), format!("{}: is not a JSON object", path.display()));
    std::fs::write(&path, LLAMA_2_7B.replace("32000", "-1")).unwrap();
    assert!(matches!(ModelConfig::read(&path), Err(Error::Config { problems, .. }) if problems.len() == 1));
}

#[test]
fn the_models_of_the_fixtures_are_read() {
    let Some(shared) = crate::support::shared() else { return };
    let stories = ModelConfig::read(&shared.join("models/stories260K/config.json")).unwrap();
    assert_eq!((stories.hidden, stories.layers, stories.heads, stories.kv_heads), (64, 5, 8, 4));
    assert_eq!((stories.head_dim, stories.vocab, stories.tied), (8, 512, false));
    let tiny = ModelConfig::read(&shared.join("fixtures/llama_lora_tiny/config.json")).unwrap();
    assert_eq!((tiny.head_dim, tiny.rope.theta, tiny.bos), (16, 10_000.0, Some(1)));
}

fn scalings() -> impl Strategy<Value = RopeScaling> {
    prop_oneof![
        Just(RopeScaling::None),
        (0.5..64.0f64).prop_map(|factor| RopeScaling::Linear { factor }),
        (0.5..64.0f64).prop_map(|factor| RopeScaling::Dynamic { factor }),
        (0.5..64.0f64, 0.1..2.0f64, 2.5..9.0f64, 1..10_000usize).prop_map(|(factor, low, high, n)| {
            RopeScaling::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_positions: n,
            }
        }),
        (0.5..64.0f64, 4.0..64.0f64, 0.1..4.0f64, 1..10_000usize, 0.5..2.0f64, any::<bool>()).prop_map(
            |(factor, beta_fast, beta_slow, original_max_positions, attention_factor, truncate)| {
                RopeScaling::Yarn {
                    factor,
                    beta_fast,
                    beta_slow,
                    original_max_positions,
                    attention_factor,
                    truncate,
                }
            }
        ),
    ]
}

fn configs() -> impl Strategy<Value = ModelConfig> {
    let sizes = (1..5000usize, 1..5000usize, 1..80usize, 1..9usize, 1..9usize, 1..65usize, 10..200_000usize);
    let rest = (
        1e-9..1e-3f64,
        1.5..1e7f64,
        scalings(),
        any::<bool>(),
        prop::option::of(1..9999usize),
        1..99_999usize,
    );
    let ids = (prop::option::of(0..10u32), prop::collection::vec(0..10u32, 0..4));
    (0..4usize, sizes, rest, ids).prop_map(|(which, sizes, rest, (bos, eos))| {
        let (hidden, intermediate, layers, kv_heads, groups, half, vocab) = sizes;
        let (rms_eps, theta, scaling, tied, window, max_positions) = rest;
        let architecture = Architecture::ALL[which];
        ModelConfig {
            architecture,
            hidden,
            intermediate,
            layers,
            heads: kv_heads * groups,
            kv_heads,
            head_dim: 2 * half,
            vocab,
            rms_eps,
            rope: RopeConfig { theta, scaling },
            tied,
            qkv_bias: architecture == Architecture::Qwen2,
            qk_norm: architecture == Architecture::Qwen3,
            sliding_window: window.filter(|_| architecture != Architecture::Llama),
            max_positions,
            bos,
            eos,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(config in configs()) {
        prop_assert_eq!(config.problems(), Vec::<String>::new());
        prop_assert_eq!(ModelConfig::from_json(config.to_json().as_bytes()), Ok(config));
    }

    #[test]
    fn no_value_makes_reading_panic(key in prop::sample::select(vec!["hidden_size", "num_attention_heads", "head_dim",
        "num_key_value_heads", "rope_scaling", "rope_parameters", "architectures", "eos_token_id", "sliding_window",
        "max_window_layers", "rms_norm_eps", "vocab_size"]), which in 0..9usize) {
        let odd = [json!(-1), json!(0), json!(1e300), json!(u64::MAX), json!("word"), json!([]), json!({"type": 3}),
            json!([[1]]), json!({"type": "yarn", "original_max_position_embeddings": 1, "factor": 1e-5, "beta_fast": 1e-5})];
        for base in [LLAMA_31_8B, MISTRAL_7B, QWEN_25_05B, QWEN_3_06B] {
            if let Ok(config) = changed(base, json!({key: odd[which]})) {
                let finite = config.rope.inverse_frequencies(config.head_dim).iter().all(|x| x.is_finite());
                prop_assert!(finite, "{key} {}", odd[which]);
            }
        }
    }
}
