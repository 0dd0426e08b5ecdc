// SPDX-License-Identifier: Apache-2.0
//! What is told to the model: the record of events as it grows, the approvals, the tasks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use policy::approval::Store as _;
use policy::approval::store::Filter;

use super::model::{Model, Task};
use crate::approvals::Approvals;
use crate::cli::{chain, view};
use crate::events::{self, Reader};
use crate::folders::Folders;
use crate::store::{self, State, Store, StoreError};
use crate::supervise::orphans;
use crate::text::printable;

/// How long the record is read before keys are looked at again.
const SLICE: Duration = Duration::from_millis(20);

/// How often the approvals are looked at.
pub(super) const APPROVALS: Duration = Duration::from_millis(200);

/// How often the tasks that run are.
const RUNNING: Duration = Duration::from_secs(1);

/// How often it is looked for those whose supervisor was killed.
const LOST: Duration = Duration::from_secs(5);

/// How often all that are recorded are read: some are removed.
const ALL: Duration = Duration::from_secs(60);

/// What is read.
#[derive(Debug)]
pub(super) struct Feed<'a> {
    folders: &'a Folders,
    store: &'a Store,
    approvals: &'a Approvals,
    reader: Reader,
    /// Of the approvals, when they were read last.
    changes: Option<i64>,
    tasks: BTreeMap<String, Task>,
    due: [Due; 4],
    /// What cannot be read, by what it is of.
    faults: BTreeMap<&'static str, Vec<String>>,
}

/// Something done now and then.
#[derive(Clone, Copy, Debug)]
struct Due {
    each: Duration,
    last: Option<Instant>,
}

impl Due {
    fn new(each: Duration) -> Self {
        Self { each, last: None }
    }

    /// Whether it is time; it is then done.
    fn is_now(&mut self) -> bool {
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now - last >= self.each);
        if due {
            self.last = Some(now);
        }
        due
    }
}

impl<'a> Feed<'a> {
    /// From the beginning.
    pub(super) fn new(folders: &'a Folders, store: &'a Store, approvals: &'a Approvals) -> Self {
        Self {
            folders,
            store,
            approvals,
            reader: Reader::open(&events::path(folders)),
            changes: None,
            tasks: BTreeMap::new(),
            due: [APPROVALS, RUNNING, LOST, ALL].map(Due::new),
            faults: BTreeMap::new(),
        }
    }

    /// Has the approvals read again: this process changed them.
    pub(super) fn decided(&mut self) {
        self.changes = None;
        self.due[0].last = None;
    }

    /// Reads what is new; says whether that can be seen.
    pub(super) fn turn(&mut self, model: &mut Model) -> bool {
        let [approvals, running, lost, all] = &mut self.due;
        let (approvals, running) = (approvals.is_now(), running.is_now());
        let (lost, all) = (lost.is_now(), all.is_now());
        let mut seen = false;
        if lost && self.tasks.values().any(|task| task.alive) {
            let swept = orphans::sweep(self.store, self.folders);
            self.fault("lost", swept.err());
        }
        if running || all {
            let read = self.read_tasks(all);
            seen |= *read.as_ref().unwrap_or(&true);
            self.fault("tasks", read.err());
            if seen {
                model.set_tasks(self.tasks.values().cloned().collect());
            }
        }
        if approvals {
            seen |= self.read_approvals(model);
        }
        seen |= self.read_events(model);
        let faults: Vec<String> = self.faults.values().flatten().cloned().collect();
        seen |= faults != model.faults;
        model.faults = faults;
        seen
    }

    fn fault(&mut self, of: &'static str, error: Option<impl std::error::Error + 'static>) {
        let faults = error.map(|error| chain(&error)).into_iter().collect();
        self.faults.insert(of, faults);
    }

    fn read_events(&mut self, model: &mut Model) -> bool {
        let begun = Instant::now();
        let mut seen = false;
        let before = model.reading;
        model.reading = true;
        while begun.elapsed() < SLICE {
            match self.reader.read() {
                Ok(Some(line)) => seen |= model.take(&line),
                Ok(None) => {
                    model.reading = false;
                    self.faults.remove("events");
                    break;
                }
                Err(error) => {
                    model.reading = false;
                    let text = format!("cannot read the record of events: {}", chain(&error));
                    self.faults.insert("events", vec![text]);
                    break;
                }
            }
        }
        seen || before != model.reading
    }

    fn read_approvals(&mut self, model: &mut Model) -> bool {
        let changes = match self.approvals.changes() {
            Ok(changes) if self.changes == Some(changes) => return false,
            Ok(changes) => changes,
            Err(error) => {
                self.fault("approvals", Some(error));
                return false;
            }
        };
        let filter = Filter {
            task: None,
            waiting: true,
        };
        match self.approvals.list(&filter) {
            Ok(listed) => {
                self.changes = Some(changes);
                let mut damaged = Vec::new();
                let mut items = Vec::new();
                for one in listed {
                    match one {
                        Ok(item) => items.push(item),
                        Err(error) => damaged.push(chain(&error)),
                    }
                }
                self.faults.insert("approvals", damaged);
                model.set_waiting(items);
                true
            }
            Err(error) => {
                self.fault("approvals", Some(error));
                false
            }
        }
    }

    /// Reads the tasks that run, and those that have just ended, or all of them; says whether
    /// they are others than before.
    fn read_tasks(&mut self, all: bool) -> Result<bool, StoreError> {
        let mut now = BTreeMap::new();
        let read = if all {
            self.store.all()?
        } else {
            self.store.alive()?
        };
        now.extend(read.iter().map(named));
        if !all {
            for (id, task) in &self.tasks {
                if task.alive && !now.contains_key(id) {
                    match self.store.find(id) {
                        Ok(task) => now.extend([named(&task)]),
                        Err(StoreError::Unknown(_)) => {}
                        Err(error) => return Err(error),
                    }
                } else if !task.alive {
                    now.insert(id.clone(), task.clone());
                }
            }
        }
        let other = now != self.tasks;
        self.tasks = now;
        Ok(other)
    }
}

fn named(task: &store::Task) -> (String, Task) {
    let id = task.id.as_str().to_owned();
    let task = Task {
        id: id.clone(),
        image: printable(&task.spec.image.to_string()),
        state: view::state(task),
        created_ms: u64::try_from(task.created_ms).unwrap_or(0),
        alive: task.state != State::Ended,
    };
    (id, task)
}
