// SPDX-License-Identifier: Apache-2.0
//! From the clone to the exec: the child's side.
//!
//! `clone3` rather than `fork`, for `CLONE_INTO_CGROUP`: a child that is born in its group never
//! runs outside it, and joining later takes a lock that waits for an RCU grace period
//! (`cgroup_threadgroup_rwsem`). `CLONE_PIDFD` gives the descriptor the loop waits on.
//!
//! The agent may have other threads (copies), which the child does not have, and any lock may be
//! held by one of them. So between clone and exec the child makes system calls and nothing else:
//! no allocation, no formatting, no panic. All it needs is in [`Plan`], made before.
//!
//! What fails is written to a pipe as [`Failure`]; the exec itself closes that pipe.
#![expect(
    unsafe_code,
    reason = "clone3, execve and signal dispositions between clone and exec"
)]

use std::ffi::{CStr, CString};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::fs::{Gid, Mode, OFlags, Uid, open};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, chdir, setrlimit, setsid, umask};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::exec::user::Identity;
use crate::gate::sys;
use crate::sys::check;

/// `CLONE_INTO_CGROUP` of `include/uapi/linux/sched.h`.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_PIDFD: u64 = 0x1000;
/// Open files: what `select` cannot count, but servers and build tools use.
const FILES: Rlimit = Rlimit {
    current: Some(65_536),
    maximum: Some(524_288),
};

/// All that the child needs, made before the clone.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The paths to try, in order.
    pub(crate) programs: &'a [CString],
    pub(crate) argv: &'a [CString],
    pub(crate) env: &'a [CString],
    pub(crate) cwd: &'a CStr,
    /// `None` keeps the agent's own (tests without root).
    pub(crate) identity: Option<&'a Identity>,
    /// stdin, stdout, stderr.
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// Whether stdin is a terminal, to be the controlling one.
    pub(crate) terminal: bool,
    /// The group it is born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// What it is gated by, if it is.
    pub(crate) gate: Option<Gated<'a>>,
}

/// What a gated child puts itself under, last of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gated<'a> {
    pub(crate) filter: &'a [libc::sock_filter],
    pub(crate) ruleset: BorrowedFd<'a>,
}

/// What the child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    Stdio = 1,
    Identity = 2,
    Cwd = 3,
    Exec = 4,
    Gate = 5,
}

/// What a child says before its exec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is gated: the number of the listener among its descriptors. Its exec waits for that.
    Listens(RawFd),
    /// It does not come to its exec.
    Failed(Failure),
}

/// Six bytes on the pipe: stage, number of the path tried (saturated), errno. A listener has a
/// stage of its own, and its number in place of the errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) program: u8,
    pub(crate) errno: Errno,
}

impl Failure {
    fn encode(self) -> [u8; Report::LEN] {
        let [a, b, c, d] = self.errno.raw_os_error().to_le_bytes();
        [self.stage as u8, self.program, a, b, c, d]
    }
}

impl Report {
    pub(crate) const LEN: usize = 6;
    const LISTENS: u8 = 6;

    fn listens(number: RawFd) -> [u8; Self::LEN] {
        let [a, b, c, d] = number.to_le_bytes();
        [Self::LISTENS, 0, a, b, c, d]
    }

    /// `None` for what no child writes.
    pub(crate) fn decode(bytes: [u8; Self::LEN]) -> Option<Self> {
        let [stage, program, a, b, c, d] = bytes;
        let number = i32::from_le_bytes([a, b, c, d]);
        let stage = match stage {
            1 => Stage::Stdio,
            2 => Stage::Identity,
            3 => Stage::Cwd,
            4 => Stage::Exec,
            5 => Stage::Gate,
            Self::LISTENS => return Some(Self::Listens(number)),
            _ => return None,
        };
        Some(Self::Failed(Failure {
            stage,
            program,
            errno: Errno::from_raw_os_error(number),
        }))
    }
}

