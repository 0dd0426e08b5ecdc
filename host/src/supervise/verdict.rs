// SPDX-License-Identifier: Apache-2.0
//! From what was seen to how the task ended: pure, so that every end can be tested.
//!
//! Several things are usually true at once when a task ends; the order here says which of them
//! is the reason. What we decided ourselves comes before what followed from it; the command's
//! own end before the end of the machine under it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use protocol::messages::{EndReason, ExecError, ExecFailed, Exited, Goodbye};
use vmm::control::{End as MachineEnd, Ended};

use crate::cli::values::show;
use crate::task::{By, End, Exit, Kind, code};
use crate::text::printable;

/// Why the supervisor itself ended a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its own timer.
    Ttl,
    /// `ampoule kill`, or the third interrupt.
    Killed,
    /// `ampoule stop`, and the command did not end by itself.
    Stopped,
    /// A signal before the command ran.
    Interrupted(i32),
    /// The policies, or people, said no.
    Refused(String),
    /// Nobody judges what the task does any more.
    GateLost(String),
    /// Somebody moved its posture to *ended*.
    Ended(String),
    /// It stood still for longer than it may wait for people.
    Waited,
    /// The guest took too long.
    NeverReady,
    /// The agent's connection ended and nothing explained it.
    AgentLost,
    /// Init's connection ended and nothing explained it.
    InitLost,
    /// The guest broke the protocol.
    Protocol(String),
    /// Something failed here.
    Host(String),
}

/// What was asked for, as far as a reason mentions it.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Time to live.
    pub ttl: Duration,
    /// Time to wait for people.
    pub wait: Duration,
    /// Time to become ready.
    pub start_timeout: Duration,
    /// Guest memory, MiB.
    pub memory_mib: u32,
    /// Scratch space, bytes.
    pub scratch_bytes: u64,
    /// Whether the kernel's last words are kept.
    pub debug_console: bool,
}

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Our own decision; the first one stands.
    pub cause: Option<Cause>,
    /// `ampoule stop` was asked for.
    pub stopping: bool,
    /// The command could not be started.
    pub not_started: Option<ExecFailed>,
    /// The command's end.
    pub exited: Option<Exited>,
    /// That end came after the warning before the TTL.
    pub warned: bool,
    /// Init's last word.
    pub goodbye: Option<Goodbye>,
    /// The VMM's last word.
    pub ended: Option<Ended>,
    /// How the VMM's process ended.
    pub vmm: Option<ExitStatus>,
    /// The process never became the VMM.
    pub not_executed: bool,
}

/// How the task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What `ampoule run` returns.
    pub code: u8,
    /// The command's own end.
    pub exit: Option<Exit>,
    /// Why.
    pub end: End,
}

impl Verdict {
    fn ours(reason: Kind, detail: impl Into<String>) -> Self {
        Self {
            code: code::FAILED,
            exit: None,
            end: End::new(reason, detail),
        }
    }

    fn ttl(by: By, terms: &Terms) -> Self {
        let how = match by {
            By::GuestInit => "",
            By::Vmm => "; the guest did not end itself, its VMM did",
            By::Supervisor => "; neither the guest nor its VMM ended, the supervisor killed them",
        };
        let detail = format!("the task's time was up after {}{how}", show(terms.ttl));
        let end = End {
            by: Some(by),
            ..End::new(Kind::Ttl, detail)
        };
        Self {
            code: code::TTL,
            exit: None,
            end,
        }
    }
}

/// The command's own end. A guest's numbers are only as large as they may be.
#[must_use]
pub fn exit_of(exited: &Exited) -> Exit {
    match u8::try_from(exited.signal & 0x7f).unwrap_or(0) {
        0 => Exit::Code(u8::try_from(exited.code & 0xff).unwrap_or(u8::MAX)),
        signal => Exit::Signal(signal),
    }
}

/// What a command returns that a signal came before, and a line about it, which says `what` never
/// ran.
#[must_use]
pub fn interrupted(signal: i32, what: &str) -> (u8, String) {
    let signal = u8::try_from(signal).unwrap_or(0);
    let detail = format!("interrupted by signal {signal} before {what} ran");
    (code::SIGNAL.saturating_add(signal), detail)
}

