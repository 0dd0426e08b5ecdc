// SPDX-License-Identifier: Apache-2.0
//! A task's end of the policy loop ([`crate::gate`]): who it is, what people start in it, and the
//! connection of the gate in its guest, which is handed over.
//!
//! The first lines go out before there is a VMM, so the verdict on the task's command is mostly
//! there when its guest is. Until it is, nothing of the task runs. A loop that is lost is started
//! again and told all of it again; the gate in the guest, which lost its connection with it, makes
//! another. Where that fails the task ends.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use policy::posture::Held;

use crate::api::{Lines, Received, send_line, send_lines};
use crate::folders::Folders;
use crate::gate::client::{ClientError, Place};
use crate::gate::wire::{Answer, Asked, Begin, FromLoop, Hold, Root, ToLoop, Waits};
use crate::task::{Bytes, Spec, TaskId};

/// How much of what is refused because nobody is asked is shown.
const UNASKED: u32 = 16;

/// How often a task has the loop started again.
const AGAIN: u32 = 8;

/// How often in a row it may end without a word.
const SILENT: u32 = 3;

/// How much longer to wait each time before it is connected to again.
const PAUSE: Duration = Duration::from_millis(10);

/// What the loop says that concerns the supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A root action may start, gated or not.
    Allowed(u64),
    /// A root action must not start, and why.
    Denied(u64, String),
    /// The plan may be carried out.
    PlanAllowed,
    /// The plan must not be carried out, and why.
    PlanDenied(String),
    /// People are asked, or have said something: a line about a root action.
    Line(u64, String),
    /// A line about the task as a whole.
    Warning(String),
    /// The task is held so from now on.
    Held(Held),
    /// It is not held less tightly, and why.
    NotHeld(String),
    /// What of it waits for people.
    Waits(Waits),
    /// Something of it does not wait any more, which its guest hears.
    Decided,
    /// The task must not run, or no longer, and why.
    Refused(String),
    /// Nobody judges any more, and why.
    Lost(String),
}

/// The way to the loop.
#[derive(Debug)]
pub struct Gate {
    place: Place,
    begin: Begin,
    link: Option<Link>,
    /// Whether what the task does is judged, once that is known.
    gated: Option<bool>,
    /// Root actions that are not decided.
    waiting: BTreeMap<u64, Root>,
    /// How people hold the task that the loop has not answered.
    unheld: Option<Hold>,
    /// A connection of the guest's that came while nobody was there to take it.
    guest: Option<OwnedFd>,
    /// To which root action an approval belongs and which revision of it was told, of those that
    /// were.
    told: BTreeMap<String, (u64, u32)>,
    /// How much was refused because nobody is asked.
    unasked: u32,
    again: u32,
    /// How often in a row it was connected to and ended without a word.
    silent: u32,
}

#[derive(Debug)]
struct Link {
    socket: OwnedFd,
    lines: Lines,
}

impl Gate {
    /// Says who the task is, and that its command is about to start.
    ///
    /// # Errors
    /// Nobody is there to judge it.
    pub fn begin(
        folders: &Folders,
        id: &TaskId,
        spec: &Spec,
        command: Option<Root>,
    ) -> Result<Self, ClientError> {
        Self::at(Place::find(folders)?, folders, id, (spec, command))
    }

    fn at(
        place: Place,
        folders: &Folders,
        id: &TaskId,
        (spec, command): (&Spec, Option<Root>),
    ) -> Result<Self, ClientError> {
        let gating = &spec.gating;
        let mut gate = Self {
            place,
            begin: Begin {
                task: id.clone(),
                folders: folders.clone(),
                image: spec.image.clone(),
                argv: spec.argv.clone(),
                workspace: spec.workspace.clone(),
                policies: gating.policies.clone(),
                on_ask: gating.on_ask,
                wait_ms: gating.wait_ms,
                ungated: gating.ungated,
                plan: spec.plan.as_ref().map(|plan| plan.plan.clone()),
                held: Held::default(),
                again: false,
            },
            link: None,
            gated: None,
            waiting: command.map(|root| (root.root, root)).into_iter().collect(),
            unheld: None,
            guest: None,
            told: BTreeMap::new(),
            unasked: 0,
            again: 0,
            silent: 0,
        };
        // What fails later is told like a loop that was lost.
        let socket = gate.place.connect(&gate.begin.folders)?;
        gate.say_all(socket);
        Ok(gate)
    }

