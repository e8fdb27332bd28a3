//! What a task asks of a node.

use std::path::Path;

use bench::experiment::{Experiment, Loaded};
use bench::pipeline::gpus;
use bench::run::Step;
use bench::slurm::{Mebibytes, Minutes, Need, Resources};
use proptest::prelude::*;

#[test]
fn memory_and_time_are_read_as_slurm_reads_them() {
    let memory = |text: &str| text.parse::<Mebibytes>().map(|memory| memory.0).ok();
    assert_eq!(
        ["512", "512M", "2G", "1T", "1500K", "3g"].map(memory),
        [Some(512), Some(512), Some(2048), Some(1 << 20), Some(2), Some(3072)]
    );
    assert_eq!(["", "0", "G", "1.5G", "-1", "12X", "99999999999999999999"].map(memory), [None; 7]);
    let minutes = |text: &str| text.parse::<Minutes>().map(|time| time.0).ok();
    // The formats of sbatch(1), --time.
    assert_eq!(
        ["90", "90:30", "2:00:00", "1-12", "1-12:30", "1-00:00:01"].map(minutes),
        [Some(90), Some(91), Some(120), Some(2160), Some(2190), Some(1441)]
    );
    assert_eq!(["", "0", "1-", "-5", "1:2:3:4", "1h", "1-2-3"].map(minutes), [None; 7]);
    assert_eq!(
        "\"1h\" is no time; expected minutes, or one such as 2:00:00 (hours) or 1-12 (days and hours)",
        { "1h".parse::<Minutes>().unwrap_err() }
    );
}

#[test]
fn a_task_asks_for_twice_the_estimate_and_some_for_the_start() {
    let need = Need { memory_bytes: 700 << 20, seconds: 3600.0, threads: 8, gpus: 1 };
    // 256 + 2 * 700 = 1656 MiB, and 10 + 2 * 60 = 130 minutes: 26 times five, of which 32 is the next on the grid.
    assert_eq!(need.ask(8), Resources { cpus: 8, memory_mib: 2048, minutes: 160, gpus: 1 });
    // A quarter of the processors, four times the time: 10 + 480, 98 times five.
    assert_eq!(need.ask(2), Resources { cpus: 2, memory_mib: 2048, minutes: 640, gpus: 1 });
}

#[test]
fn a_gpu_is_asked_for_only_where_the_experiment_names_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/quickstart.toml");
    let Ok(Loaded::Runnable(mut experiment)) = Experiment::check(&path, &[], &[]) else {
        panic!("the quickstart")
    };
    assert_eq!(gpus(&experiment, Step::Retrieval), 0);
    for (device, expected) in [("auto", 0), ("cpu", 0), ("cuda:1", 1)] {
        experiment.device = device.parse().unwrap();
        assert_eq!(gpus(&experiment, Step::Retrieval), expected, "{device}");
        assert_eq!(gpus(&experiment, Step::Ranking), expected, "{device}");
        assert_eq!(gpus(&experiment, Step::Pretraining), 0, "built-in backbones are taught on processors");
    }
}

proptest! {
    #[test]
    fn what_is_asked_for_is_never_less_than_the_estimate_and_little_more_than_three_times(
        memory in 0u64..1 << 42, seconds in 0f64..1e7, threads in 1usize..128, cpus in 1u16..128,
    ) {
        let asked = Need { memory_bytes: memory, seconds, threads, gpus: 0 }.ask(cpus);
        let mib = memory as f64 / 1048576.0;
        let minutes = seconds * threads as f64 / f64::from(cpus) / 60.0;
        prop_assert!(asked.memory_mib as f64 >= 256.0 + 2.0 * mib);
        prop_assert!(asked.memory_mib as f64 <= 1.5 * (256.0 + 2.0 * mib) + 1.0);
        prop_assert!(asked.minutes as f64 >= 10.0 + 2.0 * minutes - 1e-6 * minutes);
        prop_assert!(asked.minutes as f64 <= 1.5 * (10.0 + 2.0 * minutes) + 5.0);
    }

    #[test]
    fn a_time_is_read_back_as_it_is_written(minutes in 1u64..1_000_000) {
        prop_assert_eq!(Minutes(minutes).to_string().parse::<Minutes>(), Ok(Minutes(minutes)));
    }
}
