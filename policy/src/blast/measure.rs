// SPDX-License-Identifier: Apache-2.0
//! Effects, one after the other, into counts.

use std::collections::BTreeSet;

use super::paths::{Spot, Written};
use super::summary::{plain, shown};
use super::{Blast, Entry, Look, Recovery, Review, Source, Step, Tally, What, Workspace, glob};
use crate::effects::place::{Area, Setting, below, secret};
use crate::effects::{Analysis, Effect, Harm, Kind, Target};

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Files and folders, for what changes; as many again for what could be sent.
    pub entries: usize,
}

impl Default for Limits {
    /// As much as a host sees of a warm folder in about the time it gives.
    fn default() -> Self {
        Self { entries: 15_000 }
    }
}

/// Most names that a list of a [`Blast`] holds: a person reads no more.
const NAMES: usize = 100;

/// Files that are named as the only copy.
const EXAMPLES: usize = 5;

/// How often the clock is asked, in entries.
const STRIDE: usize = 32;

/// How far an action's effects could reach; `cwd` is the folder the action starts in.
#[must_use]
pub fn measure(analysis: &Analysis, cwd: Option<&str>, workspace: &dyn Workspace) -> Blast {
    let mut meter = Meter::new(workspace, Limits::default());
    meter.add(analysis, cwd);
    meter.finish()
}

/// Measures the effects of one action or of several together.
#[derive(Debug)]
pub struct Meter<'w> {
    pub(super) workspace: &'w dyn Workspace,
    pub(super) blast: Blast,
    /// Something happens that a review would come too late for.
    pub(super) uncontained: bool,
    /// Counted already, so that a file named twice counts once.
    seen: BTreeSet<(Op, Source, String)>,
    changes: Budget,
    sending: Budget,
    /// What is read, to be counted if anything is sent: where it is.
    reads: Vec<String>,
}

/// What happens to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Op {
    Delete,
    /// Deleted or written over by git, which keeps what is committed.
    Discard,
    Overwrite,
    /// Written over with all that is in it.
    OverwriteAll,
    Send,
}

impl Op {
    fn of(effect: &Effect) -> Option<Self> {
        match effect.kind {
            Kind::Delete if effect.rule.starts_with("git:") => Some(Self::Discard),
            Kind::Delete => Some(Self::Delete),
            Kind::Write | Kind::Persist if effect.harm >= Harm::High => Some(Self::OverwriteAll),
            Kind::Write | Kind::Persist => Some(Self::Overwrite),
            _ => None,
        }
    }

    /// The list a file is counted in; one that two commands delete counts once.
    fn list(self) -> Self {
        match self {
            Self::Discard => Self::Delete,
            Self::OverwriteAll => Self::Overwrite,
            other => other,
        }
    }

    fn spares(self, recovery: Recovery) -> bool {
        use Recovery::{Committed, CommittedHere, History};
        self == Self::Discard && matches!(recovery, Committed | CommittedHere | History)
    }
}

#[derive(Clone, Copy, Debug)]
struct Budget {
    left: usize,
}

