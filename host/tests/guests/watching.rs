// SPDX-License-Identifier: Apache-2.0
//! `ampoule watch` beside tasks that ask, on a terminal, with keys.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;

use super::gated::{end, in_order, record, start, workspace};
use super::harness::{Home, PATIENCE};

const ROWS: u16 = 40;
const COLUMNS: u16 = 120;

/// What a terminal shows of what is written to it, as far as `watch` needs one.
struct Shown {
    cells: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Shown {
    fn new() -> Self {
        Self {
            cells: vec![vec![' '; COLUMNS.into()]; ROWS.into()],
            row: 0,
            column: 0,
        }
    }

    fn take(&mut self, text: &str) {
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            match c {
                '\u{1b}' => {
                    if chars.next() != Some('[') {
                        continue;
                    }
                    let mut words = String::new();
                    let last = loop {
                        match chars.next() {
                            Some(c) if c.is_ascii_alphabetic() => break c,
                            Some(c) => words.push(c),
                            None => return,
                        }
                    };
                    self.command(last, &words);
                }
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                c if c.is_control() => {}
                c => {
                    let cell = self.cells.get_mut(self.row);
                    if let Some(cell) = cell.and_then(|row| row.get_mut(self.column)) {
                        *cell = c;
                    }
                    self.column += 1;
                }
            }
        }
    }

    fn command(&mut self, command: char, words: &str) {
        let mut numbers = words.split(';').map(|word| word.parse().unwrap_or(1));
        match command {
            'H' => {
                self.row = numbers.next().unwrap_or(1).max(1) - 1;
                self.column = numbers.next().unwrap_or(1_usize).max(1) - 1;
            }
            'J' => *self = Self::new(),
            'h' | 'l' | 'm' => {}
            other => panic!("the terminal knows no {other} ({words})"),
        }
    }

