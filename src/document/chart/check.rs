//! What a chart must be before it is drawn, and its words.

use super::model::{Axis, Chart, Estimate, Series};
use super::theme::SERIES;

/// What is wrong and what was expected.
type Fault = (String, String);

fn rule(holds: bool, found: impl FnOnce() -> String, expected: &str) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err((found(), expected.to_owned())) }
}

impl Chart {
    pub(in crate::document) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Bars(chart) => {
                axis(&chart.axis)?;
                filled("groups", chart.categories.len(), 40)?;
                series(&chart.series, chart.categories.len())
            }
            Self::Intervals(chart) => {
                axis(&chart.axis)?;
                filled("series", chart.series.len(), SERIES)?;
                filled("rows", chart.rows.len(), 200)?;
                chart.rows.iter().try_for_each(|row| values(&row.name, &row.values, chart.series.len()))
            }
            Self::Ladder(chart) => {
                axis(&chart.axis)?;
                filled("rungs", chart.rungs.len(), 40)?;
                chart.rungs.iter().try_for_each(|rung| estimate(&rung.name, &rung.estimate))
            }
            Self::Curves(chart) => {
                axis(&chart.x)?;
                filled("panels", chart.panels.len(), 2)?;
                for panel in &chart.panels {
                    axis(&panel.axis)?;
                    filled("curves", panel.curves.len(), SERIES)?;
                    for curve in &panel.curves {
                        let name = &curve.name;
                        let finite = curve.points.iter().all(|(x, y)| drawable(*x) && drawable(*y));
                        rule(
                            finite,
                            || format!("a point of {name:?} that is not finite or too large"),
                            NUMBER,
                        )?;
                        let sorted = curve.points.is_sorted_by(|a, b| a.0 <= b.0);
                        rule(
                            sorted,
                            || format!("points of {name:?} out of order"),
                            "points from left to right",
                        )?;
                        let there = curve.best.is_none_or(|best| best < curve.points.len());
                        rule(
                            there,
                            || format!("a best point of {name:?} that is not there"),
                            "the index of a point",
                        )?;
                    }
                }
                Ok(())
            }
            Self::Ranks(chart) => {
                filled("series", chart.series.len(), SERIES)?;
                let ranks = chart.series.first().map_or(0, |series| series.counts.len());
                filled("ranks", ranks, 50)?;
                for series in &chart.series {
                    let name = &series.name;
                    let found = series.counts.len();
                    rule(
                        found == ranks,
                        || format!("{found} ranks of {name:?}"),
                        "as many ranks for every method",
                    )?;
                    let sum = series.counts.iter().try_fold(0u64, |sum, count| sum.checked_add(*count));
                    let enough = series.users > 0 && sum.is_some_and(|sum| sum <= series.users);
                    rule(
                        enough,
                        || format!("{name:?} has more ranks than users, or no users"),
                        "users of all ranks and none",
                    )?;
                }
                Ok(())
            }
            Self::Bins(chart) => {
                axis(&chart.axis)?;
                filled("bins", chart.bins.len(), 40)?;
                series(&chart.series, chart.bins.len())
            }
        }
    }

    /// Every word in it.
    pub(in crate::document) fn texts(&mut self) -> Vec<&mut String> {
        fn of_axis(axis: &mut Axis) -> impl Iterator<Item = &mut String> {
            std::iter::once(&mut axis.label).chain(&mut axis.unit)
        }
        match self {
            Self::Bars(chart) => [&mut chart.title]
                .into_iter()
                .chain(of_axis(&mut chart.axis))
                .chain(&mut chart.categories)
                .chain(chart.series.iter_mut().map(|series| &mut series.name))
                .collect(),
            Self::Intervals(chart) => [&mut chart.title]
                .into_iter()
                .chain(of_axis(&mut chart.axis))
                .chain(&mut chart.series)
                .chain(chart.rows.iter_mut().map(|row| &mut row.name))
                .collect(),
            Self::Ladder(chart) => [&mut chart.title]
                .into_iter()
                .chain(of_axis(&mut chart.axis))
                .chain(chart.rungs.iter_mut().map(|rung| &mut rung.name))
                .collect(),
            Self::Curves(chart) => {
                let panels = chart.panels.iter_mut().flat_map(|panel| {
                    of_axis(&mut panel.axis).chain(panel.curves.iter_mut().map(|curve| &mut curve.name))
                });
                [&mut chart.title].into_iter().chain(of_axis(&mut chart.x)).chain(panels).collect()
            }
            Self::Ranks(chart) => [&mut chart.title]
                .into_iter()
                .chain(chart.series.iter_mut().map(|series| &mut series.name))
                .collect(),
            Self::Bins(chart) => [&mut chart.title, &mut chart.x_label]
                .into_iter()
                .chain(of_axis(&mut chart.axis))
                .chain(chart.bins.iter_mut().map(|bin| &mut bin.label))
                .chain(chart.series.iter_mut().map(|series| &mut series.name))
                .collect(),
        }
    }
}

const NUMBER: &str = "finite numbers below 1e12";

/// Beyond this the ticks of an axis would run together, and nothing that is measured here comes near it.
fn drawable(number: f64) -> bool {
    number.abs() < 1e12
}

fn filled(what: &str, found: usize, most: usize) -> Result<(), Fault> {
    rule((1..=most).contains(&found), || format!("{found} {what}"), &format!("1 to {most}"))
}

fn axis(axis: &Axis) -> Result<(), Fault> {
    rule(axis.decimals <= 12, || format!("{} decimals", axis.decimals), "at most 12")
}

fn series(series: &[Series], width: usize) -> Result<(), Fault> {
    filled("series", series.len(), SERIES)?;
    series.iter().try_for_each(|series| values(&series.name, &series.values, width))
}

fn values(name: &str, values: &[Option<Estimate>], width: usize) -> Result<(), Fault> {
    let found = values.len();
    rule(found == width, || format!("{found} values of {name:?}"), &format!("{width}"))?;
    values.iter().flatten().try_for_each(|value| estimate(name, value))
}

fn estimate(name: &str, estimate: &Estimate) -> Result<(), Fault> {
    let ends = estimate.interval.unwrap_or((estimate.value, estimate.value));
    let finite = [estimate.value, ends.0, ends.1].into_iter().all(drawable);
    rule(finite, || format!("a value of {name:?} that is not finite or too large"), NUMBER)?;
    rule(
        ends.0 <= ends.1,
        || format!("an interval of {name:?} that ends before it begins"),
        "the lower end first",
    )
}
