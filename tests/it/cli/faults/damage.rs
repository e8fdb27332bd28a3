//! Files of a store that were cut off or changed in one bit.

use std::fs;
use std::path::Path;
use std::time::Duration;

use bench::run::{Claims, Owner, Turn};
use rand::RngExt;
use rand_pcg::Pcg64;

use crate::support::claim_text;

use super::{
    EVERY_STEP, Place, copy, did_not_panic, files, is_as_undisturbed, killed, place, random, rounds,
    undisturbed,
};

/// Cut a file off somewhere, or change a bit of it; what was done.
fn damage(path: &Path, rng: &mut Pcg64) -> String {
    let mut bytes = fs::read(path).unwrap();
    let name = path.display();
    if bytes.is_empty() {
        return format!("{name} is empty");
    }
    let at = rng.random_range(0..bytes.len());
    let what = if rng.random() {
        bytes.truncate(at);
        format!("{name} cut off after {at} bytes")
    } else {
        let bit = rng.random_range(0..8);
        bytes[at] ^= 1 << bit;
        format!("{name}: bit {bit} of byte {at} changed")
    };
    fs::write(path, bytes).unwrap();
    what
}

/// Damage up to three files of a store and run; what was done, and what the run told.
fn disturb(place: &Place, rng: &mut Pcg64, wanted: impl Fn(&Path) -> bool) -> Option<(Vec<String>, String)> {
    let mut there = files(&place.path("runs"));
    there.retain(|path| wanted(path));
    if there.is_empty() {
        return None;
    }
    let many = rng.random_range(1..=3);
    let done: Vec<String> =
        (0..many).map(|_| damage(&there[rng.random_range(0..there.len())], rng)).collect();
    let ran = place.run(&EVERY_STEP);
    let told = format!("{}\n{}", done.join("\n"), ran.stderr);
    did_not_panic(&ran);
    assert_eq!(ran.code, Some(0), "{told}");
    is_as_undisturbed(place, &told);
    Some((done, ran.stderr))
}

#[test]
fn a_damaged_file_of_a_cell_is_told_set_aside_and_made_again() {
    let mut rng = random("damaged cells");
    for _ in 0..rounds(3) {
        let place = place();
        copy(&undisturbed().0.path("runs"), &place.path("runs"));
        let (done, told) = disturb(&place, &mut rng, |_| true).unwrap();
        let done = done.join("\n");
        assert!(told.contains("; the cell was set aside as runs/"), "{done}\n{told}");
        let aside = ["retrieval", "ranking"].iter().flat_map(|stage| place.names(&format!("runs/{stage}")));
        assert!(aside.into_iter().any(|name| name.ends_with(".damaged-1")), "{done}\n{told}");
    }
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_its_part_is_computed_again() {
    let mut rng = random("damaged checkpoints");
    let (mut damaged, mut told_of, mut all) = (0, 0, 0);
    let rounds = rounds(3);
    // Not every moment has a checkpoint, least of all on a busy machine.
    while all < rounds || damaged == 0 && all < 10 * rounds {
        all += 1;
        let place = killed(&mut rng);
        // A claim that cannot be read costs the minute that its owner is waited for: that is another test's.
        let is_claim = |path: &Path| path.to_string_lossy().contains(".claim");
        let in_checkpoint = |path: &Path| path.to_string_lossy().contains(".checkpoint/");
        let Some((done, told)) = disturb(&place, &mut rng, |path| !is_claim(path) && in_checkpoint(path))
        else {
            continue;
        };
        damaged += 1;
        let whole = |text: &String| !text.contains(".tmp");
        told_of += usize::from(told.contains("; it was set aside as runs/"));
        assert!(
            !done.iter().any(|text| whole(text) && text.contains("train.safetensors"))
                || told.contains("set aside"),
            "{done:?}\n{told}"
        );
    }
    println!("{damaged} of {all} killed runs had checkpoints, {told_of} told that one was set aside");
    assert!(damaged > 0);
}

#[test]
fn any_damage_to_a_killed_run_is_survived() {
    let mut rng = random("damaged runs");
    for _ in 0..rounds(2) {
        let place = killed(&mut rng);
        disturb(&place, &mut rng, |path| !path.to_string_lossy().contains(".claim"));
    }
}

#[test]
fn a_damaged_claim_holds_nobody_up_for_longer_than_a_lease() {
    let mut rng = random("damaged claims");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0123456789abcdef.claim");
    let claims = || Claims::with_lease(Duration::from_millis(200));
    // Of a process of this machine that is gone.
    let owner = Owner { process_start: Some(1), ..Owner::here() };
    let text = claim_text(&owner, &"a1b2c3d4e5f60718".repeat(2), 200, 7);
    for _ in 0..rounds(20) {
        fs::write(&path, &text).unwrap();
        let what = damage(&path, &mut rng);
        let mut looks = 0;
        let taken = claims().wait(&path, |_| {
            looks += 1;
            std::thread::sleep(Duration::from_millis(20));
            looks < 200
        });
        assert!(taken.unwrap().is_some(), "{what}");
        assert!(super::names(folder.path()).is_empty(), "{what}");
        for name in super::names(folder.path()) {
            fs::remove_file(folder.path().join(name)).unwrap();
        }
    }
    let Turn::Ours(_) = claims().take(&path).unwrap() else { panic!("it is free") };
}
