//! Every method against the reference.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::{Gate, Verdict};
use super::{Contrast, Error, Method};
use crate::eval::Metric;
use crate::significance::{Entry, Family, Paired, Row, SeedPairing, Settings, family};

/// A method beside the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Index of the method.
    pub method: usize,
    /// How their seeds belong together.
    pub pairing: SeedPairing,
    /// Why, for the reader.
    pub reason: String,
}

/// Methods beside a reference, all metrics, corrected together.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The methods as they were given.
    pub methods: Vec<Method>,
    /// Index of the reference.
    pub reference: usize,
    /// The metrics, in order.
    pub metrics: Vec<Metric>,
    /// The pairs, in the order of the methods.
    pub pairs: Vec<Pair>,
    /// One row for each pair and metric, in this order; A is the method and B the reference. Holm's correction is over all of them.
    pub family: Family,
}

/// Two methods user by user.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs {
    /// How their seeds belong together.
    pub pairing: SeedPairing,
    /// Why, for the reader.
    pub reason: String,
    /// Their values, one table a metric; A is the method and B the base.
    pub paired: Vec<Paired>,
}

/// The users' values of a method beside those of `base`, for each metric over all users, seed by seed as [`compare`] says.
///
/// # Errors
/// A method without runs; runs of different splits or numbers of users.
pub fn pairs_of(method: &Method, base: &Method, metrics: &[Metric]) -> Result<Pairs, Error> {
    check_pair(method, base)?;
    let (pairing, reason) = pairing(method, base);
    // The base's runs in the order of the method's seeds.
    let order: BTreeMap<u64, usize> = base.runs.iter().enumerate().map(|(i, run)| (run.seed, i)).collect();
    let own: Vec<_> = method.runs.iter().map(|run| run.ranks.clone()).collect();
    let other: Vec<_> = match pairing {
        SeedPairing::Shared => {
            let place = |seed: &u64| order.get(seed).map(|at| base.runs[*at].ranks.clone());
            method.runs.iter().filter_map(|run| place(&run.seed)).collect()
        }
        SeedPairing::Independent => base.runs.iter().map(|run| run.ranks.clone()).collect(),
    };
    let paired = metrics.iter().map(|metric| Paired::of_ranks(&own, &other, *metric, pairing));
    Ok(Pairs { pairing, reason, paired: paired.collect::<Result<_, _>>()? })
}

/// Compare every method with the one at `reference`, for each metric over all users. Means, differences and p-values are those of
/// [`family`](crate::significance::family) with its defaults, less the bootstrap.
///
/// Seeds are compared one by one where both methods have the same seeds and each begins with the same candidates
/// ([`Run::shared`](super::Run::shared)); else they are taken as independent trainings.
///
/// # Errors
/// Less than two methods, or two of one name; a method without runs; runs of different splits or numbers of users.
pub fn compare(methods: &[Method], reference: usize, metrics: &[Metric]) -> Result<Compared, Error> {
    check(methods, reference)?;
    let base = &methods[reference];
    let mut pairs = Vec::new();
    let mut tables: Vec<(usize, Metric, Paired)> = Vec::new();
    for (at, method) in methods.iter().enumerate().filter(|(at, _)| *at != reference) {
        let Pairs { pairing, reason, paired } = pairs_of(method, base, metrics)?;
        tables.extend(metrics.iter().zip(paired).map(|(metric, paired)| (at, *metric, paired)));
        pairs.push(Pair { method: at, pairing, reason });
    }
    let names: Vec<String> = metrics.iter().map(ToString::to_string).collect();
    let entries: Vec<Entry<'_>> = tables
        .iter()
        .zip(names.iter().cycle())
        .map(|((at, _, paired), metric)| Entry {
            dataset: "",
            metric,
            a: &methods[*at].name,
            b: &base.name,
            paired,
        })
        .collect();
    let settings = Settings { resamples: 0, ..Settings::default() };
    let family = family(&entries, &settings)?;
    Ok(Compared { methods: methods.to_vec(), reference, metrics: metrics.to_vec(), pairs, family })
}

