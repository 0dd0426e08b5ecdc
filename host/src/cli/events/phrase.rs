// SPDX-License-Identifier: Apache-2.0
//! An event in a line of plain words. All of it may be an attacker's.

use std::time::Duration;

use policy::action::Action;
use policy::approval::item;
use policy::text::cut;
use serde_json::Value;

use crate::cli::values;
use crate::events::{Head, Line, Recorded, Text, UseOf, VERSION, What, excerpt};
use crate::gate::asks::PEOPLES;
use crate::text::escaped;

/// Characters of a phrase; `--json` has them all.
const PHRASE: usize = 400;

/// Characters of a task's name: of more, it is no name.
const TASK: usize = 16;

/// The line of an event, or of what is none.
pub(super) fn line(line: &Line) -> String {
    match &line.text {
        Text::Event(Recorded { head, what }) => begun(head, &phrase(what)),
        Text::Foreign(head) if head.v == VERSION => {
            let kind = &head.kind;
            begun(
                head,
                &format!("an event '{kind}' that this version does not know; --json shows it"),
            )
        }
        Text::Foreign(head) => {
            let (kind, v) = (&head.kind, head.v);
            begun(
                head,
                &format!("an event '{kind}' of a line of version {v}; --json shows it"),
            )
        }
        Text::Unreadable(why) => {
            let number = line.place.line;
            let text = excerpt(&line.raw);
            short(
                &format!("line {number} is no event ({why}): {text}"),
                PHRASE,
            )
        }
    }
}

fn begun(head: &Head, phrase: &str) -> String {
    let task = short(head.task.as_deref().unwrap_or("-"), TASK);
    let time = utc(head.at_ms);
    let root = head.root.map(|root| format!("/{root}")).unwrap_or_default();
    format!(
        "{time}  {:<6}  {:<11}  {}",
        head.n,
        task + &root,
        short(phrase, PHRASE)
    )
}

fn short(text: &str, most: usize) -> String {
    escaped(&cut(text, most))
}

/// An event without its time and task, not yet made printable.
pub(in crate::cli) fn phrase(what: &What) -> String {
    match what {
        What::TaskStarted { .. } => started(what),
        What::TaskEnded { code, reason } => match code {
            Some(code) => format!("ended with code {code}: {reason}"),
            None => format!("ended: {reason}"),
        },
        What::Root { by, action } => format!("{by}: {}", action_line(action)),
        What::Intent { id, pid, action } => {
            format!("#{id} process {pid} is about to: {}", action_line(action))
        }
        What::Verdict { .. } => verdict(what),
        What::Uses { uses, lost } => passes(uses, *lost),
        What::Asked { id, approval, line } => {
            format!("{}people are asked ({approval}): {line}", number(*id))
        }
        What::Decided {
            approval,
            state,
            by,
            note,
        } => {
            let by = if by.is_empty() {
                String::new()
            } else {
                format!(" by {}", by.join(", "))
            };
            format!(
                "approval {approval} is {state}{by}{}",
                after(": ", note.as_deref())
            )
        }
        What::Commented { approval, by, text } => format!("{by} wrote to {approval}: {text}"),
        _ => state(what),
    }
}

/// A text that need not be there, and what comes before it if it is.
fn after(sign: &str, text: Option<&str>) -> String {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| format!("{sign}{text}")).unwrap_or_default()
}

fn started(what: &What) -> String {
    let What::TaskStarted {
        image,
        argv,
        workspace,
        by,
        gated,
    } = what
    else {
        return String::new();
    };
    let on = after(", on ", workspace.as_deref());
    let by = after(", by ", by.as_deref());
    let gated = if *gated { "" } else { ", not judged" };
    format!("started in {image}{on}{by}{gated}: {}", argv.join(" "))
}

