//! Several processes that write the same cells at once, and keep their state at every step.

use std::time::Duration;

use rand::RngExt;

use super::{EVERY_STEP, did_not_panic, end, is_as_undisturbed, moment, place, random, rounds, start};

#[test]
fn two_and_three_writers_end_with_what_one_alone_gives() {
    let mut rng = random("writers");
    for round in 0..rounds(2) {
        let place = place();
        let children: Vec<_> = (0..2 + round % 2)
            .map(|_| {
                let child = start(&place, &EVERY_STEP);
                std::thread::sleep(Duration::from_millis(rng.random_range(0..60)));
                child
            })
            .collect();
        let ended: Vec<_> =
            children.into_iter().map(|child| std::thread::spawn(move || end(child))).collect();
        for ran in ended {
            let ran = ran.join().unwrap().succeeds();
            did_not_panic(&ran);
            assert!(!ran.stderr.contains("warning:"), "{}", ran.stderr);
        }
        is_as_undisturbed(&place, "several writers");
    }
}

#[test]
fn a_writer_that_is_killed_beside_another_leaves_its_work_to_it() {
    let mut rng = random("a killed writer");
    for _ in 0..rounds(1) {
        let place = place();
        let (mut doomed, other) = (start(&place, &EVERY_STEP), start(&place, &EVERY_STEP));
        std::thread::sleep(moment(&mut rng));
        doomed.kill().unwrap();
        doomed.wait().unwrap();
        let ran = end(other).succeeds();
        assert!(!ran.stderr.contains("warning:"), "{}", ran.stderr);
        is_as_undisturbed(&place, &ran.stderr);
    }
}
