//! The figures of a report, from the numbers that `results.json` has.

use super::super::figure_data::{FigureData, Interval};
use super::super::format::retriever;
use super::super::model::Report;
use super::super::names::{method_name, seeds};
use super::super::ranker::RankerSection;
use super::super::strata::{Breakdown, Grouping};
use crate::document::chart::{
    Axis, Bars, Bin, Bins, Curve, Curves, Estimate, IntervalRow, Intervals, Ladder, Panel, RankSeries, Ranks,
    Rung as Step, SERIES, Series,
};
use crate::document::{Better, Chart, Figure, Section};
use crate::eval::{Metric, Rung};
use crate::run::{CurvePoint, TrainingRecord};

/// More ranks than this are not drawn.
const RANKS: usize = 50;
/// Nor more metrics.
const METRICS: usize = 40;
/// Nor losses beyond this, which are those of a training that ran away.
const LOSS: f64 = 1e6;

fn figure(id: &str, caption: String, chart: Chart) -> Figure {
    Figure { id: id.to_owned(), caption: caption.into(), chart }
}

fn estimate(interval: &Interval) -> Estimate {
    let ends = interval.low.zip(interval.high);
    Estimate { value: interval.mean, interval: ends }
}

/// What intervals are, in captions.
fn intervals(report: &Report, figures: &FigureData) -> String {
    let n = report.seeds.len();
    let how = if n == 1 { "over users (t)" } else { "over users and seeds (crossed t)" };
    let few = if (2..4).contains(&n) {
        ", so few that they may be too narrow where seeds matter much".to_owned()
    } else {
        String::new()
    };
    let level = (1e4 * figures.level).round() / 1e2;
    format!("{level} % intervals {how}, {}{few}", seeds(n))
}

/// Every metric by method.
pub(super) fn metrics(report: &Report) -> Option<Figure> {
    let figures = report.figures.as_ref()?;
    let names: Vec<Metric> = figures.methods.first()?.overall.keys().copied().take(METRICS).collect();
    let series = figures.methods.iter().map(|method| Series {
        name: method_name(report, method.rung),
        values: names.iter().map(|metric| method.overall.get(metric).map(estimate)).collect(),
    });
    let users = report.seeds[0].test.n_users;
    let caption = format!(
        "Means over all {} users of the test; {}.",
        super::super::format::thousands(users as u64),
        intervals(report, figures)
    );
    let chart = Bars {
        title: format!("Metrics over all users, {}", report.dataset.ours.name),
        axis: Axis::new("value", 3),
        categories: names.iter().map(|metric| metric.short()).collect(),
        series: series.collect(),
    };
    Some(figure("metrics", caption, Chart::Bars(chart)))
}

/// The rungs of the test in one metric.
pub(super) fn ladder(report: &Report, ranker: &RankerSection) -> Option<Figure> {
    let figures = report.figures.as_ref()?;
    let metric = figures.metric;
    let counts = |read_out: &Option<String>| read_out.as_ref().is_none_or(|name| *name == ranker.read_out);
    let mut rungs = Vec::new();
    for rung in ranker.test.rungs.iter().filter(|rung| counts(&rung.read_out)) {
        let bound = matches!(rung.rung, Rung::Random | Rung::Oracle);
        let name = match rung.rung {
            Rung::Random => "random order".to_owned(),
            Rung::Oracle => "perfect order".to_owned(),
            other => method_name(report, other),
        };
        let value = rung.overall.as_ref()?.get(&metric)?.seeds.mean;
        let own = figures.method(rung.rung).and_then(|method| method.overall.get(&metric));
        let estimate = own.map_or(Estimate::exact(value), estimate);
        rungs.push(Step { name, estimate, bound });
    }
    let caption = format!(
        "{metric} over all users, from a random order of the candidates (expected) to a perfect one, which only |R| / |U| bounds; {}.",
        intervals(report, figures)
    );
    let chart = Ladder {
        title: format!("The ladder of {metric}, {}", report.dataset.ours.name),
        axis: Axis::new(metric.to_string(), 4),
        rungs,
    };
    Some(figure("ladder", caption, Chart::Ladder(chart)))
}

