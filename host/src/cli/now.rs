// SPDX-License-Identifier: Apache-2.0
//! What the record of a task does not say of it while it runs: how it is held, which its
//! supervisor knows, and what of it waits for people, which the queue of approvals does.
//!
//! All supervisors are asked at once and given a moment; of one that is busy or stopped it is not
//! known how its task is held.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use policy::approval::Store as _;
use policy::approval::store::Filter;
use policy::posture::Posture;

use super::chain;
use crate::api::{Client, Event, Request};
use crate::approvals::{Approvals, ApprovalsError};
use crate::folders::Folders;
use crate::poll::Interests;
use crate::store::Task;
use crate::task::TaskId;

/// How long supervisors have to answer, all of them.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a task is at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Now {
    /// How it is held, if its supervisor has said so.
    pub(super) posture: Option<Posture>,
    /// The approvals that it waits for.
    pub(super) waiting: Vec<String>,
}

/// What tasks are at; nothing of those that have ended.
#[derive(Debug, Default)]
pub(super) struct All(BTreeMap<TaskId, Now>);

impl All {
    /// Looks.
    pub(super) fn look<'a>(folders: &Folders, tasks: impl Iterator<Item = &'a Task>) -> Self {
        let alive: Vec<&Task> = tasks.filter(|task| task.outcome.is_none()).collect();
        if alive.is_empty() {
            return Self::default();
        }
        let mut waiting = waiting(folders).unwrap_or_else(|error| {
            eprintln!("ampoule: what waits is not known: {}", chain(&error));
            BTreeMap::new()
        });
        let postures = postures(&alive);
        let now = alive.iter().map(|task| {
            let waiting = waiting.remove(task.id.as_str()).unwrap_or_default();
            let posture = postures.get(&task.id).copied();
            (task.id.clone(), Now { posture, waiting })
        });
        Self(now.collect())
    }

    /// What a task is at.
    pub(super) fn of(&self, task: &Task) -> Now {
        self.0.get(&task.id).cloned().unwrap_or_default()
    }
}

fn waiting(folders: &Folders) -> Result<BTreeMap<String, Vec<String>>, ApprovalsError> {
    let filter = Filter {
        task: None,
        waiting: true,
    };
    let mut waiting: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in Approvals::open(folders)?
        .list(&filter)?
        .into_iter()
        .flatten()
    {
        let of = waiting.entry(item.task().to_owned()).or_default();
        of.push(item.id().to_string());
    }
    Ok(waiting)
}

fn postures(tasks: &[&Task]) -> BTreeMap<TaskId, Posture> {
    let asked = tasks.iter().filter_map(|task| {
        let client = Client::connect(task).ok()?;
        client.send(&Request::Hold(None)).ok()?;
        Some((task.id.clone(), client))
    });
    let mut asked: BTreeMap<TaskId, Client> = asked.collect();
    let mut postures = BTreeMap::new();
    let until = Instant::now() + PATIENCE;
    while !asked.is_empty() && Instant::now() < until {
        let mut interests = Interests::new();
        let mut ids = Vec::new();
        for (at, (id, client)) in asked.iter().enumerate() {
            interests.read(client.as_fd(), at);
            ids.push(id.clone());
        }
        let Ok(ready) = interests.wait(Some(until)) else {
            break;
        };
        for id in ready.into_iter().filter_map(|at| ids.get(at)) {
            let Some(client) = asked.get_mut(id) else {
                continue;
            };
            match client.events().as_deref() {
                Ok([]) => continue,
                Ok([Event::Held(held), ..]) => {
                    postures.insert(id.clone(), held.posture);
                }
                // It is ending.
                Ok(_) | Err(_) => {}
            }
            asked.remove(id);
        }
    }
    postures
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    use policy::approval::Ask;
    use policy::posture::Held;

    use super::*;
    use crate::api::{Lines, send_line};
    use crate::approvals::sample::{ask, put};
    use crate::sockets;
    use crate::store::sample::task;

    /// A task with somebody who listens for its clients.
    fn listening(dir: &Path, id: &str) -> (Task, UnixListener) {
        let runtime = dir.join(id);
        std::fs::create_dir(&runtime).unwrap();
        let listener = sockets::listener(&runtime.join(sockets::API)).unwrap();
        let task = Task {
            id: id.parse().unwrap(),
            runtime,
            ..task(None)
        };
        (task, listener)
    }

    fn answer(listener: &UnixListener, posture: Posture) {
        let (client, _) = listener.accept().unwrap();
        let mut lines = Lines::default();
        lines.receive(&client, true).unwrap();
        let request: Option<Request> = lines.take().unwrap();
        assert_eq!(request, Some(Request::Hold(None)));
        let held = Held {
            posture,
            ..Held::default()
        };
        send_line(&client, &Event::Held(held), None, true).unwrap();
    }

    #[test]
    fn a_supervisor_that_does_not_answer_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        let (answers, listener) = listening(dir.path(), "0000aaaa");
        let (silent, _silent) = listening(dir.path(), "0000bbbb");
        let gone = Task {
            id: "0000cccc".parse().unwrap(),
            ..task(None)
        };
        let approvals = Approvals::open(&folders).unwrap();
        let of = silent.id.to_string();
        put(
            &approvals,
            &Ask {
                task: of,
                ..ask("k3", "build")
            },
        );
        let tasks = [answers, silent, gone];
        let server = std::thread::spawn(move || answer(&listener, Posture::Paused));
        let begun = Instant::now();
        let all = All::look(&folders, tasks.iter());
        server.join().unwrap();
        assert!(begun.elapsed() < 10 * PATIENCE);
        let [answers, silent, gone] = tasks.map(|task| all.of(&task));
        assert_eq!(
            (answers.posture, answers.waiting.len()),
            (Some(Posture::Paused), 0)
        );
        assert_eq!(
            (silent.posture, silent.waiting.as_slice()),
            (None, &["k3".to_owned()][..])
        );
        assert_eq!(gone, Now::default());
    }
}
