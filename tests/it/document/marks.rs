//! Best and second.

use bench::document::Mark::{Best, Second};
use bench::document::*;
use proptest::prelude::*;

#[test]
fn all_ties_are_marked_and_the_second_is_the_next_value() {
    let values = [Some(0.5), Some(0.25), Some(0.5), None, Some(0.25), Some(0.125)];
    let higher = marks(&values, Better::Higher);
    assert_eq!(higher, [Some(Best), Some(Second), Some(Best), None, Some(Second), None]);
    let lower = marks(&values, Better::Lower);
    assert_eq!(lower, [None, Some(Second), None, None, Some(Second), Some(Best)]);
}

#[test]
fn values_that_round_to_the_same_digits_are_no_tie() {
    let table = Table::new("t", "", vec![Column::text("m"), Column::number("v").better(Better::Higher)])
        .row(vec![Cell::text("a"), Cell::number("0.1234", 0.123_41)])
        .row(vec![Cell::text("b"), Cell::number("0.1234", 0.123_44)])
        .mark(Competition::Table);
    assert_eq!([table.rows[0].cells[1].mark, table.rows[1].cells[1].mark], [Some(Second), Some(Best)]);
}

#[test]
fn all_equal_has_no_second_and_one_alone_has_no_place() {
    assert_eq!(marks(&[Some(1.0), Some(1.0)], Better::Higher), [Some(Best), Some(Best)]);
    assert_eq!(marks(&[Some(1.0), None], Better::Higher), [None, None]);
    assert_eq!(marks(&[], Better::Lower), []);
}

#[test]
fn unranked_rows_and_other_groups_stay_out_of_the_competition() {
    let row = |value: f64| Row::new(vec![Cell::number("x", value)]);
    let columns = vec![Column::number("v").better(Better::Higher)];
    let places = |table: &Table| table.rows.iter().map(|row| row.cells[0].mark).collect::<Vec<_>>();
    let table = Table::new("t", "", columns)
        .row(row(9.0).unranked().group("a"))
        .row(row(1.0).group("a"))
        .row(row(2.0).group("a"))
        .row(row(4.0).group("b"))
        .row(row(3.0).group("b"));
    let whole = table.clone().mark(Competition::Table);
    assert_eq!(places(&whole), [None, None, None, Some(Best), Some(Second)]);
    let within = whole.mark(Competition::Group);
    assert_eq!(places(&within), [None, Some(Second), Some(Best), Some(Best), Some(Second)]);
}

#[test]
fn a_row_of_methods_is_marked_from_left_to_right() {
    let row = Row::new(vec![Cell::text("MRR"), Cell::number("1", 1.0), Cell::number("2", 2.0)])
        .better(Better::Lower);
    let columns = vec![Column::text("metric"), Column::number("a"), Column::number("b")];
    let table = Table::new("t", "", columns).row(row).mark(Competition::Table);
    let marks: Vec<_> = table.rows[0].cells.iter().map(|cell| cell.mark).collect();
    assert_eq!(marks, [None, Some(Best), Some(Second)]);
}

proptest! {
    #[test]
    fn best_is_whatever_nothing_beats_and_second_what_only_the_best_beat(
        values in prop::collection::vec(prop::option::of((0i8..6).prop_map(f64::from)), 2..12), higher: bool,
    ) {
        let better = if higher { Better::Higher } else { Better::Lower };
        let found = marks(&values, better);
        let known: std::collections::BTreeSet<i64> = values.iter().flatten().map(|value| *value as i64).collect();
        prop_assume!(values.iter().flatten().count() >= 2);
        for (value, mark) in values.iter().zip(found) {
            let beaten_by = value.map(|value| {
                known.iter().filter(|other| if higher { **other as f64 > value } else { (**other as f64) < value }).count()
            });
            let expected = match beaten_by { Some(0) => Some(Best), Some(1) => Some(Second), _ => None };
            prop_assert_eq!(mark, expected);
        }
    }
}
