// SPDX-License-Identifier: Apache-2.0
//! Copies from friendly and hostile guests into folders of their own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;
use protocol::{write_frame, write_message};

use super::*;

fn path(text: &str) -> Vec<Vec<u8>> {
    text.split('/')
        .filter(|part| !part.is_empty())
        .map(|part| part.as_bytes().to_vec())
        .collect()
}

#[derive(Default)]
struct Guest(Vec<u8>);

impl Guest {
    fn entry(mut self, at: &str, kind: EntryKind, target: &str) -> Self {
        let entry = Entry {
            path: path(at),
            kind: kind.into(),
            mode: 0o6755,
            mtime_ns: 1_000_000_000_000,
            size: 0,
            target: target.into(),
        };
        write_message(&mut self.0, Kind::Entry, &entry).unwrap();
        self
    }

    fn folder(self, at: &str) -> Self {
        self.entry(at, EntryKind::Folder, "")
    }

    fn file(self, at: &str, content: &str) -> Self {
        let mut guest = self.entry(at, EntryKind::File, "");
        write_frame(&mut guest.0, Kind::FileData, content.as_bytes()).unwrap();
        write_frame(&mut guest.0, Kind::FileEnd, b"").unwrap();
        guest
    }

    fn link(self, at: &str, target: &str) -> Self {
        self.entry(at, EntryKind::Link, target)
    }

    fn end(mut self, error: &str) -> Self {
        write_message(
            &mut self.0,
            Kind::CopyEnd,
            &CopyEnd {
                error: error.into(),
            },
        )
        .unwrap();
        self
    }

    fn into(self, destination: &Path, name: Option<&str>) -> Result<Received, CopyError> {
        receive(&mut self.0.as_slice(), destination, name.map(str::as_bytes))
    }
}

#[test]
fn a_tree_arrives_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let guest = Guest::default()
        .folder("")
        .folder("d")
        .file("d/f", "hi")
        .link("l", "d/f");
    let done = guest
        .link("d/up", "../d/f")
        .end("")
        .into(&out, Some("t"))
        .unwrap();
    assert_eq!((done.entries, done.bytes), (5, 2));
    assert_eq!(fs::read_to_string(out.join("l")).unwrap(), "hi");
    assert_eq!(fs::read_to_string(out.join("d/up")).unwrap(), "hi");
    let meta = fs::metadata(out.join("d/f")).unwrap();
    assert_eq!(
        meta.permissions().mode() & 0o7777,
        0o755,
        "set-id bits are dropped"
    );
    assert_eq!(
        meta.modified().unwrap().elapsed().unwrap().as_secs() >> 20,
        fs::metadata(&out)
            .unwrap()
            .modified()
            .unwrap()
            .elapsed()
            .unwrap()
            .as_secs()
            >> 20
    );
}

#[test]
fn destinations_are_as_docker_cp_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = || Guest::default().file("", "new").end("");
    let tree = || Guest::default().folder("").file("f", "x").end("");
    fs::create_dir(dir.path().join("d")).unwrap();
    file().into(&dir.path().join("d"), Some("name")).unwrap();
    assert_eq!(
        fs::read_to_string(dir.path().join("d/name")).unwrap(),
        "new"
    );
    fs::write(dir.path().join("there"), "old").unwrap();
    file()
        .into(&dir.path().join("there"), Some("name"))
        .unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("there")).unwrap(), "new");
    tree().into(&dir.path().join("d"), Some("t")).unwrap();
    assert!(dir.path().join("d/t/f").exists());
    tree().into(&dir.path().join("d"), None).unwrap();
    assert!(dir.path().join("d/f").exists());
    assert!(tree().into(&dir.path().join("there"), Some("t")).is_err());
    assert!(file().into(&dir.path().join("no/such"), Some("f")).is_err());
    assert!(file().into(&dir.path().join("new/"), Some("f")).is_err());
}

