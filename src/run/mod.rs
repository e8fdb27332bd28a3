//! The run store: what was computed, once, under the content that it depends on.
//!
//! A cell is one experiment's retriever with one seed. It lies in `<runs>/retrieval/<first 16 hex digits of its
//! key>/`, it is complete when `manifest.json` is there, and every file of it is named in the manifest with its
//! SHA-256. The formats are described in `docs/formats.md`. This module knows no model and no experiment file: plain
//! data goes in and comes out.

pub mod atomic;
mod error;
mod key;
mod listing;
mod machine;
mod manifest;
mod retrieval;
mod store;

pub use error::Error;
pub use key::CellKey;
pub use listing::Listed;
pub use machine::{Machine, cpu_features, now, peak_memory_bytes, reset_peak_memory, sha256_hex};
pub use manifest::{
    CodeRecord, CurvePoint, DatasetRecord, FileRecord, MANIFEST_VERSION, Manifest, SettingRecord,
    SourceRecord, Times, TrainingRecord,
};
pub use retrieval::{StoredPart, StoredRetrieval};
pub use store::{Cell, Damage, Expected, Found, Glance, Store};

/// Version of the code of the retrieval stage. It is part of every cell's key: raise it when the same settings and
/// data would give other numbers, and old cells are computed again.
pub const RETRIEVAL_STAGE_VERSION: u32 = 1;
