use std::path::{Path, PathBuf};

use bench::experiment::{Experiment, Loaded, RetrieverSpec};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder is shipped")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

fn experiment(name: &str) -> Experiment {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments").join(format!("{name}.toml"));
    super::load(&path).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_shipped_experiment_loads_and_is_named_as_its_file() {
    let files = files("experiments");
    assert_eq!(files.len(), 19, "{files:?}");
    for path in files {
        let experiment = super::load(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(path.file_stem().and_then(|stem| stem.to_str()), Some(experiment.name.as_str()));
        assert!(!experiment.description.is_empty(), "{}", path.display());
        let backbone = ["llama", "quickstart-", "embedded"].iter().any(|part| experiment.name.contains(part));
        assert_eq!(experiment.needs_backbone(), backbone, "{}", path.display());
        assert_eq!(experiment.ranker.is_some(), backbone);
    }
}

#[test]
fn every_shared_file_is_valid_and_abstract() {
    let files = files("experiments/shared");
    assert_eq!(files.len(), 4, "{files:?}");
    for path in files {
        assert!(Experiment::is_abstract(&path));
        let checked = Experiment::check(&path, &[], &[]).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(checked, Loaded::Abstract);
    }
}

#[test]
fn the_lrurec_files_say_what_the_papers_settings_are() {
    for name in ["ml-100k", "beauty", "games"] {
        let experiment = experiment(&format!("{name}-lrurec"));
        let paper = bench::experiment::LruSpec::paper_default(&experiment.dataset.source);
        assert_eq!(experiment.retriever, RetrieverSpec::Lru(paper));
        let seeds: Vec<u64> = experiment.seeds.iter().map(|seed| seed.get()).collect();
        assert_eq!(seeds, [42, 43, 44, 45, 46]);
    }
}

#[test]
fn the_ranker_files_share_the_retrieval_of_the_lrurec_files() {
    for (name, batch_size) in [("ml-100k", 16), ("beauty", 12), ("games", 12)] {
        let retrieval = experiment(&format!("{name}-lrurec")).retrieval_key_material();
        for backbone in ["llama-2-7b", "llama-3.1-8b"] {
            let experiment = experiment(&format!("{name}-{backbone}"));
            assert_eq!(experiment.retrieval_key_material(), retrieval);
            assert_eq!(experiment.ranker.expect("it ranks").batch_size, batch_size);
        }
    }
}
