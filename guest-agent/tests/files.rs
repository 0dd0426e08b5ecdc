// SPDX-License-Identifier: Apache-2.0
//! Copies, from the host's side of the wire.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;

use protocol::messages::{CopyEnd, Entry, EntryKind, ReadFiles, WriteFiles};
use protocol::{Kind, ports, read_frame, write_frame, write_message};
use support::*;
use tempfile::TempDir;

/// One received entry and its bytes.
type Received = (Entry, Vec<u8>);

fn read_tree(host: &mut Host, path: &str) -> (Vec<Received>, String) {
    let id = host.id();
    host.send(
        Kind::ReadFiles,
        &ReadFiles {
            id,
            path: path.into(),
        },
    );
    let mut from = host.attached(ports::FILES, id);
    let mut received: Vec<Received> = Vec::new();
    loop {
        let frame = read_frame(&mut from).unwrap();
        match frame.kind {
            Kind::Entry => received.push((frame.decode(Kind::Entry).unwrap(), Vec::new())),
            Kind::FileData => received.last_mut().unwrap().1.extend(frame.body),
            Kind::FileEnd => {}
            _ => {
                let CopyEnd { error } = frame.decode(Kind::CopyEnd).unwrap();
                return (received, error);
            }
        }
    }
}

fn names(received: &[Received]) -> Vec<String> {
    let name = |entry: &Entry| {
        let parts: Vec<_> = entry
            .path
            .iter()
            .map(|part| String::from_utf8_lossy(part))
            .collect();
        parts.join("/")
    };
    received.iter().map(|(entry, _)| name(entry)).collect()
}

fn write_tree(host: &mut Host, path: &str, send: impl FnOnce(&mut UnixStream)) -> String {
    let id = host.id();
    host.send(
        Kind::WriteFiles,
        &WriteFiles {
            id,
            path: path.into(),
        },
    );
    let mut to = host.attached(ports::FILES, id);
    send(&mut to);
    // The agent may have refused and stopped reading already.
    let _ = write_message(&mut to, Kind::CopyEnd, &CopyEnd::default());
    expect::<CopyEnd>(&mut to, Kind::CopyEnd).error
}

fn entry(path: &[&str], kind: EntryKind, mode: u32) -> Entry {
    Entry {
        path: path.iter().map(|part| part.as_bytes().to_vec()).collect(),
        kind: kind.into(),
        mode,
        mtime_ns: 1_000_000_000_000_000_001,
        ..Entry::default()
    }
}

fn send_entry(to: &mut UnixStream, entry: &Entry) {
    let _ = write_message(to, Kind::Entry, entry);
}

fn send_file(to: &mut UnixStream, path: &[&str], mode: u32, bytes: &[u8]) {
    send_entry(to, &entry(path, EntryKind::File, mode));
    for piece in bytes.chunks(60_000) {
        let _ = write_frame(to, Kind::FileData, piece);
    }
    let _ = write_frame(to, Kind::FileEnd, &[]);
}

/// A folder that the unprivileged user may write, too.
fn open_folder() -> (Host, TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    (Host::with_workspace(folder.path().to_owned()), folder, path)
}