fn passes(uses: &[UseOf], lost: u64) -> String {
    let each = uses.iter().map(|pass| match pass.argv.is_empty() {
        true => pass.program.clone(),
        false => pass.argv.join(" "),
    });
    let each: Vec<String> = each.collect();
    let more = match lost {
        0 => String::new(),
        lost => format!(" and {lost} more"),
    };
    format!(
        "{} passed under grants{more}: {}",
        uses.len(),
        each.join("; ")
    )
}

/// The kinds that are about the task as a whole, and the rest.
fn state(what: &What) -> String {
    match what {
        What::Withdrawn { id } => format!("#{id} is gone: nobody need answer"),
        What::Done {
            id,
            errno,
            rule,
            detail,
        } => {
            let rule = after(" by rule ", Some(rule));
            let detail = after(": ", Some(detail));
            match errno {
                0 => format!("#{id} was done{rule}{detail}"),
                errno => format!("#{id} failed with error {errno}{rule}{detail}"),
            }
        }
        What::Granted { programs, why } => format!("{programs} programs are granted: {why}"),
        What::Revoked { why } => format!("all grants are taken back: {why}"),
        What::Posture {
            from,
            to,
            by,
            why,
            asks,
        } => {
            let asks = match asks.as_slice() {
                [] => String::new(),
                paths => format!(", changes of {} are asked about", paths.join(" ")),
            };
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(": {why}")
            };
            format!("posture {from} becomes {to}{asks}, by {by}{why}")
        }
        What::Declared { id, declared } => {
            // The plan that people gave has no number of the gate's.
            let id = (*id != PEOPLES).then_some(*id);
            format!("{}declared: {}", number(id), said_line(declared))
        }
        What::Drift { id, what } => format!("#{id} is not what was declared: {what}"),
        What::Waiting { approval } => format!("waits for {approval}"),
        What::Resumed { waited_ms } => {
            let waited = values::show(Duration::from_millis(*waited_ms));
            format!("goes on after {waited}")
        }
        What::Gap { lost, why } => format!("GAP, {lost} events or more are missing: {why}"),
        What::Note { text } => text.clone(),
        _ => String::new(),
    }
}

fn verdict(what: &What) -> String {
    let What::Verdict {
        id,
        verdict,
        by,
        risk_bps,
        policies,
        reason,
        approval,
    } = what
    else {
        return String::new();
    };
    let risk = risk_bps.map(|bps| format!("{}.{:02} %", bps / 100, bps % 100));
    let risk = after(", risk at most ", risk.as_deref());
    let named = |policy: &&String| reason.contains(&format!("{policy}: "));
    let others: Vec<&str> = policies
        .iter()
        .filter(|policy| !named(policy))
        .map(String::as_str)
        .collect();
    let policies = after(", ", Some(&others.join(" ")));
    let approval = after(", approval ", approval.as_deref());
    let number = number(*id);
    format!("{number}{verdict} by {by}{risk}{policies}{approval}: {reason}")
}

fn number(id: Option<u64>) -> String {
    id.map(|id| format!("#{id} ")).unwrap_or_default()
}

/// What was said before it is done, in a line: the steps of a plan, an action, a question about one.
fn said_line(declared: &Value) -> String {
    if let Some(actions) = declared.get("actions").and_then(Value::as_array) {
        let steps: Vec<String> = actions.iter().map(action_line).collect();
        return steps.join("; ");
    }
    match declared.get("ask") {
        Some(action) => format!("may it do {}", action_line(action)),
        None => action_line(declared),
    }
}

/// An action in a line; what is none as the JSON it is.
pub(in crate::cli) fn action_line(action: &Value) -> String {
    match serde_json::from_value::<Action>(action.clone()) {
        Ok(action) => item::line(&action),
        Err(_) => action.to_string(),
    }
}

