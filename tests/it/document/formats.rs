//! Laws of all formats: exact digits, no character that acts, the stamp everywhere, the same bytes.

use super::sample;
use bench::document::*;
use proptest::prelude::*;

/// Text that would do harm in some format if it were not escaped.
pub const HOSTILE: &str = "</script><script>window.hacked=1</script>\"'><img src=x onerror=window.hacked=1> | *b* _u_ `c` \
    $x$ \\input{x} %c & #1 {~^} [l](javascript:x) @you\u{0}\u{7}\u{1b}[31m\u{202E}rtl\u{200B}\r\n\t雪🎬é=1+1";

pub fn hostile() -> Document {
    let mut document = Document::new(HOSTILE);
    document.stamp = Some(HOSTILE.to_owned());
    document.warnings = vec![HOSTILE.into()];
    let mut table =
        Table::new("t", HOSTILE, vec![Column::text(HOSTILE), Column::number(HOSTILE).unit(HOSTILE)])
            .group(HOSTILE, 2)
            .row(
                Row::new(vec![Cell::text(HOSTILE).footnote(HOSTILE), Cell::number(HOSTILE, 0.1)])
                    .group(HOSTILE)
                    .tag(HOSTILE),
            )
            .row(
                Row::new(vec![
                    Cell::text(HOSTILE).significance(HOSTILE),
                    Cell::number("1", 0.2).spread(HOSTILE, 1.0),
                ])
                .group("g"),
            )
            .footnote(HOSTILE, HOSTILE);
    table.columns[1].better = Some(Better::Higher);
    let Chart::Ladder(mut ladder) = sample::ladder() else { unreachable!() };
    ladder.title = HOSTILE.to_owned();
    ladder.axis.label = HOSTILE.to_owned();
    ladder.rungs[1].name = HOSTILE.to_owned();
    let section = Section::new(HOSTILE)
        .with(
            Prose::new(HOSTILE)
                .emphasis(HOSTILE)
                .strong(HOSTILE)
                .code(HOSTILE)
                .link(HOSTILE, "https://a.test/?q=<\">"),
        )
        .with(table.mark(Competition::Table))
        .with(Figure { id: "f".to_owned(), caption: HOSTILE.into(), chart: Chart::Ladder(ladder) })
        .with(Facts { folded: Some(HOSTILE.to_owned()), entries: vec![(HOSTILE.to_owned(), HOSTILE.into())] })
        .with(Code {
            heading: HOSTILE.to_owned(),
            language: HOSTILE.to_owned(),
            text: format!("{HOSTILE}\n```\n\\end{{verbatim}}\n"),
        });
    document.with(section)
}

#[test]
fn no_format_lets_a_hostile_title_act() {
    let document = hostile().check().unwrap();
    let page = html(&document);
    assert_eq!(page.matches("<script").count(), 1, "only the page's own script");
    assert_eq!(page.matches("</script").count(), 1);
    assert!(!page.contains("<img"));
    let whole = markdown(&document, "figures");
    // Between fences a listing stands as it is.
    let markdown: String = whole.split("````").step_by(2).collect();
    assert_eq!(markdown.matches("<img").count(), 1, "only the figure");
    assert!(!markdown.contains("<script"));
    assert!(markdown.contains("\\[l\\](javascript:x) &#64;you"));
    let rows: Vec<&str> = markdown.lines().filter(|line| line.starts_with("| ")).collect();
    for row in &rows {
        let bars = row.matches('|').count() - row.matches("\\|").count();
        assert_eq!(bars, 3, "{row}");
    }
    assert_eq!(rows.len(), 6, "heading, rule, two groups, two rows");
    let svg = document.figures().next().unwrap().chart.svg(Some(HOSTILE), Theme::Light);
    assert!(!svg.contains("<script") && !svg.contains("<img"));
}

#[test]
fn no_format_has_a_character_that_acts() {
    let document = hostile().check().unwrap();
    let style = TerminalStyle { colour: false, unicode: true, width: Some(80) };
    let mut texts = vec![terminal(&document, style)];
    for file in files(&document, "r").into_iter().filter(|file| !file.path.ends_with(".png")) {
        texts.push(String::from_utf8(file.bytes).expect("UTF-8"));
    }
    for text in texts {
        let acting = text
            .chars()
            .find(|c| (c.is_control() && !"\n\t".contains(*c)) || "\u{202E}\u{200B}\u{2028}".contains(*c));
        assert_eq!(acting, None);
    }
    let plain = terminal(&document, TerminalStyle::default());
    assert!(plain.is_ascii(), "a terminal without Unicode gets ASCII");
}

#[test]
fn every_table_figure_and_page_carries_the_stamp() {
    let document = sample::document().check().unwrap();
    for file in files(&document, "r").iter().filter(|file| !file.path.ends_with(".png")) {
        let text = String::from_utf8_lossy(&file.bytes);
        let stamp = if file.path.ends_with("tex") {
            sample::STAMP.replace('-', "{-}")
        } else {
            sample::STAMP.to_owned()
        };
        assert!(text.contains(&stamp), "{}", file.path);
    }
    let page = html(&document);
    // Title, top, two tables, six figures (inside and below), and in the copies of each table once or in every row.
    assert!(page.matches(sample::STAMP).count() >= 2 + 2 + 12, "{}", page.matches(sample::STAMP).count());
}

