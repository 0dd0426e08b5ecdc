// SPDX-License-Identifier: Apache-2.0
//! What the screen has room for, and what it never shows.

use super::*;

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
