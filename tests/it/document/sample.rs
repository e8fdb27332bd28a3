//! A document with one of everything. Its numbers are made up, and it says so.

use bench::document::chart::*;
use bench::document::*;

pub const STAMP: &str = "made-up numbers: not for reporting";

pub fn document() -> Document {
    let mut document = Document::new("LlamaRec on two datasets");
    document.stamp = Some(STAMP.to_owned());
    document.warnings = vec![
        Prose::new("Beauty: 31 of 22,332 users have a target that ").emphasis("ties").text(" with another item."),
        Prose::new("ML-100K: with 126 users the smallest difference that would be found is 0.041 (underpowered). See ")
            .link("the overall table", "#overall")
            .text("."),
    ];
    document
        .with(
            Section::new("Overall")
                .with(Prose::new("Two methods of ours beside published ones, as in ").link("the paper", "https://arxiv.org/abs/2311.02089").text("."))
                .with(overall())
                .with(figure("metrics", "Metrics of two methods with 95 % intervals over users.", bars())),
        )
        .with(
            Section::new("Improvement")
                .level(2)
                .with(wide())
                .with(figure("improvement", "Percent improvement of the tuned ranker on the retriever, 95 % intervals.", intervals()))
                .with(figure("ladder", "What the ranker gains on users whose item was retrieved.", ladder())),
        )
        .with(
            Section::new("Training and ranks")
                .with(figure("curves", "Validation metric and loss by epoch, five seeds.", curves()))
                .with(figure("ranks", "Ranks of the held-out item.", ranks()))
                .with(figure("history", "NDCG@10 by the length of the history.", bins())),
        )
        .with(
            Section::new("Provenance")
                .with(Facts {
                    folded: None,
                    entries: vec![
                        ("Split".to_owned(), Prose::default().code("3f7a90c1d2e4b5a6978812345678abcdef0123456789abcdef0123456789abcd")),
                        ("Seeds".to_owned(), "42, 43, 44, 45, 46".into()),
                    ],
                })
                .with(Code {
                    heading: "Resolved settings".to_owned(),
                    language: "toml".to_owned(),
                    text: "[dataset]\nname = \"ml-100k\"   # <default>\n\n[retriever]\nname = \"lru\"\nlearning_rate = 0.001\n".to_owned(),
                }),
        )
}

fn figure(id: &str, caption: &str, chart: Chart) -> Figure {
    Figure { id: id.to_owned(), caption: caption.into(), chart }
}

fn score(value: f64) -> Cell {
    Cell::number(format!("{value:.4}"), value)
}

/// A table as the paper's: methods by metrics of two datasets.
pub fn overall() -> Table {
    let metric = |name: &str| Column::number(name).better(Better::Higher);
    let row = |name: &str, kind: &str, values: [f64; 6]| {
        let cells = [Cell::text(name), Cell::text(kind)].into_iter().chain(values.map(score));
        Row::new(cells.collect())
    };
    let mut table = Table::new(
        "overall",
        "Overall performance on the test split",
        vec![
            Column::text("Method"),
            Column::text("Kind"),
            metric("MRR@10"),
            metric("NDCG@10"),
            metric("Recall@10"),
            metric("MRR@10"),
            metric("NDCG@10"),
            metric("Recall@10"),
        ],
    )
    .group("", 2)
    .group("ML-100K", 3)
    .group("Beauty", 3)
    .row(row("Random", "baseline", [0.0021, 0.0031, 0.0066, 0.0002, 0.0003, 0.0008]))
    .row(row("Popularity", "baseline", [0.0312, 0.0456, 0.0918, 0.0041, 0.0062, 0.0129]))
    .row(
        row("LRURec", "retriever", [0.043_123_4, 0.065_812_3, 0.140_912_1, 0.037_14, 0.046_01, 0.073_21])
            .rule(),
    )
    .row(
        row("LlamaRec", "ranker", [0.066_812_3, 0.085_524_1, 0.147_537_2, 0.040_12, 0.050_23, 0.081_01])
            .rule(),
    )
    .row(row(
        "LlamaRec, 8-bit",
        "ranker",
        [0.066_812_3, 0.084_900_2, 0.147_537_2, 0.039_98, 0.050_11, 0.080_02],
    ))
    .row(
        row("PALR", "ranker", [0.041, 0.0446, 0.0721, 0.031, 0.0446, 0.0721])
            .tag("published")
            .unranked()
            .rule(),
    );
    for (row, letters) in [(3, "ab"), (4, "a")] {
        for cell in &mut table.rows[row].cells[2..] {
            let spread = cell.value.unwrap_or(0.0) * 0.031_25;
            *cell = cell.clone().significance(letters).spread(format!("{spread:.4}"), spread);
        }
    }
    table.rows[5].cells[2] = Cell::none().footnote("†");
    table
        .mark(Competition::Table)
        .note("n = 126 and 22,332 users; |R| = 67 and 1,904; seeds 42 to 46; ± is the standard deviation over seeds.")
        .note("a, b: better than LRURec, LlamaRec 8-bit by a paired randomization test, Holm over 36 comparisons, p < .05.")
        .note("Rounded to 4 places from unrounded values (to nearest, halves to even).")
        .footnote("†", "not printed by the paper")
}

