// SPDX-License-Identifier: Apache-2.0

use std::fs;

use super::*;
use crate::events::{Event, Events as Record};

struct User {
    folders: Folders,
    _dir: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        Self { folders, _dir: dir }
    }

    fn note(&self, task: &str, text: &str) {
        let event = Event {
            task: Some(task.to_owned()),
            root: None,
            what: What::Note {
                text: text.to_owned(),
            },
        };
        Record::open(&self.folders).unwrap().seal(event).unwrap();
    }

    fn spoil(&self, text: &str) {
        let path = events::path(&self.folders);
        let mut file = fs::File::options().append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// The ends of the lines that are shown.
    fn shown(&self, filter: &mut Filter, last: Option<usize>, json: bool) -> Vec<String> {
        let path = events::path(&self.folders);
        let mut reader = Reader::open(&path);
        if let Some(last) = last {
            go_to_last(&mut reader, filter, last).unwrap();
        }
        let out = BufWriter::new(Vec::new());
        let mut view = View {
            out,
            json,
            path: &path,
        };
        let whole = read(&mut reader, 2, |line| view.show(line, filter)).unwrap();
        assert!(whole);
        let text = String::from_utf8(view.out.into_inner().unwrap()).unwrap();
        let last = |line: &str| line.rsplit(' ').next().unwrap_or_default().to_owned();
        text.lines().map(last).collect()
    }
}

fn filter() -> Filter {
    Filter {
        task: None,
        kinds: Vec::new(),
        since: None,
        recent: true,
        is_over: false,
    }
}

#[test]
fn a_kind_that_is_none_is_told_with_all_there_are() {
    assert_eq!(kind("verdict").unwrap(), "verdict");
    let error = kind("verdicts").unwrap_err().to_string();
    assert!(
        error.contains("'verdicts'") && error.contains("task-started, task-ended"),
        "{error}"
    );
}

#[test]
fn lines_are_chosen_by_task_kind_and_time_and_others_never_hidden() {
    let user = User::new();
    user.note("aaaaaaaa", "one");
    user.note("bbbbbbbb", "two");
    user.spoil("junk\n{\"v\":2,\"n\":3,\"task\":\"cccccccc\"}\n");
    user.spoil("{\"v\":1,\"n\":4,\"at_ms\":1,\"kind\":\"gap\",\"lost\":1,\"why\":\"old\"}\n");
    assert_eq!(
        user.shown(&mut filter(), None, false),
        ["one", "two", "junk", "it", "old"]
    );
    let task = Filter {
        task: Some("aaaaaaaa".to_owned()),
        ..filter()
    };
    assert_eq!(
        user.shown(&mut { task }, None, false),
        ["one", "junk", "it"]
    );
    let kinds = Filter {
        kinds: vec!["gap".to_owned()],
        ..filter()
    };
    assert_eq!(
        user.shown(&mut { kinds }, None, false),
        ["junk", "it", "old"]
    );
    let since = Filter {
        since: Some(1000),
        recent: false,
        ..filter()
    };
    assert_eq!(
        user.shown(&mut { since }, None, false),
        ["one", "two", "junk", "it"]
    );
    // As JSON, what is no JSON is not on stdout.
    assert_eq!(user.shown(&mut filter(), None, true).len(), 4);
}

#[test]
fn the_last_are_the_last_of_those_asked_for() {
    let user = User::new();
    for n in 0..5 {
        user.note("aaaaaaaa", &format!("a{n}"));
        user.note("bbbbbbbb", &format!("b{n}"));
    }
    let task = || Filter {
        task: Some("aaaaaaaa".to_owned()),
        ..filter()
    };
    assert_eq!(user.shown(&mut task(), Some(2), false), ["a3", "a4"]);
    assert_eq!(user.shown(&mut filter(), Some(1), false), ["b4"]);
    assert_eq!(user.shown(&mut task(), Some(0), false), [""; 0]);
    assert_eq!(user.shown(&mut task(), Some(9), false).len(), 5);
}

#[test]
fn a_task_is_known_by_its_events_when_its_record_is_gone() {
    let user = User::new();
    for task in ["7k3m9x2p", "7kz00000", "abcd0000"] {
        user.note(task, "x");
    }
    let path = events::path(&user.folders);
    let find = |prefix| find(&user.folders, &path, prefix);
    assert_eq!(find("7K3").unwrap(), "7k3m9x2p");
    let error = find("7k").unwrap_err().to_string();
    assert!(error.contains("7k3m9x2p, 7kz00000"), "{error}");
    let error = find("zz").unwrap_err().to_string();
    assert!(error.contains("there is no task zz"), "{error}");
    assert!(
        find("../x")
            .unwrap_err()
            .to_string()
            .contains("is not a task")
    );
}
