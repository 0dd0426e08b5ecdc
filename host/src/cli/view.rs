// SPDX-License-Identifier: Apache-2.0
//! A task's record as people and programs see it.

use serde_json::{Value, json};

use crate::store::{State, Task};

/// Everything that is known of a task.
pub(super) fn whole(task: &Task) -> Value {
    let mut value = json!({
        "task": task.id,
        "state": task.state,
        "created_ms": task.created_ms,
        "ended_ms": task.ended_ms,
        "spec": task.spec,
        "process": task.process,
    });
    if let (Some(outcome), Some(value)) = (&task.outcome, value.as_object_mut())
        && let Value::Object(outcome) = json!(outcome)
    {
        value.extend(outcome);
    }
    value
}

/// One line of `ps --json`.
pub(super) fn short(task: &Task) -> Value {
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
    })
}

/// What `ps` shows under STATE: `running`, `exited 3`, `ttl 124`.
pub(super) fn state(task: &Task) -> String {
    match (&task.outcome, task.state) {
        (Some(outcome), State::Ended) => {
            let reason = json!(outcome.end.reason);
            format!("{} {}", reason.as_str().unwrap_or("ended"), outcome.code)
        }
        (_, state) => state.as_str().to_owned(),
    }
}
