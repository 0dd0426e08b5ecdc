// SPDX-License-Identifier: Apache-2.0
//! What is drawn and what keys do, on a screen in memory.

use policy::approval::{Item, State, Store as _};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::draw::draw;
use super::keys::Prompt;
use super::model::Task;
use super::*;
use crate::approvals::sample::{ask, item, put};
use crate::cli::approvals::decide;
use crate::events::{Head, Line, Place, Recorded, Text};

mod deciding;
mod screens;

const NOW: u64 = 1_785_412_345_000;

/// A model with a terminal and approvals of its own.
struct Stage {
    model: Model,
    size: (u16, u16),
    n: u64,
    approvals: Approvals,
    folders: Folders,
    _dir: TempDir,
}

impl Stage {
    fn new(width: u16, height: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        Self {
            model: Model::new(None, now_ms()),
            size: (width, height),
            n: 0,
            approvals: Approvals::open(&folders).unwrap(),
            folders,
            _dir: dir,
        }
    }

    /// With approvals of these names, looked at.
    fn with(width: u16, height: u16, names: &[&str]) -> Self {
        let mut stage = Self::new(width, height);
        for name in names {
            put(&stage.approvals, &ask(name, "build"));
        }
        stage.look();
        stage.model.focus = Pane::Approvals;
        stage.model.now_ms += 1000;
        stage.draw();
        stage
    }

    fn look(&mut self) {
        let filter = Filter {
            task: None,
            waiting: true,
        };
        let items: Vec<Item> = self
            .approvals
            .list(&filter)
            .unwrap()
            .into_iter()
            .flatten()
            .collect();
        self.model.set_waiting(items);
    }

    fn desk(&self) -> Desk<'_> {
        Desk {
            folders: &self.folders,
            store: &self.approvals,
            by: who().unwrap(),
        }
    }

    /// Draws; the rows of the screen.
    fn draw(&mut self) -> Vec<String> {
        let (width, height) = self.size;
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut drawn = Default::default();
        terminal
            .draw(|frame| drawn = draw(&self.model, frame))
            .unwrap();
        if drawn != Default::default() {
            self.model.top = drawn.top;
        }
        self.model.drawn = drawn;
        let buffer = terminal.backend().buffer();
        let row = |y| {
            let cells = (0..width).map(|x| buffer[(x, y)].symbol());
            cells.collect::<String>().trim_end().to_owned()
        };
        (0..height).map(row).collect()
    }

    fn screen(&mut self) -> String {
        self.draw().join("\n")
    }

    fn press(&mut self, keys: &str) -> Option<Command> {
        let mut command = None;
        for c in keys.chars() {
            let code = match c {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\u{1b}' => KeyCode::Esc,
                '\u{8}' => KeyCode::Backspace,
                c => KeyCode::Char(c),
            };
            self.draw();
            command = self.model.key(KeyEvent::new(code, KeyModifiers::NONE));
        }
        command
    }

    /// Presses keys that ask whether it is meant, and says yes once that was read.
    fn confirm(&mut self, keys: &str) -> Option<Command> {
        self.press(keys);
        self.model.now_ms += 500;
        self.press("y")
    }

    /// Somebody else refuses it.
    fn refuse(&mut self, name: &str) {
        let (by, seen, note) = (who().unwrap(), None, None);
        let no = decide::No { by, seen, note };
        decide::deny(&self.folders, &self.approvals, &id(name), no).unwrap();
        self.look();
    }

    fn event(&mut self, root: Option<u64>, what: Value) {
        self.event_of("task", root, what);
    }

    fn event_of(&mut self, task: &str, root: Option<u64>, what: Value) {
        self.n += 1;
        let what = serde_json::from_value(what).unwrap();
        let head = Head {
            v: 1,
            n: self.n,
            at_ms: NOW + self.n * 1000,
            task: Some(task.to_owned()),
            root,
            kind: String::new(),
        };
        let text = Text::Event(Recorded { head, what });
        let place = Place {
            offset: self.n * 100,
            line: self.n,
        };
        let raw = Vec::new();
        self.model.take(&Line { place, text, raw });
    }
}

