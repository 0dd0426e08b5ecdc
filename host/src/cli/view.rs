// SPDX-License-Identifier: Apache-2.0
//! A task's record as people and programs see it.

use policy::posture::Posture;
use serde_json::{Value, json};

use super::now::Now;
use crate::store::{State, Task};

/// Everything that is known of a task.
pub(super) fn whole(task: &Task, now: &Now) -> Value {
    let mut value = json!({
        "task": task.id,
        "state": task.state,
        "created_ms": task.created_ms,
        "ended_ms": task.ended_ms,
        "spec": task.spec,
        "process": task.process,
        "posture": now.posture,
        "waiting": now.waiting,
    });
    if let (Some(outcome), Some(value)) = (&task.outcome, value.as_object_mut())
        && let Value::Object(outcome) = json!(outcome)
    {
        value.extend(outcome);
    }
    value
}

/// One line of `ps --json`.
pub(super) fn short(task: &Task, now: &Now) -> Value {
    let outcome = task.outcome.as_ref();
    json!({
        "task": task.id,
        "state": task.state,
        "created_ms": task.created_ms,
        "ended_ms": task.ended_ms,
        "image": task.spec.image,
        "command": task.spec.command_line(),
        "code": outcome.map(|outcome| outcome.code),
        "reason": outcome.map(|outcome| outcome.end.reason),
        "posture": now.posture,
        "waiting": now.waiting,
    })
}

/// What `ps` shows under STATE: a task that is held by how it is held, and that it waits.
pub(super) fn state_now(task: &Task, now: &Now) -> String {
    let state = match now.posture {
        None | Some(Posture::Normal) => state(task),
        Some(held) => held.to_string(),
    };
    let waits = if now.waiting.is_empty() {
        ""
    } else {
        ", waits"
    };
    format!("{state}{waits}")
}

/// What is recorded of its state: `running`, `exited 3`, `ttl 124`.
pub(super) fn state(task: &Task) -> String {
    match (&task.outcome, task.state) {
        (Some(outcome), State::Ended) => {
            let reason = json!(outcome.end.reason);
            format!("{} {}", reason.as_str().unwrap_or("ended"), outcome.code)
        }
        (_, state) => state.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sample;

    fn now(posture: Option<Posture>, waiting: &[&str]) -> Now {
        let waiting = waiting.iter().map(|&id| id.to_owned()).collect();
        Now { posture, waiting }
    }

    #[test]
    fn a_task_is_shown_as_it_is_held_and_that_it_waits() {
        let task = sample::task(None);
        for (held, waiting, shown) in [
            (None, &[][..], "running"),
            (Some(Posture::Normal), &[], "running"),
            (Some(Posture::Normal), &["k3"], "running, waits"),
            (Some(Posture::Paused), &[], "paused"),
            (Some(Posture::ReadOnly), &["k3", "k4"], "read-only, waits"),
        ] {
            assert_eq!(state_now(&task, &now(held, waiting)), shown);
        }
        let json = short(&task, &now(Some(Posture::Paused), &["k3"]));
        assert_eq!(json["state"], "running");
        assert_eq!(
            (&json["posture"], &json["waiting"]),
            (&json!("paused"), &json!(["k3"]))
        );
        let whole = whole(&task, &Now::default());
        assert_eq!(
            (&whole["posture"], &whole["waiting"]),
            (&Value::Null, &json!([]))
        );
    }
}