/// A child on its way to its exec.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: Pid,
    /// Readable when the process has ended.
    pub(crate) pidfd: OwnedFd,
    /// [`Report`]s, and the end once the exec was done.
    pub(crate) report: OwnedFd,
}

/// Starts a child that carries out `plan`.
pub(crate) fn start(plan: &Plan<'_>) -> io::Result<Child> {
    let argv = pointers(plan.argv);
    let env = pointers(plan.env);
    let flags = rustix::pipe::PipeFlags::CLOEXEC;
    let (report, to_parent) = rustix::pipe::pipe_with(flags)?;
    // The last moment that may fail in words: from here on the child only makes system calls.
    let mut pidfd: RawFd = -1;
    let pid = match clone(plan.cgroup, &mut pidfd) {
        // A kernel or a group that does not take children at birth.
        Err(e) if plan.cgroup.is_some() && !out_of_processes(&e) => clone(None, &mut pidfd)?,
        cloned => cloned?,
    };
    let Some(pid) = Pid::from_raw(pid) else {
        let failure = run(plan, &argv, &env, &to_parent);
        let _ = rustix::io::write(&to_parent, &failure.encode());
        // SAFETY: _exit() ends the process; nothing of it is used afterwards.
        unsafe { libc::_exit(127) }
    };
    // SAFETY: the kernel stored a new descriptor there (CLONE_PIDFD), and nobody else has it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    rustix::io::ioctl_fionbio(&report, true)?;
    Ok(Child { pid, pidfd, report })
}

fn out_of_processes(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM))
}

/// As `fork`: 0 in the child, its pid in the parent.
fn clone(cgroup: Option<BorrowedFd<'_>>, pidfd: &mut RawFd) -> io::Result<i32> {
    // SAFETY: clone_args is plain integers, for which all zeroes is a value.
    let mut args: libc::clone_args = unsafe { mem::zeroed() };
    args.flags = CLONE_PIDFD;
    args.pidfd = u64::try_from(ptr::from_mut(pidfd).addr()).unwrap_or_default();
    args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    let args_ptr = ptr::from_ref(&args);
    // SAFETY: clone3() reads as many bytes at the pointer as the size says, and stores a pidfd where
    // `args.pidfd` points, which outlives the call. Without CLONE_VM the child runs on its own copy
    // of this stack, so returning twice is what fork() does; the caller keeps to system calls there.
    let result = unsafe { libc::syscall(libc::SYS_clone3, args_ptr, size_of_val(&args)) };
    check(libc::c_int::try_from(result).unwrap_or(-1))
}

/// What `execve` wants: pointers to the strings, then a null.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
    pointers.push(ptr::null());
    pointers
}

/// The child: system calls only. Returns when something failed.
fn run(
    plan: &Plan<'_>,
    argv: &[*const libc::c_char],
    env: &[*const libc::c_char],
    to_parent: &OwnedFd,
) -> Failure {
    let failure = |stage, errno| Failure {
        stage,
        program: 0,
        errno,
    };
    if let Err(e) = stdio(plan) {
        return failure(Stage::Stdio, e);
    }
    limits(plan.gate.is_some());
    if let Err(e) = plan.identity.map_or(Ok(()), become_user) {
        return failure(Stage::Identity, e);
    }
    if let Err(e) = chdir(plan.cwd) {
        return failure(Stage::Cwd, e);
    }
    signals();
    if let Some(gated) = plan.gate
        && let Err(e) = gate(gated, to_parent)
    {
        return failure(Stage::Gate, e);
    }
    exec(plan, argv, env)
}

/// From here on nothing gated happens without an answer, the exec first of all.
fn gate(gated: Gated<'_>, to_parent: &OwnedFd) -> Result<(), Errno> {
    sys::restrict(gated.ruleset).map_err(Errno::from_raw_os_error)?;
    let listener = sys::listen(gated.filter).map_err(Errno::from_raw_os_error)?;
    rustix::io::write(to_parent, &Report::listens(listener)).map(drop)
}

