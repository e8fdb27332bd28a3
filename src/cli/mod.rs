//! The command line: what was typed, what is printed, and the exit code.
//!
//! Progress, notes and problems go to the standard error; what was asked for (tables, paths, lists) goes to the
//! standard output.

mod args;
mod audit;
mod bundle;
mod cell;
mod clean;
mod compare;
mod doctor;
mod exit;
mod export;
mod fetch;
mod format;
mod import;
mod interrupt;
mod ls;
mod output;
mod plan;
mod pretrain;
mod progress;
mod replay;
mod report;
mod run;
mod select;
mod status;
mod submit;
mod summary;
mod table;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

pub use exit::{Exit, Failure};

use crate::experiment::settings_markdown;
use crate::run::set_checkpoint_pause;
use args::{Args, Command, PlanArgs};
use output::Output;

/// Run the program.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match args::parse(arguments) {
        Ok(args) => args,
        Err(exit) => return exit.into(),
    };
    if let Some(threads) = args.common.threads {
        // It fails only if there are threads already, which nothing before this line starts.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build_global();
    }
    set_checkpoint_pause(args.common.checkpoint_every);
    let done = crate::nn::simd::requested()
        .map_err(|message| Failure::new(Exit::Usage, message))
        .and_then(|_| command(&args));
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::error(&failure);
            failure.exit.into()
        }
    }
}

fn command(args: &Args) -> Result<Exit, Failure> {
    let (common, mut output) = (&args.common, Output::new(&args.common));
    match &args.command {
        Command::Run(run) if run.dry_run => plan::plan(&run.selection, false, common, &mut output),
        Command::Run(run) => run::run(run, common, &mut output),
        Command::Validate(selection) => validate::validate(selection, &mut output),
        Command::Plan(PlanArgs { selection, measure }) => {
            plan::plan(selection, *measure, common, &mut output)
        }
        Command::Pretrain(selection) => pretrain::pretrain(selection, common, &mut output),
        Command::Report(args) => report::report(args, common, &mut output),
        Command::Fetch(fetch) => fetch::fetch(fetch, common, &mut output),
        Command::Audit(args) => audit::audit(args, common, &mut output),
        Command::Export(args) => export::export(args, common, &mut output),
        Command::Import(args) => import::import(args, common, &mut output),
        Command::Compare(args) => compare::compare(args, common, &mut output),
        Command::Replay(args) => replay::replay(args, common, &mut output),
        Command::Bundle(args) => bundle::bundle(args, common, &mut output),
        Command::Clean(args) => clean::clean(args, common, &mut output),
        Command::Submit(args) => submit::submit(args, common, &mut output),
        Command::Status(args) => status::status(args, common, &mut output),
        Command::Cell(args) => cell::cell(args, common, &mut output),
        Command::Ls => ls::ls(common, &mut output),
        Command::Settings => output.print(&settings_markdown()).map(|()| Exit::Ok),
        Command::Doctor(args) => doctor::doctor(*args, common, &mut output),
    }
}