impl Compared {
    /// One row for each pair and metric.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.family.rows
    }

    /// The rows as plain data.
    #[must_use]
    pub fn contrasts(&self) -> Vec<Contrast> {
        let metrics = self.metrics.iter().cycle();
        self.rows().iter().zip(metrics).map(|(row, metric)| Contrast::new(*metric, row)).collect()
    }

    /// Index of the method of this name.
    ///
    /// # Errors
    /// If there is none; it names those that there are.
    pub fn index(methods: &[Method], name: &str) -> Result<usize, Error> {
        methods.iter().position(|method| method.name == name).ok_or_else(|| Error::Reference {
            name: name.to_owned(),
            known: methods.iter().map(|method| method.name.clone()).collect(),
        })
    }

    /// What a gate says of every pair; empty if its metric is not compared.
    #[must_use]
    pub fn judge(&self, gate: &Gate, interval: bool) -> Vec<Verdict> {
        let name = gate.metric.to_string();
        self.rows().iter().filter(|row| row.metric == name).map(|row| gate.judge(row, interval)).collect()
    }

    /// Whether a gate's metric is one of those that are compared.
    ///
    /// # Errors
    /// If it is not; it names those that are.
    pub fn check_gate(metrics: &[Metric], gate: &Gate) -> Result<(), Error> {
        if metrics.contains(&gate.metric) {
            return Ok(());
        }
        Err(Error::GateMetric {
            gate: gate.to_string(),
            metric: gate.metric.to_string(),
            known: metrics.iter().map(ToString::to_string).collect(),
        })
    }
}

fn check(methods: &[Method], reference: usize) -> Result<(), Error> {
    if methods.len() < 2 || reference >= methods.len() {
        return Err(Error::TooFew { found: methods.len() });
    }
    let mut names = BTreeSet::new();
    for method in methods {
        if !names.insert(&method.name) {
            return Err(Error::Names { name: method.name.clone() });
        }
        has_runs(method)?;
    }
    methods.iter().try_for_each(|method| check_pair(method, &methods[reference]))
}

fn has_runs(method: &Method) -> Result<(), Error> {
    if method.runs.is_empty() {
        return Err(Error::NoRuns { name: method.name.clone(), file: "FILE".to_owned() });
    }
    Ok(())
}

/// Whether a user of one is the user of the other.
fn check_pair(method: &Method, base: &Method) -> Result<(), Error> {
    [method, base].into_iter().try_for_each(has_runs)?;
    if method.split.fingerprint != base.split.fingerprint {
        return Err(Error::Splits {
            a: base.name.clone(),
            b: method.name.clone(),
            fingerprints: (base.split.fingerprint.clone(), method.split.fingerprint.clone()),
            differences: base.split.differences(&method.split),
        });
    }
    let first = &base.runs[0];
    let mut runs = base.runs.iter().map(|run| (base, run)).chain(method.runs.iter().map(|run| (method, run)));
    if let Some((of, run)) = runs.find(|(_, run)| run.ranks.n_users() != first.ranks.n_users()) {
        return Err(Error::Users {
            a: base.name.clone(),
            seed_a: first.seed,
            users_a: first.ranks.n_users(),
            b: of.name.clone(),
            seed_b: run.seed,
            users_b: run.ranks.n_users(),
        });
    }
    Ok(())
}

fn pairing(method: &Method, base: &Method) -> (SeedPairing, String) {
    let shared = |one: &Method| -> BTreeMap<u64, Option<String>> {
        one.runs.iter().map(|run| (run.seed, run.shared.clone())).collect()
    };
    let (own, other) = (shared(method), shared(base));
    let common: Vec<u64> = own
        .iter()
        .filter(|(seed, key)| key.is_some() && other.get(seed) == Some(key))
        .map(|(seed, _)| *seed)
        .collect();
    let same_seeds =
        own.keys().eq(other.keys()) && own.len() == method.runs.len() && other.len() == base.runs.len();
    if same_seeds && common.len() == own.len() {
        let reason = "seeds in pairs, for both begin with the same retriever's candidates".to_owned();
        return (SeedPairing::Shared, reason);
    }
    let reason = if common.is_empty() {
        "seeds taken as independent, for they share no training".to_owned()
    } else {
        format!(
            "seeds taken as independent, though {} of them share their retriever, for the seeds are not the same; that is cautious: \
             intervals are wider than pairs would make them",
            common.len()
        )
    };
    (SeedPairing::Independent, reason)
}
