// SPDX-License-Identifier: Apache-2.0
//! What is listed and shown.

use super::*;

/// Two questions more, the second one the riskier, beside what was approved.
fn asked_for_more() -> (tempfile::TempDir, Folders) {
    let (dir, folders) = asked_after_a_yes();
    let mut third = ask("cccc", "docs");
    third.root = "root".into();
    third.question.risk.upper = Some(6100);
    put(&open(&folders).unwrap(), &third);
    (dir, folders)
}

#[test]
fn what_waits_is_what_is_listed_and_answered() {
    let (_dir, folders) = asked_for_more();
    let mut item = stored(&folders, "aaaa");
    let cells = list::cells(&item, now_ms());
    assert_eq!(cells[5..], ["61.0 %", "ask-delete", "rm -r src +1 more"]);
    let short = list::short(&item, now_ms());
    assert_eq!(short["action"], "rm -r src");
    let since = item.portions()[1].asked_ms[0];
    assert!(since >= item.portions()[0].asked_ms[0] && short["asked_ms"] == since);
    let waiting = short["waiting"].as_array().unwrap();
    let actions = waiting.iter().map(|one| (&one["action"], &one["risk_bps"]));
    let actions: Vec<_> = actions.map(|(a, r)| format!("{a} {r}")).collect();
    assert_eq!(actions, ["\"rm -r src\" 4230", "\"rm -r docs\" 6100"]);
    assert_eq!(waiting[1]["why"], "ask-delete: what is deleted is gone");
    let page = show::text(&item, now_ms());
    let together =
        "TOGETHER    2 actions at once:\n            rm -r src\n            rm -r docs\n";
    assert!(page.contains(together), "{page}");
    // What was decided is named by what was decided last.
    let by = who().unwrap();
    let (seen, note) = (None, None);
    let store = open(&folders).unwrap();
    let no = decide::No { by, seen, note };
    let made = decide::deny(&folders, &store, &item.id().clone(), no).unwrap();
    let told = decide::told(&made, item.id());
    assert_eq!(told, ["aaaa denied: rm -r src", "aaaa denied: rm -r docs"]);
    item = made.item;
    assert_eq!(list::cells(&item, now_ms())[7], "rm -r src +1 more");
    assert_eq!(
        list::short(&item, now_ms())["waiting"],
        serde_json::json!([])
    );
}

#[test]
fn a_grant_is_called_by_what_it_allows() {
    let (_dir, folders) = asked_for_more();
    run(&folders, "approvals show aaaa").unwrap();
    run(&folders, "approvals approve aaaa").unwrap();
    let items = [stored(&folders, "aaaa")];
    let all: Vec<_> = Grants::of(&items).all().collect();
    let called = all
        .iter()
        .map(|grant| list::grant_cells(grant, true, now_ms())[5].clone());
    let called: Vec<String> = called.collect();
    assert_eq!(called, ["rm -r build", "rm -r src +1 more"]);
    let json = list::grant_json(&all[1], false);
    assert_eq!(
        json["actions"],
        serde_json::json!(["rm -r src", "rm -r docs"])
    );
    assert_eq!(
        (&json["action"], &json["live"]),
        (&json["actions"][0], &false.into())
    );
}

#[test]
fn a_task_that_ended_has_no_grant() {
    let (_dir, folders) = with_items(&[]);
    let (store, tasks) = (
        open(&folders).unwrap(),
        crate::cli::store(&folders).unwrap(),
    );
    let spec = serde_json::json!({
        "image": "base", "workspace": null, "argv": [], "env": [], "workdir": null, "user": null,
        "terminal": false, "detached": false, "ttl_ms": 1, "grace_ms": 1, "debug_console": false,
        "resources": {"memory_mib": 1, "cpus": 1, "scratch_bytes": 1},
    });
    let spec = serde_json::from_value(spec).unwrap();
    let task: crate::task::TaskId = "0000aaaa".parse().unwrap();
    tasks
        .insert(&task, &spec, std::path::Path::new("/r/x"))
        .unwrap();
    let of = |task: &str, root: &str| {
        let mut ask = ask(&root.replace('/', "-"), "build");
        (ask.task, ask.root) = (task.to_owned(), root.to_owned());
        put(&store, &ask)
    };
    let item = of("0000aaaa", "0000aaaa/1");
    assert!(!list::is_over(&tasks, &item).unwrap());
    let end = crate::task::Outcome::new(0, crate::task::End::exited());
    tasks.finish(&task, &end).unwrap();
    assert!(list::is_over(&tasks, &item).unwrap());
    // Its record is removed; and a name that only `ampoule policy check` knows.
    tasks.remove("0000aaaa").unwrap();
    assert!(list::is_over(&tasks, &item).unwrap());
    assert!(!list::is_over(&tasks, &of("ci", "b1nd")).unwrap());
}

