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
use bench::paper::Verdicts;
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
    println!("| part | least s of 5 | processor s |\n|---|---|---|");
    let parts = |experiments: &[Experiment]| -> Vec<_> {
        let stored = stored_seeds(experiments.to_vec(), &folders, &Silent).expect("the store is readable");
        stored.iter().map(|(job, cells)| part(&job.experiment, cells.as_ref().expect("cells"))).collect()
    };
    let wanted = Summarize { name: "summary".to_owned(), reference: None, imported: Vec::new() };
    let load = least(|| parts(&experiments));
    println!(
        "| read and verify {} cells | {load} |",
        bench::run::list_all(&folders.runs).expect("a store").len()
    );
    let all = parts(&experiments);
    let made = least(|| summarize(all.clone(), &wanted, &folders).expect("a report"));
    println!("| from ranks to all formats on disk | {made} |");
    let (paper, paths) = summarize(all, &wanted, &folders).expect("a report");
    let document = &paper.document;
    let blocks = &paper.blocks;
    let metrics = &paper.verdicts.metrics;
    for (name, seconds) in [
        ("tests", least(|| Verdicts::of(blocks, metrics).expect("tests"))),
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
        println!("| of it: {name} | {seconds} |");
    }
    let whole = least(|| summarize(parts(&experiments), &wanted, &folders).expect("a report"));
    println!("| the whole grid, from the store to all formats on disk | {whole} |");
    let each = least(|| rebuild(experiments.clone(), &folders, &Silent).expect("reports"));
    println!("| the six reports of one experiment each | {each} |\n");
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

/// The least time of five calls and the least processor time of one, over all threads, as two cells of a row.
fn least<T>(mut work: impl FnMut() -> T) -> String {
    let [mut wall, mut processor] = [f64::INFINITY; 2];
    for _ in 0..5 {
        let (start, before) = (Instant::now(), processor_seconds());
        std::hint::black_box(work());
        wall = wall.min(start.elapsed().as_secs_f64());
        processor = processor.min(processor_seconds() - before);
    }
    format!("{wall:.3} | {processor:.2}")
}

/// What the threads of this process have used so far; not a number where the kernel does not tell.
fn processor_seconds() -> f64 {
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        Some(text.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9)
    };
    std::fs::read_dir("/proc/self/task")
        .map_or(f64::NAN, |threads| threads.map(|thread| of_thread(thread).unwrap_or(f64::NAN)).sum())
}
