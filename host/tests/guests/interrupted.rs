// SPDX-License-Identifier: Apache-2.0
//! Whoever waits for a person can leave, whoever started a task in the background has its id, and
//! a plan that waits can be seen and ended.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use super::gated::{asked, decide, end, in_order, nobody_is_asked, record, workspace};
use super::harness::{Done, Home, PATIENCE, binary, eventually, signal};
use super::plans;

/// What a person is asked about before it runs.
const ASKS: [&str; 3] = ["git", "push", "--force"];

/// Ctrl-C, as a terminal sends it.
const CTRL_C: &[u8] = b"\x03";

fn exec(home: &Home, task: &str) -> Child {
    home.piped(&[&["exec", task, "--"], &ASKS[..]].concat())
}

#[test]
fn a_signal_ends_an_exec_that_waits_with_its_question_and_not_the_task() {
    let Some(home) = Home::judged() else { return };
    let task = home.detach(&["--", "sleep", "1000"]);
    for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let client = exec(&home, &task);
        let id = asked(&home);
        signal(client.id(), sent);
        let done = end(client);
        assert_eq!(done.code, Some(code), "{done:?}");
        let says = format!(
            "interrupted by signal {} before the command ran",
            code - 128
        );
        assert!(done.stderr.contains(&says), "{done:?}");
        nobody_is_asked(&home);
        let late = home.ampoule(&["approvals", "approve", &id]);
        assert!(late.stderr.contains("withdrawn"), "{late:?}");
    }
    // One that says nothing any more wants no answer either.
    let client = exec(&home, &task);
    asked(&home);
    signal(client.id(), Signal::KILL);
    end(client);
    nobody_is_asked(&home);
    // The task lives on, and a command that runs gets its signals as ever.
    let done = home.ampoule(&["exec", &task, "--", "echo", "beside"]);
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(0), "beside\n"),
        "{done:?}"
    );
    let script = "trap 'exit 7' TERM; echo up; while :; do sleep 0.1; done";
    let mut client = home.piped(&["exec", &task, "--", "sh", "-c", script]);
    super::harness::read_until(client.stdout.as_mut().unwrap(), "up\n");
    signal(client.id(), Signal::TERM);
    assert_eq!(end(client).code, Some(7));
    home.ampoule(&["kill", &task]);
    home.assert_nothing_left();
}

/// A command that has a terminal for its own, as a shell gives it one.
struct OnTerminal {
    child: Child,
    terminal: File,
}

impl OnTerminal {
    fn start(home: &Home, words: &[&str]) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let name = name.into_string().unwrap();
        // It is to be the command's, and not that of whoever runs the tests.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = || Stdio::from(rustix::fs::open(&name, flags, Mode::empty()).unwrap());
        // Keys become signals only for the foreground of the terminal that controls it.
        let mut command = Command::new("setsid");
        command.arg("-c").arg(binary("ampoule")).args(words);
        for (name, value) in home.command(&[]).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.stdin(open()).stdout(open()).stderr(open());
        Self {
            child: command.spawn().unwrap(),
            terminal: File::from(controller),
        }
    }

    fn press(&mut self, keys: &[u8]) {
        self.terminal.write_all(keys).unwrap();
    }

    /// Reads until a text and the end of its line were seen.
    fn line(&mut self, text: &str) -> String {
        let mut seen = String::new();
        let mut bytes = [0; 4096];
        let whole = |seen: &str| {
            let at = seen.find(text)?;
            Some(at + seen.get(at..)?.find('\n')?)
        };
        loop {
            if let Some(end) = whole(&seen) {
                return seen[..=end].to_owned();
            }
            match self.terminal.read(&mut bytes) {
                Ok(n) if n > 0 => seen.push_str(&String::from_utf8_lossy(&bytes[..n])),
                _ => panic!("ended before {text:?}: {seen:?}"),
            }
        }
    }

    fn code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Whether what it left behind shows what is typed.
    fn echoes(&self) -> bool {
        let now = rustix::termios::tcgetattr(self.terminal.as_fd()).unwrap();
        now.local_modes.contains(rustix::termios::LocalModes::ECHO)
    }
}

#[test]
fn ctrl_c_leaves_a_command_with_a_terminal_while_its_first_question_is_open() {
    let Some(home) = Home::judged() else { return };
    let mut run = OnTerminal::start(&home, &[&["run", "-t", "--"], &ASKS[..]].concat());
    asked(&home);
    run.line("approvals show");
    run.press(CTRL_C);
    run.line("interrupted by signal 2 before the command ran");
    assert!(run.echoes());
    assert_eq!(run.code(), Some(130));
    nobody_is_asked(&home);
    home.assert_nothing_left();

    let task = home.detach(&["--", "sleep", "1000"]);
    let words = ["exec", "-t", &task, "--"];
    let mut client = OnTerminal::start(&home, &[&words, &ASKS[..]].concat());
    asked(&home);
    client.line("approvals show");
    client.press(CTRL_C);
    client.line("interrupted by signal 2 before the command ran");
    assert_eq!(client.code(), Some(130));
    nobody_is_asked(&home);
    home.ampoule(&["kill", &task]);
    home.assert_nothing_left();
}