fn task(id: &str, alive: bool) -> Task {
    Task {
        id: id.to_owned(),
        image: "base".to_owned(),
        state: if alive { "running" } else { "exited 0" }.to_owned(),
        created_ms: now_ms(),
        alive,
    }
}

fn id(name: &str) -> ItemId {
    name.parse().unwrap()
}

/// An item of which one part was approved and two actions wait.
fn stage_of_parts(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(width, height);
    let put_one = |stage: &Stage, name: &str, path: &str, upper| {
        let mut one = ask(name, path);
        one.root = "root".into();
        one.question.risk.upper = Some(upper);
        one.question.action.env = vec!["LONG_NAME".to_owned(); 40];
        put(&stage.approvals, &one)
    };
    put_one(&stage, "aaaa", "build", 4230);
    let yes = Command::Approve {
        id: id("aaaa"),
        seen: 1,
        hours: None,
    };
    stage.desk().perform(yes);
    put_one(&stage, "bbbb", "src", 5000);
    put_one(&stage, "cccc", "docs", 6100);
    stage.look();
    stage.model.focus = Pane::Page;
    stage.model.now_ms += 1000;
    stage
}

#[test]
fn what_was_declared_is_a_line_that_its_verdict_marks() {
    let mut stage = Stage::new(160, 30);
    let started = json!({"kind": "task-started", "image": "base", "argv": [], "gated": true});
    stage.event(None, started);
    stage.model.set_tasks(vec![task("task", true)]);
    let plan = json!({"actions": [{"exec": ["rm", "x"]}, {"exec": ["ls"]}]});
    let verdict = json!({
        "kind": "verdict", "verdict": "allow", "by": "approval", "reason": "approved: a1",
        "approval": "a1",
    });
    stage.event(None, json!({"kind": "declared", "id": 0, "declared": plan}));
    stage.event(
        Some(0),
        json!({"kind": "asked", "approval": "a1", "line": "rm x"}),
    );
    let screen = stage.screen();
    assert!(screen.contains("ASK   declared: rm x; ls"), "{screen}");
    stage.event(Some(0), verdict.clone());
    let ask = json!({"ask": {"exec": ["make"]}});
    stage.event(
        Some(1),
        json!({"kind": "declared", "id": 4, "declared": ask}),
    );
    assert!(stage.screen().contains("...   #4 declared: may it do make"));
    let mut deny = verdict;
    deny["id"] = json!(4);
    deny["verdict"] = json!("deny");
    stage.event(Some(1), deny);
    let screen = stage.screen();
    for line in [
        "allow declared: rm x; ls",
        "DENY  #4 declared: may it do make",
    ] {
        assert!(screen.contains(line), "{line} is not on\n{screen}");
    }
}

#[test]
fn every_list_that_names_actions_has_their_risk() {
    for (width, height) in [(120, 40), (100, 30), (80, 24)] {
        let mut stage = stage_of_parts(width, height);
        let screen = stage.screen();
        assert!(screen.contains("61.0 % rm -r src"), "{width}\n{screen}");
        assert!(screen.contains("+1 more"), "{width}\n{screen}");
    }
}

