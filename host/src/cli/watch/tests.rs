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
fn an_approval_is_shown_with_all_that_a_person_needs() {
    let mut stage = Stage::new(100, 44);
    let mut asked = ask("aaaa", "build");
    asked.question.blast = json!({"hosts": ["far.example"]});
    put(&stage.approvals, &asked);
    stage.look();
    stage.model.focus = Pane::Approvals;
    stage.press("\n\n");
    let screen = stage.screen();
    for part in [
        "aaaa revision 1",
        "ACTION      shell",
        "            | rm -r build",
        "why         (the agent's words)",
        "            | build is not needed",
        "what is only there is gone (rm:recursive)",
        "reaches     speaks to far.example",
        "risk        33.3 %, at most 42.3 %; asked about from 40.0 %",
        "deletes the only copy",
        "safer       git clean -n shows what would go",
        "before      of the like 0 approved, 0 denied, 0 not answered",
        "policies    ask-delete",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
}

#[test]
fn a_yes_is_asked_again_and_carries_the_revision_that_was_seen() {
    let mut stage = Stage::with(80, 24, &["aaaa", "bbbb"]);
    assert_eq!(stage.press("ja"), None);
    let screen = stage.screen();
    assert!(
        screen.contains("Approve bbbb, revision 1, once?"),
        "{screen}"
    );
    assert!(screen.contains("  rm -r build"), "{screen}");
    assert_eq!(stage.press("x"), None);
    assert!(stage.screen().contains("bbbb stays as it is"));
    assert_eq!(stage.press("a\n"), None, "only y is yes");
    let (seen, hours) = (1, None);
    let yes = Command::Approve {
        id: id("bbbb"),
        seen,
        hours,
    };
    assert_eq!(stage.press("ay"), Some(yes.clone()));
    assert_eq!(stage.desk().perform(yes), "bbbb approved");
    let approved = item(&stage.approvals, &id("bbbb"));
    assert_eq!(approved.state(), State::Approved);
    stage.look();
    assert_eq!(stage.model.approval, Some((id("aaaa"), 1)));
}

#[test]
fn hours_are_asked_for() {
    let mut stage = Stage::with(80, 24, &["aaaa"]);
    assert_eq!(stage.press("A0\n"), None);
    assert!(stage.screen().contains("write how many hours"));
    assert_eq!(stage.press("\u{8}x8\n"), None);
    let screen = stage.screen();
    assert!(
        screen.contains("Approve aaaa, revision 1, for 8 hours?"),
        "{screen}"
    );
    let hours = Some(8);
    let yes = Command::Approve {
        id: id("aaaa"),
        seen: 1,
        hours,
    };
    assert_eq!(stage.press("y"), Some(yes));
}

#[test]
fn a_no_has_a_note_or_none_and_a_comment_has_words() {
    let mut stage = Stage::with(80, 24, &["aaaa"]);
    let no = |note: Option<&str>| Command::Deny {
        id: id("aaaa"),
        seen: 1,
        note: note.map(str::to_owned),
    };
    assert_eq!(stage.press("d\n"), Some(no(None)));
    assert_eq!(stage.press("d\u{1b}"), None);
    assert_eq!(stage.press("dnot here, q\n"), Some(no(Some("not here, q"))));
    assert_eq!(stage.press("c \n"), None);
    let text = "why?".to_owned();
    let comment = Command::Comment {
        id: id("aaaa"),
        text,
    };
    assert_eq!(stage.press("cwhy?\n"), Some(comment.clone()));
    assert_eq!(stage.desk().perform(comment), "aaaa commented");
    assert_eq!(stage.desk().perform(no(Some("no"))), "aaaa denied");
    assert_eq!(item(&stage.approvals, &id("aaaa")).state(), State::Denied);
    let late = stage.desk().perform(no(None));
    assert!(late.contains("is denied already by"), "{late}");
}

#[test]
fn what_changed_between_the_look_and_the_yes_is_not_decided() {
    let mut stage = Stage::new(80, 24);
    let mut first = ask("aaaa", "build");
    first.root = "root".into();
    let mut second = ask("bbbb", "src");
    second.root = "root".into();
    put(&stage.approvals, &first);
    stage.look();
    stage.model.focus = Pane::Page;
    stage.model.now_ms += 1000;
    assert_eq!(stage.press("a"), None);
    assert!(matches!(stage.model.prompt, Some(Prompt::Confirm(..))));
    put(&stage.approvals, &second);
    // The key was faster than the look at the store.
    let (seen, hours, note) = (1, None, None);
    let yes = Command::Approve {
        id: id("aaaa"),
        seen,
        hours,
    };
    let no = Command::Deny {
        id: id("aaaa"),
        seen,
        note,
    };
    for command in [yes, no] {
        let refused = stage.desk().perform(command);
        assert!(
            refused.contains("has changed since it was seen"),
            "{refused}"
        );
    }
    // The look was faster than the key.
    stage.look();
    assert_eq!(stage.model.prompt, None);
    let screen = stage.screen();
    assert!(
        screen.contains("aaaa has changed (revision 1, now 2) and nothing"),
        "{screen}"
    );
    assert!(screen.contains("revision 2, CHANGED from 1"), "{screen}");
    assert_eq!(stage.press("ay"), None, "at once it is not yet seen");
    assert_eq!(item(&stage.approvals, &id("aaaa")).state(), State::Pending);
    stage.model.now_ms += 1000;
    let yes = Command::Approve {
        id: id("aaaa"),
        seen: 2,
        hours: None,
    };
    assert_eq!(stage.press("ay"), Some(yes));
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
fn what_is_to_be_decided_is_on_the_screen_and_in_the_question() {
    let mut stage = stage_of_parts(80, 24);
    let screen = stage.screen();
    for part in [
        "61.0 % rm -r src +1 more",
        "2 actions at once:",
        "PART        2, to be decided",
        "            | rm -r src",
        "at most 50.0 %; asked about from 40.0 %",
    ] {
        assert!(screen.contains(part), "{part} is not on\n{screen}");
    }
    stage.press("a");
    let screen = stage.screen();
    let asked = "Approve aaaa, revision 3, once?\n  rm -r src\n  rm -r docs\n";
    assert!(screen.contains(asked), "{screen}");
    // One that waits alone has its effects there, too.
    let mut alone = Stage::with(80, 24, &["aaaa"]);
    let screen = alone.screen();
    assert!(screen.contains("effects     high     delete"), "{screen}");
}

#[test]
fn a_question_that_has_no_room_for_all_its_actions_says_so() {
    let mut stage = stage_of_parts(80, 24);
    for n in 0..6 {
        let mut one = ask(&format!("d{n}"), &format!("dir{n}"));
        one.root = "root".into();
        put(&stage.approvals, &one);
    }
    stage.look();
    stage.model.now_ms += 1000;
    stage.size = (80, 12);
    stage.press("a");
    let screen = stage.screen();
    let said = "and 3 more actions, which have no room here";
    assert!(
        screen.contains(said) && screen.contains("Approve aaaa"),
        "{screen}"
    );
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
fn a_key_does_not_decide_what_has_just_slid_under_it() {
    let mut stage = Stage::with(80, 24, &["aaaa", "bbbb"]);
    let by = who().unwrap();
    let (seen, note) = (None, None);
    let no = decide::No { by, seen, note };
    decide::deny(&stage.folders, &stage.approvals, &id("aaaa"), no).unwrap();
    stage.look();
    assert_eq!(stage.press("d\n"), None);
    assert!(stage.screen().contains("bbbb"), "the other is selected");
    assert_eq!(stage.model.prompt, None);
    assert_eq!(item(&stage.approvals, &id("bbbb")).state(), State::Pending);
}

#[test]
fn what_comes_by_itself_was_shown_to_nobody_until_a_key_selects_it() {
    let mut stage = Stage::with(80, 24, &["aaaa"]);
    assert!(!stage.model.is_chosen());
    stage.press("j");
    assert!(stage.model.is_chosen());
    let mut more = ask("bbbb", "src");
    more.root = "aaaa".into();
    put(&stage.approvals, &more);
    stage.look();
    assert!(stage.screen().contains("aaaa revision 2, CHANGED from 1"));
    assert!(!stage.model.is_chosen());
    stage.press("k");
    assert!(stage.model.is_chosen());
}

#[test]
fn what_is_not_on_the_screen_is_not_decided() {
    let mut stage = Stage::with(80, 24, &["aaaa"]);
    stage.model.focus = Pane::Tasks;
    assert_eq!(stage.press("a"), None);
    assert_eq!(
        (stage.model.prompt.as_ref(), stage.model.focus),
        (None, Pane::Page)
    );
    stage.press("a");
    assert!(stage.model.prompt.is_some());
}

#[test]
fn pasted_text_is_written_and_never_a_key() {
    let mut stage = Stage::with(80, 24, &["aaaa"]);
    stage.draw();
    stage.model.paste("ay\nq");
    assert_eq!(stage.model.prompt, None);
    stage.press("c");
    stage.model.paste("one\n\u{1b}two\u{202e}");
    let text = "one two".to_owned();
    let comment = Command::Comment {
        id: id("aaaa"),
        text,
    };
    assert_eq!(stage.press("\n"), Some(comment));
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
}

#[test]
fn nothing_of_a_guest_moves_the_cursor_or_the_columns() {
    let hostile = "x\u{1b}[2J\u{202e}大\u{301}\u{301}\u{301}\u{fe0f}\nTask";
    let mut stage = Stage::new(100, 30);
    put(&stage.approvals, &ask("aaaa", hostile));
    stage.look();
    stage.event(
        Some(1),
        json!({"kind": "intent", "id": 1, "pid": 2, "action": {"exec": [hostile]}}),
    );
    stage.event(
        None,
        json!({"kind": "task-started", "image": hostile, "argv": [hostile]}),
    );
    stage.event(
        None,
        json!({"kind": "posture", "from": "", "to": hostile, "by": "", "why": ""}),
    );
    for size in [(100, 30), (80, 24), (20, 5)] {
        stage.size = size;
        for _ in 0..4 {
            stage.press("\t");
            let screen = stage.screen();
            let odd = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{fe0f}".contains(c);
            assert!(!screen.contains(odd), "{screen:?}");
        }
    }
    stage.size = (100, 30);
    let screen = stage.screen();
    assert!(screen.contains(r"x\u{1b}[2J\u{202e}大"), "{screen}");
}

#[test]
fn every_size_is_drawn_in_every_state() {
    let mut stage = Stage::with(80, 24, &["aaaa", "bbbb", "cccc"]);
    stage.model.set_tasks(
        (0..40)
            .map(|n| task(&format!("t{n}"), n % 2 == 0))
            .collect(),
    );
    for n in 0..60 {
        let action = json!({"exec": ["echo", "大".repeat(n)]});
        let id = u64::try_from(n).unwrap();
        stage.event(
            Some(1),
            json!({"kind": "intent", "id": id, "pid": 2, "action": action}),
        );
    }
    for (width, height) in [
        (0, 0),
        (1, 1),
        (2, 3),
        (20, 5),
        (39, 11),
        (80, 24),
        (99, 12),
        (100, 16),
        (300, 90),
    ] {
        for keys in ["", "?", "a", "A9", "d大大", "c", "\n", "G", "k\t"] {
            stage.size = (width, height);
            stage.press("\u{1b}");
            stage.press(keys);
            stage.draw();
            stage.press("\u{1b}");
        }
    }
}

#[test]
fn a_narrow_terminal_has_the_question_and_the_answer() {
    let mut stage = Stage::with(20, 5, &["aaaa"]);
    assert_eq!(
        stage.draw(),
        [
            "━ Waiting for you 1",
            "  ID       ACTION",
            "▸ aaaa     rm -r bu…",
            "",
            "a d Tab ? q"
        ]
    );
    stage.press("\n");
    let rows = stage.draw();
    assert_eq!(rows[1], "APPROVAL aaaa,");
    assert!(rows[0].starts_with("━ aaaa revision 1"), "{rows:?}");
    stage.press("a");
    let rows = stage.draw();
    assert_eq!(rows[4], "aaaa r1 once? y/n");
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
fn an_empty_state_folder_says_so() {
    let mut stage = Stage::new(80, 24);
    stage.model.reading = false;
    let screen = stage.screen();
    for part in [
        "no task is recorded",
        "nothing waits for you",
        "0 tasks run, 0 approvals wait",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    assert_eq!(stage.press("a"), None);
    assert!(stage.screen().contains("no approval waits"));
    assert_eq!(stage.press("q"), Some(Command::Quit));
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(stage.model.key(ctrl_c), Some(Command::Quit));
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

#[test]
fn what_expires_goes_by_itself_and_leaves_the_open_one_as_it_was() {
    let mut stage = Stage::new(80, 24);
    let soon = now_ms() + 5_000;
    let early = policy::approval::root::Ask {
        deadline_ms: soon,
        ..ask("early", "build")
    };
    put(&stage.approvals, &early);
    put(&stage.approvals, &ask("late", "build"));
    stage.look();
    let late = stage
        .model
        .waiting
        .iter()
        .find(|item| item.id().as_str() == "late");
    stage.model.approval = late.map(|item| (item.id().clone(), item.revision()));
    assert!(stage.model.tick(soon + 800));
    // A key takes effect at once: nothing that is open came or changed.
    assert!(stage.model.is_steady());
    assert_eq!(stage.model.open().unwrap().id().as_str(), "late");
    assert_eq!(stage.model.waiting.len(), 1);
    assert!(stage.model.tick(soon + 120_000) && stage.model.open().is_none());
}
