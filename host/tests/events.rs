// SPDX-License-Identifier: Apache-2.0
//! `ampoule events` as people run it: its own folders, pipes and signals.
#![cfg(test)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct User {
    dir: tempfile::TempDir,
}

impl User {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private
            .create(dir.path().join("state/ampoule/events"))
            .unwrap();
        Self { dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state/ampoule/events/events.jsonl")
    }

    fn add(&self, text: &str) {
        let mut options = fs::File::options();
        let mut file = options.create(true).append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn note(&self, n: u64) {
        self.add(&format!(
            "{{\"v\":1,\"n\":{n},\"at_ms\":1,\"kind\":\"note\",\"text\":\"t{n}\"}}\n"
        ));
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ampoule"));
        for name in ["STATE", "CONFIG", "DATA", "CACHE"] {
            let folder = self.dir.path().join(name.to_lowercase());
            command.env(format!("XDG_{name}_HOME"), folder);
        }
        command.env("XDG_RUNTIME_DIR", self.dir.path().join("runtime"));
        command.arg("events").args(words).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }
}

fn ended(child: &mut Child) -> std::process::ExitStatus {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > give_up {
            child.kill().unwrap();
            panic!("it goes on");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn there_is_nothing_to_show_before_anything_happened() {
    assert_eq!(
        User::new().run(&[]),
        (Some(0), String::new(), String::new())
    );
}

#[test]
fn json_is_the_lines_as_they_are_and_the_rest_is_on_stderr() {
    let user = User::new();
    user.note(1);
    user.add("junk\n");
    user.note(2);
    user.add("torn");
    let (code, out, err) = user.run(&["--json"]);
    assert_eq!(code, Some(0));
    let lines: Vec<_> = out.lines().collect();
    let file = fs::read_to_string(user.path()).unwrap();
    let wanted: Vec<_> = file.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(lines, wanted);
    assert!(
        err.contains("line 2 is no event") && err.contains("line 4"),
        "{err}"
    );
    let (_, out, err) = user.run(&["-n", "1"]);
    assert!(
        out.contains("  2       -            t2\n") && out.contains("line 4 is"),
        "{out}"
    );
    assert_eq!((out.lines().count(), err.as_str()), (2, ""));
}

#[test]
fn a_kind_that_is_none_is_one_line_with_the_kinds() {
    let (code, out, err) = User::new().run(&["--kind", "verdict,nope"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        err.contains("'nope'") && err.contains("task-started"),
        "{err}"
    );
    assert_eq!(err.lines().count(), 1, "{err}");
}

#[test]
fn who_follows_sees_what_is_added_until_an_interrupt() {
    let user = User::new();
    user.note(1);
    let mut child = user.command(&["-f", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert!(next().contains("\"t1\""));
    user.add("{\"v\":1,\"n\":2,\"at_ms\":1,");
    std::thread::sleep(Duration::from_millis(300));
    user.add("\"kind\":\"note\",\"text\":\"t2\"}\n");
    assert!(next().contains("\"t2\""));
    fs::rename(user.path(), user.path().with_extension("old")).unwrap();
    user.note(3);
    assert!(next().contains("\"t3\""));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    // A shell makes 130 of it.
    assert_eq!(ended(&mut child).signal(), Some(2));
}

#[test]
fn a_closed_pipe_ends_it_quietly_even_when_nothing_happens() {
    let user = User::new();
    user.note(1);
    let mut child = user.command(&["-f"]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    assert_eq!(ended(&mut child).code(), Some(0));
    let mut err = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut err).unwrap();
    assert_eq!(err, "");
    for n in 2..20_000 {
        user.note(n);
    }
    let mut child = user.command(&[]).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(ended(&mut child).code(), Some(0));
}
