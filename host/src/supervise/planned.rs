// SPDX-License-Identifier: Apache-2.0
//! A plan that people gave, until its verdict: there is no guest yet, and whoever asks for the
//! task is served all the same.
//!
//! What ends a task ends this one at once: a signal, `kill`, `stop`, the posture *ended*. What
//! needs a guest is refused with the approval that is waited for.

use std::os::fd::AsFd;

use policy::posture::Posture;

use super::clients::Clients;
use super::gate::{self, Gate, Said};
use super::run::MAIN;
use super::verdict;
use crate::api::{self, Event, Request};
use crate::gate::wire::Hold;
use crate::poll::Interests;
use crate::sys::signals::Signals;
use crate::task::{End, Kind, Outcome, Spec, code};

/// What a task has before it has a guest.
type Parts = (Gate, Clients);

#[derive(Clone, Copy, Debug)]
enum Name {
    Gate,
    Signal,
    Client(Option<u64>),
}

/// Why the plan is not carried out: what `ampoule run` returns, and why.
type No = (u8, Kind, String);

/// Waits for the verdict on a plan, if the task has one, and says that its first step is about to
/// start. `asks` is called when people are asked about it.
///
/// # Errors
/// How the task ended, which the record has been told.
pub(super) fn judge(
    (gate, clients): Parts,
    spec: &Spec,
    signals: &Signals,
    asks: &mut dyn FnMut(),
) -> Result<Parts, Box<Outcome>> {
    if spec.plan.is_none() {
        return Ok((gate, clients));
    }
    let mut waiting = Waiting { gate, clients };
    let judged = loop {
        match waiting.turn(signals, asks) {
            Ok(false) => {}
            Ok(true) => break Ok(()),
            Err(no) => break Err(no),
        }
    };
    let Waiting { mut gate, clients } = waiting;
    let Err((code, kind, why)) = judged else {
        if let Some(first) = gate::step_root(spec, MAIN) {
            gate.root(first);
        }
        return Ok((gate, clients));
    };
    let end = End::new(kind, why);
    gate.ended(code, &end.how());
    Err(Box::new(Outcome::new(code, end)))
}

struct Waiting {
    gate: Gate,
    clients: Clients,
}

impl Waiting {
    /// Waits once; whether the plan may be carried out.
    fn turn(&mut self, signals: &Signals, asks: &mut dyn FnMut()) -> Result<bool, No> {
        let Some(gate) = self.gate.descriptor() else {
            return Err(lost("the policy loop is lost".to_owned()));
        };
        let mut interests = Interests::new();
        interests.read(gate, Name::Gate);
        interests.read(signals.as_fd(), Name::Signal);
        self.clients.interests(&mut interests, Name::Client);
        let ready = interests.wait(None).map_err(|error| failed(&error))?;
        for name in ready {
            match name {
                Name::Signal => interrupted(signals)?,
                Name::Client(None) => self.clients.accept(),
                Name::Client(Some(number)) => self.client(number)?,
                Name::Gate => {
                    if self.judged(asks)? {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Hears what the loop says.
    fn judged(&mut self, asks: &mut dyn FnMut()) -> Result<bool, No> {
        for said in self.gate.read() {
            match said {
                Said::PlanAllowed => return Ok(true),
                Said::PlanDenied(why) | Said::Refused(why) => {
                    let why = format!("the plan was refused: {why}");
                    return Err((code::FAILED, Kind::Refused, why));
                }
                Said::Lost(why) => return Err(lost(why)),
                Said::Line(_, line) | Said::Warning(line) => eprintln!("ampoule: {line}"),
                _ => {}
            }
        }
        if self.gate.waits_for().is_some() {
            asks();
        }
        Ok(false)
    }

    fn client(&mut self, number: u64) -> Result<(), No> {
        // One that has gone had nothing here.
        for request in self.clients.read(number).unwrap_or_default() {
            self.serve(number, request)?;
        }
        Ok(())
    }

    fn serve(&mut self, number: u64, request: Request) -> Result<(), No> {
        let event = match request {
            Request::Hold(Some(hold)) if hold.posture == Some(Posture::Ended) => {
                return Err(self.end(number, hold));
            }
            Request::Kill => {
                self.clients.tell(number, &Event::Accepted, None);
                let why = "the task was killed before its plan was carried out";
                return Err((code::KILLED, Kind::Killed, why.to_owned()));
            }
            Request::Stop(_) => {
                self.clients.tell(number, &Event::Accepted, None);
                let why = "the task was stopped before its plan was carried out";
                return Err((code::KILLED, Kind::Stopped, why.to_owned()));
            }
            Request::Hold(None) => Event::Held(self.gate.held().clone()),
            Request::Signal(_) | Request::Resize(_) => return Ok(()),
            Request::Hold(Some(_))
            | Request::Exec(_)
            | Request::ReadFiles(_)
            | Request::WriteFiles(_)
            | Request::Fork => Event::Refused(self.why_not()),
        };
        self.clients.tell(number, &event, None);
        Ok(())
    }

    /// Somebody ends it, which the loop records.
    fn end(&mut self, number: u64, hold: api::Hold) -> No {
        let mut to = self.gate.held().clone();
        to.posture = Posture::Ended;
        self.clients.tell(number, &Event::Held(to.clone()), None);
        let why = format!("{} ended the task (posture)", hold.by);
        let (by, reason) = (hold.by, hold.why);
        self.gate.hold(Hold {
            to,
            by,
            why: reason,
        });
        (code::KILLED, Kind::Posture, why)
    }

    /// What needs a guest has none.
    fn why_not(&self) -> String {
        match self.gate.waits_for() {
            Some(approval) => format!(
                "the task's plan waits for a person before there is a guest: see `ampoule \
                 approvals show {approval}`, or end the task with `ampoule kill`"
            ),
            None => "the task's plan is still being judged; try again".to_owned(),
        }
    }
}

fn interrupted(signals: &Signals) -> Result<(), No> {
    while let Ok(Some(signal)) = signals.next() {
        if signal != libc::SIGWINCH {
            let (code, why) = verdict::interrupted(signal, "it");
            return Err((code, Kind::Interrupted, why));
        }
    }
    Ok(())
}

fn lost(why: String) -> No {
    (code::FAILED, Kind::GateLost, why)
}

fn failed(error: &std::io::Error) -> No {
    let why = format!("the supervisor failed: {error}");
    (code::FAILED, Kind::HostFailed, why)
}
