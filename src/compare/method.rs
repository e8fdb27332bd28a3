//! What is compared.

use crate::eval::RankList;

/// A method on all users of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Its name in tables; each has another.
    pub name: String,
    /// Which part of an experiment it is, such as `retriever` or `tuned ranker`.
    pub stage: String,
    /// Length of a user's candidate list; 0 where that is not known.
    pub candidates: u32,
    /// The users that were asked.
    pub split: Split,
    /// One a seed.
    pub runs: Vec<Run>,
}

/// One seed of a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// What names the candidates that it begins with: runs of two methods with an equal one have the retriever's training in common.
    /// `None` where nothing is known to be shared.
    pub shared: Option<String>,
    /// Users whose held-out item is among the candidates: |R|.
    pub retrieved: usize,
    /// One rank for every user of the split, in its order; none for who is not in R where a ranker ranks R.
    pub ranks: RankList,
}

/// Which users were asked, after which history, and for which item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Split {
    /// SHA-256 over (user, history, target) of every user in order.
    pub fingerprint: String,
    /// What the split came from, by name: counts, settings, hashes of files. Only used to say what differs.
    pub facts: Vec<(String, String)>,
}

impl Split {
    /// The facts that are not the same in both, as `name: this and other`; what only one of them knows is left out.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        self.facts
            .iter()
            .filter_map(|(name, value)| {
                let (_, another) = other.facts.iter().find(|(known, _)| known == name)?;
                (another != value).then(|| format!("{name}: {value} and {another}"))
            })
            .collect()
    }
}

impl Method {
    /// |U|; 0 without runs.
    #[must_use]
    pub fn users(&self) -> usize {
        self.runs.first().map_or(0, |run| run.ranks.n_users())
    }

    /// The seeds, as in `42, 43 and 44`.
    #[must_use]
    pub fn seeds(&self) -> String {
        let seeds: Vec<String> = self.runs.iter().map(|run| run.seed.to_string()).collect();
        listed(&seeds)
    }
}

/// `a, b and c`.
pub(crate) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
