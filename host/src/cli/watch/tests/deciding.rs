// SPDX-License-Identifier: Apache-2.0
//! What people decide with keys, and what they cannot.

use super::*;

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
    assert_eq!(stage.confirm("a"), Some(yes.clone()));
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
    assert_eq!(stage.confirm(""), Some(yes));
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
    let screen = stage.screen();
    assert!(
        screen.contains("aaaa has changed (revision 1, now 2) and nothing"),
        "{screen}"
    );
    assert_eq!(stage.press("y\u{1b}"), None);
    assert_eq!(stage.model.prompt, None);
    let screen = stage.screen();
    assert!(screen.contains("revision 2, CHANGED from 1"), "{screen}");
    assert_eq!(stage.press("ay"), None, "at once it is not yet seen");
    assert_eq!(item(&stage.approvals, &id("aaaa")).state(), State::Pending);
    stage.model.now_ms += 1000;
    let yes = Command::Approve {
        id: id("aaaa"),
        seen: 2,
        hours: None,
    };
    assert_eq!(stage.confirm("a"), Some(yes));
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
fn a_key_does_not_decide_what_has_just_slid_under_it() {
    let mut stage = Stage::with(80, 24, &["aaaa", "bbbb"]);
    stage.refuse("aaaa");
    assert_eq!(stage.press("d\n"), None);
    assert!(stage.screen().contains("bbbb"), "the other is selected");
    assert_eq!(stage.model.prompt, None);
    assert_eq!(item(&stage.approvals, &id("bbbb")).state(), State::Pending);
}

/// What somebody was writing is neither a command nor a part of another answer.
#[test]
fn a_question_whose_approval_is_gone_takes_the_rest_of_the_words() {
    for (keys, width) in [("dno", 80), ("cno", 80), ("A1", 80), ("a", 80), ("dno", 20)] {
        let mut stage = Stage::with(80, 24, &["aaaa", "bbbb"]);
        stage.press(keys);
        stage.refuse("aaaa");
        stage.size = (width, 24);
        let said = |stage: &mut Stage| stage.screen().replace('\n', " ");
        let wanted = ["aaaa does not wait any", "nothing was decided by"];
        for c in "way, quickly? A8dcjyTyq".chars() {
            // Long after any guard against what slid.
            stage.model.now_ms += 2000;
            assert_eq!(stage.press(&c.to_string()), None, "{keys}: {c}");
            stage.model.paste("ay");
            let screen = said(&mut stage);
            for part in wanted {
                assert!(screen.contains(part), "{keys}: {c}\n{screen}");
            }
        }
        let bbbb = item(&stage.approvals, &id("bbbb"));
        assert_eq!(bbbb.state(), State::Pending, "{keys}");
        for size in [(0, 0), (1, 1), (2, 3), (20, 5), (80, 24), (300, 90)] {
            stage.size = size;
            stage.draw();
        }
        stage.size = (80, 24);
        // Closed, what slid below it is not decided at once.
        for close in ["\n", "\u{1b}"] {
            let gone = stage.model.prompt.clone();
            assert!(matches!(gone, Some(Prompt::Gone(..))), "{gone:?}");
            assert_eq!(stage.press(close), None);
            assert_eq!(stage.model.prompt, None, "{keys}");
            assert_eq!(stage.press("d"), None);
            assert_eq!(stage.model.prompt, None, "{keys}: it opened at once");
            stage.model.prompt = gone;
        }
    }
}

/// Two approvals, of which the early one has an end soon; and when that is.
fn stage_of_early_and_late() -> (Stage, u64) {
    let mut stage = Stage::new(80, 24);
    let soon = now_ms() + 5_000;
    let early = policy::approval::root::Ask {
        deadline_ms: soon,
        ..ask("early", "build")
    };
    put(&stage.approvals, &early);
    put(&stage.approvals, &ask("late", "build"));
    stage.look();
    (stage, soon)
}

#[test]
fn what_expires_under_a_note_leaves_its_words_where_they_were() {
    let (mut stage, soon) = stage_of_early_and_late();
    let at = (stage.model.waiting.iter()).position(|item| item.id().as_str() == "early");
    stage.model.turn_to(at.unwrap());
    stage.model.focus = Pane::Approvals;
    stage.press("dwh");
    assert!(matches!(stage.model.prompt, Some(Prompt::Deny(..))));
    stage.model.tick(soon + 800);
    stage.model.tick(soon + 3_000);
    assert_eq!(stage.press("ya"), None);
    stage.model.tick(soon + 6_000);
    assert_eq!(stage.press("y"), None);
    assert!(stage.screen().contains("early does not wait any more"));
}

#[test]
fn a_yes_that_was_on_its_way_before_the_question_is_none() {
    for keys in ["a", "A8\n"] {
        let mut stage = Stage::with(80, 24, &["aaaa"]);
        stage.press(keys);
        stage.model.now_ms += 499;
        assert_eq!(stage.press("y"), None, "{keys}");
        let screen = stage.screen();
        for part in ["Approve aaaa, revision 1", "press y again"] {
            assert!(screen.contains(part), "{part}\n{screen}");
        }
        stage.model.now_ms += 1;
        let yes = stage.press("y");
        assert!(matches!(yes, Some(Command::Approve { .. })), "{yes:?}");
    }
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
fn what_expires_goes_by_itself_and_leaves_the_open_one_as_it_was() {
    let (mut stage, soon) = stage_of_early_and_late();
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
