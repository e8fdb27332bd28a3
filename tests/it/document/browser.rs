//! The page in a real browser.

use base64::Engine as _;
use serde_json::{Value, json};

use super::devtools::Browser;
use super::{formats, sample};
use bench::document::{Document, html};

fn page(document: Document) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    std::fs::write(&path, html(&document.check().unwrap())).unwrap();
    (folder, path)
}

/// What the first column of a table shows, top to bottom.
fn names(browser: &mut Browser, table: &str) -> Vec<String> {
    let rows = browser.value(&format!(
        "[...document.querySelectorAll('#{table} tr[data-row]')].filter(r => r.offsetParent).map(r => r.cells[0].dataset.text)"
    ));
    serde_json::from_value(rows).unwrap()
}

const AS_IT_WAS: [&str; 6] = ["Random", "Popularity", "LRURec", "LlamaRec", "LlamaRec, 8-bit", "PALR"];

#[test]
fn a_page_sorts_filters_and_changes_colours_and_asks_the_network_for_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, path) = page(sample::document());
    browser.screen(1280, 900, "light");
    browser.open(&path);
    skips(&mut browser);
    sorts(&mut browser);
    filters(&mut browser);
    colours(&mut browser);
    narrow(&mut browser);
    let requested: Vec<&str> = browser
        .events
        .iter()
        .filter(|event| event["method"] == "Network.requestWillBeSent")
        .map(|event| event["params"]["request"]["url"].as_str().unwrap())
        .collect();
    assert_eq!(requested, [format!("file://{}", path.display())]);
    complaints(&browser);
    look(&mut browser);
}

fn complaints(browser: &Browser) {
    let said: Vec<&Value> = browser
        .events
        .iter()
        .filter(|event| {
            ["Log.entryAdded", "Runtime.exceptionThrown"].iter().any(|method| event["method"] == *method)
        })
        .collect();
    assert!(said.is_empty(), "{said:?}");
}

fn skips(browser: &mut Browser) {
    // The first thing that Tab reaches leads past the contents.
    browser.key("Tab", 9, "");
    assert_eq!(browser.value("document.activeElement.className"), "skip");
    assert!(browser.value("document.activeElement.getBoundingClientRect().left").as_f64().unwrap() >= 0.0);
    browser.key("Enter", 13, "\r");
    assert_eq!(browser.value("document.activeElement.id"), "content");
}

fn sorts(browser: &mut Browser) {
    assert_eq!(names(browser, "overall"), AS_IT_WAS);
    // Column 3 is NDCG@10; the best are on top after the first click, and the exact values count.
    let button = "document.querySelector('#overall th[data-column=\"3\"] button')";
    browser.value(&format!("{button}.click()"));
    let best = ["LlamaRec", "LlamaRec, 8-bit", "LRURec", "Popularity", "PALR", "Random"];
    assert_eq!(names(browser, "overall"), best);
    let sorted = format!("{button}.parentElement.getAttribute('aria-sort')");
    assert_eq!(browser.value(&sorted), "descending");
    browser.value(&format!("{button}.focus()"));
    browser.key("Enter", 13, "\r");
    assert_eq!(browser.value(&sorted), "ascending");
    assert_eq!(
        names(browser, "overall"),
        ["Random", "PALR", "Popularity", "LRURec", "LlamaRec, 8-bit", "LlamaRec"]
    );
    browser.key("Enter", 13, "\r");
    assert_eq!(browser.value(&sorted), Value::Null);
    assert_eq!(names(browser, "overall"), AS_IT_WAS);
    // What has no value comes last in either direction.
    let first = "document.querySelector('#overall th[data-column=\"2\"] button')";
    for _ in 0..2 {
        browser.value(&format!("{first}.click()"));
        assert_eq!(names(browser, "overall")[5], "PALR");
    }
    browser.value(&format!("{first}.click()"));
    // Groups of rows stay together.
    browser.value("document.querySelector('#improvement-table th[data-column=\"1\"] button').click()");
    assert_eq!(
        names(browser, "improvement-table"),
        ["Recall@5", "NDCG@5", "MRR@5", "Recall@5", "NDCG@5", "MRR@5"]
    );
}

