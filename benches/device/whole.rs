//! Whole steps, retrieval and training, and where a step's time goes.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bench::checkpoint::Nowhere;
use bench::cuda::{Error, Machine, Ops};
use bench::data::{Dataset, Split};
use bench::document::ruled_table;
use bench::events::{Interrupt, Silent};
use bench::experiment::{Averaging, DatasetSource, DatasetSpec, HistoryMask, LruSpec};
use bench::retrieve::lru::LruRec;
use bench::retrieve::lru::forward::Masks;
use bench::retrieve::lru::plan::Shape;
use bench::retrieve::lru::train::{TrainOptions, Trainer, train_on};
use bench::retrieve::{self, Query};
use bench::seed::Seed;

use super::Bed;
use super::batches::{self, Input};
use super::floors::{Floor, Step};
use super::median::median;
use super::timed::Timed;

/// The medians that are asked of an H100.
const STEP: f64 = 1e-3;
const RETRIEVAL: f64 = 50e-3;
const TRAINING: f64 = 60.0;

fn of_device(error: retrieve::Error) -> Error {
    match error {
        retrieve::Error::Device(error) => error,
        other => panic!("{other}"),
    }
}

/// How many steps are timed.
fn steps(bed: &Bed) -> usize {
    let asked = std::env::var("BENCH_STEPS").ok().and_then(|n| n.parse().ok());
    asked.unwrap_or(if bed.facts.is_some() { 100 } else { 1 })
}

fn input(bed: &Bed, name: &str) -> Input {
    const WARM: usize = 10;
    let mut input = batches::load(name, steps(bed) + if bed.facts.is_some() { WARM } else { 1 });
    if bed.facts.is_none() {
        input.batches.iter_mut().for_each(|batch| batch.truncate(4));
        input.histories.truncate(40);
        input.targets.truncate(40);
    }
    input
}