    /// Its descriptor, while there is one.
    #[must_use]
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.link.as_ref().map(|link| link.socket.as_fd())
    }

    /// Whether what the task does is judged, once that is known.
    #[must_use]
    pub fn is_gated(&self) -> Option<bool> {
        self.gated
    }

    /// Says that a root action is about to start.
    pub fn root(&mut self, root: Root) {
        self.tell(&ToLoop::Root(root.clone()), None);
        self.waiting.insert(root.root, root);
    }

    /// Nobody waits for a root action any more; whether it was undecided.
    pub fn gone(&mut self, root: u64) -> bool {
        let waited = self.waiting.remove(&root).is_some();
        if waited {
            self.tell(&ToLoop::Gone(root), None);
        }
        waited
    }

    /// People hold the task otherwise. Answered by [`Said::Held`] or [`Said::NotHeld`]; a loop that
    /// is started again meanwhile is told again.
    pub fn hold(&mut self, hold: Hold) {
        if hold.to.is_as_tight_as(&self.begin.held) {
            self.begin.held = hold.to.clone();
        }
        self.tell(&ToLoop::Hold(hold.clone()), None);
        self.unheld = Some(hold);
    }

    /// How the task is held, as far as the loop has recorded that or it is tighter.
    #[must_use]
    pub fn held(&self) -> &Held {
        &self.begin.held
    }

    /// The guest is parked.
    pub fn parked(&mut self) {
        self.tell(&ToLoop::Parked, None);
    }

    /// The guest goes on.
    pub fn unparked(&mut self, parked: Duration) {
        let parked_ms = u64::try_from(parked.as_millis()).unwrap_or(u64::MAX);
        self.tell(&ToLoop::Unparked { parked_ms }, None);
    }

    /// The task has ended, with what its command line returns.
    pub fn ended(&mut self, code: u8, reason: &str) {
        let (code, reason) = (Some(i32::from(code)), reason.to_owned());
        self.tell(&ToLoop::Ended { code, reason }, None);
    }

    /// An approval that is waited for, of those that were told.
    #[must_use]
    pub fn waits_for(&self) -> Option<&str> {
        self.told.keys().next().map(String::as_str)
    }

    /// Hands the guest's connection over.
    pub fn guest(&mut self, socket: OwnedFd) {
        match &self.link {
            Some(_) => self.tell(&ToLoop::Guest, Some(socket.as_fd())),
            None => self.guest = Some(socket),
        }
    }

    fn tell(&mut self, line: &ToLoop, descriptor: Option<BorrowedFd<'_>>) {
        // One that is gone is noticed when it is read.
        if let Some(link) = &self.link {
            let _ = send_line(&link.socket, line, descriptor, true);
        }
    }

    fn say_all(&mut self, socket: OwnedFd) {
        let roots = self.waiting.values().cloned().map(ToLoop::Root);
        let begin = ToLoop::Begin(Box::new(self.begin.clone()));
        let hold = self.unheld.iter().cloned().map(ToLoop::Hold);
        let lines: Vec<ToLoop> = std::iter::once(begin).chain(hold).chain(roots).collect();
        let _ = send_lines(&socket, &lines);
        self.link = Some(Link {
            socket,
            lines: Lines::default(),
        });
        if let Some(guest) = self.guest.take() {
            self.tell(&ToLoop::Guest, Some(guest.as_fd()));
        }
    }

    /// What the loop has said.
    pub fn read(&mut self) -> Vec<Said> {
        let Some(link) = &mut self.link else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        let received = link.lines.receive(&link.socket, false);
        let read = received.and_then(|received| {
            while let Some(line) = link.lines.take()? {
                lines.push(line);
            }
            Ok(received)
        });
        if !lines.is_empty() {
            self.silent = 0;
        }
        let mut said: Vec<Said> = lines.into_iter().flat_map(|line| self.hear(line)).collect();
        let lost = match read {
            Ok(Received::Closed) => Some("it has ended".to_owned()),
            Ok(_) => None,
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = lost {
            // It would be readable for ever.
            self.link = None;
            // Who was refused is not waited for.
            if !said.iter().any(|said| matches!(said, Said::Refused(_))) {
                said.push(self.lost(&why));
            }
        }
        said
    }

    fn hear(&mut self, line: FromLoop) -> Vec<Said> {
        match line {
            FromLoop::Begun { gated, warning } => {
                let first = self.gated.replace(gated).is_none();
                let mut said: Vec<Said> = Vec::new();
                said.extend(warning.filter(|_| first).map(Said::Warning));
                if !gated {
                    let waiting = std::mem::take(&mut self.waiting);
                    said.extend(waiting.into_keys().map(Said::Allowed));
                }
                said
            }
            FromLoop::Refused(why) | FromLoop::ExitNow(why) => vec![Said::Refused(why)],
            FromLoop::Verdict {
                root,
                verdict,
                reason,
            } => {
                let decided = match verdict {
                    Answer::Waits => return Vec::new(),
                    Answer::Allow => Said::Allowed(root),
                    Answer::Deny => Said::Denied(root, reason),
                };
                // One that nobody waits for any more is as good as not asked.
                let waited = self.waiting.remove(&root).is_some();
                waited.then_some(decided).into_iter().collect()
            }
            FromLoop::Held(held) => {
                self.begin.held = held.clone();
                self.unheld = None;
                vec![Said::Held(held)]
            }
            FromLoop::NotHeld(why) => {
                self.unheld = None;
                vec![Said::NotHeld(why)]
            }
            FromLoop::Waits(waits) => vec![Said::Waits(waits)],
            FromLoop::Plan { allow: true, .. } => vec![Said::PlanAllowed],
            FromLoop::Plan { reason, .. } => vec![Said::PlanDenied(reason)],
            FromLoop::Asked(asked) => self.asked(asked).into_iter().collect(),
            FromLoop::Unasked { root, line, why } => self.unasked(root, &line, &why),
            FromLoop::Commented { approval, by, text } => {
                let (root, _) = self.told.get(&approval).copied().unwrap_or_default();
                let task = &self.begin.task;
                vec![Said::Line(
                    root,
                    format!("{task}: {by} wrote to {approval}: {text}"),
                )]
            }
            FromLoop::Decided {
                approval,
                state,
                note,
            } => {
                let (root, _) = self.told.remove(&approval).unwrap_or_default();
                let note = note.map(|note| format!(": {note}")).unwrap_or_default();
                let task = &self.begin.task;
                let line = format!("{task}: approval {approval} is {state}{note}");
                vec![Said::Line(root, line), Said::Decided]
            }
        }
    }

    /// An approval is told once, however many actions wait for it, and again when it asks about
    /// something else, too.
    fn asked(&mut self, asked: Asked) -> Option<Said> {
        let Asked {
            root,
            approval,
            revision,
            line,
            ..
        } = asked;
        let task = &self.begin.task;
        let text = format!("{task} waits for a person: {line} — ampoule approvals show {approval}");
        let told = self.told.insert(approval, (root, revision));
        let new = told.is_none_or(|(_, told)| told < revision);
        new.then_some(Said::Line(root, text))
    }

    /// The task's own doing, so told of no more often than people would read.
    fn unasked(&mut self, root: u64, line: &str, why: &str) -> Vec<Said> {
        let task = &self.begin.task;
        self.unasked = self.unasked.saturating_add(1);
        let text = match self.unasked.cmp(&UNASKED) {
            Ordering::Less => format!("{task}: refused: {line} — {why}"),
            Ordering::Equal => format!(
                "{task}: refused: {line}, and more is not shown here; see `ampoule events {task}`"
            ),
            Ordering::Greater => return Vec::new(),
        };
        vec![Said::Line(root, text)]
    }

    /// Starts the loop again and tells it all again.
    fn lost(&mut self, why: &str) -> Said {
        if self.silent >= SILENT || self.again >= AGAIN {
            return Said::Lost(format!("the policy loop is lost: {why}"));
        }
        // One that is about to be gone may still listen for a moment.
        std::thread::sleep(PAUSE.saturating_mul(self.silent));
        (self.again, self.silent) = (self.again + 1, self.silent + 1);
        self.begin.again = self.gated.is_some();
        match self.place.connect(&self.begin.folders) {
            Ok(socket) => {
                self.say_all(socket);
                // The one that was found waits for nobody yet.
                Said::Waits(Waits::Nothing)
            }
            Err(error) => {
                let error = crate::cli::chain(&error);
                Said::Lost(format!("the policy loop is lost: {error}"))
            }
        }
    }
}