#[test]
fn a_tree_comes_with_folders_first_and_in_order() {
    let (mut host, folder, _) = open_folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("tree/b/c")).unwrap();
    fs::write(at("tree/b/file"), vec![7; 200_000]).unwrap();
    fs::write(at("tree/a"), "").unwrap();
    fs::set_permissions(at("tree/a"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("/etc/passwd", at("tree/z")).unwrap();
    let (received, error) = read_tree(&mut host, "tree");
    assert_eq!(error, "");
    assert_eq!(names(&received), ["", "a", "b", "b/c", "b/file", "z"]);
    let (file, bytes) = &received[4];
    assert_eq!((file.size, bytes.len()), (200_000, 200_000));
    assert_eq!(received[1].0.mode, 0o750);
    let (link, bytes) = &received[5];
    assert_eq!(
        (link.kind(), link.target.as_slice()),
        (EntryKind::Link, &b"/etc/passwd"[..])
    );
    assert!(bytes.is_empty());
}

#[test]
fn a_file_can_be_the_root_and_a_link_is_not_followed() {
    let (mut host, folder, path) = open_folder();
    fs::write(folder.path().join("f"), "x").unwrap();
    symlink("f", folder.path().join("l")).unwrap();
    let (received, _) = read_tree(&mut host, &format!("{path}/f"));
    assert_eq!(
        (received[0].0.kind(), received[0].1.as_slice()),
        (EntryKind::File, &b"x"[..])
    );
    assert!(received[0].0.path.is_empty());
    assert_eq!(read_tree(&mut host, "l").0[0].0.kind(), EntryKind::Link);
}

#[test]
fn a_pipe_is_named_and_never_opened() {
    let (mut host, folder, _) = open_folder();
    let pipe = folder.path().join("p");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    let (received, error) = read_tree(&mut host, "p");
    assert_eq!(
        (received[0].0.kind(), error.as_str()),
        (EntryKind::Special, "")
    );
}

#[test]
fn what_is_not_there_is_an_error_in_words() {
    let (mut host, _folder, path) = open_folder();
    let (received, error) = read_tree(&mut host, "none");
    assert!(received.is_empty());
    assert_eq!(error, format!("{path}/none: no such file or folder"));
}

#[test]
fn files_that_say_they_are_empty_and_are_not_come_whole() {
    let (received, _) = read_tree(&mut Host::start(), "/proc/version");
    assert!(received[0].1.starts_with(b"Linux version"));
}

#[test]
fn a_tree_deeper_than_the_limit_is_refused() {
    let (mut host, folder, _) = open_folder();
    let mut deep = folder.path().join("deep");
    for _ in 0..300 {
        deep.push("d");
    }
    fs::create_dir_all(deep).unwrap();
    assert!(read_tree(&mut host, "deep").1.ends_with("too deep a tree"));
}

#[test]
fn a_written_tree_is_there_with_modes_times_and_owner() {
    let (mut host, folder, _) = open_folder();
    let error = write_tree(&mut host, "new", |to| {
        send_entry(to, &entry(&[], EntryKind::Folder, 0o755));
        send_entry(to, &entry(&["ro"], EntryKind::Folder, 0o555));
        send_file(to, &["ro", "file"], 0o4640, &vec![9; 150_000]);
        let link = Entry {
            target: b"/etc".to_vec(),
            ..entry(&["link"], EntryKind::Link, 0o777)
        };
        send_entry(to, &link);
        send_entry(to, &entry(&["socket"], EntryKind::Special, 0o600));
    });
    assert_eq!(error, "");
    let new = folder.path().join("new");
    let stat = |name: &str| fs::symlink_metadata(new.join(name)).unwrap();
    assert_eq!(fs::read(new.join("ro/file")).unwrap(), vec![9; 150_000]);
    // No setuid bit.
    assert_eq!(stat("ro/file").mode() & 0o7777, 0o640);
    assert_eq!(stat("ro").mode() & 0o7777, 0o555);
    assert_eq!(
        (stat("ro").mtime(), stat("ro/file").mtime()),
        (1_000_000_000, 1_000_000_000)
    );
    assert_eq!(fs::read_link(new.join("link")).unwrap(), Path::new("/etc"));
    assert!(!new.join("socket").exists());
    if am_root() {
        assert_eq!((stat("ro/file").uid(), stat("ro/file").gid()), (1000, 1000));
    }
}

#[test]
fn hostile_names_write_nowhere() {
    for hostile in ["..", ".", "", "a/b", "/etc"] {
        let (mut host, folder, _) = open_folder();
        let error = write_tree(&mut host, "new", |to| {
            send_entry(to, &entry(&[], EntryKind::Folder, 0o755));
            send_file(to, &[hostile, "x"], 0o644, b"bad");
        });
        assert!(error.contains("not a path below"), "{hostile:?}: {error}");
        assert!(!folder.path().join("x").exists());
    }
}

#[test]
fn a_link_in_the_tree_leads_nowhere() {
    let (mut host, folder, _) = open_folder();
    let outside = tempfile::tempdir().unwrap();
    fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let target = outside.path().to_str().unwrap().as_bytes().to_vec();
    let error = write_tree(&mut host, "new", |to| {
        send_entry(to, &entry(&[], EntryKind::Folder, 0o755));
        send_entry(
            to,
            &Entry {
                target,
                ..entry(&["out"], EntryKind::Link, 0o777)
            },
        );
        send_file(to, &["out", "below", "x"], 0o644, b"bad");
    });
    assert_ne!(error, "");
    let error = write_tree(&mut host, "new", |to| {
        send_entry(to, &entry(&[], EntryKind::Folder, 0o755));
        send_entry(to, &entry(&["out"], EntryKind::Folder, 0o755));
        send_file(to, &["out", "x"], 0o644, b"bad");
    });
    assert_ne!(error, "");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    drop(folder);
}

#[test]
fn a_file_in_the_way_is_replaced_and_its_other_name_keeps_its_bytes() {
    let (mut host, folder, _) = open_folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("old"), "old").unwrap();
    fs::hard_link(at("old"), at("other")).unwrap();
    let error = write_tree(&mut host, "old", |to| send_file(to, &[], 0o644, b"new"));
    assert_eq!(error, "");
    assert_eq!(fs::read(at("old")).unwrap(), b"new");
    assert_eq!(fs::read(at("other")).unwrap(), b"old");
}

#[test]
fn a_copy_in_has_the_rights_of_the_unprivileged_user() {
    if !am_root() {
        eprintln!("skipped: having other rights takes root");
        return;
    }
    let (mut host, folder, _) = open_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let error = write_tree(&mut host, "new", |to| send_file(to, &[], 0o644, b"x"));
    assert!(error.contains("ermission denied"), "{error}");
    // And the agent keeps its own.
    assert_eq!(host.run(sh("id -u")).text(), "0\n");
}

#[test]
fn more_copies_than_threads_all_finish() {
    let (mut host, folder, _) = open_folder();
    fs::write(folder.path().join("f"), "x").unwrap();
    let ids: Vec<u32> = (0..40).map(|_| host.id()).collect();
    for id in &ids {
        host.send(
            Kind::ReadFiles,
            &ReadFiles {
                id: *id,
                path: b"f".to_vec(),
            },
        );
    }
    for _ in &ids {
        let mut from = host.attached_any(ports::FILES);
        for kind in [Kind::Entry, Kind::FileData, Kind::FileEnd, Kind::CopyEnd] {
            assert_eq!(read_frame(&mut from).unwrap().kind, kind);
        }
    }
}
