//! `config.json` to [`ModelConfig`]: the keys of transformers 4 and 5. What would change the arithmetic and is not
//! implemented is refused by its name; keys without a meaning here are passed over.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Architecture, ModelConfig, RopeConfig, RopeScaling};

/// `rope_theta` where it is not given (transformers).
const THETA: f64 = 10_000.0;
const MIN_FACTOR: f64 = 1e-6;
const MAX_FACTOR: f64 = 1e6;

/// Read a description; on failure every problem.
pub(super) fn parse(text: &[u8]) -> Result<ModelConfig, Vec<String>> {
    let value: Value = serde_json::from_slice(text).map_err(|error| vec![format!("is not JSON: {error}")])?;
    let Value::Object(map) = value else { return Err(vec!["is not a JSON object".to_owned()]) };
    let mut fields = Fields::new(&map, "");
    let architecture = architecture(&mut fields);
    // Another model's keys mean other things: one problem says enough.
    let Some(architecture) = architecture else { return Err(fields.problems) };
    refuse(&mut fields, architecture);
    let heads = fields.required_count("num_attention_heads");
    let hidden = fields.required_count("hidden_size");
    let kv_heads = match fields.count("num_key_value_heads") {
        Some(count) => count,
        // What transformers takes where the key is not there at all; null means one for each head.
        None if fields.has("num_key_value_heads") || architecture == Architecture::Llama => heads,
        None => fields.required_count("num_key_value_heads"),
    };
    let head_dim = fields.count("head_dim").unwrap_or(match architecture {
        Architecture::Qwen3 if !fields.has("head_dim") => 128,
        _ => hidden / heads,
    });
    if fields.get("head_dim").is_none()
        && architecture != Architecture::Qwen3
        && !hidden.is_multiple_of(heads)
    {
        fields.problem(format!("hidden_size {hidden} is not a multiple of num_attention_heads {heads}"));
    }
    let max_positions = fields.required_count("max_position_embeddings");
    let layers = fields.required_count("num_hidden_layers");
    let config = ModelConfig {
        architecture,
        hidden,
        intermediate: fields.required_count("intermediate_size"),
        layers,
        heads,
        kv_heads,
        head_dim,
        vocab: fields.required_count("vocab_size"),
        rms_eps: fields.number("rms_norm_eps", 0.0, 1.0).unwrap_or(1e-6),
        rope: rope(&mut fields, &map, max_positions),
        tied: fields.flag("tie_word_embeddings", false),
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
        sliding_window: sliding_window(&mut fields, architecture, layers),
        max_positions,
        bos: fields.ids("bos_token_id").first().copied(),
        eos: fields.ids("eos_token_id"),
    };
    let mut problems = fields.problems;
    if problems.is_empty() {
        problems = config.problems();
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

fn architecture(fields: &mut Fields<'_>) -> Option<Architecture> {
    let known = || Architecture::ALL.map(Architecture::name).join(", ");
    let names = fields.words("architectures");
    let found =
        names.iter().find_map(|name| Architecture::ALL.into_iter().find(|known| known.name() == *name));
    if found.is_some() || !fields.problems.is_empty() {
        return found;
    }
    if !names.is_empty() {
        fields.problem(format!("architecture {} is not supported; supported: {}", names.join(", "), known()));
        return None;
    }
    let word = fields.word("model_type");
    let found = word.and_then(|word| Architecture::ALL.into_iter().find(|known| known.model_type() == word));
    match word {
        _ if found.is_some() || !fields.problems.is_empty() => {}
        Some(word) => fields.problem(format!("model_type {word} is not supported; supported: {}", known())),
        None => {
            fields.problem(format!("neither architectures nor model_type is there; supported: {}", known()))
        }
    }
    found
}

/// Note what the decoder does not do.
fn refuse(fields: &mut Fields<'_>, architecture: Architecture) {
    let act = fields.word("hidden_act").unwrap_or("silu");
    if !matches!(act, "silu" | "swish") {
        fields.problem(format!("hidden_act {act} is not supported; supported: silu"));
    }
    // The code of Mistral and Qwen 2 does not look at these keys.
    if matches!(architecture, Architecture::Llama | Architecture::Qwen3)
        && fields.flag("attention_bias", false)
    {
        fields.problem("attention_bias (biases on all attention projections, o_proj too) is not supported");
    }
    if architecture == Architecture::Llama && fields.flag("mlp_bias", false) {
        fields.problem("mlp_bias (biases in the feed-forward part) is not supported");
    }
    for key in ["num_experts", "num_local_experts", "n_routed_experts"] {
        if fields.get(key).is_some_and(|count| count.as_u64() != Some(0)) {
            fields.problem(format!("{key}: mixtures of experts are not supported"));
        }
    }
    if let Some(quantization) = fields.get("quantization_config") {
        let method = quantization.get("quant_method").and_then(Value::as_str).unwrap_or("an unnamed method");
        fields.problem(format!(
            "the weights are quantized already ({method}), which is not supported; name the model they were made from: \
             backbone.quantization quantizes it on loading"
        ));
    }
}

/// The window of the layers that have one.
fn sliding_window(fields: &mut Fields<'_>, architecture: Architecture, layers: usize) -> Option<usize> {
    match architecture {
        Architecture::Llama => None,
        // transformers takes 4096 where the key is not there; later versions of Mistral say null.
        Architecture::Mistral if !fields.has("sliding_window") => Some(4096),
        Architecture::Mistral => fields.count("sliding_window"),
        Architecture::Qwen2 | Architecture::Qwen3 => {
            let window = match fields.count("sliding_window") {
                None if !fields.has("sliding_window") => Some(4096),
                window => window,
            };
            let types = fields.words("layer_types");
            for odd in types.iter().filter(|word| !matches!(**word, "full_attention" | "sliding_attention")) {
                fields.problem(format!(
                    "layer_types: {odd} is not supported; supported: full_attention, sliding_attention"
                ));
            }
            let last_full = match fields.get("max_window_layers").and_then(Value::as_u64) {
                Some(0) => 0,
                _ => fields.count("max_window_layers").unwrap_or(28),
            };
            let slides =
                if types.is_empty() { layers > last_full } else { types.contains(&"sliding_attention") };
            let used = fields.flag("use_sliding_window", false);
            window.filter(|_| used && slides)
        }
    }
}

fn rope(fields: &mut Fields<'_>, map: &Map<String, Value>, max_positions: usize) -> RopeConfig {
    let object = |key| map.get(key).and_then(Value::as_object).filter(|map| !map.is_empty());
    for key in ["rope_scaling", "rope_parameters"] {
        if fields.get(key).is_some_and(|value| !value.is_object()) {
            fields.problem(format!("{key} is not an object"));
        }
    }
    let nothing = Map::new();
    // transformers 4 writes rope_scaling and rope_theta, transformers 5 rope_parameters; 5 prefers the old one.
    let (mut parameters, prefix) = match (object("rope_scaling"), object("rope_parameters")) {
        (Some(scaling), _) => (scaling, "rope_scaling."),
        (None, Some(parameters)) => (parameters, "rope_parameters."),
        (None, None) => (&nothing, ""),
    };
    if let Some((layer_type, Value::Object(inner))) = parameters.iter().next() {
        if parameters.len() > 1 || layer_type != "full_attention" {
            fields
                .problem(format!("{prefix}{layer_type}: frequencies that differ by layer are not supported"));
        }
        parameters = inner;
    }
    let mut inner = Fields::new(parameters, prefix);
    let theta = match inner.number("rope_theta", 1.0, 1e12) {
        Some(theta) => theta,
        None => fields.number("rope_theta", 1.0, 1e12).unwrap_or(THETA),
    };
    for factor in
        [inner.get("partial_rotary_factor"), fields.get("partial_rotary_factor")].into_iter().flatten()
    {
        if factor.as_f64() != Some(1.0) {
            inner.problem(format!(
                "partial_rotary_factor {factor} (heads that turn in part) is not supported"
            ));
        }
    }
    let original = match fields.count("original_max_position_embeddings") {
        Some(count) => count,
        None => inner.count("original_max_position_embeddings").unwrap_or(max_positions),
    };
    let scaling = scaling(&mut inner, original, max_positions);
    fields.problems.append(&mut inner.problems);
    RopeConfig { theta, scaling }
}

fn scaling(fields: &mut Fields<'_>, original_max_positions: usize, max_positions: usize) -> RopeScaling {
    let word = match fields.word("rope_type") {
        Some(word) => word,
        None => fields.word("type").unwrap_or("default"),
    };
    match word {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: fields.required_number("factor", MIN_FACTOR, MAX_FACTOR) },
        "dynamic" => {
            RopeScaling::Dynamic { factor: fields.required_number("factor", MIN_FACTOR, MAX_FACTOR) }
        }
        "llama3" => RopeScaling::Llama3 {
            factor: fields.required_number("factor", MIN_FACTOR, MAX_FACTOR),
            low_freq_factor: fields.required_number("low_freq_factor", MIN_FACTOR, MAX_FACTOR),
            high_freq_factor: fields.required_number("high_freq_factor", MIN_FACTOR, MAX_FACTOR),
            original_max_positions,
        },
        "yarn" => {
            let implied = max_positions as f64 / original_max_positions as f64;
            let factor = fields.number("factor", MIN_FACTOR, MAX_FACTOR).unwrap_or(implied);
            let mut scale = |key| {
                fields.get(key).and_then(|_| fields.number(key, -1.0, MAX_FACTOR)).filter(|m| *m != 0.0)
            };
            let mscales = scale("mscale").zip(scale("mscale_all_dim"));
            let attention_factor = fields.number("attention_factor", MIN_FACTOR, MAX_FACTOR);
            RopeScaling::Yarn {
                factor,
                beta_fast: fields.number("beta_fast", MIN_FACTOR, MAX_FACTOR).unwrap_or(32.0),
                beta_slow: fields.number("beta_slow", MIN_FACTOR, MAX_FACTOR).unwrap_or(1.0),
                original_max_positions,
                attention_factor: attention_factor
                    .unwrap_or_else(|| RopeScaling::yarn_attention_factor(factor, mscales)),
                truncate: fields.flag("truncate", true),
            }
        }
        other => {
            fields.problem(format!(
                "rope_type {other} is not supported; supported: default, linear, dynamic, llama3, yarn"
            ));
            RopeScaling::None
        }
    }
}
