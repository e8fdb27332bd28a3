//! Windows, packed sequences, and what a sequence's neighbours may not change.

use bench::data::ItemId;
use bench::experiment::DatasetSource;
use bench::experiment::LruSpec;
use bench::nn::ops::Cpu;
use bench::retrieve::lru::forward::{State, Wanted};
use bench::retrieve::lru::packed::{Batch, Packed, windows};
use bench::retrieve::lru::train::Trainer;
use proptest::prelude::*;

use super::tiny::{ids, model, sequences, spec, still};
use crate::nn::tools::bits;
use crate::support::shared;

fn cut(n: usize, max_len: usize, keep: bool) -> Vec<(u32, u32)> {
    let sequence = vec![ItemId::new(1).unwrap(); n];
    windows(&[sequence], max_len, keep).into_iter().map(|(_, from, to)| (from, to)).collect()
}

#[test]
fn a_sequence_shorter_than_two_windows_stays_whole() {
    for n in [1, 2, 9, 10, 11, 19] {
        for keep in [false, true] {
            assert_eq!(cut(n, 10, keep), [(0, n as u32)]);
        }
    }
}

#[test]
fn a_longer_one_is_cut_from_its_end_and_the_leading_remainder_dropped_or_kept() {
    assert_eq!(cut(20, 10, false), [(0, 10), (10, 20)]);
    assert_eq!(cut(20, 10, true), [(0, 10), (10, 20)]);
    assert_eq!(cut(23, 10, false), [(3, 13), (13, 23)]);
    assert_eq!(cut(23, 10, true), [(0, 3), (3, 13), (13, 23)]);
    assert_eq!(cut(30, 10, false), [(0, 10), (10, 20), (20, 30)]);
    assert_eq!(cut(3, 1, false), [(0, 1), (1, 2), (2, 3)]);
}

