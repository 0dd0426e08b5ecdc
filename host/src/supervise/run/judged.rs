// SPDX-License-Identifier: Apache-2.0
//! What the policy loop says: commands start once it allows them, and not before.

use super::{MAIN, Supervisor};
use crate::api::{Event, ExecRequest};
use crate::stdio::tell;
use crate::supervise::gate::{Said, root};
use crate::supervise::verdict::{Cause, clean, interrupted};
use crate::task::code;

impl Supervisor<'_> {
    /// Hears what the loop says.
    pub(super) fn judged(&mut self) {
        for said in self.gate.read() {
            match said {
                Said::Allowed(root) if root == u64::from(self.command) => {
                    self.allowed = true;
                    self.run_command();
                }
                Said::Allowed(root) => {
                    if let Some((id, request)) = self.held_back(root) {
                        self.run_for_client(id, request);
                    }
                }
                Said::Denied(root, why) if root == u64::from(self.command) => {
                    self.refuse(self.refused(&why));
                }
                Said::Denied(root, why) => {
                    if let Some((id, _)) = self.held_back(root) {
                        let event = Event::Failed {
                            code: code::FAILED,
                            detail: format!("the command was refused: {why}"),
                        };
                        self.clients.tell_about(id, &event, None);
                    }
                }
                Said::Line(root, line) => self.tell_people(root, &line),
                Said::Warning(line) => tell(self.terminal.as_ref(), &line),
                // It was decided before there was a guest; each step is decided when it is next.
                Said::PlanAllowed | Said::PlanDenied(_) => {}
                Said::Held(held) => self.held(&held),
                Said::NotHeld(why) => self.not_held(why),
                Said::Waits(waits) => self.waits(waits),
                Said::Decided => self.wake(),
                Said::Refused(why) => self.refuse(why),
                Said::Lost(why) => self.end_by(Cause::GateLost(why)),
            }
        }
    }

    /// Why the task's command does not run. Of a plan its step is named with the end.
    fn refused(&self, why: &str) -> String {
        match &self.spec.plan {
            Some(_) => format!("the command was refused: {why}"),
            None => format!("'{}' was refused: {why}", clean(&self.spec.command_line())),
        }
    }

    fn refuse(&mut self, why: String) {
        self.end_by(Cause::Refused(why));
    }

    /// Ends the task, unless its command has ended by itself.
    fn end_by(&mut self, cause: Cause) {
        if self.facts.exited.is_none() {
            self.fail(cause);
        }
    }

    /// To whom a command belongs; what nobody waits for here, whoever sees the task's stderr sees.
    fn tell_people(&mut self, root: u64, line: &str) {
        let id = u32::try_from(root).unwrap_or(MAIN);
        if id == self.command
            || !self
                .clients
                .tell_about(id, &Event::Note(line.to_owned()), None)
        {
            tell(self.terminal.as_ref(), line);
        }
    }

    /// Has a client's command judged, and runs it when it is allowed.
    pub(super) fn judge_for_client(&mut self, id: u32, request: ExecRequest) {
        if self.gate.is_gated() == Some(false) {
            return self.run_for_client(id, request);
        }
        let words = (request.argv.as_slice(), request.env.as_slice());
        let root = root(u64::from(id), "exec", words, request.workdir.as_ref());
        self.held.insert(id, request);
        self.gate.root(root);
    }

    /// A client's command that waits for its verdict.
    fn held_back(&mut self, root: u64) -> Option<(u32, ExecRequest)> {
        let id = u32::try_from(root).ok()?;
        Some((id, self.held.remove(&id)?))
    }

    /// A signal for a client's command; one that waits for its verdict is not run any more.
    pub(super) fn signal_of_client(&mut self, id: u32, signal: u32) {
        if !self.let_go(id) {
            return self.signal_command(id, signal);
        }
        let (code, detail) = interrupted(i32::try_from(signal).unwrap_or(0), "the command");
        self.clients
            .tell_about(id, &Event::Failed { code, detail }, None);
    }

    /// Nobody waits for a client's command; whether it was not started yet, and now never is.
    pub(super) fn let_go(&mut self, id: u32) -> bool {
        let waited = self.held.remove(&id).is_some();
        if waited {
            self.gate.gone(u64::from(id));
        }
        waited
    }
}