fn stdio(plan: &Plan<'_>) -> Result<(), Errno> {
    setsid()?;
    for (to, from) in (0..).zip(plan.stdio) {
        // SAFETY: dup2() takes two numbers. The descriptors 0 to 2 belong to no owner here: the
        // standard library opened them at start, and every descriptor of ours is above.
        if unsafe { libc::dup2(from.as_raw_fd(), to) } == -1 {
            return Err(last_errno());
        }
    }
    if plan.terminal {
        rustix::process::ioctl_tiocsctty(plan.stdio[0])?;
    }
    // Every descriptor of ours is close-on-exec already. This is for one that somebody forgets.
    // SAFETY: close_range() takes three numbers; CLOEXEC closes nothing that is still used here.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    Ok(())
}

/// None of these is worth a command that does not start.
fn limits(gated: bool) {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    // The agent itself is never chosen when memory runs out; a command may be.
    if let Ok(file) = open(c"/proc/self/oom_score_adj", flags, Mode::empty()) {
        let _ = rustix::io::write(&file, b"0");
    }
    let _ = setrlimit(Resource::Nofile, FILES);
    // Core files would fill the scratch space; a task that wants them raises this, but for one that
    // is gated: the kernel would write a file of which nobody was asked.
    let core = Rlimit {
        current: Some(0),
        maximum: gated.then_some(0),
    };
    let _ = setrlimit(Resource::Core, core);
    umask(Mode::from_raw_mode(0o022));
}

fn become_user(identity: &Identity) -> Result<(), Errno> {
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    set_thread_groups(&identity.groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    // The child has one thread, so this is the whole process.
    set_thread_res_uid(uid, uid, uid)
}

/// Dispositions and mask as a program expects them: the agent ignores SIGTERM and SIGPIPE, and
/// what is ignored stays so over an exec.
fn signals() {
    // `struct kernel_sigaction`: handler SIG_DFL, no flags, no restorer, empty mask. By number, since
    // libc keeps some of the real-time signals to itself.
    let default = [0u64; 4];
    for signal in 1..=64 {
        let none = ptr::null_mut::<u64>();
        let action = default.as_ptr();
        // SAFETY: rt_sigaction() reads one kernel_sigaction, 32 bytes with its mask of 8, and a null
        // third argument asks for nothing.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action, none, 8) };
    }
    // SAFETY: sigset_t is an array of integers, for which all zeroes is a value: the empty set.
    let none: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: sigprocmask() reads the set at the first pointer; a null second one asks for nothing.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

/// Tries each path, as `execvp` does: what is not there or not a path is passed over, what is there
/// but may not be executed is remembered.
fn exec(plan: &Plan<'_>, argv: &[*const libc::c_char], env: &[*const libc::c_char]) -> Failure {
    let mut failure = Failure {
        stage: Stage::Exec,
        program: 0,
        errno: Errno::NOENT,
    };
    for (number, program) in (0u8..=u8::MAX).zip(plan.programs) {
        let errno = execve(program, argv, env);
        match errno {
            Errno::NOENT | Errno::NOTDIR if number > 0 => {}
            Errno::NOENT | Errno::NOTDIR => failure.errno = errno,
            Errno::ACCESS => {
                failure = Failure {
                    program: number,
                    errno,
                    ..failure
                }
            }
            _ => {
                return Failure {
                    program: number,
                    errno,
                    ..failure
                };
            }
        }
    }
    failure
}

fn execve(program: &CStr, argv: &[*const libc::c_char], env: &[*const libc::c_char]) -> Errno {
    // SAFETY: execve() reads three nul-terminated things: `program` is a CStr, and both slices were
    // made by `pointers`, which ends them with a null; the strings live in the plan.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last_errno()
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_pipe() {
        let failure = Failure {
            stage: Stage::Cwd,
            program: 3,
            errno: Errno::ACCESS,
        };
        let read = Report::decode(failure.encode());
        assert_eq!(read, Some(Report::Failed(failure)));
        let read = Report::decode(Report::listens(17));
        assert_eq!(read, Some(Report::Listens(17)));
        assert_eq!(Report::decode([0; 6]), None);
    }
}
