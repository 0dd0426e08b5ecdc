// SPDX-License-Identifier: Apache-2.0
//! Starting a program with clone3: namespaces, cgroup and pidfd in one call.
//!
//! ```text
//! parent: spawn ── clone3 ──► Child { pid, pidfd }
//! child:           └─ maps ids, new session, default signals, descriptors, execve
//! ```
//!
//! As with vfork(2) the child uses the parent's memory, which waits for the execve: a copy of its
//! page tables, and of the pages that either writes to, would cost more than all the child does.
//! So between clone3 and execve the child only makes system calls on memory prepared before, on a
//! stack of its own: no allocation, no locks, no unwinding.
#![expect(
    unsafe_code,
    reason = "clone3 and the child's steps up to execve have no safe wrapper"
)]

use std::arch::asm;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Exit status of a child that could not become the program: distinct from what the VMM uses.
pub const NOT_EXECUTED: i32 = 113;

/// The child's stack: for system calls and a path or two.
const STACK: usize = 32 * 1024;

/// What to start, and in what.
#[derive(Debug)]
pub struct Program<'a> {
    /// Absolute path of the program.
    pub path: CString,
    /// Arguments, the program's name first.
    pub argv: Vec<CString>,
    /// Environment, `NAME=value` each.
    pub env: Vec<CString>,
    /// Descriptors the program gets under their own numbers.
    pub inherit: Vec<BorrowedFd<'a>>,
    /// stdin and stdout of the program.
    pub null: BorrowedFd<'a>,
    /// stderr of the program.
    pub stderr: BorrowedFd<'a>,
    /// The cgroup folder to start it in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The network namespace to start it in; else a new one.
    pub network: Option<BorrowedFd<'a>>,
    /// Put it into a user namespace of its own, in which only the caller's ids exist. Without
    /// privileges the other namespaces need it.
    pub user_namespace: bool,
}

/// A started program.
#[derive(Debug)]
pub struct Child {
    /// Its process id here.
    pub pid: i32,
    /// Its pidfd.
    pub pidfd: OwnedFd,
}

/// The id maps of a user namespace, formatted before the clone.
struct IdMaps {
    uid: Vec<u8>,
    gid: Vec<u8>,
}

/// Everything the child touches, prepared by the parent.
struct Prepared<'a> {
    path: &'a CStr,
    argv: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    inherit: Vec<RawFd>,
    null: RawFd,
    stderr: RawFd,
    network: Option<RawFd>,
    maps: Option<IdMaps>,
}

/// Starts `program` in new PID, mount, IPC and UTS namespaces, and the network namespace it names
/// or a new one.
///
/// # Errors
/// What clone3 says. A failure after that shows as the child's exit with [`NOT_EXECUTED`].
pub fn spawn(program: &Program<'_>) -> io::Result<Child> {
    let pointers = |list: &[CString]| {
        let ends = std::iter::once(ptr::null());
        list.iter().map(|item| item.as_ptr()).chain(ends).collect()
    };
    let prepared = Prepared {
        path: &program.path,
        argv: pointers(&program.argv),
        env: pointers(&program.env),
        inherit: program.inherit.iter().map(AsRawFd::as_raw_fd).collect(),
        null: program.null.as_raw_fd(),
        stderr: program.stderr.as_raw_fd(),
        network: program.network.map(|fd| fd.as_raw_fd()),
        maps: program.user_namespace.then(identity),
    };
    let mut pidfd: RawFd = -1;
    let mut stack: Vec<u128> = Vec::with_capacity(STACK / size_of::<u128>());
    let mut args = arguments(program, &mut pidfd);
    args.stack = address(stack.as_mut_ptr());
    args.stack_size = STACK as u64;
    // SAFETY: `args` points to `pidfd` and to a stack of that size, aligned for 16 bytes; both
    // and `prepared` outlive the child's use of them, since CLONE_VFORK has this thread wait until
    // it has executed its program or is gone.
    let pid = unsafe { clone3(&args, &prepared) };
    if pid < 0 {
        let errno = i32::try_from(pid.saturating_neg()).unwrap_or(libc::EINVAL);
        return Err(io::Error::from_raw_os_error(errno));
    }
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    // SAFETY: clone3 succeeded with CLONE_PIDFD, so the kernel stored a new descriptor in `pidfd`
    // that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd })
}

