//! Experiments of one split, and each of their methods once.

use super::model::{Input, Study};
use super::values::Means;
use super::words::{id, letter, short};
use super::{Error, labels};
use crate::compare::Method;
use crate::eval::{Metric, MetricKind, Rung};
use crate::run::{DatasetRecord, Manifest};

/// All that was measured on one split.
#[derive(Debug, Clone)]
pub struct Block {
    /// The dataset's name, with the split's if there are several of it.
    pub title: String,
    /// The same as a part of ids.
    pub id: String,
    /// What the first cell says of the data; `None` if there are only imported runs.
    pub dataset: Option<DatasetRecord>,
    /// The methods: retrievers, rankers before training, rankers after it, imported runs.
    pub lines: Vec<Line>,
    /// Index of the method that percent improvements are of.
    pub reference: usize,
}

/// A method of a block.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its ranks; its name is that of tables.
    pub method: Method,
    /// The name where there is little room.
    pub short: String,
    /// What names it in superscripts.
    pub letter: String,
    /// What it is.
    pub kind: LineKind,
    /// Whether it is what an experiment ends in: the ranker where there is one, else the retriever.
    pub main: bool,
    /// The experiments that have it.
    pub experiments: Vec<String>,
    /// Its means.
    pub means: Means,
    /// The backbone as it is named in the experiment.
    backbone: Option<String>,
    retriever: String,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineKind {
    /// A retriever's own order.
    Retriever,
    /// A language model as it was before training.
    ZeroShot,
    /// A tuned language model.
    Tuned,
    /// A run of another program.
    Imported,
}

impl LineKind {
    /// Whether it orders the candidates of a retriever.
    #[must_use]
    pub fn is_ranker(self) -> bool {
        matches!(self, Self::ZeroShot | Self::Tuned)
    }
}

impl Block {
    /// The lines that the papers' tables have: what experiments end in, rankers alone where there are some.
    #[must_use]
    pub fn paper_lines(&self) -> Vec<usize> {
        let rankers = self.lines.iter().any(|line| line.main && line.kind.is_ranker());
        let shown = |line: &Line| line.main && (!rankers || line.kind.is_ranker());
        (0..self.lines.len()).filter(|at| shown(&self.lines[*at])).collect()
    }

    /// |U|.
    #[must_use]
    pub fn users(&self) -> usize {
        self.lines.first().map_or(0, |line| line.method.users())
    }
}

/// M, N and R at every cutoff of the studies, in the papers' order; at the papers' cutoffs where there is no study.
pub(super) fn metrics(studies: &[Study]) -> Vec<Metric> {
    let mut cutoffs: Vec<u32> = studies.iter().flat_map(|study| study.cutoffs.iter().copied()).collect();
    if cutoffs.is_empty() {
        cutoffs = vec![5, 10];
    }
    cutoffs.sort_unstable();
    cutoffs.dedup();
    cutoffs.iter().flat_map(|k| MetricKind::ALL.map(|kind| Metric::new(kind, *k))).collect()
}

/// The blocks, in the papers' order of datasets, then in that of the input.
///
/// # Errors
/// If `input.reference` is no method of any block.
pub fn blocks(input: &Input<'_>) -> Result<Vec<Block>, Error> {
    let deepest = metrics(input.studies).iter().map(|metric| metric.k).max().unwrap_or(1);
    let mut splits: Vec<&str> = Vec::new();
    let of_studies = input.studies.iter().filter_map(fingerprint);
    for split in of_studies.chain(input.imported.iter().map(|method| method.split.fingerprint.as_str())) {
        if !splits.contains(&split) {
            splits.push(split);
        }
    }
    let mut blocks: Vec<Block> = splits.iter().map(|split| block(input, split, deepest)).collect();
    blocks.sort_by_key(|block| labels::dataset_place(block.dataset.as_ref().map_or("", |data| &data.name)));
    tell_apart(&mut blocks, &splits);
    refer(&mut blocks, input)?;
    Ok(blocks)
}

fn fingerprint(study: &Study) -> Option<&str> {
    study.retrievals.first().map(|manifest| manifest.dataset.split_fingerprint.as_str())
}

