// SPDX-License-Identifier: Apache-2.0
//! What a process must be once a program that was let pass has been started.
//!
//! Starting a program cannot be done in a process' place: the kernel reads the path and the
//! arguments again, from memory that another thread can have changed since they were judged. So
//! what was started is looked at afterwards, at the new program's first gated call. That is
//! `set_tid_address`, which the C libraries make before any code of the program's own (`csu/`,
//! `elf/rtld.c` in glibc, `src/env/__init_tls.c` in musl); a program that makes none is looked at
//! when it does anything that is gated. What differs is killed. Of a program that is granted,
//! whatever its arguments, only its file is looked at.
//!
//! Loaders are among what no grant names and everybody may load: one that is started by its own
//! name runs any program. It is let pass to the process that was judged so, and to no other.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat, stat};
use rustix::io::Errno;

use super::memory::Memory;
use super::place::{Caller, Identity, Number, There};
use super::{elf, process, programs};

/// Programs that wait to be looked at, at most; with more a start is refused.
const MOST: usize = 4096;
/// Interpreters of interpreters (`BINPRM_MAX_RECURSION`, fs/exec.c).
const DEEPEST: usize = 5;
/// The kernel reads as much of a script for its first line (`BINPRM_BUF_SIZE`).
const FIRST_LINE: usize = 256;
/// Most of a command line that is compared.
const MOST_BYTES: u64 = 512 * 1024;

/// What was told of a program, as /proc shows it of one that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its command line.
    pub(crate) line: Vec<u8>,
    /// Its environment, as far as it was told: names, then the values that tell what runs.
    pub(crate) env: Vec<u8>,
    /// Its folder.
    pub(crate) cwd: Vec<u8>,
}

/// The programs that were let pass.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// Those not looked at yet, by process.
    waiting: HashMap<u32, Waiting>,
    /// All that a process of the task may be.
    passed: HashSet<Number>,
    /// Loaders: never among those.
    loaders: HashSet<Number>,
}

#[derive(Debug)]
struct Waiting {
    /// The thread that makes the call.
    thread: u32,
    /// Readable once the process is gone: its number may be another's then.
    process: OwnedFd,
    /// Before: a start that fails leaves the process what it was.
    before: Option<Number>,
    /// What it was then, where its file does not tell before from after.
    mark_before: Option<Mark>,
    after: Number,
    opened: Vec<Identity>,
    /// Nothing where any will do.
    told: Option<Told>,
    /// It has been found to be what it must be, and is remembered as that: it is a loader.
    is_right: bool,
}

/// What tells one program of a process from another: what the kernel said to it at its start
/// (`/proc/<pid>/auxv`), with the addresses that it chose and the 16 random bytes. The former no
/// program can write; a command line, for one, is its own to write.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    auxv: Vec<u8>,
    random: Vec<u8>,
}

/// A start that is noted, for [`Images::take_back`].
#[derive(Debug)]
pub(crate) struct Noted {
    process: u32,
    earlier: Option<Waiting>,
}

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing was waited for, or it is as it must be.
    Right,
    /// It is something else.
    Wrong,
}

/// What would run when a file is started: itself, or the interpreter its first line names.
#[derive(Debug)]
pub(crate) struct Start {
    /// What the process' file will be.
    pub(crate) image: Identity,
    /// All that the kernel opens to run: the file, interpreters, the loader.
    pub(crate) opened: Vec<Identity>,
    /// The loader among them.
    pub(crate) loader: Option<There>,
    /// Arguments that come before those of the call, its name left out; empty for no script.
    pub(crate) before: Vec<Vec<u8>>,
    /// It is a script.
    pub(crate) script: bool,
}

