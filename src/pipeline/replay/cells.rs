//! Stored cells and reports beside those of a replay.

use std::fmt::Display;

use super::super::tables::build_report;
use super::super::{Error, Finished};
use super::tree::Tree;
use crate::experiment::Experiment;
use crate::report::{self, Report, thousands};
use crate::run::{
    Cell, CurvePoint, Manifest, Opened, RankedPart, RankingCell, Reading, Stage, StoredPart, TrainingRecord,
    is_weights,
};

/// Something that a replay gave otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What, such as `seed 1: test.ranks`.
    pub what: String,
    /// As stored: the first place that differs.
    pub stored: String,
    /// The same place in the replay.
    pub replayed: String,
    /// How much of it differs, such as `3 of 150 users`.
    pub extent: String,
}

/// What has been compared so far.
#[derive(Default)]
pub(super) struct Compared {
    same: Vec<String>,
    absent: Vec<String>,
    differences: Vec<Difference>,
}

impl Compared {
    pub fn finish(self) -> super::Replayed {
        let Self { same, absent, differences } = self;
        super::Replayed { same, absent, differences }
    }

    /// What is not in the store any more and cannot be compared.
    pub fn absent(&mut self, what: &str, seed: u64) {
        self.absent.push(format!("seed {seed}: {what}, for their cell is not in the store"));
    }

    fn push(
        &mut self,
        what: String,
        stored: impl Display,
        replayed: impl Display,
        extent: impl Into<String>,
    ) {
        let (stored, replayed) = (stored.to_string(), replayed.to_string());
        self.differences.push(Difference { what, stored, replayed, extent: extent.into() });
    }

    /// Hold two lists against each other, `row` values for each user. What is equal has the same bits: `bits` tells values apart.
    fn list<T: Copy + Display, B: PartialEq>(
        &mut self,
        what: String,
        (stored, replayed): (&[T], &[T]),
        row: usize,
        bits: impl Fn(T) -> B,
    ) {
        if stored.len() != replayed.len() {
            let n = |values: &[T]| format!("{} values", thousands(values.len() as u64));
            return self.push(what, n(stored), n(replayed), "");
        }
        let differs = |(a, b): (&T, &T)| bits(*a) != bits(*b);
        let Some(first) = stored.iter().zip(replayed).position(differs) else { return };
        let row = row.max(1);
        let users = stored
            .chunks(row)
            .zip(replayed.chunks(row))
            .filter(|(a, b)| a.iter().zip(*b).any(differs))
            .count();
        let extent =
            format!("{} of {} users", thousands(users as u64), thousands((stored.len() / row) as u64));
        let place = format!("{what}, user {} (counted from 0)", first / row);
        self.push(place, stored[first], replayed[first], extent);
    }

    fn words(&mut self, what: String, lists: (&[u32], &[u32]), row: usize) {
        self.list(what, lists, row, |value| value);
    }

    fn scores(&mut self, what: String, lists: (&[f32], &[f32]), row: usize) {
        self.list(what, lists, row, f32::to_bits);
    }

    /// A stored retrieval beside the one of the replay, and their weights.
    ///
    /// # Errors
    /// If the stored one cannot be read.
    pub fn retrieval(&mut self, stored: &Opened, replayed: &Cell) -> Result<(), Error> {
        let before = self.differences.len();
        let old: Cell = stored.decode()?;
        let seed = replayed.manifest.seed;
        let (a, b) = (&old.retrieval, &replayed.retrieval);
        if a.k != b.k {
            self.push(format!("seed {seed}: length of the candidate lists"), a.k, b.k, "");
        } else {
            for (name, a, b) in [("validation", &a.validation, &b.validation), ("test", &a.test, &b.test)] {
                self.part(&format!("seed {seed}: {name}"), (a, b), replayed.retrieval.k);
            }
        }
        self.records(seed, (&old.manifest, &replayed.manifest), (&old.curve, &replayed.curve));
        let weights = self.hashes(stored, &replayed.manifest, &format!("seed {seed}"));
        if self.differences.len() == before {
            let users = thousands(replayed.retrieval.test.n_users() as u64);
            self.same.push(format!(
                "seed {seed}: candidates, scores and ranks of {users} users in validation and test, the learning curve{weights}"
            ));
        }
        Ok(())
    }

