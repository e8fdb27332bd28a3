//! Cells to arrays.

use std::collections::{BTreeMap, BTreeSet};

use bench::run::Step::{self, Pretraining, Ranking, Retrieval};
use bench::slurm::{Active, After, Batch, Wanted, arrays};
use proptest::prelude::*;

use super::{SMALL, key, wanted};

fn none() -> Active {
    Active::new()
}

/// `retrieval-0: 1 2` for each array: its seeds by index.
fn seeds(batches: &[Batch]) -> Vec<(&str, Vec<(u32, u64)>)> {
    let of = |batch: &Batch| batch.tasks.iter().map(|task| (task.index, task.seed)).collect();
    batches.iter().map(|batch| (batch.name.as_str(), of(batch))).collect()
}

#[test]
fn a_ranking_waits_for_the_retrieval_of_its_own_seed_and_for_the_backbone() {
    let cells = [
        wanted(Pretraining, 1, '0', &[]),
        wanted(Retrieval, 1, 'a', &[]),
        wanted(Retrieval, 2, 'b', &[]),
        wanted(Ranking, 1, 'c', &[(Retrieval, 'a'), (Pretraining, '0')]),
        wanted(Ranking, 2, 'd', &[(Retrieval, 'b'), (Pretraining, '0')]),
    ];
    let batches = arrays(&cells, &none(), 1000);
    assert_eq!(
        seeds(&batches),
        [
            ("pretraining-0", vec![(0, 1)]),
            ("retrieval-0", vec![(0, 1), (1, 2)]),
            ("ranking-0", vec![(0, 1), (1, 2)])
        ]
    );
    assert_eq!(batches[2].after, [After::Same(1), After::Task(0, 0)]);
    assert_eq!((&batches[0].after, &batches[1].after), (&vec![], &vec![]));
}

#[test]
fn a_stage_that_experiments_share_is_submitted_once_and_both_rankings_wait_for_it() {
    let cells = [
        wanted(Retrieval, 1, 'a', &[]),
        wanted(Ranking, 1, 'b', &[(Retrieval, 'a')]),
        wanted(Retrieval, 1, 'a', &[]),
        wanted(Ranking, 1, 'c', &[(Retrieval, 'a')]),
    ];
    let batches = arrays(&cells, &none(), 1000);
    let expected = [("retrieval-0", vec![(0, 1)]), ("ranking-0", vec![(0, 1)]), ("ranking-1", vec![(0, 1)])];
    assert_eq!(seeds(&batches), expected);
    assert_eq!((&batches[1].after, &batches[2].after), (&vec![After::Same(0)], &vec![After::Same(0)]));
}

#[test]
fn a_ranking_of_stored_candidates_waits_for_nothing_and_one_keeps_the_index_of_its_retrieval() {
    let cells = [
        wanted(Retrieval, 2, 'b', &[]),
        wanted(Retrieval, 3, 'c', &[]),
        wanted(Ranking, 1, 'd', &[(Retrieval, 'a')]),
        wanted(Ranking, 3, 'f', &[(Retrieval, 'c')]),
    ];
    let batches = arrays(&cells, &none(), 1000);
    assert_eq!(
        seeds(&batches),
        [("retrieval-0", vec![(0, 2), (1, 3)]), ("ranking-0", vec![(0, 1)]), ("ranking-1", vec![(1, 3)])]
    );
    assert_eq!((&batches[1].after, &batches[2].after), (&vec![], &vec![After::Same(0)]));
}

#[test]
fn what_slurm_works_on_already_is_not_submitted_again_but_waited_for() {
    let active = BTreeMap::from([((Retrieval, key('a')), "77_3".to_owned())]);
    let cells = [wanted(Retrieval, 1, 'a', &[]), wanted(Ranking, 1, 'b', &[(Retrieval, 'a')])];
    let batches = arrays(&cells, &active, 1000);
    assert_eq!(seeds(&batches), [("ranking-0", vec![(0, 1)])]);
    assert_eq!(batches[0].after, [After::Job("77_3".to_owned())]);
}

