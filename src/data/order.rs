//! How dense ids are dealt.

use sha2::{Digest, Sha256};

use super::error::Error;
use super::intern::Interner;
use crate::experiment::ItemOrder;

/// `kept` (numbers of the interner, in order of first appearance) in the order in which dense ids are dealt.
pub(crate) fn ordered(
    order: ItemOrder,
    ids: &Interner,
    kept: Vec<u32>,
    dataset: &str,
) -> Result<Vec<u32>, Error> {
    match order {
        ItemOrder::FirstSeen => Ok(kept),
        ItemOrder::RawId => Ok(by_raw_id(ids, kept)),
        ItemOrder::Hashed => {
            let mut keyed: Vec<_> =
                kept.into_iter().map(|number| (Sha256::digest(ids.bytes(number)), number)).collect();
            keyed.sort_unstable();
            Ok(keyed.into_iter().map(|(_, number)| number).collect())
        }
        ItemOrder::PythonSet => {
            let integers: Vec<u64> = kept
                .iter()
                .map(|&number| {
                    let id = ids.text(number);
                    id.parse().ok().filter(|&value| value < PYTHON_HASH_MODULUS).ok_or_else(|| {
                        Error::PythonSetOrder { dataset: dataset.to_owned(), id: id.to_owned() }
                    })
                })
                .collect::<Result<_, _>>()?;
            Ok(python_set_order(&integers).into_iter().map(|at| kept[at]).collect())
        }
    }
}

/// Ascending raw id: numeric if every one is an integer (equal numbers such as 1 and 01 by their bytes), byte order
/// otherwise.
pub(crate) fn by_raw_id(ids: &Interner, mut kept: Vec<u32>) -> Vec<u32> {
    let integers: Option<Vec<i128>> = kept.iter().map(|&number| ids.text(number).parse().ok()).collect();
    match integers {
        Some(integers) => {
            let mut keyed: Vec<(i128, u32)> = integers.into_iter().zip(kept).collect();
            keyed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| ids.bytes(a.1).cmp(ids.bytes(b.1))));
            keyed.into_iter().map(|(_, number)| number).collect()
        }
        None => {
            kept.sort_unstable_by(|&a, &b| ids.bytes(a).cmp(ids.bytes(b)));
            kept
        }
    }
}

/// CPython hashes a smaller integer to itself.
const PYTHON_HASH_MODULUS: u64 = (1 << 61) - 1;

/// Positions of `values` (distinct, inserted in this order into an empty set) in the order in which CPython 3.7 and later
/// iterates the set: slot by slot of an open-addressing table (Objects/setobject.c).
fn python_set_order(values: &[u64]) -> Vec<usize> {
    const FREE: usize = usize::MAX;
    let mut slots = vec![FREE; 8];
    for at in 0..values.len() {
        place(&mut slots, values, at, FREE);
        // The table grows at three fifths, fourfold while it is small.
        let (used, mask) = (at + 1, slots.len() - 1);
        if used * 5 >= mask * 3 {
            let wanted = if used > 50_000 { used * 2 } else { used * 4 };
            let mut size = 8;
            while size <= wanted {
                size *= 2;
            }
            let old = std::mem::replace(&mut slots, vec![FREE; size]);
            for moved in old.into_iter().filter(|&slot| slot != FREE) {
                place(&mut slots, values, moved, FREE);
            }
        }
    }
    slots.into_iter().filter(|&slot| slot != FREE).collect()
}

/// Put value `at` into its first free slot: ten neighbours, unless the table ends before, then a jump that the high bits
/// of the hash perturb.
fn place(slots: &mut [usize], values: &[u64], at: usize, free: usize) {
    const LINEAR_PROBES: usize = 9;
    const PERTURB_SHIFT: u32 = 5;
    let mask = slots.len() - 1;
    let mut perturb = values[at];
    let mut slot = perturb as usize & mask;
    loop {
        let probes = if slot + LINEAR_PROBES <= mask { LINEAR_PROBES } else { 0 };
        if let Some(found) = (slot..=slot + probes).find(|&slot| slots[slot] == free) {
            slots[found] = at;
            return;
        }
        perturb >>= PERTURB_SHIFT;
        slot = slot.wrapping_mul(5).wrapping_add(1).wrapping_add(perturb as usize) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::python_set_order;

    /// `list({...})` in CPython 3.11, for values inserted in this order.
    #[test]
    fn the_order_is_that_of_a_cpython_set() {
        let values = PYTHON_INSERTED;
        let order: Vec<u64> = python_set_order(&values).into_iter().map(|at| values[at]).collect();
        assert_eq!(order, PYTHON_ITERATED);
    }

    const PYTHON_INSERTED: [u64; 36] = [
        39544, 41, 52, 23, 58, 22530, 26, 144453, 3, 14, 153496, 34910, 36, 6, 178362, 82351, 118799, 19, 44,
        78708, 90040, 18, 134200, 198479, 128178, 2, 146296, 182267, 130200, 24535, 30, 191669, 151505,
        187859, 175283, 121030,
    ];
    const PYTHON_ITERATED: [u64; 36] = [
        22530, 3, 2, 6, 14, 118799, 18, 19, 23, 153496, 130200, 26, 30, 36, 41, 44, 82351, 128178, 175283,
        52, 146296, 191669, 90040, 134200, 178362, 58, 144453, 121030, 198479, 151505, 187859, 24535, 34910,
        78708, 39544, 182267,
    ];
}