impl Images {
    /// Notes what a process is about to become. An error: too many are, or it is about to become
    /// something else by another of its threads.
    pub(crate) fn expect(
        &mut self,
        caller: Caller,
        start: &Start,
        told: Option<Told>,
    ) -> Result<Noted, Errno> {
        if self.waiting.len() >= MOST {
            self.waiting.retain(|_, waiting| !waiting.is_gone());
            if self.waiting.len() >= MOST {
                return Err(Errno::AGAIN);
            }
        }
        let (process, pidfd) = process::open(caller.thread)?;
        let is_another = |earlier: &Waiting| {
            let thread = earlier.thread;
            thread != caller.thread && !earlier.is_gone() && is_thread_of(thread, process)
        };
        if self.waiting.get(&process).is_some_and(is_another) {
            return Err(Errno::AGAIN);
        }
        let before = exe(process).map(Identity::number);
        let after = start.image.number();
        let same = before == Some(after);
        let waiting = Waiting {
            thread: caller.thread,
            process: pidfd,
            before,
            mark_before: same.then(|| Mark::of(process)).flatten(),
            after,
            opened: start.opened.clone(),
            told,
            is_right: false,
        };
        if !self.loaders.contains(&after) {
            self.passed.insert(after);
        }
        let earlier = self.waiting.insert(process, waiting);
        Ok(Noted { process, earlier })
    }

    /// Forgets a start that was noted: its call is gone, and the number of its thread may already
    /// be that of another thread that has started something else.
    pub(crate) fn take_back(&mut self, noted: Noted) {
        match noted.earlier {
            Some(earlier) => self.waiting.insert(noted.process, earlier),
            None => self.waiting.remove(&noted.process),
        };
    }

    /// Takes files as loaders.
    pub(crate) fn know_loaders(&mut self, loaders: impl Iterator<Item = Identity>) {
        for loader in loaders.map(Identity::number) {
            self.passed.remove(&loader);
            self.loaders.insert(loader);
        }
    }

    /// Takes what a process is as let pass: it was started by the agent.
    pub(crate) fn pass(&mut self, process: u32) {
        self.passed.extend(exe(process).map(Identity::number));
    }

    /// Takes programs as let pass.
    pub(crate) fn pass_all(&mut self, programs: impl Iterator<Item = Identity>) {
        self.passed.extend(programs.map(Identity::number));
    }

    /// Whether a process was let pass to run this file, by itself or for another.
    pub(crate) fn expects(&self, process: u32, file: Identity) -> bool {
        let waiting = self.waiting.get(&process);
        waiting.is_some_and(|waiting| !waiting.is_gone() && waiting.opened.contains(&file))
    }

    /// Whether a thread's process has just been started, or is about to be, or was and could not.
    pub(crate) fn waits_for(&self, thread: u32) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(&process::of_thread(thread))
    }

    /// Looks at a process that makes a gated call; `is_first` where that is the call that programs
    /// begin with.
    pub(crate) fn look(&mut self, caller: Caller, is_first: bool) -> Look {
        let Some(now) = exe(caller.thread).map(Identity::number) else {
            // It is gone, and its call with it.
            return Look::Right;
        };
        let as_any = match self.passed.contains(&now) {
            true => Look::Right,
            false => Look::Wrong,
        };
        if self.waiting.is_empty() {
            return as_any;
        }
        let process = process::of_thread(caller.thread);
        let Some(waiting) = self.waiting.get_mut(&process) else {
            return as_any;
        };
        if waiting.is_gone() {
            self.waiting.remove(&process);
            return as_any;
        }
        if waiting.is_now(now, process) {
            waiting.is_right = true;
            if !self.loaders.contains(&now) {
                self.waiting.remove(&process);
            }
            return Look::Right;
        }
        // The start has not come to be, or will not: it goes on waiting for the next look.
        if as_any == Look::Right && !is_first && waiting.is_before(now, process) {
            return Look::Right;
        }
        self.waiting.remove(&process);
        Look::Wrong
    }
}

impl Waiting {
    /// Whether the process has become what was let pass.
    fn is_now(&self, now: Number, process: u32) -> bool {
        let as_told = || self.told.as_ref().is_none_or(|told| told.is(process));
        now == self.after && (self.is_right || as_told())
    }

    /// Whether it is still what it was.
    fn is_before(&self, now: Number, process: u32) -> bool {
        let as_before = || self.mark_before.is_some() && self.mark_before == Mark::of(process);
        self.before == Some(now) && (now != self.after || as_before())
    }

