//! What the documents say about the code is what the code says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

#[test]
fn the_table_of_settings_in_formats_md_is_the_one_that_the_program_prints() {
    let document = read("docs/formats.md");
    let after = document.split_once("<!-- settings -->").expect("the marker").1.trim_start();
    let table = after.split("\n\n").next().expect("a table").trim_end();
    let printed = bench::experiment::settings_markdown();
    assert_eq!(table, printed.trim_end(), "run `bench settings` and copy its output behind the marker");
}

/// `module` -> what it uses, from `crate::` paths in the sources.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let modules: BTreeSet<String> = std::fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["lib", "main"].contains(&name.as_str()))
        .collect();
    let mut edges = BTreeMap::new();
    for module in &modules {
        let mut files = Vec::new();
        collect(&root().join("src").join(module), &mut files);
        let file = root().join(format!("src/{module}.rs"));
        files.extend(file.exists().then_some(file));
        let mut used = BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            for (at, _) in text.match_indices("crate::") {
                let rest = &text[at + "crate::".len()..];
                // `use crate::{a, b::c}` names several.
                let names: Vec<&str> = match rest.strip_prefix('{') {
                    Some(list) => list.split('}').next().unwrap().split(',').map(str::trim).collect(),
                    None => vec![rest],
                };
                for name in names {
                    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
                    used.extend(modules.get(&name[..end]).filter(|used| *used != module).cloned());
                }
            }
        }
        edges.insert(module.clone(), used);
    }
    edges
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn the_table_of_modules_in_architecture_md_is_the_one_in_the_code() {
    let document = read("ARCHITECTURE.md");
    let ticked =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut written = BTreeMap::new();
    for line in document.lines().skip_while(|line| !line.starts_with("| module |")).skip(2) {
        let cells: Vec<&str> = line.split('|').collect();
        let [_, module, _, uses, _] = cells.as_slice() else { break };
        written.insert(ticked(module).pop_first().expect("a module"), ticked(uses));
    }
    assert!(written.len() >= 13, "the table has {} modules", written.len());
    assert_eq!(written, edges());
}

#[test]
fn tables_are_computable_without_a_model() {
    let edges = edges();
    for module in ["data", "eval", "baseline", "report"] {
        // What can be reached, not only what is named.
        let (mut reached, mut open) = (BTreeSet::new(), vec![module.to_owned()]);
        while let Some(next) = open.pop() {
            open.extend(edges[&next].iter().filter(|used| reached.insert((*used).clone())).cloned());
        }
        for forbidden in ["nn", "retrieve", "pipeline", "cli"] {
            assert!(!reached.contains(forbidden), "{module} reaches {forbidden}");
        }
        let mut files = Vec::new();
        collect(&root().join("src").join(module), &mut files);
        assert!(!files.is_empty());
        for file in files {
            assert!(
                !std::fs::read_to_string(&file).unwrap().contains("candle"),
                "{} names candle",
                file.display()
            );
        }
    }
}

#[test]
fn the_readme_names_only_experiment_files_that_exist() {
    let readme = read("README.md");
    let mut named = 0;
    for (at, _) in readme.match_indices("experiments/") {
        let rest = &readme[at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || "/.-_".contains(c))).unwrap_or(rest.len());
        let path = &rest[..end];
        if path.ends_with(".toml") && !path.contains("my-") {
            named += 1;
            assert!(root().join(path).exists(), "README.md names {path}");
        }
    }
    assert!(named >= 3, "README.md names {named} experiment files");
}
