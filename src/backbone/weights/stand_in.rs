//! Weights that stand in for those of a model where only speed and memory are measured.

use std::sync::OnceLock;

use rand::Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::build::{Source, build, plan};
use super::place::{Here, Place};
use super::{Weights, of_tables};
use crate::backbone::{Error, ModelConfig};
use crate::events::{Event, Interrupt, Reporter};
use crate::nn::quant::{Elements, Frozen, Storage};
use crate::seed::Seed;

/// Changes when the same shape gets other weights.
pub const STAND_IN_VERSION: u32 = 1;

/// The deviation of the weights (`initializer_range` of the Llama family).
const DEVIATION: f64 = 0.02;
/// Numbers of one stream.
const RUN: usize = 4096;
/// Bits of a number: it is one of so many quantiles.
const BITS: u32 = 12;
/// Numbers that a draw of 64 bits gives.
const NUMBERS: usize = 5;

impl Weights {
    /// Weights for the shape `config`: normal ones of deviation 0.02, as transformers starts a model of the Llama family, with
    /// norms of 1 and biases of 0. Each is one of 4,096 quantiles, so that billions are drawn in seconds. Each 4,096 numbers of each
    /// tensor have a random stream of their own and go straight into `storage`: no f32 copy of a matrix is made, and the same shape has the
    /// same weights, whatever the number of threads. Embedding and output layer are f32 if the linear layers are or `wide_tables` says so, else bf16.
    ///
    /// # Errors
    /// [`Error::Shape`] if no model can have the shape, [`Error::Interrupted`].
    pub fn stand_in(
        config: &ModelConfig,
        storages: (Storage, bool),
        reporter: &dyn Reporter,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        Self::stand_in_at(&mut Here, config, storages, reporter, interrupt)
    }
}

impl<M, V> Weights<M, V> {
    /// The same, each tensor brought to its place as soon as it is drawn.
    ///
    /// # Errors
    /// As [`Weights::stand_in`], and [`Error::Place`].
    pub fn stand_in_at<P: Place<Matrix = M, Vector = V>>(
        place: &mut P,
        config: &ModelConfig,
        (storage, wide_tables): (Storage, bool),
        reporter: &dyn Reporter,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(Error::Shape { problems });
        }
        let total = plan(config).iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum();
        reporter.emit(Event::Started { stage: "draw weights", total: Some(total), unit: "weights" });
        let tables = of_tables(storage, wide_tables);
        let mut drawing = Drawing { storage, tables, done: 0, bytes: 0, reporter, interrupt };
        let weights = build(config, &mut drawing, place)?;
        let summary = format!("{total} random weights, {:.1} MB in memory", drawing.bytes as f64 / 1e6);
        reporter.emit(Event::Finished { summary: &summary });
        Ok(weights)
    }
}

struct Drawing<'a> {
    storage: Storage,
    /// That of embedding and output layer.
    tables: Storage,
    done: u64,
    /// What they take as they are stored.
    bytes: usize,
    reporter: &'a dyn Reporter,
    interrupt: &'a Interrupt,
}

impl Drawing<'_> {
    fn advance(&mut self, count: usize) {
        self.done += count as u64;
        self.reporter.emit(Event::Advanced { done: self.done, detail: "" });
    }
}

impl Source for Drawing<'_> {
    fn matrix(&mut self, name: &str, rows: usize, cols: usize, frozen: bool) -> Result<Frozen, Error> {
        if self.interrupt.requested() {
            return Err(Error::Interrupted);
        }
        let storage = if frozen { self.storage } else { self.tables };
        let matrix = Frozen::from_elements(storage, rows, cols, &Quantiles { name, table: table() })
            .expect("quantiles are finite");
        self.bytes += matrix.bytes();
        self.advance(rows * cols);
        Ok(matrix)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Error> {
        self.advance(len);
        Ok(vec![if name.ends_with(".bias") { 0.0 } else { 1.0 }; len])
    }
}

/// The middles of equally likely parts of the normal distribution.
fn table() -> &'static [f32] {
    static TABLE: OnceLock<Vec<f32>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let count = 1u32 << BITS;
        let normal = Normal::new(0.0, DEVIATION).expect("a deviation above 0");
        (0..count).map(|at| normal.inverse_cdf((f64::from(at) + 0.5) / f64::from(count)) as f32).collect()
    })
}

/// The random numbers of a tensor.
struct Quantiles<'a> {
    name: &'a str,
    table: &'static [f32],
}

impl Elements for Quantiles<'_> {
    fn load(&self, from: usize, out: &mut [f32]) {
        let (mut at, to) = (from, from + out.len());
        while at < to {
            let (run, end) = (at / RUN, ((at / RUN + 1) * RUN).min(to));
            let mut stream = Seed::new(0).stream(&format!("backbone/stand-in/{}/{run}", self.name));
            // Mostly a piece is a whole run; what lies before it is drawn all the same.
            for first in (run * RUN..end).step_by(NUMBERS) {
                let mut word = stream.next_u64();
                for i in first..(first + NUMBERS).min(end) {
                    if i >= at {
                        out[i - from] = self.table[(word & ((1 << BITS) - 1)) as usize];
                    }
                    word >>= BITS;
                }
            }
            at = end;
        }
    }
}