#[test]
fn actions_have_their_verdicts_and_what_people_said() {
    let mut stage = Stage::new(120, 30);
    stage.model.set_tasks(vec![task("task", true)]);
    let started = json!({"kind": "task-started", "image": "base", "argv": ["sh"], "gated": true});
    stage.event(None, started);
    stage.event(
        Some(1),
        json!({"kind": "root", "by": "run", "action": {"exec": ["sh"]}}),
    );
    let allow = json!({"kind": "verdict", "verdict": "allow", "by": "policy", "reason": ""});
    stage.event(Some(1), allow);
    for (number, verdict) in [(7, "ask"), (8, "deny"), (9, "allow")] {
        let action = json!({"exec": ["git", "push", number.to_string()]});
        stage.event(
            Some(1),
            json!({"kind": "intent", "id": number, "pid": 2, "action": action}),
        );
        let said = json!({"kind": "verdict", "id": number, "verdict": verdict, "by": "policy",
            "risk_bps": 4200, "policies": ["no-push"], "reason": "it leaves"});
        stage.event(Some(1), said);
    }
    stage.event(
        Some(1),
        json!({"kind": "asked", "id": 7, "approval": "k3aa", "line": "x"}),
    );
    let screen = stage.screen();
    for part in [
        "allow run: sh",
        "ASK   git push 7",
        "DENY  git push 8",
        "policy 42.0 %: it leaves; no-push",
        "allow git push 9",
        "normal",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    let said = json!({"kind": "decided", "approval": "k3aa", "state": "approved", "by": ["ada"]});
    stage.event(None, said);
    let tight =
        json!({"kind": "posture", "from": "normal", "to": "read-only", "by": "ada", "why": "x"});
    stage.event(None, tight);
    let screen = stage.screen();
    assert!(
        screen.contains("allow git push 7") && screen.contains("read-only"),
        "{screen}"
    );
    assert!(!screen.contains(" ASK "), "{screen}");
    stage.event(
        Some(2),
        json!({"kind": "root", "by": "exec", "action": {"exec": ["rm"]}}),
    );
    let asked = json!({"kind": "asked", "approval": "k3bb", "line": "rm"});
    let gone = json!({"kind": "decided", "approval": "k3bb", "state": "withdrawn"});
    stage.event(Some(2), asked);
    stage.event(None, gone);
    let screen = stage.screen();
    assert!(screen.contains("gone  exec: rm"), "{screen}");
}

#[test]
fn tasks_that_ended_long_ago_are_forgotten_first() {
    let mut stage = Stage::new(80, 24);
    for n in 0..400u64 {
        let what = if n == 0 {
            json!({"kind": "note", "text": "x"})
        } else {
            json!({"kind": "task-ended", "code": 0, "reason": "exited"})
        };
        stage.event_of(&format!("t{n}"), None, what);
    }
    assert_eq!(stage.model.stories.len(), 256);
    assert!(stage.model.stories.contains_key("t0"), "it has not ended");
    assert!(!stage.model.stories.contains_key("t1") && stage.model.stories.contains_key("t399"));
}

#[test]
fn a_record_that_begins_anew_is_not_told_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folders = Folders::below(folder.path());
    let file = path(&folders);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let line = |n: u64| {
        format!(
            "{{\"v\":1,\"n\":{n},\"at_ms\":{n},\"task\":\"t\",\"kind\":\"note\",\"text\":\"note {n}\"}}\n"
        )
    };
    std::fs::write(&file, line(1)).unwrap();
    let (tasks, approvals) = (
        crate::store::Store::open(&folders).unwrap(),
        Approvals::open(&folders).unwrap(),
    );
    let mut model = Model::new(Some("t".to_owned()), NOW);
    let mut feed = Feed::new(&folders, &tasks, &approvals);
    assert!(feed.turn(&mut model));
    assert!(!feed.turn(&mut model), "nothing is new");
    let other = file.with_extension("new");
    std::fs::write(&other, line(1) + &line(2)).unwrap();
    std::fs::rename(&other, &file).unwrap();
    assert!(feed.turn(&mut model));
    assert!(feed.turn(&mut model) || !model.reading);
    let told: Vec<&str> = model
        .story()
        .unwrap()
        .deeds()
        .iter()
        .map(|deed| deed.text.as_str())
        .collect();
    assert_eq!(told, ["note 1", "note 2"]);
    assert!(model.faults.is_empty(), "{:?}", model.faults);
}