/// A table whose columns are the methods, in groups of rows.
pub fn wide() -> Table {
    let mut table = Table::new(
        "improvement-table",
        "Percent improvement by metric",
        vec![
            Column::text("Metric"),
            Column::number("LRURec"),
            Column::number("LlamaRec"),
            Column::number("improvement").unit("%"),
        ],
    );
    for (group, scale) in [("ML-100K", 1.0), ("Beauty", 0.5)] {
        for (name, a, b) in
            [("MRR@5", 0.0358, 0.0611), ("NDCG@5", 0.0479, 0.0715), ("Recall@5", 0.0852, 0.0852)]
        {
            let (a, b) = (a * scale, b * scale);
            let gain = 100.0 * (b - a) / a;
            let mut row = Row::new(vec![
                Cell::text(name),
                score(a),
                score(b),
                Cell::number(format!("{gain:+.2}"), gain),
            ])
            .group(group);
            row.cells[1].mark = marks(&[Some(a), Some(b)], Better::Higher)[0];
            row.cells[2].mark = marks(&[Some(a), Some(b)], Better::Higher)[1];
            table = table.row(row);
        }
    }
    table.note("From unrounded values.")
}

fn series(name: &str, values: &[f64], half: f64) -> Series {
    let estimate = |value: &f64| Some(Estimate::within(*value, value - half, value + half));
    Series { name: name.to_owned(), values: values.iter().map(estimate).collect() }
}

pub fn bars() -> Chart {
    Chart::Bars(Bars {
        title: "Overall metrics, ML-100K".to_owned(),
        axis: Axis::new("metric on the test split", 3),
        categories: ["MRR@5", "NDCG@5", "Recall@5", "MRR@10", "NDCG@10", "Recall@10"]
            .map(str::to_owned)
            .to_vec(),
        series: vec![
            series("LRURec", &[0.036, 0.048, 0.085, 0.043, 0.066, 0.141], 0.012),
            series("LlamaRec, zero-shot", &[0.031, 0.042, 0.079, 0.040, 0.061, 0.137], 0.011),
            series("LlamaRec, tuned", &[0.061, 0.072, 0.103, 0.067, 0.086, 0.148], 0.014),
        ],
    })
}

pub fn intervals() -> Chart {
    let row = |name: &str, values: [(f64, f64, f64); 2]| IntervalRow {
        name: name.to_owned(),
        values: values.map(|(value, low, high)| Some(Estimate::within(value, low, high))).to_vec(),
    };
    Chart::Intervals(Intervals {
        title: "Improvement of LlamaRec on LRURec".to_owned(),
        axis: Axis::new("improvement", 1).unit("%"),
        better: Some(Better::Higher),
        series: vec!["ML-100K".to_owned(), "Beauty".to_owned()],
        looks: Vec::new(),
        rows: vec![
            row("MRR@5", [(70.7, 21.0, 124.0), (8.2, 5.1, 11.4)]),
            row("NDCG@5", [(49.3, 12.0, 92.0), (8.0, 5.2, 10.9)]),
            row("Recall@5", [(21.1, -6.0, 51.0), (7.1, 4.0, 10.2)]),
            row("MRR@10", [(55.0, 17.0, 97.0), (7.9, 5.0, 10.7)]),
            row("NDCG@10", [(29.9, 4.0, 58.0), (6.8, 4.3, 9.4)]),
            row("Recall@10", [(4.7, -9.0, 19.0), (-0.4, -2.4, 1.6)]),
        ],
    })
}

