// SPDX-License-Identifier: Apache-2.0
//! The store, on files of its own.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::task::{End, Exit, Kind, Outcome, Spec, TaskId};

fn spec() -> Spec {
    Spec {
        argv: vec!["true".into()],
        detached: false,
        ..sample::task(None).spec
    }
}

fn insert(store: &Store, id: &str) -> TaskId {
    let id: TaskId = id.parse().unwrap();
    store.insert(&id, &spec(), Path::new("/r/x")).unwrap();
    id
}

#[test]
fn a_task_is_recorded_from_start_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Folders::below(dir.path())).unwrap();
    let id = insert(&store, "0000aaaa");
    assert_eq!(store.find("0000").unwrap().state, State::Starting);
    let process = Process {
        vmm_pid: 7,
        ..Process::default()
    };
    store.running(&id, &process).unwrap();
    let running = store.find("0").unwrap();
    assert_eq!(
        (running.state, running.process),
        (State::Running, Some(process))
    );
    assert_eq!(running.deadline_ms - running.created_ms, 603_000);
    let outcome = Outcome {
        exit: Some(Exit::Code(3)),
        ..Outcome::new(3, End::exited())
    };
    store.finish(&id, &outcome).unwrap();
    store
        .finish(&id, &Outcome::new(125, End::new(Kind::VmmKilled, "late")))
        .unwrap();
    assert_eq!(
        store.find("0").unwrap().outcome,
        Some(outcome),
        "the first end stands"
    );
    assert!(store.alive().unwrap().is_empty());
}

#[test]
fn a_prefix_of_two_tasks_names_both() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Folders::below(dir.path())).unwrap();
    insert(&store, "0000aaaa");
    insert(&store, "0000bbbb");
    let error = store.find("0000").unwrap_err().to_string();
    assert!(
        error.contains("0000aaaa") && error.contains("0000bbbb"),
        "{error}"
    );
    assert_eq!(store.find("0000b").unwrap().id.as_str(), "0000bbbb");
    assert!(matches!(store.find("zz"), Err(StoreError::Unknown(_))));
}

#[test]
fn only_ended_tasks_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Folders::below(dir.path())).unwrap();
    let id = insert(&store, "0000aaaa");
    assert!(!store.remove(id.as_str()).unwrap());
    store.finish(&id, &Outcome::new(0, End::exited())).unwrap();
    assert!(
        store
            .older_than(Duration::from_secs(60))
            .unwrap()
            .is_empty()
    );
    std::thread::sleep(Duration::from_millis(5));
    assert_eq!(store.older_than(Duration::ZERO).unwrap(), [id.as_str()]);
    assert!(store.remove(id.as_str()).unwrap());
    assert_eq!(store.has_ended(id.as_str()).unwrap(), None);
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::below(dir.path());
    drop(Store::open(&folders).unwrap());
    let path = folders.state.join("ampoule.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&9999u32.to_be_bytes()); // SQLite file format 1.3: user_version
    std::fs::write(&path, &bytes).unwrap();
    let error = Store::open(&folders).unwrap_err().to_string();
    assert!(error.contains("newer"), "{error}");
}

#[test]
fn many_processes_make_and_use_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::below(dir.path());
    std::thread::scope(|scope| {
        for n in 0..16 {
            let folders = &folders;
            scope.spawn(move || {
                let store = Store::open(folders).unwrap();
                let id = insert(&store, &format!("{n:08}"));
                store.finish(&id, &Outcome::new(0, End::exited())).unwrap();
            });
        }
    });
    assert_eq!(Store::open(&folders).unwrap().all().unwrap().len(), 16);
}

#[test]
fn a_file_that_is_no_store_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::below(dir.path());
    crate::folders::make_private(&folders.state).unwrap();
    std::fs::write(folders.state.join("ampoule.db"), [7; 4096]).unwrap();
    let error = Store::open(&folders).unwrap_err().to_string();
    assert!(error.contains("ampoule.db"), "{error}");
}

#[test]
fn its_folder_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::below(dir.path());
    Store::open(&folders).unwrap();
    let mode = std::fs::metadata(&folders.state)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Three recorded tasks, the middle one with `change` made to its row.
fn with_damage(dir: &Path, change: &str) -> Store {
    let store = Store::open(&Folders::below(dir)).unwrap();
    for id in ["0000aaaa", "0000bbbb", "0000cccc"] {
        insert(&store, id);
    }
    let sql = format!("UPDATE tasks SET {change} WHERE id = '0000bbbb'");
    store.db.execute(&sql, []).unwrap();
    store
}

#[test]
fn a_damaged_row_is_left_out_of_lists() {
    for change in [
        "spec = '{'",
        "spec = x'ff'",
        "process = '7'",
        "outcome = '{}'",
        "state = 'paused'",
        "state = x'00'",
        "created_ms = 'yesterday'",
        "runtime = 7",
        "id = '../x'",
        "id = '0000BBBB'",
        "id = x'ff'",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = with_damage(dir.path(), change);
        let ids = |tasks: Vec<Task>| -> Vec<String> {
            let mut ids: Vec<_> = tasks.into_iter().map(|task| task.id.into()).collect();
            ids.sort();
            ids
        };
        for list in [store.all(), store.alive()] {
            assert_eq!(ids(list.unwrap()), ["0000aaaa", "0000cccc"], "{change}");
        }
        assert_eq!(store.find("0000c").unwrap().id.as_str(), "0000cccc");
    }
}

#[test]
fn a_row_of_unknown_state_is_a_damaged_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_damage(dir.path(), "state = 'paused'");
    let error = crate::cli::chain(&store.find("0000b").unwrap_err());
    assert!(
        error.contains("`ampoule rm 0000bbbb`") && error.contains("'paused'"),
        "{error}"
    );
}

#[test]
fn two_tasks_are_named_even_when_one_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = with_damage(dir.path(), "spec = '{'");
    let found = store.find("0000");
    assert!(
        matches!(&found, Err(StoreError::Ambiguous { ids, .. }) if ids.len() == 3),
        "{found:?}"
    );
}

#[test]
fn what_is_no_id_is_not_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let ended = "state = 'ended', ended_ms = 1, created_ms = 1";
    for id in ["'..'", "''", "x'ff'"] {
        let store = with_damage(dir.path(), &format!("{ended}, id = {id}"));
        assert!(store.older_than(Duration::ZERO).unwrap().is_empty());
        store.db.execute("DELETE FROM tasks", []).unwrap();
    }
    let store = with_damage(dir.path(), &format!("{ended}, spec = '{{'"));
    assert_eq!(store.older_than(Duration::ZERO).unwrap(), ["0000bbbb"]);
}
