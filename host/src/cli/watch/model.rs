// SPDX-License-Identifier: Apache-2.0
//! What is known and what is looked at: all that is drawn, and all that a key depends on.
//!
//! It is told of tasks, events, approvals and the time, and reads nothing itself.

use std::collections::HashMap;

use policy::approval::{Item, ItemId};

use super::keys::Prompt;
use super::story::Story;
use crate::cli::events::phrase::utc;
use crate::events::{Line, Text, What};

/// How long something must have been on the screen before a key decides it, when no key brought
/// it there: what moved under a finger is not what the finger meant.
const STEADY_MS: u64 = 700;

/// Ended tasks that are listed.
const ENDED: usize = 30;

/// Tasks whose events are kept.
const STORIES: usize = 256;

/// A task as it is recorded; printable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    /// Its id.
    pub(super) id: String,
    /// Its image.
    pub(super) image: String,
    /// `running`, `exited 0`.
    pub(super) state: String,
    /// When it was recorded.
    pub(super) created_ms: u64,
    /// Whether it has not ended.
    pub(super) alive: bool,
}

/// A task as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// As it is recorded.
    pub(super) task: Task,
    /// How tightly it is held.
    pub(super) posture: String,
    /// Approvals that wait for people.
    pub(super) waits: Vec<String>,
}

/// A part of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pane {
    /// The tasks.
    Tasks,
    /// What the selected task did.
    Actions,
    /// The approvals that wait.
    Approvals,
    /// The selected approval.
    Page,
}

/// What was on the screen, as it was drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drawn {
    /// The approval that was to be read.
    pub(super) page: Option<(ItemId, u32)>,
    /// The first line of it that was.
    pub(super) top: usize,
    /// Lines of it below.
    pub(super) below: usize,
    /// Lines of the pane that has the keys.
    pub(super) height: usize,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Model {
    /// Now.
    pub(super) now_ms: u64,
    /// The only task that is looked at.
    pub(super) only: Option<String>,
    /// The tasks that are recorded.
    pub(super) tasks: Vec<Task>,
    /// What they did.
    pub(super) stories: HashMap<String, Story>,
    /// The approvals that wait.
    pub(super) waiting: Vec<Item>,
    /// Where the keys go.
    pub(super) focus: Pane,
    /// Whether that pane has the whole screen.
    pub(super) zoom: bool,
    /// The selected task.
    pub(super) task: Option<String>,
    /// The selected approval, and its revision when it was selected.
    pub(super) approval: Option<(ItemId, u32)>,
    /// Lines of actions below the screen.
    pub(super) up: usize,
    /// Lines of the approval above the screen.
    pub(super) top: usize,
    /// What is being asked.
    pub(super) prompt: Option<Prompt>,
    /// Whether the keys are explained.
    pub(super) help: bool,
    /// What the last command came to.
    pub(super) message: String,
    /// What cannot be read.
    pub(super) faults: Vec<String>,
    /// What is missing in the record; until a key says that it was read.
    pub(super) gap: Option<String>,
    /// Whether the record is not read to its end yet.
    pub(super) reading: bool,
    /// What was drawn last.
    pub(super) drawn: Drawn,
    /// When what is to be decided changed without a key.
    turned_ms: u64,
    /// The approval that a key brought here, at the revision it had then.
    chosen: Option<(ItemId, u32)>,
    /// Whether the record began anew.
    replaced: bool,
}

impl Model {
    /// Of nothing yet.
    pub(super) fn new(only: Option<String>, now_ms: u64) -> Self {
        Self {
            now_ms,
            only,
            tasks: Vec::new(),
            stories: HashMap::new(),
            waiting: Vec::new(),
            focus: Pane::Tasks,
            zoom: false,
            task: None,
            approval: None,
            up: 0,
            top: 0,
            prompt: None,
            help: false,
            message: String::new(),
            faults: Vec::new(),
            gap: None,
            reading: true,
            drawn: Drawn::default(),
            turned_ms: 0,
            chosen: None,
            replaced: false,
        }
    }