/// A command as the loop is told: names of its environment, no values.
#[must_use]
pub fn root(number: u64, by: &str, (argv, env): (&[Bytes], &[Bytes]), cwd: Option<&Bytes>) -> Root {
    let names = env.iter().map(|pair| {
        let pair = pair.lossy();
        let name = pair.split_once('=').map(|(name, _)| name.to_owned());
        name.unwrap_or(pair)
    });
    let names: BTreeSet<String> = names.collect();
    Root {
        root: number,
        argv: argv.to_vec(),
        cwd: cwd.cloned(),
        env: names.into_iter().collect(),
        by: by.to_owned(),
    }
}

/// A step of a plan as the loop is told.
#[must_use]
pub fn step_root(spec: &Spec, number: u32) -> Option<Root> {
    let at = usize::try_from(number.checked_sub(1)?).ok()?;
    let step = spec.plan.as_ref()?.steps.get(at)?;
    let words = (step.argv.as_slice(), spec.env.as_slice());
    Some(root(
        u64::from(number),
        "plan",
        words,
        step.workdir.as_ref(),
    ))
}

/// Folders below which a command may write what it likes: they end with its guest, or are a copy
/// that is reviewed. The gate in the guest knows whose home `~` is.
#[must_use]
pub fn free(user: Option<&str>) -> Vec<Vec<u8>> {
    let root = user.is_some_and(|user| {
        let name = user.split(':').next().unwrap_or_default();
        name == "root" || name.parse() == Ok(0_u32)
    });
    let all: &[&str] = match root {
        // Below /proc and in other homes root could do more than itself any harm.
        true => &["/workspace", "/tmp", "/var/tmp", "/root", "/dev"],
        false => &["/workspace", "/tmp", "/var/tmp", "~", "/dev", "/proc"],
    };
    all.iter().map(|path| path.as_bytes().to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Gating, Resources};
    use std::os::unix::net::{UnixListener, UnixStream};

    fn spec() -> Spec {
        Spec {
            image: "base".into(),
            workspace: None,
            argv: vec!["make".into(), "all".into()],
            env: vec!["A=secret".into(), "B".into()],
            workdir: None,
            user: None,
            terminal: false,
            detached: false,
            resources: Resources {
                memory_mib: 64,
                cpus: 1,
                scratch_bytes: 1,
            },
            ttl_ms: 1000,
            grace_ms: 0,
            start_timeout_ms: None,
            debug_console: false,
            cold: false,
            gating: Gating::default(),
            plan: None,
            copy_of: None,
        }
    }

    /// A loop that is the test's.
    struct Loop {
        socket: UnixStream,
        lines: Lines,
    }

    impl Loop {
        fn accept(listener: &UnixListener) -> Self {
            Self {
                socket: listener.accept().unwrap().0,
                lines: Lines::default(),
            }
        }

        fn hear(&mut self) -> ToLoop {
            loop {
                if let Some(line) = self.lines.take().unwrap() {
                    return line;
                }
                let received = self.lines.receive(&self.socket, true).unwrap();
                assert_ne!(received, Received::Closed);
            }
        }

        fn say(&self, line: &FromLoop) {
            send_line(&self.socket, line, None, true).unwrap();
        }
    }

    fn rig(dir: &std::path::Path) -> (Gate, UnixListener, Loop) {
        let folders = Folders::below(dir);
        folders.make_runtime().unwrap();
        let place = Place::of(&folders, "/bin/true".into()).unwrap();
        let listener = crate::sockets::listener(&place.socket).unwrap();
        let spec = spec();
        let words = (spec.argv.as_slice(), spec.env.as_slice());
        let command = root(1, "run", words, None);
        let id = "0000aaaa".parse().unwrap();
        let gate = Gate::at(place, &folders, &id, (&spec, Some(command))).unwrap();
        let ours = Loop::accept(&listener);
        (gate, listener, ours)
    }

    fn begun(gated: bool) -> FromLoop {
        let warning = (!gated).then(|| "careful".to_owned());
        FromLoop::Begun { gated, warning }
    }

    fn verdict(root: u64, verdict: Answer) -> FromLoop {
        let reason = "because".to_owned();
        FromLoop::Verdict {
            root,
            verdict,
            reason,
        }
    }

    #[test]
    fn a_task_begins_with_its_command_and_hears_each_verdict_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut gate, _listener, mut ours) = rig(dir.path());
        assert!(matches!(ours.hear(), ToLoop::Begin(begin) if !begin.again));
        let ToLoop::Root(asked) = ours.hear() else {
            panic!("no root")
        };
        assert_eq!((asked.root, asked.by.as_str()), (1, "run"));
        // Names of the environment and no values.
        assert_eq!(asked.env, ["A", "B"]);
        ours.say(&begun(true));
        ours.say(&verdict(1, Answer::Waits));
        assert!(gate.read().is_empty());
        assert_eq!(gate.is_gated(), Some(true));
        ours.say(&verdict(1, Answer::Allow));
        ours.say(&verdict(1, Answer::Allow));
        assert_eq!(gate.read(), [Said::Allowed(1)]);
        let words = (&["x".into()][..], &[][..]);
        gate.root(root(70_000, "exec", words, None));
        assert!(matches!(ours.hear(), ToLoop::Root(root) if root.root == 70_000));
        assert!(gate.gone(70_000) && !gate.gone(70_000));
        assert_eq!(ours.hear(), ToLoop::Gone(70_000));
        ours.say(&verdict(70_000, Answer::Allow));
        assert!(gate.read().is_empty());
    }

    #[test]
    fn an_approval_is_told_once_and_its_end_to_whom_it_belongs() {
        let dir = tempfile::tempdir().unwrap();
        let (mut gate, _listener, ours) = rig(dir.path());
        let asked = |revision, line: &str| {
            FromLoop::Asked(Asked {
                root: 5,
                approval: "k3".into(),
                revision,
                line: line.into(),
                why: "risky".into(),
                wait_ms: 1,
            })
        };
        ours.say(&asked(1, "rm -rf src"));
        ours.say(&asked(1, "rm src/a"));
        // What joins it and asks about more is told, too.
        ours.say(&asked(2, "rm -rf lib"));
        ours.say(&FromLoop::Decided {
            approval: "k3".into(),
            state: "denied".into(),
            note: Some("no".into()),
        });
        let said = gate.read();
        let lines = [
            "0000aaaa waits for a person: rm -rf src — ampoule approvals show k3",
            "0000aaaa waits for a person: rm -rf lib — ampoule approvals show k3",
            "0000aaaa: approval k3 is denied: no",
        ];
        assert_eq!(said[..3], lines.map(|line| Said::Line(5, line.to_owned())));
        assert_eq!(said[3..], [Said::Decided]);
    }

    #[test]
    fn what_is_refused_because_nobody_is_asked_is_told_a_few_times() {
        let dir = tempfile::tempdir().unwrap();
        let (mut gate, _listener, ours) = rig(dir.path());
        for _ in 0..UNASKED + 5 {
            ours.say(&FromLoop::Unasked {
                root: 1,
                line: "rm -rf src".into(),
                why: "nobody is (--on-ask deny)".into(),
            });
        }
        let said = gate.read();
        let first = "0000aaaa: refused: rm -rf src — nobody is (--on-ask deny)";
        assert_eq!(said[0], Said::Line(1, first.to_owned()));
        assert_eq!(said.len(), UNASKED as usize);
        let last = |said: &Said| matches!(said, Said::Line(1, line) if line.contains("events"));
        assert!(said.last().is_some_and(last), "{said:?}");
    }

    #[test]
    fn an_ungated_task_needs_no_verdict() {
        let dir = tempfile::tempdir().unwrap();
        let (mut gate, _listener, ours) = rig(dir.path());
        ours.say(&begun(false));
        let warning = Said::Warning("careful".to_owned());
        assert_eq!(gate.read(), [warning, Said::Allowed(1)]);
    }

    #[test]
    fn a_lost_loop_is_found_again_and_told_what_is_not_decided() {
        let dir = tempfile::tempdir().unwrap();
        let (mut gate, listener, ours) = rig(dir.path());
        ours.say(&begun(true));
        drop(ours);
        while gate.is_gated().is_none() || gate.again == 0 {
            let said = gate.read();
            assert!(
                said.is_empty() || said == [Said::Waits(Waits::Nothing)],
                "{said:?}"
            );
        }
        let mut ours = Loop::accept(&listener);
        assert!(matches!(ours.hear(), ToLoop::Begin(begin) if begin.again));
        assert!(matches!(ours.hear(), ToLoop::Root(root) if root.root == 1));
        let (guest, _theirs) = UnixStream::pair().unwrap();
        gate.guest(guest.into());
        assert_eq!(ours.hear(), ToLoop::Guest);
        assert!(ours.lines.descriptor().is_some());
        // Nobody listens, and the program that would be started ends at once.
        drop((ours, listener));
        while !gate.read().iter().any(|said| matches!(said, Said::Lost(_))) {}
        assert!(gate.descriptor().is_none());
    }

    #[test]
    fn who_is_refused_is_not_told_that_the_loop_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let (mut gate, _listener, ours) = rig(dir.path());
        ours.say(&FromLoop::Refused("no policies".into()));
        drop(ours);
        let said = gate.read();
        assert_eq!(said, [Said::Refused("no policies".to_owned())]);
        let said = gate.read();
        assert!(
            !said.iter().any(|said| matches!(said, Said::Lost(_))),
            "{said:?}"
        );
    }

    #[test]
    fn root_may_write_less_without_asking() {
        for (user, proc) in [
            (None, true),
            (Some("1000:1000"), true),
            (Some("0:0"), false),
        ] {
            let free = free(user);
            assert!(free.contains(&b"/workspace".to_vec()));
            assert_eq!(free.contains(&b"/proc".to_vec()), proc, "{user:?}");
        }
        assert!(free(Some("root")).contains(&b"/root".to_vec()));
    }
}
