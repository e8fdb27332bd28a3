//! Files of weights, mapped into memory, and where each tensor is in them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use half::f16;
use memmap2::Mmap;

use super::WeightsError;
use super::build::{HEAD, plan};
use super::header::{self, Entry};
use crate::backbone::{Error, ModelConfig};
use crate::nn::quant::{Elements, Frozen, NotFinite, Storage};

/// Where the bytes of a file are.
enum Bytes<'a> {
    Mapped(Mmap),
    Memory(&'a [u8]),
}

/// A file and its tensors.
pub(super) struct Shard<'a> {
    path: PathBuf,
    bytes: Bytes<'a>,
    tensors: BTreeMap<String, Entry>,
}

impl<'a> Shard<'a> {
    /// Map a file and read its header.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| Error::read(path, e))?;
        // An empty file cannot be mapped on every system; the header says what is wrong with it.
        if file.metadata().map_err(|e| Error::read(path, e))?.len() == 0 {
            return Self::memory(path, &[]);
        }
        // SAFETY: the file must not be cut short by another process meanwhile; models' files are written once.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::read(path, e))?;
        let tensors = header::read(path, &map)?;
        Ok(Self { path: path.to_owned(), bytes: Bytes::Mapped(map), tensors })
    }

    /// A file that is in memory; `path` is what messages call it.
    pub fn memory(path: &Path, bytes: &'a [u8]) -> Result<Self, Error> {
        let tensors = header::read(path, bytes)?;
        Ok(Self { path: path.to_owned(), bytes: Bytes::Memory(bytes), tensors })
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Memory(bytes) => bytes,
        }
    }
}

/// All files of one model.
pub(super) struct Shards<'a> {
    shards: Vec<Shard<'a>>,
    places: BTreeMap<String, usize>,
    /// What messages about the whole are told of: the file, or the index of several.
    whole: PathBuf,
}

impl<'a> Shards<'a> {
    /// Files that belong together; `index` is its path and what it says.
    pub fn new(
        shards: Vec<Shard<'a>>,
        index: Option<(&Path, &BTreeMap<String, String>)>,
    ) -> Result<Self, WeightsError> {
        let mut places = BTreeMap::new();
        for (at, shard) in shards.iter().enumerate() {
            for name in shard.tensors.keys() {
                if let Some(before) = places.insert(name.clone(), at) {
                    let first: &Shard<'_> = &shards[before];
                    let (first, second) = (first.path.clone(), shard.path.clone());
                    return Err(WeightsError::Twice { tensor: name.clone(), first, second });
                }
            }
        }
        let whole = index.map(|(path, _)| path).or(shards.first().map(|shard| shard.path.as_path()));
        let whole = whole.unwrap_or(Path::new("")).to_owned();
        let shards = Self { shards, places, whole };
        if let Some((index, map)) = index {
            shards.check_index(index, map)?;
        }
        Ok(shards)
    }

    fn check_index(&self, index: &Path, map: &BTreeMap<String, String>) -> Result<(), WeightsError> {
        for (tensor, file) in map {
            let path = self.places.get(tensor).map(|at| &self.shards[*at].path);
            if path.and_then(|path| path.file_name()) != Some(file.as_ref()) {
                let path = index.with_file_name(file);
                return Err(WeightsError::Displaced {
                    index: index.to_owned(),
                    tensor: tensor.clone(),
                    path,
                });
            }
        }
        match self.places.iter().find(|(tensor, _)| !map.contains_key(*tensor)) {
            Some((tensor, at)) => {
                let path = self.shards[*at].path.clone();
                Err(WeightsError::Unlisted { index: index.to_owned(), tensor: tensor.clone(), path })
            }
            None => Ok(()),
        }
    }

    /// Compare all names, types and shapes with the description, before any number is read. The result are the names of
    /// tensors that are of no use here.
    pub fn check(&self, config: &ModelConfig) -> Result<Vec<String>, WeightsError> {
        let plan: BTreeMap<String, Vec<usize>> = plan(config).into_iter().collect();
        let lacking: Vec<String> =
            plan.keys().filter(|name| !self.places.contains_key(*name)).cloned().collect();
        if !lacking.is_empty() {
            let expected = plan.len();
            return Err(WeightsError::Lacks { path: self.whole.clone(), tensors: lacking, expected });
        }
        for (tensor, expected) in &plan {
            let (shard, entry) = self.find(tensor);
            if header::width(&entry.dtype).is_none() {
                let (path, found) = (shard.path.clone(), entry.dtype.clone());
                return Err(WeightsError::Type { path, tensor: tensor.clone(), found });
            }
            if entry.shape != *expected {
                let (path, found) = (shard.path.clone(), entry.shape.clone());
                let expected = expected.clone();
                return Err(WeightsError::Shape { path, tensor: tensor.clone(), found, expected });
            }
        }
        let rest = self.places.keys().filter(|name| !plan.contains_key(*name) && !is_known_surplus(name));
        let (changing, useless): (Vec<String>, Vec<String>) =
            rest.cloned().partition(|name| changes_the_model(name));
        if changing.is_empty() {
            Ok(useless)
        } else {
            Err(WeightsError::Unexpected { path: self.whole.clone(), tensors: changing })
        }
    }