    fn part(&mut self, what: &str, (a, b): (&StoredPart, &StoredPart), k: usize) {
        self.words(format!("{what}.targets"), (&a.targets, &b.targets), 1);
        self.words(format!("{what}.candidates"), (&a.candidates, &b.candidates), k);
        self.scores(format!("{what}.scores"), (&a.scores, &b.scores), k);
        self.words(format!("{what}.ranks"), (&a.ranks, &b.ranks), 1);
        if a.tied_users != b.tied_users {
            self.push(format!("{what}.tied_users"), a.tied_users, b.tied_users, "");
        }
    }

    /// A stored ranking beside the one of the replay, with its adapter and the audit of its letters.
    ///
    /// # Errors
    /// If the stored one cannot be read.
    pub fn ranking(&mut self, stored: &Opened, replayed: &RankingCell) -> Result<(), Error> {
        let before = self.differences.len();
        let old: RankingCell = stored.decode()?;
        let seed = replayed.manifest.seed;
        let (a, b) = (&old.ranking, &replayed.ranking);
        if a.k != b.k {
            self.push(format!("seed {seed}: candidates of a user"), a.k, b.k, "");
        } else {
            for (name, a, b) in [("validation", &a.validation, &b.validation), ("test", &a.test, &b.test)] {
                self.ranked(&format!("seed {seed}: {name}"), (a, b), old.ranking.k);
            }
        }
        if old.audit != replayed.audit {
            let show = |audit: &crate::run::AuditRecord| {
                format!(
                    "{}, {} labels, tokenizer {:.16}",
                    audit.read_out,
                    audit.labels.len(),
                    audit.tokenizer
                )
            };
            self.push(
                format!("seed {seed}: audit of the letters"),
                show(&old.audit),
                show(&replayed.audit),
                "",
            );
        }
        self.records(seed, (&old.manifest, &replayed.manifest), (&old.curve, &replayed.curve));
        self.prompts(seed, &old.manifest, &replayed.manifest);
        let weights = self.hashes(stored, &replayed.manifest, &format!("seed {seed}"));
        if self.differences.len() == before {
            let users = thousands(replayed.ranking.test.users.len() as u64);
            self.same.push(format!(
                "seed {seed}: candidates, scores and ranks of {users} ranked users of the test and those of validation, the audit of \
                 the letters, the learning curve{weights}"
            ));
        }
        Ok(())
    }

    fn ranked(&mut self, what: &str, (a, b): (&RankedPart, &RankedPart), k: usize) {
        self.words(format!("{what}.users"), (&a.users, &b.users), 1);
        self.words(format!("{what}.targets"), (&a.targets, &b.targets), 1);
        self.words(format!("{what}.candidates"), (&a.candidates, &b.candidates), k);
        let name = |reading: &Reading| format!("{}.{}", reading.rung, reading.read_out);
        let names = |part: &RankedPart| part.readings.iter().map(name).collect::<Vec<_>>().join(", ");
        if names(a) != names(b) {
            return self.push(format!("{what}: scores there are"), names(a), names(b), "");
        }
        for (a, b) in a.readings.iter().zip(&b.readings) {
            let what = format!("{what}.{}", name(a));
            self.scores(format!("{what}.scores"), (&a.scores, &b.scores), k);
            self.words(format!("{what}.ranks"), (&a.ranks, &b.ranks), 1);
            if a.tied_users != b.tied_users {
                self.push(format!("{what}.tied_users"), a.tied_users, b.tied_users, "");
            }
        }
    }

    /// How training went.
    fn records(
        &mut self,
        seed: u64,
        (a, b): (&Manifest, &Manifest),
        (old, new): (&[CurvePoint], &[CurvePoint]),
    ) {
        if a.training != b.training {
            let show = |training: &Option<TrainingRecord>| match training {
                None => "none".to_owned(),
                Some(t) => {
                    format!("{} {} at step {} of {}", t.selected_by, t.best_metric, t.best_step, t.steps)
                }
            };
            self.push(format!("seed {seed}: training"), show(&a.training), show(&b.training), "");
        }
        let point = |point: &CurvePoint| (point.step, point.epoch, point.train_loss, point.metric);
        if old.len() != new.len() {
            let n = |curve: &[CurvePoint]| format!("{} validations", curve.len());
            self.push(format!("seed {seed}: learning curve"), n(old), n(new), "");
        } else if let Some((a, b)) = old.iter().zip(new).find(|(a, b)| point(a) != point(b)) {
            let show = |point: &CurvePoint| {
                let loss = point.train_loss.map_or_else(|| "none".to_owned(), |loss| loss.to_string());
                format!("metric {}, loss {loss}", point.metric)
            };
            let differing = old.iter().zip(new).filter(|(a, b)| point(a) != point(b)).count();
            let extent = format!("{differing} of {} validations", old.len());
            self.push(format!("seed {seed}: learning curve, step {}", a.step), show(a), show(b), extent);
        }
    }

