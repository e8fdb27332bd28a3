//! What can be typed.

mod cluster;
mod comparing;
mod exchange;
mod keeping;
mod running;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};

use super::exit::Exit;

pub use cluster::{CellArgs, StatusArgs, SubmitArgs};
pub use comparing::{CompareArgs, CompareFormat};
pub use exchange::{AuditArgs, ExportArgs, ExportFormat, HeldOut, IdNames, ImportArgs, ImportIds, RunFormat};
pub use keeping::{BundleArgs, CleanArgs, DoctorArgs, ReplayArgs};
pub use running::{FetchArgs, PlanArgs, ReportArgs, RunArgs, Selection, SummaryArgs, with_device};

const AFTER_HELP: &str = "\
Files without a command are run: `bench experiments/*.toml` is `bench run experiments/*.toml`. A folder stands for the \
experiment files in it. `bench run --help` lists the options of running, such as -S, -n, -k and --strict.

Exit codes:
  0    done
  2    wrong arguments
  4    no experiment among the files
  96   an experiment file, its data or the set-up is invalid, or nothing of
       what was asked for can run on this machine
  100  a run failed
  101  a gate of `bench compare` failed
  102  published numbers contradict each other, and --strict was given
  103  a replay differs from what is stored, or a bundle from its hashes
  106  something could not run here, and --strict was given; or, of
       `bench status`, something is not finished yet
  110  output could not be written
  130  interrupted; what was finished is kept";

/// A declarative benchmark harness for two-stage LLM recommendation.
#[derive(Debug, Parser)]
#[command(
    name = "bench",
    version,
    after_long_help = AFTER_HELP,
    arg_required_else_help = true,
    override_usage = "bench [OPTIONS] <FILES>...\n       bench [OPTIONS] <COMMAND>"
)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Folder of the upstream files
    #[arg(long, global = true, value_name = "DIR", env = "BENCH_DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,
    /// Folder where finished runs are stored
    #[arg(long, global = true, value_name = "DIR", env = "BENCH_RUNS_DIR", default_value = "runs")]
    pub runs_dir: PathBuf,
    /// Folder of reports
    #[arg(long, global = true, value_name = "DIR", env = "BENCH_REPORTS_DIR", default_value = "reports")]
    pub reports_dir: PathBuf,
    /// Folder of published numbers [default: baselines; where there is none, those built in]
    #[arg(long, global = true, value_name = "DIR", env = "BENCH_BASELINES_DIR")]
    pub baselines_dir: Option<PathBuf>,
    /// Threads to compute with; results do not depend on it [default: one for each core]
    #[arg(long, global = true, value_name = "N", env = "BENCH_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Keep the state of long work about every so many seconds, so that a killed run goes on from there; 0: at every step
    #[arg(long, global = true, value_name = "SECONDS", env = "BENCH_CHECKPOINT_EVERY", default_value = "15", value_parser = parse_seconds)]
    pub checkpoint_every: Duration,
    /// Say nothing but errors, warnings and the paths of what was written
    #[arg(short, long, global = true, env = "BENCH_QUIET", value_parser = clap::builder::FalseyValueParser::new(), action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// Colours; NO_COLOR switches them off too
    #[arg(long, global = true, value_name = "WHEN", env = "BENCH_COLOR", default_value = "auto")]
    pub color: Color,
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let expected = "expected a number of seconds, such as 15 or 0.5";
    let seconds: f64 = text.parse().map_err(|_| expected.to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| expected.to_owned())
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run experiments and write their reports; what is stored already is not computed again
    Run(RunArgs),
    /// Check experiment files and report every problem
    Validate(Selection),
    /// Show what would run, what is stored, what is missing and how to get it, and what it would cost
    Plan(PlanArgs),
    /// Make reports again, without training: of experiments from the stored runs, or from a report's results.json
    Report(ReportArgs),
    /// Make the built-in backbones (embedded:NAME) that experiments name, and print where they lie
    Pretrain(Selection),
    /// Download the upstream files of datasets, and backbones from the Hugging Face hub
    Fetch(FetchArgs),
    /// Find what published numbers give away and where they contradict each other
    Audit(AuditArgs),
    /// Write finished runs in formats that other programs read
    Export(ExportArgs),
    /// Score a run file of another program on an experiment's split, and keep its ranks
    Import(ImportArgs),
    /// Compare stored runs with a reference, metric by metric, with tests; --gate makes it a check
    Compare(CompareArgs),
    /// Compute a stored result again and compare every digit
    Replay(ReplayArgs),
    /// Pack what a reader needs to check a paper, or check such a bundle
    Bundle(BundleArgs),
    /// Show what of the run store nobody needs, and how much it is; --yes removes it
    Clean(CleanArgs),
    /// Give the cells of experiments that are not stored to Slurm, as job arrays
    Submit(SubmitArgs),
    /// Show where the cells of a submission to Slurm are
    Status(StatusArgs),
    /// Compute one cell of a submission; its jobs call this
    #[command(hide = true)]
    Cell(CellArgs),
    /// List stored runs
    Ls,
    /// Print every setting of an experiment file, as a Markdown table
    Settings,
    /// Show what bench sees of this machine, what is wrong, and what to do about it
    Doctor(DoctorArgs),
}

