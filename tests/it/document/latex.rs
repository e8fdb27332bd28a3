//! LaTeX, compiled where there is a compiler.

use super::{formats, sample};
use bench::document::*;

#[test]
fn a_table_is_one_of_booktabs() {
    let document = sample::document().check().unwrap();
    let (id, table) = latex_tables(&document).remove(0);
    assert_eq!(id, "overall");
    for part in [
        "\\begin{tabular}{llrrrrrr}\n\\toprule\n",
        "\\multicolumn{2}{c}{} & \\multicolumn{3}{c}{ML{-}100K} & \\multicolumn{3}{c}{Beauty} \\\\\n\\cmidrule(lr){3-5}\\cmidrule(lr){6-8}\n",
        "\\textbf{0.0668} \\ensuremath{\\pm} 0.0021\\textsuperscript{ab}",
        "\\underline{0.0849}",
        "PALR \\emph{(published)}",
        "\\bottomrule\n\\end{tabular}",
    ] {
        assert!(table.contains(part), "{part}\nnot in\n{table}");
    }
    for line in table.lines().filter(|line| line.ends_with("\\\\") && !line.contains("multicolumn")) {
        assert_eq!(line.matches(" & ").count(), 7, "{line}");
    }
}

#[test]
fn whole_documents_and_hostile_ones_compile() {
    let found = std::process::Command::new("pdflatex").arg("--version").output();
    if found.is_err() {
        println!("skipped: there is no pdflatex (Debian: texlive-latex-base, texlive-latex-recommended)");
        return;
    }
    for document in [sample::document(), formats::hostile()] {
        let folder = tempfile::tempdir().unwrap();
        let document = document.check().unwrap();
        for file in files(&document, "report") {
            let path = folder.path().join(file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.bytes).unwrap();
        }
        let output = std::process::Command::new("pdflatex")
            .args(["-interaction=nonstopmode", "-halt-on-error", "report.tex"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stdout);
        let lines: Vec<&str> = log.lines().collect();
        assert!(output.status.success(), "{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        assert!(folder.path().join("report.pdf").exists());
    }
}

#[test]
fn a_number_that_the_caption_gives_is_the_number_of_the_table() {
    for (caption, number, rest) in [
        ("Table II: ranker. Means over R.", Some("II"), "ranker. Means over R."),
        ("Table III in full: overall.", Some("III in full"), "overall."),
        ("Tests of every pair: all metrics.", None, "Tests of every pair: all metrics."),
        ("Table of contents: none.", None, "Table of contents: none."),
    ] {
        let mut document = Document::new("t");
        let table = Table::new("t", caption, vec![Column::text("Metric")]).row(vec![Cell::text("M@5")]);
        document.sections.push(Section::new("s").with(table));
        let (_, text) = latex_tables(&document.check().unwrap()).remove(0);
        assert!(text.contains(&format!("\\caption{{{rest}}}")), "{text}");
        let command = number.map(|number| format!("\\renewcommand{{\\thetable}}{{{number}}}\n\\caption"));
        assert_eq!(command.is_some_and(|command| text.contains(&command)), number.is_some(), "{text}");
    }
}
