//! The page of a report in a real browser.

use bench::document::html;
use bench::report::document;

use super::ranked::{clear, report};
use crate::document::devtools::Browser;

#[test]
fn the_page_of_a_ranker_fits_a_phone_sorts_its_ladder_and_asks_the_network_for_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let history: Vec<u32> = (0..200).collect();
    let strata = bench::report::Strata { history: &history, popularity: &history };
    let document = document(&report(&[clear(42), clear(43)], Some(strata))).unwrap();
    std::fs::write(&path, html(&document)).unwrap();
    browser.screen(375, 800, "light");
    browser.open(&path);
    let wide = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 375, "the page is {wide} wide on a screen of 375");
    // No cell stands out of its table's box.
    let outside = "[...document.querySelectorAll('.box')].filter(box => box.getBoundingClientRect().right > 375).length";
    assert_eq!(browser.value(outside), 0);
    assert_eq!(browser.value("document.querySelectorAll('figure.drawing svg').length"), 8);
    let warnings = browser.value("document.querySelectorAll('.warnings li').length").as_u64().unwrap();
    assert_eq!(warnings as usize, document.warnings.len());
    // By MRR@10, the best first: what a row is of stays with it.
    browser.value("document.querySelector('#overall th[data-column=\"4\"] button').click()");
    let names = browser.value(
        "[...document.querySelectorAll('#overall tr[data-row]')].slice(0, 2).map(row => row.cells[0].dataset.text)",
    );
    assert_eq!(names, serde_json::json!(["tuned", "perfect order"]));
    let requested =
        browser.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent").count();
    assert_eq!(requested, 1);
}
