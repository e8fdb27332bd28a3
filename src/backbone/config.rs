//! What `config.json` says about a model: one description for every architecture of the Llama family.

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
    /// In at least one layer a position sees only this many last positions, itself included. Up to this length plain
    /// causal attention is the same.
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