    /// What time it is; says whether that can be seen: what waits may be late, and ages grow.
    pub(super) fn tick(&mut self, now_ms: u64) -> bool {
        let other = now_ms / 1000 != self.now_ms / 1000;
        self.now_ms = now_ms;
        let mut waiting = self.waiting.iter();
        let late = waiting.any(|item| !item.state_at(now_ms).waits());
        if late {
            self.set_waiting(self.waiting.clone());
        }
        late || other && (!self.waiting.is_empty() || self.tasks.iter().any(|task| task.alive))
    }

    /// Takes a line of the record; says whether that can be seen.
    pub(super) fn take(&mut self, line: &Line) -> bool {
        if line.place.offset == 0 && line.place.line == 1 && !self.stories.is_empty() {
            self.replaced = true;
        }
        let head = match &line.text {
            Text::Event(event) => &event.head,
            Text::Foreign(head) => head,
            Text::Unreadable(why) => {
                let at = line.place.line;
                self.gap = Some(format!("line {at} of the record is no event: {why}"));
                return true;
            }
        };
        if let Text::Event(event) = &line.text
            && let What::Gap { lost, why } = &event.what
        {
            let day = utc(event.head.at_ms);
            let day = day.get(..16).unwrap_or_default();
            self.gap = Some(format!("{day}: {lost} events or more are missing: {why}"));
        }
        let Some(id) = head.task.clone() else {
            return true;
        };
        if self.only.as_ref().is_some_and(|only| *only != id) {
            return false;
        }
        let selected = self.task.as_ref() == Some(&id);
        let story = self.stories.entry(id).or_default();
        if self.replaced && story.has(head) {
            return false;
        }
        let before = story.deeds().len();
        match &line.text {
            Text::Event(event) => story.take(event),
            _ => story.foreign(head),
        }
        // What is looked at further up stays where it is.
        if selected && self.up > 0 && story.deeds().len() > before {
            self.up = self.up.saturating_add(1);
        }
        self.forget();
        true
    }

    /// Keeps what is known of tasks bounded: what ended longest ago goes first.
    fn forget(&mut self) {
        if self.stories.len() <= STORIES {
            return;
        }
        let others = (self.stories.iter()).filter(|(id, _)| self.task.as_ref() != Some(*id));
        let oldest = others.min_by_key(|(_, story)| (!story.ended, story.last_ms));
        if let Some(id) = oldest.map(|(id, _)| id.clone()) {
            self.stories.remove(&id);
        }
    }

    /// Takes the tasks as they are recorded.
    pub(super) fn set_tasks(&mut self, mut tasks: Vec<Task>) {
        tasks.retain(|task| self.only.as_ref().is_none_or(|only| *only == task.id));
        tasks.sort_by(|a, b| {
            let newest = (b.alive, b.created_ms).cmp(&(a.alive, a.created_ms));
            newest.then_with(|| a.id.cmp(&b.id))
        });
        let alive = tasks.iter().filter(|task| task.alive).count();
        tasks.truncate(alive.saturating_add(ENDED));
        self.tasks = tasks;
        self.select();
    }

    /// Takes the approvals that wait.
    pub(super) fn set_waiting(&mut self, mut items: Vec<Item>) {
        let now = self.now_ms;
        items.retain(|item| {
            let ours = self.only.as_ref().is_none_or(|only| only == item.task());
            ours && item.state_at(now).waits()
        });
        let before = self.open().map(key);
        let at = self.at();
        self.waiting = items;
        if self.open().is_none() {
            let last = self.waiting.len().saturating_sub(1);
            let next = self.waiting.get(at.min(last)).map(key);
            self.approval = next;
            self.top = 0;
        }
        if self.open().map(key) != before {
            self.turned();
        }
        self.check_prompt();
        self.select();
    }

    /// Takes back a question about what is not as it was when it was asked. Its place on the
    /// screen stays taken: somebody may be writing.
    fn check_prompt(&mut self) {
        let target = match &self.prompt {
            None | Some(Prompt::Gone(..)) => return,
            Some(prompt) => prompt.target(),
        };
        let id = &target.id;
        let now = self.waiting.iter().find(|item| item.id() == id);
        let why = match now {
            None => format!("{id} does not wait any more; nothing was decided by you"),
            Some(item) if target.decides_revision && item.revision() != target.revision => format!(
                "{id} has changed (revision {}, now {}) and nothing was decided; look at it again",
                target.revision,
                item.revision()
            ),
            Some(_) => return,
        };
        let target = target.clone();
        self.message.clear();
        self.prompt = Some(Prompt::Gone(target, why));
    }