fn filters(browser: &mut Browser) {
    browser.value("document.querySelector('#overall input').focus()");
    browser.call("Input.insertText", json!({"text": "llama"}));
    assert_eq!(names(browser, "overall"), ["LlamaRec", "LlamaRec, 8-bit"]);
    assert_eq!(browser.value("document.querySelector('#overall .count').textContent"), "2 of 6 rows");
    browser.key("Escape", 27, "");
    assert_eq!(names(browser, "overall"), AS_IT_WAS);
    let choose = |value: &str| {
        format!(
            "(() => {{ const s = document.querySelector('#overall select'); s.value = '{value}'; s.dispatchEvent(new Event('change')); }})()"
        )
    };
    browser.value(&choose("=baseline"));
    assert_eq!(names(browser, "overall"), ["Random", "Popularity"]);
    browser.value(&choose(""));
    let group = "(() => { const s = document.querySelector('#improvement-table select[data-column=group]'); s.value = '=Beauty'; s.dispatchEvent(new Event('change')); })()";
    browser.value(group);
    assert_eq!(names(browser, "improvement-table").len(), 3);
}

fn colours(browser: &mut Browser) {
    let ground = "getComputedStyle(document.body).backgroundColor";
    let ink = "getComputedStyle(document.querySelector('#metrics svg text')).fill";
    let (white, black) = ("rgb(255, 255, 255)", "rgb(17, 21, 26)");
    assert_eq!(browser.value(ground), white);
    assert_eq!(browser.value(ink), "rgb(27, 31, 36)");
    browser.screen(1280, 900, "dark");
    assert_eq!(browser.value(ground), black);
    assert_eq!(browser.value(ink), "rgb(230, 237, 243)");
    browser.value("document.getElementById('scheme').click()");
    assert_eq!(browser.value(ground), white);
    assert_eq!(browser.value("document.getElementById('scheme').textContent"), "Dark colours");
    browser.value("document.getElementById('scheme').click()");
    assert_eq!(browser.value(ground), black);
    browser.screen(1280, 900, "light");
    assert_eq!(browser.value(ground), black, "the reader's choice stays");
    browser.value("document.getElementById('scheme').click()");
}

fn narrow(browser: &mut Browser) {
    browser.screen(375, 800, "light");
    let wide = browser.value("document.documentElement.scrollWidth").as_u64().unwrap();
    assert!(wide <= 375, "the page is {wide} wide on a screen of 375");
    let scrolls = "(() => { const b = document.querySelector('#overall .box'); b.scrollLeft = 200; return [b.scrollWidth > b.clientWidth, b.querySelector('tbody th').getBoundingClientRect().left - b.getBoundingClientRect().left]; })()";
    let found = browser.value(scrolls);
    assert_eq!(found[0], true, "the table scrolls in its box");
    assert!(found[1].as_f64().unwrap().abs() <= 1.0, "the first column stays: {found}");
    browser.value("document.querySelector('#overall .box').scrollLeft = 0");
}

/// Pictures for people, where they are wanted.
fn look(browser: &mut Browser) {
    let Some(folder) = std::env::var_os("DOCUMENT_SAMPLES") else { return };
    browser.value("localStorage.clear(), delete document.documentElement.dataset.scheme");
    for width in [1280, 375] {
        for scheme in ["light", "dark"] {
            browser.screen(width, 900, scheme);
            let picture = browser.call("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
            let bytes =
                base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
            std::fs::write(std::path::Path::new(&folder).join(format!("page-{width}-{scheme}.png")), bytes)
                .unwrap();
        }
    }
}

#[test]
fn a_hostile_title_does_not_run_in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let (_folder, path) = page(formats::hostile());
    browser.screen(375, 800, "dark");
    browser.open(&path);
    assert_eq!(browser.value("typeof window.hacked"), "undefined");
    assert_eq!(browser.value("document.querySelectorAll('img').length"), 0);
    assert!(browser.value("document.documentElement.scrollWidth").as_u64().unwrap() <= 375);
    // A script that is not the page's own is refused, wherever it comes from.
    browser.value("(() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; document.body.append(s); })()");
    assert_eq!(browser.value("typeof window.hacked"), "undefined");
}