    fn text(&self) -> String {
        let rows = self.cells.iter();
        let rows = rows.map(|row| row.iter().collect::<String>().trim_end().to_owned());
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// `ampoule watch` with somebody before it.
struct Watch {
    child: Child,
    terminal: File,
    said: Receiver<Vec<u8>>,
    rest: Vec<u8>,
    shown: Shown,
}

impl Watch {
    fn start(home: &Home) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let name = ptsname(&controller, Vec::new()).unwrap();
        let name = name.into_string().unwrap();
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&controller, size).unwrap();
        let open = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        let mut command = home.command(&["watch"]);
        command.env("TERM", "xterm");
        command.stdin(open()).stdout(open()).stderr(open());
        let child = command.spawn().unwrap();
        drop(command);
        let terminal = File::from(controller);
        let mut reader = terminal.try_clone().unwrap();
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            terminal,
            said,
            rest: Vec::new(),
            shown: Shown::new(),
        }
    }

    /// Reads for a while.
    fn read(&mut self, while_: Duration) {
        if let Ok(bytes) = self.said.recv_timeout(while_) {
            self.rest.extend(bytes);
            self.rest.extend(self.said.try_iter().flatten());
        }
        // A command or a letter that is cut comes whole with the next.
        let text = String::from_utf8_lossy(&self.rest).into_owned();
        let whole = match text.rfind('\u{1b}') {
            Some(at) if !text[at..].chars().skip(2).any(|c| c.is_ascii_alphabetic()) => at,
            _ => text.trim_end_matches('\u{fffd}').len(),
        };
        let whole = text.get(..whole).unwrap_or_default();
        self.shown.take(whole);
        self.rest.drain(..whole.len());
    }

    /// Waits until the screen has this.
    #[track_caller]
    fn until(&mut self, wanted: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let text = self.shown.text();
            if text.contains(wanted) {
                return text;
            }
            assert!(Instant::now() < end, "no {wanted} on\n{text}");
            self.read(Duration::from_millis(100));
        }
    }

    fn press(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses a key until the screen has this: one that comes too soon decides nothing.
    #[track_caller]
    fn press_until(&mut self, key: &str, wanted: &str) -> String {
        let end = Instant::now() + PATIENCE;
        while !self.shown.text().contains(wanted) {
            assert!(
                Instant::now() < end,
                "no {wanted} on\n{}",
                self.shown.text()
            );
            self.press(key);
            let until = Instant::now() + Duration::from_secs(1);
            while Instant::now() < until && !self.shown.text().contains(wanted) {
                self.read(Duration::from_millis(100));
            }
        }
        self.shown.text()
    }

    fn end(mut self) {
        self.press("q");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

/// The approval that a screen asks about.
fn asked(screen: &str) -> String {
    let rest = screen.split("Approve ").nth(1).unwrap();
    rest.chars().take_while(|c| *c != ',').collect()
}

#[test]
fn an_ask_is_seen_and_approved_with_a_key_and_its_effect_is_seen() {
    let Some(home) = Home::judged() else { return };
    let folder = workspace(&home);
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/main.c"), "int main;\n").unwrap();
    let mut watch = Watch::start(&home);
    watch.until("no task is recorded");
    let task = start(&home, &folder, "rm -rf src; ls; sleep 2");
    watch.until("ASK   rm -rf src");
    let screen = watch.press_until("a", "once?");
    watch.press_until("y", &format!("{} approved", asked(&screen)));
    let done = end(task);
    assert_eq!(done.stdout, "kept.txt\n", "{done:?}");
    let screen = watch.until("ended with code 0");
    for line in ["allow rm -rf src", "allow ls", "nothing waits for you"] {
        assert!(screen.contains(line), "{line} is not on\n{screen}");
    }
    watch.end();
    in_order(
        &record(&home),
        &[
            json!({ "kind": "asked", "line": "rm -rf src" }),
            json!({ "kind": "decided", "state": "approved" }),
            json!({ "kind": "verdict", "verdict": "allow", "by": "approval" }),
            json!({ "kind": "task-ended", "code": 0 }),
        ],
    );
    home.assert_nothing_left();
}

#[test]
fn a_plan_is_commented_on_and_approved_with_keys() {
    let Some(home) = Home::judged() else { return };
    let folder = workspace(&home);
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/main.c"), "int main;\n").unwrap();
    let plan = home.path().join("plan.json");
    let steps = json!({ "actions": [{ "exec": ["rm", "-rf", "src"] }, { "exec": ["ls"] }] });
    fs::write(&plan, steps.to_string()).unwrap();
    let mut watch = Watch::start(&home);
    let (folder, plan) = (folder.to_str().unwrap(), plan.to_str().unwrap());
    let image = ["run", "--image", "python", "--workspace", folder];
    let task = home.piped(&[&image[..], &["--plan", plan]].concat());
    watch.until("ASK   declared: rm -rf src; ls");
    watch.press_until("c", "Write to");
    watch.press("is it kept?\r");
    watch.until("| is it kept?");
    let screen = watch.press_until("a", "once?");
    watch.press_until("y", &format!("{} approved", asked(&screen)));
    let done = end(task);
    assert_eq!(done.stdout, "kept.txt\n", "{done:?}");
    assert!(done.stderr.contains(": is it kept?"), "{done:?}");
    let screen = watch.until("ended with code 0");
    for line in [
        "allow declared: rm -rf src; ls",
        "allow plan: rm -rf src",
        "allow plan: ls",
        "wrote to",
    ] {
        assert!(screen.contains(line), "{line} is not on\n{screen}");
    }
    watch.end();
    in_order(
        &record(&home),
        &[
            json!({ "kind": "declared" }),
            json!({ "kind": "asked" }),
            json!({ "kind": "commented", "text": "is it kept?" }),
            json!({ "kind": "decided", "state": "approved" }),
            json!({ "kind": "root", "by": "plan", "root": 2 }),
            json!({ "kind": "task-ended", "code": 0 }),
        ],
    );
    home.assert_nothing_left();
}