fn block(input: &Input<'_>, split: &str, deepest: u32) -> Block {
    let studies: Vec<&Study> =
        input.studies.iter().filter(|study| fingerprint(study) == Some(split)).collect();
    let mut lines: Vec<Line> = Vec::new();
    for study in &studies {
        let last = study.methods.iter().map(|(rung, _)| *rung).max();
        for (rung, method) in &study.methods {
            let main = Some(*rung) == last;
            match lines.iter().position(|line| is_same(line, study, *rung, method)) {
                Some(at) => {
                    let line = &mut lines[at];
                    // The retriever of a ranker that is an experiment of its own too.
                    line.main |= main;
                    line.experiments.push(study.experiment.clone());
                    if method.runs.len() > line.method.runs.len() {
                        line.method.clone_from(method);
                        line.means = Means::of(method, deepest);
                    }
                }
                None => lines.push(line(study, *rung, method, main, deepest)),
            }
        }
    }
    for method in input.imported.iter().filter(|method| method.split.fingerprint == split) {
        lines.push(Line {
            method: method.clone(),
            short: method.name.clone(),
            letter: String::new(),
            kind: LineKind::Imported,
            main: true,
            experiments: Vec::new(),
            means: Means::of(method, deepest),
            backbone: None,
            retriever: String::new(),
        });
    }
    let dataset =
        studies.first().and_then(|study| study.retrievals.first()).map(|manifest| manifest.dataset.clone());
    let named = input.imported.iter().find(|method| method.split.fingerprint == split);
    let fact = named.and_then(|method| method.split.facts.iter().find(|(name, _)| name == "dataset"));
    let name = dataset.as_ref().map(|data| data.name.as_str()).or(fact.map(|(_, name)| name.as_str()));
    let title = labels::dataset(name.unwrap_or("data"));
    Block { id: id(&title), title, dataset, lines, reference: 0 }
}

/// Experiments may share a stage: then their runs of it are the same cells, or one has fewer seeds of them.
fn is_same(line: &Line, study: &Study, rung: Rung, method: &Method) -> bool {
    if line.kind != kind(rung) || line.backbone.as_deref() != backbone(study, rung) {
        return false;
    }
    let known = |run: &crate::compare::Run| {
        line.method.runs.iter().find(|other| other.seed == run.seed && other.shared == run.shared)
    };
    let (few, many) = (method.runs.len(), line.method.runs.len());
    let shared = method.runs.iter().filter_map(|run| known(run).map(|other| (run, other)));
    let shared: Vec<_> = shared.collect();
    shared.len() == few.min(many)
        && shared.iter().all(|(run, other)| run.ranks == other.ranks && run.shared.is_some())
}

fn kind(rung: Rung) -> LineKind {
    match rung {
        Rung::Tuned => LineKind::Tuned,
        Rung::ZeroShot => LineKind::ZeroShot,
        Rung::Random | Rung::Retriever | Rung::Oracle => LineKind::Retriever,
    }
}

fn backbone(study: &Study, rung: Rung) -> Option<&str> {
    study.backbone().filter(|_| kind(rung).is_ranker())
}

fn line(study: &Study, rung: Rung, method: &Method, main: bool, deepest: u32) -> Line {
    Line {
        method: method.clone(),
        short: String::new(),
        letter: String::new(),
        kind: kind(rung),
        main,
        experiments: vec![study.experiment.clone()],
        means: Means::of(method, deepest),
        backbone: backbone(study, rung).map(str::to_owned),
        retriever: study.retriever().to_owned(),
    }
}

/// Two splits of one dataset are two blocks, and their titles say which.
fn tell_apart(blocks: &mut [Block], splits: &[&str]) {
    let titles: Vec<String> = blocks.iter().map(|block| block.title.clone()).collect();
    for block in blocks.iter_mut() {
        if titles.iter().filter(|title| **title == block.title).count() > 1 {
            let split = block.lines.first().map_or("", |line| &line.method.split.fingerprint);
            block.title = format!("{} (split {})", block.title, short(split));
            block.id = id(&block.title);
        }
    }
    // Names of two datasets may make one id.
    for at in 1..blocks.len() {
        if blocks[..at].iter().any(|other| other.id == blocks[at].id) {
            blocks[at].id = format!("{}-{}", blocks[at].id, at + splits.len());
        }
    }
}

/// Order lines, name them, and find the reference.
fn refer(blocks: &mut [Block], input: &Input<'_>) -> Result<(), Error> {
    let mut found = false;
    for block in blocks.iter_mut() {
        name(&mut block.lines);
        let named = input.reference.and_then(|name| block.lines.iter().rposition(|line| goes_by(line, name)));
        found |= named.is_some();
        let reference = named.unwrap_or_else(|| by_default(&block.lines));
        let key = block.lines.get(reference).map(|line| line.method.name.clone());
        let of_reference =
            block.lines.get(reference).map(|line| line.experiments.clone()).unwrap_or_default();
        // The reference's experiment first, as the papers put what they compare with.
        block.lines.sort_by_key(|line| {
            let first = line.experiments.iter().any(|name| of_reference.contains(name));
            (line.kind, !first)
        });
        let place = block.lines.iter().position(|line| Some(&line.method.name) == key.as_ref());
        block.reference = place.unwrap_or(0);
        for (at, line) in block.lines.iter_mut().enumerate() {
            line.letter = letter(at);
        }
    }
    match input.reference {
        Some(name) if !found => {
            let mut known: Vec<String> =
                blocks.iter().flat_map(|block| &block.lines).map(|line| line.method.name.clone()).collect();
            known.extend(input.studies.iter().map(|study| study.experiment.clone()));
            known.sort_unstable();
            known.dedup();
            Err(Error::Reference { name: name.to_owned(), known })
        }
        _ => Ok(()),
    }
}