/// What a command that could not be started returns: as `timeout` and `docker run` do.
#[must_use]
pub fn not_started_code(failed: &ExecFailed) -> u8 {
    match failed.error() {
        ExecError::NotFound => code::NOT_FOUND,
        ExecError::NotExecutable => code::NOT_EXECUTABLE,
        ExecError::Other | ExecError::BadCwd | ExecError::BadUser => code::FAILED,
    }
}

/// Text from a guest, fit for a terminal and a line: no control characters, and not long.
#[must_use]
pub fn clean(text: &str) -> String {
    printable(text.trim()).chars().take(300).collect()
}

/// How the task ended.
#[must_use]
pub fn judge(facts: &Facts, terms: &Terms) -> Verdict {
    match &facts.cause {
        Some(Cause::Killed) => {
            let end = End::new(Kind::Killed, "the task was killed");
            return Verdict {
                code: code::KILLED,
                exit: None,
                end,
            };
        }
        Some(Cause::Interrupted(signal)) => {
            let (code, detail) = interrupted(*signal, "the command");
            return Verdict {
                code,
                exit: None,
                end: End::new(Kind::Interrupted, detail),
            };
        }
        // The command's own end, if it has one, is what followed from it.
        Some(Cause::Refused(why)) => return Verdict::ours(Kind::Refused, why.clone()),
        Some(Cause::Ended(by)) => {
            let end = End::new(Kind::Posture, format!("{by} ended the task (posture)"));
            return Verdict {
                code: code::KILLED,
                exit: None,
                end,
            };
        }
        Some(Cause::Waited) => {
            let wait = show(terms.wait);
            let text = format!("the task stood still for {wait}, as long as it may wait (--wait)");
            return Verdict::ours(Kind::Waited, text);
        }
        Some(Cause::GateLost(why)) => return Verdict::ours(Kind::GateLost, why.clone()),
        _ => {}
    }
    if let Some(exited) = &facts.exited {
        return command_ended(exited, facts, terms);
    }
    if let Some(failed) = &facts.not_started {
        let code = not_started_code(failed);
        let end = End::new(Kind::NotStarted, clean(&failed.detail));
        return Verdict {
            code,
            exit: None,
            end,
        };
    }
    without_command(facts, terms)
}

fn command_ended(exited: &Exited, facts: &Facts, terms: &Terms) -> Verdict {
    let exit = exit_of(exited);
    // Ended by the warning's SIGTERM or what follows it: that is what a TTL looks like.
    let by_warning = facts.warned && matches!(exit.code(), 143 | 137);
    if by_warning || facts.cause == Some(Cause::Ttl) {
        return Verdict {
            exit: Some(exit),
            ..Verdict::ttl(By::GuestInit, terms)
        };
    }
    let mut end = End::exited();
    if facts.stopping {
        end.reason = Kind::Stopped;
    }
    if exited.oom {
        let memory = terms.memory_mib;
        end.detail = Some(format!(
            "the guest was out of memory ({memory}M, scratch space included); give it more with --memory"
        ));
    } else if exited.scratch_full {
        let size = size(terms.scratch_bytes);
        end.detail = Some(format!(
            "scratch space was full ({size}); give it more with --scratch"
        ));
    }
    Verdict {
        code: exit.code(),
        exit: Some(exit),
        end,
    }
}

