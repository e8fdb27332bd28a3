//! Methods beside each other: what one changes against a reference, metric by metric, and whether that is more than chance. Pure:
//! ranks go in, a [`Document`](crate::document::Document) comes out. What the numbers are is in docs/statistics.md.
//!
//! A [`Method`] is the ranks of all users, one list a seed. [`compare`] pairs every method with the reference, and [`Compared::document`]
//! shows it. A [`Gate`] is what a method must keep against the reference, such as `NDCG@10 >= -1%`.
//!
//! ```
//! use bench::compare::{Gate, Method, Run, Split, compare};
//! use bench::eval::{Metric, RankList};
//!
//! let method = |name: &str, ranks: &[u32]| {
//!     let runs = vec![Run { seed: 1, shared: None, retrieved: 4, ranks: RankList::from_numbers(ranks).unwrap() }];
//!     Method { name: name.into(), stage: "retriever".into(), candidates: 20, split: Split::default(), runs }
//! };
//! let methods = [method("old", &[1, 2, 1, 3]), method("new", &[1, 1, 1, 4])];
//! let metrics: Vec<Metric> = vec!["MRR@5".parse()?];
//! let compared = compare(&methods, 0, &metrics)?;
//! assert_eq!(compared.rows()[0].comparison.effect.wins, 1);
//! let gate: Gate = "MRR@5 >= -1%".parse()?;
//! assert!(compared.judge(&gate, false).iter().all(|verdict| verdict.passed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod contrast;
mod document;
mod error;
mod gate;
mod method;
mod pairs;
mod table;

pub use contrast::Contrast;
pub use error::Error;
pub use gate::{Gate, MalformedGate, Relation, Threshold, Verdict};
pub(crate) use method::listed;
pub use method::{Method, Run, Split};
pub use pairs::{Compared, Pair, Pairs, compare, pairs_of};
pub use table::{contrast_notes, contrast_table, contrast_tests};
pub(crate) use table::{p_value, percent};