    /// Sees to it that something is selected where there is something.
    fn select(&mut self) {
        let listed = self.ids();
        let there = self.task.as_ref().is_some_and(|id| listed.contains(id));
        if !there {
            self.task = listed.into_iter().next();
            self.up = 0;
        }
    }

    /// The ids of the tasks that are listed, in order.
    pub(super) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        let asked = self.waiting.iter().map(|item| item.task().to_owned());
        let known = self.tasks.iter().map(|task| task.id.clone());
        let unknown = asked.filter(|id| !self.tasks.iter().any(|task| task.id == *id));
        for id in unknown.chain(known).chain(self.only.clone()) {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// The tasks that are listed.
    pub(super) fn listed(&self) -> Vec<Listed> {
        let listed = self.ids().into_iter().map(|id| {
            let story = self.stories.get(&id);
            let waits = self.waiting.iter().filter(|item| item.task() == id);
            let posture = story.and_then(|story| story.posture.clone());
            Listed {
                waits: waits.map(|item| item.id().to_string()).collect(),
                posture: posture.unwrap_or_else(|| "-".to_owned()),
                task: self.recorded(id, story),
            }
        });
        listed.collect()
    }

    /// A task by its record, or by what else is known of it.
    fn recorded(&self, id: String, story: Option<&Story>) -> Task {
        if let Some(task) = self.tasks.iter().find(|task| task.id == id) {
            return task.clone();
        }
        let asked = self.waiting.iter().find(|item| item.task() == id);
        let first = story.map(|story| story.first_ms).filter(|ms| *ms > 0);
        Task {
            created_ms: first.or(asked.map(Item::asked_ms)).unwrap_or(self.now_ms),
            image: story
                .and_then(|story| story.image.clone())
                .unwrap_or_else(|| "-".to_owned()),
            state: "no record".to_owned(),
            alive: false,
            id,
        }
    }

    /// What the selected task did.
    pub(super) fn story(&self) -> Option<&Story> {
        self.stories.get(self.task.as_ref()?)
    }

    /// The selected approval.
    pub(super) fn open(&self) -> Option<&Item> {
        let (id, _) = self.approval.as_ref()?;
        self.waiting.iter().find(|item| item.id() == id)
    }

    /// Where it is in the list.
    pub(super) fn at(&self) -> usize {
        let Some((id, _)) = &self.approval else {
            return 0;
        };
        let at = self.waiting.iter().position(|item| item.id() == id);
        at.unwrap_or(0)
    }

    /// Selects another approval, as a key says.
    pub(super) fn turn_to(&mut self, at: usize) {
        let Some(item) = self.waiting.get(at) else {
            return;
        };
        if self.open().map(Item::id) != Some(item.id()) {
            self.top = 0;
        }
        self.approval = Some(key(item));
        self.turned_ms = 0;
        self.choose();
    }

    /// Takes what is selected for what a person wants to see.
    pub(super) fn choose(&mut self) {
        self.chosen = self.open().map(key);
    }

    /// Whether the selected approval is one that a person wanted to see, as it is now. What came
    /// by itself may be on the screen of somebody who is not there.
    pub(super) fn is_chosen(&self) -> bool {
        self.open()
            .is_some_and(|item| self.chosen == Some(key(item)))
    }

    /// What is selected came under the keys just now.
    pub(super) fn turned(&mut self) {
        self.turned_ms = self.now_ms;
    }

    /// Whether what is selected was there long enough to be meant.
    pub(super) fn is_steady(&self) -> bool {
        self.now_ms.saturating_sub(self.turned_ms) >= STEADY_MS || self.turned_ms == 0
    }

    /// Whether the selected approval is on the screen as it is now.
    pub(super) fn is_read(&self) -> bool {
        self.open()
            .is_some_and(|item| self.drawn.page == Some(key(item)))
    }
}

fn key(item: &Item) -> (ItemId, u32) {
    (item.id().clone(), item.revision())
}
