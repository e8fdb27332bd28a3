//! What data, tokenizer and settings make impossible, told before the hours of the first stage.

use std::sync::Arc;

use super::{Error, Job, Located, Prepared, State};
use crate::data::Part;
use crate::experiment::{Experiment, RankerSpec};
use crate::prompt::{Prompts, Tokenizer, TrainingSamples, Verbalizer};
use crate::rank;
use crate::run::StoredRetrieval;

impl Job {
    /// The same job, broken if its second stage cannot be done. Of the backbone only tokenizer, description and headers of
    /// weights are read; of one that is not here, nothing.
    #[must_use]
    pub fn examined(mut self) -> Self {
        let is_broken = matches!(self.state, State::Broken(_));
        if let (Some(data), Some(spec), false) = (&self.data, &self.experiment.ranker, is_broken)
            && let Err(error) = examine(&self.experiment, spec, data, self.backbone.as_deref())
        {
            self.state = State::Broken(error);
        }
        self
    }
}

fn examine(
    experiment: &Experiment,
    spec: &RankerSpec,
    data: &Prepared,
    backbone: Option<&Located>,
) -> Result<(), Error> {
    if let (true, Some(&seed)) = (spec.tune, experiment.seeds.first()) {
        TrainingSamples::new(&data.split, spec, seed)?;
    }
    let Some(backbone) = backbone else { return Ok(()) };
    let Some(tokenizer) = backbone.examine()? else { return Ok(()) };
    let labels = labels(experiment.evaluation.candidates as usize, spec);
    let verbalizer = Verbalizer::new(&tokenizer, labels, spec.read_out)?;
    let prompts = prompts(&tokenizer, data, &verbalizer, spec)?;
    let name = experiment.backbone.as_ref().map_or("", |backbone| &backbone.name);
    check_length(&prompts, data, spec, (name, backbone.config.longest_prompt()))
}

/// How many labels prompts need: those of candidates, and of training prompts.
pub(super) fn labels(candidates: usize, spec: &RankerSpec) -> usize {
    if spec.tune { candidates.max(spec.negatives as usize + 1) } else { candidates }
}

/// What makes the prompts of an experiment.
///
/// # Errors
/// If a prompt cannot be made, or training has no token to end with.
pub(super) fn prompts(
    tokenizer: &Arc<Tokenizer>,
    data: &Prepared,
    verbalizer: &Verbalizer,
    spec: &RankerSpec,
) -> Result<Prompts, Error> {
    if spec.tune {
        tokenizer.required_eos()?;
    }
    Ok(Prompts::new(Arc::clone(tokenizer), &data.titles, verbalizer, spec)?)
}

/// Refuse prompts that are longer than the model was made for. It would answer without an error, and what it says would mean
/// nothing.
pub(super) fn check_length(
    prompts: &Prompts,
    data: &Prepared,
    spec: &RankerSpec,
    (name, positions): (&str, usize),
) -> Result<(), Error> {
    let limit = spec.max_prompt_tokens as usize;
    if limit <= positions {
        return Ok(());
    }
    // Those of training and validation are the beginnings of these; a training prompt has a letter and the end behind it.
    let longest = prompts.longest(&data.split.histories(Part::Test))? + if spec.tune { 2 } else { 0 };
    let longest = longest.min(limit);
    if longest <= positions {
        return Ok(());
    }
    Err(Error::TooLong { backbone: name.to_owned(), longest, positions })
}

/// Refuse candidates of validation among which nobody's held-out item is, so that no adapter can be chosen.
pub(super) fn check_reach(spec: &RankerSpec, retrieval: &StoredRetrieval) -> Result<(), Error> {
    let nobody = retrieval.validation.ranks.iter().all(|rank| *rank as usize > retrieval.k);
    if spec.tune && nobody {
        return Err(rank::Error::NothingToValidate { candidates: retrieval.k }.into());
    }
    Ok(())
}
