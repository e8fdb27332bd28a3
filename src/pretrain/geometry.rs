//! The shapes of the built-in backbones.

use crate::backbone::{Architecture, ModelConfig, RopeConfig, RopeScaling};

/// Tokens of a catalogue's prompts that a backbone reads where `pretrain.tokens` is not given.
pub const TOKENS: u64 = 300_000;

/// A built-in backbone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Geometry {
    /// 3 layers, 64 wide, 2 heads.
    Tiny,
    /// 4 layers, 128 wide, 4 heads.
    Small,
}

impl Geometry {
    /// All, smallest first.
    pub const ALL: [Self; 2] = [Self::Tiny, Self::Small];

    /// The backbone of a `backbone.name` such as `embedded:tiny`; `None` where the name is none of these.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|geometry| geometry.name() == name)
    }

    /// Its `backbone.name`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tiny => "embedded:tiny",
            Self::Small => "embedded:small",
        }
    }

    /// The shape with `vocab` tokens, of which `bos` begins and `eos` ends a text.
    #[must_use]
    pub fn config(self, vocab: usize, bos: u32, eos: u32) -> ModelConfig {
        let (hidden, layers, heads) = match self {
            Self::Tiny => (64, 3, 2),
            Self::Small => (128, 4, 4),
        };
        ModelConfig {
            architecture: Architecture::Qwen2,
            hidden,
            // 8/3 of the width, as Llama has it, in whole vectors of 16.
            intermediate: (hidden * 8 / 3).next_multiple_of(16),
            layers,
            heads,
            kv_heads: heads,
            head_dim: hidden / heads,
            vocab,
            rms_eps: 1e-5,
            rope: RopeConfig { theta: 1_000_000.0, scaling: RopeScaling::None },
            tied: true,
            qkv_bias: true,
            qk_norm: false,
            sliding_window: None,
            max_positions: 4096,
            bos: Some(bos),
            eos: vec![eos],
        }
    }
}
