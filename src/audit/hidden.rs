//! |R|, which no paper prints: which integers give every cell of a table over R, and of the table over all users beside it.
//!
//! A recall over R is a whole number of users over |R|, and the same number over |U| in the table over all users, because
//! users outside of R add nothing up to the number of candidates. MRR and NDCG over all users are those over R times |R| / |U|.
//! Each printed number is taken for all that it can stand for, rounded or cut.

use super::cells::{Cell, Cells, Table};
use super::digits::{Digits, Interval};
use super::sizes::Sizes;
use super::{Check, Finding, HiddenUsers, Severity};
use crate::baseline::{Baseline, Scope};
use crate::eval::{Metric, MetricKind};

/// The most values of |R| that are tried.
const MOST: u64 = 10_000_000;

/// Find |R| of every table over R, and say where there is none.
pub(super) fn hidden(
    file: &Baseline,
    cells: &Cells<'_>,
    sizes: &Sizes,
    findings: &mut Vec<Finding>,
) -> Vec<HiddenUsers> {
    let mut found = Vec::new();
    for table in cells.over_r() {
        let search = Search::new(file, cells, sizes, table);
        let users = search.run(findings);
        if let Some(users) = users {
            stated(file, &users, findings);
            found.push(users);
        }
    }
    found
}

/// The |R| that the file states must be one of those found, and its |U| that of the dataset table.
fn stated(file: &Baseline, users: &HiddenUsers, findings: &mut Vec<Finding>) {
    for stated in &file.retrieved {
        if (stated.dataset.as_str(), stated.split.as_str()) != (users.dataset.as_str(), users.split.as_str())
        {
            continue;
        }
        let other_users = users.users.is_some_and(|found| found != stated.users);
        if !other_users && (users.users.is_none() || users.contains(stated.retrieved)) {
            continue;
        }
        findings.push(Finding {
            severity: Severity::Contradiction,
            check: Check::StatedUsers,
            line: stated.line,
            dataset: stated.dataset.clone(),
            table: users.tables.join(" and "),
            cells: "|R|".to_owned(),
            numbers: format!(
                "stated {} of {}; found {} of {}",
                stated.retrieved,
                stated.users,
                runs(&users.retrieved),
                users.users.map_or_else(|| "?".to_owned(), |users| users.to_string())
            ),
            meaning: "The stated number of ranked users is none that the printed digits allow.".to_owned(),
        });
    }
}

/// `126`, `12 to 15, 18`; at most a few runs.
pub(super) fn runs(runs: &[(u64, u64)]) -> String {
    const MOST: usize = 6;
    let one = |(first, last): &(u64, u64)| {
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    };
    let mut text: Vec<String> = runs.iter().take(MOST).map(one).collect();
    if runs.len() > MOST {
        text.push(format!("{} more", runs.len() - MOST));
    }
    if text.is_empty() { "none".to_owned() } else { text.join(", ") }
}

/// How digits were dropped in the table over R and in the one over all users.
type Ways = (Digits, Digits);

/// A way, and the values of |R| that agree with it.
type Agreeing = (Ways, Vec<u64>);

struct Search<'a> {
    table: &'a Table<'a>,
    overall: Option<&'a Table<'a>>,
    users: Option<u64>,
    /// The methods that rank R and nothing else, so that their two numbers are tied.
    tied: Vec<&'a str>,
}

impl<'a> Search<'a> {
    fn new(file: &'a Baseline, cells: &'a Cells<'a>, sizes: &Sizes, table: &'a Table<'a>) -> Self {
        let tied = match table.scope {
            Scope::RankerOnly => table.methods(),
            _ => {
                let named = table.cells.iter().find_map(|cell| cell.row.tags.retriever.as_deref());
                let same = |dataset: &str, split: &str| (dataset, split) == (table.dataset, table.split);
                let stated = || file.retrieved.iter().find(|stated| same(&stated.dataset, &stated.split));
                let retriever = named.or_else(|| stated().map(|stated| stated.method.as_str()));
                table.methods().into_iter().filter(|method| Some(*method) == retriever).collect()
            }
        };
        let overall = cells.overall_of(table);
        Self { table, overall, users: sizes.users(table), tied }
    }

