// SPDX-License-Identifier: Apache-2.0
//! The real folder behind `policy`'s blast radius.
//!
//! Lists and measures; no file's content is read, but git's own and `.gitignore`. No link is
//! followed ([`beneath`]), no program is started ([`git`]), nothing is written. One [`Folder`]
//! serves one question: its clock runs from when it was opened, and what git has is read once,
//! when first asked for.
//!
//! What a path outside the workspace leads to is only looked at when the action runs on this
//! machine ([`Machine::Host`]); in a guest it is the guest's, and nobody here sees it.
//!
//! A call into a file system that hangs (a dead network mount) hangs us: the clock is only asked
//! between calls.

mod beneath;
mod clock;
mod git;
mod ignore;
mod scripts;
#[cfg(test)]
mod tests;
mod walk;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::blast::{self, Entry, Look, Recovery, Review, Source, Step, What};
use policy::effects::place::{Area, Setting, below};
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use self::beneath::{Beneath, size};
use self::clock::Clock;
use self::git::Git;
use self::ignore::Ignore;
use self::walk::Walk;

/// How long a look at a workspace may take: a person waits for the answer.
pub const TIME: Duration = Duration::from_millis(50);

/// Most of the guest's changes that are kept. More are said to be out of sight.
const CHANGES: usize = 100_000;

/// Most entries of the workspace among which credentials are looked for.
const CREDENTIALS: usize = 1000;

/// Places in a home where credentials are.
const HOME: &str = ".ssh .aws .gnupg .kube .azure .config/gcloud .config/gh .docker/config.json \
    .netrc .npmrc .pypirc .pgpass .git-credentials .cargo/credentials.toml .vault-token \
    .password-store .terraform.d/credentials.tfrc.json .m2/settings.xml .config/op .my.cnf";

/// Folders that hold nothing but what a tool made, ignored by git or not.
const MADE: &str = "node_modules __pycache__ .venv venv .tox .nox .mypy_cache .pytest_cache \
    .ruff_cache .gradle .next .nuxt .turbo .parcel-cache .svelte-kit .dart_tool .nyc_output";

/// Where the action runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// In a guest, on a copy of the folder that is reviewed before it is applied.
    Guest,
    /// On this machine, on the folder itself.
    Host,
}

/// What the guest says it did to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// From the workspace.
    pub path: String,
    /// What.
    pub kind: ChangeKind,
    /// The file's length now, in the guest's words.
    pub bytes: u64,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new or has another content.
    Written,
    /// It is gone, in the guest. The host's file still counts.
    Deleted,
}

/// How a folder is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folders as the action knows them: `/workspace` for a guest.
    pub setting: Setting,
    /// Where the action runs.
    pub machine: Machine,
    /// What the guest says it changed.
    pub changes: Vec<Change>,
    /// How long it may take.
    pub time: Duration,
}

/// A folder of this machine as a workspace, for one question.
#[derive(Debug)]
pub struct Folder {
    setting: Setting,
    machine: Machine,
    path: PathBuf,
    inside: Beneath,
    outside: Option<Beneath>,
    clock: Clock,
    git: OnceCell<Git>,
    ignore: Ignore,
    /// The folder asked about last, and whether a build makes what is in it.
    made: RefCell<(Vec<u8>, bool)>,
    /// What the guest wrote, by absolute path.
    guest: BTreeMap<String, Entry>,
    /// Some of it is not kept: too much, or no path of the workspace.
    unseen: bool,
}

/// A path, in the part of the machine that it is opened from.
#[derive(Clone, Debug)]
struct Spot<'a> {
    side: &'a Beneath,
    /// What stands before its paths when they are shown.
    base: &'a str,
    path: Vec<u8>,
}

impl Folder {
    /// Opens a folder; its time runs from here.
    ///
    /// # Errors
    /// It is no folder, or may not be read.
    pub fn open(path: &Path, options: Options) -> io::Result<Self> {
        let inside = Beneath::top(path)?;
        let outside = match options.machine {
            Machine::Guest => None,
            Machine::Host => Some(Beneath::top(Path::new("/"))?),
        };
        let mut folder = Self {
            setting: options.setting,
            machine: options.machine,
            path: path.to_owned(),
            inside,
            outside,
            clock: Clock::new(options.time),
            git: OnceCell::new(),
            ignore: Ignore::default(),
            made: RefCell::default(),
            guest: BTreeMap::new(),
            unseen: options.changes.len() > CHANGES,
        };
        for change in options.changes.iter().take(CHANGES) {
            folder.note(change);
        }
        Ok(folder)
    }

