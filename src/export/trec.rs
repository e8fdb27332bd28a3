//! TREC runs (`user Q0 item rank score tag`) and judgements (`user 0 item 1`).
//!
//! Evaluation programs order a run by its scores and break ties by rules of their own, so a score that ties with the one above
//! is written as the next smaller f32: the order of the file is the order that was measured.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Error, Ids, Listing, Source};
use crate::run::{StoredPart, atomic};

/// `<part>.qrels`, and for each seed and list a run; for a ranking also the judgements of the users of its part of R.
pub(super) fn write(source: &Source<'_>, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    check(source.ids)?;
    let mut written = Vec::new();
    let mut put = |name: String, fill: &dyn Fn(&mut dyn Write) -> io::Result<()>| -> Result<(), Error> {
        let path = folder.join(name);
        atomic::write_with(&path, |file| fill(file))?;
        written.push(path);
        Ok(())
    };
    if let Some(first) = source.seeds.first() {
        let stored = &first.retrieval.retrieval;
        for (part, of) in [("validation", &stored.validation), ("test", &stored.test)] {
            let all: Vec<u32> = (0..of.n_users() as u32).collect();
            put(format!("{part}.qrels"), &|out| judgements(out, source.ids, of, &all))?;
        }
    }
    for seed in source.seeds {
        for listing in Listing::of(*seed) {
            let name = format!("{}.{}.seed-{}", listing.part, listing.name(), listing.seed);
            let tag = format!("{}/{}/{}", source.experiment, listing.name(), listing.seed);
            put(format!("{name}.run"), &|out| run(out, source.ids, &listing, &tag))?;
        }
        let Some(ranking) = seed.ranking else { continue };
        let (number, stored) = (ranking.manifest.seed, &seed.retrieval.retrieval);
        for (part, users, of) in [
            ("validation", &ranking.ranking.validation.users, &stored.validation),
            ("test", &ranking.ranking.test.users, &stored.test),
        ] {
            put(format!("{part}.ranked.seed-{number}.qrels"), &|out| judgements(out, source.ids, of, users))?;
        }
    }
    Ok(written)
}

/// No id may have a blank.
fn check(ids: &Ids) -> Result<(), Error> {
    let Ids::Raw { users, items } = ids else { return Ok(()) };
    for (what, names) in [("user", users), ("item", items)] {
        if let Some(id) = names.iter().find(|id| id.is_empty() || id.contains(char::is_whitespace)) {
            return Err(Error::Blank { what, id: id.clone() });
        }
    }
    Ok(())
}

fn judgements(out: &mut dyn Write, ids: &Ids, part: &StoredPart, users: &[u32]) -> io::Result<()> {
    for &user in users {
        let Some(target) = part.targets.get(user as usize) else { continue };
        writeln!(out, "{} 0 {} 1", ids.user(user), ids.item(*target))?;
    }
    Ok(())
}

fn run(out: &mut dyn Write, ids: &Ids, listing: &Listing<'_>, tag: &str) -> io::Result<()> {
    for list in listing.lists() {
        let user = ids.user(list.user);
        let mut last = f32::INFINITY;
        for (at, (item, score)) in list.items.into_iter().enumerate() {
            let score = if score < last { score } else { last.next_down() };
            last = score;
            writeln!(out, "{user} Q0 {} {} {score} {tag}", ids.item(item), at + 1)?;
        }
    }
    Ok(())
}
