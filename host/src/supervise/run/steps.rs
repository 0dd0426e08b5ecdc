// SPDX-License-Identifier: Apache-2.0
//! A plan's steps: one command after the other in one guest, each a root action of its own, their
//! output in order on the task's own streams.
//!
//! A step that succeeds is followed by the next once all that it wrote was passed on and the loop
//! has allowed that; one that fails is the task's end, as a command's is.

use policy::approval::item::line;
use protocol::messages::Exited;

use super::{MAIN, Streams, Supervisor};
use crate::supervise::gate::step_root;
use crate::supervise::verdict::{Cause, Verdict, clean, exit_of};
use crate::task::{Bytes, Step, code};

impl Supervisor<'_> {
    /// Whether a command of the task's own runs, for signals to go to.
    pub(super) fn runs(&self) -> bool {
        self.started && !self.between && !self.stepping
    }

    /// What runs, or is next.
    pub(super) fn command(&self) -> (&[Bytes], Option<&Bytes>) {
        match self.step(self.command) {
            Some(step) => (&step.argv, step.workdir.as_ref()),
            None => (&self.spec.argv, self.spec.workdir.as_ref()),
        }
    }

    fn step(&self, command: u32) -> Option<&Step> {
        let step = usize::try_from(command.checked_sub(MAIN)?).ok()?;
        self.spec.plan.as_ref()?.steps.get(step)
    }

    /// At which step a plan that was not carried out came to its end, which its reason then names.
    pub(super) fn name_step(&self, verdict: &mut Verdict) -> Option<u32> {
        let plan = self.spec.plan.as_ref()?;
        if verdict.code == code::DONE {
            return None;
        }
        let at = usize::try_from(self.command.checked_sub(MAIN)?).ok()?;
        let action = clean(&line(plan.plan.actions.get(at)?));
        let step = format!("step {} of {}", self.command, plan.steps.len());
        name(verdict, &step, &action);
        Some(self.command)
    }

    /// Whether a command that ended so is followed by another.
    pub(super) fn goes_on(&self, exited: &Exited) -> bool {
        let is_first = !self.stepping && self.facts.exited.is_none();
        let succeeded = exit_of(exited).code() == 0 && !self.facts.stopping;
        is_first && succeeded && self.step(self.command.saturating_add(1)).is_some()
    }

    /// Has the next step judged; it runs once it is allowed.
    pub(super) fn next_step(&mut self) {
        self.stepping = false;
        if self.facts.stopping {
            return self.fail(Cause::Stopped);
        }
        if let Some(pump) = self.pump.take() {
            let (stdout, stderr, log) = pump.into_outputs();
            let input = None;
            self.streams = Some(Streams {
                input,
                stdout,
                stderr,
            });
            self.log = log;
        }
        self.ending.goes_on();
        self.command = self.command.saturating_add(1);
        (self.between, self.allowed, self.broken_pipe_told) = (true, false, false);
        if self.gate.is_gated() == Some(false) {
            self.allowed = true;
            return self.run_command();
        }
        if let Some(root) = step_root(self.spec, self.command) {
            self.gate.root(root);
        }
    }
}

/// Says in a reason which step it is about.
fn name(verdict: &mut Verdict, step: &str, action: &str) {
    let why = verdict.end.detail.take();
    let what = match verdict.exit {
        Some(exit) => format!("{step} ended with {}: {action}", exit.code()),
        None => format!("{step}: {action}"),
    };
    verdict.end.detail = Some(match why {
        Some(why) => format!("{what}; {why}"),
        None => what,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{End, Exit, Kind};

    #[test]
    fn a_step_that_fails_is_named_with_its_code_or_the_reason() {
        let ended = |exit, end| {
            let mut verdict = Verdict { code: 1, exit, end };
            name(&mut verdict, "step 2 of 3", "false");
            verdict.end.detail.unwrap()
        };
        let code = Some(Exit::Code(1));
        assert_eq!(
            ended(code, End::exited()),
            "step 2 of 3 ended with 1: false"
        );
        let full = End {
            detail: Some("scratch space was full (8M)".to_owned()),
            ..End::exited()
        };
        let said = "step 2 of 3 ended with 1: false; scratch space was full (8M)";
        assert_eq!(ended(code, full), said);
        let refused = End::new(Kind::Refused, "the command was refused: no");
        let said = "step 2 of 3: false; the command was refused: no";
        assert_eq!(ended(None, refused), said);
    }
}