#[test]
fn a_plan_is_shown_with_what_it_is_for_and_the_steps_that_need_nobody() {
    let (_dir, folders) = with_items(&[]);
    let plan: policy::action::Plan = serde_json::from_value(serde_json::json!({
        "goal": "a clean tree", "reasoning": "it is\nold",
        "actions": [{"shell": "ls"}, {"shell": "rm -r build"}],
    }))
    .unwrap();
    let steps = plan
        .actions
        .iter()
        .map(|step| (step, *step != plan.actions[0]));
    let mut asked = ask("aaaa", "build");
    asked.question.plan = Some(policy::approval::Planned::of(&plan, steps));
    asked.question.action.reason = None;
    let item = put(&open(&folders).unwrap(), &asked);
    let page = show::text(&item, now_ms());
    for part in [
        "PLAN        2 steps, 1 of them asked about\n",
        "goal        (the agent's words)\n            | a clean tree\n",
        "reasoning   (the agent's words)\n            | it is\n            | old\n",
        "steps       1   allowed  ls\n            2   ask      rm -r build\n",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("gives no reason"), "{page}");
    assert_eq!(list::cells(&item, now_ms())[7], "plan: rm -r build");
    assert_eq!(list::short(&item, now_ms())["waiting"][0]["plan"], true);
}

#[test]
fn nobody_is_said_to_be_missing_beside_others_before_anybody_answered() {
    let (_dir, folders) = with_items(&["aaaa"]);
    let page = show::text(&stored(&folders, "aaaa"), now_ms());
    assert!(
        page.contains("pending, waits for a person; a no in "),
        "{page}"
    );
    let store = open(&folders).unwrap();
    let mut two = ask("bbbb", "build");
    two.rules.quorum = 2;
    put(&store, &two);
    run(&folders, "approvals approve bbbb").unwrap();
    let page = show::text(&stored(&folders, "bbbb"), now_ms());
    assert!(
        page.contains("pending, waits for one more person; "),
        "{page}"
    );
}

#[test]
fn looking_at_it_starts_the_clock_of_the_decision() {
    let (_dir, folders) = with_items(&["aaaa"]);
    run(&folders, "approvals show aaaa --json").unwrap();
    let shown = stored(&folders, "aaaa").last().unwrap().shown.clone();
    assert_eq!(shown.keys().collect::<Vec<_>>(), [&who().unwrap()]);
}

#[test]
fn a_page_has_all_that_a_person_needs_and_nothing_of_it_moves_the_cursor() {
    let (_dir, folders) = with_items(&[]);
    let store = open(&folders).unwrap();
    let hostile = "x\u{1b}[2J\u{202e}\napproval   fine";
    let mut hostile = ask("aaaa", hostile);
    hostile.rules = Rules {
        quorum: 2,
        ..Rules::default()
    };
    hostile.question.blast = serde_json::json!({"hosts": ["a\u{200b}b"]});
    let page = show::text(&put(&store, &hostile), now_ms());
    for part in [
        "APPROVAL    aaaa, revision 1",
        "pending, waits for 2 people; a no in ",
        "because     ask-delete: what is deleted is gone",
        "            | approval   fine",
        "(the agent's words)",
        r"$'x\u{1b}[2J\u{202e}\napproval   fine'",
        "high     delete",
        "what is only there is gone (rm:recursive)",
        "risk        33.3 %, at most 42.3 %; asked about from 40.0 %",
        "drivers     deletes the only copy",
        "safer       git clean -n shows what would go",
        "before      of the like 0 approved, 0 denied, 0 not answered",
        "policies    ask-delete",
        r"reaches     speaks to a\u{200b}b",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let odd = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
    assert!(!page.contains(odd), "{page}");
    assert!(
        page.lines().all(|line| !line.starts_with("approval")),
        "{page}"
    );
}

#[test]
fn a_page_shows_what_was_added_and_what_was_decided() {
    let (_dir, folders) = with_items(&[]);
    let store = open(&folders).unwrap();
    let mut first = ask("aaaa", "build");
    first.root = "root".into();
    let id = put(&store, &first).id().clone();
    run(&folders, "approvals approve aaaa --note fine").unwrap();
    let mut second = ask("bbbb", "src");
    second.root = "root".into();
    put(&store, &second);
    let yes = Yes {
        by: "ada".parse().unwrap(),
        seen: 2,
        extent: Extent::Hours(3),
        note: None,
    };
    let (item, _) = desk::act(&store, &id, &Event::Approve(yes), now_ms()).unwrap();
    let page = show::text(&item, now_ms());
    for part in [
        "PART        1, approved",
        "PART        2, approved",
        "adds        high     delete       /workspace/src",
        "for 3h",
        ": fine",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn a_damaged_approval_keeps_nobody_from_the_others() {
    let (_dir, folders) = with_items(&["aaaa", "bbbb"]);
    let db = rusqlite::Connection::open(open(&folders).unwrap().path()).unwrap();
    db.execute("UPDATE items SET item = '{' WHERE id = 'aaaa'", [])
        .unwrap();
    assert_eq!(run(&folders, "approvals"), Ok(0));
    assert_eq!(run(&folders, "approvals approve bbbb"), Ok(0));
    let error = run(&folders, "approvals approve aaaa").unwrap_err();
    assert!(
        error.contains("approval aaaa is damaged and allows nothing"),
        "{error}"
    );
}