    fn run(&self, findings: &mut Vec<Finding>) -> Option<HiddenUsers> {
        self.one_share(findings);
        let recalls = |cell: &Cell<'_>| cell.row.metric.kind == MetricKind::Recall;
        let any_recall = self.table.cells.iter().any(recalls);
        if any_recall && !self.table.of_batches() {
            let whole = self.agreeing(|retrieved, ways| self.whole(retrieved, ways))?;
            if !whole.is_empty() {
                let how = match (self.overall, self.users) {
                    (Some(_), Some(_)) => "every recall is a whole number of users, the same in both tables",
                    _ => "every recall is a whole number of users",
                };
                return Some(self.described(&self.settle(whole, findings), how));
            }
        }
        let mut same = Vec::new();
        if self.users.is_some() && self.pairs().next().is_some() {
            let agrees = |cells: Vec<(Cell<'_>, Cell<'_>)>| cells.iter().all(|(cell, _)| !self.is_tied(cell));
            same = self.agreeing(|retrieved, ways| agrees(self.unequal(retrieved, ways)))?;
            if same.is_empty() {
                findings.push(self.contradiction());
                return None;
            }
            // The other methods are only told of: what they add outside of R is not known, so they narrow nothing.
            self.settle(same.clone(), findings);
        }
        if any_recall && !self.table.of_batches() {
            findings.push(self.no_whole_number(&same));
        }
        (!same.is_empty())
            .then(|| self.described(&same, "the numbers over all users are those over R times |R| / |U|"))
    }

    fn is_tied(&self, cell: &Cell<'_>) -> bool {
        self.tied.contains(&cell.row.method.as_str())
    }

    /// The tied cells over R with those over all users.
    fn pairs(&self) -> impl Iterator<Item = (Cell<'a>, Cell<'a>)> {
        let tied = |cell: &&Cell<'a>| self.is_tied(cell);
        let cells: Vec<_> = self
            .table
            .cells
            .iter()
            .filter(tied)
            .filter_map(|cell| Some((*cell, self.overall?.get(&cell.row.method, cell.row.metric)?)))
            .collect();
        cells.into_iter()
    }

    /// For every way, the values of |R| for which `agrees` holds; ways without any are left out. `None` where there are too many
    /// to try.
    fn agreeing(&self, agrees: impl Fn(u64, Ways) -> bool) -> Option<Vec<Agreeing>> {
        let (first, last) = self.range()?;
        let second: &[Digits] = if self.overall.is_some() { &Digits::ALL } else { &Digits::ALL[..1] };
        let ways = Digits::ALL.into_iter().flat_map(|one| second.iter().map(move |other| (one, *other)));
        let mut found: Vec<Agreeing> = ways
            .map(|ways| (ways, (first..=last).filter(|retrieved| agrees(*retrieved, ways)).collect()))
            .filter(|(_, retrieved): &Agreeing| !retrieved.is_empty())
            .collect();
        // One program drops digits in one way: those come first.
        found.sort_by_key(|((one, other), _)| one != other);
        Some(found)
    }

    /// The values of |R| worth trying.
    fn range(&self) -> Option<(u64, u64)> {
        let places = self.table.cells.first()?.printed.places;
        // From there on every printed number is some whole number of users.
        let fine = 10_u64.pow(places.min(12));
        let Some(users) = self.users else { return (fine <= MOST).then_some((1, fine)) };
        let (mut low, mut high): (f64, f64) = (0.0, 1.0);
        for (cell, overall) in self.pairs().filter(|(cell, _)| cell.row.metric.kind == MetricKind::Recall) {
            let (least, most) = share(&cell, &overall);
            (low, high) = (low.max(least), high.min(most));
        }
        if self.pairs().next().is_none() {
            high = high.min(fine as f64 / users as f64);
        }
        let first = ((low * users as f64).floor() as u64).saturating_sub(1).max(1);
        let last = ((high * users as f64).ceil() as u64 + 1).min(users);
        (last.saturating_sub(first) <= MOST).then_some((first, last))
    }

    /// Whether every recall is a whole number of users, the same in both tables, that does not fall with the cutoff.
    fn whole(&self, retrieved: u64, (way, other): Ways) -> bool {
        self.table.methods().into_iter().all(|method| {
            let mut least = 0;
            self.recalls(method).into_iter().all(|metric| {
                let (first, last) = self.hits(method, metric, retrieved, (way, other));
                let first = first.max(least);
                least = first;
                first <= last
            })
        })
    }

    /// The recalls of a method over R, by cutoff.
    fn recalls(&self, method: &str) -> Vec<Metric> {
        let of = self.table.cells.iter().filter(|cell| cell.row.method == method);
        let mut found: Vec<Metric> =
            of.map(|cell| cell.row.metric).filter(|metric| metric.kind == MetricKind::Recall).collect();
        found.sort_unstable();
        found
    }

    /// The hits that a recall can stand for.
    fn hits(&self, method: &str, metric: Metric, retrieved: u64, (way, other): Ways) -> (i128, i128) {
        let Some(cell) = self.table.get(method, metric) else { return (1, 0) };
        let (mut first, mut last) = interval(&cell, way).hits(i128::from(retrieved));
        if let (Some(overall), Some(users)) = (self.overall.and_then(|of| of.get(method, metric)), self.users)
        {
            let (least, most) = interval(&overall, other).hits(i128::from(users));
            last = last.min(most);
            if self.tied.contains(&method) {
                first = first.max(least);
            }
        }
        (first, last)
    }

