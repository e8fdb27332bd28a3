//! How long a prompt takes in the second stage: timed on a few layers where they would compute.

use std::time::Instant;

use rand::RngExt;

use super::backbone::storage;
use super::devices::Computing;
use super::estimate::matrix_speed;
use super::footprint::Largest;
use super::placed::{Origin, Placed};
use super::{Error, Footprint, Located, Prepared, preflight};
use crate::backbone::ModelConfig;
use crate::backbone::decoder::{Batch, Work};
use crate::data::{ItemId, Part};
use crate::events::{Interrupt, Silent};
use crate::experiment::{Checkpointing, Experiment, RankerSpec};
use crate::prompt::{TrainingSamples, Verbalizer};
use crate::rank::{self, Model, TAUGHT, Tunable, batches};
use crate::seed::Seed;

/// Prompts that are looked at.
const SAMPLE: usize = 256;
/// Layers of the models that are timed. The last one computes little but for the rows that are asked for.
const FEW: [usize; 2] = [1, 3];
/// A model that is no larger is timed as it is.
const SMALL: u64 = 80_000_000;
/// Rows of the embedding of one that is larger.
const TOKENS: usize = 4096;
/// Seconds that one batch may take on the processor.
const LONG: f64 = 2.0;

/// Seconds of a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Paces {
    /// In training.
    pub learned: f64,
    /// Where it is scored.
    pub scored: f64,
    /// Tokens of a training prompt, on average.
    pub tokens: usize,
    /// The largest batches of the prompts that were looked at.
    pub largest: Largest,
}

/// Draw a few layers of the experiment's backbone at random, where it would compute, and time them on its prompts. `None` of a backbone
/// whose tokenizer is not made yet.
///
/// # Errors
/// If prompts cannot be made, or the device fails.
pub fn paces(
    experiment: &Experiment,
    data: &Prepared,
    located: &Located,
    device: Option<&Computing>,
) -> Result<Option<Paces>, Error> {
    let (Some(spec), Some(seed)) = (&experiment.ranker, experiment.seeds.first().copied()) else {
        return Ok(None);
    };
    let Some(sample) = Sample::draw(experiment, data, located, (spec, seed))? else { return Ok(None) };
    let Some(kept) = kept(experiment, located, sample.largest(spec), device)? else { return Ok(None) };
    let whole = &located.config;
    let is_small = whole.parameters() <= SMALL || whole.layers <= FEW[1];
    let (layers, vocab) =
        if is_small { (vec![whole.layers], whole.vocab) } else { (FEW.to_vec(), whole.vocab.min(TOKENS)) };
    let mut times = Vec::with_capacity(layers.len());
    for layers in layers {
        // Nothing that is asked here begins or ends with a token of its own.
        let config = ModelConfig { layers, vocab, bos: None, eos: Vec::new(), ..whole.clone() };
        times.push(timed((experiment, spec), located, &config, (&sample, kept), device)?);
    }
    let of = |which: fn(&(f64, f64)) -> f64| match &times[..] {
        [few, more] => {
            let layer = (which(more) - which(few)) / (FEW[1] - FEW[0]) as f64;
            which(few) + (whole.layers - FEW[0]) as f64 * layer.max(0.0)
        }
        all => all.first().map_or(0.0, which),
    };
    let tokens = sample.taught.iter().map(Vec::len).sum::<usize>() / sample.taught.len().max(1);
    let (learned, scored) = (of(|(learned, _)| *learned), of(|(_, scored)| *scored));
    Ok(Some(Paces { learned, scored, tokens, largest: sample.largest(spec) }))
}

/// The share of its layers that the whole model keeps for the backward pass of a training batch.
fn kept(
    experiment: &Experiment,
    located: &Located,
    largest: Largest,
    device: Option<&Computing>,
) -> Result<Option<f64>, Error> {
    let Some(footprint) = Footprint::of(experiment, located) else { return Ok(None) };
    let free = device.map(|computing| computing.machine.memory()).transpose().map_err(rank::Error::from)?;
    let layers = located.config.layers;
    let keep = footprint.keep(largest.taught, free.map(|(free, _)| free));
    Ok(Some(keep.states(layers) as f64 / layers.max(1) as f64))
}

/// Prompts of an experiment.
struct Sample {
    taught: Vec<Vec<u32>>,
    asked: Vec<Vec<u32>>,
}

impl Sample {
    fn draw(
        experiment: &Experiment,
        data: &Prepared,
        located: &Located,
        (spec, seed): (&RankerSpec, Seed),
    ) -> Result<Option<Self>, Error> {
        let Some(tokenizer) = located.examine()? else { return Ok(None) };
        let k = experiment.evaluation.candidates as usize;
        let verbalizer = Verbalizer::new(&tokenizer, preflight::labels(k, spec), spec.read_out)?;
        let prompts = preflight::prompts(&tokenizer, data, &verbalizer, spec)?;
        let mut rng = seed.stream("plan/prompts");
        let histories = data.split.histories(Part::Test);
        let items = data.split.n_items as u32;
        let mut asked = Vec::new();
        // Which candidates a retriever will find is not known; any have titles of some length.
        for _ in 0..SAMPLE.min(histories.len()) {
            let history = &histories[rng.random_range(0..histories.len() as u64) as usize];
            let candidates: Vec<ItemId> =
                (0..k).filter_map(|_| ItemId::new(rng.random_range(1..=items))).collect();
            asked.push(prompts.evaluation(history, &candidates)?.ids);
        }
        let mut taught = Vec::new();
        if spec.tune {
            let samples = TrainingSamples::new(&data.split, spec, seed)?;
            for index in samples.order(0).into_iter().take(SAMPLE) {
                taught.push(prompts.training(&samples.sample(0, index as usize))?.ids);
            }
        }
        Ok(Some(Self { taught, asked }))
    }