/// clone3 with a child that begins in [`become_program`], on the stack that `args` names: the
/// child's id, or an error's number below zero. Not by libc's wrapper, to which the child would
/// return on a stack that holds nothing to return to.
///
/// # Safety
/// `args` must ask for memory to be shared and the parent to wait, and its pointers be valid for
/// that long.
unsafe fn clone3(args: &libc::clone_args, prepared: &Prepared<'_>) -> i64 {
    let result: i64;
    // SAFETY: the parent leaves the block at once, as from any system call: rcx and r11 are
    // clobbered by it, rax is the result, memory and flags are clobbered by default, and its stack
    // is not touched. The child has its own stack, on which it calls a function that takes one
    // pointer and never returns.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {prepared}",
            "call {child}",
            "ud2",
            "2:",
            prepared = in(reg) ptr::from_ref(prepared),
            child = in(reg) become_program as extern "C" fn(&Prepared<'_>) -> !,
            inout("rax") libc::SYS_clone3 => result,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<libc::clone_args>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

fn arguments(program: &Program<'_>, pidfd: &mut RawFd) -> libc::clone_args {
    // SAFETY: clone_args is a struct of integers, for which all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    let spaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    args.flags = flag(spaces | libc::CLONE_PIDFD | libc::CLONE_VM | libc::CLONE_VFORK);
    args.pidfd = address(pidfd);
    args.exit_signal = flag(libc::SIGCHLD);
    if program.network.is_none() {
        args.flags |= flag(libc::CLONE_NEWNET);
    }
    if program.user_namespace {
        args.flags |= flag(libc::CLONE_NEWUSER);
    }
    if let Some(cgroup) = program.cgroup {
        // linux/sched.h: CLONE_INTO_CGROUP is bit 33, above what libc's c_int flags hold.
        args.flags |= 1 << 33;
        args.cgroup = u64::try_from(cgroup.as_raw_fd()).unwrap_or_default();
    }
    args
}

fn flag(bits: libc::c_int) -> u64 {
    u64::from(bits.cast_unsigned())
}

fn address<T>(of: *mut T) -> u64 {
    const _: () = assert!(
        size_of::<usize>() == size_of::<u64>(),
        "clone_args holds addresses"
    );
    u64::try_from(of.addr()).unwrap_or_default()
}

/// Maps the caller's own ids to themselves and no others (user_namespaces(7)).
fn identity() -> IdMaps {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    IdMaps {
        uid: format!("{uid} {uid} 1").into(),
        gid: format!("{gid} {gid} 1").into(),
    }
}

/// The child's side: the steps in order, then execve. Ends the process when one fails.
extern "C" fn become_program(prepared: &Prepared<'_>) -> ! {
    let ready = map_ids(prepared.maps.as_ref())
        && enter_network(prepared.network)
        && own_session()
        && default_signals()
        && descriptors(prepared);
    if ready {
        // SAFETY: path is NUL-terminated; argv and env are null-terminated arrays of
        // NUL-terminated strings owned by the caller's `Program`, who waits.
        unsafe {
            libc::execve(
                prepared.path.as_ptr(),
                prepared.argv.as_ptr(),
                prepared.env.as_ptr(),
            )
        };
    }
    // SAFETY: _exit takes any status and runs no handlers of the parent's.
    unsafe { libc::_exit(NOT_EXECUTED) }
}

fn map_ids(maps: Option<&IdMaps>) -> bool {
    let Some(maps) = maps else { return true };
    write_file(c"/proc/self/setgroups", b"deny")
        && write_file(c"/proc/self/uid_map", &maps.uid)
        && write_file(c"/proc/self/gid_map", &maps.gid)
}

fn enter_network(network: Option<RawFd>) -> bool {
    let Some(fd) = network else { return true };
    // SAFETY: setns takes any descriptor, and refuses one that is no network namespace.
    unsafe { libc::setns(fd, libc::CLONE_NEWNET) == 0 }
}

fn write_file(path: &CStr, bytes: &[u8]) -> bool {
    // SAFETY: `path` is NUL-terminated and outlives the call.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return false;
    }
    // SAFETY: `bytes` is readable for its length.
    let wrote = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(wrote) == Ok(bytes.len())
}

/// Leaves the terminal's foreground group: a Ctrl-C is for the task's command, not for its VMM.
fn own_session() -> bool {
    // SAFETY: setsid takes no arguments; a freshly cloned process leads no group.
    unsafe { libc::setsid() != -1 }
}

/// No signal blocked, SIGPIPE not ignored: what the supervisor changed for itself.
fn default_signals() -> bool {
    // SAFETY: SIG_DFL is a valid disposition for SIGPIPE and involves no handler.
    let pipe = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    // SAFETY: sigset_t is a struct of integers, and all zeroes is the empty set.
    let none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `none` is a readable signal set and the old one is not asked for.
    let mask = unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
    pipe != libc::SIG_ERR && mask == 0
}

fn descriptors(prepared: &Prepared<'_>) -> bool {
    let standard = [(prepared.null, 0), (prepared.null, 1), (prepared.stderr, 2)];
    standard.iter().all(|(from, to)| {
        // SAFETY: dup2 takes any two numbers; both are descriptors of this process alone.
        unsafe { libc::dup2(*from, *to) == *to }
    }) && prepared.inherit.iter().all(|fd| {
        // SAFETY: F_SETFD takes an integer and changes this process's table only.
        unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) == 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn run(script: &str, inherit: &[BorrowedFd<'_>], stderr: BorrowedFd<'_>) -> process::Ending {
        let null = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        let program = Program {
            path: c"/bin/sh".into(),
            argv: ["sh", "-c", script]
                .map(|word| CString::new(word).unwrap())
                .into(),
            env: vec![c"WORD=here".into()],
            inherit: inherit.into(),
            null: null.as_fd(),
            stderr,
            cgroup: None,
            network: None,
            user_namespace: !rustix::process::geteuid().is_root(),
        };
        let child = spawn(&program).unwrap();
        process::reap(child.pid, true).unwrap().unwrap()
    }

    #[test]
    fn a_program_runs_as_process_1_with_its_environment_and_descriptors() {
        let (mut out, tx) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map(|(rx, tx)| (File::from(rx), tx))
            .unwrap();
        let script = format!("echo $$ $WORD >/dev/fd/{}; exit 7", tx.as_raw_fd());
        let ending = run(&script, &[tx.as_fd()], std::io::stderr().as_fd());
        drop(tx);
        let mut said = String::new();
        out.read_to_string(&mut said).unwrap();
        let code = ending.status.unwrap().code();
        assert_eq!((&*said, code), ("1 here\n", Some(7)), "{ending:?}");
    }

    #[test]
    fn a_descriptor_not_named_is_not_inherited() {
        let (_rx, tx) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let null = File::options().write(true).open("/dev/null").unwrap();
        let script = format!("echo x >/dev/fd/{} || exit 9", tx.as_raw_fd());
        let status = run(&script, &[], null.as_fd()).status.unwrap();
        assert_ne!(status.code(), Some(0));
    }
}