#[test]
fn a_question_of_a_command_with_a_terminal_is_a_line_that_goes_back_to_the_left() {
    let Some(home) = Home::judged() else { return };
    let mut run = OnTerminal::start(&home, &["run", "-t", "--image", "python", "--", "sh"]);
    run.press(b"echo it is $((1 + 1)); git push --force; echo it ended with $?\r");
    let shown = run.line("approvals show");
    assert!(shown.contains("it is 2"), "{shown:?}");
    assert!(shown.ends_with("\r\n"), "{shown:?}");
    // The command's own terminal has its Ctrl-C.
    run.press(CTRL_C);
    nobody_is_asked(&home);
    run.press(b"exit 9\r");
    assert_eq!(run.code(), Some(9));
    home.assert_nothing_left();
}

#[test]
fn a_task_in_the_background_that_waits_has_its_id_at_once() {
    let Some(home) = Home::judged() else { return };
    let words = [&["run", "-d", "--"], &ASKS[..]].concat();
    let done = home.ampoule(&words);
    assert_eq!(done.code, Some(0), "{done:?}");
    let task = done.stdout.trim().to_owned();
    let id = asked(&home);
    let says = format!("{task} waits for a person: git push --force — ampoule approvals show {id}");
    assert!(done.stderr.contains(&says), "{done:?}");
    decide(&home, "deny", &id);
    let ended = home.ampoule(&["wait", &task]);
    assert_eq!(ended.code, Some(125), "{ended:?}");
    assert!(ended.stderr.contains("a person said no"), "{ended:?}");
    assert_eq!(home.inspect(&task)["end"]["reason"], "refused");
    in_order(
        &record(&home),
        &[json!({ "kind": "task-ended", "code": 125, "reason": "refused" })],
    );
    // One that is not asked about is answered when it runs, as before.
    let task = home.detach(&["--", "sh", "-c", "exit 3"]);
    assert_eq!(home.ampoule(&["wait", &task]).code, Some(3));
    home.assert_nothing_left();
}

/// A plan that people are asked about; its task, what it was started by, and the approval.
fn plan(home: &Home) -> (String, Child, String) {
    let steps = json!([{ "exec": ["ls"] }, { "exec": ASKS }]);
    let child = plans::start(home, &workspace(home), &steps);
    let id = asked(home);
    (home.tasks().remove(0), child, id)
}

#[test]
fn a_plan_that_waits_is_seen_and_what_needs_a_guest_says_for_whom_it_waits() {
    let Some(home) = Home::judged() else { return };
    let (task, child, id) = plan(&home);
    let held = home.ampoule(&["posture", &task]);
    assert_eq!(held.stdout, format!("{task}: normal\n"), "{held:?}");
    let listed = home.ampoule(&["ps"]).stdout;
    let line = listed.lines().find(|line| line.starts_with(&task)).unwrap();
    for shown in ["starting, waits", "plan of 2 steps: begin again"] {
        assert!(line.contains(shown), "{listed}");
    }
    assert_eq!(home.inspect(&task)["waiting"], json!([id]));
    for (words, code) in [
        (vec!["exec", &task, "--", "ls"], 125),
        (vec!["posture", &task, "paused"], 1),
        (vec!["fork", &task], 1),
    ] {
        let done = home.ampoule(&words);
        assert_eq!(done.code, Some(code), "{done:?}");
        let says = format!("ampoule approvals show {id}");
        assert!(done.stderr.contains(&says), "{done:?}");
        assert_eq!(done.stderr.lines().count(), 1, "{done:?}");
    }
    decide(&home, "approve", &id);
    let done = end(child);
    assert!(done.stdout.contains("kept.txt"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn a_plan_that_waits_is_ended_by_kill_stop_and_posture_and_its_question_with_it() {
    let Some(home) = Home::judged() else { return };
    for (words, reason) in [
        (vec!["kill"], "killed"),
        (vec!["stop"], "stopped"),
        (vec!["posture"], "posture"),
    ] {
        let (task, child, _) = plan(&home);
        let ended = (words[0] == "posture").then_some("ended");
        let words: Vec<&str> = words
            .into_iter()
            .chain([task.as_str()])
            .chain(ended)
            .collect();
        let done: Done = home.ampoule(&words);
        assert_eq!(done.code, Some(0), "{done:?}");
        let done = end(child);
        assert_eq!(done.code, Some(137), "{done:?}");
        nobody_is_asked(&home);
        let recorded = || home.inspect(&task)["end"]["reason"] == reason;
        eventually("its end is recorded", PATIENCE, recorded);
        let ended = json!({ "kind": "task-ended", "task": task, "code": 137, "reason": reason });
        in_order(&record(&home), &[ended]);
        home.assert_nothing_left();
    }
}
