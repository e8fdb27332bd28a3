//! How long the report over the whole grid of the seed paper takes: 6 experiments with 5 seeds each, from the run store to all formats
//! on disk.
//!
//! `cargo bench --bench report` makes the grid up once (every cell and page of it says `simulated: not for reporting`) and prints the
//! times. With `BENCH_REPORT_FOLDER` the store and the reports stay in that folder, to be looked at.

#[path = "simulated.rs"]
mod simulated;

use std::path::{Path, PathBuf};
use std::time::Instant;

use bench::document::{Theme, csv, html, json, latex, latex_tables, markdown};
use bench::events::Silent;
use bench::experiment::Experiment;
use bench::pipeline::{Folders, Summarize, part, rebuild, stored_seeds, summarize};
use rayon::prelude::*;

const SEEDS: [u64; 5] = [42, 43, 44, 45, 46];

fn main() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let folder = std::env::var_os("BENCH_REPORT_FOLDER").map_or(temporary.path().to_owned(), PathBuf::from);
    let folders = Folders {
        data: folder.join("no-data"),
        runs: folder.join("runs"),
        reports: folder.join("reports"),
        baselines: None,
        rescue: folder.join("rescue"),
    };
    let experiments = simulated::experiments(&SEEDS);
    let cells = bench::run::list_all(&folders.runs).expect("a store or nothing").len();
    if cells == 0 {
        let start = Instant::now();
        simulated::fill(&folders.runs, &experiments, 1.0);
        println!("made the grid up in {:.1} s", start.elapsed().as_secs_f64());
    }
    println!("{} threads\n", rayon::current_num_threads());
    println!("| part | least s of 5 |\n|---|---|");
    let parts = |experiments: &[Experiment]| -> Vec<_> {
        let stored = stored_seeds(experiments.to_vec(), &folders, &Silent).expect("the store is readable");
        stored.iter().map(|(job, cells)| part(&job.experiment, cells.as_ref().expect("cells"))).collect()
    };
    let wanted = Summarize { name: "summary".to_owned(), reference: None, imported: Vec::new() };
    let load = least(|| parts(&experiments));
    println!(
        "| read and verify {} cells | {load:.2} |",
        bench::run::list_all(&folders.runs).expect("a store").len()
    );
    let all = parts(&experiments);
    let made = least(|| summarize(all.clone(), &wanted, &folders).expect("a report"));
    println!("| from ranks to all formats on disk | {made:.2} |");
    let (paper, paths) = summarize(all, &wanted, &folders).expect("a report");
    let document = &paper.document;
    for (name, seconds) in [
        (
            "Markdown, LaTeX, JSON, CSV",
            least(|| {
                (
                    markdown(document, "figures"),
                    latex(document, "figures"),
                    json(document),
                    csv(document),
                    latex_tables(document),
                )
            }),
        ),
        ("HTML", least(|| html(document))),
        (
            "figures as SVG",
            least(|| figures(document, |chart, theme| chart.svg(document.stamp.as_deref(), theme).len())),
        ),
        (
            "figures as PNG",
            least(|| figures(document, |chart, theme| chart.png(document.stamp.as_deref(), theme).len())),
        ),
    ] {
        println!("| of it: {name} | {seconds:.2} |");
    }
    let whole = least(|| summarize(parts(&experiments), &wanted, &folders).expect("a report"));
    println!("| the whole grid, from the store to all formats on disk | {whole:.2} |");
    let each = least(|| rebuild(experiments.clone(), &folders, &Silent).expect("reports"));
    println!("| the six reports of one experiment each | {each:.2} |\n");
    let bytes: u64 = paths.iter().map(|path| size(path)).sum();
    println!(
        "{} files, {:.1} MiB; {} tests in one family",
        paths.len(),
        bytes as f64 / f64::from(1 << 20),
        paper.verdicts.family.rows.len()
    );
}

fn figures(
    document: &bench::document::Checked,
    draw: impl Fn(&bench::document::Chart, Theme) -> usize + Sync,
) -> usize {
    let figures: Vec<_> =
        document.figures().flat_map(|figure| [(figure, Theme::Light), (figure, Theme::Dark)]).collect();
    figures.into_par_iter().map(|(figure, theme)| draw(&figure.chart, theme)).sum()
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("a file that was written").len()
}

fn least<T>(mut work: impl FnMut() -> T) -> f64 {
    let once = |_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    };
    (0..5).map(once).fold(f64::INFINITY, f64::min)
}
