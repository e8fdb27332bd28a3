//! The run store: what was computed, once, under the content that it depends on.
//!
//! A cell is one stage of one experiment with one seed: [`Cell`] its retriever, [`RankingCell`] its ranker. It lies in
//! `<runs>/<stage>/<first 16 hex digits of its key>/`, it is complete when `manifest.json` is there, and every file of it is named in the manifest with its
//! SHA-256. The formats are described in `docs/formats.md`. This module knows no model and no experiment file: plain
//! data goes in and comes out.

pub mod atomic;
mod cell;
mod checkpoint;
pub mod claim;
mod command;
mod energy;
mod error;
mod imported;
mod key;
mod listing;
mod machine;
mod manifest;
mod opened;
mod process;
mod ranking;
mod ranking_cell;
mod retrieval;
mod stage;
mod step;
mod store;
mod turn;

pub use cell::{CONFIG, Cell, WEIGHTS};
pub use checkpoint::{CellCheckpoints, is_of_one_place, set_checkpoint_pause};
pub use claim::{Claim, Claims, Holder, Owner, Pulse, Taken, Turn};
pub use command::{command_line, shown_command};
pub use energy::EnergyCounters;
pub use error::Error;
pub use imported::{ImportCounts, ImportRecord, ImportedCell, ImportedRanks};
pub use key::CellKey;
pub use listing::{Claimed, Listed, SUBMISSIONS, claims_in, list_all};
pub use machine::{
    Machine, cpu_features, executable_sha256, memory, now, peak_memory_bytes, reset_peak_memory, sha256_hex,
};
pub use manifest::{
    CodeRecord, CurvePoint, DatasetRecord, FileRecord, MANIFEST_VERSION, Manifest, SettingRecord,
    SourceRecord, Times, TrainingRecord,
};
pub use opened::Opened;
pub use process::{Effort, ProcessRecord, earlier};
pub use ranking::{READ_OUTS, RankedPart, Reading, StoredRanking};
pub use ranking_cell::{
    ADAPTER, AuditRecord, BackboneRecord, LabelRecord, PromptRecord, RANDOM, RANDOM_WEIGHTS, RandomRecord,
    RankerRecord, RankingCell,
};
pub use retrieval::{StoredPart, StoredRetrieval};
pub use stage::{Files, Flaw, Stage};
pub use step::Step;
pub use store::{Damage, Expected, Found, Glance, Store, is_weights, parse_manifest, reseal};
pub use turn::Work;

/// Version of the code of the retrieval stage. It is part of every cell's key: raise it when the same settings and
/// data would give other numbers, and old cells are computed again.
pub const RETRIEVAL_STAGE_VERSION: u32 = 1;

/// The same for imported runs.
pub const IMPORTED_STAGE_VERSION: u32 = 1;

/// The same for the ranking stage.
pub const RANKING_STAGE_VERSION: u32 = 2;