    /// The tied cells that are not |R| / |U| of each other, and the others that are larger over R than over all users.
    fn unequal(&self, retrieved: u64, (way, other): Ways) -> Vec<(Cell<'a>, Cell<'a>)> {
        let (Some(users), Some(overall)) = (self.users, self.overall) else { return Vec::new() };
        let (retrieved, users) = (i128::from(retrieved), i128::from(users));
        let mut found = Vec::new();
        for cell in &self.table.cells {
            let Some(all) = overall.get(&cell.row.method, cell.row.metric) else { continue };
            let (mine, theirs) = (interval(cell, way), interval(&all, other));
            let agrees = if self.is_tied(cell) {
                mine.meets(retrieved, theirs, users)
            } else {
                mine.can_be_below(retrieved, theirs, users)
            };
            if !agrees {
                found.push((*cell, all));
            }
        }
        found
    }

    /// Of these values of |R|, keep those with the fewest cells that disagree, and tell these cells.
    fn settle(&self, whole: Vec<Agreeing>, findings: &mut Vec<Finding>) -> Vec<Agreeing> {
        let mut best: Option<(usize, u64, Ways)> = None;
        let mut counts: Vec<Vec<usize>> = Vec::new();
        for (ways, values) in &whole {
            let of: Vec<usize> =
                values.iter().map(|retrieved| self.unequal(*retrieved, *ways).len()).collect();
            for (count, retrieved) in of.iter().zip(values) {
                if best.is_none_or(|(least, ..)| *count < least) {
                    best = Some((*count, *retrieved, *ways));
                }
            }
            counts.push(of);
        }
        let least = best.map_or(0, |(least, ..)| least);
        let kept: Vec<Agreeing> = whole
            .into_iter()
            .zip(counts)
            .map(|((ways, values), counts)| {
                let few = values.into_iter().zip(counts).filter(|(_, count)| *count == least);
                (ways, few.map(|(retrieved, _)| retrieved).collect())
            })
            .filter(|(_, values): &Agreeing| !values.is_empty())
            .collect();
        if let (Some((_, retrieved, ways)), Some(users)) = (best, self.users) {
            for (cell, overall) in self.unequal(retrieved, ways) {
                let of = interval(&overall, ways.1);
                let ratio = users as f64 / retrieved as f64;
                let end = if ways.1 == Digits::Cut { ')' } else { ']' };
                findings.push(Finding {
                    table: format!("{} and {}", self.table.name, overall.row.table),
                    numbers: format!(
                        "{} is printed; {} of all {users} users is [{:.5}, {:.5}{end} over the {retrieved} of R",
                        cell.row.printed,
                        overall.row.printed,
                        of.low() * ratio,
                        of.high() * ratio
                    ),
                    meaning: if self.is_tied(&cell) {
                        "The number over all users is not the number over R times |R| / |U|, which it must be.".to_owned()
                    } else {
                        "The number over all users is less than what the users of R alone give (means over batches, or over \
                            other users, can do this)."
                            .to_owned()
                    },
                    ..self.table.finding(Severity::Contradiction, Check::Identity, &[cell])
                });
            }
        }
        kept
    }

    fn described(&self, agreeing: &[Agreeing], how: &str) -> HiddenUsers {
        let mut values: Vec<u64> = agreeing.iter().flat_map(|(_, values)| values).copied().collect();
        values.sort_unstable();
        values.dedup();
        let mut retrieved: Vec<(u64, u64)> = Vec::new();
        for value in values {
            match retrieved.last_mut() {
                Some((_, last)) if *last + 1 == value => *last = value,
                _ => retrieved.push((value, value)),
            }
        }
        let mut hits = Vec::new();
        if let [(only, last)] = retrieved[..]
            && only == last
        {
            for cell in self.table.cells.iter().filter(|cell| cell.row.metric.kind == MetricKind::Recall) {
                let (method, metric) = (&cell.row.method, cell.row.metric);
                let of = agreeing.iter().map(|(ways, _)| self.hits(method, metric, only, *ways));
                let ends =
                    of.filter(|(first, last)| first <= last).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
                hits.extend(ends.map(|(first, last)| (metric, method.clone(), first as u64, last as u64)));
            }
        }
        let overall = self.overall.filter(|_| self.users.is_some());
        let tables = std::iter::once(self.table.name).chain(overall.map(|of| of.name));
        HiddenUsers {
            dataset: self.table.dataset.to_owned(),
            tables: tables.map(str::to_owned).collect(),
            split: self.table.split.to_owned(),
            users: self.users,
            retrieved,
            hits,
            digits: agreeing.iter().map(|((one, other), _)| (*one, overall.map(|_| *other))).collect(),
            how: how.to_owned(),
        }
    }