    /// Keeps what the guest says it wrote. What it says it deleted takes nothing away.
    fn note(&mut self, change: &Change) {
        if change.kind == ChangeKind::Deleted {
            return;
        }
        let workspace = &self.setting.workspace;
        let path = format!("{workspace}/{}", change.path);
        let path = self.setting.absolute(&path, None);
        let Some(path) = path.filter(|path| below(path, workspace).is_some()) else {
            self.unseen = true;
            return;
        };
        let place = self.setting.place(&path, None);
        let recovery = if blast::regenerable(place) {
            Recovery::Regenerable
        } else {
            Recovery::OnlyCopy
        };
        let entry = Entry {
            path: path.clone(),
            what: What::File,
            bytes: change.bytes,
            recovery,
            source: Source::Guest,
        };
        self.guest.insert(path, entry);
    }

    /// Where a path is opened from, unless nobody can look there.
    fn spot(&self, path: &str) -> Option<Spot<'_>> {
        if let Some(rest) = below(path, &self.setting.workspace) {
            return Some(Spot {
                side: &self.inside,
                base: self.setting.workspace.trim_end_matches('/'),
                path: rest.into(),
            });
        }
        Some(Spot {
            side: self.outside.as_ref()?,
            base: "",
            path: path.trim_start_matches('/').into(),
        })
    }

    fn git(&self) -> &Git {
        self.git.get_or_init(|| Git::read(&self.path, &self.clock))
    }

    fn entry(&self, spot: &Spot, path: &[u8], stat: &Stat) -> Entry {
        let shown = match path {
            [] => spot.base.to_owned(),
            path => format!("{}/{}", spot.base, text(path)),
        };
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => What::Folder,
            FileType::RegularFile => What::File,
            FileType::Symlink => What::Link,
            _ => What::Other,
        };
        let bytes = if what == What::File { size(stat) } else { 0 };
        let recovery = match below(&shown, &self.setting.workspace) {
            Some(_) if std::ptr::eq(spot.side, &self.inside) => {
                self.recovery(&shown, path, (what, stat))
            }
            Some(within) => self.recovery(&shown, within.as_bytes(), (what, stat)),
            None => self.elsewhere(&shown),
        };
        Entry {
            path: shown,
            what,
            bytes,
            recovery,
            source: Source::Host,
        }
    }

    fn recovery(&self, shown: &str, path: &[u8], (what, stat): (What, &Stat)) -> Recovery {
        let mut parts = path.split(|byte| *byte == b'/');
        if parts.any(|part| part == b".git") {
            return Recovery::History;
        }
        if what == What::Folder {
            return Recovery::Unknown;
        }
        match self.git().recovery(path, stat) {
            Some(Recovery::Unknown) | None if self.is_made(shown, path) => Recovery::Regenerable,
            tracked => tracked.unwrap_or(Recovery::OnlyCopy),
        }
    }

    /// Whether a file comes from a build: its folder does, or it has such a name itself.
    fn is_made(&self, shown: &str, path: &[u8]) -> bool {
        let parts = shown
            .rsplit_once('/')
            .zip(path.iter().rposition(|byte| *byte == b'/'));
        if let Some(((around, _), end)) = parts {
            let within = path.get(..end).unwrap_or_default();
            // Files come folder by folder, so the last answer is mostly the next one too.
            let mut last = self.made.borrow_mut();
            if last.0 != within {
                *last = (within.to_vec(), self.is_named_made(around, within, true));
            }
            if last.1 {
                return !blast::secret(shown);
            }
        }
        self.is_named_made(shown, path, false)
    }

    /// Whether a name is one that builds use, and it is ignored as well, or leaves no doubt, or
    /// there is no git to say otherwise.
    fn is_named_made(&self, shown: &str, path: &[u8], folder: bool) -> bool {
        let sure = |part: &[u8]| {
            MADE.split_ascii_whitespace()
                .any(|made| made.as_bytes() == part)
        };
        blast::regenerable(self.setting.place(shown, None))
            && (path.split(|byte| *byte == b'/').any(sure)
                || matches!(self.git(), Git::None)
                || self.ignore.has(&self.inside, path, folder))
    }

    /// Outside the workspace: nothing is known but what the place is for.
    fn elsewhere(&self, shown: &str) -> Recovery {
        let place = self.setting.place(shown, None);
        match place.area {
            _ if blast::regenerable(place) => Recovery::Regenerable,
            Area::Temp if !place.secret => Recovery::Regenerable,
            Area::System | Area::Root | Area::Device | Area::Null => Recovery::Unknown,
            _ => Recovery::OnlyCopy,
        }
    }

    /// What the guest wrote below a folder.
    fn written<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Entry> + 'a {
        let start = format!("{}/", folder.trim_end_matches('/'));
        let from = self.guest.range(start.clone()..);
        from.take_while(move |(path, _)| path.starts_with(&start))
            .map(|(_, entry)| entry)
    }

    /// What it wrote directly in a folder, and the folders that it wrote in.
    fn written_in(&self, folder: &str) -> Vec<Entry> {
        let mut folders = BTreeSet::new();
        let mut entries = Vec::new();
        for entry in self.written(folder) {
            let rest = below(&entry.path, folder).unwrap_or_default();
            match rest.split_once('/') {
                None => entries.push(entry.clone()),
                Some((name, _)) => {
                    folders.insert(format!("{}/{name}", folder.trim_end_matches('/')));
                }
            }
        }
        entries.extend(folders.into_iter().map(guests_folder));
        entries
    }

    fn steps(&self, folder: &str, deep: bool) -> Box<dyn Iterator<Item = Step> + '_> {
        let guest = if deep {
            self.written(folder).cloned().collect()
        } else {
            self.written_in(folder)
        };
        let unseen = self.unseen.then_some(Step::Unseen);
        match self.spot(folder) {
            Some(spot) => Box::new(unseen.into_iter().chain(Walk::new(self, spot, deep, guest))),
            None => Box::new(std::iter::once(Step::Unseen)),
        }
    }
}

