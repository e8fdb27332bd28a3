//! `bench fetch`.

use super::args::{Common, FetchArgs};
use super::exit::{Exit, Failure};
use super::output::Output;
use super::{interrupt, progress};
use crate::backbone::{self, Hub};
use crate::events::{Interrupt, Silent};
use crate::fetch::{self, Error, Options};

/// Bring the files of datasets and backbones, or say how to.
pub fn fetch(args: &FetchArgs, common: &Common, out: &mut Output) -> Result<Exit, Failure> {
    // A name that is mistyped is told before the first download.
    for name in args.names.iter().filter(|name| !is_backbone(name)) {
        if fetch::instructions(name).is_none() {
            let data_dir = &common.data_dir;
            fetch::fetch(name, data_dir, &Options::default(), &Silent, &Interrupt::default())
                .map_err(failure)?;
        }
    }
    let hub = Hub::from_env().map_err(backbone_failure)?;
    if args.print {
        for name in &args.names {
            let text = match fetch::instructions(name) {
                Some(text) => text,
                None => backbone::hub::instructions(name, &hub),
            };
            out.print(&text)?;
        }
        return Ok(Exit::Ok);
    }
    let reporter = progress::reporter(common);
    let interrupt = interrupt::listen(&reporter);
    let options = Options { force: args.force, ..Options::from_env() };
    for name in &args.names {
        if is_backbone(name) {
            let (name, revision) = split(name);
            let folder = backbone::fetch(name, revision, &hub, args.force, reporter.as_ref(), &interrupt)
                .map_err(backbone_failure)?;
            out.print(&folder.path().display().to_string())?;
            continue;
        }
        let fetched =
            fetch::fetch(name, &common.data_dir, &options, reporter.as_ref(), &interrupt).map_err(failure)?;
        for file in fetched.files {
            out.print(&file.path.display().to_string())?;
        }
    }
    Ok(Exit::Ok)
}

/// Datasets have no slash in their names; repositories and folders have one.
fn is_backbone(name: &str) -> bool {
    name.contains('/')
}

/// `NAME@REVISION` in its two parts. A folder may have an `@` in its name, and has no revisions.
fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((repository, revision)) if backbone::hub::is_repository(repository) => {
            (repository, Some(revision))
        }
        _ => (name, None),
    }
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

fn backbone_failure(error: backbone::Error) -> Failure {
    use backbone::Error;
    let exit = match &error {
        error if error.is_interrupt() => Exit::Interrupted,
        Error::Endpoint { .. } | Error::Revision { .. } | Error::RevisionOfFolder { .. } => Exit::Invalid,
        Error::Config { .. } | Error::Missing { .. } | Error::Lacks { .. } => Exit::Invalid,
        Error::Cache { .. } | Error::CacheFull { .. } | Error::NoRoom { .. } => Exit::Output,
        Error::CacheFile { action: "write" | "create", .. } => Exit::Output,
        _ => Exit::RunFailed,
    };
    Failure::new(exit, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_follows_the_name_of_a_repository() {
        assert_eq!(split("a/b"), ("a/b", None));
        assert_eq!(split("a/b@refs/pr/1"), ("a/b", Some("refs/pr/1")));
        assert_eq!(split("/models/b@1"), ("/models/b@1", None));
    }
}
