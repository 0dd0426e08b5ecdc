// SPDX-License-Identifier: Apache-2.0
//! What is recorded of a task's actions, before they happen.
//!
//! Durable before an answer goes out: what people are asked and said, what is refused, and what is
//! allowed above a floor of risk. The rest may be lost with the host's power, and shows as a gap.
//! Where nothing can be recorded, nothing is allowed.

use std::fmt::Debug;

use crate::events::{Event, Events, What};

/// Risk, in basis points, from which an allow is durable before it goes out: half of where people
/// are asked on the first day.
pub const FLOOR: u16 = 2000;

/// Where it is recorded.
pub trait Record: Debug {
    /// Records it, by and by.
    fn note(&mut self, event: Event);

    /// Records it, durable when this returns.
    ///
    /// # Errors
    /// In a line, why it is not.
    fn seal(&mut self, event: Event) -> Result<(), String>;

    /// Why nothing could be recorded the last time, if so.
    fn broken(&self) -> Option<String>;
}

impl Record for Events {
    fn broken(&self) -> Option<String> {
        Events::broken(self)
    }

    fn note(&mut self, event: Event) {
        Events::note(self, event);
    }

    fn seal(&mut self, event: Event) -> Result<(), String> {
        let sealed = Events::seal(self, event);
        sealed.map(drop).map_err(|error| crate::cli::chain(&error))
    }
}

/// The record of one task.
#[derive(Debug)]
pub struct Book {
    task: String,
    record: Box<dyn Record>,
}

impl Book {
    /// Of this task.
    #[must_use]
    pub fn new(task: String, record: Box<dyn Record>) -> Self {
        Self { task, record }
    }

    /// Records it, by and by.
    pub fn note(&mut self, root: Option<u64>, what: What) {
        let event = self.event(root, what);
        self.record.note(event);
    }

    /// Records it, durable when this returns.
    ///
    /// # Errors
    /// In a line, why it is not.
    pub fn seal(&mut self, root: Option<u64>, what: What) -> Result<(), String> {
        let event = self.event(root, what);
        self.record.seal(event)
    }

    /// Why nothing could be recorded the last time, if so.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        self.record.broken()
    }

    fn event(&self, root: Option<u64>, what: What) -> Event {
        Event {
            task: Some(self.task.clone()),
            root,
            what,
        }
    }
}
