//! How numbers look. Files hold full precision; only here is anything rounded.

/// The rounding rule, for captions.
pub(super) const ROUNDING: &str = "Printed numbers are rounded to 4 places from unrounded values (to nearest, exact \
    halves to even); results.json has them in full.";

/// `12345` as `12,345`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A metric: 4 places. Rust rounds the exact binary value to nearest, halves to even.
pub(super) fn metric(value: f64) -> String {
    format!("{value:.4}")
}

/// The mean length of a sequence as papers print it: 2 places.
pub(super) fn length(value: f64) -> String {
    format!("{value:.2}")
}

/// A density as papers print it: one significant digit and a power of ten, `4e-2`.
pub(super) fn density(value: f64) -> String {
    format!("{value:.0e}")
}

/// A difference, with its sign.
pub(super) fn signed(value: f64) -> String {
    format!("{value:+.4}")
}

/// A count over seeds: one decimal if it is not whole.
pub(super) fn count(mean: f64, sd: Option<f64>) -> String {
    let whole =
        |value: f64| if value.fract() == 0.0 { thousands(value as u64) } else { format!("{value:.1}") };
    sd.map_or_else(|| whole(mean), |sd| format!("{} ± {sd:.1}", whole(mean)))
}

/// Seconds, for people.
pub(super) fn seconds(value: f64) -> String {
    match value {
        v if v < 0.9995 => format!("{:.0} ms", v * 1000.0),
        v if v < 99.95 => format!("{v:.1} s"),
        v if v < 5999.5 => format!("{:.0} min {:02.0} s", (v / 60.0).floor(), (v % 60.0).floor()),
        v => format!("{:.0} h {:02.0} min", (v / 3600.0).floor(), (v % 3600.0 / 60.0).floor()),
    }
}

/// Bytes in binary units.
pub(super) fn bytes(value: u64) -> String {
    let value = value as f64;
    match value {
        v if v < 1024.0 * 1024.0 => format!("{:.0} KiB", v / 1024.0),
        v if v < 1024.0 * 1024.0 * 1024.0 => format!("{:.0} MiB", v / 1024.0 / 1024.0),
        v => format!("{:.2} GiB", v / 1024.0 / 1024.0 / 1024.0),
    }
}

/// The name of a retriever in a sentence.
pub(super) fn retriever(name: &str) -> &str {
    match name {
        "lru" => "LRURec",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_halves_are_rounded_to_even() {
        assert_eq!([metric(0.03125), metric(0.15625), metric(0.09375)], ["0.0312", "0.1562", "0.0938"]);
    }

    #[test]
    fn quantities_are_told_in_units_of_people() {
        assert_eq!([thousands(7), thousands(1234), thousands(22_332_000)], ["7", "1,234", "22,332,000"]);
        assert_eq!([seconds(0.25), seconds(61.25), seconds(125.0)], ["250 ms", "61.2 s", "2 min 05 s"]);
        assert_eq!([seconds(7384.0), bytes(3 << 20), bytes(3 << 29)], ["2 h 03 min", "3 MiB", "1.50 GiB"]);
        assert_eq!([count(126.0, None), count(126.5, Some(0.75))], ["126", "126.5 ± 0.8"]);
    }
}
