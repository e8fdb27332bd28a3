//! Makes the weights that built-in backbones start from.
//!
//! ```sh
//! cargo run --release --example first_weights -- embedded:tiny 30000000 src/pretrain/start/tiny.safetensors
//! ```

#![expect(clippy::result_large_err, reason = "an error ends the program")]

use std::process::ExitCode;

use bench::checkpoint::Nowhere;
use bench::events::{Event, Interrupt, Reporter};
use bench::pretrain::train::{Schedule, teach};
use bench::pretrain::worlds::{World, Worlds};
use bench::pretrain::{Error, Geometry};
use bench::seed::Seed;

/// Catalogues that lessons are about.
const WORLDS: usize = 48;

struct Lines;

impl Reporter for Lines {
    fn emit(&self, event: Event<'_>) {
        if let Event::Advanced { done, detail } = event {
            println!("{done} tokens: {detail}");
        }
    }
}

fn make(geometry: Geometry, tokens: u64) -> Result<Vec<u8>, Error> {
    let seed = Seed::new(1);
    let mut rng = seed.stream("pretrain/general");
    let worlds = (0..WORLDS).map(|_| World::draw(&mut rng)).collect::<Result<Vec<_>, _>>()?;
    let (mut course, mut model) = Worlds::new(&worlds, geometry, seed)?;
    let learning_rate = match geometry {
        Geometry::Tiny => 1.5e-3,
        Geometry::Small => 1e-3,
    };
    let schedule = Schedule { tokens, step_tokens: 2048, learning_rate, warmup_steps: 100 };
    teach(&mut model, &mut course, &schedule, &mut rng, (&Lines, &Interrupt::default(), &Nowhere))?;
    course.start(&model).to_bytes()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let wanted = match args.as_slice() {
        [name, tokens, file] => Geometry::of(name).zip(tokens.parse().ok()).map(|(g, t)| (g, t, file)),
        _ => None,
    };
    let Some((geometry, tokens, file)) = wanted else {
        eprintln!("usage: first_weights embedded:tiny|embedded:small TOKENS FILE");
        return ExitCode::from(2);
    };
    let made = make(geometry, tokens).map_err(|error| error.to_string());
    match made.and_then(|bytes| std::fs::write(file, bytes).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("first_weights: {error}");
            ExitCode::FAILURE
        }
    }
}
