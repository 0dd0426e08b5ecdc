// SPDX-License-Identifier: Apache-2.0
//! What waits to be written, and the thread that writes it.
//!
//! Two locks, the record's before the queue's: who writes holds the first from taking what waits
//! until it is in the file, so that lines stay in the order they were noted. `note` takes the
//! second alone, which nobody holds for longer than a push.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::file::{Failed, Record};
use super::line;
use super::what::{Event, What};
use super::{EventsError, now_ms};

/// Events that wait, at most.
pub(super) const WAITING: usize = 4096;

/// Bytes of them, at most.
const BYTES: usize = 16 << 20;

/// How long an event waits for others that are written with it.
const GATHER: Duration = Duration::from_millis(40);

/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(1);

/// How long it waits after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// Its stack: rendering is done where an event is noted.
const STACK: usize = 256 << 10;

/// What all clones and the thread share.
#[derive(Debug)]
pub(super) struct Shared {
    record: Mutex<Record>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Item>,
    bytes: usize,
    /// Why the last write failed.
    broken: Option<String>,
    running: bool,
    stop: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Item {
    /// A line but for its number.
    Body(String),
    /// Events that are not kept, in the place they had.
    Lost {
        count: u64,
        at_ms: u64,
        why: &'static str,
    },
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Body(body) => body.len(),
            Self::Lost { .. } => 0,
        }
    }

    fn body(&self) -> String {
        match self {
            Self::Body(body) => body.clone(),
            Self::Lost { count, at_ms, why } => {
                let (lost, why) = (*count, (*why).to_owned());
                line::body(What::Gap { lost, why }.into(), *at_ms)
            }
        }
    }
}

impl Queue {
    fn push(&mut self, body: String) {
        if self.waiting.len() >= WAITING || self.bytes + body.len() > BYTES {
            return self.lose("they came faster than they could be written");
        }
        self.bytes += body.len();
        self.waiting.push_back(Item::Body(body));
    }

    fn lose(&mut self, why: &'static str) {
        if let Some(Item::Lost { count, .. }) = self.waiting.back_mut() {
            *count = count.saturating_add(1);
            return;
        }
        let (count, at_ms) = (1, now_ms());
        self.waiting.push_back(Item::Lost { count, at_ms, why });
    }

    fn take(&mut self) -> Vec<Item> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into()
    }

    /// What could not be written waits again, before what came since.
    fn give_back(&mut self, items: impl DoubleEndedIterator<Item = Item>) {
        for item in items.rev() {
            self.bytes += item.bytes();
            self.waiting.push_front(item);
        }
    }

    /// How many events wait or are lost.
    fn count(&self) -> u64 {
        let count = |item: &Item| match item {
            Item::Body(_) => 1,
            Item::Lost { count, .. } => *count,
        };
        self.waiting.iter().map(count).fold(0, u64::saturating_add)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nobody panics with it held; if somebody did, the queue is still one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn open(path: PathBuf) -> Result<Self, EventsError> {
        let mut record = Record::at(path);
        record.prepare()?;
        Ok(Self {
            record: Mutex::new(record),
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
        })
    }

    pub(super) fn note(this: &Arc<Self>, event: Event) {
        let body = line::body(event, now_ms());
        let mut queue = locked(&this.queue);
        queue.push(body);
        if !Self::run(this, queue) {
            // No thread is to be had: rather wait for the disk than lose it.
            let _ = this.commit(None);
        }
    }

    pub(super) fn seal(this: &Arc<Self>, event: Event) -> Result<u64, EventsError> {
        let result = this.commit(Some(line::body(event, now_ms())));
        if result.is_err() {
            // It tries again, and says when it can be written.
            Self::run(this, locked(&this.queue));
        }
        result
    }

    /// Has the thread write what waits; says whether there is one.
    fn run(this: &Arc<Self>, mut queue: MutexGuard<'_, Queue>) -> bool {
        if queue.running {
            if queue.waiting.len() == 1 {
                this.changed.notify_all();
            }
            return true;
        }
        // The one before has let go of the queue for good.
        if let Some(before) = queue.thread.take() {
            let _ = before.join();
        }
        queue.stop = false;
        let shared = Arc::clone(this);
        let thread = std::thread::Builder::new()
            .name("events".to_owned())
            .stack_size(STACK);
        queue.thread = thread.spawn(move || shared.serve()).ok();
        queue.running = queue.thread.is_some();
        queue.running
    }

    pub(super) fn broken(&self) -> Option<String> {
        locked(&self.queue).broken.clone()
    }

    pub(super) fn flush(&self) -> Result<(), EventsError> {
        let thread = {
            let mut queue = locked(&self.queue);
            queue.stop = true;
            self.changed.notify_all();
            queue.thread.take()
        };
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        self.commit(None).map(drop)
    }

    /// The last clone is gone.
    pub(super) fn end(&self) {
        if let Err(error) = self.flush() {
            let count = locked(&self.queue).count();
            let error = crate::cli::chain(&error);
            eprintln!("ampoule: {count} events are not recorded: {error}");
        }
    }

    /// Writes what waits and then `sealed`, which is on the disk afterwards; the last number.
    fn commit(&self, sealed: Option<String>) -> Result<u64, EventsError> {
        let mut record = locked(&self.record);
        let items = locked(&self.queue).take();
        let seals = sealed.is_some();
        let bodies: Vec<String> = items.iter().map(Item::body).chain(sealed).collect();
        if bodies.is_empty() {
            return Ok(0);
        }
        let result = match record.append(&bodies) {
            Ok(number) if seals => record.sync().map(|()| number).inspect_err(|_| {
                let text = format!("the disk did not confirm event {number} and those before it");
                let body = line::body(What::Note { text }.into(), now_ms());
                locked(&self.queue).push(body);
            }),
            Ok(number) => Ok(number),
            Err(Failed { written, error }) => {
                let mut queue = locked(&self.queue);
                queue.give_back(items.into_iter().skip(written));
                if seals {
                    queue.lose("they could not be written");
                }
                Err(error)
            }
        };
        let said = |error: &EventsError| crate::cli::chain(error);
        locked(&self.queue).broken = result.as_ref().err().map(said);
        result
    }

    /// The thread.
    fn serve(&self) {
        let mut gather = GATHER;
        loop {
            let mut queue = locked(&self.queue);
            queue = self.wait(queue, IDLE, |queue| queue.waiting.is_empty());
            if queue.stop || queue.waiting.is_empty() {
                queue.running = false;
                return;
            }
            drop(self.wait(queue, gather, |_| true));
            gather = match self.commit(None) {
                Ok(_) => GATHER,
                Err(_) => AGAIN,
            };
        }
    }

    /// Waits while `on` holds and nobody says stop.
    fn wait<'a>(
        &self,
        queue: MutexGuard<'a, Queue>,
        time: Duration,
        on: impl Fn(&Queue) -> bool,
    ) -> MutexGuard<'a, Queue> {
        let on = |queue: &mut Queue| !queue.stop && on(queue);
        let waited = self.changed.wait_timeout_while(queue, time, on);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Keeps everybody from writing.
    #[cfg(test)]
    pub(super) fn hold(&self) -> MutexGuard<'_, Record> {
        locked(&self.record)
    }

    #[cfg(test)]
    pub(super) fn thread_is_gone(&self) -> bool {
        let queue = locked(&self.queue);
        !queue.running && queue.thread.is_none()
    }
}
