//! What can be typed.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args as ClapArgs, CommandFactory, Parser, Subcommand, ValueEnum};

use super::exit::Exit;
use crate::compare::Gate;
use crate::experiment::Override;
use crate::slurm::{Mebibytes, Minutes, is_name};

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
    Plan(Selection),
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

/// Which experiments, and how they are changed.
#[derive(Debug, Clone, ClapArgs)]
pub struct Selection {
    /// Experiment files, or folders of them; for `report` also files called results.json
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// `bench run`.
#[derive(Debug, Clone, ClapArgs)]
pub struct RunArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// Only show what would be done, as `bench plan`
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Go on with the rest after a failure; the default where there are several experiments
    #[arg(short, long, overrides_with = "fail_fast")]
    pub keep_going: bool,
    /// Stop at the first failure; the default for one experiment
    #[arg(long, overrides_with = "keep_going")]
    pub fail_fast: bool,
    /// Exit with 106 if anything could not run for want of data, weights or a GPU
    #[arg(long)]
    pub strict: bool,
    #[command(flatten)]
    pub summary: SummaryArgs,
}

/// `bench report`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ReportArgs {
    #[command(flatten)]
    pub selection: Selection,
    #[command(flatten)]
    pub summary: SummaryArgs,
}

/// The report over several experiments.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Report over several experiments")]
pub struct SummaryArgs {
    /// Its name: a folder in that of reports [default: summary, where there are two experiments or more]
    #[arg(long, value_name = "NAME")]
    pub summary: Option<String>,
    /// Do not make it
    #[arg(long, conflicts_with_all = ["summary", "reference", "imported"])]
    pub no_summary: bool,
    /// What percent improvements are of: an experiment, a backbone or a method of its tables [default: Llama-2-7b where Llama-3.1-8B
    /// is there too, else the first experiment of each dataset]
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,
    /// Show an imported run too, by its name
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub imported: Vec<String>,
}

/// `bench fetch`.
#[derive(Debug, Clone, ClapArgs)]
pub struct FetchArgs {
    /// Datasets (ml-100k, beauty, games), or backbones as ORGANISATION/NAME or ORGANISATION/NAME@REVISION
    #[arg(required = true, value_name = "NAMES")]
    pub names: Vec<String>,
    /// Download again what is there, and replace what differs
    #[arg(long)]
    pub force: bool,
    /// Only print the addresses and where the files belong
    #[arg(long)]
    pub print: bool,
}

/// `bench submit`.
#[derive(Debug, Clone, ClapArgs)]
pub struct SubmitArgs {
    /// Experiment files, or folders of them
    #[arg(required_unless_present = "resubmit", value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
    /// Submit again what failed of an earlier submission, with twice the memory or time where it lacked that
    #[arg(long, value_name = "SUBMISSION", conflicts_with_all = ["files", "overrides"])]
    pub resubmit: Option<String>,
    /// Print the scripts and submit nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// The name of the submission [default: the time]
    #[arg(long, value_name = "NAME", value_parser = parse_submission)]
    pub name: Option<String>,
    /// Slurm's partition
    #[arg(long, value_name = "NAME", value_parser = parse_word)]
    pub partition: Option<String>,
    /// Slurm's account
    #[arg(long, value_name = "NAME", value_parser = parse_word)]
    pub account: Option<String>,
    /// Slurm's quality of service
    #[arg(long, value_name = "NAME", value_parser = parse_word)]
    pub qos: Option<String>,
    /// Time limit of every cell, as Slurm writes it [default: twice the estimate with all epochs, and 10 minutes]
    #[arg(long, value_name = "TIME")]
    pub time: Option<Minutes>,
    /// Memory of every cell, as Slurm writes it [default: twice the estimate, and 256M]
    #[arg(long, value_name = "SIZE")]
    pub mem: Option<Mebibytes>,
    /// Processors of every cell, and the threads that it computes with [default: those here, 8 at most]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cpus: Option<u16>,
    /// Generic resources of every cell, such as gpu:a100:1 [default: a GPU where the experiment asks for one]
    #[arg(long, value_name = "LIST", value_parser = parse_word)]
    pub gres: Option<String>,
    /// The most cells of an array that run at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub array_limit: Option<u32>,
    /// Try a cell again whose node was lost; the default
    #[arg(long, overrides_with = "no_requeue")]
    pub requeue: bool,
    /// Do not
    #[arg(long, overrides_with = "requeue")]
    pub no_requeue: bool,
    /// An argument of sbatch, passed as it is, such as --sbatch-arg=--constraint=avx512; it holds for the report too
    #[arg(long, value_name = "ARG", action = ArgAction::Append, allow_hyphen_values = true)]
    pub sbatch_arg: Vec<String>,
}

