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

use host::folders::Folders;
use host::store::Store;
use host::supervise::locks;
use host::task::{End, Outcome};
use serde_json::json;

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

    /// A task that has a supervisor for as long as what is returned is kept.
    fn runs(&self, id: &str) -> (Store, fs::File) {
        let below = |name: &str| self.dir.path().join(name).join("ampoule");
        let folders = Folders {
            data: below("data"),
            state: below("state"),
            cache: below("cache"),
            runtime: below("runtime"),
            config: below("config"),
        };
        let spec = json!({
            "image": "base", "argv": [], "env": [], "terminal": false, "detached": true,
            "resources": {"memory_mib": 64, "cpus": 1, "scratch_bytes": 1},
            "ttl_ms": 600_000, "grace_ms": 0, "debug_console": false,
        });
        let spec = serde_json::from_value(spec).unwrap();
        let runtime = self.dir.path().join(id);
        fs::create_dir(&runtime).unwrap();
        let store = Store::open(&folders).unwrap();
        store.insert(&id.parse().unwrap(), &spec, &runtime).unwrap();
        (store, locks::take(&runtime, locks::SUPERVISOR).unwrap())
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

#[test]
fn who_follows_a_task_sees_it_to_its_end_and_no_longer() {
    let user = User::new();
    let event = |n: u64, task: &str, rest: &str| {
        user.add(&format!(
            "{{\"v\":1,\"n\":{n},\"at_ms\":1,\"task\":\"{task}\",{rest}}}\n"
        ));
    };
    let (note, end) = (
        "\"kind\":\"note\",\"text\":\"x\"",
        "\"kind\":\"task-ended\",\"code\":0,\"reason\":\"exited\"",
    );
    let _supervisor = user.runs("aaaaaaaa");
    event(1, "aaaaaaaa", note);
    let follow = |words: &[&str]| {
        let mut command = user.command(&["-f", "aaaa"]);
        let mut child = command.args(words).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines)
    };
    let (mut all, mut lines) = follow(&[]);
    let (mut some, some_lines) = follow(&["--kind", "note"]);
    assert!(lines.next().unwrap().unwrap().contains("aaaaaaaa"));
    // Another's end is not its own.
    event(2, "bbbbbbbb", end);
    std::thread::sleep(Duration::from_millis(300));
    assert!(all.try_wait().unwrap().is_none());
    event(3, "aaaaaaaa", end);
    event(4, "bbbbbbbb", note);
    assert_eq!(ended(&mut all).code(), Some(0));
    assert_eq!(ended(&mut some).code(), Some(0));
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(rest.len() == 1 && rest[0].contains("exited"), "{rest:?}");
    assert_eq!(some_lines.count(), 1);
    // One that has ended already.
    for (words, shown) in [(&[][..], 2), (&["-n", "1"], 1), (&["-n", "0"], 0)] {
        let (mut child, lines) = follow(words);
        assert_eq!(ended(&mut child).code(), Some(0), "{words:?}");
        assert_eq!(lines.count(), shown, "{words:?}");
    }
}

#[test]
fn who_follows_a_task_whose_end_was_never_recorded_is_not_kept() {
    let user = User::new();
    for (n, task) in [(1, "aaaaaaaa"), (2, "bbbbbbbb")] {
        user.add(&format!(
            "{{\"v\":1,\"n\":{n},\"at_ms\":1,\"task\":\"{task}\",\"kind\":\"note\",\"text\":\"x\"}}\n"
        ));
    }
    let (store, _supervisor) = user.runs("aaaaaaaa");
    let mut child = user.command(&["-f", "aaaa"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("aaaaaaaa"));
    let outcome = Outcome::new(0, End::exited());
    store
        .finish(&"aaaaaaaa".parse().unwrap(), &outcome)
        .unwrap();
    assert_eq!(ended(&mut child).code(), Some(0));
    assert!(lines.next().is_none());
    // What the store had of this one was removed.
    let mut child = user.command(&["-f", "bbbb"]).spawn().unwrap();
    assert_eq!(ended(&mut child).code(), Some(0));
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.count(), 1);
}
