//! Submissions to Slurm: what becomes an array, what scripts say, and what is read of Slurm's own words.

mod arrays;
mod following;
mod parsing;
mod resources;
mod scripts;

use bench::run::Step;
use bench::slurm::{Places, Resources, Submission, Wanted, Wishes};

/// A key of 64 digits.
fn key(digit: char) -> String {
    digit.to_string().repeat(64)
}

const SMALL: Resources = Resources { cpus: 2, memory_mib: 512, minutes: 30, gpus: 0 };
const LARGE: Resources = Resources { cpus: 2, memory_mib: 16_384, minutes: 240, gpus: 1 };

fn wanted(step: Step, seed: u64, own: char, on: &[(Step, char)]) -> Wanted {
    Wanted {
        step,
        resources: if step == Step::Ranking { LARGE } else { SMALL },
        experiment: "tiny".to_owned(),
        file: "tiny.toml".to_owned(),
        seed,
        key: key(own),
        on: on.iter().map(|(step, digit)| (*step, key(*digit))).collect(),
    }
}

/// A submission of these cells in a folder of runs.
fn submission(runs: &str, cells: &[Wanted]) -> Submission {
    Submission {
        version: 1,
        name: "sweep".to_owned(),
        created: "2026-11-25T22:30:00.000Z".to_owned(),
        bench: "0.1.0".to_owned(),
        program: "/opt/bench".to_owned(),
        directory: "/home/me/work".to_owned(),
        folders: Places {
            data: "/data".to_owned(),
            runs: runs.to_owned(),
            reports: "/home/me/reports".to_owned(),
            baselines: None,
        },
        files: vec!["tiny.toml".to_owned()],
        overrides: Vec::new(),
        wishes: Wishes { requeue: true, cpus: 2, ..Wishes::default() },
        again: None,
        batches: bench::slurm::arrays(cells, &bench::slurm::Active::new(), 1000),
        report: None,
    }
}
