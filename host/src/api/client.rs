// SPDX-License-Identifier: Apache-2.0
//! The client's side: one connection, one request.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::{Event, Lines, Received, Request, send_line};
use crate::sockets;
use crate::store::Task;
use crate::task::TaskId;

/// Why a task's supervisor could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("the supervisor of task {task} does not answer; it has ended or is about to")]
    Unreachable {
        /// Whose.
        task: TaskId,
        /// What connect said.
        #[source]
        source: io::Error,
    },
    /// There is no supervisor any more.
    #[error("task {0} has ended already")]
    EndedAlready(TaskId),
    /// The connection broke.
    #[error("the connection to the supervisor failed")]
    Broken(#[from] io::Error),
    /// The task ended first.
    #[error("the task ended")]
    Ended,
    /// It said no.
    #[error("{0}")]
    Refused(String),
}

/// A connection to a task's supervisor.
#[derive(Debug)]
pub struct Client {
    socket: OwnedFd,
    lines: Lines,
}

impl Client {
    /// Connects to the supervisor of `task`.
    ///
    /// # Errors
    /// [`ClientError::EndedAlready`] by its record, else [`ClientError::Unreachable`].
    pub fn connect(task: &Task) -> Result<Self, ClientError> {
        if task.outcome.is_some() {
            return Err(ClientError::EndedAlready(task.id.clone()));
        }
        let path = task.runtime.join(sockets::API);
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let unreachable = |source| ClientError::Unreachable {
            task: task.id.clone(),
            source,
        };
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)
            .map_err(|e| unreachable(e.into()))?;
        sockets::connect(&socket, &path).map_err(unreachable)?;
        Ok(Self {
            socket,
            lines: Lines::default(),
        })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`ClientError::Ended`] when nobody listens any more.
    pub fn send(&self, request: &Request) -> Result<(), ClientError> {
        match send_line(&self.socket, request, None, true) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ClientError::Ended),
            other => Ok(other?),
        }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// [`ClientError::Ended`] when there will be none.
    pub fn event(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(event) = self.lines.take()? {
                return Ok(event);
            }
            if self.lines.receive(&self.socket, true)? == Received::Closed {
                return Err(ClientError::Ended);
            }
        }
    }

    /// The events that are there now.
    ///
    /// # Errors
    /// [`ClientError::Ended`] when there will be no more.
    pub fn events(&mut self) -> Result<Vec<Event>, ClientError> {
        let received = self.lines.receive(&self.socket, false)?;
        let mut events = Vec::new();
        while let Some(event) = self.lines.take()? {
            events.push(event);
        }
        if events.is_empty() && received == Received::Closed {
            return Err(ClientError::Ended);
        }
        Ok(events)
    }

    /// Waits until the request is attached, and takes its connection.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    pub fn attached(&mut self) -> Result<OwnedFd, ClientError> {
        match self.event()? {
            Event::Attached => self.lines.descriptor().ok_or(ClientError::Ended),
            Event::Refused(why) => Err(ClientError::Refused(why)),
            Event::Failed { detail, .. } => Err(ClientError::Refused(detail)),
            _ => Err(ClientError::Ended),
        }
    }

    /// The descriptor that came with an event.
    pub fn descriptor(&mut self) -> Option<OwnedFd> {
        self.lines.descriptor()
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sample::task;
    use crate::task::{End, Outcome};

    #[test]
    fn a_task_that_has_ended_is_told_from_one_that_does_not_answer() {
        let ended = task(Some(Outcome::new(0, End::exited())));
        let error = Client::connect(&ended).unwrap_err();
        assert_eq!(error.to_string(), "task 7k3m9qwe has ended already");
        let silent = Client::connect(&task(None)).unwrap_err();
        assert!(matches!(silent, ClientError::Unreachable { .. }));
    }
}
