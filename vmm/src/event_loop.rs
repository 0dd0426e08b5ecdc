// SPDX-License-Identifier: Apache-2.0
//! The event thread: one epoll, and the only file that knows `event-manager`.
//!
//! Two kinds of things wait here. A *device* waits for its queue notifications (eventfds that
//! KVM writes when the driver notifies) and for its backend, one descriptor whatever the device
//! does behind it: a device with many sockets brings its own epoll. A *source* is anything else
//! with a descriptor: the control socket, the life timer, a vCPU's exit. The set is fixed
//! before [`EventLoop::run`]; a source may take itself out.
//!
//! All descriptors are level-triggered: a handler that leaves something to read is called again.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use event_manager::{EventManager, EventOps, EventSet, Events, MutEventSubscriber, SubscriberOps};

use crate::devices::virtio::DeviceError;
use crate::devices::virtio::mmio::Transport;

/// What a source wants after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Call me again.
    Continue,
    /// Never call me again.
    Remove,
    /// Leave [`EventLoop::run`].
    Stop,
}

/// Why the event loop could not be set up, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum EventLoopError {
    /// epoll refused.
    #[error("the event loop's epoll failed")]
    Epoll(#[from] event_manager::Error),
    /// A device met a failure of the host.
    #[error("the device {name} cannot go on")]
    Device {
        /// [`Transport::name`].
        name: &'static str,
        /// What failed.
        #[source]
        source: DeviceError,
    },
}

/// Why [`EventLoop::run`] is to return, sent by a subscriber in the loop's own thread.
type Outcome = Result<(), EventLoopError>;

/// The event thread's loop.
pub struct EventLoop {
    manager: EventManager<Box<dyn MutEventSubscriber + Send>>,
    outcome: Receiver<Outcome>,
    report: Sender<Outcome>,
}

impl std::fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLoop").finish_non_exhaustive()
    }
}

impl EventLoop {
    /// A loop that waits for nothing yet.
    ///
    /// # Errors
    /// The host gives no epoll descriptor.
    pub fn new() -> Result<Self, EventLoopError> {
        let (report, outcome) = channel();
        Ok(Self {
            manager: EventManager::new()?,
            outcome,
            report,
        })
    }

    /// Serves a device: its queue notifications and its backend.
    ///
    /// # Errors
    /// A descriptor cannot be watched, or is watched already.
    pub fn add_device(&mut self, device: Arc<Mutex<Transport>>) -> Result<(), EventLoopError> {
        let (queues, backend) = {
            let device = device.lock().unwrap_or_else(PoisonError::into_inner);
            let queues: Vec<RawFd> = device
                .queue_events()
                .iter()
                .map(AsRawFd::as_raw_fd)
                .collect();
            (queues, device.backend())
        };
        let mut watched: Vec<(RawFd, u32)> = (0..).zip(queues).map(|(i, fd)| (fd, i)).collect();
        watched.extend(backend.map(|fd| (fd, BACKEND)));
        let subscriber = Device {
            device,
            report: self.report.clone(),
        };
        self.watch(Box::new(subscriber), watched)
    }

    /// Calls `handler` whenever `source` is readable or has closed. The loop owns the source and
    /// lends it to the handler.
    ///
    /// # Errors
    /// The descriptor cannot be watched, or is watched already.
    pub fn add_source<S, H>(&mut self, source: S, handler: H) -> Result<(), EventLoopError>
    where
        S: AsRawFd + Send + 'static,
        H: FnMut(&mut S) -> Flow + Send + 'static,
    {
        let fd = source.as_raw_fd();
        let report = self.report.clone();
        let subscriber = Source {
            source,
            handler,
            report,
        };
        self.watch(Box::new(subscriber), vec![(fd, 0)])
    }

    /// Serves devices and sources until a source says [`Flow::Stop`].
    ///
    /// # Errors
    /// epoll failed, or a device met a failure of the host.
    pub fn run(&mut self) -> Result<(), EventLoopError> {
        loop {
            self.manager.run()?;
            if let Ok(outcome) = self.outcome.try_recv() {
                return outcome;
            }
        }
    }

    fn watch(
        &mut self,
        subscriber: Box<dyn MutEventSubscriber + Send>,
        watched: Vec<(RawFd, u32)>,
    ) -> Result<(), EventLoopError> {
        // Registered here and not in the subscriber's `init`, which cannot report an error.
        let id = self.manager.add_subscriber(subscriber);
        let mut ops = self.manager.event_ops(id)?;
        for (fd, data) in watched {
            ops.add(Events::with_data_raw(fd, data, EventSet::IN))?;
        }
        Ok(())
    }
}

/// The event data of a device's backend; smaller numbers are queue indices.
const BACKEND: u32 = u32::MAX;

struct Device {
    /// Also held by the bus, for the vCPU threads.
    device: Arc<Mutex<Transport>>,
    report: Sender<Outcome>,
}

impl MutEventSubscriber for Device {
    fn process(&mut self, events: Events, _: &mut EventOps<'_>) {
        let mut device = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let handled = match events.data() {
            BACKEND => device.handle_backend(),
            // Lossless: queue indices come from `zip` above and are few.
            index => device.handle_queue(index as usize),
        };
        if let Err(source) = handled {
            let name = device.name();
            // The receiver lives as long as the loop this runs in.
            let _ = self
                .report
                .send(Err(EventLoopError::Device { name, source }));
        }
    }

    fn init(&mut self, _: &mut EventOps<'_>) {}
}

struct Source<S, H> {
    source: S,
    handler: H,
    report: Sender<Outcome>,
}

impl<S, H> MutEventSubscriber for Source<S, H>
where
    S: AsRawFd + Send,
    H: FnMut(&mut S) -> Flow + Send,
{
    fn process(&mut self, events: Events, ops: &mut EventOps<'_>) {
        match (self.handler)(&mut self.source) {
            Flow::Continue => {}
            Flow::Remove => {
                if let Err(error) = ops.remove(events) {
                    let _ = self.report.send(Err(error.into()));
                }
            }
            Flow::Stop => {
                let _ = self.report.send(Ok(()));
            }
        }
    }

    fn init(&mut self, _: &mut EventOps<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use vmm_sys_util::eventfd::EventFd;

    #[test]
    fn a_source_is_called_until_it_removes_itself_and_another_stops_the_loop() {
        let mut events = EventLoop::new().unwrap();
        let calls = Arc::new(AtomicU32::new(0));
        let (counted, loud) = (calls.clone(), EventFd::new(0).unwrap());
        loud.write(1).unwrap();
        events
            .add_source(loud, move |_| {
                match counted.fetch_add(1, Ordering::SeqCst) {
                    0 | 1 => Flow::Continue,
                    _ => Flow::Remove,
                }
            })
            .unwrap();
        let (counted, stop) = (calls.clone(), EventFd::new(0).unwrap());
        stop.write(1).unwrap();
        events
            .add_source(stop, move |_| match counted.load(Ordering::SeqCst) {
                3 => Flow::Stop,
                _ => Flow::Continue,
            })
            .unwrap();
        events.run().unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_descriptor_that_cannot_be_watched_is_an_error() {
        let mut events = EventLoop::new().unwrap();
        let file = tempfile::tempfile().unwrap();
        assert!(events.add_source(file, |_| Flow::Stop).is_err());
    }
}
