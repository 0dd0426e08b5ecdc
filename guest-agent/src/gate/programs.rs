// SPDX-License-Identifier: Apache-2.0
//! Programs that are started: what is told to the host of them, and which a grant lets pass.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::io::Read;

use protocol::actions::{Act, Grants, GuestFile, MOST_STRINGS, ProgramGrant, Run};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::images::{self, Start, Told};
use super::loads::Loads;
use super::memory::Memory;
use super::place::{Caller, Identity, Originals, There};
use super::plan::{Around, Asking, Deed, Plan};

/// What is told of the arguments of a granted program.
const TOLD_ARGUMENTS: usize = 8;
const TOLD_BYTES: usize = 200;
/// Bytes of a file that go along with a question.
const MOST_OF_FILE: u64 = 64 * 1024;
/// Arguments that are looked up as files: a script is among the first.
const MOST_NAMED: usize = 8;

/// Variables that make a program run something else than its name says; their values are told.
const TELLING: [&str; 18] = [
    "BASH_ENV",
    "ENV",
    "GIT_CONFIG_PARAMETERS",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "LD_AUDIT",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "NODE_OPTIONS",
    "PAGER",
    "PATH",
    "PERL5OPT",
    "PROMPT_COMMAND",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
];

/// Files that tools read by themselves from the folder they are started in.
const BUILD_FILES: [&str; 8] = [
    "Makefile",
    "makefile",
    "GNUmakefile",
    "package.json",
    "setup.py",
    "conftest.py",
    "build.rs",
    "Justfile",
];

/// The programs that grants name, by what their files are.
#[derive(Debug, Default)]
pub(crate) struct Granted {
    programs: HashMap<Identity, Grant>,
    /// What loads them.
    loaders: Vec<Identity>,
}

#[derive(Debug)]
struct Grant {
    number: u32,
    opened: Vec<Identity>,
}

/// A pass under a grant, for the record.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) grant: u32,
    pub(crate) argv: Vec<Vec<u8>>,
    pub(crate) start: Start,
}

/// A program to be started.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) start: Start,
    /// What was told of it, to be compared with what runs.
    pub(crate) told: Option<Told>,
    /// What was judged with it.
    judged: Vec<Judged>,
}

#[derive(Debug)]
struct Judged {
    there: There,
    content: Content,
}

/// The first bytes of a file, and whether that is not all of it.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    bytes: Vec<u8>,
    cut: bool,
}

impl Granted {
    /// Looks the programs up. Only the image's own files are granted, unchanged.
    pub(crate) fn new(
        grants: &Grants,
        me: Caller,
        originals: &Originals,
        loads: Option<&Loads>,
    ) -> Self {
        let mut loaders = Vec::new();
        let identity = |one: &ProgramGrant| {
            let there = me.there(libc::AT_FDCWD, &one.path, true).ok()?;
            let name = there.path.rsplit(|byte| *byte == b'/').next()?;
            let named = one.files.iter().any(|file| file == name);
            let alone = there.is_file() && there.stat.st_nlink == 1;
            if !named || !alone || !originals.of_image(&there.stat) {
                return None;
            }
            let own = images::start(me, &there, &one.path).ok()?;
            if own.script {
                return None;
            }
            let loader = own.loader.as_ref();
            if !loader.is_none_or(|loader| originals.of_image(&loader.stat)) {
                return None;
            }
            loaders.extend(loader.map(There::identity));
            if let Some(loads) = loads {
                // Whoever runs the loader by its own name is found when it is looked at.
                std::iter::once(&there)
                    .chain(loader)
                    .for_each(|one| loads.trust(one));
            }
            let pass = Grant {
                number: one.grant,
                opened: own.opened,
            };
            Some((there.identity(), pass))
        };
        let programs = grants.programs.iter().filter_map(identity);
        Self {
            programs: programs.collect(),
            loaders,
        }
    }

