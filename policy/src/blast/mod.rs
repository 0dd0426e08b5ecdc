// SPDX-License-Identifier: Apache-2.0
//! How far an action's effects could reach, counted: files and bytes by how they could be had
//! again, hosts, credentials, what is elsewhere, and whether a review still stands between.
//!
//! ```text
//! effects ─► targets ─► walked in the Workspace (host, within a budget) ─► Blast ─► summary
//! ```
//!
//! Counts are lower bounds and say so: what the budget or the clock cut short is `partial`, what
//! is only known when the action runs is `unresolved`. Effects are measured in their order with
//! one budget, so an effect that is added at the end never makes a count smaller. What the guest
//! says of its own changes adds to what the host sees and takes nothing away.

mod absent;
pub mod count;
mod expand;
pub mod glob;
mod measure;
mod paths;
mod reach;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Debug;

use serde::{Deserialize, Serialize};

pub use absent::settle;
pub use count::{Count, Line, Tally};
pub use measure::{Limits, Meter, measure};

use crate::effects::Kind;
use crate::effects::place::{Place, Setting};

/// How a file could be had again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Recovery {
    /// Committed and unchanged, and a remote has it.
    Committed,
    /// Committed and unchanged, but no remote has it: gone with the repository.
    CommittedHere,
    /// Committed, then changed: the changes are the only copy.
    Modified,
    /// In no commit: the only copy.
    OnlyCopy,
    /// A build, a test run or a package manager makes it again.
    Regenerable,
    /// Version control's own file.
    History,
    /// Not found out.
    Unknown,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The host, of the workspace that it keeps.
    Host,
    /// The guest, of its own changes. It may add to the counts and take nothing away.
    Guest,
    /// Nobody could look.
    Unknown,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link, itself.
    Link,
    /// A device, a socket, a pipe.
    Other,
}

/// Something that a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path, absolute, as effects name it.
    pub path: String,
    /// What it is.
    pub what: What,
    /// Its length, of a file.
    pub bytes: u64,
    /// How it could be had again.
    pub recovery: Recovery,
    /// Who says so.
    pub source: Source,
}

/// What a look at a path finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing is there.
    Nothing,
    /// This.
    Found(Entry),
    /// Behind a symbolic link: it may be anywhere.
    Away,
    /// Nobody can look there from here.
    Hidden,
}

/// What a person applies, or throws away, after the action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Review {
    /// Nothing: all of it happens at once.
    Nothing,
    /// The workspace's files: they are a copy until then.
    Workspace,
    /// The whole machine: a guest, of which only the reviewed changes of the workspace stay.
    Machine,
}

/// The files an action would run over. The host implements it; nothing follows a link.
pub trait Workspace: Debug {
    /// The folders that paths are read against.
    fn setting(&self) -> &Setting;

    /// What is at a path, absolute, in the workspace or elsewhere.
    fn look(&self, path: &str) -> Look;

    /// What the guest says it changed at a path, if it says anything.
    fn changed(&self, path: &str) -> Option<Entry>;

    /// What is directly in a folder.
    fn list(&self, folder: &str) -> Box<dyn Iterator<Item = Step> + '_>;

    /// All that is below a folder, in pieces: the caller stops when it has seen enough. The
    /// repository's own folder is one entry that is not gone into, unless the walk starts there.
    fn walk(&self, folder: &str) -> Box<dyn Iterator<Item = Step> + '_>;

    /// Whether the time for looking is over.
    fn spent(&self) -> bool;

    /// Credentials that are there, by name, for code that would look for them.
    fn credentials(&self) -> Vec<String>;

    /// What a review stands before.
    fn review(&self) -> Review;
}

/// One step of a listing or a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This is there.
    Found(Entry),
    /// Something is there that cannot be seen: no permission, another file system, time over.
    Unseen,
}

/// How far an action's effects could reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Blast {
    /// Files that would be deleted.
    pub deletes: Tally,
    /// Files that are there and would be written over.
    pub overwrites: Tally,
    /// Files that would be written and are not there yet.
    pub creates: u64,
    /// Files it reads and so could send, when it sends anything.
    pub sends: Tally,
    /// Some of them, as the action names them.
    pub sent: BTreeSet<String>,
    /// Where it deletes or writes over files, as far as that is known.
    pub targets: BTreeSet<String>,
    /// Some of the files that are the only copy, by name.
    pub only_copies: Vec<String>,
    /// What cannot be told before it runs, in words.
    pub unresolved: BTreeSet<String>,
    /// The whole workspace goes.
    pub whole_workspace: bool,
    /// The repository goes, with what is committed nowhere else.
    pub history: bool,
    /// Hosts it speaks to.
    pub hosts: BTreeSet<String>,
    /// Hosts it sends data to.
    pub receivers: BTreeSet<String>,
    /// Keys, tokens and passwords it reads, changes or sends.
    pub credentials: BTreeSet<String>,
    /// Those that code nobody has read yet could reach.
    pub credentials_in_reach: BTreeSet<String>,
    /// What lives elsewhere and would change.
    pub resources: BTreeSet<Resource>,
    /// Processes, services and devices of the machine.
    pub systems: BTreeSet<String>,
    /// Packages it installs.
    pub packages: BTreeSet<String>,
    /// It runs code that nobody has read.
    pub unseen_code: bool,
    /// Something leaves the machine, or changes elsewhere.
    pub leaves_machine: bool,
    /// All it does waits for a person to apply it, or ends with the guest.
    pub contained_by_review: bool,
    /// The counts are lower bounds: the budget or the time was over, or something was out of sight.
    pub partial: bool,
}

/// Something that lives elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resource {
    /// `kubernetes`, `aws`, `postgres`, …
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What is done to it.
    pub does: Kind,
}

/// Whether a place is one that only a build or a cache fills.
#[must_use]
pub fn regenerable(place: Place) -> bool {
    place.area == crate::effects::Area::Build && !place.secret && !place.startup
}

/// Whether keys, tokens or passwords are kept under such a name.
#[must_use]
pub fn secret(path: &str) -> bool {
    crate::effects::place::secret(path)
}
