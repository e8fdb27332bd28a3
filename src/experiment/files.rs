//! An experiment file and those that it inherits from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::problem::{Place, Problem};
use super::raw::{self, Entry, Layer, Typed};
use super::suggest;

/// No experiment file is larger; a ratings file named by mistake is.
const MAX_BYTES: u64 = 1 << 20;

/// A file as it was read.
#[derive(Debug)]
pub(super) struct RawFile {
    pub(super) path: PathBuf,
    pub(super) layer: Layer,
    /// Where `abstract = true` is.
    pub(super) abstract_at: Option<Place>,
}

/// A file and all that it inherits from, the strongest (the file itself) last.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) files: Vec<RawFile>,
    pub(super) problems: Vec<Problem>,
}

impl Chain {
    pub(super) fn read(path: &Path) -> Self {
        let mut chain = Self::default();
        let mut stack = Vec::new();
        if let Err(message) = chain.visit(path, &mut stack) {
            let help = near_file(path).map(|name| format!("did you mean {name}?"));
            chain.problems.push(Problem { help, ..Problem::new(Place::whole(path), message) });
        }
        chain
    }

    /// One text as the only file, which inherits nothing.
    pub(super) fn of_text(path: &Path, text: &str) -> Self {
        let (layer, problems) = raw::parse(path, text);
        Self { files: vec![RawFile { path: path.to_owned(), layer, abstract_at: None }], problems }
    }

    /// Depth first, each file once: a file that two others share stays weaker than both.
    fn visit(&mut self, path: &Path, stack: &mut Vec<(PathBuf, PathBuf)>) -> Result<(), String> {
        let text = read(path)?;
        let (layer, problems) = raw::parse(path, &text);
        self.problems.extend(problems);
        let identity = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        stack.push((identity, path.to_owned()));
        if let Some(entry) = layer.get("inherits") {
            match parents(entry) {
                Ok(parents) => parents.iter().for_each(|parent| self.inherit(path, parent, entry, stack)),
                Err(problem) => self.problems.push(problem),
            }
        }
        stack.pop();
        let abstract_at = match layer.get("abstract") {
            Some(Entry { value: Typed::Bool(true), place, .. }) => Some(place.clone()),
            Some(Entry { value: Typed::Bool(false), .. }) | None => None,
            Some(Entry { value, place, .. }) => {
                let message = format!("abstract is {value}, {}; expected true or false", value.type_name());
                self.problems.push(Problem::new(place.clone(), message));
                None
            }
        };
        self.files.push(RawFile { path: path.to_owned(), layer, abstract_at });
        Ok(())
    }

    fn inherit(&mut self, from: &Path, parent: &str, entry: &Entry, stack: &mut Vec<(PathBuf, PathBuf)>) {
        let path = from.parent().unwrap_or(Path::new("")).join(parent);
        let identity = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let Some(begin) = stack.iter().position(|(known, _)| *known == identity) {
            let mut names: Vec<String> =
                stack[begin..].iter().map(|(_, p)| p.display().to_string()).collect();
            names.push(path.display().to_string());
            let message = format!("inherits goes in a circle: {}", names.join(" -> "));
            self.problems.push(Problem::new(entry.place.clone(), message));
            return;
        }
        let known = |file: &RawFile| file.path.canonicalize().is_ok_and(|path| path == identity);
        if self.files.iter().any(known) {
            return;
        }
        if let Err(message) = self.visit(&path, stack) {
            let looked_for = path.display();
            let message =
                format!("inherits {}, which {message} (it would be {looked_for})", raw::quote(parent));
            let problem = Problem::new(entry.place.clone(), message);
            let near = near_file(&path).map(|name| format!("did you mean {name}?"));
            self.problems.push(Problem { help: near, ..problem });
        }
    }
}

/// `inherits` as a list of names.
fn parents(entry: &Entry) -> Result<Vec<String>, Problem> {
    let wrong = |found: &Typed| {
        let message = format!(
            "inherits is {found}, {}; expected the path of a file or a list of paths",
            found.type_name()
        );
        Problem::new(entry.place.clone(), message)
    };
    let names = match &entry.value {
        Typed::Text(name) => vec![name.clone()],
        Typed::List(items) => {
            let name = |item: &Typed| match item {
                Typed::Text(name) => Ok(name.clone()),
                _ => Err(wrong(&entry.value)),
            };
            items.iter().map(name).collect::<Result<_, _>>()?
        }
        other => return Err(wrong(other)),
    };
    if names.iter().any(|name| name.trim().is_empty()) { Err(wrong(&entry.value)) } else { Ok(names) }
}

/// The text of a file, or what is wrong with it as the end of "the file ...".
fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be opened: {error}"),
    })?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        return Err("is a folder; expected an experiment file (TOML)".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("is larger than 1 MiB; expected an experiment file (TOML)".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        format!("is not UTF-8 (line {line}); expected an experiment file (TOML)")
    })
}

/// A file in the same folder with nearly the same name.
fn near_file(path: &Path) -> Option<String> {
    if path.exists() {
        return None;
    }
    let wanted = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    suggest::nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned)
}
