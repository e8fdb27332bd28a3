//! What charts are made of.

use serde::{Deserialize, Serialize};

use crate::document::table::Better;

/// A chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chart {
    /// Grouped bars with intervals.
    Bars(Bars),
    /// Dots with intervals around a zero line.
    Intervals(Intervals),
    /// From the worst order to the best possible one.
    Ladder(Ladder),
    /// Learning curves.
    Curves(Curves),
    /// How often each rank occurs.
    Ranks(Ranks),
    /// A metric over bins of users or items.
    Bins(Bins),
}

/// A number with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// The interval's ends, the lower first; `None` where there is none.
    pub interval: Option<(f64, f64)>,
}

impl Estimate {
    /// Without an interval.
    #[must_use]
    pub fn exact(value: f64) -> Self {
        Self { value, interval: None }
    }

    /// Within an interval.
    #[must_use]
    pub fn within(value: f64, low: f64, high: f64) -> Self {
        Self { value, interval: Some((low, high)) }
    }
}

/// What an axis measures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What it measures: `NDCG@10`.
    pub label: String,
    /// Its unit.
    pub unit: Option<String>,
    /// Places behind the point of numbers written into the chart; at most 12.
    pub decimals: u8,
}

impl Axis {
    /// Without a unit.
    #[must_use]
    pub fn new(label: impl Into<String>, decimals: u8) -> Self {
        Self { label: label.into(), unit: None, decimals }
    }

    /// In this unit.
    #[must_use]
    pub fn unit(self, unit: impl Into<String>) -> Self {
        Self { unit: Some(unit.into()), ..self }
    }

    pub(super) fn heading(&self) -> String {
        self.unit.as_ref().map_or_else(|| self.label.clone(), |unit| format!("{} ({unit})", self.label))
    }

    pub(super) fn number(&self, value: f64) -> String {
        // Not "-0.00".
        let text = format!("{value:.*}", usize::from(self.decimals));
        if text.trim_matches(['-', '0', '.']).is_empty() {
            text.replace('-', "")
        } else {
            text.replace('-', "−")
        }
    }

    pub(super) fn signed(&self, value: f64) -> String {
        let text = self.number(value);
        if value > 0.0 && !text.trim_matches(['0', '.']).is_empty() { format!("+{text}") } else { text }
    }
}

/// Numbers of one method, one for each category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The method.
    pub name: String,
    /// Its numbers; `None` leaves a gap.
    pub values: Vec<Option<Estimate>>,
}

/// Grouped bars from zero, with intervals: metrics by method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// The axis of the numbers.
    pub axis: Axis,
    /// The groups, left to right.
    pub categories: Vec<String>,
    /// The bars of each group, left to right; 1 to 8.
    pub series: Vec<Series>,
}

/// Dots with intervals around a zero line: improvement by metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// What it shows.
    pub title: String,
    /// The axis of the numbers.
    pub axis: Axis,
    /// On which side of zero the better numbers are; it is said at the axis.
    pub better: Option<Better>,
    /// What the dots of a row are, 1 to 8.
    pub series: Vec<String>,
    /// The colour and marker of each, by the place that it has in another figure of the document; empty for those of their own places.
    #[serde(default)]
    pub looks: Vec<usize>,
    /// The rows, top to bottom.
    pub rows: Vec<IntervalRow>,
}

impl Intervals {
    /// The place whose colour and marker a series has.
    pub(super) fn look(&self, series: usize) -> usize {
        self.looks.get(series).copied().unwrap_or(series)
    }
}

/// A row of dots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntervalRow {
    /// The metric.
    pub name: String,
    /// One for each series; `None` leaves a gap.
    pub values: Vec<Option<Estimate>>,
}

/// From the worst order to the best possible one: random, retriever, zero-shot, tuned, perfect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// What it shows.
    pub title: String,
    /// The axis of the numbers.
    pub axis: Axis,
    /// The rungs, the lowest first.
    pub rungs: Vec<Rung>,
}

/// A rung of a ladder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// What is on it.
    pub name: String,
    /// How high it is.
    pub estimate: Estimate,
    /// Whether it is a bound (random, perfect) and not a method.
    pub bound: bool,
}