    /// Counts of prompts and of what was cut.
    fn prompts(&mut self, seed: u64, a: &Manifest, b: &Manifest) {
        let (Some(a), Some(b)) = (&a.ranker, &b.ranker) else { return };
        let of = |ranker: &crate::run::RankerRecord| {
            [Some(&ranker.validation), Some(&ranker.test), ranker.training.as_ref()].map(Option::<&_>::cloned)
        };
        for ((name, a), b) in ["validation", "test", "training"].into_iter().zip(of(a)).zip(of(b)) {
            if a != b {
                let show = |of: Option<crate::run::PromptRecord>| {
                    of.map_or_else(
                        || "none".to_owned(),
                        |p| format!("{} prompts, {} tokens, {} cut", p.prompts, p.tokens, p.cut_prompts),
                    )
                };
                self.push(format!("seed {seed}: prompts of {name}"), show(a), show(b), "");
            }
        }
        if a.cut_titles != b.cut_titles {
            self.push(format!("seed {seed}: titles that were cut"), a.cut_titles, b.cut_titles, "");
        }
    }

    /// The hashes of files that hold weights. What to say of them where they are equal.
    fn hashes(&mut self, stored: &Opened, replayed: &Manifest, whose: &str) -> String {
        let mut equal = Vec::new();
        let Manifest { files, left_out, .. } = stored.manifest();
        for name in files.keys().chain(left_out.keys()).filter(|name| is_weights(name)) {
            let old = stored.sha256(name).unwrap_or_default();
            let new = replayed.files.get(name).map_or("none", |file| &file.sha256);
            if old == new {
                equal.push(format!("{name} (SHA-256 {old:.16}..)"));
            } else {
                self.push(format!("{whose}: SHA-256 of {name}"), old, new, "");
            }
        }
        if equal.is_empty() { String::new() } else { format!(" and {}", equal.join(", ")) }
    }

    /// A stored built-in backbone beside the one that was made again.
    pub fn files(&mut self, stored: &Opened, replayed: &Manifest, name: &str) {
        let before = self.differences.len();
        let weights = self.hashes(stored, replayed, name);
        if self.differences.len() == before && !weights.is_empty() {
            self.same.push(format!("{name}: the backbone{weights}"));
        }
    }

    /// The metrics of a stored cell beside those of the replay, as a report has them.
    ///
    /// # Errors
    /// If a report of one of them cannot be made.
    pub fn metrics(
        &mut self,
        stored: &Opened,
        (experiment, replayed): (&Experiment, &Finished),
    ) -> Result<(), Error> {
        let old = if stored.manifest().stage == Cell::NAME {
            Finished { retrieval: stored.decode()?, ranking: None }
        } else {
            // Ranks over all users are counted among the candidates that were ranked.
            let ranking: RankingCell = stored.decode()?;
            let ranked = ranking.manifest.ranker.as_ref().map(|ranker| ranker.retrieval_key.as_str());
            if ranked != Some(replayed.retrieval.manifest.key.as_str()) {
                self.absent.push("metrics, for other candidates were ranked".to_owned());
                return Ok(());
            }
            Finished { retrieval: replayed.retrieval.clone(), ranking: Some(ranking) }
        };
        let report =
            |finished: &Finished| build_report(experiment, std::slice::from_ref(finished), &[], None);
        self.reports(&report(&old)?, &report(replayed)?)
    }

    /// Every number of two reports but times and circumstances.
    ///
    /// # Errors
    /// If a report is not representable in JSON.
    pub fn reports(&mut self, stored: &Report, replayed: &Report) -> Result<(), Error> {
        let json = |report: &Report| {
            serde_json::to_value(report).map_err(|error| {
                let what = format!("the report is not JSON: {error}");
                Error::Report(report::Error::Results { path: report::RESULTS.into(), what })
            })
        };
        let tree = Tree::compare(&json(stored)?, &json(replayed)?);
        if tree.differences.is_empty() {
            let (all, metrics) = (thousands(tree.values), thousands(tree.metrics));
            self.same
                .push(format!("{all} values of the report, {metrics} of them metrics, to the last digit"));
        }
        self.differences.extend(tree.differences);
        Ok(())
    }
}