/// Read the arguments. What clap has to say (help, version, usage errors) is printed here.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Args, Exit> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = Args::command();
    if let Some(first) = first_positional(&command, &arguments) {
        let known = |name: &OsStr| command.get_subcommands().any(|c| c.get_name() == name) || name == "help";
        if !known(&first) {
            if let Some(meant) = mistyped(&command, &first) {
                eprintln!(
                    "error: {} is neither a command nor a file; did you mean {meant}?",
                    first.display()
                );
                return Err(Exit::Usage);
            }
            arguments.insert(1, "run".into());
        }
    }
    Args::try_parse_from(arguments).map_err(|error| {
        // A closed pipe is no reason to complain.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Ok }
    })
}

/// The first argument that is neither an option nor the value of one.
fn first_positional(command: &clap::Command, arguments: &[OsString]) -> Option<OsString> {
    let run = command.find_subcommand("run");
    let takes_value = |text: &str| {
        command.get_arguments().chain(run.into_iter().flat_map(clap::Command::get_arguments)).any(|arg| {
            let named = arg.get_long().is_some_and(|long| text.strip_prefix("--") == Some(long))
                || arg
                    .get_short()
                    .is_some_and(|short| text.strip_prefix('-') == Some(short.encode_utf8(&mut [0; 4])));
            named && arg.get_action().takes_values()
        })
    };
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        match argument.to_str() {
            Some("--") => return rest.next().cloned(),
            Some(text) if text.starts_with('-') && text != "-" => {
                if takes_value(text) {
                    rest.next();
                }
            }
            _ => return Some(argument.clone()),
        }
    }
    None
}

/// The command that was probably meant by a word that is no file.
fn mistyped(command: &clap::Command, word: &OsStr) -> Option<String> {
    let text = word.to_str()?;
    if text.contains(['/', '\\', '.']) || Path::new(word).exists() {
        return None;
    }
    command
        .get_subcommands()
        .map(|known| (strsim::jaro_winkler(known.get_name(), text), known.get_name()))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::PROGRAM_VARIABLES;

    #[test]
    fn variables_of_options_are_not_taken_for_settings() {
        let command = Args::command();
        let commands = command.get_subcommands().chain([&command]);
        let variables: Vec<&str> = commands
            .flat_map(clap::Command::get_arguments)
            .filter_map(|argument| argument.get_env()?.to_str())
            .collect();
        assert_eq!(variables.len(), 8, "{variables:?}");
        for name in variables {
            assert!(PROGRAM_VARIABLES.contains(&name), "{name}");
        }
    }

    #[test]
    fn the_first_positional_is_found_among_options_with_values() {
        let first = |words: &[&str]| {
            let arguments: Vec<OsString> = ["bench"].iter().chain(words).map(OsString::from).collect();
            first_positional(&Args::command(), &arguments).map(|found| found.into_string().unwrap())
        };
        assert_eq!(first(&["--runs-dir", "run", "a.toml"]).as_deref(), Some("a.toml"));
        assert_eq!(first(&["-S", "seeds=[1]", "-n", "a.toml"]).as_deref(), Some("a.toml"));
        assert_eq!(first(&["--runs-dir=x", "-q", "plan", "a.toml"]).as_deref(), Some("plan"));
        assert_eq!(first(&["--", "-odd.toml"]).as_deref(), Some("-odd.toml"));
        assert_eq!(first(&["--help"]), None);
    }
}