/// Learning curves, in one or two panels of one horizontal axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// What it shows.
    pub title: String,
    /// The horizontal axis: epochs, steps.
    pub x: Axis,
    /// 1 or 2: the metric, and the loss below it.
    pub panels: Vec<Panel>,
}

/// A panel of learning curves. A curve has the same colour in both panels if it has the same place in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// The vertical axis.
    pub axis: Axis,
    /// One a seed, 1 to 8.
    pub curves: Vec<Curve>,
}

/// A learning curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// The seed.
    pub name: String,
    /// Its points, left to right.
    pub points: Vec<(f64, f64)>,
    /// Index of the point whose weights were kept.
    pub best: Option<usize>,
}

/// How often the held-out item has each rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranks {
    /// What it shows.
    pub title: String,
    /// The methods, 1 to 8, each with as many ranks.
    pub series: Vec<RankSeries>,
}

/// How often each rank occurs under a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankSeries {
    /// The method.
    pub name: String,
    /// Users whose item has rank 1, 2, ... At most 50 ranks.
    pub counts: Vec<u64>,
    /// Users in the denominator, at least the sum of `counts`: those whose item has no rank count too.
    pub users: u64,
}

/// A metric over bins: by the length of histories, by the popularity of items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bins {
    /// What it shows.
    pub title: String,
    /// The vertical axis.
    pub axis: Axis,
    /// What the bins are of: `items in the history`.
    pub x_label: String,
    /// The bins, left to right.
    pub bins: Vec<Bin>,
    /// The methods, 1 to 8.
    pub series: Vec<Series>,
}

/// A bin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// Its bounds: `5-9`.
    pub label: String,
    /// Users in it.
    pub users: u64,
}

impl Chart {
    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        match self {
            Self::Bars(chart) => &chart.title,
            Self::Intervals(chart) => &chart.title,
            Self::Ladder(chart) => &chart.title,
            Self::Curves(chart) => &chart.title,
            Self::Ranks(chart) => &chart.title,
            Self::Bins(chart) => &chart.title,
        }
    }

    /// What it shows, in a sentence or two, for those who do not see it.
    #[must_use]
    pub fn description(&self) -> String {
        let listed = |names: Vec<&str>| names.join(", ");
        match self {
            Self::Bars(chart) => format!(
                "{}. Bars of {} for {}: {}.",
                chart.title,
                chart.axis.heading(),
                listed(chart.categories.iter().map(String::as_str).collect()),
                listed(chart.series.iter().map(|series| series.name.as_str()).collect()),
            ),
            Self::Intervals(chart) => {
                let rows = chart.rows.iter().map(|row| {
                    let values =
                        row.values.iter().flatten().map(|estimate| chart.axis.signed(estimate.value));
                    format!("{} {}", row.name, values.collect::<Vec<_>>().join(" / "))
                });
                let rows: Vec<String> = rows.collect();
                format!(
                    "{}. {}, {}: {}.",
                    chart.title,
                    chart.axis.heading(),
                    listed(chart.series.iter().map(String::as_str).collect()),
                    rows.join(", ")
                )
            }
            Self::Ladder(chart) => {
                let rungs = chart
                    .rungs
                    .iter()
                    .map(|rung| format!("{} {}", rung.name, chart.axis.number(rung.estimate.value)));
                format!(
                    "{}. {}: {}.",
                    chart.title,
                    chart.axis.heading(),
                    rungs.collect::<Vec<_>>().join(", ")
                )
            }
            Self::Curves(chart) => {
                let panels = chart.panels.iter().map(|panel| {
                    let names = panel.curves.iter().map(|curve| curve.name.as_str()).collect();
                    format!("{} by {} of {}", panel.axis.heading(), chart.x.heading(), listed(names))
                });
                format!("{}. Lines: {}.", chart.title, panels.collect::<Vec<_>>().join("; "))
            }
            Self::Ranks(chart) => format!(
                "{}. Share of users by the rank of their item, of {}.",
                chart.title,
                listed(chart.series.iter().map(|series| series.name.as_str()).collect()),
            ),
            Self::Bins(chart) => format!(
                "{}. {} by {} ({}), of {}.",
                chart.title,
                chart.axis.heading(),
                chart.x_label,
                listed(chart.bins.iter().map(|bin| bin.label.as_str()).collect()),
                listed(chart.series.iter().map(|series| series.name.as_str()).collect()),
            ),
        }
    }
}
