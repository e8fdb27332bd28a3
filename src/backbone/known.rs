//! The shapes of models that papers use, as their repositories' `config.json` has them: what is known of a model without its
//! files.

use super::{Architecture, ModelConfig, RopeConfig, RopeScaling};
use Architecture::{Llama, Mistral, Qwen2, Qwen3};

/// A model of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Its repository.
    pub name: &'static str,
    /// Whether its licence must be accepted before a download.
    pub gated: bool,
    architecture: Architecture,
    /// Width, inner width of the feed-forward part, layers, heads, heads of keys and values, width of a head.
    shape: [usize; 6],
    vocab: usize,
    rms_eps: f64,
    rope: RopeConfig,
    tied: bool,
    /// Whether its files have float16 numbers, not bfloat16.
    pub is_f16: bool,
    max_positions: usize,
    sliding_window: Option<usize>,
    bos: Option<u32>,
    eos: u32,
}

const fn plain(theta: f64) -> RopeConfig {
    RopeConfig { theta, scaling: RopeScaling::None }
}

/// Of Llama 3.1 and 3.2.
const fn llama3(factor: f64) -> RopeConfig {
    let scaling = RopeScaling::Llama3 {
        factor,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 8192,
    };
    RopeConfig { theta: 500_000.0, scaling }
}

/// Llama 2, which many others begin from.
const LLAMA_2: Known = Known {
    name: "meta-llama/Llama-2-7b-hf",
    gated: true,
    architecture: Llama,
    shape: [4096, 11_008, 32, 32, 32, 128],
    vocab: 32_000,
    rms_eps: 1e-5,
    rope: plain(10_000.0),
    tied: false,
    is_f16: true,
    max_positions: 4096,
    sliding_window: None,
    bos: Some(1),
    eos: 2,
};

const LLAMA_3: Known = Known {
    name: "meta-llama/Meta-Llama-3-8B",
    is_f16: false,
    shape: [4096, 14_336, 32, 32, 8, 128],
    vocab: 128_256,
    rope: plain(500_000.0),
    max_positions: 8192,
    bos: Some(128_000),
    eos: 128_001,
    ..LLAMA_2
};

const LLAMA_3_1: Known =
    Known { name: "meta-llama/Llama-3.1-8B", rope: llama3(8.0), max_positions: 131_072, ..LLAMA_3 };

const LLAMA_3_2: Known = Known {
    name: "meta-llama/Llama-3.2-1B",
    shape: [2048, 8192, 16, 32, 8, 64],
    rope: llama3(32.0),
    tied: true,
    ..LLAMA_3_1
};

const MISTRAL: Known = Known {
    name: "mistralai/Mistral-7B-v0.1",
    gated: false,
    is_f16: false,
    architecture: Mistral,
    shape: [4096, 14_336, 32, 32, 8, 128],
    max_positions: 32_768,
    sliding_window: Some(4096),
    ..LLAMA_2
};

const TINY_LLAMA: Known = Known {
    name: "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    gated: false,
    is_f16: false,
    shape: [2048, 5632, 22, 32, 4, 64],
    max_positions: 2048,
    ..LLAMA_2
};

const QWEN_2_5: Known = Known {
    name: "Qwen/Qwen2.5-0.5B",
    gated: false,
    is_f16: false,
    architecture: Qwen2,
    shape: [896, 4864, 24, 14, 2, 64],
    vocab: 151_936,
    rms_eps: 1e-6,
    rope: plain(1_000_000.0),
    tied: true,
    max_positions: 32_768,
    bos: Some(151_643),
    eos: 151_643,
    ..LLAMA_2
};

const QWEN_3: Known = Known {
    name: "Qwen/Qwen3-0.6B",
    architecture: Qwen3,
    shape: [1024, 3072, 28, 16, 8, 128],
    max_positions: 40_960,
    eos: 151_645,
    ..QWEN_2_5
};

const SMOL: Known = Known {
    name: "HuggingFaceTB/SmolLM2-135M",
    gated: false,
    is_f16: false,
    shape: [576, 1536, 30, 9, 3, 64],
    vocab: 49_152,
    rope: plain(100_000.0),
    tied: true,
    max_positions: 8192,
    bos: Some(0),
    eos: 0,
    ..LLAMA_2
};

/// Every one.
const KNOWN: &[Known] = &[
    LLAMA_2,
    Known { name: "meta-llama/Llama-2-13b-hf", shape: [5120, 13_824, 40, 40, 40, 128], ..LLAMA_2 },
    Known { name: "meta-llama/Llama-2-70b-hf", shape: [8192, 28_672, 80, 64, 8, 128], ..LLAMA_2 },
    LLAMA_3,
    LLAMA_3_1,
    LLAMA_3_2,
    Known { name: "meta-llama/Llama-3.2-3B", shape: [3072, 8192, 28, 24, 8, 128], ..LLAMA_3_2 },
    MISTRAL,
    TINY_LLAMA,
    QWEN_2_5,
    Known {
        name: "Qwen/Qwen2.5-1.5B",
        shape: [1536, 8960, 28, 12, 2, 128],
        max_positions: 131_072,
        ..QWEN_2_5
    },
    Known {
        name: "Qwen/Qwen2.5-7B",
        shape: [3584, 18_944, 28, 28, 4, 128],
        vocab: 152_064,
        tied: false,
        max_positions: 131_072,
        ..QWEN_2_5
    },
    QWEN_3,
    Known { name: "Qwen/Qwen3-1.7B", shape: [2048, 6144, 28, 16, 8, 128], ..QWEN_3 },
    Known { name: "Qwen/Qwen3-4B", shape: [2560, 9728, 36, 32, 8, 128], ..QWEN_3 },
    Known { name: "Qwen/Qwen3-8B", shape: [4096, 12_288, 36, 32, 8, 128], tied: false, ..QWEN_3 },
    SMOL,
];

/// Every model of the table.
#[must_use]
pub fn known() -> &'static [Known] {
    KNOWN
}

impl Known {
    /// The model of a repository, in whatever capitals.
    #[must_use]
    pub fn of(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// What its `config.json` says.
    #[must_use]
    pub fn config(&self) -> ModelConfig {
        let [hidden, intermediate, layers, heads, kv_heads, head_dim] = self.shape;
        ModelConfig {
            architecture: self.architecture,
            hidden,
            intermediate,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocab: self.vocab,
            rms_eps: self.rms_eps,
            rope: self.rope,
            tied: self.tied,
            qkv_bias: self.architecture == Qwen2,
            qk_norm: self.architecture == Qwen3,
            sliding_window: self.sliding_window,
            max_positions: self.max_positions,
            bos: self.bos,
            eos: vec![self.eos],
        }
    }
}
