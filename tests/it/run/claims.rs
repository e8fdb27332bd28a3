//! Claims: one owner at a time, and an end to the claims of the dead.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::run::{Claim, Claims, Owner, Pulse, Taken, Turn, claims_in};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use crate::support::claim_text;

const LEASE: Duration = Duration::from_millis(300);

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("0123456789abcdef.claim")
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A claim that another process left here.
    fn left(&self, owner: &Owner, token: char) -> String {
        let token = token.to_string().repeat(32);
        fs::write(self.root(), text(owner, &token, 0)).unwrap();
        token
    }
}

fn text(owner: &Owner, token: &str, beat: u64) -> String {
    claim_text(owner, token, LEASE.as_millis() as u64, beat)
}

/// A process of another machine.
fn elsewhere() -> Owner {
    let (machine, boot) = (Some("another".to_owned()), Some("another".to_owned()));
    Owner { host: "elsewhere".to_owned(), machine, boot, ..Owner::here() }
}

/// A process of this machine that is gone.
#[cfg(target_os = "linux")]
fn gone() -> Owner {
    let here = Owner::here();
    Owner { process_start: here.process_start.map(|start| start - 1), ..here }
}

fn take(claims: &Claims, root: &Path) -> Option<Taken> {
    match claims.take(root).unwrap() {
        Turn::Ours(taken) => Some(taken),
        Turn::Theirs(_) => None,
    }
}

/// Ask every few milliseconds until the claim is ours; how long that took.
fn patience(claims: &Claims, root: &Path) -> (Taken, Duration) {
    let since = Instant::now();
    loop {
        if let Some(taken) = take(claims, root) {
            return (taken, since.elapsed());
        }
        assert!(since.elapsed() < Duration::from_secs(20), "it is never given free");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_claim_is_one_file_that_says_who_has_it_and_goes_when_it_is_given_back() {
    let place = Place::new();
    let Taken { claim, from } = take(&Claims::default(), &place.root()).unwrap();
    assert_eq!((from, claim.is_held()), (None, true));
    assert_eq!(place.names(), ["0123456789abcdef.claim"]);
    let text = fs::read_to_string(place.root()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["version"], 2);
    assert_eq!(value["pid"], std::process::id());
    assert_eq!((&value["lease_ms"], &value["beat"]), (&json!(60_000), &json!(0)));
    assert_eq!(value["token"].as_str().unwrap().len(), 32);
    let Turn::Theirs(holder) = Claims::default().take(&place.root()).unwrap() else { panic!("taken") };
    let owner = holder.owner.clone().unwrap();
    assert_eq!((owner.pid, owner.host.as_str()), (std::process::id(), value["host"].as_str().unwrap()));
    assert_eq!(
        holder.to_string(),
        format!("process {} on {}, since {}", owner.pid, owner.host, value["since"].as_str().unwrap())
    );
    drop(claim);
    assert_eq!(place.names(), [""; 0]);
    assert!(take(&Claims::default(), &place.root()).unwrap().from.is_none());
}

/// Many threads, each with claims of its own as if it were a process, come and go.
fn crowd(claims: impl Fn() -> Claims + Sync, threads: usize, turns: usize) {
    let place = Place::new();
    let (root, inside, done) = (place.root(), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let claims = claims();
                while done.load(Ordering::SeqCst) < turns {
                    if let Some(taken) = take(&claims, &root) {
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two owners at once");
                        thread::yield_now();
                        assert!(taken.claim.is_held());
                        inside.fetch_sub(1, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                    thread::sleep(Duration::from_micros(50));
                }
            });
        }
    });
    assert_eq!(place.names(), [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn never_two_of_many_threads_have_a_claim_at_once() {
    crowd(Claims::default, 6, 100);
}

#[cfg(target_os = "linux")]
#[test]
fn nor_on_a_file_system_without_hard_links() {
    crowd(|| Claims::default().without_links(), 6, 100);
}

#[cfg(target_os = "linux")]
#[test]
fn of_many_who_see_one_death_one_takes_over_and_the_next_death_leaves_one_again() {
    let (threads, deaths) = (8, 20);
    let place = Place::new();
    let root = place.root();
    place.left(&gone(), 'a');
    let barrier = Barrier::new(threads);
    let (winners, last) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let claims = Claims::default();
                for death in 0..deaths {
                    barrier.wait();
                    let taken = take(&claims, &root);
                    barrier.wait();
                    let Some(Taken { claim, from }) = taken else { continue };
                    assert!(claim.is_held());
                    assert_eq!(from.unwrap().pulse(), Pulse::Dead);
                    winners.fetch_add(1, Ordering::SeqCst);
                    if death + 1 < deaths {
                        die(claim, &place);
                    } else {
                        last.fetch_add(1, Ordering::SeqCst);
                        drop(claim);
                    }
                }
            });
        }
    });
    assert_eq!((winners.into_inner(), last.into_inner()), (deaths, 1));
    // The last one removed the files of all the dead.
    assert_eq!(place.names(), [""; 0]);
}