/// What the ranker adds in each metric.
pub(super) fn improvement(report: &Report, ranker: &RankerSection) -> Option<Figure> {
    let figures = report.figures.as_ref()?;
    let significance = ranker.significance.as_ref()?;
    let methods: Vec<Rung> = [Rung::ZeroShot, Rung::Tuned]
        .into_iter()
        .filter(|rung| significance.contrasts.iter().any(|contrast| contrast.method == rung.name()))
        .collect();
    let names = figures.methods.first()?.overall.keys().take(METRICS);
    let rows: Vec<IntervalRow> = names
        .map(|metric| {
            let of = |rung: &Rung| {
                let contrast = significance.contrast(*rung, Rung::Retriever, *metric)?;
                // With hardly a degree of freedom a t interval has no bounds to speak of; no difference of metrics goes beyond 1.
                let cut = |end: f64| end.clamp(-1.0, 1.0);
                let interval = contrast.low.map(cut).zip(contrast.high.map(cut));
                Some(Estimate { value: contrast.difference, interval })
            };
            IntervalRow { name: metric.to_string(), values: methods.iter().map(of).collect() }
        })
        .filter(|row| row.values.iter().any(Option::is_some))
        .collect();
    if rows.is_empty() || methods.is_empty() {
        return None;
    }
    let base = retriever(&report.retriever);
    let caption = format!(
        "Difference to the order of {base} over all users; {}; the intervals are not corrected for their number, and cut at -1 and 1.",
        intervals(report, figures)
    );
    let chart = Intervals {
        title: format!("What the ranker adds to {base}, {}", report.dataset.ours.name),
        axis: Axis::new("difference", 4),
        better: Some(Better::Higher),
        series: methods.iter().map(|rung| method_name(report, *rung)).collect(),
        looks: methods
            .iter()
            .filter_map(|rung| figures.methods.iter().position(|m| m.rung == *rung))
            .collect(),
        rows,
    };
    Some(figure("improvement", caption, Chart::Intervals(chart)))
}

/// Where the held-out items stand, and for whom.
pub(super) fn ranks(report: &Report) -> Option<Section> {
    let figures = report.figures.as_ref()?;
    let mut section = Section::new("Where the held-out items stand");
    section = match distribution(report, figures) {
        Some(figure) => section.with(figure),
        None => section.with("R is empty: no held-out item is among the candidates, so no rank is drawn."),
    };
    if figures.breakdowns.is_empty() {
        let text = format!(
            "{} by the length of histories and by the popularity of items is not drawn: both are in the data, which were not here when \
             this report was made. `bench report` makes it again with them.",
            figures.metric
        );
        return Some(section.with(text.as_str()));
    }
    let drawn = figures.breakdowns.iter().map(|breakdown| bins(report, figures, breakdown));
    Some(drawn.fold(section, Section::with))
}

fn distribution(report: &Report, figures: &FigureData) -> Option<Figure> {
    // The retriever against the result; zero-shot stands in the tables.
    let result = [Rung::Tuned, Rung::ZeroShot].into_iter().find(|rung| figures.method(*rung).is_some());
    let methods = [Some(Rung::Retriever), result].into_iter().flatten();
    let methods: Vec<_> = methods.filter_map(|rung| figures.method(rung)).collect();
    if methods.is_empty() || methods.iter().any(|method| method.retrieved == 0) {
        return None;
    }
    let series = methods.iter().map(|method| RankSeries {
        name: method_name(report, method.rung),
        counts: method.rank_counts.iter().copied().take(RANKS).collect(),
        users: method.retrieved,
    });
    let cut = if report.candidates as usize > RANKS {
        format!(" Ranks beyond {RANKS} are not drawn.")
    } else {
        String::new()
    };
    let caption = format!(
        "Share of the users of R whose held-out item has each rank among the {} candidates; {} together.{cut}",
        report.candidates,
        seeds(report.seeds.len())
    );
    let chart = Ranks {
        title: format!("Ranks of the held-out items, {}", report.dataset.ours.name),
        series: series.collect(),
    };
    Some(figure("ranks", caption, Chart::Ranks(chart)))
}