impl blast::Workspace for Folder {
    fn setting(&self) -> &Setting {
        &self.setting
    }

    fn look(&self, path: &str) -> Look {
        let Some(spot) = self.spot(path) else {
            return Look::Hidden;
        };
        match spot.side.stat(&spot.path) {
            Ok(stat) => Look::Found(self.entry(&spot, &spot.path, &stat)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => {
                match self.written(path).next() {
                    Some(_) => Look::Found(guests_folder(path.to_owned())),
                    None => Look::Nothing,
                }
            }
            // A link on the way.
            Err(Errno::LOOP) => Look::Away,
            Err(_) => Look::Hidden,
        }
    }

    fn changed(&self, path: &str) -> Option<Entry> {
        self.guest.get(path).cloned()
    }

    fn list(&self, folder: &str) -> Box<dyn Iterator<Item = Step> + '_> {
        self.steps(folder, false)
    }

    fn walk(&self, folder: &str) -> Box<dyn Iterator<Item = Step> + '_> {
        self.steps(folder, true)
    }

    fn spent(&self) -> bool {
        self.clock.is_over()
    }

    fn credentials(&self) -> Vec<String> {
        let mut names = Vec::new();
        if self.outside.is_some() {
            let there = |name: &&str| {
                let path = Path::new(&self.setting.home).join(name);
                path.symlink_metadata().is_ok()
            };
            let home = HOME.split_ascii_whitespace().filter(there);
            names.extend(home.map(|name| format!("~/{name}")));
        }
        let workspace = &self.setting.workspace;
        for step in self.list(workspace).take(CREDENTIALS) {
            let Step::Found(entry) = step else { continue };
            if self.setting.place(&entry.path, None).secret {
                names.extend(below(&entry.path, workspace).map(str::to_owned));
            }
        }
        names.sort();
        names.dedup();
        names
    }

    fn review(&self) -> Review {
        match self.machine {
            Machine::Guest => Review::Machine,
            Machine::Host => Review::Nothing,
        }
    }
}

fn guests_folder(path: String) -> Entry {
    Entry {
        path,
        what: What::Folder,
        bytes: 0,
        recovery: Recovery::Unknown,
        source: Source::Guest,
    }
}

/// A name for people: what is no text is written as `\xff`.
fn text(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
