// SPDX-License-Identifier: Apache-2.0
//! From the host's request to a plan that a child can carry out, and from its failure to words.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use protocol::messages::{Exec, ExecError};
use rustix::fs::stat;
use rustix::io::Errno;

use crate::exec::child::{Failure, Stage};
use crate::exec::user::{self, Identity};

/// Where programs are looked for without a PATH of the host.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most that is read of `/etc/passwd` and `/etc/group`: the task may have written them.
const MAX_DATABASE: u64 = 1 << 20;
/// Most folders of a PATH that are tried; the child reports which by a byte.
const MAX_PATH_FOLDERS: usize = 255;

/// Why a command does not start, for the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) error: ExecError,
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(error: ExecError, detail: impl Into<String>) -> Self {
        Self {
            error,
            detail: detail.into(),
        }
    }
}

/// A request that is ready to run.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) programs: Vec<CString>,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    pub(crate) identity: Identity,
}

/// Checks a request and resolves what it leaves open. `workspace` is the default folder.
pub(crate) fn prepare(exec: &Exec, workspace: &Path) -> Result<Prepared, Refusal> {
    let bad_user = |e: user::UserError| Refusal::new(ExecError::BadUser, e.to_string());
    let identity = user::resolve(
        &exec.user,
        &database("/etc/passwd"),
        &database("/etc/group"),
    )
    .map_err(bad_user)?;
    let argv = strings(&exec.argv)?;
    let name = argv.first().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Refusal::new(ExecError::NotFound, "no program is named"))?;
    let env = environment(&exec.env, &identity, exec.terminal.is_some())?;
    let cwd = workspace.join(OsStr::from_bytes(&exec.cwd));
    let cwd = CString::new(cwd.into_os_string().into_encoded_bytes()).map_err(|_nul| {
        Refusal::new(
            ExecError::BadCwd,
            "the folder to start in has a zero byte in its name",
        )
    })?;
    Ok(Prepared {
        programs: programs(name.as_bytes(), &env),
        argv,
        env,
        cwd,
        identity,
    })
}

