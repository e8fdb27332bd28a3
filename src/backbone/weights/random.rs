//! Weights drawn at random: the start of a pretraining, and models of any shape for benchmarks.

use super::Weights;
use super::build::{Source, build};
use super::place::Here;
use crate::backbone::{Error, ModelConfig};
use crate::nn::init::open01;
use crate::nn::quant::{Elements, Frozen, Storage};
use crate::seed::Seed;

/// The deviation of the weights (`initializer_range` of the Llama family).
const DEVIATION: f64 = 0.02;
/// Numbers of one stream.
const RUN: usize = 4096;

impl Weights {
    /// Normal weights of deviation 0.02, norms of 1 and biases of 0, as transformers starts a model of the Llama family. Each
    /// 4,096 numbers of each tensor have a random stream of their own, so they are drawn on all threads. Embedding and output
    /// layer are f32 if the linear layers are, else bf16.
    ///
    /// # Panics
    /// If no model can have the shape ([`ModelConfig::problems`] says why).
    #[must_use]
    pub fn random(config: &ModelConfig, storage: Storage, seed: Seed) -> Self {
        let problems = config.problems();
        assert!(problems.is_empty(), "{}", problems.join("; "));
        build(config, &mut Draw { storage, seed }, &mut Here).expect("random numbers are finite")
    }
}

struct Draw {
    storage: Storage,
    seed: Seed,
}

impl Source for Draw {
    fn matrix(&mut self, name: &str, rows: usize, cols: usize, frozen: bool) -> Result<Frozen, Error> {
        let storage = match self.storage {
            storage if frozen => storage,
            Storage::F32 => Storage::F32,
            _ => Storage::Bf16,
        };
        let normal = Normal { seed: self.seed, name };
        Ok(Frozen::from_elements(storage, rows, cols, &normal).expect("random numbers are finite"))
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        Ok(vec![if name.ends_with(".bias") { 0.0 } else { 1.0 }; len])
    }
}

/// The random numbers of a tensor.
struct Normal<'a> {
    seed: Seed,
    name: &'a str,
}

impl Elements for Normal<'_> {
    fn load(&self, from: usize, out: &mut [f32]) {
        let mut at = from;
        while at < from + out.len() {
            let (run, end) = (at / RUN, ((at / RUN + 1) * RUN).min(from + out.len()));
            let mut stream = self.seed.stream(&format!("backbone/init/{}/{run}", self.name));
            // Box and Muller 1958: two draws of two uniform ones.
            for pair in (run * RUN..end).step_by(2) {
                let radius = DEVIATION * (-2.0 * open01(&mut stream).ln()).sqrt();
                let (sin, cos) = (std::f64::consts::TAU * open01(&mut stream)).sin_cos();
                for (i, x) in [(pair, radius * cos), (pair + 1, radius * sin)] {
                    if (at..end).contains(&i) {
                        out[i - from] = x as f32;
                    }
                }
            }
            at = end;
        }
    }
}
