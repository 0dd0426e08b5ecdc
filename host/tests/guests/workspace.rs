// SPDX-License-Identifier: Apache-2.0
//! The workspace: seen whole in the guest, untouched on the host.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use super::harness::{Done, Home};

fn sample(home: &Home) -> PathBuf {
    let dir = home.path().join("project");
    fs::create_dir_all(dir.join("sub/deep")).unwrap();
    fs::write(dir.join("a.txt"), "alpha\n").unwrap();
    fs::write(dir.join("sub/deep/b.bin"), vec![0xa5; 10_000]).unwrap();
    symlink("a.txt", dir.join("link")).unwrap();
    dir
}

/// Everything a task could have changed: kind, mode, times, bytes.
fn state(dir: &Path) -> BTreeMap<PathBuf, (u32, i64, i64, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let bytes = if meta.is_file() {
                fs::read(&path).unwrap()
            } else {
                Vec::new()
            };
            if meta.is_dir() {
                folders.push(path.clone());
            }
            all.insert(path, (meta.mode(), meta.mtime(), meta.mtime_nsec(), bytes));
        }
    }
    all
}

/// Runs a command over the folder.
fn in_workspace(home: &Home, dir: &Path, command: &[&str]) -> Done {
    let run = ["run", "--workspace", dir.to_str().unwrap(), "--"];
    home.ampoule(&[&run[..], command].concat())
}

#[test]
fn the_guest_sees_the_folder_and_starts_in_it() {
    let Some(home) = Home::new() else { return };
    let dir = sample(&home);
    let script = "pwd; cat a.txt link; wc -c < sub/deep/b.bin; stat -c %u a.txt";
    let done = in_workspace(&home, &dir, &["sh", "-c", script]);
    assert_eq!(
        done.stdout, "/workspace\nalpha\nalpha\n10000\n1000\n",
        "{done:?}"
    );
}

#[test]
fn whatever_the_task_does_the_folder_is_as_before() {
    let Some(home) = Home::new() else { return };
    let dir = sample(&home);
    let before = state(&dir);
    let script = "echo x >> a.txt && rm -r sub && mv link moved && mkdir new && ls";
    let done = in_workspace(&home, &dir, &["sh", "-c", script]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(0), "a.txt\nmoved\nnew\n"),
        "{done:?}"
    );
    assert_eq!(before, state(&dir));
}

#[test]
fn a_change_on_the_host_is_seen_by_the_next_task() {
    let Some(home) = Home::new() else { return };
    let dir = sample(&home);
    let read = || in_workspace(&home, &dir, &["cat", "a.txt"]).stdout;
    assert_eq!(read(), "alpha\n");
    fs::write(dir.join("a.txt"), "omega\n").unwrap();
    assert_eq!(read(), "omega\n");
}

#[test]
fn two_tasks_of_one_folder_do_not_see_each_other() {
    let Some(home) = Home::new() else { return };
    let dir = sample(&home);
    in_workspace(&home, &dir, &["touch", "mine"]);
    let done = in_workspace(&home, &dir, &["ls", "mine"]);
    assert_ne!(done.code, Some(0), "{done:?}");
}
