//! Files to look at.

use super::sample;
use bench::document::files;

#[test]
fn a_document_becomes_four_files_two_a_table_and_four_a_figure() {
    let document = sample::document().check().unwrap();
    let files = files(&document, "report");
    assert_eq!(files.len(), 4 + 2 * 2 + 4 * 6);
    let Some(folder) = std::env::var_os("DOCUMENT_SAMPLES") else { return };
    for file in files {
        let path = std::path::Path::new(&folder).join(file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.bytes).unwrap();
    }
}