/// Whether a line is meant by a name: its own, its backbone's, or that of an experiment that ends in it.
fn goes_by(line: &Line, name: &str) -> bool {
    let of_backbone = line.backbone.as_deref().is_some_and(|own| {
        line.main && [own, labels::backbone(own)].iter().any(|own| own.eq_ignore_ascii_case(name))
    });
    let own = [&line.method.name, &line.short].iter().any(|own| own.as_str() == name);
    own || of_backbone || line.main && line.experiments.iter().any(|experiment| experiment == name)
}

/// Llama-2-7b where both backbones of the paper are, else what the first experiment ends in.
fn by_default(lines: &[Line]) -> usize {
    let column = |line: &Line| line.backbone.as_deref().and_then(labels::paper_column).filter(|_| line.main);
    let of = |at: usize| lines.iter().position(|line| column(line) == Some(at));
    match (of(0), of(1)) {
        (Some(llama_2), Some(_)) => llama_2,
        _ => {
            let first = lines.first().and_then(|line| line.experiments.first());
            let ends = |line: &Line| line.main && first.is_none_or(|name| line.experiments.contains(name));
            lines.iter().rposition(ends).unwrap_or(0)
        }
    }
}

/// Names that differ: the retriever's or the backbone's, with the experiment's where that is not enough.
fn name(lines: &mut [Line]) {
    let names: Vec<(String, String)> = lines.iter().map(plain_names).collect();
    for (at, line) in lines.iter_mut().enumerate() {
        let (mut full, mut short) = names[at].clone();
        if names.iter().filter(|(other, _)| *other == full).count() > 1 {
            let experiment = line.experiments.first().cloned().unwrap_or_else(|| "imported".to_owned());
            full = format!("{full} ({experiment})");
            short.clone_from(&full);
        }
        (line.method.name, line.short) = (full, short);
    }
    // Experiments in two folders may have one name.
    for at in 1..lines.len() {
        if lines[..at].iter().any(|other| other.method.name == lines[at].method.name) {
            lines[at].method.name = format!("{} {}", lines[at].method.name, at + 1);
            lines[at].short = lines[at].method.name.clone();
        }
    }
}

fn plain_names(line: &Line) -> (String, String) {
    match line.kind {
        LineKind::Imported => (line.method.name.clone(), line.method.name.clone()),
        kind => labels::method(kind, &line.retriever, line.backbone.as_deref()),
    }
}

/// An experiment that is still to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coming<'a> {
    /// Its name.
    pub experiment: &'a str,
    /// Its retriever: `lru`, `popularity` or `random`.
    pub retriever: &'a str,
    /// Its backbone as the experiment names it, if it has one.
    pub backbone: Option<&'a str>,
}

/// Whether a reference can be a method of the report that these experiments and imported runs will make. Which names need the
/// experiment's to be told apart is known only when they are stored, so a name with more behind it may pass.
///
/// # Errors
/// [`Error::Reference`] if it can be none of them.
pub fn may_refer(reference: &str, coming: &[Coming<'_>], imported: &[String]) -> Result<(), Error> {
    let mut known: Vec<String> = imported.to_vec();
    for Coming { experiment, retriever, backbone } in coming {
        known.push((*experiment).to_owned());
        let retriever_alone = labels::method(LineKind::Retriever, retriever, None);
        let ranker = |kind| backbone.map(|backbone| labels::method(kind, retriever, Some(backbone)));
        let ranked = [LineKind::ZeroShot, LineKind::Tuned].into_iter().filter_map(ranker);
        known.extend(ranked.chain([retriever_alone]).flat_map(|(full, short)| [full, short]));
        known
            .extend(backbone.iter().flat_map(|name| [(*name).to_owned(), labels::backbone(name).to_owned()]));
    }
    known.sort_unstable();
    known.dedup();
    let is = |name: &String| {
        let rest = reference.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name));
        rest.is_some() && matches!(reference[name.len()..].chars().next(), None | Some(' '))
    };
    if known.iter().any(is) { Ok(()) } else { Err(Error::Reference { name: reference.to_owned(), known }) }
}

/// The manifests of a study.
pub(super) fn manifests(study: &Study) -> impl Iterator<Item = &Manifest> {
    study.retrievals.iter().chain(&study.rankings)
}
