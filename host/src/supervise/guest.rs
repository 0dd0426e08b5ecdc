// SPDX-License-Identifier: Apache-2.0
//! The two connections of a guest that carry messages: guest-init's and the agent's.
//!
//! ```text
//! control:  Hello ─► Assignment ─► BootReport, Heartbeat* ─► Goodbye
//! agent:    Hello ─► Ready ─► (Exec ─► Started | ExecFailed ─► Exited)*
//! restored: Assignment ─► Resumed, on the control connection; then as above
//! copied:   Pause ─► Paused ─► Continue, on the agent's, with a snapshot between the last two;
//!           in the copy Assignment ─► Resumed, Continue
//! ```
//!
//! The greeting comes first and once, in this version; anything else breaks the protocol, and
//! that ends the task.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::os::fd::OwnedFd;

use protocol::messages::{
    BootReport, ExecFailed, Exited, Goodbye, Heartbeat, Hello, Paused, Ready, Resumed, Started,
};
use protocol::{Frame, FrameError, Kind, VERSION, ports};

use super::wire::Wire;

/// What init may say.
const INIT: &[Kind] = &[
    Kind::Hello,
    Kind::BootReport,
    Kind::Heartbeat,
    Kind::Goodbye,
    Kind::Resumed,
];

/// What the agent may say.
const AGENT: &[Kind] = &[
    Kind::Hello,
    Kind::Ready,
    Kind::Started,
    Kind::ExecFailed,
    Kind::Exited,
    Kind::Paused,
];

/// How a guest broke the protocol.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A frame that is wrong.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Something came before the greeting, or a second greeting.
    #[error("frame {0:?} came out of order")]
    Order(Kind),
    /// A guest of another version.
    #[error(
        "the image speaks version {0} of the protocol, this ampoule {VERSION}; build the image anew"
    )]
    Version(u32),
}

/// What a guest said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Init greets; the assignment is due.
    Hello(Hello),
    /// When init's steps were done.
    Report(BootReport),
    /// Init lives.
    Heartbeat(Heartbeat),
    /// Init's last word.
    Goodbye(Goodbye),
    /// The agent can take an exec.
    Ready(Ready),
    /// A restored guest has taken up its assignment; its agent was ready before.
    Resumed(Resumed),
    /// All commands stand still, or do not.
    Paused(Paused),
    /// A command runs.
    Started(Started),
    /// A command did not start.
    NotStarted(ExecFailed),
    /// A command ended.
    Exited(Exited),
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// guest-init.
    Init,
    /// guest-agent.
    Agent,
}

/// One of the two connections.
#[derive(Debug, Default)]
pub struct Link {
    wire: Option<Wire>,
    greeted: bool,
}

impl Link {
    /// Whether it was made and has ended.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| !wire.is_open())
    }

    /// The connection, while it is open.
    #[must_use]
    pub fn open(&self) -> Option<&Wire> {
        self.wire.as_ref().filter(|wire| wire.is_open())
    }
}

/// The connections of one guest.
#[derive(Debug, Default)]
pub struct Guest {
    /// guest-init's.
    pub init: Link,
    /// guest-agent's.
    pub agent: Link,
    restored: bool,
}

impl Guest {
    /// A guest that greeted whoever stored it, and will not again.
    #[must_use]
    pub fn restored() -> Self {
        let mut guest = Self {
            restored: true,
            ..Self::default()
        };
        guest.init.greeted = true;
        guest.agent.greeted = true;
        guest
    }

    /// Whether it goes on from a snapshot.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// Takes a connection to port CONTROL or AGENT. A second one is closed at once: who comes
    /// first was there before any command.
    pub fn connected(&mut self, port: u32, socket: OwnedFd) {
        let (link, accepts) = match port {
            ports::CONTROL => (&mut self.init, INIT),
            ports::AGENT => (&mut self.agent, AGENT),
            _ => return,
        };
        if link.wire.is_none() {
            link.wire = Some(Wire::new(socket, accepts));
        }
    }

    fn link(&mut self, role: Role) -> &mut Link {
        match role {
            Role::Init => &mut self.init,
            Role::Agent => &mut self.agent,
        }
    }