    /// The largest batches that they make.
    fn largest(&self, spec: &RankerSpec) -> Largest {
        let most = spec.micro_batch_tokens as usize;
        let largest = |prompts: &[Vec<u32>]| {
            let lengths: Vec<usize> = prompts.iter().map(Vec::len).collect();
            let batches = batches(&lengths, most).into_iter();
            let sizes = batches.map(|batch| (batch.iter().map(|&at| lengths[at]).sum(), batch.len()));
            sizes.max().unwrap_or((0, 0))
        };
        let steps = self.taught.chunks(spec.batch_size as usize);
        Largest { taught: steps.map(largest).max().unwrap_or((0, 0)), asked: largest(&self.asked) }
    }
}

/// Seconds of a prompt in training and where it is scored, of a model of this shape.
fn timed(
    (experiment, spec): (&Experiment, &RankerSpec),
    located: &Located,
    config: &ModelConfig,
    (sample, kept): (&Sample, f64),
    device: Option<&Computing>,
) -> Result<(f64, f64), Error> {
    let Some(backbone) = &experiment.backbone else { return Ok((0.0, 0.0)) };
    let device = located.dense(experiment, device.cloned())?;
    let is_processor = device.is_none();
    let origin = Origin::Drawn(config, located.has_wide_tables());
    let stored = (storage(backbone), backbone.compute_type);
    let (placed, _) = Placed::bring(origin, stored, device, &Silent, &Interrupt::default())?;
    let speed = is_processor.then(matrix_speed);
    let rows = spec.micro_batch_tokens as usize;
    let usual = |prompts, most, operations: &dyn Fn(&Work, usize) -> f64| {
        usual(prompts, (rows, most), config, |work, prompts| {
            speed.is_none_or(|speed| operations(work, prompts) / speed <= LONG)
        })
    };
    let mut learned = 0.0;
    // What the whole model keeps of a part of its layers, and computes again of the others.
    let ways = [(Checkpointing::Never, kept), (Checkpointing::Always, 1.0 - kept)];
    for (gradient_checkpointing, share) in ways.into_iter().filter(|(_, share)| *share > 0.0) {
        if sample.taught.is_empty() {
            break;
        }
        let spec = RankerSpec { gradient_checkpointing, ..spec.clone() };
        let mut model = rank::Backbone::on(placed.engine()).with_adapter(&spec, Seed::new(1));
        let most = spec.batch_size as usize;
        let (prompts, ratio) = usual(&sample.taught, most, &|work, prompts| work.step(TAUGHT * prompts));
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let mut gradient = vec![0.0; model.weights().len()];
        let mut learn = || model.learn(&prompts, TAUGHT * prompts.len(), 1, &mut gradient).map(|_| ());
        learned += share * ratio * seconds(&mut learn)? / prompts.len() as f64;
    }
    if sample.asked.is_empty() {
        return Ok((learned, 0.0));
    }
    let mut model = rank::Backbone::on(placed.engine());
    let (prompts, ratio) = usual(&sample.asked, usize::MAX, &|work, _| work.scores());
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let letters: Vec<u32> = (0..experiment.evaluation.candidates.min(config.vocab as u32)).collect();
    let mut score = || model.scores(&prompts, &letters).map(|_| ());
    let scored = ratio * seconds(&mut score)? / prompts.len() as f64;
    Ok((learned, scored))
}

/// Some of the prompts: as many as go through a model of this shape at once, `rows` tokens or `most` prompts; fewer of them where they would take
/// too long, but one at least. Their lengths are spread as those of all, and their tokens are some that the model has. Gives the ratio of
/// the mean lengths too, that of all over theirs.
fn usual(
    prompts: &[Vec<u32>],
    (rows, most): (usize, usize),
    config: &ModelConfig,
    is_short: impl Fn(&Work, usize) -> bool,
) -> (Vec<Vec<u32>>, f64) {
    let mut sorted: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    sorted.sort_by_key(|prompt| prompt.len());
    let mean = |of: &[&[u32]]| of.iter().map(|prompt| prompt.len()).sum::<usize>() as f64 / of.len() as f64;
    let whole = mean(&sorted);
    let mut count = ((rows as f64 / whole) as usize).clamp(1, most.min(sorted.len()));
    let spread = |count: usize| -> Vec<&[u32]> {
        (0..count).map(|at| sorted[(2 * at + 1) * sorted.len() / (2 * count)]).collect()
    };
    while count > 1 && !is_short(&Work::of(config, &Batch::apart(&spread(count), 1)), count) {
        count /= 2;
    }
    let chosen = spread(count);
    let known = |prompt: &&[u32]| prompt.iter().map(|id| id % config.vocab as u32).collect();
    (chosen.iter().map(known).collect(), whole / mean(&chosen))
}

/// Seconds of a call: the median of some.
fn seconds(call: &mut dyn FnMut() -> Result<(), rank::Error>) -> Result<f64, Error> {
    // The first one makes room.
    call()?;
    let mut found = Vec::new();
    while found.len() < 3 || (found.len() < 9 && found.iter().sum::<f64>() < LONG) {
        let began = Instant::now();
        call()?;
        found.push(began.elapsed().as_secs_f64());
        if found.iter().sum::<f64>() > 3.0 * LONG {
            break;
        }
    }
    found.sort_by(f64::total_cmp);
    Ok(found[found.len() / 2])
}
