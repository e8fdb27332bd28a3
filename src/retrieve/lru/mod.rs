//! LRURec: linear recurrent units over the history (Yue et al. 2023), with our own forward and backward.

pub mod backward;
mod check;
pub mod forward;
mod memory;
pub mod packed;
pub mod plan;
pub mod train;

pub use check::check;
pub use memory::device_bytes;

use forward::{Masks, State, Turned, View, Wanted};
use packed::{Batch, Packed};
use plan::{LruPlan, Shape, lay_out};

use super::catalogue::{Scorer, Walks};
use super::{Error, Query, Retrieved, Retriever};
use crate::data::ItemId;
use crate::experiment::LruSpec;
use crate::nn::aligned::Buffer;
use crate::nn::init::{open01, truncated_normal};
use crate::nn::ops::{Cpu, Ops};
use crate::nn::params::{self, Params};
use crate::seed::Seed;

/// A model: its sizes, its weights, and what is made of them.
pub struct LruRec {
    frame: Frame,
    /// The weights, named as the reference names them.
    pub params: Params,
    turned: Vec<Turned<Cpu>>,
}

/// What a model is without its weights.
#[derive(Clone)]
struct Frame {
    shape: Shape,
    plan: LruPlan,
    max_len: usize,
}

impl LruRec {
    /// All weights zero.
    ///
    /// # Errors
    /// When candle refuses.
    pub fn zeros(spec: &LruSpec, items: usize) -> Result<Self, params::Error> {
        let shape = Shape::of(spec, items);
        let (slots, plan) = lay_out(shape);
        Self::of(Frame { shape, plan, max_len: spec.max_len }, Params::zeros(slots)?)
    }

    fn of(frame: Frame, params: Params) -> Result<Self, params::Error> {
        let turned = (0..frame.shape.blocks).map(|_| Turned::new(&Cpu::default())).collect();
        let mut model = Self { frame, params, turned };
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
        let Self { frame, params, turned } = self;
        let Ok(()) = params.flat.read(|weights| frame.update(&mut Cpu::default(), weights, turned));
    }

    /// Run `f` on the model as it is.
    pub fn view<R>(&self, f: impl FnOnce(View<'_, Cpu>) -> R) -> R {
        self.params.flat.read(|weights| f(self.frame.view(weights, &self.turned)))
    }

    /// The state after the last item of each history. `# Shapes: (users, d)`
    #[must_use]
    pub fn encode(&self, histories: &[Vec<ItemId>]) -> Buffer {
        let max_len = self.frame.max_len;
        let Ok(states) = self.view(|view| encode(&mut Cpu::default(), &view, histories, max_len));
        states
    }
}

/// The weights of a model where other operations than the processor's find them.
pub struct Uploaded<O: Ops> {
    frame: Frame,
    ops: O,
    weights: O::Floats,
    turned: Vec<Turned<O>>,
}

impl<O: Walks> Uploaded<O>
where
    Error: From<O::Error>,
{
    /// Those of a model.
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(mut ops: O, model: &LruRec) -> Result<Self, Error> {
        let frame = model.frame.clone();
        let mut weights = ops.floats();
        model.params.flat.read(|flat| ops.set(&mut weights, flat))?;
        let turned = (0..frame.shape.blocks).map(|_| Turned::new(&ops)).collect();
        let mut uploaded = Self { frame, ops, weights, turned };
        uploaded.refresh()?;
        Ok(uploaded)
    }

    /// Make anew what is made of the weights.
    fn refresh(&mut self) -> Result<(), Error> {
        let Self { frame, ops, weights, turned } = self;
        Ok(frame.update(ops, ops.all(weights), turned)?)
    }

    /// As [`Retriever::retrieve`].
    ///
    /// # Errors
    /// [`Error::TooFewItems`], or if the device fails.
    pub fn retrieve(&mut self, query: &Query<'_>) -> Result<Retrieved, Error> {
        let Self { frame, ops, weights, turned } = self;
        let view = frame.view(ops.all(weights), turned);
        retrieve(ops, &view, query, frame.max_len)
    }
}

impl Frame {
    /// A model of this frame at one moment.
    fn view<'a, O: Ops>(&'a self, weights: O::Part<'a>, turned: &'a [Turned<O>]) -> View<'a, O> {
        View { shape: self.shape, plan: &self.plan, weights, turned }
    }

    /// Make anew what is made of weights.
    fn update<O: Ops>(
        &self,
        ops: &mut O,
        weights: O::Part<'_>,
        turned: &mut [Turned<O>],
    ) -> Result<(), O::Error> {
        let mut blocks = self.plan.blocks.iter().zip(turned);
        blocks.try_for_each(|(block, turned)| turned.update(ops, self.shape, block, weights))
    }
}

/// The state after the last item of each history, as far as a model sees. `# Shapes: (users, d)`
///
/// # Errors
/// If the device fails.
pub fn encode<O: Ops>(
    ops: &mut O,
    view: &View<'_, O>,
    histories: &[Vec<ItemId>],
    max_len: usize,
) -> Result<O::Floats, O::Error> {
    let d = view.shape.hidden;
    let mut states = ops.floats();
    ops.room(&mut states, histories.len() * d)?;
    let (mut packed, mut state) = (Packed::default(), State::new(ops, view.shape.blocks));
    let mut batch = Batch::new(ops);
    let still = Masks::new(0, 0.0, 0.0);
    let mut first = 0;
    while first < histories.len() {
        packed.clear();
        let mut next = first;
        while next < histories.len() && packed.tokens.len() < O::ROWS {
            packed.push_history(&histories[next], max_len);
            next += 1;
        }
        batch.fill(ops, &packed)?;
        view.forward(ops, &batch, still, Wanted::Last, &mut state)?;
        let out = ops.all(&state.blocks[view.shape.blocks - 1].out);
        ops.copy(out, (&mut states, first * d..next * d))?;
        first = next;
    }
    Ok(states)
}

/// Candidates and ranks by a model.
///
/// # Errors
/// [`Error::TooFewItems`], or if the device fails.
pub fn retrieve<O: Walks>(
    ops: &mut O,
    view: &View<'_, O>,
    query: &Query<'_>,
    max_len: usize,
) -> Result<Retrieved, Error>
where
    Error: From<O::Error>,
{
    let states = encode(ops, view, query.histories, max_len)?;
    let (weight, bias) = (view.part(ops, &view.plan.embedding), view.part(ops, &view.plan.bias));
    let scorer = Scorer { width: view.shape.hidden, weight, bias };
    ops.walk(scorer, ops.all(&states), query, max_len)
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
        self.view(|view| retrieve(&mut Cpu::default(), &view, query, self.frame.max_len))
    }
}
