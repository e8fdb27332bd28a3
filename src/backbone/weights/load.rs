//! Reading a model's weights from safetensors, tensor by tensor.

use std::path::Path;

use super::build::{EMBED, Source, build, plan};
use super::place::{Here, Place};
use super::shards::{Shard, Shards};
use super::{Weights, WeightsError, of_tables};
use crate::backbone::files::INDEX;
use crate::backbone::{Error, Folder, ModelConfig};
use crate::events::{Event, Interrupt, Reporter};
use crate::nn::quant::{Frozen, Storage};

/// Read the weights of the model in `folder`, its linear layers into `storage`.
///
/// Files are mapped, converted half a megabyte at a time on all threads, and each piece is given back at once: the peak
/// of memory is the model as it is stored plus a few megabytes. All headers are compared with `config.json` before
/// the first number is read.
///
/// # Errors
/// When `config.json` or a file cannot be read; [`Error::Weights`] when they disagree or a file is damaged;
/// [`Error::Interrupted`].
pub fn load(
    folder: &Folder,
    storage: Storage,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Weights, Error> {
    load_to(folder, storage, &mut Here, reporter, interrupt)
}

/// As [`load`], but each tensor is brought to its place as soon as it is read: of a model for a device, one tensor is in this machine's memory
/// at a time.
///
/// # Errors
/// As [`load`], and [`Error::Place`].
pub fn load_to<P: Place>(
    folder: &Folder,
    storage: Storage,
    place: &mut P,
    reporter: &dyn Reporter,
    interrupt: &Interrupt,
) -> Result<Weights<P::Matrix, P::Vector>, Error> {
    read(&folder.config()?, &open(folder)?, storage, place, (reporter, interrupt))
}

/// Compare the headers of all files of weights with `config.json`: names, types and shapes, and the index with the files. No
/// weight is read.
///
/// # Errors
/// As [`load`], but for weights that are not finite.
pub fn check(folder: &Folder) -> Result<(), Error> {
    open(folder)?.check(&folder.config()?)?;
    Ok(())
}

/// Whether embedding and output layer are f32 in memory: where those of the file are not bfloat16.
///
/// # Errors
/// As [`check`].
pub fn has_wide_tables(folder: &Folder) -> Result<bool, Error> {
    Ok(!open(folder)?.is_bf16(EMBED))
}

fn open(folder: &Folder) -> Result<Shards<'static>, Error> {
    let shards = folder.shards().iter().map(|path| Shard::open(path)).collect::<Result<Vec<_>, _>>()?;
    let index = folder.path().join(INDEX);
    Ok(Shards::new(shards, folder.index().map(|map| (index.as_path(), map)))?)
}

impl Weights {
    /// The weights in `bytes`, a safetensors file in memory that messages call `name`.
    ///
    /// # Errors
    /// As [`load`].
    pub fn from_bytes(
        config: &ModelConfig,
        name: &Path,
        bytes: &[u8],
        storage: Storage,
    ) -> Result<Self, Error> {
        let shards = Shards::new(vec![Shard::memory(name, bytes)?], None)?;
        read(config, &shards, storage, &mut Here, (&crate::events::Silent, &Interrupt::default()))
    }
}

fn read<P: Place>(
    config: &ModelConfig,
    shards: &Shards<'_>,
    storage: Storage,
    place: &mut P,
    (reporter, interrupt): (&dyn Reporter, &Interrupt),
) -> Result<Weights<P::Matrix, P::Vector>, Error> {
    let useless = shards.check(config)?;
    if let [first, rest @ ..] = &useless[..] {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        reporter
            .emit(Event::Warning(&format!("the weights hold {first}{more}, which the model does not use")));
    }
    let names: Vec<String> = plan(config).into_iter().map(|(name, _)| name).collect();
    let total = names.iter().map(|name| shards.len(name) as u64).sum();
    reporter.emit(Event::Started { stage: "load weights", total: Some(total), unit: "bytes" });
    let mut reading = Reading { shards, storage, names, at: 0, done: 0, bytes: 0, reporter, interrupt };
    let weights = build(config, &mut reading, place)?;
    let summary = format!("{} tensors, {:.1} MB in memory", reading.names.len(), reading.bytes as f64 / 1e6);
    reporter.emit(Event::Finished { summary: &summary });
    Ok(weights)
}

/// The state of a walk over all tensors.
struct Reading<'a> {
    shards: &'a Shards<'a>,
    storage: Storage,
    names: Vec<String>,
    at: usize,
    done: u64,
    /// What they take as they are stored.
    bytes: usize,
    reporter: &'a dyn Reporter,
    interrupt: &'a Interrupt,
}

impl Reading<'_> {
    fn tensor(&mut self, name: &str, storage: Storage, rows: usize, cols: usize) -> Result<Frozen, Error> {
        if self.interrupt.requested() {
            return Err(Error::Interrupted);
        }
        self.at += 1;
        if let Some(next) = self.names.get(self.at) {
            self.shards.announce(next);
        }
        let matrix = self.shards.matrix(name, storage, rows, cols)?;
        self.done += self.shards.len(name) as u64;
        self.bytes += matrix.bytes();
        self.reporter.emit(Event::Advanced { done: self.done, detail: "" });
        Ok(matrix)
    }
}

impl Source for Reading<'_> {
    fn matrix(&mut self, name: &str, rows: usize, cols: usize, frozen: bool) -> Result<Frozen, Error> {
        let storage = if frozen { self.storage } else { of_tables(self.storage, !self.shards.is_bf16(name)) };
        self.tensor(name, storage, rows, cols)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        match self.tensor(name, Storage::F32, 1, len)? {
            Frozen::F32(vector) => Ok(vector.into_data()),
            _ => unreachable!("asked for f32"),
        }
    }
}

impl From<WeightsError> for Error {
    fn from(error: WeightsError) -> Self {
        Self::Weights(Box::new(error))
    }
}
