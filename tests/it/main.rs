//! The one integration-test binary: modules of sentences about behaviour.
mod audit;
mod backbone;
mod baseline;
mod cli;
mod data;
mod docs;
mod eval;
mod experiment;
mod fetch;
mod nn;
mod pretrain;
mod prompt;
mod rank;
mod report;
mod retrieve;
mod run;
mod support;