/// `bench status`.
#[derive(Debug, Clone, ClapArgs)]
pub struct StatusArgs {
    /// The name of a submission, or the path of its folder [default: the latest]
    #[arg(value_name = "SUBMISSION")]
    pub submission: Option<String>,
    /// Look again every so many seconds, until nothing is left to wait for
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub watch: Option<u64>,
}

/// `bench cell`.
#[derive(Debug, Clone, ClapArgs)]
pub struct CellArgs {
    /// The manifest of the submission
    #[arg(value_name = "SUBMISSION.json")]
    pub submission: PathBuf,
    /// The array
    #[arg(value_name = "ARRAY")]
    pub batch: String,
    /// The index of the task in it
    #[arg(value_name = "INDEX")]
    pub index: u32,
}

/// `bench audit`.
#[derive(Debug, Clone, ClapArgs)]
pub struct AuditArgs {
    /// Files of published numbers, or folders of them [default: those that reports compare with]
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    pub json: bool,
    /// Exit with 102 if there is a contradiction
    #[arg(long)]
    pub strict: bool,
}

/// `bench export`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ExportArgs {
    #[command(flatten)]
    pub selection: Selection,
    /// What to write; several are separated by commas
    #[arg(long, required = true, value_name = "FORMATS", value_delimiter = ',')]
    pub format: Vec<ExportFormat>,
    /// Folder to write to; each experiment has a folder of its own in it
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Names of users and items: those of the upstream files, or places in the split
    #[arg(long, value_name = "IDS", default_value = "auto")]
    pub ids: IdNames,
}

/// What `bench export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum ExportFormat {
    /// Ranks and candidates of every user, as Parquet.
    Parquet,
    /// The same as delimited text.
    Csv,
    /// Runs and judgements for trec_eval, ir-measures and ranx.
    Trec,
    /// Tuned adapters for PEFT.
    Peft,
    /// Learning curves for TensorBoard.
    Tensorboard,
}

/// How users and items are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IdNames {
    /// Raw where the data are here, else dense.
    Auto,
    /// Ids of the upstream files.
    Raw,
    /// Users by their place in the split from 0, items by their id from 1.
    Dense,
}

/// `bench import`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ImportArgs {
    /// The experiment file whose split the run is of
    #[arg(value_name = "EXPERIMENT")]
    pub experiment: PathBuf,
    /// The run file, plain or .gz: TREC (user Q0 item rank score tag), or delimited text with a header that names user, item, and
    /// score or rank
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Its name in tables [default: the name of the file]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Its format [default: csv for .csv and .tsv, else trec]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<RunFormat>,
    /// Which held-out item it predicts
    #[arg(long, value_name = "PART", default_value = "test")]
    pub part: HeldOut,
    /// Its names of users and items: those of the upstream files, or places in the split from 0 and item ids from 1
    #[arg(long, value_name = "IDS", default_value = "raw")]
    pub ids: ImportIds,
    /// The seed that the other program used, to tell several runs of it apart
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    pub seed: u64,
    /// Change a setting of the experiment, such as -S dataset.tie_rule=file-order
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// `bench replay`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ReplayArgs {
    /// A cell of the run store (bench ls lists them), or the folder of a report
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Compute all stages of a ranking again: its candidates and a built-in backbone too, instead of taking them from the store
    #[arg(long)]
    pub all: bool,
    /// Keep what is computed in this folder, which must be empty [default: a temporary folder, removed afterwards]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Change a setting that decides nothing, such as -S backbone.name=FOLDER where the backbone lies elsewhere now
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// `bench bundle`.
#[derive(Debug, Clone, ClapArgs)]
pub struct BundleArgs {
    /// Experiment files, folders of them, or folders of reports
    #[arg(value_name = "FILES", required_unless_present = "check", conflicts_with = "check")]
    pub files: Vec<PathBuf>,
    /// The archive to write
    #[arg(short, long, value_name = "FILE", required_unless_present = "check", conflicts_with = "check")]
    pub output: Option<PathBuf>,
    /// Pack a report over several experiments too: a folder of reports by its name, such as summary
    #[arg(long, value_name = "NAME", conflicts_with = "check")]
    pub summary: Option<String>,
    /// Pack weights and adapters too
    #[arg(long, conflicts_with = "check")]
    pub weights: bool,
    /// Verify every hash of a bundle instead
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// `bench doctor`.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct DoctorArgs {
    /// Ask the Hugging Face hub too, with the token if there is one
    #[arg(long)]
    pub online: bool,
}

