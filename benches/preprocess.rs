//! How fast, and in how much memory, the raw Beauty shape is preprocessed: 2,023,070 ratings of 1.2 million users and
//! 250 thousand items, with a meta file of Python dict lines. The files are made up (power laws, seed 1).
//!
//! `cargo bench --bench preprocess` prints one table. Every stage runs in a process of its own, so that the kernel's
//! high-water mark of its memory is its own as well.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bench::data::{Dataset, Split};
use bench::events::Silent;
use bench::experiment::{ColumnRef, CsvSpec, DatasetSource, DatasetSpec};
use bench::seed::Seed;
use flate2::{Compression, write::GzEncoder};
use rand::Rng;
use rand_pcg::Pcg64;
use sha2::{Digest, Sha256};

const ROWS: u64 = 2_023_070;
const USERS: u64 = 1_210_271;
const ITEMS: u64 = 249_274;
const REPEATS: usize = 5;

const STAGES: [&str; 6] = [
    "read the ratings file (floor)",
    "SHA-256 of it",
    "parse, hash, 5-core, order (no titles)",
    "the same without 5-core (everything kept)",
    "parse, hash, titles, 5-core, order (Beauty)",
    "leave-one-out and fingerprint",
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "--make", folder] => make(Path::new(folder)),
        [_, "--stage", stage, folder] => measure(stage.parse().expect("a number"), Path::new(folder)),
        _ => all(),
    }
}

/// Make the files and measure each stage, every one in a process of its own.
fn all() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let again = |arguments: &[&str]| {
        let this = std::env::current_exe().expect("the path of this program");
        let status = Command::new(this).args(arguments).arg(folder.path()).status();
        assert!(status.expect("start this program again").success(), "{arguments:?} failed");
    };
    again(&["--make"]);
    let megabytes =
        |name: &str| folder.path().join(name).metadata().map_or(0, |data| data.len()) as f64 / 1e6;
    println!(
        "{ROWS} rows, {:.1} MB of ratings, {:.1} MB of gzip meta; best of {REPEATS}, peak of the first",
        megabytes("ratings_Beauty.csv"),
        megabytes("meta_Beauty.json.gz")
    );
    println!("{:<44} {:>9} {:>14} {:>10}", "stage", "seconds", "rows/s", "peak MB");
    for stage in 0..STAGES.len() {
        again(&["--stage", &stage.to_string()]);
    }
}

fn measure(stage: usize, folder: &Path) {
    let ratings = folder.join("ratings_Beauty.csv");
    let untitled = CsvSpec {
        titles: None,
        header: false,
        user: ColumnRef::Position(1),
        item: ColumnRef::Position(2),
        time: Some(ColumnRef::Position(4)),
        ..CsvSpec::new(ratings.clone(), None)
    };
    let csv = DatasetSpec::new(DatasetSource::Csv(untitled));
    let beauty = DatasetSpec::new(DatasetSource::Beauty);
    let load = |spec: &DatasetSpec| Dataset::load(spec, folder, &Silent).expect("the made files are good");
    let name = STAGES[stage];
    match stage {
        0 => row(name, || read_through(&ratings, &mut |bytes| _ = black_box(bytes))),
        1 => row(name, || {
            let mut hash = Sha256::new();
            read_through(&ratings, &mut |bytes| hash.update(bytes));
            black_box(hash.finalize());
        }),
        2 => row(name, || _ = black_box(load(&csv))),
        3 => {
            let everything = DatasetSpec { min_user_interactions: 0, min_item_interactions: 0, ..csv };
            row(name, || _ = black_box(load(&everything)));
        }
        4 => row(name, || _ = black_box(load(&beauty))),
        _ => {
            let dataset = load(&beauty);
            row(name, || _ = black_box(Split::leave_one_out(&dataset)));
            let kept = dataset.statistics();
            println!("kept: {} users, {} items, {} interactions", kept.users, kept.items, kept.interactions);
        }
    }
}

/// Run a stage some times; print the best time, and the peak memory of this process after the first.
fn row(stage: &str, mut run: impl FnMut()) {
    let mut best = Duration::MAX;
    let mut peak = None;
    for _ in 0..REPEATS {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
        peak = peak.or_else(peak_kib);
    }
    let seconds = best.as_secs_f64();
    let peak = peak.map_or_else(|| "?".to_owned(), |kib: u64| format!("{:.0}", kib as f64 * 1024.0 / 1e6));
    println!("{stage:<44} {seconds:>9.3} {:>14.0} {peak:>10}", ROWS as f64 / seconds);
}

fn read_through(path: &Path, take: &mut dyn FnMut(&[u8])) {
    let mut file = File::open(path).expect("the made file");
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer).expect("the made file") {
            0 => return,
            n => take(&buffer[..n]),
        }
    }
}

/// `VmHWM` of /proc/self/status (Linux).
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Write the two files.
fn make(folder: &Path) {
    let mut random = Seed::new(1).stream("benches/preprocess");
    let mut ratings = BufWriter::new(File::create(folder.join("ratings_Beauty.csv")).expect("a new file"));
    // Random order: real files are grouped, which is easier on the caches.
    let users = skewed(USERS, 3.5, &mut random);
    let items = skewed(ITEMS, 3.5, &mut random);
    for (user, item) in users.into_iter().zip(items) {
        let day = 1_000_000_000 / 86_400 + (unit(&mut random) * 4_800.0) as u64;
        let rating = 1 + (unit(&mut random) * 5.0) as u64;
        writeln!(ratings, "A{},B{item:09},{rating}.0,{}", scrambled(user), day * 86_400)
            .expect("room on the disk");
    }
    ratings.flush().expect("room on the disk");
    let meta = File::create(folder.join("meta_Beauty.json.gz")).expect("a new file");
    let mut meta = GzEncoder::new(BufWriter::new(meta), Compression::new(6));
    for item in 0..ITEMS {
        let also: Vec<String> =
            (0..25).map(|_| format!("'B{:09}'", (ITEMS as f64 * unit(&mut random)) as u64)).collect();
        writeln!(
            meta,
            "{{'asin': 'B{item:09}', 'description': 'A cream, a soap or a scent with number {item}: it\\'s made up, \
             and as long as such texts often are.', 'title': 'Made-up Beauty Item No. {item}, {} oz &amp; more', 'price': \
             {}.99, 'related': {{'also_bought': [{}]}}, 'categories': [['Beauty', 'Skin Care']]}}",
            item % 17,
            item % 40,
            also.join(", ")
        )
        .expect("room on the disk");
    }
    meta.finish().and_then(|mut file| file.flush()).expect("room on the disk");
}

/// A number below `n` for each row, in random order: each once, the rest by a power law that leaves most rare.
fn skewed(n: u64, power: f64, random: &mut Pcg64) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..n).collect();
    numbers.extend((n..ROWS).map(|_| (n as f64 * unit(random).powf(power)) as u64));
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, (unit(random) * (last + 1) as f64) as usize);
    }
    numbers
}

/// Uniform in [0, 1).
fn unit(random: &mut Pcg64) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Thirteen characters that look like a user id, distinct for distinct numbers.
fn scrambled(user: u64) -> String {
    let mixed = user.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..13)
        .map(|at| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[(mixed >> (at * 5)) as usize & 31]))
        .collect()
}