    /// Without |U|, the share |R| / |U| must still be one for all cells.
    fn one_share(&self, findings: &mut Vec<Finding>) {
        if self.users.is_some() {
            return;
        }
        let shares: Vec<_> = self.pairs().map(|(cell, overall)| (cell, share(&cell, &overall))).collect();
        let low = shares.iter().map(|(_, (low, _))| *low).fold(0.0, f64::max);
        let high = shares.iter().map(|(_, (_, high))| *high).fold(1.0, f64::min);
        if low > high + 1e-12 {
            let one = |(cell, (low, high)): &(Cell<'_>, (f64, f64))| {
                format!("{}: {low:.4} to {high:.4}", super::cells::name(cell.row))
            };
            let cells: Vec<Cell<'_>> = shares.iter().map(|(cell, _)| *cell).collect();
            findings.push(Finding {
                table: self.both(),
                numbers: format!("|R| / |U| by {}", shares.iter().map(one).collect::<Vec<_>>().join("; ")),
                meaning: "No share of ranked users leads from the numbers over R to those over all users."
                    .to_owned(),
                ..self.table.finding(Severity::Contradiction, Check::Identity, &cells)
            });
        }
    }

    fn both(&self) -> String {
        self.overall
            .map_or_else(|| self.table.name.to_owned(), |of| format!("{} and {}", self.table.name, of.name))
    }

    /// No |R| leads from one table to the other.
    fn contradiction(&self) -> Finding {
        let users = self.users.unwrap_or(0) as f64;
        let one = |(cell, overall): (Cell<'_>, Cell<'_>)| {
            let (low, high) = share(&cell, &overall);
            format!("{}: {:.1} to {:.1}", super::cells::name(cell.row), low * users, high * users)
        };
        let cells: Vec<Cell<'_>> = self.pairs().map(|(cell, _)| cell).collect();
        Finding {
            table: self.both(),
            numbers: format!("|R| of {users} users by {}", self.pairs().map(one).collect::<Vec<_>>().join("; ")),
            meaning: "No |R| leads from the numbers over R to those over all users, as it would for means over users \
                (means over batches, or over other users, can do this)."
                .to_owned(),
            ..self.table.finding(Severity::Contradiction, Check::Identity, &cells)
        }
    }

    /// No |R| makes every recall a whole number of users.
    fn no_whole_number(&self, same: &[Agreeing]) -> Finding {
        // With the |R| that is left, or else with the last that was tried, say which cells cannot be.
        let known = same.first().and_then(|(_, values)| values.first()).copied();
        let recalls = self.table.cells.iter().filter(|cell| cell.row.metric.kind == MetricKind::Recall);
        let fails = |cell: &&Cell<'_>| {
            known.is_none_or(|retrieved| {
                Digits::ALL.into_iter().all(|way| {
                    let (first, last) = interval(cell, way).hits(i128::from(retrieved));
                    first > last
                })
            })
        };
        let cells: Vec<Cell<'_>> = recalls.filter(fails).copied().collect();
        let numbers = match known {
            Some(retrieved) => {
                let near = |cell: &Cell<'_>| {
                    let hits = cell.printed.value() * retrieved as f64;
                    format!("{} of {retrieved} users is {hits:.2}", cell.row.printed)
                };
                cells.iter().map(near).collect::<Vec<_>>().join("; ")
            }
            None => match self.range() {
                Some((first, last)) => format!("none of {first} to {last} users"),
                None => "no number of users".to_owned(),
            },
        };
        Finding {
            numbers,
            meaning: "No |R| makes every recall a whole number of users, rounded or cut (means over batches, or over other \
                users for each method, can do this)."
                .to_owned(),
            ..self.table.finding(Severity::Doubt, Check::WholeUsers, &cells)
        }
    }
}

/// What a number in [0, 1] can stand for.
pub(super) fn interval(cell: &Cell<'_>, way: Digits) -> Interval {
    cell.printed.interval(way).within_unit()
}

/// The shares |R| / |U| that a cell over R and one over all users allow, whichever way digits were dropped.
fn share(cell: &Cell<'_>, overall: &Cell<'_>) -> (f64, f64) {
    let ((low, high), (least, most)) = (cell.printed.bounds(), overall.printed.bounds());
    let low_share = (least.max(0.0) / high.max(f64::MIN_POSITIVE)).min(1.0);
    let high_share = if low <= 0.0 { 1.0 } else { (most / low).min(1.0) };
    (low_share, high_share)
}
