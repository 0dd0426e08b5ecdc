// SPDX-License-Identifier: Apache-2.0
//! The system calls that `rustix` has no safe wrapper for, each behind one.
#![expect(
    unsafe_code,
    reason = "vsock addresses, wait4, signal dispositions and ids of one thread have no safe wrapper"
)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::Pid;

/// `SO_VM_SOCKETS_CONNECT_TIMEOUT` of `include/uapi/linux/vm_sockets.h` (its first form, which
/// takes a `struct timeval` of the machine's own width).
const CONNECT_TIMEOUT: libc::c_int = 6;
/// How long the host has to accept a connection. The kernel's default of 2 s is short on a server
/// where many guests start at once.
const CONNECT_SECONDS: i64 = 20;

/// Turns libc's "-1 and errno" into a result.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A system call's result, made by number.
pub(crate) fn done(result: libc::c_long) -> io::Result<libc::c_int> {
    check(libc::c_int::try_from(result).unwrap_or(-1))
}

/// A length as the socket calls want it.
fn socklen<T>(value: &T) -> libc::socklen_t {
    libc::socklen_t::try_from(size_of_val(value)).unwrap_or_default()
}

/// Begins to connect to a vsock port. The socket is non-blocking; it becomes writable when the
/// connection stands or has failed.
pub(crate) fn connect_vsock(cid: u32, port: u32) -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::VSOCK,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    let wait = libc::timeval {
        tv_sec: CONNECT_SECONDS,
        tv_usec: 0,
    };
    let fd = socket.as_raw_fd();
    let wait_ptr = ptr::from_ref(&wait).cast();
    // SAFETY: setsockopt() reads as many bytes at the pointer as the length says: a timeval's.
    check(unsafe {
        libc::setsockopt(
            fd,
            libc::AF_VSOCK,
            CONNECT_TIMEOUT,
            wait_ptr,
            socklen(&wait),
        )
    })?;
    // SAFETY: sockaddr_vm is plain integers, for which all zeroes is a value.
    let mut address: libc::sockaddr_vm = unsafe { mem::zeroed() };
    address.svm_family = libc::sa_family_t::try_from(libc::AF_VSOCK).unwrap_or_default();
    address.svm_cid = cid;
    address.svm_port = port;
    let address_ptr = ptr::from_ref(&address).cast();
    // SAFETY: connect() reads as many bytes at the pointer as the length says: a sockaddr_vm's.
    match check(unsafe { libc::connect(fd, address_ptr, socklen(&address)) }) {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(socket),
    }
}

/// How a child ended, and what it and its own children used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: u32,
    /// 0 when it exited.
    pub(crate) signal: u32,
    pub(crate) user_us: u64,
    pub(crate) system_us: u64,
    pub(crate) max_rss_kib: u64,
}

/// Reaps one child of ours, if it has ended.
pub(crate) fn reap(child: Pid) -> io::Result<Option<Ended>> {
    let pid = child.as_raw_nonzero().get();
    let mut status = 0;
    // SAFETY: rusage is plain integers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: wait4() writes one int and one rusage at the pointers, which both live here.
    let got = check(unsafe { libc::wait4(pid, &raw mut status, libc::WNOHANG, &raw mut usage) })?;
    if got == 0 {
        return Ok(None);
    }
    let signal = if libc::WIFSIGNALED(status) {
        libc::WTERMSIG(status)
    } else {
        0
    };
    let code = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        0
    };
    Ok(Some(Ended {
        code: code.unsigned_abs(),
        signal: signal.unsigned_abs(),
        user_us: microseconds(usage.ru_utime),
        system_us: microseconds(usage.ru_stime),
        max_rss_kib: u64::try_from(usage.ru_maxrss).unwrap_or(0),
    }))
}

fn microseconds(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_usec).unwrap_or(0);
    seconds.saturating_mul(1_000_000).saturating_add(rest)
}

/// Lets SIGTERM pass: PID 1 sends it to every process when commands are to end.
pub(crate) fn ignore_sigterm() {
    // SAFETY: SIG_IGN is a disposition, not a function of ours that a signal would run.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}

/// Sends a signal to a process group, by number: real-time signals have no names.
pub(crate) fn signal_group(group: Pid, signal: libc::c_int) -> io::Result<()> {
    let group = group.as_raw_nonzero().get();
    // SAFETY: kill() takes two numbers and touches no memory of ours.
    check(unsafe { libc::kill(-group, signal) }).map(drop)
}

/// Bytes that a terminal's controlling side would give now.
pub(crate) fn waiting(fd: impl AsFd) -> usize {
    rustix::io::ioctl_fionread(fd)
        .ok()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(0)
}

/// Makes the calling thread, and no other, look at files as a user with these groups. Given root's
/// it has root's power over files again.
pub(crate) fn act_as(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // Back to root first: the groups are its to set.
    // SAFETY: setfsuid() takes a number. By number and not through libc, which tells every thread.
    unsafe { libc::syscall(libc::SYS_setfsuid, 0) };
    // SAFETY: setgroups() reads as many ids as the first argument says.
    let set = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    done(set)?;
    // SAFETY: setfsgid() takes a number.
    unsafe { libc::syscall(libc::SYS_setfsgid, gid) };
    // SAFETY: setfsuid() takes a number.
    unsafe { libc::syscall(libc::SYS_setfsuid, uid) };
    look_into_others(uid == 0)?;
    // Neither says whether it worked; asking with a number that is none changes nothing.
    // SAFETY: setfsuid() takes a number.
    let now = unsafe { libc::syscall(libc::SYS_setfsuid, u32::MAX) };
    match u32::try_from(now) == Ok(uid) {
        true => Ok(()),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// Whether the calling thread may follow the links of other processes in /proc (`CAP_SYS_PTRACE`,
/// which a change of the file system's ids does not take away).
fn look_into_others(may: bool) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    const SYS_PTRACE: u32 = 1 << 19;
    let header = [VERSION_3, 0];
    // Twice: effective, permitted, inheritable.
    let mut sets = [0_u32; 6];
    let (at, into) = (header.as_ptr(), sets.as_mut_ptr());
    // SAFETY: capget() reads a header and writes two structs of three words at the pointer.
    done(unsafe { libc::syscall(libc::SYS_capget, at, into) })?;
    let [effective, permitted, ..] = &mut sets;
    let wanted = match may {
        true => *effective | (*permitted & SYS_PTRACE),
        false => *effective & !SYS_PTRACE,
    };
    if wanted == *effective {
        return Ok(());
    }
    *effective = wanted;
    let (at, from) = (header.as_ptr(), sets.as_ptr());
    // SAFETY: capset() reads a header and two structs of three words at the pointers.
    done(unsafe { libc::syscall(libc::SYS_capset, at, from) }).map(drop)
}