    /// Reads what one of them has said.
    ///
    /// # Errors
    /// When the guest broke the protocol.
    pub fn read(&mut self, role: Role) -> Result<Vec<Said>, GuestError> {
        let mut said = Vec::new();
        let link = self.link(role);
        let Some(wire) = &mut link.wire else {
            return Ok(said);
        };
        wire.flush();
        wire.receive()?;
        while let Some(frame) = wire.take()? {
            if (frame.kind == Kind::Hello) == link.greeted {
                return Err(GuestError::Order(frame.kind));
            }
            let greets = frame.kind == Kind::Hello;
            let word = parse(&frame)?;
            if let Said::Hello(hello) = &word
                && hello.version != VERSION
            {
                return Err(GuestError::Version(hello.version));
            }
            link.greeted = true;
            if !(greets && role == Role::Agent) {
                said.push(word);
            }
        }
        Ok(said)
    }

    /// Sends a message to one of them. To one that is not there it is lost.
    ///
    /// # Errors
    /// When the guest does not read.
    pub fn post(&mut self, role: Role, kind: Kind, body: &[u8]) -> Result<(), GuestError> {
        match &mut self.link(role).wire {
            Some(wire) if wire.is_open() => Ok(wire.post(kind, body)?),
            _ => Ok(()),
        }
    }
}

fn parse(frame: &Frame) -> Result<Said, FrameError> {
    let kind = frame.kind;
    Ok(match kind {
        Kind::Hello => Said::Hello(frame.decode(kind)?),
        Kind::BootReport => Said::Report(frame.decode(kind)?),
        Kind::Heartbeat => Said::Heartbeat(frame.decode(kind)?),
        Kind::Goodbye => Said::Goodbye(frame.decode(kind)?),
        Kind::Ready => Said::Ready(frame.decode(kind)?),
        Kind::Resumed => Said::Resumed(frame.decode(kind)?),
        Kind::Paused => Said::Paused(frame.decode(kind)?),
        Kind::Started => Said::Started(frame.decode(kind)?),
        Kind::ExecFailed => Said::NotStarted(frame.decode(kind)?),
        Kind::Exited => Said::Exited(frame.decode(kind)?),
        kind => return Err(FrameError::Unexpected { kind }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::write_message;
    use std::os::unix::net::UnixStream;

    fn guest(port: u32) -> (UnixStream, Guest) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        let mut guest = Guest::default();
        guest.connected(port, ours.into());
        (theirs, guest)
    }

    fn hello(version: u32) -> Hello {
        Hello {
            version,
            boot_ns: 5,
        }
    }

    #[test]
    fn the_agent_greets_and_is_ready() {
        let (mut theirs, mut guest) = guest(ports::AGENT);
        write_message(&mut theirs, Kind::Hello, &hello(VERSION)).unwrap();
        write_message(&mut theirs, Kind::Ready, &Ready { boot_ns: 7 }).unwrap();
        assert_eq!(
            guest.read(Role::Agent).unwrap(),
            [Said::Ready(Ready { boot_ns: 7 })]
        );
        drop(theirs);
        assert!(guest.read(Role::Agent).unwrap().is_empty());
        assert!(guest.agent.is_lost() && !guest.init.is_lost());
    }

    #[test]
    fn another_version_is_refused_with_what_to_do() {
        let (mut theirs, mut guest) = guest(ports::CONTROL);
        write_message(&mut theirs, Kind::Hello, &hello(VERSION + 1)).unwrap();
        let error = guest.read(Role::Init).unwrap_err().to_string();
        assert!(error.contains("build the image"), "{error}");
    }

    #[test]
    fn a_word_before_the_greeting_or_a_second_greeting_breaks_the_protocol() {
        let (mut theirs, mut guest) = guest(ports::CONTROL);
        write_message(&mut theirs, Kind::Goodbye, &Goodbye::default()).unwrap();
        assert!(matches!(
            guest.read(Role::Init),
            Err(GuestError::Order(Kind::Goodbye))
        ));
        let (mut theirs, mut guest) = self::guest(ports::CONTROL);
        write_message(&mut theirs, Kind::Hello, &hello(VERSION)).unwrap();
        write_message(&mut theirs, Kind::Hello, &hello(VERSION)).unwrap();
        assert!(matches!(
            guest.read(Role::Init),
            Err(GuestError::Order(Kind::Hello))
        ));
    }

    #[test]
    fn the_agents_words_are_not_inits() {
        let (mut theirs, mut guest) = guest(ports::CONTROL);
        write_message(&mut theirs, Kind::Ready, &Ready::default()).unwrap();
        assert!(guest.read(Role::Init).is_err());
    }
}
