//! What a method must keep against a reference.

use std::fmt;
use std::str::FromStr;

use crate::eval::Metric;
use crate::significance::Row;

/// A bound on a difference: `NDCG@10 >= -1%` says that a method's NDCG@10 is at most 1 % below the reference's, `NDCG@10 >= -0.001`
/// that it is at most 0.001 below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gate {
    /// Of which metric.
    pub metric: Metric,
    /// From which side.
    pub relation: Relation,
    /// The bound.
    pub threshold: Threshold,
}

/// How a difference stands to its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `<=`
    AtMost,
    /// `<`
    Below,
}

/// A bound on (method - reference).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// In percent of the reference's mean.
    Percent(f64),
    /// As a difference of means.
    Absolute(f64),
}

/// A text that is no gate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{problem}; expected METRIC, then >=, >, <= or <, then a difference to the reference, in percent of it or as it is: \
     'NDCG@10 >= -1%' or 'Recall@5 > 0.002'"
)]
pub struct MalformedGate {
    /// What is wrong.
    pub problem: String,
}

/// What came of a gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The gate.
    pub gate: Gate,
    /// The method.
    pub method: String,
    /// The reference.
    pub reference: String,
    /// What was held against the bound, in its unit; `None` where the reference's mean is 0 and the bound is relative.
    pub found: Option<f64>,
    /// Whether an end of the interval was held against it, and not the difference itself.
    pub interval: bool,
    /// Whether it holds. What is not known does not.
    pub passed: bool,
}

const RELATIONS: [(&str, Relation); 4] =
    [(">=", Relation::AtLeast), ("<=", Relation::AtMost), (">", Relation::Above), ("<", Relation::Below)];

impl Relation {
    /// As it is typed.
    #[must_use]
    pub fn sign(self) -> &'static str {
        RELATIONS.iter().find(|(_, relation)| *relation == self).map_or("", |(sign, _)| sign)
    }

    fn holds(self, found: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => found >= bound,
            Self::Above => found > bound,
            Self::AtMost => found <= bound,
            Self::Below => found < bound,
        }
    }

    /// Whether more is better for it.
    fn wants_more(self) -> bool {
        matches!(self, Self::AtLeast | Self::Above)
    }
}

impl FromStr for Gate {
    type Err = MalformedGate;

    fn from_str(text: &str) -> Result<Self, MalformedGate> {
        let wrong = |problem: String| MalformedGate { problem };
        let at = text.find(['<', '>']).ok_or_else(|| wrong(format!("{text:?} has no relation")))?;
        let (metric, rest) = text.split_at(at);
        // The longer signs come first.
        let (sign, relation) = RELATIONS
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .ok_or_else(|| wrong(format!("{text:?} has no relation")))?;
        let metric =
            metric.trim().parse().map_err(|error: crate::eval::UnknownMetric| wrong(error.to_string()))?;
        let bound = rest[sign.len()..].trim();
        let (number, percent) = match bound.strip_suffix('%') {
            Some(number) => (number.trim_end(), true),
            None => (bound, false),
        };
        // "nan", "inf" and "1e999" are numbers to Rust, and bounds to nobody.
        let value = number.parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| wrong(format!("{bound:?} is no number")))?;
        if !percent && value.abs() > 1.0 {
            return Err(wrong(format!(
                "{bound:?} is no difference of two metrics, which are from 0 to 1; was {bound}% meant?"
            )));
        }
        let threshold = if percent { Threshold::Percent(value) } else { Threshold::Absolute(value) };
        Ok(Self { metric, relation, threshold })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.relation.sign(), self.threshold)
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(value) => write!(f, "{value}%"),
            Self::Absolute(value) => write!(f, "{value}"),
        }
    }
}

impl Gate {
    /// Hold a comparison (A the method, B the reference) against the gate: its difference, or with `interval` the end of its
    /// interval that is worse for the gate. An interval's end is divided by the reference's mean as it is.
    #[must_use]
    pub fn judge(&self, row: &Row, interval: bool) -> Verdict {
        let (effect, ends) = (&row.comparison.effect, row.comparison.interval());
        let difference = match (interval, self.relation.wants_more()) {
            (false, _) => effect.difference,
            (true, true) => ends.low,
            (true, false) => ends.high,
        };
        let (found, bound) = match self.threshold {
            Threshold::Absolute(bound) => (Some(difference), bound),
            Threshold::Percent(bound) => {
                ((effect.mean_b != 0.0).then(|| 100.0 * difference / effect.mean_b), bound)
            }
        };
        let passed = found.is_some_and(|found| self.relation.holds(found, bound));
        let (method, reference) = (row.a.clone(), row.b.clone());
        Verdict { gate: *self, method, reference, found, interval, passed }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gate, method, reference, .. } = self;
        let metric = gate.metric;
        let verb = if self.passed { "holds" } else { "fails" };
        write!(f, "gate `{gate}` {verb}: ")?;
        let Some(found) = self.found else {
            return write!(
                f,
                "{metric} of {reference} is 0, so nothing can be said in percent of it; use a bound without %"
            );
        };
        let unit = match gate.threshold {
            Threshold::Percent(_) => format!("{found:+.4} %"),
            Threshold::Absolute(_) => format!("{found:+.6}"),
        };
        if self.interval {
            let end = if gate.relation.wants_more() { "lower" } else { "upper" };
            write!(f, "the {end} end of the interval of {method} against {reference} in {metric} is {unit}")
        } else {
            write!(f, "{method} against {reference} in {metric} is {unit}")
        }
    }
}