/// `bench clean`.
#[derive(Debug, Clone, ClapArgs)]
pub struct CleanArgs {
    /// Experiment files, or folders of them: what none of them needs can go [default: only what nothing can use, such as damaged cells]
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Remove it
    #[arg(long)]
    pub yes: bool,
    /// Imported runs can go too
    #[arg(long)]
    pub imported: bool,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// `bench compare`.
#[derive(Debug, Clone, ClapArgs)]
pub struct CompareArgs {
    /// Experiment files (FILE: the tuned ranker if there is one, else the retriever; FILE:retriever, FILE:zero-shot, FILE:tuned), or
    /// imported runs (imported:NAME)
    #[arg(required = true, num_args = 2.., value_name = "METHODS")]
    pub methods: Vec<String>,
    /// The name of the method that the others are compared with, as the table has it [default: the first]
    #[arg(long, value_name = "NAME")]
    pub reference: Option<String>,
    /// Exit with 101 if a method fails this, such as 'NDCG@10 >= -1%' (of the reference) or 'NDCG@10 >= -0.001'
    #[arg(long = "gate", value_name = "GATE", action = ArgAction::Append)]
    pub gates: Vec<Gate>,
    /// Hold the interval's worse end against gates, not the difference itself
    #[arg(long, requires = "gates")]
    pub gate_interval: bool,
    /// The format [default: that of the --output's ending, else a table for the terminal]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<CompareFormat>,
    /// Write to a file instead of the standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Change a setting of every file, such as -S retriever.dropout=0.2
    #[arg(short = 'S', value_name = "KEY=VALUE", action = ArgAction::Append, value_parser = parse_override)]
    pub overrides: Vec<Override>,
}

/// What `bench compare` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// Markdown.
    Md,
    /// JSON with all digits.
    Json,
    /// The table with all digits, as delimited text.
    Csv,
    /// One page that needs no other file.
    Html,
}

/// The format of a run file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    /// user Q0 item rank score tag
    Trec,
    /// Delimited text with a header.
    Csv,
}

/// A held-out item of every user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HeldOut {
    /// The last one.
    Test,
    /// The one before it.
    Validation,
}

/// How a run file names users and items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImportIds {
    /// As the upstream files do.
    Raw,
    /// By place and id.
    Dense,
}

fn parse_override(text: &str) -> Result<Override, String> {
    text.parse().map_err(|problem: crate::experiment::Problem| problem.message)
}

/// A word that a line of a script can hold as it is.
fn parse_word(text: &str) -> Result<String, String> {
    let sound = |c: char| c.is_ascii_graphic() && !"\"'\\#`$;&|<>".contains(c);
    if !text.is_empty() && text.chars().all(sound) {
        return Ok(text.to_owned());
    }
    Err("expected a word without spaces, quotes and the like".to_owned())
}

fn parse_submission(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("expected a name for a folder: at most 60 letters, digits, `.`, `_` and `-`, with no point or dash in front".to_owned())
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