#[test]
fn names_that_lead_out_are_refused() {
    for bad in [
        vec![b"..".to_vec(), b"x".to_vec()],
        vec![b"a/../../x".to_vec()],
        vec![b"".to_vec()],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut guest = Guest::default().folder("");
        let entry = Entry {
            path: bad,
            kind: EntryKind::File.into(),
            ..Entry::default()
        };
        write_message(&mut guest.0, Kind::Entry, &entry).unwrap();
        let refused = guest.into(&dir.path().join("out"), None).unwrap_err();
        assert!(matches!(refused, CopyError::Hostile(_)), "{refused}");
        assert!(!dir.path().join("x").exists());
    }
}

#[test]
fn links_out_and_special_files_are_left_out_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::default()
        .folder("")
        .link("abs", "/etc/passwd")
        .link("up", "../../x");
    let done = guest
        .entry("p", EntryKind::Special, "")
        .file("f", "ok")
        .end("");
    let done = done.into(&dir.path().join("out"), None).unwrap();
    assert_eq!(done.left_out.len(), 3, "{done:?}");
    let names: Vec<_> = fs::read_dir(dir.path().join("out"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(names.len(), 1);
}

#[test]
fn nothing_is_written_through_a_link_that_is_already_there() {
    let dir = tempfile::tempdir().unwrap();
    let (out, outside) = (dir.path().join("out"), dir.path().join("outside"));
    fs::create_dir_all(out.join("t")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "old").unwrap();
    symlink(&outside, out.join("t/d")).unwrap();
    symlink(outside.join("f"), out.join("t/f")).unwrap();
    let through = Guest::default()
        .folder("")
        .folder("d")
        .file("d/g", "bad")
        .end("");
    assert!(through.into(&out, Some("t")).is_err());
    assert!(!outside.join("g").exists());
    Guest::default()
        .folder("")
        .file("f", "new")
        .end("")
        .into(&out, Some("t"))
        .unwrap();
    assert_eq!(fs::read_to_string(outside.join("f")).unwrap(), "old");
    assert_eq!(fs::read_to_string(out.join("t/f")).unwrap(), "new");
}

#[test]
fn a_file_laid_as_a_link_and_then_used_as_a_folder_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Guest::default()
        .folder("")
        .link("d", "e")
        .folder("e")
        .file("d/f", "x")
        .end("");
    assert!(guest.into(&dir.path().join("out"), None).is_err());
}

#[test]
fn names_and_targets_without_end_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let target = "x".repeat(15 << 10);
    let links = MAX_KEPT / target.len() + 1;
    let guest = (0..links).fold(Guest::default().folder(""), |guest, n| {
        guest.link(&n.to_string(), &target)
    });
    let refused = guest.into(&dir.path().join("to"), None).unwrap_err();
    assert!(matches!(refused, CopyError::TooLarge(_)), "{refused}");
}

#[test]
fn an_error_of_the_guest_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let error = Guest::default()
        .end("/no/such: not found")
        .into(&out, None)
        .unwrap_err();
    assert_eq!(error.to_string(), "/no/such: not found");
    assert!(!out.exists());
}

#[test]
fn half_a_file_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut guest = Guest::default().entry("", EntryKind::File, "");
    write_frame(&mut guest.0, Kind::FileData, b"half").unwrap();
    assert!(guest.into(&out, None).is_err());
    assert!(!out.exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_guest_sends_nothing_is_made_outside(
        entries in prop::collection::vec((
            prop::collection::vec(prop::sample::select(vec!["..", ".", "", "a", "b", "l", "a/b", "/x"]), 0..4),
            0i32..6,
            prop::sample::select(vec!["..", "../..", "a", "/tmp", "../a", "l/..", "."]),
        ), 0..12)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let mut guest = Guest::default().folder("");
        for (path, kind, target) in entries {
            let path = path.into_iter().map(|part| part.as_bytes().to_vec()).collect();
            let entry = Entry { path, kind, target: target.into(), mode: 0o777, ..Entry::default() };
            write_message(&mut guest.0, Kind::Entry, &entry).unwrap();
            if kind == i32::from(EntryKind::File) {
                write_frame(&mut guest.0, Kind::FileEnd, b"").unwrap();
            }
        }
        let _ = guest.end("").into(&inner.join("out"), None);
        prop_assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        prop_assert!(fs::read_dir(&inner).unwrap().flatten().all(|e| e.file_name() == "out"));
    }
}
