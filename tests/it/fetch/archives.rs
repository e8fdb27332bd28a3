//! Archives that come from outside, good and hostile.

use std::io::{Cursor, Write};

use bench::fetch::{Log, Member, Origin};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const RATINGS: Member = Member {
    member: "set/ratings.csv",
    name: "ratings.csv",
    sha256: None,
    max_bytes: 1 << 20,
    required: true,
};
const README: Member = Member {
    member: "set/README.txt",
    name: "README.txt",
    sha256: None,
    max_bytes: 1 << 20,
    required: false,
};

/// A zip archive with these members.
pub fn pack<'a>(members: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn archive(members: &[Member]) -> Upstream {
    one_file("set.zip", None, Kind::Zip { members: members.to_vec().leak() })
}

/// Every `from` in an archive's bytes replaced by `to` of the same length.
fn patched(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut count = 0;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + to.len()].copy_from_slice(to);
            count += 1;
        }
    }
    assert!(count > 0, "nothing to patch");
    bytes
}

/// Fetch an archive that must be refused: the problem that is told. Nothing may be left but the archive.
fn refused(bytes: Vec<u8>, members: &[Member]) -> String {
    let server = Server::start(move |_, answer| answer.whole(&bytes));
    let (folder, path) = place("set.zip");
    let said = message(get(&archive(members), folder.path(), &options(&server)));
    let tiny = path.parent().unwrap();
    assert_eq!(names(tiny), ["set.zip.rejected"]);
    assert_eq!(names(folder.path()), ["tiny"]);
    let (start, end) = (format!("{}.rejected: ", path.display()), "; nothing was unpacked");
    assert!(said.starts_with(&start) && said.ends_with(end), "{said}");
    said[start.len()..said.len() - end.len()].to_owned()
}

