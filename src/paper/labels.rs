//! What methods and datasets are called in tables.

use super::LineKind;

/// A dataset as papers write it.
pub(super) fn dataset(name: &str) -> String {
    match name {
        "ml-100k" => "ML-100K".to_owned(),
        other => capital(other),
    }
}

/// Where a dataset stands in the papers' tables; others come after them.
pub(super) fn dataset_place(name: &str) -> usize {
    ["ml-100k", "beauty", "games"].iter().position(|known| *known == name).unwrap_or(3)
}

/// A retriever as papers write it.
pub(super) fn retriever(name: &str) -> String {
    match name {
        "lru" => "LRURec".to_owned(),
        other => capital(other),
    }
}

/// The full name of a line and a short one.
pub(super) fn method(kind: LineKind, retriever: &str, backbone: Option<&str>) -> (String, String) {
    let Some(named) = backbone else {
        let name = self::retriever(retriever);
        return (name.clone(), name);
    };
    let plain = self::backbone(named).to_owned();
    match kind {
        LineKind::ZeroShot => (format!("{plain}, zero-shot"), format!("{plain}, zero-shot")),
        // The paper's own name for it.
        _ if paper_column(named) == Some(0) && retriever == "lru" => {
            (format!("LlamaRec ({plain})"), "LlamaRec".to_owned())
        }
        _ => (plain.clone(), plain),
    }
}

/// The last part of a backbone's name, without what only tells the format of its files.
pub(super) fn backbone(name: &str) -> &str {
    let last = name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or(name);
    let last = last.strip_prefix("Meta-").unwrap_or(last);
    last.strip_suffix("-hf").unwrap_or(last)
}

/// The backbones of the seed paper: its columns "LlamaRec" and "Our".
pub(super) const PAPER: [&str; 2] = ["Llama-2-7b", "Llama-3.1-8B"];

/// Which column of the seed paper a backbone is.
pub(super) fn paper_column(name: &str) -> Option<usize> {
    PAPER.iter().position(|known| known.eq_ignore_ascii_case(backbone(name)))
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