#[test]
fn windows_name_their_sequence() {
    let sequences = sequences(&[3, 25, 1], 9, 1);
    assert_eq!(windows(&sequences, 10, false), [(0, 0, 3), (1, 5, 15), (1, 15, 25), (2, 0, 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kept_windows_hold_every_item_once_and_dropped_ones_less_than_a_window_fewer(n in 1usize..200, max_len in 1usize..40) {
        let kept = cut(n, max_len, true);
        prop_assert_eq!((kept[0].0, kept[kept.len() - 1].1), (0, n as u32));
        prop_assert!(kept.windows(2).all(|pair| pair[0].1 == pair[1].0));
        let dropped = cut(n, max_len, false);
        prop_assert_eq!(dropped[dropped.len() - 1].1, n as u32);
        let expected = if n < 2 * max_len { 0 } else { n % max_len };
        prop_assert_eq!(dropped[0].0 as usize, expected);
    }
}

#[test]
fn ml_100k_gives_725_windows_and_drops_4375_of_89054_training_items() {
    let Some(shared) = shared() else { return };
    let mut text = String::new();
    let file = std::fs::File::open(shared.join("data/golden/ml-100k.sequences.tsv.gz")).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).unwrap();
    let one = ItemId::new(1).unwrap();
    let train: Vec<Vec<ItemId>> =
        text.lines().map(|line| vec![one; line.split_once('\t').unwrap().1.split(' ').count() - 2]).collect();
    let max_len = LruSpec::paper_default(&DatasetSource::Ml100k).max_len;
    let items: usize = train.iter().map(Vec::len).sum();
    assert_eq!(items, 89_054);
    let covered =
        |windows: &[(u32, u32, u32)]| windows.iter().map(|(_, from, to)| (to - from) as usize).sum::<usize>();
    let dropped = windows(&train, max_len, false);
    assert_eq!((dropped.len(), items - covered(&dropped)), (725, 4375));
    assert_eq!(covered(&windows(&train, max_len, true)), items);
}

fn pack(window: &[u32], max_len: usize, first: bool) -> Packed {
    let mut packed = Packed::default();
    packed.clear();
    packed.push_window(&ids(window), max_len, first);
    packed
}

#[test]
fn a_window_asks_for_its_first_item_from_the_padding_while_there_is_room() {
    let packed = pack(&[5, 6, 7], 3, true);
    assert_eq!((packed.tokens, packed.labels, packed.starts), (vec![0, 5, 6], vec![5, 6, 7], vec![0, 1, 3]));
    let packed = pack(&[5], 3, true);
    assert_eq!((packed.tokens, packed.labels, packed.starts), (vec![0], vec![5], vec![0, 1]));
    // One item more fills every input, so no padding is left to ask.
    let packed = pack(&[5, 6, 7, 8], 3, true);
    assert_eq!((packed.tokens, packed.labels, packed.starts), (vec![5, 6, 7], vec![6, 7, 8], vec![0, 3]));
    let packed = pack(&[5, 6, 7, 8, 9], 3, true);
    assert_eq!((packed.tokens, packed.labels), (vec![6, 7, 8], vec![7, 8, 9]));
}

#[test]
fn without_the_first_label_a_window_of_one_item_asks_for_nothing() {
    let packed = pack(&[5, 6, 7], 3, false);
    assert_eq!((packed.tokens, packed.labels, packed.starts), (vec![5, 6], vec![6, 7], vec![0, 2]));
    assert_eq!(pack(&[5], 3, false).starts, [0]);
}

#[test]
fn a_history_is_its_last_items_and_an_empty_one_the_padding() {
    let mut packed = Packed::default();
    packed.clear();
    packed.push_history(&ids(&[1, 2, 3, 4]), 3);
    packed.push_history(&[], 3);
    packed.push_history(&ids(&[9]), 3);
    assert_eq!(packed.tokens, [2, 3, 4, 0, 9]);
    assert_eq!(packed.starts, [0, 3, 4, 5]);
}

#[test]
fn a_windows_hidden_states_and_loss_do_not_depend_on_the_others_in_its_batch() {
    let spec = spec();
    let all = sequences(&[5, 1, 7, 8, 13, 130, 2], 25, 3);
    let mut trainer = Trainer::new(model(&spec, 25, 1), &spec).unwrap();
    let mut together = Packed::default();
    together.clear();
    all.iter().for_each(|window| together.push_window(window, spec.max_len, true));
    let loss = trainer.gradients(&together, still()).unwrap();
    let hidden = trainer.state().blocks[1].out.to_vec();
    let (mut row, mut sum) = (0, 0.0);
    for window in &all {
        let mut alone = Packed::default();
        alone.clear();
        alone.push_window(window, spec.max_len, true);
        let rows = alone.tokens.len();
        sum += trainer.gradients(&alone, still()).unwrap() * rows as f64;
        let expected = &hidden[row * spec.hidden_dim..][..rows * spec.hidden_dim];
        assert_eq!(bits(&trainer.state().blocks[1].out), bits(expected));
        row += rows;
    }
    assert!((sum / row as f64 - loss).abs() < 1e-6 * loss, "{} {loss}", sum / row as f64);
}

#[test]
fn encoding_gives_the_last_rows_of_the_full_forward_pass_whatever_is_encoded_with_it() {
    let mut spec = spec();
    spec.max_len = 50;
    let model = model(&spec, 25, 2);
    // More than the 4,096 positions of a batch, with empty histories and ones longer than the model sees.
    let lengths: Vec<usize> = (0..260).map(|i| [0, 1, 2, 17, 49, 50, 51, 90][i % 8]).collect();
    let histories = sequences(&lengths, 25, 4);
    let found = model.encode(&histories);
    let d = spec.hidden_dim;
    assert_eq!(found.len(), histories.len() * d);
    let mut ops = Cpu::default();
    let (mut state, mut batch) = (State::new(&ops, spec.blocks), Batch::new(&ops));
    for (user, history) in histories.iter().enumerate() {
        let mut packed = Packed::default();
        packed.clear();
        packed.push_history(history, spec.max_len);
        let Ok(()) = batch.fill(&mut ops, &packed);
        let Ok(()) = model.view(|view| view.forward(&mut ops, &batch, still(), Wanted::Every, &mut state));
        let out = &state.blocks[1].out;
        assert_eq!(bits(&found[user * d..][..d]), bits(&out[out.len() - d..]), "user {user}");
    }
    assert!(model.encode(&[]).is_empty());
}