#[test]
fn only_expected_members_are_unpacked() {
    let bytes =
        pack([("set/tags.csv", &b"t"[..]), ("set/ratings.csv", b"r"), ("set/README.txt", b"read me")]);
    let server = Server::start({
        let bytes = bytes.clone();
        move |_, answer| answer.whole(&bytes)
    });
    let (folder, path) = place("set.zip");
    let upstream = archive(&[RATINGS, README]);
    let origins = |fetched: Fetched| fetched.files.iter().map(|file| file.origin).collect::<Vec<_>>();
    assert_eq!(origins(get(&upstream, folder.path(), &options(&server)).unwrap()), [Origin::Unpacked; 2]);
    let tiny = path.parent().unwrap();
    assert_eq!(
        names(tiny),
        ["README.txt", "README.txt.sha256", "fetch.json", "ratings.csv", "ratings.csv.sha256"]
    );
    assert_eq!(std::fs::read(tiny.join("ratings.csv")).unwrap(), b"r");
    let log: Log = serde_json::from_slice(&std::fs::read(tiny.join("fetch.json")).unwrap()).unwrap();
    assert_eq!(log.files["ratings.csv"].archive_sha256, Some(sha256(&bytes)));
    assert_eq!(log.files["ratings.csv"].sha256, sha256(b"r"));
    // What is not required may go without a new download.
    std::fs::remove_file(tiny.join("README.txt")).unwrap();
    assert_eq!(origins(get(&upstream, folder.path(), &options(&server)).unwrap()), [Origin::Present]);
    assert_eq!(server.seen().len(), 1);
    std::fs::remove_file(tiny.join("ratings.csv")).unwrap();
    assert_eq!(origins(get(&upstream, folder.path(), &options(&server)).unwrap()), [Origin::Unpacked; 2]);
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn an_archive_put_there_by_hand_is_unpacked_and_left() {
    let server = Server::start(|_, answer| answer.whole(b"x"));
    let (folder, path) = place("set.zip");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, pack([("set/ratings.csv", &b"r"[..])])).unwrap();
    get(&archive(&[RATINGS]), folder.path(), &options(&server)).unwrap();
    assert_eq!(names(path.parent().unwrap()), ["fetch.json", "ratings.csv", "ratings.csv.sha256", "set.zip"]);
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_member_that_leads_out_of_the_folder_is_refused() {
    // Two names of one length: the writer would refuse the second or tidy it, so it is patched in.
    for name in ["../../evil.csv", "set/../../evil", "/srv/evil12.cs", "C:/temp/evil.c", "..\\..\\evil.csv"] {
        let good = pack([("set/ratings.csv", &b"r"[..]), ("set/abcdef.txt", b"evil")]);
        let evil = patched(good, b"set/abcdef.txt", name.as_bytes());
        assert_eq!(refused(evil, &[RATINGS]), format!("member {name:?} leads out of the folder"));
    }
}

#[test]
fn a_link_is_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink("set/ratings.csv", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(refused(bytes, &[RATINGS]), "member \"set/ratings.csv\" is a link");
}

#[test]
fn two_members_of_one_name_are_refused() {
    let bytes = patched(
        pack([("set/ratings.csv", &b"r"[..]), ("set/ratingz.csv", b"z")]),
        b"set/ratingz.csv",
        b"set/ratings.csv",
    );
    assert_eq!(refused(bytes, &[RATINGS]), "the archive has two members of one name");
}

#[test]
fn a_zip_bomb_is_refused() {
    let zeros = vec![0; 4 << 20];
    let bytes = pack([("set/ratings.csv", &zeros[..])]);
    assert_eq!(
        refused(bytes.clone(), &[RATINGS]),
        "member set/ratings.csv unpacks to more than the 1048576 bytes that it may have"
    );
    assert_eq!(
        refused(bytes.clone(), &[Member { max_bytes: 1 << 30, ..RATINGS }]),
        "member set/ratings.csv unpacks to more than 200 times its size"
    );
    // The same with a directory that declares ten bytes.
    let lying = patched(bytes, &(4u32 << 20).to_le_bytes(), &10u32.to_le_bytes());
    assert_eq!(
        refused(lying, &[RATINGS]),
        "member set/ratings.csv is damaged (File is larger than its declared uncompressed size)"
    );
}

#[test]
fn members_that_share_their_bytes_are_refused() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("set/ratings.csv", SimpleFileOptions::default()).unwrap();
    writer.write_all(b"r").unwrap();
    writer.shallow_copy_file("set/ratings.csv", "set/again.csv").unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    assert_eq!(refused(bytes, &[RATINGS]), "members of the archive share their bytes");
}

#[test]
fn a_missing_member_is_named() {
    assert_eq!(
        refused(pack([("set/other.csv", &b"o"[..])]), &[RATINGS]),
        "the archive has no member set/ratings.csv"
    );
}

#[test]
fn a_member_with_the_wrong_hash_is_refused_with_all_others() {
    let pinned = Member { sha256: Some("00"), ..RATINGS };
    let first = Member { required: true, ..README };
    assert_eq!(
        refused(pack([("set/README.txt", &b"read me"[..]), ("set/ratings.csv", b"r")]), &[first, pinned]),
        format!("member set/ratings.csv has sha256 {}, expected 00 (pinned by this program)", sha256(b"r"))
    );
}

#[test]
fn a_damaged_archive_is_refused() {
    let content = rows(1);
    let mut bytes = pack([("set/ratings.csv", &content[..])]);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    let said = refused(bytes.clone(), &[RATINGS]);
    assert!(said.starts_with("member set/ratings.csv is damaged ("), "{said}");
    bytes.truncate(middle);
    let said = refused(bytes, &[RATINGS]);
    assert!(said.starts_with("the archive is damaged ("), "{said}");
}

#[test]
fn a_file_that_is_no_archive_is_said() {
    let server = Server::start(|_, answer| answer.whole(b"hello"));
    let (folder, path) = place("set.zip");
    assert_eq!(
        message(get(&archive(&[RATINGS]), folder.path(), &options(&server))),
        format!(
            "{}: the file is not a zip archive; what arrived is set aside as {}.download.rejected; {}",
            server.url("set.zip"),
            path.display(),
            by_hand(&path)
        )
    );
}
