//! What `config.json` says about a model: one description for every architecture of the Llama family.

mod fields;
mod parse;
mod rope;
mod write;

use std::path::Path;

use super::{Error, files};

/// The architectures that one decoder covers. They differ in what [`ModelConfig`] says, and in nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// `LlamaForCausalLM`: Llama 2, 3, 3.1, 3.2, SmolLM 2.
    Llama,
    /// `MistralForCausalLM`.
    Mistral,
    /// `Qwen2ForCausalLM`: Qwen 2 and 2.5.
    Qwen2,
    /// `Qwen3ForCausalLM`.
    Qwen3,
}

/// The shape of a model and the constants of its arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Which code of transformers the model is written for.
    pub architecture: Architecture,
    /// Width of the residual stream (d).
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub intermediate: usize,
    /// Number of layers.
    pub layers: usize,
    /// Heads of the queries.
    pub heads: usize,
    /// Heads of keys and values; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head; even. `heads * head_dim` need not be `hidden` (Qwen 3).
    pub head_dim: usize,
    /// Rows of the embedding (v), which may be more than the tokenizer knows.
    pub vocab: usize,
    /// What RMSNorm adds to the mean square; torch adds it as f32.
    pub rms_eps: f64,
    /// Rotary position embedding.
    pub rope: RopeConfig,
    /// Whether the output layer is the embedding.
    pub tied: bool,
    /// Whether `q_proj`, `k_proj` and `v_proj` have a bias (Qwen 2).
    pub qkv_bias: bool,
    /// Whether each head of queries and keys goes through an RMSNorm before the rotation (Qwen 3).
    pub qk_norm: bool,
    /// A position sees only this many last positions, itself included: in every layer of a Mistral, in some layers of a
    /// Qwen. Up to this length plain causal attention is the same.
    pub sliding_window: Option<usize>,
    /// Positions that the model was made for.
    pub max_positions: usize,
    /// The id that begins a text, where there is one.
    pub bos: Option<u32>,
    /// The ids that end a text; may be empty.
    pub eos: Vec<u32>,
}

/// Rotary position embedding (Su et al. 2021): pairs of a head's numbers turn by position times frequency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RopeConfig {
    /// The base of the frequencies.
    pub theta: f64,
    /// How frequencies are changed for contexts longer than those of the first training.
    pub scaling: RopeScaling,
}

/// How frequencies are changed for longer contexts (`modeling_rope_utils.py` of transformers).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// They are not.
    None,
    /// They are not up to `max_positions`; beyond, the base grows, which is not done here: longer prompts do not fit.
    Dynamic {
        /// How the base would grow.
        factor: f64,
    },
    /// All are divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low ones are divided, high ones stay, those between are blended (Llama 3.1).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Waves longer than `original_max_positions / low_freq_factor` are low.
        low_freq_factor: f64,
        /// Waves shorter than `original_max_positions / high_freq_factor` are high.
        high_freq_factor: f64,
        /// Positions of the first training.
        original_max_positions: usize,
    },
    /// Blended by the number of turns within the first training's positions (YaRN, Peng et al. 2023); cosines and sines
    /// are scaled as well.
    Yarn {
        /// The divisor of low frequencies.
        factor: f64,
        /// Frequencies with more turns than this stay.
        beta_fast: f64,
        /// Frequencies with fewer turns than this are divided.
        beta_slow: f64,
        /// Positions of the first training.
        original_max_positions: usize,
        /// What cosines and sines are multiplied by.
        attention_factor: f64,
        /// Whether the ends of the blend are whole dimensions.
        truncate: bool,
    },
}

impl Architecture {
    /// Every architecture.
    pub const ALL: [Self; 4] = [Self::Llama, Self::Mistral, Self::Qwen2, Self::Qwen3];

    /// The name under `architectures` in `config.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "LlamaForCausalLM",
            Self::Mistral => "MistralForCausalLM",
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
        }
    }

    /// The word under `model_type` in `config.json`.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }
}

impl ModelConfig {
    /// Read a `config.json`.
    ///
    /// # Errors
    /// When it cannot be read, or describes a model that cannot be run here; all problems at once.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = files::read_json(path)?;
        Self::from_json(&text).map_err(|problems| Error::Config { path: path.to_owned(), problems })
    }

    /// Understand the text of a `config.json`.
    ///
    /// # Errors
    /// Every problem of the description.
    pub fn from_json(text: &[u8]) -> Result<Self, Vec<String>> {
        parse::parse(text)
    }

    /// The text of a `config.json` that [`ModelConfig::from_json`] and transformers read as this configuration.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!("{:#}\n", write::to_json(self))
    }

    /// Why no model can have this shape; empty for one that can.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |holds: bool, problem: String| {
            if !holds {
                problems.push(problem);
            }
        };
        for (name, count) in [
            ("hidden_size", self.hidden),
            ("intermediate_size", self.intermediate),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("vocab_size", self.vocab),
            ("max_position_embeddings", self.max_positions),
        ] {
            check(
                (1..=fields::MAX_COUNT).contains(&(count as u64)),
                format!("{name} is {count}, expected 1 to {}", fields::MAX_COUNT),
            );
        }
        let (heads, kv_heads, head_dim) = (self.heads, self.kv_heads, self.head_dim);
        let divides = kv_heads > 0 && heads.is_multiple_of(kv_heads);
        check(
            divides,
            format!("num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"),
        );
        check(
            head_dim.is_multiple_of(2),
            format!("head_dim {head_dim} is odd, so its numbers cannot turn in pairs"),
        );
        let ids = self
            .bos
            .iter()
            .map(|id| ("bos_token_id", id))
            .chain(self.eos.iter().map(|id| ("eos_token_id", id)));
        for (name, id) in ids {
            check((*id as usize) < self.vocab, format!("{name} {id} is not below vocab_size {}", self.vocab));
        }
        if let RopeScaling::Llama3 { low_freq_factor: low, high_freq_factor: high, .. } = self.rope.scaling {
            check(low < high, format!("low_freq_factor {low} is not below high_freq_factor {high}"));
        }
        problems
    }

    /// The most positions for which the decoder does what the model was made for: within its positions, and within its window
    /// where only some layers have one.
    #[must_use]
    pub fn longest_prompt(&self) -> usize {
        let positions = match self.rope.scaling {
            RopeScaling::Yarn { factor, original_max_positions, .. } => {
                self.max_positions.max((factor * original_max_positions as f64) as usize)
            }
            _ => self.max_positions,
        };
        let window = self.sliding_window.filter(|_| self.architecture != Architecture::Mistral);
        positions.min(window.unwrap_or(usize::MAX))
    }

    /// How many numbers the weights have, biases and norms included.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        let [d, f, v, dim] = [self.hidden, self.intermediate, self.vocab, self.head_dim].map(|n| n as u64);
        let (q, kv) = (self.heads as u64 * dim, self.kv_heads as u64 * dim);
        let bias = if self.qkv_bias { q + 2 * kv } else { 0 };
        let norms = 2 * d + if self.qk_norm { 2 * dim } else { 0 };
        let layer = 2 * d * q + 2 * d * kv + 3 * d * f + bias + norms;
        let embeddings = if self.tied { v * d } else { 2 * v * d };
        self.layers as u64 * layer + embeddings + d
    }
}
