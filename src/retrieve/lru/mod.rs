//! LRURec: linear recurrent units over the history (Yue et al. 2023), with our own forward and backward.

pub mod backward;
pub mod forward;
pub mod packed;
pub mod plan;
pub mod train;

use forward::{Masks, State, Turned, View, Wanted};
use packed::{Batch, Packed};
use plan::{LruPlan, Shape, lay_out};

use super::catalogue::{self, Scorer};
use super::{Error, Query, Retrieved, Retriever};
use crate::data::ItemId;
use crate::experiment::LruSpec;
use crate::nn::aligned::Buffer;
use crate::nn::init::{open01, truncated_normal};
use crate::nn::ops::Cpu;
use crate::nn::params::{self, Params};
use crate::seed::Seed;

/// Packed positions of an evaluation batch: enough for every core, little enough for the caches.
const ROWS: usize = 4096;

/// A model: its sizes, its weights, and what is made of them.
pub struct LruRec {
    shape: Shape,
    plan: LruPlan,
    /// The weights, named as the reference names them.
    pub params: Params,
    /// The same where the operations find them, and what is made of them.
    weights: Buffer,
    turned: Vec<Turned<Cpu>>,
    max_len: usize,
}

impl LruRec {
    /// All weights zero.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn zeros(spec: &LruSpec, items: usize) -> Result<Self, params::Error> {
        let shape = Shape {
            items,
            hidden: spec.hidden_dim,
            state: spec.state_dim,
            feed_forward: spec.feed_forward_dim,
            blocks: spec.blocks,
        };
        let (slots, plan) = lay_out(shape);
        let turned = (0..shape.blocks).map(|_| Turned::new(&Cpu::default())).collect();
        let (params, weights) = (Params::zeros(slots)?, Buffer::default());
        let mut model = Self { shape, plan, params, weights, turned, max_len: spec.max_len };
        model.refresh();
        Ok(model)
    }

    /// The initial weights of a seed (protocol section 2): eigenvalues uniform on the ring `r_min..r_max`, layer norms the
    /// identity, everything else from a normal distribution of deviation 0.02 cut at 0.04.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn init(spec: &LruSpec, items: usize, seed: Seed) -> Result<Self, params::Error> {
        let mut model = Self::zeros(spec, items)?;
        let mut rng = seed.stream("retriever/init");
        let slots = &model.params.plan.slots;
        model.params.flat.write(|weights| {
            for slot in slots {
                let values = &mut weights[slot.range()];
                if slot.name.ends_with("layer_norm.weight") {
                    values.fill(1.0);
                } else if slot.name.ends_with("layer_norm.bias") {
                    values.fill(0.0);
                } else if slot.name.ends_with("params_log") {
                    init_ring(values, (spec.r_min, spec.r_max), &mut rng);
                } else {
                    values.iter_mut().for_each(|x| *x = truncated_normal(&mut rng, 0.02, 0.04));
                }
            }
        })?;
        model.refresh();
        Ok(model)
    }

    /// Make anew what is made of the weights; call after they have changed.
    pub fn refresh(&mut self) {
        let Self { shape, plan, params, weights, turned, .. } = self;
        let mut ops = Cpu::default();
        params.flat.read(|flat| weights.reset(flat.len()).copy_from_slice(flat));
        for (block, turned) in plan.blocks.iter().zip(turned) {
            let Ok(()) = turned.update(&mut ops, *shape, block, weights);
        }
    }

    /// The model as it is.
    #[must_use]
    pub fn view(&self) -> View<'_, Cpu> {
        View { shape: self.shape, plan: &self.plan, weights: &self.weights, turned: &self.turned }
    }

    /// The state after the last item of each history. `# Shapes: (users, d)`
    #[must_use]
    pub fn encode(&self, histories: &[Vec<ItemId>]) -> Buffer {
        let d = self.shape.hidden;
        let mut states = Buffer::zeros(histories.len() * d);
        let mut ops = Cpu::default();
        let (mut packed, mut state) = (Packed::default(), State::new(&ops, self.shape.blocks));
        let mut batch = Batch::new(&ops);
        let still = Masks::new(0, 0.0, 0.0);
        let mut first = 0;
        while first < histories.len() {
            packed.clear();
            let mut next = first;
            while next < histories.len() && packed.tokens.len() < ROWS {
                packed.push_history(&histories[next], self.max_len);
                next += 1;
            }
            let Ok(()) = batch.fill(&mut ops, &packed);
            let Ok(()) = self.view().forward(&mut ops, &batch, still, Wanted::Last, &mut state);
            let out = &state.blocks[self.shape.blocks - 1].out;
            states[first * d..next * d].copy_from_slice(out);
            first = next;
        }
        states
    }
}

/// `nu_log = log(-log(u (r_max^2 - r_min^2) + r_min^2) / 2)`, `theta_log = log(2 pi u)`, `gamma_log = log sqrt(1 - |lambda|^2)`
/// (Orvieto et al. 2023, lemma 3.2).
fn init_ring(logs: &mut [f32], (r_min, r_max): (f64, f64), rng: &mut rand_pcg::Pcg64) {
    let c = logs.len() / 3;
    for channel in 0..c {
        let squared = open01(rng) * (r_max * r_max - r_min * r_min) + r_min * r_min;
        let nu = -0.5 * squared.ln();
        logs[channel] = nu.ln() as f32;
        logs[c + channel] = (std::f64::consts::TAU * open01(rng)).ln() as f32;
        logs[2 * c + channel] = (1.0 - (-2.0 * nu).exp()).sqrt().ln() as f32;
    }
}

impl Retriever for LruRec {
    fn retrieve(&self, query: &Query<'_>) -> Result<Retrieved, Error> {
        let states = self.encode(query.histories);
        let scorer = Scorer {
            width: self.shape.hidden,
            weight: &self.weights[self.plan.embedding.clone()],
            bias: &self.weights[self.plan.bias.clone()],
        };
        catalogue::retrieve(scorer, &states, query, self.max_len)
    }
}
