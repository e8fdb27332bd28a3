//! The grid of the seed paper from a made-up store, small, through the pipeline.

use std::path::Path;

use bench::document::{Block, files};
use bench::events::Silent;
use bench::experiment::Experiment;
use bench::paper::Paper;
use bench::pipeline::{Folders, Summarize, part, stored_seeds, summarize};

use super::simulated::{self, STAMP};
use super::{cell, table, warnings};

fn folders(root: &Path) -> Folders {
    Folders {
        data: root.join("no-data"),
        runs: root.join("runs"),
        reports: root.join("reports"),
        baselines: None,
        rescue: root.join("rescue"),
    }
}

fn built(root: &Path, experiments: &[Experiment]) -> (Paper, Vec<std::path::PathBuf>) {
    let folders = folders(root);
    let stored = stored_seeds(experiments.to_vec(), &folders, &Silent).unwrap();
    let parts = stored.iter().map(|(job, cells)| part(&job.experiment, cells.as_ref().unwrap())).collect();
    let wanted = Summarize { name: "summary".to_owned(), reference: None, imported: Vec::new() };
    summarize(parts, &wanted, &folders).unwrap()
}

#[test]
fn every_page_table_and_figure_of_a_made_up_grid_says_that_it_is_not_for_reporting() {
    let root = tempfile::tempdir().unwrap();
    let experiments = simulated::experiments(&[42, 43]);
    simulated::fill(&root.path().join("runs"), &experiments, 0.02);
    let (paper, paths) = built(root.path(), &experiments);
    let document = &paper.document;
    assert_eq!(document.stamp.as_deref(), Some(STAMP));
    assert_eq!(paper.brief.stamp.as_deref(), Some(STAMP));
    let titles: Vec<&str> = paper.blocks.iter().map(|block| block.title.as_str()).collect();
    assert_eq!(titles, ["ML-100K", "Beauty", "Games"]);
    let (tables, figures) = (document.tables().count(), document.figures().count());
    assert_eq!((tables, figures), (11, 9));
    let all = files(document, "summary");
    assert_eq!(paths.len(), all.len());
    for (file, path) in all.iter().zip(&paths) {
        assert_eq!(std::fs::read(path).unwrap(), file.bytes, "{}", path.display());
    }
    let text = |name: &str| {
        let file = all.iter().find(|file| file.path == name).unwrap_or_else(|| panic!("{name}"));
        String::from_utf8(file.bytes.clone()).unwrap()
    };
    // Once on top and at each table and figure.
    assert!(text("summary.md").matches(STAMP).count() > tables);
    assert!(text("summary.html").matches(STAMP).count() > tables + figures);
    assert!(text("summary.tex").matches(STAMP).count() > tables + figures);
    assert!(text("summary.json").contains(STAMP));
    for table in document.tables() {
        for end in ["csv", "tex"] {
            assert!(text(&format!("tables/{}.{end}", table.id)).contains(STAMP), "{}.{end}", table.id);
        }
    }
    for figure in document.figures() {
        for theme in ["light", "dark"] {
            let svg = text(&format!("figures/{}-{theme}.svg", figure.id));
            assert!(svg.contains(STAMP), "{}", figure.id);
        }
    }
    assert!(
        warnings(&paper)[0].starts_with("Not for reporting: beauty-llama-2-7b, "),
        "{:?}",
        warnings(&paper)[0]
    );
}

#[test]
fn the_made_up_grid_is_near_the_papers_tables_and_is_the_same_again() {
    let root = tempfile::tempdir().unwrap();
    let experiments = simulated::experiments(&[42, 43]);
    let of_ml: Vec<Experiment> =
        experiments.into_iter().filter(|experiment| experiment.name.starts_with("ml-100k")).collect();
    simulated::fill(&root.path().join("runs"), &of_ml, 1.0);
    let (paper, paths) = built(root.path(), &of_ml);
    let two = table(&paper, "table-2");
    for (metric, llamarec, ours) in
        [("N@10", 0.3184, 0.4142), ("R@10", 0.6825, 0.7142), ("M@5", 0.1728, 0.2961)]
    {
        for (column, printed) in [("LlamaRec", llamarec), ("Llama-3.1-8B", ours)] {
            let found = cell(two, metric, "ML-100K", column).value.unwrap();
            assert!((found - printed).abs() < 0.08, "{metric} {column}: {found} {printed}");
        }
    }
    let before = std::fs::read(&paths[3]).unwrap();
    let (_, again) = built(root.path(), &of_ml);
    assert_eq!(std::fs::read(&again[3]).unwrap(), before);
}

#[test]
fn a_half_written_cell_is_set_aside_and_the_rest_is_reported() {
    let root = tempfile::tempdir().unwrap();
    let runs = root.path().join("runs");
    let experiments: Vec<Experiment> = simulated::experiments(&[42, 43])
        .into_iter()
        .filter(|experiment| experiment.name.starts_with("games"))
        .collect();
    simulated::fill(&runs, &experiments, 0.02);
    let of_seed = |stage: &str, seed: u64, with: &str| {
        let cells = bench::run::list_all(&runs).unwrap().into_iter();
        let mut fitting = cells.filter(|cell| {
            let manifest = cell.manifest.as_ref().unwrap();
            let ranker = manifest.ranker.as_ref().map_or("", |ranker| ranker.backbone.name.as_str());
            manifest.stage == stage && manifest.seed == seed && ranker.contains(with)
        });
        fitting.next().unwrap().path
    };
    let path = of_seed("ranking", 43, "Llama-2").join("ranking.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let (paper, _) = built(root.path(), &experiments);
    let said = warnings(&paper);
    let incomplete =
        said.iter().find(|warning| warning.starts_with("games-llama-2-7b is incomplete")).expect("a warning");
    assert!(incomplete.contains("1 of 2 seeds stored; missing: 43"), "{incomplete}");
    let three = table(&paper, "table-3");
    assert!(cell(three, "N@10", "Games", "LlamaRec").spread.is_none());
    assert!(cell(three, "N@10", "Games", "Llama-3.1-8B").spread.is_some());
    // The half of a cell is kept, out of the way.
    assert!(path.parent().unwrap().with_extension("damaged-1").is_dir());
}

#[test]
fn numbers_survive_json_and_the_brief_form_is_part_of_the_whole() {
    let root = tempfile::tempdir().unwrap();
    let experiments = simulated::experiments(&[42]);
    simulated::fill(&root.path().join("runs"), &experiments, 0.01);
    let (paper, paths) = built(root.path(), &experiments);
    let text = std::fs::read_to_string(&paths[3]).unwrap();
    let again = bench::document::read_json(&text).unwrap();
    assert_eq!(again, *paper.document);
    let whole: Vec<&Block> = paper.document.sections.iter().flat_map(|section| &section.blocks).collect();
    for block in paper.brief.sections.iter().flat_map(|section| &section.blocks) {
        assert!(whole.contains(&block));
    }
}