    /// A tensor that `check` has found.
    fn find(&self, name: &str) -> (&Shard<'a>, &Entry) {
        let shard = &self.shards[self.places[name]];
        (shard, &shard.tensors[name])
    }

    /// Bytes of a tensor in its file.
    pub fn len(&self, name: &str) -> usize {
        let (_, entry) = self.find(name);
        entry.end - entry.begin
    }

    /// Whether the numbers of a tensor are bf16.
    pub fn is_bf16(&self, name: &str) -> bool {
        self.find(name).1.dtype == "BF16"
    }

    /// Convert a tensor.
    pub fn matrix(&self, name: &str, storage: Storage, rows: usize, cols: usize) -> Result<Frozen, Error> {
        let (shard, entry) = self.find(name);
        let numbers = Numbers { shard, entry, bytes: &shard.bytes()[entry.begin..entry.end] };
        Frozen::from_elements(storage, rows, cols, &numbers).map_err(|NotFinite { at, value }| {
            let mut place = Vec::new();
            let mut rest = at;
            for n in entry.shape.iter().rev() {
                place.insert(0, rest % n);
                rest /= n;
            }
            let (path, tensor) = (shard.path.clone(), name.to_owned());
            WeightsError::NotFinite { path, tensor, at: place, value }.into()
        })
    }

    /// Ask the system to read a tensor ahead.
    pub fn announce(&self, name: &str) {
        let (shard, entry) = self.find(name);
        shard.advise(Advice::WillNeed, entry.begin, entry.end - entry.begin);
    }
}

/// What the system is told of a part of a file.
enum Advice {
    /// Read it into the cache while we do something else.
    WillNeed,
    /// Make it readable without a fault for each page.
    Populate,
    /// Take its memory back. Pages stay in the system's cache, and a page that is read again is mapped again.
    DontNeed,
}

impl Shard<'_> {
    /// Only a hint: nothing but speed and memory depends on it, so failures are passed over.
    #[cfg(unix)]
    fn advise(&self, advice: Advice, from: usize, len: usize) {
        let Bytes::Mapped(map) = &self.bytes else { return };
        let _ = match advice {
            Advice::WillNeed => map.advise_range(memmap2::Advice::WillNeed, from, len),
            #[cfg(target_os = "linux")]
            Advice::Populate => map.advise_range(memmap2::Advice::PopulateRead, from, len),
            #[cfg(not(target_os = "linux"))]
            Advice::Populate => Ok(()),
            // SAFETY: the map is shared and read-only, so a page that is dropped reads as before.
            Advice::DontNeed => unsafe {
                map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, len)
            },
        };
    }

    #[cfg(not(unix))]
    fn advise(&self, _advice: Advice, _from: usize, _len: usize) {}
}

/// Tensors that files carry and no model needs: constants of the rotation, and the copy of a tied embedding.
fn is_known_surplus(name: &str) -> bool {
    name.ends_with(".rotary_emb.inv_freq") || name == HEAD
}

/// Whether a tensor without a place means that the description is of another model: more layers, biases, other norms.
fn changes_the_model(name: &str) -> bool {
    let parts = [".self_attn.", ".mlp.", "layernorm", "norm.", "lm_head.", "embed_tokens."];
    (name.ends_with(".weight") || name.ends_with(".bias")) && parts.iter().any(|part| name.contains(part))
}

/// The numbers of a tensor as they are in the file, little-endian and on any byte.
struct Numbers<'a> {
    shard: &'a Shard<'a>,
    entry: &'a Entry,
    bytes: &'a [u8],
}

impl Numbers<'_> {
    fn advise(&self, advice: Advice, from: usize, count: usize) {
        let width = header::width(&self.entry.dtype).unwrap_or(1) as usize;
        self.shard.advise(advice, self.entry.begin + from * width, count * width);
    }
}

impl Elements for Numbers<'_> {
    fn load(&self, from: usize, out: &mut [f32]) {
        let dtype = self.entry.dtype.as_str();
        if dtype == "F32" {
            let (bytes, _) = self.bytes[from * 4..].as_chunks::<4>();
            for (out, bytes) in out.iter_mut().zip(bytes) {
                *out = f32::from_le_bytes(*bytes);
            }
            return;
        }
        let (bytes, _) = self.bytes[from * 2..].as_chunks::<2>();
        if dtype == "BF16" {
            for (out, bytes) in out.iter_mut().zip(bytes) {
                *out = f32::from_bits(u32::from(u16::from_le_bytes(*bytes)) << 16);
            }
        } else {
            for (out, bytes) in out.iter_mut().zip(bytes) {
                *out = f16::from_le_bytes(*bytes).to_f32();
            }
        }
    }

    fn begin(&self, from: usize, count: usize) {
        self.advise(Advice::Populate, from, count);
    }

    // Piece by piece: the largest tensor of an 8-billion model, its embedding, is a gigabyte in the file.
    fn end(&self, from: usize, count: usize) {
        self.advise(Advice::DontNeed, from, count);
    }
}
