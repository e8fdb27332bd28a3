//! What Slurm prints. `squeue.txt` and `scontrol.txt` were printed by Slurm 22.05.8 on the cluster that tests/slurm/cluster.sh starts
//! (a task that failed, a node that was killed, arrays that wait, a held one), with other paths put in. A cluster with accounting was
//! not at hand: `sacct.txt` was written after sacct(1).

use bench::slurm::queue::{Job, Jobs, sacct, scontrol, squeue};
use proptest::prelude::*;

fn job(state: &str, reason: &str, node: &str, since: &str, exit: Option<(i32, i32)>) -> Job {
    let [state, reason, node, since] = [state, reason, node, since].map(str::to_owned);
    Job { state, reason, node, since, exit }
}

#[track_caller]
fn get(jobs: &Jobs, id: &str, index: impl Into<Option<u32>>) -> Job {
    let index = index.into();
    jobs.get(&(id.to_owned(), index)).unwrap_or_else(|| panic!("no {id} {index:?} in {jobs:?}")).clone()
}

#[test]
fn the_queue_tells_of_every_task_of_an_array() {
    let jobs = squeue(include_str!("fixtures/squeue.txt"));
    assert_eq!(jobs.len(), 14);
    assert_eq!(get(&jobs, "2", 3), job("RUNNING", "", "n2", "2026-11-25T22:53:43", None));
    // Requeued when its node was lost: what stands there is when it may begin.
    assert_eq!(get(&jobs, "2", 0), job("PENDING", "BeginTime", "", "", None));
    assert_eq!(get(&jobs, "2", 1), job("FAILED", "NonZeroExitCode", "n2", "2026-11-25T22:53:42", None));
    assert_eq!(get(&jobs, "3", 1).reason, "DependencyNeverSatisfied");
    assert_eq!(get(&jobs, "4", None), job("PENDING", "Dependency", "", "", None));
    let active = jobs.values().filter(|job| job.is_active()).count();
    assert_eq!((active, jobs.values().filter(|job| job.is_running()).count()), (11, 2));
}

#[test]
fn the_controller_tells_exit_codes_of_what_has_ended() {
    let jobs = scontrol(include_str!("fixtures/scontrol.txt"));
    let failed = job("FAILED", "NonZeroExitCode", "n2", "2026-11-25T22:53:42", Some((96, 0)));
    assert_eq!(get(&jobs, "2", 1), failed);
    assert_eq!(get(&jobs, "2", 4).node, "n3");
    assert_eq!(get(&jobs, "2", 0), job("PENDING", "BeginTime", "", "", Some((0, 0))));
    assert_eq!(get(&jobs, "4", None).reason, "Dependency");
    // Tasks that were never apart are one line.
    assert_eq!(
        (get(&jobs, "6", 0).reason, get(&jobs, "6", 1).reason),
        ("JobHeldUser".into(), "JobHeldUser".into())
    );
    assert_eq!(get(&jobs, "19", 0), job("TIMEOUT", "TimeLimit", "", "2026-11-25T22:51:07", Some((0, 15))));
    assert_eq!(get(&jobs, "20", 0).state, "NODE_FAIL");
}

#[test]
fn the_accounting_tells_how_tasks_ended_and_its_steps_are_left_out() {
    let jobs = sacct(include_str!("fixtures/sacct.txt"));
    assert_eq!(jobs.len(), 8);
    let starved = job("OUT_OF_MEMORY", "", "n3", "2026-11-25T22:53:42", Some((0, 125)));
    assert_eq!(get(&jobs, "2", 2), starved);
    assert_eq!(get(&jobs, "2", 4).state, "CANCELLED");
    assert_eq!(get(&jobs, "2", 6), job("PENDING", "Resources", "", "", Some((0, 0))));
    assert_eq!(get(&jobs, "4", None).exit, Some((0, 0)));
}

#[test]
fn a_path_that_looks_like_a_field_changes_nothing() {
    let line = "JobId=7 ArrayJobId=7 ArrayTaskId=0-4:2%1 JobState=RUNNING Reason=None ExitCode=0:0 NodeList=n1 \
        StartTime=2026-11-25T22:00:00 WorkDir=/a JobState=FAILED NodeList=n9";
    let jobs = scontrol(line);
    assert_eq!(jobs.keys().map(|(_, index)| *index).collect::<Vec<_>>(), [Some(0), Some(2), Some(4)]);
    assert_eq!(get(&jobs, "7", 2), job("RUNNING", "", "n1", "2026-11-25T22:00:00", Some((0, 0))));
}

proptest! {
    #[test]
    fn no_text_stops_the_readers(text in r"([0-9A-Za-z_|=:,%\[\] .-]{0,60}\n){0,8}") {
        let found = [squeue(&text), sacct(&text), scontrol(&text)].iter().map(Jobs::len).sum::<usize>();
        // A line may stand for many tasks, but an index has at most 20 bits.
        prop_assert!(found <= 24 << 20);
    }
}