fn bins(report: &Report, figures: &FigureData, breakdown: &Breakdown) -> Figure {
    let (id, x_label, what) = match breakdown.by {
        Grouping::History => ("by-history", "items in the history", "length of history"),
        Grouping::Popularity => {
            ("by-popularity", "training interactions of the held-out item", "popularity of the item")
        }
    };
    let label = |low: u32, high: u32| if low == high { low.to_string() } else { format!("{low}–{high}") };
    let series = figures.methods.iter().enumerate().map(|(at, method)| Series {
        name: method_name(report, method.rung),
        values: breakdown
            .bins
            .iter()
            .map(|bin| bin.methods.get(at).map(|of| estimate(&of.interval)))
            .collect(),
    });
    let chart = Bins {
        title: format!("{} by {what}, {}", breakdown.metric, report.dataset.ours.name),
        axis: Axis::new(breakdown.metric.to_string(), 3),
        x_label: x_label.to_owned(),
        bins: breakdown
            .bins
            .iter()
            .map(|bin| Bin { label: label(bin.low, bin.high), users: bin.users })
            .collect(),
        series: series.collect(),
    };
    let caption = format!(
        "{} of groups of users with about as many in each, cut at quantiles of the {what}; who is not in R counts 0; {}.",
        breakdown.metric,
        intervals(report, figures)
    );
    figure(id, caption, Chart::Bins(chart))
}

/// A seed with its curve and its training.
type Trained<'a> = (u64, &'a [CurvePoint], Option<&'a TrainingRecord>);

pub(super) fn retriever_curve(report: &Report) -> Option<Figure> {
    let seeds: Vec<Trained<'_>> =
        report.seeds.iter().map(|seed| (seed.seed, seed.curve.as_slice(), seed.training.as_ref())).collect();
    let title = format!("Training of {}, {}", retriever(&report.retriever), report.dataset.ours.name);
    curve("retriever-curve", title, &seeds)
}

pub(super) fn ranker_curve(report: &Report, ranker: &RankerSection) -> Option<Figure> {
    let seeds: Vec<Trained<'_>> =
        ranker.seeds.iter().map(|seed| (seed.seed, seed.curve.as_slice(), seed.training.as_ref())).collect();
    let title = format!("Training of the ranker, {}", report.dataset.ours.name);
    curve("ranker-curve", title, &seeds)
}

fn curve(id: &str, title: String, all: &[Trained<'_>]) -> Option<Figure> {
    let seeds: Vec<&Trained<'_>> = all.iter().filter(|(_, curve, _)| curve.len() > 1).take(SERIES).collect();
    let selected = seeds.iter().find_map(|(.., training)| Some(training.as_ref()?.selected_by.clone()));
    let metric = selected.map_or_else(
        || "validation".to_owned(),
        |name| name.parse::<Metric>().map_or(name, |metric| metric.to_string()),
    );
    let panel = |label: String, value: &dyn Fn(&CurvePoint) -> Option<f64>, best: bool| Panel {
        axis: Axis::new(label, 4),
        curves: seeds
            .iter()
            .map(|(seed, curve, training)| {
                let drawn =
                    || curve.iter().filter_map(|p| Some((p.step, value(p).filter(|v| v.abs() < LOSS)?)));
                let kept = |step: u32| drawn().position(|(at, _)| at == step);
                Curve {
                    name: format!("seed {seed}"),
                    points: drawn().map(|(step, value)| (f64::from(step), value)).collect(),
                    best: training.filter(|_| best).and_then(|training| kept(training.best_step)),
                }
            })
            .collect(),
    };
    let mut panels = vec![panel(format!("{metric}, validation"), &|point| Some(point.metric), true)];
    let loss = panel("training loss".to_owned(), &|point| point.train_loss, false);
    if loss.curves.iter().any(|curve| !curve.points.is_empty()) {
        panels.push(Panel { axis: loss.axis.unit("nats"), ..loss });
    }
    if seeds.is_empty() {
        return None;
    }
    let more = if all.len() > seeds.len() && seeds.len() == SERIES {
        format!(" The first {SERIES} seeds of {}.", all.len())
    } else {
        String::new()
    };
    let caption = format!(
        "The metric that chooses the weights, and the mean loss since the last validation, by step of the optimizer.{more}"
    );
    let chart = Curves { title, x: Axis::new("step", 0), panels };
    Some(figure(id, caption, Chart::Curves(chart)))
}
