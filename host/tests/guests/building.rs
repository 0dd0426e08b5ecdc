// SPDX-License-Identifier: Apache-2.0
//! Ordinary work under the policies of the first day: a C project is built, a Python package
//! installed and tested, and nobody is asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::harness::{Done, Home};

mod project;

/// The command of a guest with compilers, on a folder. It boots: a template would be made while it
/// works.
fn run<'a>(workspace: &'a Path, argv: &[&'a str]) -> Vec<&'a str> {
    let folder = workspace.to_str().unwrap();
    let guest = "run --cold --image develop --cpus 2 --memory 1G --ttl 30m --on-ask deny";
    let mut line: Vec<&str> = guest.split(' ').collect();
    line.extend(["--workspace", folder, "--"]);
    line.extend(argv);
    line
}

/// What people were asked about, or would have been if there were any.
fn asks(home: &Home) -> Vec<String> {
    let done = home.ampoule(&["events", "--json", "--kind", "asked,verdict"]);
    let lines = done.stdout.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event
    });
    let asked = lines.filter(|event| event["kind"] == "asked" || event["verdict"] != "allow");
    asked.map(|event| event.to_string()).collect()
}

#[test]
fn a_c_project_is_built_and_nobody_is_asked() {
    let Some(home) = Home::judged() else { return };
    let folder = home.path().join("ws");
    let prints = project::write(&folder, 20, 2).unwrap();
    let done = home.ampoule(&run(&folder, &["make", "-j2"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        done.stdout.lines().last(),
        Some(&*prints.to_string()),
        "{done:?}"
    );
    let asks = asks(&home);
    assert!(asks.is_empty(), "{asks:#?}");
    home.assert_nothing_left();
}

/// Where this test's own files are.
fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/building")
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-r").args([from, to]).status();
    assert!(done.unwrap().success(), "{}", from.display());
}

/// The wheels that the package needs: those of the image that build packages, and its dependency's,
/// built with them in a guest.
fn wheels(to: &Path) {
    let home = Home::new().unwrap();
    let folder = home.path().join("ws");
    copy(&files().join("tally"), &folder);
    let script = "cd /tmp && cp -r /workspace tally && cp /usr/share/python-wheels/*.whl . && \
                  pip wheel -q --no-index --find-links . --no-deps -w . ./tally >&2 && \
                  tar c *.whl";
    let mut task = home.piped(&run(&folder, &["sh", "-c", script]));
    let tar = task.stdout.take().unwrap();
    let mut unpack = Command::new("tar");
    unpack.arg("xC").arg(to).stdin(Stdio::from(tar));
    assert!(unpack.status().unwrap().success());
    let done: Done = task.wait_with_output().unwrap().into();
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn a_python_package_is_installed_and_tested_and_nobody_is_asked() {
    let Some(home) = Home::judged() else { return };
    let folder = home.path().join("ws");
    copy(&files().join("package"), &folder);
    fs::create_dir(folder.join("wheels")).unwrap();
    wheels(&folder.join("wheels"));
    let script = "pip install --no-index --find-links wheels -e . && pytest";
    let done = home.ampoule(&run(&folder, &["sh", "-c", script]));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("4 passed"), "{done:?}");
    let asks = asks(&home);
    assert!(asks.is_empty(), "{asks:#?}");
    home.assert_nothing_left();
}
