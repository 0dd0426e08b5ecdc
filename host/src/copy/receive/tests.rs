// SPDX-License-Identifier: Apache-2.0
//! Copies from friendly and hostile guests into folders of their own.

use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;
use std::{env, fs};

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
    fn entry(self, at: &str, kind: EntryKind, target: &str) -> Self {
        self.entry_of(at, kind, target, 0o6755)
    }

    fn entry_of(mut self, at: &str, kind: EntryKind, target: &str, mode: u32) -> Self {
        let entry = Entry {
            path: path(at),
            kind: kind.into(),
            mode,
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
        self.entry(at, EntryKind::File, "").data(content).file_end()
    }

    fn data(mut self, content: &str) -> Self {
        write_frame(&mut self.0, Kind::FileData, content.as_bytes()).unwrap();
        self
    }

    fn file_end(mut self) -> Self {
        write_frame(&mut self.0, Kind::FileEnd, b"").unwrap();
        self
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

/// A guest that falls silent: `look` runs when all that it sent was taken.
struct Silent<'a, F>(&'a [u8], Option<F>);

impl<F: FnOnce()> Read for Silent<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.0.read(into)?;
        if n == 0
            && let Some(look) = self.1.take()
        {
            look();
        }
        Ok(n)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Whether this is the process that a shell with `setup` done started for `test` alone; where it
/// is not, starts that one. The umask and limits belong to a process, which tests share.
fn alone_after(setup: &str, test: &str) -> bool {
    const ALONE: &str = "AMPOULE_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{setup}; exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap());
    shell.args(["--exact", &format!("{module}::{test}")]);
    let done = shell.env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(said.contains("1 passed"), "{said}");
    false
}

#[test]
fn an_old_file_stays_until_the_new_one_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::write(&out, "old").unwrap();
    let half = || Guest::default().entry("", EntryKind::File, "").data("half");
    // What a signal would leave at this moment.
    let look = || {
        assert_eq!(fs::read_to_string(&out).unwrap(), "old");
        assert_eq!(names(dir.path()), ["out"]);
    };
    let guest = half();
    receive(&mut Silent(&guest.0, Some(look)), &out, None).unwrap_err();
    look();
    half().end("").into(&out, None).unwrap_err();
    look();
    half().file_end().end("").into(&out, None).unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "half");
    assert_eq!(names(dir.path()), ["out"]);
}

#[test]
fn an_old_file_stays_where_there_is_no_room_for_the_new_one() {
    // EFBIG here, as ENOSPC there: the first bytes are written, the rest is not.
    let setup = "trap '' XFSZ; ulimit -f 1";
    if !alone_after(
        setup,
        "an_old_file_stays_where_there_is_no_room_for_the_new_one",
    ) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "old").unwrap();
    let file = |at| Guest::default().folder("").file(at, &"x".repeat(4096));
    for at in ["f", "g"] {
        let error = file(at).end("").into(dir.path(), None).unwrap_err();
        assert!(error.to_string().contains("write"), "{error}");
        assert_eq!(names(dir.path()), ["f"]);
        assert_eq!(fs::read_to_string(dir.path().join("f")).unwrap(), "old");
    }
}

#[test]
fn a_link_takes_the_place_of_a_file_and_of_a_link() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "old").unwrap();
    symlink("/etc/passwd", dir.path().join("l")).unwrap();
    let guest = Guest::default().folder("").link("f", "a").link("l", "b");
    guest.end("").into(dir.path(), None).unwrap();
    for (name, target) in [("f", "a"), ("l", "b")] {
        let is = fs::read_link(dir.path().join(name)).unwrap();
        assert_eq!(is, Path::new(target));
    }
    assert_eq!(names(dir.path()), ["f", "l"]);
}

#[test]
fn a_folder_is_not_replaced_by_what_is_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    let guest = || Guest::default().folder("");
    let file = guest().file("d", "x").end("");
    assert!(file.into(dir.path(), None).is_err());
    let link = guest().link("d", "x").end("");
    assert!(link.into(dir.path(), None).is_err());
    assert!(dir.path().join("d").is_dir());
    assert_eq!(names(dir.path()), ["d"]);
}

