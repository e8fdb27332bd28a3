//! Times, beside scipy's and ranx's on the same values.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bench::eval::{Metric, MetricKind, RankList};
use bench::seed::Seed;
use bench::significance::{
    BootstrapInterval, Crossed, Paired, SeedDraw, SeedPairing, Zeros, paired_t, resample, sign_flips,
    wilcoxon,
};
use rand::{Rng, RngExt};

/// Users of Beauty.
const USERS: usize = 22_332;
const SEEDS: usize = 5;
const DRAWS: u32 = 10_000;

/// Two rankers over all users: the held-out item is among the 20 candidates of a share of them, where both rank it alike but for a few
/// places.
fn ranks(share: f64) -> [Vec<RankList>; 2] {
    let mut stream = Seed::new(5).stream("users");
    let mut lists = [Vec::new(), Vec::new()];
    let own: Vec<(bool, u32)> =
        (0..USERS).map(|_| (stream.random::<f64>() < share, 1 + stream.next_u32() % 16)).collect();
    for _ in 0..SEEDS {
        for list in &mut lists {
            let ranks: Vec<u32> = own
                .iter()
                .map(|(retrieved, rank)| if *retrieved { rank + stream.next_u32() % 5 } else { 21 })
                .collect();
            list.push(RankList::from_numbers(&ranks).expect("ranks from 1").cut(20));
        }
    }
    lists
}

/// The least time of a call, and its mean processor time over all threads, in seconds.
fn measure<T>(mut work: impl FnMut() -> T) -> [f64; 2] {
    let (start, before, mut calls, mut least) = (Instant::now(), processor_seconds(), 0, f64::INFINITY);
    // The kernel counts processor time in steps of some milliseconds.
    while calls < 3 || start.elapsed().as_secs_f64() < 0.5 {
        let call = Instant::now();
        std::hint::black_box(work());
        least = least.min(call.elapsed().as_secs_f64());
        calls += 1;
    }
    [least, (processor_seconds() - before) / f64::from(calls)]
}

/// What the threads of this process have used so far; not a number where the kernel does not tell.
fn processor_seconds() -> f64 {
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| -> Option<f64> {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        Some(text.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9)
    };
    std::fs::read_dir("/proc/self/task")
        .map_or(f64::NAN, |threads| threads.map(|thread| of_thread(thread).unwrap_or(f64::NAN)).sum())
}

fn metrics() -> Vec<Metric> {
    [5, 10].into_iter().flat_map(|k| MetricKind::ALL.map(|kind| Metric::new(kind, k))).collect()
}

pub fn table() {
    println!("## Speed, {} threads\n", rayon::current_num_threads());
    println!("{DRAWS} hierarchical resamples of {USERS} users x {SEEDS} seeds x 6 metrics\n");
    for (name, share) in [("a fifth of the users in R", 0.2), ("all users in R", 1.0)] {
        let [a, b] = ranks(share);
        for pairing in [SeedPairing::Shared, SeedPairing::Independent] {
            let tables: Vec<Paired> = metrics()
                .into_iter()
                .map(|metric| Paired::of_ranks(&a, &b, metric, pairing).expect("the same users"))
                .collect();
            let tables: Vec<&Paired> = tables.iter().collect();
            let [wall, processor] =
                measure(|| resample(&tables, DRAWS, SeedDraw::OneLess, Seed::new(0)).expect("one shape"));
            println!("- {name}, {pairing:?} seeds: {wall:.3} s, processor time {processor:.3} s");
        }
    }
    let [a, b] = ranks(1.0);
    let metric = Metric::new(MetricKind::Ndcg, 10);
    let both = Paired::of_ranks(&a, &b, metric, SeedPairing::Shared).expect("the same users");
    println!("- the crossed t of one metric, all users in R: {:.4} s\n", measure(|| Crossed::of(&both))[0]);

    let one = Paired::of_ranks(&a[..1], &b[..1], metric, SeedPairing::Shared).expect("the same users");
    let ours = [
        ("randomization", measure(|| sign_flips(&one, DRAWS, Seed::new(0)))),
        ("wilcoxon", measure(|| wilcoxon(&one, Zeros::Drop, false))),
        ("paired_t", measure(|| paired_t(&one, 0.95))),
        ("bootstrap", {
            measure(|| {
                let samples = resample(&[&one], DRAWS, SeedDraw::Fixed, Seed::new(0)).expect("one shape");
                samples[0].interval(BootstrapInterval::Bca, 0.95)
            })
        }),
    ];
    println!("NDCG@10 of {USERS} users, one seed, all users in R, {DRAWS} draws\n");
    let Some(python) = std::env::var_os("BENCH_PEER_PYTHON") else {
        for (test, [wall, processor]) in ours {
            println!("- {test}: {:.2} ms, processor time {:.2} ms", wall * 1e3, processor * 1e3);
        }
        println!("\nskipped: the peers, BENCH_PEER_PYTHON is not set\n");
        return;
    };
    let theirs = peer(Path::new(&python), &[values(&a[0], metric), values(&b[0], metric)]);
    println!(
        "| test | ours ms | processor ms | peer | ms | processor ms | times as fast | by processor time |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (test, [wall, processor]) in ours {
        for line in theirs.iter().filter(|line| line["test"] == test) {
            let of_peer = |field: &str| line[field].as_f64().expect("seconds of the peer");
            println!(
                "| {test} | {:.2} | {:.2} | {} | {:.2} | {:.2} | {:.0} | {:.0} |",
                wall * 1e3,
                processor * 1e3,
                line["peer"].as_str().unwrap_or("?"),
                of_peer("wall") * 1e3,
                of_peer("processor") * 1e3,
                of_peer("wall") / wall,
                of_peer("processor") / processor
            );
        }
    }
    println!();
}

fn values(list: &RankList, metric: Metric) -> Vec<f64> {
    list.ranks.iter().map(|rank| metric.of(*rank)).collect()
}

/// One JSON line a test.
fn peer(python: &Path, values: &[Vec<f64>; 2]) -> Vec<serde_json::Value> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("values.json");
    std::fs::write(&file, serde_json::to_vec(values).expect("numbers")).expect("write the values");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/significance.py");
    let output = Command::new(python)
        .arg(script)
        .arg(&file)
        .arg(DRAWS.to_string())
        .output()
        .expect("start the peer's Python");
    assert!(output.status.success(), "the peer failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line of the peer")).collect()
}