    /// What loads them.
    pub(crate) fn loaders(&self) -> impl Iterator<Item = Identity> {
        self.loaders.iter().copied()
    }

    /// What the programs are.
    pub(crate) fn identities(&self) -> impl Iterator<Item = Identity> {
        self.programs.keys().copied()
    }
}

impl Program {
    /// Adds the files that the host judged from a copy of its own and that are not that here; how
    /// many there were.
    pub(crate) fn add_changed(
        &mut self,
        paths: impl Iterator<Item = Vec<u8>>,
        caller: Caller,
        originals: &Originals,
    ) -> usize {
        let before = self.judged.len();
        for path in paths {
            let known = self.judged.iter().any(|one| one.there.path == path);
            // What is not there runs nothing.
            let there = caller.there(libc::AT_FDCWD, &path, true).ok();
            let changed = there.filter(|there| !known && !originals.has(&there.stat));
            self.judged.extend(changed.map(|there| Judged {
                content: content(&there),
                there,
            }));
        }
        self.judged.len().saturating_sub(before)
    }

    /// The files that go along with the question.
    pub(crate) fn files(&self) -> Vec<GuestFile> {
        let file = |judged: &Judged| GuestFile {
            path: judged.there.path.clone(),
            bytes: judged.content.bytes.clone(),
            cut: judged.content.cut,
        };
        self.judged.iter().map(file).collect()
    }

    /// Whether nothing of what was judged has changed since.
    pub(crate) fn is_as_judged(&self) -> bool {
        let same = |judged: &Judged| content(&judged.there) == judged.content;
        self.judged.iter().all(same)
    }
}

/// execve(2), execveat(2).
pub(crate) fn start(
    around: &Around<'_>,
    (folder, path): (i32, u64),
    (argv, env): (u64, u64),
    flags: i32,
) -> Result<Plan, Errno> {
    let caller = around.caller;
    let mut memory = Memory::of(caller.thread);
    let path = memory.path(path)?;
    if path.is_empty() && flags & libc::AT_EMPTY_PATH == 0 {
        return Err(Errno::NOENT);
    }
    let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
    let base = caller.base(folder, &path)?;
    if !around.strict
        && let Ok(identity) = base.identity(follow)
        && let Some(grant) = around.grants.programs.get(&identity)
        // The loader is told to load nothing else with it.
        && !memory.any_begins(env, MOST_STRINGS, b"LD_")?
    {
        let told = memory.strings(argv, TOLD_ARGUMENTS, |word| Some(short(word)))?;
        return Ok(Plan::Granted(Pass {
            grant: grant.number,
            argv: told.list,
            start: Start {
                image: identity,
                opened: grant.opened.clone(),
                loader: None,
                before: Vec::new(),
                script: false,
            },
        }));
    }
    let there = around.as_caller(|| base.there(follow))??;
    // As the kernel would: nobody is asked about what cannot be started, and a search along a PATH
    // goes on with the next.
    if !there.is_file() || !around.as_caller(|| there.may_run())? {
        return Err(Errno::ACCESS);
    }
    ask(around, &mut memory, (folder, &path), there, (argv, env))
}

fn short(mut word: Vec<u8>) -> Vec<u8> {
    word.truncate(TOLD_BYTES);
    word
}

fn ask(
    around: &Around<'_>,
    memory: &mut Memory,
    (folder, path): (i32, &[u8]),
    there: There,
    (argv, env): (u64, u64),
) -> Result<Plan, Errno> {
    let caller = around.caller;
    let start = images::start(caller, &there, &called(folder, path))?;
    let argv = memory.strings(argv, MOST_STRINGS, Some)?;
    let env = memory.strings(env, MOST_STRINGS, Some)?;
    let mut run = Run {
        program: there.path.clone(),
        env: env.list.iter().map(|one| name(one).to_vec()).collect(),
        telling: env.list.into_iter().filter_map(telling).collect(),
        of_image: around.originals.of_image(&there.stat),
        nameless: there.nameless,
        argv: Vec::new(),
    };
    let cut = argv.cut || env.cut;
    // Behind a cut there could be anything; the host says no to it.
    let told = (!cut).then(|| Told {
        line: images::line(&start, &argv.list),
        env: images::joined(run.env.iter().chain(&run.telling)),
        cwd: caller.cwd(),
    });
    let judged = judged(around, there, &start, &argv.list)?;
    run.argv = argv.list;
    let program = Program {
        start,
        told,
        judged,
    };
    Ok(Plan::Ask(Asking {
        act: Act::Run(run),
        cwd: caller.cwd(),
        cut,
        files: program.files(),
        deed: Deed::Start(program),
    }))
}

