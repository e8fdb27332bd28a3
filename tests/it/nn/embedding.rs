//! The gradient of an embedding table beside a loop.

use bench::nn::embedding::scatter_add;
use proptest::prelude::*;

use super::tools::{assert_same_for_any_number_of_threads, bits, integers, values};

/// One row after the other.
fn twin(d: usize, ids: &[u32], rows: &[f32], table: &mut [f32]) {
    for (id, row) in ids.iter().zip(rows.chunks(d)) {
        for (sum, x) in table[*id as usize * d..].iter_mut().zip(row) {
            *sum += x;
        }
    }
}

proptest! {
    #[test]
    fn it_adds_row_after_row(seed in 0u64..1000, m in 0usize..500, d in 1usize..20, v in 1u32..300) {
        let (ids, rows, table) = (integers(seed, m, v), values(seed, m * d, 1.0), values(seed + 1, v as usize * d, 1.0));
        let (mut found, mut expected) = (table.clone(), table);
        scatter_add(d, &ids, &rows, &mut found);
        twin(d, &ids, &rows, &mut expected);
        prop_assert!(bits(&found) == bits(&expected));
    }
}

#[test]
fn an_id_that_is_everywhere_is_one_chain_for_any_number_of_threads() {
    let (m, d) = (1000, 8);
    let rows = values(1, m * d, 1.0);
    for ids in
        [vec![3; m], (0..m as u32).map(|i| i / 130).collect(), (0..m as u32).map(|i| i % 2 * 9).collect()]
    {
        let mut expected = vec![1.0; 10 * d];
        twin(d, &ids, &rows, &mut expected);
        assert_same_for_any_number_of_threads("embedding gradient", || {
            let mut found = vec![1.0; 10 * d];
            scatter_add(d, &ids, &rows, &mut found);
            assert_eq!(bits(&found), bits(&expected));
        });
    }
}
