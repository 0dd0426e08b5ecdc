// SPDX-License-Identifier: Apache-2.0
//! What one program would do with its arguments: a [`Call`] gives effects and an [`Outcome`].
//!
//! Pure functions of the words. A program that runs another one (a wrapper, an interpreter, a
//! remote shell) does not look inside: it says so with [`Run`], and `shell` follows.

mod client;
mod files;
mod filters;
mod given;
mod interpreters;
mod lexicon;
mod network;
pub mod options;
#[cfg(test)]
mod readers_testing;
mod system;
pub mod tables;
mod wrappers;

pub use client::only_called_so;
pub use files::write_to;
pub use network::dev_tcp;

use super::place::{Place, Setting};
use super::word::{Arg, Stream};
use super::{Effect, Finding, Harm, Target};
use crate::list::is_any;

/// A simple command, its words expanded as far as they are known.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The program, without its folder: `rm` for `/bin/rm`.
    pub name: &'a str,
    /// Its arguments, without the program.
    pub args: &'a [Arg],
    /// What it reads, here-documents included; [`Stream::empty`] when nothing is piped in, as a
    /// stream that is not known is one that another command makes.
    pub stdin: &'a Stream,
    /// The folder it runs in, if known.
    pub cwd: Option<&'a str>,
    /// The folders that paths are read against.
    pub setting: &'a Setting,
    /// Reads a file of the workspace, or one the action wrote before: nothing when there is none.
    pub files: &'a dyn Files,
}

impl Call<'_> {
    /// Where a path leads from here.
    #[must_use]
    pub fn place(&self, path: &str) -> Place {
        self.setting.place(path, self.cwd)
    }

    /// A path as a target.
    #[must_use]
    pub fn path(&self, path: &str) -> Target {
        Target::Path(path.to_owned(), self.place(path))
    }
}

/// Files that commands name.
pub trait Files: std::fmt::Debug {
    /// The content of a file by its absolute path, with what taints it.
    fn read(&self, path: &str) -> Option<Stream>;
}

/// No files at all.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str) -> Option<Stream> {
        None
    }
}

/// What a program comes to.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What it would do by itself.
    pub effects: Vec<Effect>,
    /// What made it hard to read.
    pub findings: Vec<Finding>,
    /// What it runs, in order.
    pub runs: Vec<Run>,
    /// What it prints.
    pub stdout: Stream,
    /// Files it writes, absolute, and their content: `curl -o x`, `tee x`.
    pub writes: Vec<(String, Stream)>,
}

impl Outcome {
    /// Adds an effect caused by an argument.
    pub fn add(&mut self, effect: Effect, arg: &Arg) {
        let effect = if effect.span == super::Span::default() {
            effect.at(arg.span)
        } else {
            effect
        };
        self.effects.push(effect);
    }
}

/// Something a program runs.
#[derive(Clone, Debug)]
pub enum Run {
    /// A command and its arguments, the first word the program: `env A=1 make`, `find -exec`.
    Command {
        /// The words.
        words: Vec<Arg>,
        /// What it reads.
        stdin: Stream,
    },
    /// A line or script of shell: `sh -c …`, `ssh host …`, a script on stdin.
    Shell {
        /// The script.
        text: Arg,
        /// `$0`, `$1`, …
        arguments: Vec<Arg>,
        /// What it reads.
        stdin: Stream,
        /// It runs on this other machine.
        host: Option<String>,
    },
    /// Code of another language: `python3 -c …`.
    Code {
        /// `python`, `perl`, `node`, `ruby`, `awk`, `php`, `lua`.
        language: &'static str,
        /// The code.
        text: Arg,
    },
    /// A script in a file: `python3 x.py`, `sh x.sh`, `./x`, `source x`.
    File {
        /// `sh`, `python`, …; by its name or `#!` line when empty.
        language: &'static str,
        /// The file.
        path: Arg,
        /// Its arguments.
        arguments: Vec<Arg>,
    },
    /// A target of a build file: `make test`, `npm run build`.
    Target {
        /// `make`, `npm`, `just`, …
        tool: &'static str,
        /// The target, the default one when empty.
        name: String,
    },
}

/// What a target of a build file that could not be read would do, by its name. What is not worth a
/// look is not told: most targets build or test.
pub(super) fn unread_target(call: &Call, name: &str) -> Vec<Effect> {
    let args = [Arg::known(name)];
    let named = Call {
        args: &args,
        ..*call
    };
    let mut effects = match call.name {
        "rake" => tables::run(&named).unwrap_or_default().effects,
        _ => lexicon::named(&named).into_iter().collect(),
    };
    effects.retain(|effect| effect.harm >= Harm::Medium);
    effects
}

/// Whether a program of this name does anything that matters: a function of the name may hide it.
#[must_use]
pub fn is_known(name: &str) -> bool {
    const KNOWN: &str = "rm dd mkfs shred chmod chown mv cp tee curl wget ssh scp rsync nc git docker kubectl terraform \
        aws gcloud az psql mysql mongo mongosh redis-cli sudo find xargs sh bash zsh python python3 perl node ruby \
        kill systemctl crontab npm pip helm truncate ln unlink rmdir eval";
    is_any(KNOWN, name)
}

/// What a command would do.
#[must_use]
pub fn run(call: &Call) -> Outcome {
    let outcome = client::run(call)
        .or_else(|| filters::run(call))
        .or_else(|| wrappers::run(call))
        .or_else(|| interpreters::run(call))
        .or_else(|| files::run(call))
        .or_else(|| network::run(call))
        .or_else(|| system::run(call))
        .or_else(|| tables::run(call))
        .unwrap_or_else(|| lexicon::run(call));
    given::with(call, outcome)
}