fn database(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(path) {
        let _ = file.take(MAX_DATABASE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn strings(bytes: &[Vec<u8>]) -> Result<Vec<CString>, Refusal> {
    let refused = |_nul| Refusal::new(ExecError::Other, "an argument has a zero byte in it");
    bytes
        .iter()
        .map(|s| CString::new(s.as_slice()).map_err(refused))
        .collect()
}

/// The defaults, each unless the host names it, then what the host names; the last of a name wins.
fn environment(
    given: &[Vec<u8>],
    user: &Identity,
    terminal: bool,
) -> Result<Vec<CString>, Refusal> {
    let mut all = vec![
        format!("PATH={PATH}").into_bytes(),
        format!("HOME={}", user.home).into_bytes(),
        format!("USER={}", user.name).into_bytes(),
        format!("LOGNAME={}", user.name).into_bytes(),
        format!("SHELL={}", user.shell).into_bytes(),
    ];
    if terminal {
        all.push(b"TERM=xterm".to_vec());
    }
    all.extend_from_slice(given);
    let name = |entry: &[u8]| {
        entry
            .iter()
            .position(|byte| *byte == b'=')
            .map(|at| entry[..at].to_vec())
    };
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for entry in all.into_iter().rev() {
        match name(&entry) {
            Some(name) if name.is_empty() => {}
            Some(name) => {
                if seen.insert(name) {
                    kept.push(entry);
                }
            }
            None => {
                let entry = String::from_utf8_lossy(&entry).into_owned();
                let detail = format!("{entry:?} of the environment is not NAME=value");
                return Err(Refusal::new(ExecError::Other, detail));
            }
        }
    }
    kept.reverse();
    strings(&kept)
}

/// The paths to try for a name: itself when it has a slash, else one in each folder of the PATH.
fn programs(name: &[u8], env: &[CString]) -> Vec<CString> {
    let as_is = || CString::new(name).into_iter().collect();
    if name.contains(&b'/') {
        return as_is();
    }
    let path = env
        .iter()
        .find_map(|entry| entry.as_bytes().strip_prefix(b"PATH="));
    let folders = path.unwrap_or_default().split(|byte| *byte == b':');
    let all = folders.take(MAX_PATH_FOLDERS).filter_map(|folder| {
        // An empty folder is the current one (POSIX 8.3).
        let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
        CString::new([folder, b"/", name].concat()).ok()
    });
    let mut all: Vec<CString> = all.collect();
    // Of a gated command each try waits for the gate: none is made of what is not there. Where
    // nothing is, all are tried and told of.
    let absolute = |path: &CString| path.as_bytes().starts_with(b"/");
    let there = |path: &CString| absolute(path) && stat(path.as_c_str()).is_ok();
    let from = all.iter().position(there).unwrap_or(0);
    let rest = all.split_off(from);
    all.retain(|path| !absolute(path));
    all.extend(rest);
    all
}

/// The child's failure in words.
pub(crate) fn explain(prepared: &Prepared, failure: Failure) -> Refusal {
    let errno = failure.errno;
    let cwd = prepared.cwd.to_string_lossy();
    match failure.stage {
        Stage::Stdio => Refusal::new(
            ExecError::Other,
            format!("could not set up its streams: {errno}"),
        ),
        Stage::Identity => Refusal::new(
            ExecError::BadUser,
            format!("could not become user {}: {errno}", prepared.identity.name),
        ),
        Stage::Cwd => Refusal::new(
            ExecError::BadCwd,
            format!("could not start in {cwd}: {errno}"),
        ),
        Stage::Gate => Refusal::new(
            ExecError::Other,
            format!("could not put it under the gate: {errno}"),
        ),
        Stage::Exec => explain_exec(prepared, failure),
    }
}

fn explain_exec(prepared: &Prepared, failure: Failure) -> Refusal {
    let name = prepared
        .argv
        .first()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let tried = prepared.programs.get(usize::from(failure.program));
    let path = |tried: &CString| full(prepared, tried);
    match failure.errno {
        Errno::NOENT | Errno::NOTDIR => {
            let found = prepared
                .programs
                .iter()
                .map(path)
                .find(|path| path.is_file());
            let detail = match found {
                Some(found) => missing_interpreter(&found),
                None => format!("no such program: {name}"),
            };
            Refusal::new(ExecError::NotFound, detail)
        }
        Errno::ACCESS | Errno::NOEXEC | Errno::PERM | Errno::TXTBSY => {
            let path = tried.map(path).unwrap_or_default();
            let why = match failure.errno {
                _ if path.is_dir() => "it is a folder",
                Errno::NOEXEC => "it is no program, and its first line names no interpreter",
                Errno::TXTBSY => "it is being written",
                _ => "permission denied",
            };
            let detail = format!("could not execute {}: {why}", path.display());
            Refusal::new(ExecError::NotExecutable, detail)
        }
        Errno::TOOBIG => Refusal::new(
            ExecError::Other,
            "the arguments and environment are too long for the kernel",
        ),
        errno => Refusal::new(
            ExecError::Other,
            format!("could not execute {name}: {errno}"),
        ),
    }
}

/// A path the child tried, as the agent sees it.
fn full(prepared: &Prepared, tried: &CString) -> PathBuf {
    let cwd = Path::new(OsStr::from_bytes(prepared.cwd.as_bytes()));
    cwd.join(OsStr::from_bytes(tried.as_bytes()))
}

/// The kernel answers ENOENT for a program that is there when what should run it is not.
fn missing_interpreter(program: &Path) -> String {
    let mut start = [0; 256];
    let read = fs::File::open(program).and_then(|mut file| file.read(&mut start));
    let start = start.get(..read.unwrap_or(0)).unwrap_or_default();
    let line = start
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let interpreter = line
        .strip_prefix(b"#!")
        .map(|rest| String::from_utf8_lossy(rest));
    let program = program.display();
    match interpreter {
        Some(interpreter) => {
            let interpreter = interpreter.split_whitespace().next().unwrap_or_default();
            format!("{program} wants the interpreter {interpreter:?}, which is not there")
        }
        None => format!("{program} wants a dynamic loader that is not there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(argv: &[&str], env: &[&str]) -> Exec {
        let bytes = |list: &[&str]| list.iter().map(|s| s.as_bytes().to_vec()).collect();
        Exec {
            argv: bytes(argv),
            env: bytes(env),
            user: "0".into(),
            ..Exec::default()
        }
    }

    fn prepared(argv: &[&str], env: &[&str]) -> Prepared {
        prepare(&exec(argv, env), Path::new("/workspace")).unwrap()
    }

    fn texts(strings: &[CString]) -> Vec<&str> {
        strings.iter().map(|s| s.to_str().unwrap()).collect()
    }

    #[test]
    fn a_name_is_looked_for_in_the_commands_own_path() {
        let found = prepared(&["tool"], &["PATH=/a::/b"]).programs;
        assert_eq!(texts(&found), ["/a/tool", "./tool", "/b/tool"]);
        assert_eq!(texts(&prepared(&["./tool"], &[]).programs), ["./tool"]);
        let found = prepared(&["sh"], &["PATH=/a::/bin:/b"]).programs;
        assert_eq!(texts(&found), ["./sh", "/bin/sh", "/b/sh"]);
    }

    #[test]
    fn the_hosts_environment_replaces_the_defaults_and_the_last_of_a_name_wins() {
        let env = prepared(&["x"], &["HOME=/h", "A=1", "A=2", "E="]).env;
        let env = texts(&env);
        assert!(env.contains(&"HOME=/h") && env.contains(&"A=2") && env.contains(&"E="));
        assert_eq!(
            env.iter()
                .filter(|e| e.starts_with("HOME=") || e.starts_with("A="))
                .count(),
            2
        );
        assert!(env.contains(&&*format!("PATH={PATH}")));
    }

    #[test]
    fn a_relative_folder_is_below_the_workspace() {
        let at = |cwd: &str| {
            let exec = Exec {
                cwd: cwd.into(),
                ..exec(&["x"], &[])
            };
            prepare(&exec, Path::new("/workspace")).unwrap().cwd
        };
        assert_eq!(at("").to_str().unwrap().trim_end_matches('/'), "/workspace");
        assert_eq!(at("src").to_str().unwrap(), "/workspace/src");
        assert_eq!(at("/etc").to_str().unwrap(), "/etc");
    }

    #[test]
    fn what_cannot_run_is_refused_before_a_process_exists() {
        let error = |argv: &[&str], env: &[&str]| {
            prepare(&exec(argv, env), Path::new("/")).unwrap_err().error
        };
        assert_eq!(error(&[], &[]), ExecError::NotFound);
        assert_eq!(error(&[""], &[]), ExecError::NotFound);
        assert_eq!(error(&["a\0b"], &[]), ExecError::Other);
        assert_eq!(error(&["a"], &["novalue"]), ExecError::Other);
    }
}