fn without_command(facts: &Facts, terms: &Terms) -> Verdict {
    let machine = facts.ended.as_ref().map(Ended::end);
    if let Some(goodbye) = &facts.goodbye
        && let Some(verdict) = said_goodbye(goodbye, facts, terms)
    {
        return verdict;
    }
    if machine == Some(MachineEnd::Life) {
        return Verdict::ttl(By::Vmm, terms);
    }
    match &facts.cause {
        Some(Cause::Ttl) => return Verdict::ttl(By::Supervisor, terms),
        Some(Cause::Stopped) => {
            let end = End::new(
                Kind::Stopped,
                "the command did not end within its grace; it was killed",
            );
            return Verdict {
                code: code::KILLED,
                exit: None,
                end,
            };
        }
        Some(Cause::NeverReady) => {
            let within = show(terms.start_timeout);
            let detail = format!("the guest was not ready within {within}{}", hint(terms));
            return Verdict::ours(Kind::NeverReady, detail);
        }
        Some(Cause::Protocol(how)) => {
            let detail = format!("the guest broke the protocol: {}", clean(how));
            return Verdict::ours(Kind::Protocol, detail);
        }
        Some(Cause::Host(what)) => return Verdict::ours(Kind::HostFailed, what.clone()),
        _ => {}
    }
    machine_ended(facts, terms)
}

fn said_goodbye(goodbye: &Goodbye, facts: &Facts, terms: &Terms) -> Option<Verdict> {
    let detail = clean(&goodbye.detail);
    let with_detail = |text: &str| match detail.as_str() {
        "" => text.to_owned(),
        detail => format!("{text}: {detail}"),
    };
    match goodbye.reason() {
        EndReason::Ttl => Some(Verdict::ttl(By::GuestInit, terms)),
        EndReason::AgentDied => {
            let text = with_detail("the agent in the guest died");
            Some(Verdict::ours(Kind::AgentDied, text))
        }
        EndReason::SetupFailed => {
            let text = with_detail("guest-init could not set the guest up");
            Some(Verdict::ours(Kind::GuestSetup, text))
        }
        EndReason::Shutdown if facts.stopping => {
            let end = End::new(Kind::Stopped, "the guest was shut down");
            Some(Verdict {
                code: code::KILLED,
                exit: None,
                end,
            })
        }
        _ if facts.cause.is_some() => None,
        _ => Some(Verdict::ours(
            Kind::GuestReset,
            with_detail("the guest shut itself down"),
        )),
    }
}

fn machine_ended(facts: &Facts, terms: &Terms) -> Verdict {
    if facts.not_executed {
        let text =
            "the VMM could not be executed; is ampoule-vmm beside ampoule built for this host?";
        return Verdict::ours(Kind::VmmFailed, text);
    }
    let Some(ended) = &facts.ended else {
        let text = match facts.vmm.map(|status| (status.signal(), status.code())) {
            Some((Some(signal), _)) => {
                let text = format!("the VMM was killed by signal {signal} from outside");
                return Verdict::ours(Kind::VmmKilled, text);
            }
            Some((_, Some(code))) => {
                format!("the VMM ended with code {code} and without a word; its log is vmm.log")
            }
            _ => "the VMM is gone".to_owned(),
        };
        return Verdict::ours(Kind::VmmFailed, text);
    };
    let detail = clean(&ended.detail);
    match (ended.end(), &facts.cause) {
        (_, Some(Cause::AgentLost)) => Verdict::ours(
            Kind::AgentDied,
            "the agent in the guest is gone, and guest-init did not say why",
        ),
        (MachineEnd::Reset, _) | (_, Some(Cause::InitLost)) => {
            let text = "the guest's kernel panicked or reset without a goodbye";
            Verdict::ours(Kind::GuestReset, format!("{text}{}", hint(terms)))
        }
        (MachineEnd::TripleFault, _) => {
            let text = "the guest crashed with a triple fault";
            Verdict::ours(Kind::TripleFault, format!("{text}{}", hint(terms)))
        }
        (MachineEnd::Kvm, _) => {
            Verdict::ours(Kind::Kvm, format!("KVM could not run the guest: {detail}"))
        }
        (MachineEnd::Setup, _) => Verdict::ours(
            Kind::VmmFailed,
            format!("the VMM could not set the guest up: {detail}"),
        ),
        (_, _) => Verdict::ours(Kind::VmmFailed, format!("the VMM failed: {detail}")),
    }
}

fn hint(terms: &Terms) -> &'static str {
    if terms.debug_console {
        ""
    } else {
        "; --debug-console shows its kernel's last lines"
    }
}