#[test]
fn the_same_document_gives_the_same_bytes() {
    let document = sample::document().check().unwrap();
    let again = sample::document().check().unwrap();
    assert!(files(&document, "r") == files(&again, "r"));
}

#[test]
fn json_reads_back_as_the_same_document() {
    let document = sample::document().check().unwrap();
    assert_eq!(read_json(&json(&document)).unwrap(), *document);
    let other = json(&document).replacen("bench.document/1", "bench.document/0", 1);
    assert_eq!(read_json(&other).unwrap_err(), r#"schema "bench.document/0"; expected "bench.document/1""#);
}

#[test]
fn csv_names_columns_by_group_and_gives_what_cells_bear() {
    let document = Document::new("d")
        .with(
            Section::new("s").with(
                Table::new(
                    "t",
                    "",
                    vec![Column::text("Method"), Column::number("MRR").unit("%").better(Better::Higher)],
                )
                .group("", 1)
                .group("ML", 1)
                .row(vec![
                    Cell::text("a, \"b\""),
                    Cell::number("0.3", 0.1 + 0.2).spread("0.01", 0.012).significance("a"),
                ])
                .row(Row::new(vec![Cell::text("=1+1"), Cell::none()]).tag("published"))
                .mark(Competition::Table),
            ),
        )
        .check()
        .unwrap();
    assert_eq!(
        csv(&document),
        [(
            "t".to_owned(),
            "Method,ML: MRR (%),ML: MRR (%) ±,ML: MRR (%) significance,tags\n\"a, \"\"b\"\"\",0.30000000000000004,0.012,a,\n\
             =1+1,,,,published\n"
                .to_owned()
        )]
    );
}

#[test]
fn a_table_in_a_terminal_lines_up_and_says_its_marks_without_colour() {
    let score = |value: f64| Cell::number(format!("{value:.4}"), value);
    let table = Table::new(
        "t",
        "Results",
        vec![Column::text("Method"), Column::number("MRR").better(Better::Higher)],
    )
    .row(vec![Cell::text("one"), score(0.5).significance("a").spread("0.01", 0.01)])
    .row(vec![Cell::text("two"), score(0.25)])
    .note("n = 3");
    let document =
        Document::new("d").with(Section::new("s").with(table.mark(Competition::Table))).check().unwrap();
    assert_eq!(
        terminal(&document, TerminalStyle::default()),
        "d\n\ns\nResults\n-------------------------\nMethod                MRR\n-------------------------\n\
         one     *0.5000 +- 0.01 a\ntwo     _0.2500\n-------------------------\n*: best; _: second\nn = 3\n"
    );
}

proptest! {
    #[test]
    fn csv_gives_every_number_and_every_title_back(
        rows in prop::collection::vec((any::<String>(), any::<f64>().prop_filter("finite", |v| v.is_finite())), 1..8),
    ) {
        let mut table = Table::new("t", "", vec![Column::text("title"), Column::number("value")]);
        for (title, value) in &rows {
            table = table.row(vec![Cell::text(title.clone()), Cell::number("?", *value)]);
        }
        let document = Document::new("d").with(Section::new("s").with(table)).check().unwrap();
        let (_, text) = csv(&document).remove(0);
        let mut reader = ::csv::Reader::from_reader(text.as_bytes());
        let read: Vec<(String, f64)> = reader.deserialize().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(read.len(), rows.len());
        for ((title, value), (expected, number)) in read.iter().zip(&rows) {
            prop_assert_eq!(value.to_bits(), number.to_bits());
            prop_assert_eq!(title, &clean(expected));
        }
        let again = read_json(&json(&document)).unwrap();
        prop_assert!(again == *document);
    }

    #[test]
    fn any_words_leave_markdown_html_and_latex_in_one_piece(words in any::<String>()) {
        let table = Table::new("t", words.clone(), vec![Column::text(words.clone())]).row(vec![Cell::text(words.clone())]);
        let document = Document::new(words.clone()).with(Section::new("s").with(table)).check().unwrap();
        let page = html(&document);
        prop_assert_eq!(page.matches("<script").count(), 1);
        prop_assert_eq!(page.matches("<tr").count(), 2);
        let markdown = markdown(&document, "figures");
        prop_assert_eq!(markdown.lines().filter(|line| line.starts_with("| ")).count(), 3);
        let latex = latex(&document, "figures");
        let body = latex.split_once("\\maketitle").unwrap().1;
        // Braces balance, escaped ones aside.
        let plain = body.replace("\\{", "").replace("\\}", "").replace("\\$", "");
        prop_assert_eq!(plain.matches('{').count(), plain.matches('}').count());
        prop_assert!(!plain.contains(['$', '`', '"']));
    }
}