/// Leave a claim as a process that is killed leaves it.
#[cfg(target_os = "linux")]
fn die(claim: Claim, place: &Place) {
    let newest = place
        .names()
        .into_iter()
        .map(|name| place.folder.path().join(name))
        .find(|path| {
            let text = fs::read_to_string(path).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            let follower = place
                .folder
                .path()
                .join(format!("0123456789abcdef.claim.{}", value["token"].as_str().unwrap()));
            !follower.exists()
        })
        .unwrap();
    let written = fs::read_to_string(&newest).unwrap();
    let token = serde_json::from_str::<serde_json::Value>(&written).unwrap()["token"].clone();
    // It is taken for another's from here on, so that dropping it removes nothing.
    fs::write(&newest, text(&elsewhere(), &"f".repeat(32), 0)).unwrap();
    assert!(!claim.is_held());
    drop(claim);
    fs::write(&newest, text(&gone(), token.as_str().unwrap(), 0)).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_of_this_machine_that_is_gone_is_dead_at_once() {
    let place = Place::new();
    let mut child = Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let start = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap();
    let owner = Owner { pid: child.id(), process_start: Some(start), ..Owner::here() };
    place.left(&owner, 'a');
    let claims = Claims::with_lease(LEASE);
    assert_eq!(owner.pulse(), Pulse::Alive);
    // It never beats, but it is seen to be there, whatever its lease.
    for _ in 0..5 {
        assert!(take(&claims, &place.root()).is_none());
        thread::sleep(LEASE / 3);
    }
    child.kill().unwrap();
    // Dead even before somebody asks how it ended.
    let (taken, waited) = patience(&claims, &place.root());
    assert!(waited < LEASE, "{waited:?}");
    assert_eq!(taken.from.unwrap().owner, Some(owner.clone()));
    child.wait().unwrap();
    assert_eq!(owner.pulse(), Pulse::Dead);
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_process_is_told_by() {
    let here = Owner::here();
    let other = || Some("another".to_owned());
    assert_eq!(here.pulse(), Pulse::Alive);
    // The same id, given again.
    assert_eq!(gone().pulse(), Pulse::Dead);
    assert_eq!(Owner { process_start: None, ..here.clone() }.pulse(), Pulse::Unknown);
    // The machine was started again.
    let restarted = Owner { boot: other(), ..here.clone() };
    let known = if here.machine.is_some() { Pulse::Dead } else { Pulse::Unknown };
    assert_eq!(restarted.pulse(), known);
    // Another machine of the same name, another container, another machine.
    assert_eq!(Owner { machine: other(), ..restarted.clone() }.pulse(), Pulse::Unknown);
    assert_eq!(Owner { machine: None, ..restarted }.pulse(), Pulse::Unknown);
    assert_eq!(Owner { namespace: other(), pid: 1, ..here.clone() }.pulse(), Pulse::Unknown);
    assert_eq!(elsewhere().pulse(), Pulse::Unknown);
    // A machine that does not tell.
    assert_eq!(Owner { boot: None, ..here }.pulse(), Pulse::Unknown);
}

#[test]
fn a_silent_process_of_another_machine_is_dead_after_its_lease_and_no_clock_of_its_own_matters() {
    for since in ["1970-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z", "no time"] {
        let place = Place::new();
        place.left(&Owner { since: since.to_owned(), ..elsewhere() }, 'a');
        // The watcher's own lease is not asked.
        let (taken, waited) = patience(&Claims::default(), &place.root());
        assert!(waited >= LEASE, "{waited:?}");
        assert_eq!(taken.from.unwrap().owner.unwrap().since, since);
        assert_eq!(place.names().len(), 2);
        drop(taken.claim);
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
fn one_that_beats_is_alive_however_long_it_takes() {
    let place = Place::new();
    let token = place.left(&elsewhere(), 'a');
    let claims = Claims::default();
    for beat in 0..20 {
        assert!(take(&claims, &place.root()).is_none());
        thread::sleep(LEASE / 5);
        fs::write(place.root(), text(&elsewhere(), &token, beat / 2)).unwrap();
    }
}

#[test]
fn a_watcher_that_slept_does_not_take_its_own_sleep_for_silence() {
    let place = Place::new();
    place.left(&elsewhere(), 'a');
    let claims = Claims::default();
    for _ in 0..3 {
        assert!(take(&claims, &place.root()).is_none());
        thread::sleep(LEASE + LEASE / 2);
    }
    let (_taken, waited) = patience(&claims, &place.root());
    assert!(waited <= LEASE, "{waited:?}");
}

#[test]
fn an_owner_raises_its_counter() {
    let place = Place::new();
    let lease = Duration::from_millis(120);
    let taken = take(&Claims::with_lease(lease), &place.root()).unwrap();
    let read = || -> serde_json::Value { serde_json::from_slice(&fs::read(place.root()).unwrap()).unwrap() };
    let (before, size) = (read(), fs::metadata(place.root()).unwrap().len());
    let since = Instant::now();
    while read()["beat"].as_u64().unwrap() < 3 {
        assert!(since.elapsed() < Duration::from_secs(20));
        thread::sleep(lease / 6);
    }
    let mut after = read();
    assert_eq!(fs::metadata(place.root()).unwrap().len(), size);
    after["beat"] = json!(0);
    assert_eq!(after, before);
    drop(taken);
}

#[test]
fn an_owner_that_was_only_asleep_does_not_harm_who_took_over() {
    let place = Place::new();
    let lease = Duration::from_millis(60);
    let first = take(&Claims::with_lease(lease), &place.root()).unwrap().claim;
    let token = {
        let value: serde_json::Value = serde_json::from_slice(&fs::read(place.root()).unwrap()).unwrap();
        value["token"].as_str().unwrap().to_owned()
    };
    let follower = place.folder.path().join(format!("0123456789abcdef.claim.{token}"));
    let second = text(&elsewhere(), &"b".repeat(32), 0);
    fs::write(&follower, &second).unwrap();
    assert!(!first.is_held());
    thread::sleep(2 * lease);
    let beats = fs::read_to_string(place.root()).unwrap();
    thread::sleep(lease);
    assert_eq!(fs::read_to_string(place.root()).unwrap(), beats, "it beats no more");
    drop(first);
    assert_eq!(fs::read_to_string(&follower).unwrap(), second);
    let Turn::Theirs(holder) = Claims::default().take(&place.root()).unwrap() else { panic!("taken") };
    assert_eq!(holder.owner.unwrap().host, "elsewhere");
}

#[test]
fn a_file_in_its_place_that_is_not_its_own_is_left_as_it_is() {
    let place = Place::new();
    let lease = Duration::from_millis(60);
    let claim = take(&Claims::with_lease(lease), &place.root()).unwrap().claim;
    fs::remove_file(place.root()).unwrap();
    place.left(&elsewhere(), 'c');
    let theirs = fs::read_to_string(place.root()).unwrap();
    thread::sleep(2 * lease);
    drop(claim);
    assert_eq!(fs::read_to_string(place.root()).unwrap(), theirs);
}

#[test]
fn a_claim_that_cannot_be_read_is_waited_for_and_then_taken_over() {
    for bytes in [&b""[..], b"{\"version\": 1, \"tok", b"\xff\xfe", b"[]"] {
        let place = Place::new();
        fs::write(place.root(), bytes).unwrap();
        let claims = Claims::with_lease(LEASE);
        let Turn::Theirs(holder) = claims.take(&place.root()).unwrap() else { panic!("taken") };
        assert_eq!(
            holder.to_string(),
            format!("whoever wrote {}, which is not readable", place.root().display())
        );
        let (taken, _) = patience(&claims, &place.root());
        drop(taken.claim);
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
fn a_copied_file_does_not_lead_in_a_circle() {
    let place = Place::new();
    let token = place.left(&elsewhere(), 'a');
    let follower = place.folder.path().join(format!("0123456789abcdef.claim.{token}"));
    fs::copy(place.root(), follower).unwrap();
    let (taken, _) = patience(&Claims::default(), &place.root());
    assert!(taken.claim.is_held());
    drop(taken.claim);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn claims_are_listed_and_those_of_stored_cells_are_not() {
    let store = tempfile::tempdir().unwrap();
    let stage = store.path().join("retrieval");
    let claims = Claims::default();
    let one = take(&claims, &stage.join("0000000000000001.claim")).unwrap();
    let two = take(&claims, &stage.join("0000000000000002.claim")).unwrap();
    fs::create_dir(stage.join("0000000000000002")).unwrap();
    fs::write(stage.join("0000000000000002/manifest.json"), "{}").unwrap();
    fs::write(stage.join(".0000000000000003.claim.x.tmp"), "").unwrap();
    let listed = claims_in(store.path()).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].stage.as_str(), listed[0].cell.as_str()), ("retrieval", "0000000000000001"));
    assert_eq!(listed[0].holder.owner.as_ref().unwrap().pid, std::process::id());
    drop((one, two));
    assert_eq!(claims_in(store.path()).unwrap(), []);
    assert_eq!(claims_in(&store.path().join("nowhere")).unwrap(), []);
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_fail(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0usize..400, value in any::<u8>()) {
        let place = Place::new();
        fs::write(place.root(), &bytes).unwrap();
        prop_assert!(take(&Claims::default(), &place.root()).is_none());
        let mut text = text(&elsewhere(), &"a".repeat(32), 7).into_bytes();
        let at = at % text.len();
        text[at] = value;
        fs::write(place.root(), &text).unwrap();
        // Whatever became of it: nobody takes it at the first look, but as one of a process that is gone.
        let turn = Claims::default().take(&place.root());
        prop_assert!(turn.is_ok());
    }
}
