//! What is refused, and what it says.

use bench::document::chart::{Axis, Bars, Chart, Estimate, Series};
use bench::document::*;

fn refused(block: impl Into<Block>) -> String {
    Document::new("d").with(Section::new("s").with(block)).check().unwrap_err().to_string()
}

fn table() -> Table {
    Table::new("t", "caption", vec![Column::text("a"), Column::number("b")])
}

#[test]
fn a_table_that_does_not_fit_is_refused_with_its_place() {
    let ragged = table().row(vec![Cell::text("x")]);
    assert_eq!(refused(ragged), r#"document "d": table "t": 1 cells in row 1; expected 2, one a column"#);
    let nan = table().row(vec![Cell::text("x"), Cell::number("?", f64::NAN)]);
    assert_eq!(
        refused(nan),
        r#"document "d": table "t": NaN in row 1, column "b"; expected a finite number, or none"#
    );
    let spans = table().group("g", 3);
    assert_eq!(
        refused(spans),
        r#"document "d": table "t": the spans of its column groups do not add up; expected spans of at least 1, 2 together"#
    );
    let footnote = table().row(vec![Cell::text("x").footnote("*"), Cell::none()]);
    assert_eq!(
        refused(footnote),
        r#"document "d": table "t": footnote "*" in row 1; expected a note with that mark"#
    );
    let row = |group: &str| Row::new(vec![Cell::none(), Cell::none()]).group(group);
    let apart = table().row(row("g")).row(row("h")).row(row("g"));
    assert!(refused(apart).contains("row 3 is apart from the rest of its group"));
}

#[test]
fn links_lead_to_the_web_or_into_the_document() {
    for url in [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "//evil.test",
        "#nowhere",
        "https://a b",
    ] {
        assert!(refused(Prose::default().link("x", url)).contains("a link to"), "{url}");
    }
    let to_table =
        Section::new("s").with(Prose::default().link("x", "#t").link("y", "https://a.test/")).with(table());
    assert!(Document::new("d").with(to_table).check().is_ok());
}

#[test]
fn ids_are_slugs_and_unique() {
    let mut odd = table();
    odd.id = "a\"b".to_owned();
    assert!(refused(odd).contains("not an id"));
    let twice = Document::new("d").with(Section::new("s").with(table()).with(table()));
    assert!(twice.check().unwrap_err().to_string().contains("its id is there twice"));
    assert!(Document::new("d").with(Section::new("s").level(4)).check().is_err());
}

#[test]
fn a_chart_whose_parts_do_not_fit_is_refused() {
    let chart = |values: Vec<Option<Estimate>>| Figure {
        id: "f".to_owned(),
        caption: "".into(),
        chart: Chart::Bars(Bars {
            title: "t".to_owned(),
            axis: Axis::new("m", 3),
            categories: vec!["a".to_owned(), "b".to_owned()],
            series: vec![Series { name: "s".to_owned(), values }],
        }),
    };
    assert_eq!(refused(chart(vec![None])), r#"document "d": figure "f": 1 values of "s"; expected 2"#);
    assert!(
        refused(chart(vec![None, Some(Estimate::within(1.0, 2.0, 0.0))])).contains("ends before it begins")
    );
    assert!(
        refused(chart(vec![None, Some(Estimate::exact(f64::INFINITY))])).contains("not finite or too large")
    );
}
