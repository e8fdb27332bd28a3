//! What a ranker found, as bytes.

use bench::eval::Rung;
use bench::run::{RankedPart, Reading, StoredRanking};
use proptest::prelude::*;

/// Users 3 and 8 with three candidates each.
fn part(scores: &[f32; 6]) -> RankedPart {
    let (candidates, targets) = (vec![5, 2, 9, 4, 7, 1], vec![9, 4]);
    let of = (candidates.as_slice(), targets.as_slice());
    let reading = |rung, name, scores: &[f32]| Reading::new(rung, name, scores.to_vec(), of).unwrap();
    let turned: Vec<f32> = scores.iter().map(|score| -score).collect();
    let readings =
        vec![reading(Rung::ZeroShot, "in-context", scores), reading(Rung::Tuned, "standalone", &turned)];
    RankedPart { users: vec![3, 8], candidates: candidates.clone(), targets: targets.clone(), readings }
}

fn ranking(scores: &[f32; 6]) -> StoredRanking {
    StoredRanking { k: 3, validation: part(&[0.0; 6]), test: part(scores) }
}

#[test]
fn ranks_follow_from_scores_with_ties_to_the_smaller_item() {
    let part = part(&[1.0, 2.0, 1.0, 3.0, 0.0, 3.0]);
    // 9 has the score of 5, which is smaller; 4 has that of 1.
    assert_eq!((part.readings[0].ranks.as_slice(), part.readings[0].tied_users), ([3, 2].as_slice(), 2));
}

#[test]
fn nobody_ranked_is_stored_too() {
    let empty = StoredRanking { k: 3, ..StoredRanking::default() };
    assert_eq!(StoredRanking::from_bytes(&empty.to_bytes().unwrap()), Ok(empty));
}

#[test]
fn ranks_that_are_not_those_of_the_scores_are_refused() {
    let mut wrong = ranking(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    wrong.test.readings[1].ranks[0] = 2;
    let error = wrong.to_bytes().unwrap_err();
    assert_eq!(error, "test.tuned.standalone.ranks are not those of its scores");
    let mut wrong = ranking(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    wrong.test.targets[0] = 77;
    let error = wrong.to_bytes().unwrap_err();
    assert_eq!(error, "test.zero-shot.in-context.scores: target 77 of row 0 is none of its candidates");
    let mut wrong = ranking(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    wrong.validation.users = vec![8, 3];
    assert_eq!(wrong.to_bytes().unwrap_err(), "validation.users is not ascending");
}

proptest! {
    #[test]
    fn the_same_ranking_gives_the_same_bytes_and_comes_back(scores in prop::array::uniform6(-2i8..3)) {
        let ranking = ranking(&scores.map(f32::from));
        let bytes = ranking.to_bytes().unwrap();
        prop_assert_eq!(&bytes, &ranking.to_bytes().unwrap());
        prop_assert_eq!(StoredRanking::from_bytes(&bytes), Ok(ranking));
    }

    #[test]
    fn no_bytes_make_the_reader_of_rankings_panic(
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
        junk in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = ranking(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = StoredRanking::from_bytes(&bytes);
        let _ = StoredRanking::from_bytes(&junk);
    }
}