#[test]
fn a_device_pipe_or_socket_is_refused_by_name() {
    use rustix::fs::{CWD, FileType, makedev, mknodat};
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let make = |name: &str, kind, dev| mknodat(CWD, at(name), kind, Mode::RUSR, dev);
    make("pipe", FileType::Fifo, 0).unwrap();
    make("socket", FileType::Socket, 0).unwrap();
    // Root alone may make one: the device of /dev/null.
    let device = make("null", FileType::CharacterDevice, makedev(1, 3));
    let all = ["pipe", "socket", "null"];
    let there = if device.is_ok() { &all[..] } else { &all[..2] };
    for name in there {
        let kind = fs::symlink_metadata(at(name)).unwrap().file_type();
        let file = || Guest::default().file("", "x").end("");
        let root_link = Guest::default().link("", "x").end("");
        let in_tree = Guest::default().folder("").file(name, "x").end("");
        let link_in_tree = Guest::default().folder("").link(name, "x").end("");
        for refused in [
            file().into(&at(name), None),
            file().into(dir.path(), Some(name)),
            root_link.into(&at(name), None),
            in_tree.into(dir.path(), None),
            link_in_tree.into(dir.path(), None),
        ] {
            let error = refused.unwrap_err().to_string();
            let named = at(name).display().to_string();
            assert!(
                error.starts_with(&format!("{named} is a device")),
                "{error}"
            );
            assert_eq!(fs::symlink_metadata(at(name)).unwrap().file_type(), kind);
        }
        assert!(!kind.is_file() && (kind.is_fifo() || kind.is_socket() || kind.is_char_device()));
    }
    assert_eq!(names(dir.path()).len(), there.len());
}

#[test]
fn a_link_to_a_device_is_replaced_and_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    symlink("/dev/null", &out).unwrap();
    let file = Guest::default().file("", "new").end("");
    file.into(&out, None).unwrap();
    assert!(fs::symlink_metadata(&out).unwrap().is_file());
}

#[test]
fn modes_honour_the_umask_and_drop_set_id_and_sticky_bits() {
    if !alone_after(
        "umask 027",
        "modes_honour_the_umask_and_drop_set_id_and_sticky_bits",
    ) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::default().folder("");
    for (kind, prefix) in [(EntryKind::Folder, "d"), (EntryKind::File, "f")] {
        for mode in [0, 0o7777, 0o644] {
            guest = guest.entry_of(&format!("{prefix}{mode:o}"), kind, "", mode);
            if kind == EntryKind::File {
                guest = guest.data("x").file_end();
            }
        }
    }
    let out = dir.path().join("out");
    guest.end("").into(&out, None).unwrap();
    let expected = [
        ("d0", 0o700),
        ("d7777", 0o750),
        ("d644", 0o740),
        ("f0", 0),
        ("f7777", 0o750),
        ("f644", 0o640),
    ];
    for (name, expected) in expected {
        let is = mode(&out.join(name));
        assert_eq!(is, expected, "{name}: {is:o}");
    }
}

#[test]
fn folders_can_be_entered_while_and_after_they_are_filled() {
    if !alone_after(
        "umask 777",
        "folders_can_be_entered_while_and_after_they_are_filled",
    ) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let out = dir.path().join("out");
    let guest = Guest::default().entry_of("", EntryKind::Folder, "", 0o577);
    let guest = guest.entry_of("d", EntryKind::Folder, "", 0);
    let look = || assert_eq!((mode(&out), mode(&out.join("d"))), (0o700, 0o700));
    receive(&mut Silent(&guest.0, Some(look)), &out, None).unwrap_err();
    fs::remove_dir_all(&out).unwrap();
    guest.file("d/f", "x").end("").into(&out, None).unwrap();
    look();
    assert_eq!(mode(&out.join("d/f")), 0);
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
