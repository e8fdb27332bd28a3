//! `bench fetch`.

use super::args::{Common, FetchArgs};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::{interrupt, progress};
use crate::fetch::{self, Error, Options};

/// Bring the files of datasets, or say how to.
pub fn fetch(args: &FetchArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    // A name that is mistyped is told before the first download.
    for name in &args.names {
        if fetch::instructions(name).is_none() {
            let silent = &crate::events::Silent;
            let interrupt = crate::events::Interrupt::default();
            fetch::fetch(name, &common.data_dir, &Options::default(), silent, &interrupt).map_err(failure)?;
        }
    }
    if args.print {
        for text in args.names.iter().filter_map(|name| fetch::instructions(name)) {
            out.print(&text)?;
        }
        return Ok(Exit::Ok);
    }
    let reporter = progress::reporter(common);
    let interrupt = interrupt::listen(&reporter);
    let options = Options { force: args.force, ..Options::from_env() };
    for name in &args.names {
        let fetched =
            fetch::fetch(name, &common.data_dir, &options, reporter.as_ref(), &interrupt).map_err(failure)?;
        for file in fetched.files {
            out.print(&file.path.display().to_string())?;
        }
    }
    Ok(Exit::Ok)
}

fn failure(error: Error) -> Failure {
    let exit = match &error {
        error if error.is_interrupt() => Exit::Interrupted,
        Error::UnknownDataset { .. } => Exit::Usage,
        Error::Mirror { .. } => Exit::Invalid,
        Error::Folder { .. } | Error::DiskFull { .. } | Error::File { action: "write", .. } => Exit::Output,
        _ => Exit::RunFailed,
    };
    Failure::new(exit, error)
}
