//! How numbers and lists look. Only here is anything rounded.

pub(super) use crate::compare::listed;
use crate::document::Cell;
use crate::eval::SeedSummary;
pub(super) use crate::report::thousands;

/// The rounding rule, for captions.
pub(super) const ROUNDING: &str = "Metrics are rounded to the nearest 4th decimal and percents to the nearest 2nd, exact halves to even; \
    percents, means of percents, best and second are from unrounded values.";

/// `1 seed` or `5 seeds`.
pub(super) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A metric with its spread over seeds, where there is one.
pub(super) fn metric(summary: &SeedSummary) -> Cell {
    let cell = Cell::number(format!("{:.4}", summary.mean), summary.mean);
    match summary.sd {
        Some(sd) => cell.spread(format!("{sd:.4}"), sd),
        None => cell,
    }
}

/// A percentage with its sign; a dash where there is none.
pub(super) fn percent(value: Option<f64>) -> Cell {
    let finite = value.filter(|value| value.is_finite());
    // Not -0.00.
    finite.map_or_else(Cell::none, |value| Cell::number(format!("{:+.2}", value + 0.0), value + 0.0))
}

/// A count over seeds: `126`, or `126.4 ± 2.1`.
pub(super) fn count(summary: &SeedSummary) -> String {
    let mean = if summary.mean.fract() == 0.0 {
        thousands(summary.mean as u64)
    } else {
        let whole = thousands(summary.mean.trunc() as u64);
        // One decimal that may carry over.
        let tenths = format!("{:.1}", summary.mean.fract());
        match tenths.strip_prefix("0") {
            Some(rest) => format!("{whole}{rest}"),
            None => format!("{}.0", thousands(summary.mean.trunc() as u64 + 1)),
        }
    };
    match summary.sd {
        Some(sd) if sd > 0.0 => format!("{mean} ± {sd:.1}"),
        _ => mean,
    }
}

/// `a`, `b`, .. `z`, `aa`, ..
pub(super) fn letter(at: usize) -> String {
    let last = char::from(b'a' + (at % 26) as u8);
    if at < 26 { last.to_string() } else { format!("{}{last}", letter(at / 26 - 1)) }
}

/// A name as an id: `a-z`, `0-9` and `-`.
pub(super) fn id(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let id = words.collect::<Vec<_>>().join("-");
    if id.is_empty() { "dataset".to_owned() } else { id }
}

/// The beginning of a hash.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_letters_read_as_people_write_them() {
        let of = |values: &[f64]| count(&SeedSummary::of(values).unwrap());
        assert_eq!(of(&[126.0]), "126");
        assert_eq!(of(&[2764.0, 2766.0, 2766.0]), "2,765.3 ± 1.2");
        assert_eq!(of(&[999.0, 1000.0, 1000.0, 1000.0].repeat(8)), "999.8 ± 0.4");
        assert_eq!(of(&[[1000.0; 31].as_slice(), &[999.0]].concat()), "1,000.0 ± 0.2");
        assert_eq!([0, 25, 26, 27].map(letter), ["a", "z", "aa", "ab"]);
        assert_eq!([id("ML-100K (split f0)"), id("é")], ["ml-100k-split-f0", "dataset"]);
    }
}