impl Budget {
    /// Whether one more may be looked at.
    fn tick(&mut self, workspace: &dyn Workspace) -> bool {
        if self.left.is_multiple_of(STRIDE) && workspace.spent() {
            self.left = 0;
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

impl<'w> Meter<'w> {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(workspace: &'w dyn Workspace, limits: Limits) -> Self {
        let budget = Budget {
            left: limits.entries,
        };
        Self {
            workspace,
            blast: Blast::default(),
            uncontained: workspace.review() == Review::Nothing,
            seen: BTreeSet::new(),
            changes: budget,
            sending: budget,
            reads: Vec::new(),
        }
    }

    /// Adds what an action that starts in `cwd` would do.
    pub fn add(&mut self, analysis: &Analysis, cwd: Option<&str>) {
        if !analysis.findings.is_empty() {
            self.unseen_code();
        }
        for effect in &analysis.effects {
            self.reach(effect);
            if let Target::Path(path, place) = &effect.target {
                let folder = effect.cwd.as_deref().or(cwd);
                let written = Written {
                    path,
                    place: *place,
                    cwd: folder.unwrap_or(&self.workspace.setting().workspace),
                };
                self.path(effect, &written);
            }
        }
    }

    /// All of it.
    #[must_use]
    pub fn finish(mut self) -> Blast {
        if !self.blast.receivers.is_empty() {
            for at in std::mem::take(&mut self.reads) {
                let name = shown(self.workspace.setting(), &at);
                put(&mut self.blast.sent, name, &mut self.blast.partial);
                self.at(&at, Op::Send);
            }
        }
        if self.blast.unseen_code {
            for name in self.workspace.credentials() {
                let name = plain(&name);
                let set = &mut self.blast.credentials_in_reach;
                put(set, name, &mut self.blast.partial);
            }
        }
        self.blast.contained_by_review = !self.uncontained;
        self.blast
    }

    fn setting(&self) -> &'w Setting {
        self.workspace.setting()
    }

    fn path(&mut self, effect: &Effect, written: &Written) {
        if super::reach::elsewhere(effect).is_some() {
            return;
        }
        let spot = written.spot(self.setting());
        if written.place.secret {
            let name = match &spot {
                Spot::At(at) => shown(self.setting(), at),
                _ => plain(written.path),
            };
            put(&mut self.blast.credentials, name, &mut self.blast.partial);
        }
        if !matches!(
            effect.kind,
            Kind::Read | Kind::TouchSecret | Kind::Obfuscate
        ) {
            self.contained(&spot);
        }
        if let Some(op) = Op::of(effect) {
            self.change(op, written, spot);
        } else if let (Kind::Read | Kind::TouchSecret | Kind::Send, Spot::At(at)) =
            (effect.kind, spot)
        {
            if self.reads.len() < NAMES {
                self.reads.push(at);
            } else {
                self.blast.partial = true;
            }
        }
    }

    fn change(&mut self, op: Op, written: &Written, spot: Spot) {
        let anything = match spot {
            Spot::Nowhere => return,
            Spot::Device(device) => {
                let set = &mut self.blast.systems;
                put(set, plain(&device), &mut self.blast.partial);
                return;
            }
            Spot::At(at) => {
                self.whole(op, written, &at);
                let name = shown(self.setting(), &at);
                put(&mut self.blast.targets, name, &mut self.blast.partial);
                return self.at(&at, op);
            }
            Spot::Below(folder) => format!("anything below {}", shown(self.setting(), &folder)),
            Spot::Anything => format!("anything that {} stands for", plain(written.path)),
        };
        put(
            &mut self.blast.unresolved,
            anything,
            &mut self.blast.partial,
        );
    }

    /// Whether all of the workspace goes.
    fn whole(&mut self, op: Op, written: &Written, at: &str) {
        let root = matches!(written.place.area, Area::WorkspaceRoot | Area::Root);
        let around = below(&self.setting().workspace, at).is_some();
        let all = matches!(op, Op::Delete | Op::OverwriteAll);
        self.blast.whole_workspace |= all && (root || around);
    }

    /// Whether a review stands between this path and its change.
    fn contained(&mut self, spot: &Spot) {
        let workspace = match spot {
            Spot::Nowhere => true,
            Spot::At(path) | Spot::Below(path) => self.inside(path),
            Spot::Device(_) | Spot::Anything => false,
        };
        self.uncontained |= match self.workspace.review() {
            Review::Nothing => true,
            Review::Workspace => !workspace,
            Review::Machine => false,
        };
    }

    fn inside(&self, path: &str) -> bool {
        below(path, &self.setting().workspace).is_some()
    }

    pub(super) fn may(&mut self, op: Op) -> bool {
        let budget = match op {
            Op::Send => &mut self.sending,
            _ => &mut self.changes,
        };
        let may = budget.tick(self.workspace);
        self.blast.partial |= !may;
        may
    }

    /// What happens at a path or at all that a pattern stands for.
    pub(super) fn at(&mut self, at: &str, op: Op) {
        if !self.may(op) {
            return;
        }
        let look = self.workspace.look(at);
        if !glob::is_pattern(at) {
            return self.looked(at, look, op);
        }
        // A name that only looks like a pattern: `app/[id]/page.tsx`.
        if matches!(look, Look::Found(_)) {
            self.looked(at, look, op);
        }
        for path in glob::alternatives(at) {
            self.pattern(&path, op);
        }
    }

    pub(super) fn looked(&mut self, at: &str, look: Look, op: Op) {
        match look {
            Look::Found(entry) => self.found(&entry, op),
            Look::Nothing if matches!(op, Op::Overwrite | Op::OverwriteAll) => {
                let new = self
                    .seen
                    .insert((op.list(), Source::Unknown, at.to_owned()));
                self.blast.creates = self.blast.creates.saturating_add(u64::from(new));
            }
            Look::Nothing => {}
            Look::Away => self.away(at),
            Look::Hidden => {
                self.blast.partial |= self.workspace.review() != Review::Machine;
                self.count(&hidden(at), op);
            }
        }
        if let Some(entry) = self.workspace.changed(at)
            && entry.what != What::Folder
        {
            self.count(&entry, op);
        }
    }

    pub(super) fn away(&mut self, at: &str) {
        let anything = format!("what the link {} leads to", shown(self.setting(), at));
        put(
            &mut self.blast.unresolved,
            anything,
            &mut self.blast.partial,
        );
        self.uncontained |= self.workspace.review() != Review::Machine;
    }

    pub(super) fn found(&mut self, entry: &Entry, op: Op) {
        match (entry.what, op) {
            (What::Folder, Op::Overwrite) => {}
            (What::Folder, _) => self.folder(entry, op),
            (What::Link, Op::Overwrite | Op::OverwriteAll | Op::Send) => self.away(&entry.path),
            _ => self.count(entry, op),
        }
    }

    fn folder(&mut self, folder: &Entry, op: Op) {
        if folder.recovery == Recovery::History {
            self.blast.history |= op == Op::Delete;
            return;
        }
        let workspace = self.workspace;
        for step in workspace.walk(&folder.path) {
            if !self.may(op) {
                return;
            }
            match step {
                Step::Unseen => self.blast.partial = true,
                Step::Found(entry) if entry.what == What::Folder => {
                    let history = entry.recovery == Recovery::History;
                    self.blast.history |= history && op == Op::Delete;
                }
                Step::Found(entry) => self.count(&entry, op),
            }
        }
    }

    /// Counts a file in, once.
    fn count(&mut self, entry: &Entry, op: Op) {
        if op.spares(entry.recovery) {
            return;
        }
        let key = (op.list(), entry.source, entry.path.clone());
        if !self.seen.insert(key) {
            return;
        }
        let outside = !self.inside(&entry.path);
        self.list(op).add(entry, outside);
        if matches!(op, Op::Delete | Op::Discard | Op::Send) {
            self.credential(entry);
        }
        let only = matches!(entry.recovery, Recovery::OnlyCopy | Recovery::Modified);
        if only && op != Op::Send && self.blast.only_copies.len() < EXAMPLES {
            let name = shown(self.setting(), &entry.path);
            if !self.blast.only_copies.contains(&name) {
                self.blast.only_copies.push(name);
            }
        }
    }

    fn credential(&mut self, entry: &Entry) {
        // All that is asked of the place, since it is asked of every file.
        if secret(&entry.path) {
            let name = shown(self.setting(), &entry.path);
            put(&mut self.blast.credentials, name, &mut self.blast.partial);
        }
    }

    fn list(&mut self, op: Op) -> &mut Tally {
        match op {
            Op::Delete | Op::Discard => &mut self.blast.deletes,
            Op::Overwrite | Op::OverwriteAll => &mut self.blast.overwrites,
            Op::Send => &mut self.blast.sends,
        }
    }
}

fn hidden(at: &str) -> Entry {
    Entry {
        path: at.to_owned(),
        what: What::Other,
        bytes: 0,
        recovery: Recovery::Unknown,
        source: Source::Unknown,
    }
}

/// Adds a name to a list that does not grow for ever.
pub(super) fn put(set: &mut BTreeSet<String>, name: String, partial: &mut bool) {
    if set.len() < NAMES || set.contains(&name) {
        set.insert(name);
    } else {
        *partial = true;
    }
}
