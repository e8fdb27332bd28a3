//! A printed number and the numbers that it may stand for, in whole numbers, so that nothing here is itself rounded.

use serde::{Deserialize, Serialize};

/// The most decimal places that are looked at. With them and counts of users below 10^12, products fit 128 bits.
pub(super) const MOST_PLACES: u32 = 12;

/// How digits beyond the printed ones were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digits {
    /// To nearest, halves either way.
    Rounded,
    /// Truncated.
    Cut,
}

impl Digits {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rounded, Self::Cut];

    /// The word in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rounded => "rounded",
            Self::Cut => "cut",
        }
    }
}

/// `units / 10^places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Printed {
    pub units: i128,
    pub places: u32,
    /// Whether digits beyond [`MOST_PLACES`] were left out.
    longer: bool,
}

impl Printed {
    /// From decimal text, with or without an exponent. `None` if it is something else.
    pub fn read(text: &str) -> Option<Self> {
        let text: String = text.trim().chars().filter(|c| *c != '_').collect();
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text.as_str(), 0),
        };
        let (negative, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && part.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        let mut places = i32::try_from(part.len()).ok()?.checked_sub(exponent)?;
        let mut digits = format!("{whole}{part}");
        while places < 0 {
            digits.push('0');
            places += 1;
            if digits.len() > 30 {
                return None;
            }
        }
        let mut longer = false;
        while places > MOST_PLACES as i32 {
            longer |= digits.pop().is_some_and(|digit| digit != '0');
            places -= 1;
        }
        if digits.is_empty() {
            digits.push('0');
        }
        let units: i128 = digits.parse().ok()?;
        if units > 10_i128.pow(24) {
            return None;
        }
        Some(Self { units: if negative { -units } else { units }, places: places as u32, longer })
    }

    /// The same number with at least that many places.
    pub fn at(self, places: u32) -> Self {
        if places <= self.places {
            return self;
        }
        Self { units: self.units * 10_i128.pow(places - self.places), places, ..self }
    }

    /// As a float.
    pub fn value(self) -> f64 {
        self.units as f64 / 10_f64.powi(self.places as i32)
    }

    /// The numbers that it may stand for.
    pub fn interval(self, digits: Digits) -> Interval {
        let (low, high, open) = match digits {
            _ if self.longer => (2 * self.units - 2, 2 * self.units + 4, false),
            Digits::Rounded => (2 * self.units - 1, 2 * self.units + 1, false),
            Digits::Cut if self.units < 0 => (2 * self.units - 2, 2 * self.units, false),
            Digits::Cut => (2 * self.units, 2 * self.units + 2, true),
        };
        Interval { low, high, open, scale: 2 * 10_i128.pow(self.places) }
    }

    /// The numbers that it may stand for as floats, whichever way digits were dropped.
    pub fn bounds(self) -> (f64, f64) {
        let (rounded, cut) = (self.interval(Digits::Rounded), self.interval(Digits::Cut));
        (rounded.low().min(cut.low()), rounded.high().max(cut.high()))
    }
}

/// From `low / scale` to `high / scale`, the upper end left out if `open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interval {
    low: i128,
    high: i128,
    open: bool,
    scale: i128,
}

impl Interval {
    /// What of it lies in [0, 1].
    pub fn within_unit(self) -> Self {
        let open = self.open && self.high <= self.scale;
        Self { low: self.low.max(0), high: self.high.min(self.scale), open, ..self }
    }

    pub fn low(self) -> f64 {
        self.low as f64 / self.scale as f64
    }

    pub fn high(self) -> f64 {
        self.high as f64 / self.scale as f64
    }

    /// The whole numbers h with h / n in it, from the first to the last; the first is larger if there is none.
    pub fn hits(self, n: i128) -> (i128, i128) {
        let low =
            (self.low * n).div_euclid(self.scale) + i128::from((self.low * n).rem_euclid(self.scale) != 0);
        let exact = (self.high * n).rem_euclid(self.scale) == 0;
        let high = (self.high * n).div_euclid(self.scale) - i128::from(self.open && exact);
        (low, high)
    }

    /// Whether `mine` times some number in it can be at most `theirs` times one in `other`.
    pub fn can_be_below(self, mine: i128, other: Self, theirs: i128) -> bool {
        let (a, d) = (self.low * mine * other.scale, other.high * theirs * self.scale);
        if other.open { a < d } else { a <= d }
    }

    /// Whether `mine` times a number in it can be `theirs` times a number in `other`.
    pub fn meets(self, mine: i128, other: Self, theirs: i128) -> bool {
        let (a, b) = (self.low * mine * other.scale, self.high * mine * other.scale);
        let (c, d) = (other.low * theirs * self.scale, other.high * theirs * self.scale);
        let below = |low: i128, high: i128, open: bool| if open { low < high } else { low <= high };
        below(a, d, other.open) && below(c, b, self.open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (i128, u32) {
        let printed = Printed::read(text).expect(text);
        (printed.units, printed.places)
    }

    #[test]
    fn printed_numbers_are_read_digit_by_digit() {
        assert_eq!(read("0.0610"), (610, 4));
        assert_eq!(read("5e-2"), (5, 2));
        assert_eq!(read("1.5E+1"), (15, 0));
        assert_eq!(read("1"), (1, 0));
        assert_eq!(read("-.5"), (-5, 1));
        assert_eq!(read("0.12345678901234"), (123_456_789_012, 12));
        for text in ["", ".", "nan", "1.2.3", "0x10", "1e99"] {
            assert_eq!(Printed::read(text), None, "{text}");
        }
    }

    #[test]
    fn hits_are_the_whole_numbers_whose_share_prints_so() {
        let printed = Printed::read("0.4126").unwrap();
        // 52 / 126 = 0.41269..: cut, not rounded.
        assert_eq!(printed.interval(Digits::Cut).hits(126), (52, 52));
        let (first, last) = printed.interval(Digits::Rounded).hits(126);
        assert!(first > last);
        // 1 / 2 lies on the open end of what 0.4 stands for when cut, and at the closed beginning of 0.5.
        assert_eq!(Printed::read("0.4").unwrap().interval(Digits::Cut).hits(2), (1, 0));
        assert_eq!(Printed::read("0.5").unwrap().interval(Digits::Cut).hits(2), (1, 1));
    }
}
