//! `bench pretrain`.

use super::args::{Common, Selection};
use super::exit::{Exit, Failure};
use super::format::{bytes, duration};
use super::output::{self, Output};
use super::table::table;
use super::{interrupt, progress, run, select};
use crate::pipeline::{self, Devices, Made, Options, Pretrained};
use crate::report::thousands;
use crate::run::Manifest;

/// Make the built-in backbones of experiments, and print where they lie.
pub fn pretrain(selection: &Selection, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    let experiments = select::select_some(selection)?;
    let reporter = progress::reporter(common);
    let interrupt = interrupt::listen(&reporter);
    let folders = run::folders(common);
    let devices = Devices::default();
    let options = Options {
        folders: &folders,
        devices: &devices,
        keep_going: experiments.len() > 1,
        reporter: reporter.as_ref(),
        interrupt: &interrupt,
    };
    let done = pipeline::pretrain(experiments, options)?;
    let header = ["experiment", "backbone", "parameters", "state", "time", "size", "folder"];
    let mut table = table(out.style(), &header);
    let (mut stored, mut exit) = (0, Exit::Ok);
    let mut waiting = Vec::new();
    for Pretrained { experiment, backbone, result } in &done {
        match result {
            Ok(Made::Stored { folder, manifest, is_new }) => {
                stored += 1;
                let state = if *is_new { "made now" } else { "stored already" };
                let [parameters, time, size] = figures(manifest);
                let folder = folder.display().to_string();
                table.add_row([experiment, backbone, &parameters, state, &time, &size, &folder]);
            }
            Ok(Made::NotBuiltIn) => out.say(&format!("{experiment}: {}", not_built_in(backbone)))?,
            Ok(Made::Waiting(needs)) => waiting.push((experiment.as_str(), needs.as_slice())),
            Err(_) => {}
        }
    }
    if stored > 0 {
        out.print(&table.trim_fmt())?;
    }
    let missing = run::needs(&waiting);
    let waits = !waiting.is_empty();
    if !missing.is_empty() {
        out.print(&format!("Missing:\n{}", missing.join("\n")))?;
    }
    for Pretrained { experiment, result, .. } in done {
        if let Err(error) = result {
            let Failure { exit: code, message } = Failure::from(error);
            output::error(&Failure::new(code, format!("{experiment}: {message}")));
            exit = code;
        }
    }
    Ok(match exit {
        Exit::Ok if stored == 0 && waits => Exit::Invalid,
        Exit::Ok if stored == 0 => Exit::NothingSelected,
        exit => exit,
    })
}

/// Parameters, the time that making it took, and the size of its files.
fn figures(manifest: &Manifest) -> [String; 3] {
    let parameters = manifest.training.as_ref().and_then(|training| training.parameters);
    [
        parameters.map_or_else(|| "-".to_owned(), thousands),
        duration(manifest.times.wall_seconds.values().sum()),
        bytes(manifest.files.values().map(|file| file.bytes).sum()),
    ]
}

fn not_built_in(backbone: &str) -> String {
    if backbone.is_empty() {
        "it names no backbone; nothing to make".to_owned()
    } else {
        format!("its backbone {backbone} is not a built-in one; nothing to make")
    }
}