/// Print what is measured of a dataset.
pub fn table(bed: &Bed, name: &str) -> Result<(), Error> {
    let input = input(bed, name);
    let users = input.histories.len();
    println!(
        "\n{name} ({} batches, {:.0} labelled positions a step; {users} users, {} items)",
        if input.real { "real" } else { "random" },
        input.mean_positions(),
        input.items
    );
    let timed = Timed::new(&bed.machine)?;
    let machine: Arc<dyn Machine> = Arc::clone(&timed) as Arc<dyn Machine>;
    let model = LruRec::init(&input.spec, input.items, Seed::new(1)).expect("a model");
    let weights = model.params.plan.len;
    let mut trainer = Trainer::on(Ops::new(&machine), model, &input.spec).map_err(of_device)?;
    let (mut seconds, mut copies) = (Vec::new(), (0, 0));
    for batch in 0..input.batches.len() {
        let packed = input.packed(batch);
        let masks = Masks::new(batch as u64, input.spec.dropout, input.spec.lru_dropout);
        let began = Instant::now();
        trainer.step(&packed, masks).map_err(of_device)?;
        copies = timed.copies();
        timed.wait()?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    let step = median(seconds.split_off(seconds.len() - steps(bed)));
    println!(
        "step, median of {}: {:.3} ms{}; it waits {} times and brings {} arrays",
        steps(bed),
        step * 1e3,
        asked(bed, step, STEP),
        copies.0,
        copies.1
    );
    let query =
        Query { histories: &input.histories, targets: &input.targets, k: 20, mask: HistoryMask::Window };
    let mut retrieve = || {
        let began = Instant::now();
        trainer.retrieve(&query).map_err(of_device)?;
        Ok(began.elapsed().as_secs_f64())
    };
    let times = (0..5).map(|_| retrieve()).collect::<Result<Vec<f64>, Error>>()?;
    let evaluation = median(times);
    println!(
        "top 20 of all users, median of 5: {:.1} ms{}",
        evaluation * 1e3,
        asked(bed, evaluation, RETRIEVAL)
    );
    kernels(bed, &input, &timed, &mut trainer, (weights, step))?;
    drop(trainer);
    training(bed, name, &input.spec)
}

fn asked(bed: &Bed, found: f64, most: f64) -> String {
    if bed.facts.is_none() {
        return " (emulated: this says nothing)".to_owned();
    }
    format!(
        " ({} the {} ms that are asked of an H100)",
        if found < most { "under" } else { "OVER" },
        most * 1e3
    )
}

/// Where the time of a step goes: each kernel's, its floor, and how near it is.
fn kernels(
    bed: &Bed,
    input: &Input,
    timed: &Timed,
    trainer: &mut Trainer<Ops>,
    (weights, step): (usize, f64),
) -> Result<(), Error> {
    let packed = input.packed(0);
    let tokens: BTreeSet<u32> = packed.tokens.iter().copied().collect();
    let shape = Shape::of(&input.spec, input.items);
    let model = Step { shape, positions: packed.tokens.len(), weights, tokens: tokens.len() };
    timed.repeat(if bed.facts.is_some() { 50 } else { 1 });
    let masks = Masks::new(1, input.spec.dropout, input.spec.lru_dropout);
    // Repeated sums are no numbers in the end, which a step tells, and no error.
    trainer.step(&packed, masks).map_err(of_device)?;
    timed.repeat(0);
    let found = timed.take();
    let mut table = ruled_table(false, true);
    table.set_header(["kernel", "launches", "µs a step", "floor µs", "of", "share of floor"]);
    let products = ["product_wide", "product_deep"];
    let of = |names: &[&str]| {
        names.iter().filter_map(|name| found.get(name)).fold((0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    let mut rows: Vec<(&str, (u32, f64))> = found
        .iter()
        .filter(|(name, _)| !products.contains(*name))
        .map(|(name, time)| (*name, *time))
        .collect();
    rows.push(("product", of(&products)));
    rows.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    for (name, (launches, seconds)) in &rows {
        let floor = model.floor(name).map(|floor: Floor| floor.seconds(bed.bandwidth, bed.rate));
        let cells = match floor {
            Some((least, of)) => {
                [format!("{:.1}", least * 1e6), of.to_owned(), format!("{:.0} %", 100.0 * least / seconds)]
            }
            None => [String::new(), String::new(), String::new()],
        };
        let [floor, of, share] = cells;
        table.add_row([
            (*name).to_owned(),
            launches.to_string(),
            format!("{:.1}", seconds * 1e6),
            floor,
            of,
            share,
        ]);
    }
    println!("{}", table.trim_fmt());
    let (launches, seconds) = rows.iter().fold((0, 0.0), |a, b| (a.0 + b.1.0, a.1 + b.1.1));
    println!(
        "{launches} launches, {:.0} µs in kernels of {:.0} µs a step; the rest is copies, waiting and the processor",
        seconds * 1e6,
        step * 1e6
    );
    Ok(())
}

/// A whole training, where the data are at hand.
fn training(bed: &Bed, name: &str, spec: &LruSpec) -> Result<(), Error> {
    let source = if name == "beauty" { DatasetSource::Beauty } else { DatasetSource::Games };
    let data = std::env::var_os("BENCH_DATA_DIR").filter(|_| bed.facts.is_some());
    let Some(dataset) =
        data.and_then(|dir| Dataset::load(&DatasetSpec::new(source), Path::new(&dir), &Silent).ok())
    else {
        println!("skipped: a whole training (it needs a device, and BENCH_DATA_DIR)");
        return Ok(());
    };
    let split = Split::leave_one_out(&dataset).expect("5-core users have three items");
    let options = TrainOptions {
        averaging: Averaging::Users,
        mask_history: HistoryMask::Window,
        reporter: &Silent,
        interrupt: &Interrupt::default(),
        checkpoints: &Nowhere,
    };
    let began = Instant::now();
    let trained =
        train_on(Ops::new(&bed.machine), spec, &split, Seed::new(42), options).map_err(of_device)?;
    let seconds = began.elapsed().as_secs_f64();
    let best =
        trained.curve.iter().find(|point| point.step == trained.best_step).map_or(0.0, |point| point.metric);
    println!(
        "a whole training: {seconds:.1} s, {} steps, best {} {best:.4} at step {}{}",
        trained.steps,
        spec.select_by,
        trained.best_step,
        asked(bed, seconds, TRAINING)
    );
    Ok(())
}
