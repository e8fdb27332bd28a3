//! `bench`: a declarative benchmark harness for two-stage LLM recommendation.

pub mod events;
pub mod seed;
