// SPDX-License-Identifier: Apache-2.0
//! What a task leaves open that is gone together with the policy loop, which else closes it when
//! its supervisor is gone: whatever waits for people is taken out of the queue, and the record says
//! that the task has ended.

use policy::approval::store::Filter;
use policy::approval::{Event, Store, desk};

use crate::approvals::{Approvals, ApprovalsError, now_ms};
use crate::events::{self, Events, What};
use crate::folders::Folders;
use crate::task::TaskId;

/// Closes what a task left open; nothing, if its loop has.
///
/// # Errors
/// As those of approvals. Then it is closed by its deadline.
pub fn close(
    folders: &Folders,
    task: &TaskId,
    (code, why): (u8, &str),
) -> Result<(), ApprovalsError> {
    let approvals = Approvals::open(folders)?;
    let filter = Filter {
        task: Some(task.to_string()),
        waiting: true,
    };
    let mut left = Vec::new();
    for item in approvals.list(&filter)?.into_iter().flatten() {
        let withdraw = Event::Withdraw {
            why: why.to_owned(),
        };
        // One that was decided meanwhile stays as it is.
        if desk::act(&approvals, item.id(), &withdraw, now_ms()).is_ok() {
            left.push(What::withdrawn(item.id(), why));
        }
    }
    if !left.is_empty()
        && let Ok(record) = Events::open(folders)
    {
        let of_task = |what| events::Event {
            task: Some(task.to_string()),
            root: None,
            what,
        };
        for what in left {
            record.note(of_task(what));
        }
        let (code, reason) = (Some(i32::from(code)), why.to_owned());
        // A full disk keeps nobody from anything here.
        let _ = record.seal(of_task(What::TaskEnded { code, reason }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use policy::approval::Ask;
    use policy::approval::item::State;

    use super::*;
    use crate::approvals::sample::{ask, item, put};

    #[test]
    fn what_waits_of_that_task_is_withdrawn_and_recorded_once() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        let approvals = Approvals::open(&folders).unwrap();
        let task: TaskId = "0000aaaa".parse().unwrap();
        let of = |name: &str, task: &str| {
            let task = task.to_owned();
            let ask = ask(name, "build");
            put(&approvals, &Ask { task, ..ask }).id().clone()
        };
        let (mine, other) = (of("mine", task.as_str()), of("other", "0000bbbb"));
        for _ in 0..2 {
            close(&folders, &task, (125, "it is gone")).unwrap();
        }
        let state = |id| item(&approvals, id).state();
        assert_eq!(state(&mine), State::Withdrawn);
        assert!(state(&other).waits());
        let recorded = std::fs::read_to_string(events::path(&folders)).unwrap();
        let lines: Vec<&str> = recorded.lines().collect();
        let [withdrawn, ended] = lines[..] else {
            panic!("{recorded}");
        };
        for part in ["0000aaaa", "decided", "mine", "withdrawn", "it is gone"] {
            assert!(withdrawn.contains(part), "{part}: {recorded}");
        }
        for part in ["0000aaaa", "task-ended", "\"code\":125"] {
            assert!(ended.contains(part), "{part}: {recorded}");
        }
    }
}
