// SPDX-License-Identifier: Apache-2.0
//! A line on stderr when something takes long, for people.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What takes no longer needs no word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that may take long; it is over when this is dropped.
#[derive(Debug)]
pub(super) struct Progress(Option<(Sender<()>, JoinHandle<()>)>);

impl Progress {
    /// Says `what` on stderr if it takes more than a second and somebody watches.
    pub(super) fn of(what: String) -> Self {
        if !stderr().is_terminal() {
            return Self(None);
        }
        let (done, wait) = channel();
        let thread = std::thread::spawn(move || {
            if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                eprintln!("ampoule: {what}");
            }
        });
        Self(Some((done, thread)))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.0.take() {
            drop(done);
            let _ = thread.join();
        }
    }
}