fn size(bytes: u64) -> String {
    if bytes >> 30 << 30 == bytes {
        format!("{}G", bytes >> 30)
    } else {
        format!("{}M", bytes >> 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        wait: Duration::from_secs(3600),
        ttl: Duration::from_secs(4),
        start_timeout: Duration::from_secs(3),
        memory_mib: 64,
        scratch_bytes: 8 << 20,
        debug_console: false,
    };

    fn ended(end: MachineEnd) -> Option<Ended> {
        Some(Ended {
            end: end.into(),
            detail: "why\nnot".into(),
            ..Ended::default()
        })
    }

    fn goodbye(reason: EndReason) -> Option<Goodbye> {
        Some(Goodbye {
            reason: reason.into(),
            detail: String::new(),
        })
    }

    fn exited(code: u32, signal: u32) -> Option<Exited> {
        Some(Exited {
            id: 1,
            code,
            signal,
            ..Exited::default()
        })
    }

    fn judged(facts: &Facts) -> (u8, Kind, Option<By>) {
        let verdict = judge(facts, &TERMS);
        (verdict.code, verdict.end.reason, verdict.end.by)
    }

    #[test]
    fn the_commands_own_end_is_the_answer() {
        let facts = Facts {
            exited: exited(7, 0),
            ended: ended(MachineEnd::Stopped),
            ..Facts::default()
        };
        assert_eq!(judged(&facts), (7, Kind::Exited, None));
        let facts = Facts {
            exited: exited(0, 11),
            ..Facts::default()
        };
        assert_eq!(judge(&facts, &TERMS).exit, Some(Exit::Signal(11)));
        assert_eq!(judged(&facts).0, 139);
    }

    #[test]
    fn a_task_that_was_refused_says_so_whatever_followed_from_it() {
        for (cause, reason) in [
            (Cause::Refused("no-make".into()), Kind::Refused),
            (Cause::GateLost("gone".into()), Kind::GateLost),
        ] {
            let facts = Facts {
                cause: Some(cause),
                exited: exited(0, 9),
                ended: ended(MachineEnd::Stopped),
                ..Facts::default()
            };
            assert_eq!(judged(&facts), (125, reason, None));
            assert!(judge(&facts, &TERMS).end.detail.is_some());
        }
    }

    #[test]
    fn a_guests_numbers_are_cut_to_size() {
        let facts = Facts {
            exited: exited(u32::MAX, u32::MAX),
            ..Facts::default()
        };
        assert_eq!(judged(&facts).0, 255);
    }

    #[test]
    fn each_level_of_the_ttl_says_who_held_it() {
        let guest = Facts {
            goodbye: goodbye(EndReason::Ttl),
            ended: ended(MachineEnd::Reset),
            ..Facts::default()
        };
        assert_eq!(judged(&guest), (124, Kind::Ttl, Some(By::GuestInit)));
        let vmm = Facts {
            ended: ended(MachineEnd::Life),
            cause: Some(Cause::Ttl),
            ..Facts::default()
        };
        assert_eq!(judged(&vmm), (124, Kind::Ttl, Some(By::Vmm)));
        let ours = Facts {
            cause: Some(Cause::Ttl),
            vmm: Some(ExitStatus::from_raw(9)),
            ..Facts::default()
        };
        assert_eq!(judged(&ours), (124, Kind::Ttl, Some(By::Supervisor)));
    }

    #[test]
    fn a_command_ended_by_the_warning_ran_out_of_time_and_one_with_its_own_code_did_not() {
        let killed = Facts {
            exited: exited(0, 15),
            warned: true,
            ..Facts::default()
        };
        assert_eq!(judged(&killed), (124, Kind::Ttl, Some(By::GuestInit)));
        let shell = Facts {
            exited: exited(143, 0),
            warned: true,
            ..Facts::default()
        };
        assert_eq!(judged(&shell).0, 124);
        let own = Facts {
            exited: exited(9, 0),
            warned: true,
            ..Facts::default()
        };
        assert_eq!(judged(&own), (9, Kind::Exited, None));
        let early = Facts {
            exited: exited(0, 15),
            ..Facts::default()
        };
        assert_eq!(judged(&early), (143, Kind::Exited, None));
    }

    #[test]
    fn failures_of_the_machine_have_reasons_of_their_own() {
        for (end, kind) in [
            (MachineEnd::Reset, Kind::GuestReset),
            (MachineEnd::TripleFault, Kind::TripleFault),
            (MachineEnd::Kvm, Kind::Kvm),
            (MachineEnd::Setup, Kind::VmmFailed),
            (MachineEnd::Host, Kind::VmmFailed),
        ] {
            let facts = Facts {
                ended: ended(end),
                ..Facts::default()
            };
            assert_eq!(judged(&facts), (125, kind, None));
            let detail = judge(&facts, &TERMS).end.detail.unwrap();
            assert!(!detail.contains('\n'), "{detail}");
        }
        let killed = Facts {
            vmm: Some(ExitStatus::from_raw(9)),
            ..Facts::default()
        };
        assert_eq!(judged(&killed), (125, Kind::VmmKilled, None));
        let silent = Facts {
            vmm: Some(ExitStatus::from_raw(256)),
            ..Facts::default()
        };
        assert_eq!(judged(&silent), (125, Kind::VmmFailed, None));
    }

    #[test]
    fn a_guest_that_is_never_ready_says_how_long_it_had() {
        let facts = Facts {
            cause: Some(Cause::NeverReady),
            ended: ended(MachineEnd::Stopped),
            ..Facts::default()
        };
        let verdict = judge(&facts, &TERMS);
        assert_eq!(verdict.code, 125);
        let detail = verdict.end.detail.unwrap();
        assert!(detail.contains("not ready within 3s") && detail.contains("--debug-console"));
    }

    #[test]
    fn what_could_not_be_started_has_the_codes_of_a_shell() {
        for (error, code) in [
            (ExecError::NotFound, 127),
            (ExecError::NotExecutable, 126),
            (ExecError::BadCwd, 125),
            (ExecError::BadUser, 125),
        ] {
            let failed = ExecFailed {
                id: 1,
                error: error.into(),
                detail: "x".into(),
            };
            let facts = Facts {
                not_started: Some(failed),
                ..Facts::default()
            };
            assert_eq!(judged(&facts), (code, Kind::NotStarted, None));
        }
    }

    #[test]
    fn an_agent_that_died_is_named_with_and_without_a_goodbye() {
        let said = Facts {
            goodbye: goodbye(EndReason::AgentDied),
            ended: ended(MachineEnd::Reset),
            ..Facts::default()
        };
        assert_eq!(judged(&said), (125, Kind::AgentDied, None));
        let lost = Facts {
            cause: Some(Cause::AgentLost),
            ended: ended(MachineEnd::Stopped),
            ..Facts::default()
        };
        assert_eq!(judged(&lost), (125, Kind::AgentDied, None));
    }

    #[test]
    fn memory_and_scratch_are_named_beside_the_commands_code() {
        let mut exit = exited(0, 9).unwrap();
        exit.oom = true;
        let facts = Facts {
            exited: Some(exit),
            ..Facts::default()
        };
        let verdict = judge(&facts, &TERMS);
        assert_eq!(verdict.code, 137);
        assert!(verdict.end.detail.unwrap().contains("out of memory"));
        let mut exit = exited(1, 0).unwrap();
        exit.scratch_full = true;
        let facts = Facts {
            exited: Some(exit),
            ..Facts::default()
        };
        assert!(
            judge(&facts, &TERMS)
                .end
                .detail
                .unwrap()
                .contains("scratch space was full (8M)")
        );
    }

    #[test]
    fn what_we_decided_comes_first() {
        let facts = Facts {
            cause: Some(Cause::Killed),
            exited: exited(0, 0),
            ..Facts::default()
        };
        assert_eq!(judged(&facts).0, 137);
        let facts = Facts {
            cause: Some(Cause::Interrupted(2)),
            ..Facts::default()
        };
        assert_eq!(judged(&facts).0, 130);
        let facts = Facts {
            stopping: true,
            exited: exited(0, 0),
            ..Facts::default()
        };
        assert_eq!(judged(&facts), (0, Kind::Stopped, None));
    }
}
