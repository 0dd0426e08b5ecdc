// SPDX-License-Identifier: Apache-2.0
//! The policies in force: theirs, ours, broken ones.

use super::*;
use crate::gate::force::{Force, Key, Shelf};

#[test]
fn a_change_of_the_policies_counts_from_the_next_action_on() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, mut guest) = Rig::with_guest(begin(dir.path()));
    for _ in 0..2 {
        let id = guest.run(1, &["make"]);
        assert!(guest.verdict(id).allow);
        let id = guest.run(1, &["uname"]);
        assert!(guest.verdict(id).allow);
    }
    // What was allowed by its words alone is remembered, and no longer than the policies last.
    policies(&dir, &NO_MAKE.replace("make", "uname"));
    let id = guest.run(1, &["uname"]);
    assert!(!guest.verdict(id).allow);
    policies(&dir, NO_MAKE);
    let id = guest.run(1, &["make"]);
    let verdict = guest.verdict(id);
    assert!(
        verdict.reason.contains("no-make: make is not used here"),
        "{verdict:?}"
    );
    policies(&dir, "forbid (principal, action,");
    let id = guest.run(1, &["true"]);
    let verdict = guest.verdict(id);
    assert!(
        !verdict.allow && verdict.reason.contains("own.cedar"),
        "{verdict:?}"
    );
    policies(&dir, "");
    let id = guest.run(1, &["make"]);
    assert!(guest.verdict(id).allow);
    rig.end();
}

#[test]
fn grants_are_what_the_policies_in_force_allow() {
    let granted = |dir: &TempDir| {
        let (mut rig, _first) = Rig::with_guest(begin(dir.path()));
        let mut guest = rig.guest();
        let grants: Grants = guest.hear(Kind::Grants);
        let _: Hold = guest.hear(Kind::Hold);
        rig.end();
        let path = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        grants
            .programs
            .iter()
            .map(|one| path(&one.path))
            .collect::<Vec<_>>()
    };
    let dir = tempfile::tempdir().unwrap();
    let all = granted(&dir);
    for path in [
        "/usr/bin/gcc",
        "/bin/true",
        "/usr/lib/gcc/x86_64-linux-gnu/12/cc1",
    ] {
        assert!(all.iter().any(|one| one == path), "{path}");
    }
    policies(&dir, NO_MAKE);
    let plain = granted(&dir);
    assert!(plain.iter().any(|one| one == "/bin/true"));
    assert!(!plain.iter().any(|one| one.contains("gcc")), "{plain:?}");
    policies(&dir, &NO_MAKE.replace("make", "true"));
    let fewer = granted(&dir);
    assert!(!fewer.iter().any(|one| one.ends_with("/true")) && !fewer.is_empty());
}

#[test]
fn policies_that_do_not_hold_stop_the_task_before_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    policies(&dir, "permit (");
    let mut rig = Rig::start(begin(dir.path()));
    let told = rig.hear();
    assert!(
        matches!(&told, FromLoop::Refused(why) if why.contains("own.cedar")),
        "{told:?}"
    );
    assert!(rig.try_hear().is_none());
    rig.end();
    // What the agent may write decides nothing.
    let dir = tempfile::tempdir().unwrap();
    let workspace = dir.path().join("w");
    fs::create_dir(&workspace).unwrap();
    let added = workspace.join("own.cedar");
    fs::write(&added, NO_MAKE).unwrap();
    let inside = Begin {
        workspace: Some(workspace),
        policies: vec![added],
        ..begin(dir.path())
    };
    let mut rig = Rig::start(inside);
    let told = rig.hear();
    assert!(
        matches!(&told, FromLoop::Refused(why) if why.contains("workspace")),
        "{told:?}"
    );
    rig.end();
}

#[test]
fn an_ungated_task_is_one_that_the_operator_allows() {
    let dir = tempfile::tempdir().unwrap();
    let ungated = || Begin {
        ungated: true,
        ..begin(dir.path())
    };
    let mut rig = Rig::start(ungated());
    let told = rig.hear();
    assert!(
        matches!(&told, FromLoop::Refused(why) if why.contains("limits.toml")),
        "{told:?}"
    );
    rig.end();
    let folder = Folders::below(dir.path()).config.join("policy");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("limits.toml"), "ungated = true\n").unwrap();
    let mut rig = Rig::start(ungated());
    let told = rig.hear();
    assert!(
        matches!(
            &told,
            FromLoop::Begun {
                gated: false,
                warning: Some(_)
            }
        ),
        "{told:?}"
    );
    // Nobody is asked what is not waited for.
    assert_eq!(rig.root(1, &["rm", "-rf", "/"]).0, Answer::Allow);
    assert!(rig.store().list(&Filter::default()).unwrap().is_empty());
    rig.end();
    let recorded = fs::read_to_string(crate::events::path(&Folders::below(dir.path()))).unwrap();
    assert!(
        recorded.contains("task-started") && recorded.contains("\"gated\":false"),
        "{recorded}"
    );
}

#[test]
fn a_model_that_is_only_read_is_the_same_model() {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::below(dir.path());
    drop(crate::model::Models::open(&folders).unwrap());
    let key = Key {
        folders,
        added: Vec::new(),
        agent: String::new(),
    };
    let shelf = Shelf::default();
    let mut force = Force::new(&shelf, &key, None);
    for _ in 0..3 {
        force.look(&shelf);
    }
    assert_eq!(force.generation, 0);
}