    fn is_gone(&self) -> bool {
        let mut fds = [PollFd::new(&self.process, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

impl Mark {
    fn of(process: u32) -> Option<Self> {
        let auxv = read(process, "auxv")?;
        let (words, _) = auxv.as_chunks::<8>();
        let mut pairs = words.chunks_exact(2);
        let at = pairs.find_map(|pair| match pair {
            [kind, value] if u64::from_ne_bytes(*kind) == libc::AT_RANDOM => Some(*value),
            _ => None,
        })?;
        let random = Memory::of(process).bytes(u64::from_ne_bytes(at), 16).ok()?;
        Some(Self { auxv, random })
    }
}

impl Told {
    fn is(&self, process: u32) -> bool {
        let caller = Caller { thread: process };
        command_line(process).is_some_and(|line| line == self.line)
            && read(process, "environ").is_some_and(|env| environment_of(&env) == self.env)
            && caller.cwd() == self.cwd
    }
}

/// Words as /proc shows lists of them: each with a nul behind it.
pub(crate) fn joined<'a>(words: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut all = Vec::new();
    for one in words {
        all.extend_from_slice(one);
        all.push(0);
    }
    all
}

/// The same of `/proc/<pid>/environ`.
fn environment_of(environ: &[u8]) -> Vec<u8> {
    let own = environ.strip_suffix(b"\0").unwrap_or(environ);
    let own = own.split(|byte| *byte == 0).filter(|_| !environ.is_empty());
    let own: Vec<Vec<u8>> = own.map(<[u8]>::to_vec).collect();
    let names: Vec<Vec<u8>> = own.iter().map(|one| programs::name(one).to_vec()).collect();
    let telling: Vec<Vec<u8>> = own.into_iter().filter_map(programs::telling).collect();
    joined(names.iter().chain(&telling))
}

/// The file that a process runs.
pub(crate) fn exe(process: u32) -> Option<Identity> {
    stat(format!("/proc/{process}/exe"))
        .ok()
        .map(|stat| Identity::of(&stat))
}

fn is_thread_of(thread: u32, process: u32) -> bool {
    stat(format!("/proc/{process}/task/{thread}")).is_ok()
}

fn command_line(process: u32) -> Option<Vec<u8>> {
    read(process, "cmdline")
}

fn read(process: u32, what: &str) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(CWD, format!("/proc/{process}/{what}"), flags, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    let file = std::fs::File::from(file);
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What the kernel will run for a file (`fs/binfmt_script.c`): follows first lines.
pub(crate) fn start(caller: Caller, there: &There, called: &[u8]) -> Result<Start, Errno> {
    let mut start = Start {
        image: there.identity(),
        opened: vec![there.identity()],
        loader: None,
        before: Vec::new(),
        script: false,
    };
    let mut words = match reads(there)? {
        Reads::Script(words) => words,
        Reads::Program(loader) => {
            start.loaded_by(caller, loader);
            return Ok(start);
        }
    };
    start.script = true;
    start.before = vec![called.to_vec()];
    for _ in 0..DEEPEST {
        let Some(interpreter) = words.first().cloned() else {
            return Err(Errno::NOEXEC);
        };
        words.extend(std::mem::take(&mut start.before));
        start.before = words;
        let there = caller.there(libc::AT_FDCWD, &interpreter, true)?;
        start.image = there.identity();
        start.opened.push(start.image);
        match reads(&there)? {
            Reads::Script(next) => words = next,
            Reads::Program(loader) => {
                start.loaded_by(caller, loader);
                return Ok(start);
            }
        }
    }
    Err(Errno::LOOP)
}

impl Start {
    fn loaded_by(&mut self, caller: Caller, loader: Option<Vec<u8>>) {
        let there = loader.and_then(|path| caller.there(libc::AT_FDCWD, &path, true).ok());
        self.opened.extend(there.as_ref().map(There::identity));
        self.loader = there;
    }
}

/// What the kernel reads in a file that it is to run.
enum Reads {
    /// The interpreter and its argument that the first line names.
    Script(Vec<Vec<u8>>),
    /// A program, with the loader it names.
    Program(Option<Vec<u8>>),
}

fn reads(there: &There) -> Result<Reads, Errno> {
    if !there.is_file() {
        return Err(Errno::ACCESS);
    }
    let file = std::fs::File::from(there.reopen(OFlags::RDONLY)?);
    let mut bytes = [0; FIRST_LINE];
    let read = file.read_at(&mut bytes, 0).map_err(|_| Errno::IO)?;
    if let Some(line) = bytes.strip_prefix(b"#!") {
        return first_line(line).map(Reads::Script).ok_or(Errno::NOEXEC);
    }
    let bytes = bytes.get(..read).unwrap_or_default();
    Ok(Reads::Program(elf::loader(bytes, &file)))
}

/// The words of a first line, the nuls behind a short file with it: an interpreter, and all the
/// rest as one argument. Nothing where the kernel runs nothing (`load_script`).
fn first_line(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let ends = |byte: &u8| blank(byte) || *byte == 0;
    // The last byte that is read may only be the line's end.
    let most = line.split_last()?.1;
    let end = line.iter().position(|byte| matches!(byte, b'\n' | 0));
    let end = end.filter(|end| line.get(*end) == Some(&b'\n'));
    let line = end.map_or(Some(most), |end| line.get(..end))?;
    let start = line.iter().position(|byte| !blank(byte))?;
    let line = line.get(start..=line.iter().rposition(|byte| !blank(byte))?)?;
    let Some(name) = line.iter().position(ends) else {
        // Where nothing ended it, the name itself may have been cut.
        let whole = end.is_some() || start.saturating_add(line.len()) < most.len();
        return whole.then(|| vec![line.to_vec()]);
    };
    let (interpreter, rest) = line.split_at_checked(name)?;
    let mut words = vec![interpreter.to_vec()];
    if rest.first().is_some_and(blank)
        && let Some(argument) = rest.iter().position(|byte| !blank(byte))
    {
        let argument = rest.get(argument..)?.split(|byte| *byte == 0).next()?;
        words.push(argument.to_vec());
    }
    Some(words)
}

/// The command line that a start gives, as /proc shows it.
pub(crate) fn line(start: &Start, argv: &[Vec<u8>]) -> Vec<u8> {
    let own = match start.script {
        true => argv.get(1..).unwrap_or_default(),
        false => argv,
    };
    // Since Linux 5.18 no program is without its name.
    let nameless = [Vec::new()];
    let own = match own.is_empty() && start.before.is_empty() {
        true => &nameless,
        false => own,
    };
    joined(start.before.iter().chain(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    fn me() -> Caller {
        Caller {
            thread: std::process::id(),
        }
    }

    fn there(path: &Path) -> There {
        me().there(libc::AT_FDCWD, path.as_os_str().as_bytes(), true)
            .unwrap()
    }

    fn words(text: &[&str]) -> Vec<Vec<u8>> {
        text.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_script_is_its_interpreter_with_the_scripts_name_before_the_arguments() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("s");
        std::fs::write(&script, "#! /bin/sh  -e x \necho hi\n").unwrap();
        let called = script.as_os_str().as_bytes();
        let start = start(me(), &there(&script), called).unwrap();
        let shell = there(Path::new("/bin/sh"));
        assert_eq!((start.image, start.script), (shell.identity(), true));
        let shown = line(&start, &words(&["name", "a"]));
        let wanted = [b"/bin/sh\0-e x\0", called, b"\0a\0"].concat();
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_program_is_itself() {
        let path = std::env::current_exe().unwrap();
        let start = start(me(), &there(&path), b"x").unwrap();
        assert_eq!(
            (start.image, start.script),
            (there(&path).identity(), false)
        );
        assert_eq!(line(&start, &words(&["x", ""])), b"x\0\0");
    }

    #[test]
    fn an_environment_is_told_by_its_names_and_what_tells() {
        let all = environment_of(b"HOME=/h\0PATH=/p\0EMPTY=\0odd\0");
        assert_eq!(all, b"HOME\0PATH\0EMPTY\0odd\0PATH=/p\0");
        assert_eq!(environment_of(b""), b"");
        assert_eq!(environment_of(b"\0"), b"\0");
    }

    #[test]
    fn what_was_started_is_held_to_what_was_let_pass() {
        let (sleep, shell) = (Path::new("/bin/sleep"), Path::new("/bin/sh"));
        let look = |image: &Path, line: Option<&str>, cwd: &str| {
            let mut images = Images::default();
            // A process that is something already stands for one that has just become it.
            let mut child = std::process::Command::new(sleep)
                .arg("5")
                .env_clear()
                .current_dir("/")
                .spawn()
                .unwrap();
            std::thread::sleep(std::time::Duration::from_millis(100));
            let caller = Caller { thread: child.id() };
            let told = line.map(|line| Told {
                line: line.as_bytes().to_vec(),
                env: Vec::new(),
                cwd: cwd.as_bytes().to_vec(),
            });
            let start = start(caller, &there(image), b"").unwrap();
            assert!(!images.expects(caller.thread, start.image));
            images.expect(caller, &start, told).unwrap();
            assert!(images.expects(caller.thread, start.image));
            images.waiting.get_mut(&child.id()).unwrap().before = None;
            let look = images.look(caller, true);
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(!images.expects(caller.thread, start.image));
            look
        };
        assert_eq!(look(sleep, None, ""), Look::Right);
        assert_eq!(look(sleep, Some("/bin/sleep\x005\0"), "/"), Look::Right);
        assert_eq!(look(sleep, Some("/bin/sleep\x009\0"), "/"), Look::Wrong);
        assert_eq!(look(sleep, Some("/bin/sleep\x005\0"), "/tmp"), Look::Wrong);
        assert_eq!(look(shell, None, ""), Look::Wrong);
    }

    /// Becomes the same shell with the same words for each line that it reads.
    const AGAIN: &str = r#"read x && exec sh -c "$1" "$0" "$1""#;

    fn told(line: &str) -> Option<Told> {
        Some(Told {
            line: line.as_bytes().to_vec(),
            env: b"PATH\0PATH=/bin\0".to_vec(),
            cwd: b"/".to_vec(),
        })
    }

    #[test]
    fn what_a_program_writes_of_itself_does_not_hide_what_it_has_become() {
        let mut child = std::process::Command::new("/bin/sh");
        child.args(["-c", AGAIN, "n", AGAIN]).current_dir("/");
        child.env_clear().env("PATH", "/bin");
        let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let caller = Caller { thread: child.id() };
        let auxv = || read(caller.thread, "auxv");
        std::thread::sleep(std::time::Duration::from_millis(100));
        let start = start(caller, &there(Path::new("/bin/sh")), b"").unwrap();
        let mut images = Images::default();
        // Its words are those of the shell before, not those that were let pass.
        images.expect(caller, &start, told("sh\0-c\0ls\0")).unwrap();
        assert_eq!(images.look(caller, false), Look::Right);
        let before = auxv();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"\n").unwrap();
        while auxv() == before {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(images.look(caller, false), Look::Wrong);
        // What programs begin with is never of the one before.
        images.expect(caller, &start, told("sh\0-c\0ls\0")).unwrap();
        assert_eq!(images.look(caller, true), Look::Wrong);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_loader_is_let_pass_to_the_process_that_was_judged_so() {
        let sleep = Path::new("/bin/sleep");
        let spawned = || {
            let mut child = std::process::Command::new(sleep);
            child
                .arg("5")
                .env_clear()
                .env("PATH", "/bin")
                .current_dir("/");
            child.spawn().unwrap()
        };
        let (mut judged, mut other) = (spawned(), spawned());
        std::thread::sleep(std::time::Duration::from_millis(100));
        let [one, two] = [&judged, &other].map(|child| Caller { thread: child.id() });
        let start = start(one, &there(sleep), b"").unwrap();
        let mut images = Images::default();
        images.pass(two.thread);
        images.know_loaders(std::iter::once(start.image));
        let noted = images
            .expect(one, &start, told("/bin/sleep\x005\0"))
            .unwrap();
        assert_eq!(images.look(one, true), Look::Right);
        assert_eq!(images.look(one, false), Look::Right);
        assert_eq!(images.look(two, false), Look::Wrong);
        images.take_back(noted);
        assert_eq!(images.look(one, false), Look::Wrong);
        for child in [&mut judged, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_start_that_is_taken_back_leaves_the_one_before() {
        let (sleep, shell) = (Path::new("/bin/sleep"), Path::new("/bin/sh"));
        let start = |path| start(me(), &there(path), b"").unwrap();
        let mut images = Images::default();
        images.expect(me(), &start(sleep), None).unwrap();
        let noted = images.expect(me(), &start(shell), None).unwrap();
        images.take_back(noted);
        let expects = |path| images.expects(me().thread, start(path).image);
        assert!(expects(sleep) && !expects(shell));
    }
}
