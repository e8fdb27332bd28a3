//! The built-in dataset.

use std::collections::BTreeSet;
use std::path::Path;

use bench::data::{Dataset, Error, Split};
use bench::events::Silent;
use bench::experiment::{DatasetSource, DatasetSpec, SyntheticSpec};

fn load(spec: SyntheticSpec) -> Result<Dataset, Error> {
    Dataset::load(&DatasetSpec::new(DatasetSource::Synthetic(spec)), Path::new("nowhere"), &Silent)
}

/// "Brand: The Name, Part 2 (Genre)" as (brand, name, part, genre).
fn parts(title: &str) -> (&str, &str, u32, &str) {
    let (brand, rest) = title.split_once(": ").unwrap();
    let (name, rest) = rest.split_once(", Part ").unwrap();
    let (part, genre) = rest.split_once(" (").unwrap();
    (brand, name, part.parse().unwrap(), genre.strip_suffix(')').unwrap())
}

#[test]
fn the_default_keeps_nearly_everything_through_the_five_core() {
    let dataset = load(SyntheticSpec::default()).unwrap();
    let statistics = dataset.statistics();
    assert_eq!((dataset.report.raw_users, dataset.report.raw_items), (800, 300));
    assert!(statistics.users >= 790, "{statistics:?}");
    assert!(statistics.items >= 290, "{statistics:?}");
    assert!((11.0..13.0).contains(&statistics.mean_length), "{statistics:?}");
    assert_eq!((dataset.report.users_with_ties, dataset.report.repeated_pairs), (0, 0));
    assert!(dataset.source_files.is_empty());
    let split = Split::leave_one_out(&dataset).unwrap();
    assert_eq!(
        split.fingerprint.as_str(),
        "fae121724657b046a74dd98d40def46464ea9f11388e5da13e3b1beab66522d0",
        "the built-in data changed: say so in the changelog"
    );
}

#[test]
fn every_title_is_its_own_and_names_brand_series_part_and_genre() {
    let dataset = load(SyntheticSpec { items: 3000, ..SyntheticSpec::default() }).unwrap();
    let titles: BTreeSet<_> = dataset.items.iter().map(|item| parts(&item.title)).collect();
    assert_eq!(titles.len(), dataset.items.len());
}

#[test]
fn the_next_item_can_be_told_partly_from_titles_and_partly_from_popularity() {
    let dataset = load(SyntheticSpec::default()).unwrap();
    let (mut pairs, mut next_part, mut same_genre) = (0u32, 0u32, 0u32);
    let mut counts = vec![0u32; dataset.items.len()];
    for sequence in &dataset.sequences {
        for pair in sequence.windows(2) {
            let (a, b) = (parts(dataset.title(pair[0])), parts(dataset.title(pair[1])));
            pairs += 1;
            next_part += u32::from(a.1 == b.1 && b.2 == a.2 + 1);
            same_genre += u32::from(a.3 == b.3);
        }
        for item in sequence {
            counts[item.index()] += 1;
        }
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let head: u32 = counts[..counts.len() / 10].iter().sum();
    let share = |n: u32, of: u32| f64::from(n) / f64::from(of);
    assert!((0.3..0.6).contains(&share(next_part, pairs)), "next part: {}", share(next_part, pairs));
    assert!((0.5..0.9).contains(&share(same_genre, pairs)), "same genre: {}", share(same_genre, pairs));
    let head = share(head, counts.iter().sum());
    assert!((0.2..0.5).contains(&head), "the tenth of the items that is met most: {head}");
}

#[test]
fn only_the_settings_decide_the_data() {
    let spec = SyntheticSpec { users: 50, items: 40, ..SyntheticSpec::default() };
    assert_eq!(load(spec.clone()).unwrap(), load(spec.clone()).unwrap());
    let other = load(SyntheticSpec { seed: 43, ..spec.clone() }).unwrap();
    assert_ne!(load(spec).unwrap().sequences, other.sequences);
}

#[test]
fn small_and_extreme_settings_give_data_or_a_clear_error() {
    let base = SyntheticSpec { users: 30, items: 9, ..SyntheticSpec::default() };
    for spec in [
        base.clone(),
        SyntheticSpec { popular: 1.0, ..base.clone() },
        SyntheticSpec { popular: 0.0, continue_series: 1.0, ..base.clone() },
        SyntheticSpec { genres: 1, brands: 1, ..base.clone() },
        SyntheticSpec { genres: 40, brands: 40, mean_length: 5.0, ..base.clone() },
    ] {
        let dataset = load(spec.clone()).unwrap_or_else(|error| panic!("{spec:?}: {error}"));
        for sequence in &dataset.sequences {
            let distinct: BTreeSet<_> = sequence.iter().collect();
            assert_eq!(distinct.len(), sequence.len(), "{spec:?}");
        }
    }
    let message = |spec| load(spec).unwrap_err().to_string();
    assert_eq!(
        message(SyntheticSpec { users: 0, ..base.clone() }),
        "dataset.users is 0, expected at least 1"
    );
    assert_eq!(
        message(SyntheticSpec { mean_length: f64::NAN, ..base.clone() }),
        "dataset.mean_length is NaN, expected between 5 and 10000"
    );
    assert_eq!(
        message(SyntheticSpec { popular: 1.5, ..base.clone() }),
        "dataset.popular is 1.5, expected a chance between 0 and 1"
    );
    assert_eq!(
        message(SyntheticSpec { items: 1, ..base }),
        "synthetic: none of 30 interactions is left when users with fewer than 5 and items with fewer than 5 are \
         dropped; lower dataset.min_user_interactions or dataset.min_item_interactions"
    );
}

#[test]
fn every_part_comes_in_as_many_editions_as_asked_for_and_a_user_keeps_to_one() {
    let spec = SyntheticSpec { items: 400, editions: 4, ..SyntheticSpec::default() };
    let dataset = load(spec).unwrap();
    assert!(dataset.items.len() > 380, "{}", dataset.items.len());
    let edition = |title: &str| title.rsplit_once(" [").unwrap().1.strip_suffix(']').unwrap().to_owned();
    let all: BTreeSet<String> = dataset.items.iter().map(|item| edition(&item.title)).collect();
    assert_eq!(all.len(), 4, "{all:?}");
    let (mut usual, mut steps) = (0usize, 0usize);
    for sequence in &dataset.sequences {
        let editions: Vec<String> = sequence.iter().map(|item| edition(dataset.title(*item))).collect();
        let most = all.iter().map(|one| editions.iter().filter(|other| *other == one).count()).max().unwrap();
        usual += most;
        steps += editions.len();
    }
    // A user keeps to the usual edition in 95 % of the steps, and of the rest a quarter is the usual one by chance.
    let share = usual as f64 / steps as f64;
    assert!((0.94..0.99).contains(&share), "{share}");
}

#[test]
fn items_that_are_no_whole_number_of_parts_are_refused() {
    let problem = load(SyntheticSpec { items: 301, editions: 4, ..SyntheticSpec::default() }).unwrap_err();
    assert!(problem.to_string().contains("a multiple of dataset.editions"), "{problem}");
}