/// A time since 1970 as `2026-01-31 12:34:56.789`, UTC.
pub(in crate::cli) fn utc(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years begin
    // in March, so that the leap day is their last; 719468 days before 1970 is such a beginning.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00.007"),
            (951_782_399, "2000-02-28 23:59:59.007"),
            (951_782_400, "2000-02-29 00:00:00.007"),
            (1_709_251_199, "2024-02-29 23:59:59.007"),
            (1_785_412_345, "2026-07-30 11:52:25.007"),
            (4_107_542_400, "2100-03-01 00:00:00.007"),
        ] {
            assert_eq!(utc(seconds * 1000 + 7), text);
        }
        let _ = utc(u64::MAX);
    }

    fn shown(what: What) -> String {
        let head = Head {
            v: 1,
            n: 17,
            at_ms: 0,
            task: Some("7k3m9x2p".to_owned()),
            root: Some(3),
            kind: String::new(),
        };
        let text = Text::Event(Recorded { head, what });
        line(&Line {
            place: crate::events::Place::default(),
            text,
            raw: Vec::new(),
        })
    }

    #[test]
    fn an_event_is_a_line_of_plain_words() {
        let verdict = What::Verdict {
            id: Some(9),
            verdict: "deny".to_owned(),
            by: "policy".to_owned(),
            risk_bps: Some(4207),
            policies: vec!["no-secrets".to_owned()],
            reason: "it reads keys".to_owned(),
            approval: None,
        };
        assert_eq!(
            shown(verdict),
            "1970-01-01 00:00:00.000  17      7k3m9x2p/3   #9 deny by policy, risk at most 42.07 %, no-secrets: it reads keys"
        );
        let action = json!({"exec": ["rm", "-rf", "x"]});
        let intent = shown(What::Intent {
            id: 9,
            pid: 44,
            action,
        });
        assert!(
            intent.ends_with("#9 process 44 is about to: rm -rf x"),
            "{intent}"
        );
    }

    #[test]
    fn what_a_guest_chose_is_one_line_and_no_more_than_a_line() {
        let text = format!("a\u{1b}[2J\nb\u{202e}{}", "c".repeat(5000));
        let line = shown(What::Note { text });
        assert!(line.contains(r"a\u{1b}[2J\nb\u{202e}ccc"), "{line}");
        assert!(line.ends_with('…') && line.chars().count() < 500, "{line}");
        let odd = shown(What::Declared {
            id: 1,
            declared: json!({"\u{1b}": ["x"]}),
        });
        let plan = |id| {
            let declared =
                json!({"goal": "x", "actions": [{"exec": ["rm", "x"]}, {"shell": "ls"}]});
            shown(What::Declared { id, declared })
        };
        assert!(plan(3).ends_with(" #3 declared: rm x; ls"), "{}", plan(3));
        assert!(plan(0).ends_with("  declared: rm x; ls"), "{}", plan(0));
        let declared = json!({"ask": {"exec": ["rm", "x"]}});
        let ask = shown(What::Declared { id: 3, declared });
        assert!(ask.ends_with("#3 declared: may it do rm x"), "{ask}");
        assert!(
            odd.contains("declared: {") && !odd.contains('\u{1b}'),
            "{odd}"
        );
    }

    #[test]
    fn every_kind_has_words() {
        let of = |value: Value| serde_json::from_value::<What>(value).unwrap();
        for value in [
            json!({"kind": "withdrawn", "id": 1}),
            json!({"kind": "revoked", "why": "x"}),
            json!({"kind": "waiting", "approval": "x"}),
            json!({"kind": "gap", "lost": 1, "why": "x"}),
            json!({"kind": "drift", "id": 1, "what": "x"}),
            json!({"kind": "granted", "programs": 1, "why": "x"}),
            json!({"kind": "resumed", "waited_ms": 1}),
            json!({"kind": "done", "id": 1, "errno": 2}),
            json!({"kind": "posture", "from": "a", "to": "b", "by": "c", "why": "d"}),
        ] {
            assert_ne!(phrase(&of(value.clone())), "", "{value}");
        }
    }
}