#[test]
fn cells_with_other_resources_and_cells_beyond_the_longest_array_make_arrays_of_their_own() {
    let mut cells: Vec<Wanted> = ["a", "b", "c"]
        .iter()
        .map(|digit| wanted(Retrieval, 1, digit.chars().next().unwrap(), &[]))
        .collect();
    cells[1].resources.memory_mib = 2 * SMALL.memory_mib;
    let sizes = |longest: u32| -> Vec<usize> {
        arrays(&cells, &none(), longest).iter().map(|batch| batch.tasks.len()).collect()
    };
    assert_eq!(sizes(1000), [2, 1]);
    assert_eq!(sizes(1), [1, 1, 1]);
}

/// Sweeps of up to 40 cells with whatever stored, shared and active.
fn sweeps() -> impl Strategy<Value = (Vec<Wanted>, Active, u32)> {
    let experiment = (prop::collection::vec(0u8..6, 1..4), any::<bool>(), 0u8..2);
    (prop::collection::vec(experiment, 1..6), 1u32..5, 0u8..8).prop_map(|(experiments, longest, busy)| {
        let mut cells = Vec::new();
        let id = |step: char, n: u8| format!("{step}{n:063}");
        for (at, (seeds, second, backbone)) in experiments.into_iter().enumerate() {
            let cell = |step: Step, key: String, seed: u8, on: Vec<(Step, String)>| Wanted {
                key,
                on,
                seed: seed.into(),
                ..wanted(step, 0, '0', &[])
            };
            if second {
                cells.push(cell(Pretraining, id('a', backbone), 0, Vec::new()));
            }
            for seed in seeds {
                let retrieval = id('b', seed);
                // A seed above 4 is stored.
                if seed <= 4 {
                    cells.push(cell(Retrieval, retrieval.clone(), seed, Vec::new()));
                }
                if second {
                    let on = vec![(Retrieval, retrieval), (Pretraining, id('a', backbone))];
                    cells.push(cell(Ranking, id('c', at as u8 * 10 + seed), seed, on));
                }
            }
        }
        let active = BTreeMap::from([((Retrieval, id('b', busy)), "9_1".to_owned())]);
        (cells, active, longest)
    })
}

proptest! {
    #[test]
    fn every_cell_is_in_one_array_and_behind_everything_that_it_is_computed_from((cells, active, longest) in sweeps()) {
        let batches = arrays(&cells, &active, longest);
        let mut places: BTreeMap<(Step, &str), (usize, u32)> = BTreeMap::new();
        for (at, batch) in batches.iter().enumerate() {
            let indices: Vec<u32> = batch.tasks.iter().map(|task| task.index).collect();
            prop_assert!(indices.windows(2).all(|pair| pair[0] < pair[1]), "{indices:?}");
            prop_assert!(indices.iter().all(|&index| index < longest), "{indices:?}");
            for task in &batch.tasks {
                let first = places.insert((batch.step, &task.key), (at, task.index)).is_none();
                prop_assert!(first, "{} is in two arrays", task.key);
            }
        }
        let all: BTreeSet<(Step, &str)> = cells.iter().map(|cell| (cell.step, cell.key.as_str())).collect();
        let ids: BTreeSet<(Step, String)> = active.keys().cloned().collect();
        let expected: BTreeSet<(Step, &str)> =
            all.into_iter().filter(|(step, key)| !ids.contains(&(*step, (*key).to_owned()))).collect();
        prop_assert_eq!(places.keys().copied().collect::<BTreeSet<_>>(), expected);
        for cell in &cells {
            let Some(&(at, index)) = places.get(&(cell.step, cell.key.as_str())) else { continue };
            for (step, key) in &cell.on {
                let waits = match (active.get(&(*step, key.clone())), places.get(&(*step, key.as_str()))) {
                    (Some(job), _) => batches[at].after.contains(&After::Job(job.clone())),
                    (None, None) => true,
                    (None, Some(&(before, place))) => {
                        prop_assert!(before < at);
                        let after = &batches[at].after;
                        after.contains(&After::Task(before, place))
                            || after.contains(&After::Same(before)) && place == index
                    }
                };
                prop_assert!(waits, "{} does not wait for {key}", cell.key);
            }
        }
    }
}
