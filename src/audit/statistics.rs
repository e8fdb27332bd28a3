//! A dataset's figures against each other: length = interactions / users, density = interactions / (users x items).

use super::digits::Printed;
use super::{Check, Finding, Severity};
use crate::baseline::Baseline;

/// Hold every row of a dataset table against itself.
pub(super) fn statistics(file: &Baseline, findings: &mut Vec<Finding>) {
    for (row, line) in file.statistics.iter().zip(&file.statistics_lines) {
        let mut tell = |cells: &str, numbers: String| {
            findings.push(Finding {
                severity: Severity::Doubt,
                check: Check::Statistics,
                line: *line,
                dataset: row.dataset.clone(),
                table: row.table.clone(),
                cells: cells.to_owned(),
                numbers,
                meaning: "The dataset's figures do not agree with each other; some of them may be of other data, such as the raw file."
                    .to_owned(),
            });
        };
        let [users, items, interactions, length, density] =
            [&row.users, &row.items, &row.interactions, &row.length, &row.density].map(|text| amount(text));
        if let (Some(users), Some(interactions), Some(length)) = (users, interactions, length) {
            let by_length = (users.0 * length.0, users.1 * length.1);
            if apart(by_length, interactions) {
                tell(
                    "interactions and length",
                    format!(
                        "{} interactions are printed; {} users x {} is {:.0} to {:.0}",
                        row.interactions, row.users, row.length, by_length.0, by_length.1
                    ),
                );
            }
        }
        if let (Some(users), Some(items), Some(interactions), Some(density)) =
            (users, items, interactions, density)
        {
            let matrix = (users.0 * items.0, users.1 * items.1);
            let by_count = (interactions.0 / matrix.1, interactions.1 / matrix.0.max(1.0));
            if apart(by_count, density) {
                tell(
                    "density",
                    format!(
                        "{} is printed; {} / ({} x {}) is {:.3e} to {:.3e}",
                        row.density, row.interactions, row.users, row.items, by_count.0, by_count.1
                    ),
                );
            }
        }
    }
}

fn apart((a, b): (f64, f64), (c, d): (f64, f64)) -> bool {
    a > d || c > b
}

/// What a figure such as `22,332`, `198K`, `8.87` or `7e-4` can stand for, whichever way digits were dropped. A whole number
/// that is printed in full stands for itself. `None` where the text is something else.
fn amount(text: &str) -> Option<(f64, f64)> {
    let text: String = text.chars().filter(|c| !matches!(c, ',' | ' ' | '\u{a0}')).collect();
    let (digits, unit) = match text.chars().last()? {
        'k' | 'K' => (&text[..text.len() - 1], 1e3),
        'm' | 'M' => (&text[..text.len() - 1], 1e6),
        'b' | 'B' | 'g' | 'G' => (&text[..text.len() - 1], 1e9),
        _ => (text.as_str(), 1.0),
    };
    if unit == 1.0
        && let Ok(whole) = digits.parse::<u64>()
    {
        return Some((whole as f64, whole as f64));
    }
    let printed = Printed::read(digits)?;
    let (low, high) = printed.bounds();
    (printed.units > 0).then_some((low * unit, high * unit))
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn figures_stand_for_what_their_digits_allow() {
        assert_eq!(amount("22,332"), Some((22332.0, 22332.0)));
        assert_eq!(amount("198K"), Some((197_500.0, 199_000.0)));
        assert_eq!(amount("1.5 M"), Some((1_450_000.0, 1_600_000.0)));
        assert_eq!(amount("unknown"), None);
        let (low, high) = amount("4e-2").unwrap();
        assert!((low - 0.035).abs() < 1e-12 && (high - 0.05).abs() < 1e-12);
    }
}