/// The name under which an interpreter is told of its script (`bprm->filename`).
fn called(folder: i32, path: &[u8]) -> Vec<u8> {
    if folder == libc::AT_FDCWD || path.starts_with(b"/") {
        return path.to_vec();
    }
    let base = format!("/dev/fd/{folder}");
    match path.is_empty() {
        true => base.into_bytes(),
        false => [base.as_bytes(), b"/", path].concat(),
    }
}

pub(crate) fn name(variable: &[u8]) -> &[u8] {
    let name = variable.split(|byte| *byte == b'=').next();
    name.unwrap_or_default()
}

pub(crate) fn telling(variable: Vec<u8>) -> Option<Vec<u8>> {
    let known = TELLING
        .iter()
        .any(|known| known.as_bytes() == name(&variable));
    known.then_some(variable)
}

/// The files that would be run or read as a program and are not what the host has: the script
/// itself, the first that arguments name, those that tools look for. One that is missed here and
/// that the host would read is asked for by its verdict.
fn judged(
    around: &Around<'_>,
    there: There,
    start: &Start,
    argv: &[Vec<u8>],
) -> Result<Vec<Judged>, Errno> {
    let mut found = Vec::new();
    let mut add = |there: There| {
        let known = |one: &Judged| one.there.path == there.path;
        if !found.iter().any(known) && !around.originals.has(&there.stat) {
            let content = content(&there);
            found.push(Judged { there, content });
        }
    };
    if start.script {
        add(there);
    }
    let arguments = argv.iter().skip(1).filter(|word| !word.starts_with(b"-"));
    let named: Vec<&[u8]> = arguments.map(Vec::as_slice).collect();
    let few = named.iter().copied().take(MOST_NAMED);
    let built = BUILD_FILES.iter().map(|name| name.as_bytes());
    let mut bases = Vec::new();
    for path in few.chain(built).filter(|path| !path.is_empty()) {
        bases.extend(around.caller.base(libc::AT_FDCWD, path));
    }
    let opened = around.as_caller(|| {
        let opened = bases.iter().filter_map(|base| base.there(true).ok());
        opened.collect::<Vec<_>>()
    })?;
    for there in opened {
        if there.is_file() && !there.is_kernels() && !there.nameless {
            add(there);
        }
    }
    Ok(found)
}

/// The first bytes of a file. One that cannot be read has none, and they are not all: whoever
/// judges it knows nothing of it. So has machine code, of which nobody would read more.
fn content(there: &There) -> Content {
    let unknown = || Content {
        bytes: Vec::new(),
        cut: true,
    };
    let Ok(file) = there.reopen(OFlags::RDONLY) else {
        return unknown();
    };
    let mut bytes = Vec::new();
    let mut file = std::fs::File::from(file).take(MOST_OF_FILE.saturating_add(1));
    if file.read_to_end(&mut bytes).is_err() {
        return unknown();
    }
    let most = usize::try_from(MOST_OF_FILE).unwrap_or(usize::MAX);
    let machine_code = bytes.starts_with(b"\x7fELF") && bytes.contains(&0);
    let cut = bytes.len() > most || machine_code;
    bytes.truncate(if machine_code { 64 } else { most });
    Content { bytes, cut }
}
