//! Ticks and scales.

/// Numbers to places: `from` and `to` of the picture for `low` and `high` of the data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub from: f64,
    pub to: f64,
}

impl Scale {
    pub(super) fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

/// Round numbers that cover a range.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ticks {
    pub values: Vec<f64>,
    pub labels: Vec<String>,
}

impl Ticks {
    /// About `count` ticks, a step of 1, 2, 2.5 or 5 times a power of ten apart, the first at or below `low` and the last at
    /// or above `high`.
    pub(super) fn covering(low: f64, high: f64, count: usize) -> Self {
        let (low, high) = widened(low, high);
        let step = step((high - low) / count.max(1) as f64);
        let first = (low / step + 1e-9).floor();
        let last = (high / step - 1e-9).ceil().max(first + 1.0);
        Self::at(first, last, step)
    }

    /// Whole numbers within `low` to `high`, about `count`.
    pub(super) fn whole(low: f64, high: f64, count: usize) -> Self {
        let step = step((high - low) / count.max(1) as f64).max(1.0).ceil();
        Self::at((low / step - 1e-9).ceil(), (high / step + 1e-9).floor(), step)
    }

    fn at(first: f64, last: f64, step: f64) -> Self {
        let count = (last - first).max(0.0) as usize;
        let values: Vec<f64> = (0..=count).map(|at| (first + at as f64) * step).collect();
        let decimals = (0..=12).find(|places| {
            let scaled = step * 10f64.powi(*places);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        });
        let decimals = decimals.unwrap_or(12) as usize;
        let label = |value: &f64| {
            let text = format!("{:.decimals$}", if value.abs() < step / 1e6 { 0.0 } else { *value });
            text.replace('-', "−")
        };
        Self { labels: values.iter().map(label).collect(), values }
    }

    pub(super) fn low(&self) -> f64 {
        self.values.first().copied().unwrap_or(0.0)
    }

    pub(super) fn high(&self) -> f64 {
        self.values.last().copied().unwrap_or(1.0)
    }
}

/// A range that is not empty.
fn widened(low: f64, high: f64) -> (f64, f64) {
    if high - low > 1e-9 * low.abs().max(high.abs()).max(1e-9) {
        return (low, high);
    }
    let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
    (low - margin, high + margin)
}

/// The round step that is next to `rough`, from below or above.
fn step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.max(1e-15).log10().floor());
    let share = rough / power;
    let round = match share {
        s if s < 1.4 => 1.0,
        s if s < 2.2 => 2.0,
        s if s < 3.2 => 2.5,
        s if s < 7.0 => 5.0,
        _ => 10.0,
    };
    round * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(Ticks::covering(0.0, 0.41, 5).labels, ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(Ticks::covering(-7.0, 43.0, 5).labels, ["−10", "0", "10", "20", "30", "40", "50"]);
        assert_eq!(
            Ticks::covering(0.031, 0.044, 5).labels,
            ["0.0300", "0.0325", "0.0350", "0.0375", "0.0400", "0.0425", "0.0450"]
        );
        assert_eq!(Ticks::covering(3.0, 3.0, 4).values.len(), 5);
        assert_eq!(Ticks::whole(1.0, 9.0, 10).labels, ["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    }
}
