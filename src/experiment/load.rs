//! The ways into an [`Experiment`], and what other stages take from one.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::files::Chain;
use super::problem::{Place, Problem, Problems};
use super::{
    DatasetSource, Experiment, Origin, Override, Quantization, Resolved, SecondStage, Setting,
    WITHOUT_INFLUENCE, resolve,
};

/// What a valid file is.
#[derive(Debug, Clone, PartialEq)]
pub enum Loaded {
    /// An experiment.
    Runnable(Box<Experiment>),
    /// A file with `abstract = true`, which others inherit from.
    Abstract,
}

impl Experiment {
    /// Read an experiment file with everything that it inherits, the environment and the command line.
    ///
    /// # Errors
    /// Everything that is wrong, at once. That a file is abstract is a problem here; see [`Experiment::check`].
    pub fn load(path: &Path, overrides: &[Override], env: &[(String, String)]) -> Result<Self, Problems> {
        match resolve::load(path, overrides, env)? {
            Loaded::Runnable(experiment) => Ok(*experiment),
            Loaded::Abstract => {
                let place = Chain::read(path).files.pop().and_then(|file| file.abstract_at);
                let place = place.unwrap_or_else(|| Place::whole(path));
                let message = "abstract = true marks a file that others inherit from";
                Err(Problems(vec![Problem::new(place, message).help("run a file that inherits it")]))
            }
        }
    }

    /// Check a file that may be abstract. What an abstract file leaves to its heirs is not missing.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(path: &Path, overrides: &[Override], env: &[(String, String)]) -> Result<Loaded, Problems> {
        resolve::load(path, overrides, env)
    }

    /// The experiment of settings that were resolved and stored earlier, at `path`. Settings that this version has beside them get their
    /// defaults, names that are no settings (they have a blank) are left out, and the environment is not asked.
    ///
    /// # Errors
    /// If this version does not know a setting or does not take its value.
    pub fn restore(
        path: &Path,
        settings: impl IntoIterator<Item = (String, Value)>,
        second: SecondStage,
        overrides: &[Override],
    ) -> Result<Self, Problems> {
        const SECOND: [&str; 3] = ["backbone.", "pretrain.", "ranker."];
        let keep = |key: &str| {
            let of_second = SECOND.iter().any(|section| key.starts_with(section));
            // Where it computed is no part of what it is; here there may be no such device.
            key != "device" && !key.contains(' ') && (second == SecondStage::Keep || !of_second)
        };
        let settings = settings.into_iter().filter(|(key, value)| keep(key) && !value.is_null());
        let settings = settings.map(|(key, value)| Setting { key, value, origin: Origin::Default }).collect();
        let chain = Chain::of_text(path, &Resolved { settings }.to_toml());
        // The lines are those of a text that nobody typed.
        let whole = |Problems(found): Problems| {
            let at = |problem: Problem| match &problem.place {
                Place::File { .. } => Problem { place: Place::whole(path), ..problem },
                _ => problem,
            };
            Problems(found.into_iter().map(at).collect())
        };
        match resolve::of_chain(path, chain, overrides, &[]).map_err(whole)? {
            Loaded::Runnable(experiment) => Ok(*experiment),
            Loaded::Abstract => Err(Problems(vec![Problem::new(Place::whole(path), "no experiment")])),
        }
    }

    /// An experiment file and all that it inherits from, the file itself last. A file that cannot be read is not among them.
    #[must_use]
    pub fn files(path: &Path) -> Vec<PathBuf> {
        Chain::read(path).files.into_iter().map(|file| file.path).collect()
    }

    /// Whether the file says `abstract = true`. A file that cannot be read is not abstract:
    /// [`Experiment::load`] says what is wrong with it.
    #[must_use]
    pub fn is_abstract(path: &Path) -> bool {
        Chain::read(path).files.last().is_some_and(|file| file.path == path && file.abstract_at.is_some())
    }

    /// Canonical JSON of exactly the settings that decide the retrieval stage: the dataset's choices, the
    /// retriever, the candidates and the mask. Names, descriptions and paths are not in it; the hashes of the
    /// input files and the seed have to be added.
    #[must_use]
    pub fn retrieval_key_material(&self) -> String {
        let mut dataset = json!(self.dataset);
        let given = |path: Option<&std::path::PathBuf>| json!(path.is_some());
        match &self.dataset.source {
            DatasetSource::Csv(spec) => {
                replace(&mut dataset, "/source/csv/ratings", Value::Bool(true));
                replace(&mut dataset, "/source/csv/titles", given(spec.titles.as_ref()));
            }
            DatasetSource::RecBole(spec) => {
                replace(&mut dataset, "/source/recbole/inter", Value::Bool(true));
                replace(&mut dataset, "/source/recbole/item", given(spec.item.as_ref()));
            }
            _ => {}
        }
        json!({
            "candidates": self.evaluation.candidates,
            "dataset": dataset,
            "mask_history": self.evaluation.mask_history,
            "retriever": self.retriever,
        })
        .to_string()
    }

    /// Canonical JSON of exactly the settings that decide the ranking stage beside the candidates and the content of the
    /// backbone's files: how its weights are stored and computed with, the prompt, and training where there is one.
    #[must_use]
    pub fn ranking_key_material(&self) -> String {
        /// What decides scores without training. How prompts are put together in batches is not among it.
        const UNTRAINED: [&str; 8] = [
            "tune",
            "history_items",
            "title_tokens",
            "max_prompt_tokens",
            "overlong_prompts",
            "candidate_order",
            "read_out",
            "validation_users",
        ];
        let (mut backbone, mut ranker) = (json!(self.backbone), json!(self.ranker));
        let tuned = self.ranker.as_ref().is_some_and(|spec| spec.tune);
        if let Some(fields) = backbone.as_object_mut() {
            // Its files say what it is, whatever its name; random weights have another identity.
            fields.retain(|name, _| !["name", "revision", "weights"].contains(&name.as_str()));
            if self.backbone.as_ref().is_some_and(|spec| spec.quantization != Quantization::Nf4) {
                fields.remove("double_quantization");
            }
        }
        if let Some(fields) = ranker.as_object_mut() {
            fields.retain(|name, _| match tuned {
                true => !WITHOUT_INFLUENCE.contains(&name.as_str()),
                false => UNTRAINED.contains(&name.as_str()),
            });
        }
        json!({ "backbone": backbone, "ranker": ranker }).to_string()
    }
}

fn replace(value: &mut Value, pointer: &str, with: Value) {
    if let Some(slot) = value.pointer_mut(pointer) {
        *slot = with;
    }
}
