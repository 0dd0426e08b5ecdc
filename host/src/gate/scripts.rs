// SPDX-License-Identifier: Apache-2.0
//! The files that an action would run: as the guest sent them, and as the host has them.
//!
//! What the guest sends is its word, and may be another file than the one it runs. So where the
//! host has a copy of its own that differs, both are judged ([`Scripts::doubted`]), and what was
//! judged is bound by digest. The host's folder is opened when a file of it is wanted and not
//! before: most actions run none.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::path::Path;

use policy::action::TEXT;
use policy::blast::{Entry, Look, Review, Step, Workspace};
use policy::effects::Script;
use policy::effects::place::{Setting, below};
use policy::effects::program::Files;
use policy::effects::word::{Stream, Taint};
use protocol::actions::{GuestFile, Judged};
use sha2::{Digest, Sha256};

use crate::workspace::{Folder, Machine, Options, TIME};

/// The files of one action.
#[derive(Debug)]
pub struct Scripts<'a> {
    setting: &'a Setting,
    host: Option<&'a Path>,
    guest: BTreeMap<String, &'a GuestFile>,
    folder: OnceCell<Option<Folder>>,
    looked: Cell<bool>,
}

impl<'a> Scripts<'a> {
    /// Of the host's folder, if the task has one, and what the guest sent.
    #[must_use]
    pub fn new(setting: &'a Setting, host: Option<&'a Path>, guest: &'a [GuestFile]) -> Self {
        let named = guest.iter().map(|file| {
            let path = String::from_utf8_lossy(&file.path).into_owned();
            (path, file)
        });
        Self {
            setting,
            host,
            guest: named.collect(),
            folder: OnceCell::new(),
            looked: Cell::new(false),
        }
    }

    /// Whether anything was looked for, found or not: then the verdict is one of now.
    #[must_use]
    pub fn looked(&self) -> bool {
        self.looked.get()
    }

    /// The host's folder.
    pub fn folder(&self) -> Option<&Folder> {
        self.looked.set(true);
        let open = || {
            let options = Options {
                setting: self.setting.clone(),
                machine: Machine::Guest,
                changes: Vec::new(),
                time: TIME,
            };
            Folder::open(self.host?, options).ok()
        };
        self.folder.get_or_init(open).as_ref()
    }

    /// A workspace in which nothing is looked for.
    #[must_use]
    pub fn unlooked(&self) -> Unlooked<'_> {
        Unlooked {
            setting: self.setting,
            hidden: self.host.is_some(),
        }
    }

    /// Files as the guest sent them, else as the host has them.
    #[must_use]
    pub fn sent(&self) -> View<'_> {
        let (all, guest) = (self, true);
        View { all, guest }
    }

    /// Files as the host has them.
    #[must_use]
    pub fn own(&self) -> View<'_> {
        let (all, guest) = (self, false);
        View { all, guest }
    }

    /// Whether the host has another copy of a file that the guest sent.
    #[must_use]
    pub fn doubted(&self) -> bool {
        let sent = self.guest.iter().filter(|(path, file)| {
            !file.bytes.is_empty() && below(path, &self.setting.workspace).is_some()
        });
        let mut sent = sent.map(|(path, file)| (path, &file.bytes));
        sent.any(|(path, bytes)| {
            let own = self.own().read(path).and_then(|stream| stream.text);
            own.is_some_and(|own| own.as_bytes() != bytes.as_slice())
        })
    }

    /// The bytes of a file that the guest sent.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        let file = self.guest.get(path).filter(|file| !file.cut)?;
        (!file.bytes.is_empty()).then_some(file.bytes.as_slice())
    }

    /// The digests of the scripts that were judged, as the gate can compare them.
    #[must_use]
    pub fn judged(&self, scripts: &[Script]) -> Vec<Judged> {
        let digest = |script: &Script| match self.bytes(&script.path) {
            // What was judged of bytes that are no text is not what it runs.
            Some(bytes) => Some(Sha256::digest(bytes).to_vec()),
            None => hexadecimal(&script.digest),
        };
        let judged = scripts.iter().filter_map(|script| {
            Some(Judged {
                path: script.path.clone().into_bytes(),
                sha256: digest(script)?,
            })
        });
        judged.collect()
    }
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect()
}

/// Files as one side has them.
#[derive(Debug)]
pub struct View<'s> {
    all: &'s Scripts<'s>,
    guest: bool,
}

impl Files for View<'_> {
    fn read(&self, path: &str) -> Option<Stream> {
        self.all.looked.set(true);
        let sent = self.guest.then(|| self.all.guest.get(path)).flatten();
        match sent {
            // It could not be told whole: nobody can say what it does.
            Some(file) if file.cut || file.bytes.len() > TEXT => None,
            Some(file) if !file.bytes.is_empty() => Some(Stream {
                text: Some(String::from_utf8_lossy(&file.bytes).into_owned()),
                taint: Taint {
                    file: Some(path.to_owned()),
                    ..Taint::default()
                },
            }),
            _ => self.all.folder()?.read(path),
        }
    }
}

/// A workspace in which nothing is looked for: for actions that change so little that what is
/// there makes no difference, and for tasks without a folder of the host's.
#[derive(Debug)]
pub struct Unlooked<'a> {
    setting: &'a Setting,
    /// There is a folder of the host's: what is in it is not known, rather than not there.
    hidden: bool,
}

impl Workspace for Unlooked<'_> {
    fn setting(&self) -> &Setting {
        self.setting
    }

    fn look(&self, path: &str) -> Look {
        match below(path, &self.setting.workspace) {
            Some(_) if !self.hidden => Look::Nothing,
            _ => Look::Hidden,
        }
    }

    fn changed(&self, _: &str) -> Option<Entry> {
        None
    }

    fn list(&self, _: &str) -> Box<dyn Iterator<Item = Step> + '_> {
        Box::new(std::iter::empty())
    }

    fn walk(&self, _: &str) -> Box<dyn Iterator<Item = Step> + '_> {
        Box::new(std::iter::empty())
    }

    fn spent(&self) -> bool {
        false
    }

    fn credentials(&self) -> Vec<String> {
        Vec::new()
    }

    fn review(&self) -> Review {
        Review::Machine
    }
}
