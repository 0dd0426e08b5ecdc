// SPDX-License-Identifier: Apache-2.0
//! `ampoule cp`.

use std::fs;

use super::harness::{Home, PATIENCE, eventually};

fn task_with(home: &Home, script: &str) -> String {
    let task = home.detach(&[
        "--",
        "sh",
        "-c",
        &format!("{script}; echo made; sleep 1000"),
    ]);
    eventually("the files are made", PATIENCE, || {
        home.ampoule(&["logs", &task]).stdout.contains("made")
    });
    task
}

#[test]
fn a_tree_comes_out_of_a_running_guest() {
    let Some(home) = Home::new() else { return };
    let task = task_with(
        &home,
        "mkdir -p t/d; seq 100000 > t/d/n; chmod 750 t/d; ln -s d/n t/l",
    );
    let to = home.path().join("out");
    let done = home.ampoule(&["cp", &format!("{task}:t"), to.to_str().unwrap()]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let numbers: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(fs::read_to_string(to.join("d/n")).unwrap(), numbers);
    assert_eq!(fs::read_link(to.join("l")).unwrap().to_str(), Some("d/n"));
    home.ampoule(&["kill", &task]);
}

#[test]
fn what_leads_out_of_the_copy_is_not_made() {
    let Some(home) = Home::new() else { return };
    let task = task_with(
        &home,
        "mkdir t; ln -s /etc/passwd t/abs; ln -s ../../x t/up; mkfifo t/p; echo ok > t/f",
    );
    let to = home.path().join("out");
    let done = home.ampoule(&["cp", &format!("{task}:t"), to.to_str().unwrap()]);
    assert_eq!(
        fs::read_to_string(to.join("f")).unwrap(),
        "ok\n",
        "{done:?}"
    );
    let names: Vec<_> = fs::read_dir(&to)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names, ["f"], "{done:?}");
    for left_out in ["abs", "up", "p"] {
        assert!(done.stderr.contains(left_out), "{done:?}");
    }
    home.ampoule(&["kill", &task]);
}

#[test]
fn a_missing_path_is_named_and_nothing_is_made() {
    let Some(home) = Home::new() else { return };
    let task = task_with(&home, "true");
    let to = home.path().join("out");
    let done = home.ampoule(&["cp", &format!("{task}:/no/such"), to.to_str().unwrap()]);
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("/no/such"), "{done:?}");
    assert!(!to.exists());
    let done = home.ampoule(&["cp", &format!("{task}:/dev/zero"), to.to_str().unwrap()]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(!to.exists());
    home.ampoule(&["kill", &task]);
}
