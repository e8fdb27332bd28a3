//! From ranks to numbers. Everything here is a pure `f64` function of a [`RankList`]; no model is needed to
//! compute a metric again.
//!
//! The metrics are those of LlamaRec (arXiv 2311.02089) and of the paper that extends it: one held-out item a
//! user, so Recall@k is a hit rate, MRR@k a cut reciprocal rank, and the ideal DCG of NDCG@k is 1.

mod averaging;
mod ladder;
mod metrics;
mod rank_list;
mod rerank;
mod summary;
mod table;

pub use averaging::{Averaging, overall_from_parts};
pub use ladder::{Rung, expected_random, headroom_gained, over_seeds};
pub use metrics::{Metric, MetricKind, UnknownMetric, mrr_at, ndcg_at, recall_at};
pub use rank_list::{RankList, ZeroRank};
pub use rerank::{expected_among, rank_among};
pub use summary::{SeedSummary, TwoLevel, two_level, two_level_of};
pub use table::{Estimate, MetricTable, paper_metrics};
