//! Frequencies of the rotary position embedding, as `modeling_rope_utils.py` of transformers computes them.

use std::f64::consts::PI;

use super::{RopeConfig, RopeScaling};

impl RopeConfig {
    /// The angle by which each pair turns from one position to the next: `head_dim / 2` numbers, in f32 arithmetic as in
    /// transformers. Powers are rounded once (f64 to f32), so they do not depend on the system's `powf`.
    #[must_use]
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        let theta = f64::from(self.theta as f32);
        let powers: Vec<f32> = (0..head_dim)
            .step_by(2)
            .map(|i| theta.powf(f64::from(i as f32 / head_dim as f32)) as f32)
            .collect();
        let plain = powers.iter().map(|power| 1.0 / power);
        match self.scaling {
            RopeScaling::None | RopeScaling::Dynamic { .. } => plain.collect(),
            RopeScaling::Linear { factor } => plain.map(|frequency| frequency / factor as f32).collect(),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => {
                let (factor, positions) = (factor as f32, original_max_positions as f64);
                let low_wave = (positions / low_freq_factor) as f32;
                let high_wave = (positions / high_freq_factor) as f32;
                let blend = |frequency: f32| {
                    let wave = (2.0 * PI) as f32 / frequency;
                    if wave < high_wave {
                        frequency
                    } else if wave > low_wave {
                        frequency / factor
                    } else {
                        let smooth = (positions as f32 / wave - low_freq_factor as f32)
                            / (high_freq_factor - low_freq_factor) as f32;
                        (1.0 - smooth) * frequency / factor + smooth * frequency
                    }
                };
                plain.map(blend).collect()
            }
            RopeScaling::Yarn { factor, beta_fast, beta_slow, original_max_positions, truncate, .. } => {
                // The dimension whose frequency makes `turns` turns within the positions of the first training.
                let dimension = |turns: f64| {
                    let positions = original_max_positions as f64;
                    head_dim as f64 * (positions / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (dimension(beta_fast), dimension(beta_slow));
                if truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                (low, high) = (low.max(0.0), high.min(head_dim as f64 - 1.0));
                if low == high {
                    high += 0.001;
                }
                let blend = |(i, power): (usize, &f32)| {
                    let ramp = ((i as f32 - low as f32) / (high - low) as f32).clamp(0.0, 1.0);
                    let kept = 1.0 - ramp;
                    let (plain, divided) = (1.0 / power, 1.0 / (factor as f32 * power));
                    divided * (1.0 - kept) + plain * kept
                };
                powers.iter().enumerate().map(blend).collect()
            }
        }
    }

    /// What cosines and sines are multiplied by: 1 but for YaRN.
    #[must_use]
    pub fn attention_factor(&self) -> f32 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } => attention_factor as f32,
            _ => 1.0,
        }
    }
}

impl RopeScaling {
    /// YaRN's attention factor where none is given (`get_mscale` of transformers, section 3.4 of the paper).
    pub(super) fn yarn_attention_factor(factor: f64, mscales: Option<(f64, f64)>) -> f64 {
        let scale = |m: f64| if factor <= 1.0 { 1.0 } else { 0.1 * m * factor.ln() + 1.0 };
        mscales.map_or_else(|| scale(1.0), |(mscale, all_dim)| scale(mscale) / scale(all_dim))
    }
}
