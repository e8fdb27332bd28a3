//! Cells that are computed by a cluster's Slurm: job arrays, the scripts that `sbatch` takes, and what became of them.
//!
//! A submission is plain data in a folder of the run store; nothing else is remembered. A cell is done when it is stored,
//! whatever Slurm says, and what Slurm says is read from its plain formats. This module knows no experiment and no model.

mod arrays;
mod client;
mod error;
mod follow;
pub mod queue;
mod quote;
mod resources;
mod script;
mod submission;

pub use arrays::{Active, Wanted, arrays};
pub use client::Slurm;
pub use error::Error;
pub use follow::{Followed, Progress, Watched, active, follow, last_error, raised};
pub use quote::{absolute, quote};
pub use resources::{Mebibytes, Minutes, Need, Resources};
pub use script::{arguments, report_arguments, report_script, script};
pub use submission::{
    After, Batch, ENDED, LOGS, Places, REPORT, SUBMISSION, SUBMISSION_VERSION, Submission, Task, Wishes,
    find, folder_of, is_name, submissions,
};
