//! Times of interactions as order-preserving 64-bit integers.

use super::raw::{Interaction, number};

/// Largest magnitude below which every integer has its own f64.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Reads times. They stay whole numbers as long as all of them are; the first fraction turns the column, what was read of
/// it included, into floating point mapped to integers of the same order. Only there, times above 2^53 that differ little may
/// become ties.
#[derive(Debug, Default)]
pub(crate) struct Times {
    fractions: bool,
}

impl Times {
    /// The time in `text`, or `None` if it is no finite number. `before` are the rows read so far.
    pub(crate) fn read(&mut self, text: &[u8], before: &mut [Interaction]) -> Option<i64> {
        let text = text.trim_ascii();
        if let Some(whole) = whole(text) {
            return Some(if self.fractions { ordered(whole as f64) } else { whole });
        }
        let value = number(text)?;
        if !self.fractions {
            if value.fract() == 0.0 && value.abs() <= EXACT {
                return Some(value as i64);
            }
            self.fractions = true;
            for row in before {
                row.time = ordered(row.time as f64);
            }
        }
        Some(ordered(value))
    }
}

/// The common case: decimal digits, with a minus sign or without, that fit 64 bits (as nanoseconds do until 2262).
fn whole(text: &[u8]) -> Option<i64> {
    /// Any number of so many digits fits 64 bits without a sign.
    const DIGITS: usize = 19;
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > DIGITS {
        return None;
    }
    let mut value = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// An integer that orders as `value` does. Adding 0 makes -0 and 0 equal.
fn ordered(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits() as i64;
    if bits < 0 { i64::MIN.wrapping_sub(bits).wrapping_sub(1) } else { bits }
}

#[cfg(test)]
mod tests {
    use super::{Interaction, Times, ordered};

    #[test]
    fn whole_and_scientific_notation_name_the_same_second() {
        let mut times = Times::default();
        assert_eq!(times.read(b"1365984000", &mut []), Some(1_365_984_000));
        assert_eq!(times.read(b"1.365984E9", &mut []), Some(1_365_984_000));
        assert_eq!(times.read(b"-5", &mut []), Some(-5));
        for bad in [&b""[..], b"-", b"2014-05-01", b"nan", b"inf", b"1e400", b"\xff"] {
            assert_eq!(times.read(bad, &mut []), None, "{bad:?}");
        }
    }

    #[test]
    fn nanoseconds_stay_exact() {
        let mut times = Times::default();
        for (text, time) in [
            ("1365984000000000001", 1_365_984_000_000_000_001),
            (" 1365984000000000002 ", 1_365_984_000_000_000_002),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(times.read(text.as_bytes(), &mut []), Some(time), "{text}");
        }
        assert!(!times.fractions);
        assert_eq!(times.read(b"9223372036854775808", &mut []), Some(ordered(2f64.powi(63))));
        assert!(times.fractions, "one more than 64 bits hold");
    }

    #[test]
    fn a_fraction_keeps_the_order_of_what_was_read_before() {
        let mut times = Times::default();
        let mut rows: Vec<Interaction> = Vec::new();
        for text in ["-2", "-1", "0", "7", "7.5", "8", "-1.5", "-0.0"] {
            let time = times.read(text.as_bytes(), &mut rows).unwrap();
            rows.push(Interaction { user: 0, item: rows.len() as u32, time });
        }
        rows.sort_by_key(|row| row.time);
        assert_eq!(rows.iter().map(|row| row.item).collect::<Vec<_>>(), [0, 6, 1, 2, 7, 3, 4, 5]);
        assert_eq!(ordered(0.0), ordered(-0.0));
    }
}