pub fn ladder() -> Chart {
    let rung = |name: &str, value: f64, half: f64, bound| Rung {
        name: name.to_owned(),
        estimate: if half > 0.0 {
            Estimate::within(value, value - half, value + half)
        } else {
            Estimate::exact(value)
        },
        bound,
    };
    Chart::Ladder(Ladder {
        title: "From a random to the perfect order, 67 users in R".to_owned(),
        axis: Axis::new("NDCG@10 over R", 4),
        rungs: vec![
            rung("random order", 0.2272, 0.0, true),
            rung("retriever", 0.3184, 0.04, false),
            rung("zero-shot", 0.2951, 0.038, false),
            rung("tuned", 0.4142, 0.045, false),
            rung("perfect order", 1.0, 0.0, true),
        ],
    })
}

pub fn curves() -> Chart {
    let curve = |seed: i32, from: f64, to: f64, rise: bool| {
        let points: Vec<(f64, f64)> = (1..=14)
            .map(|epoch| {
                let t = f64::from(epoch);
                let wobble = ((t * 1.7 + f64::from(seed)).sin()) * 0.02 * (to - from).abs();
                (t, from + (to - from) * (1.0 - (-t / 4.0).exp()) + wobble)
            })
            .collect();
        let best = (0..14).max_by(|a: &usize, b: &usize| points[*a].1.total_cmp(&points[*b].1));
        Curve { name: format!("seed {seed}"), points, best: if rise { best } else { None } }
    };
    let seeds = [42, 43, 44, 45, 46];
    Chart::Curves(Curves {
        title: "LRURec on ML-100K".to_owned(),
        x: Axis::new("epoch", 0),
        panels: vec![
            Panel {
                axis: Axis::new("validation NDCG@10", 4),
                curves: seeds
                    .map(|seed| curve(seed, 0.01, 0.066 + f64::from(seed - 44) * 0.002, true))
                    .to_vec(),
            },
            Panel {
                axis: Axis::new("training loss", 2),
                curves: seeds.map(|seed| curve(seed, 8.1, 5.9 + f64::from(seed - 44) * 0.05, false)).to_vec(),
            },
        ],
    })
}

pub fn ranks() -> Chart {
    let series = |name: &str, decay: f64, users: u64| RankSeries {
        name: name.to_owned(),
        counts: (0..20).map(|rank| (users as f64 * 0.12 * (-f64::from(rank) / decay).exp()) as u64).collect(),
        users,
    };
    Chart::Ranks(Ranks {
        title: "Where the held-out item stands, Beauty".to_owned(),
        series: vec![series("LRURec", 6.0, 22_332), series("LlamaRec, tuned", 3.5, 22_332)],
    })
}

pub fn bins() -> Chart {
    Chart::Bins(Bins {
        title: "NDCG@10 by the length of the history, Beauty".to_owned(),
        axis: Axis::new("NDCG@10", 4),
        x_label: "items in the history".to_owned(),
        bins: [("3-4", 9120), ("5-6", 5840), ("7-9", 3911), ("10-14", 2120), ("15-24", 990), ("25-50", 351)]
            .map(|(label, users)| Bin { label: label.to_owned(), users })
            .to_vec(),
        series: vec![
            series("LRURec", &[0.041, 0.044, 0.047, 0.052, 0.055, 0.049], 0.004),
            series("LlamaRec, zero-shot", &[0.035, 0.037, 0.041, 0.044, 0.045, 0.040], 0.004),
            series("LlamaRec, tuned", &[0.046, 0.049, 0.051, 0.056, 0.061, 0.051], 0.005),
        ],
    })
}

/// One of each kind, with its name.
pub fn charts() -> Vec<(&'static str, Chart)> {
    vec![
        ("bars", bars()),
        ("intervals", intervals()),
        ("ladder", ladder()),
        ("curves", curves()),
        ("ranks", ranks()),
        ("bins", bins()),
    ]
}
