// SPDX-License-Identifier: Apache-2.0
//! The kernel's side of the gate: seccomp's user notification, Landlock, and reading another
//! process, each call behind one safe function.
//!
//! Numbers and layouts: `include/uapi/linux/seccomp.h`, `include/uapi/linux/landlock.h`.
#![expect(
    unsafe_code,
    reason = "seccomp, landlock, pidfd_getfd and process_vm_readv have no safe wrapper"
)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use crate::sys::{check, done};

const SET_MODE_FILTER: libc::c_uint = 1;
const NEW_LISTENER: libc::c_ulong = 1 << 3;
/// A signal that does not kill does not interrupt what the gate has taken up: no call asks twice.
const WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

/// The libraries differ in the type of an ioctl's number, so they are called by the kernel's own.
const NOTIF_RECV: u64 = 0xc050_2100;
const NOTIF_SEND: u64 = 0xc018_2101;
const NOTIF_ID_VALID: u64 = 0x4008_2102;
const NOTIF_ADDFD: u64 = 0x4018_2103;
const ADDFD_SEND: u32 = 2;
const CONTINUE: u32 = 1;

const LANDLOCK_CREATE_RULESET: libc::c_long = 444;
const LANDLOCK_ADD_RULE: libc::c_long = 445;
const LANDLOCK_RESTRICT_SELF: libc::c_long = 446;
const PATH_BENEATH: libc::c_int = 1;

/// A system call that waits (`struct seccomp_notif`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notification {
    /// Names it until it is answered.
    pub(crate) id: u64,
    /// The thread that makes it.
    pub(crate) thread: u32,
    flags: u32,
    /// Its number.
    pub(crate) call: i32,
    arch: u32,
    pointer: u64,
    /// Its arguments, as they are in the registers.
    pub(crate) arguments: [u64; 6],
}

#[repr(C)]
struct Response {
    id: u64,
    value: i64,
    error: i32,
    flags: u32,
}

#[repr(C)]
struct AddFd {
    id: u64,
    flags: u32,
    source: u32,
    target: u32,
    target_flags: u32,
}

#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: i32,
}

/// The answer to a system call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel carries it out.
    Continue,
    /// It was carried out: what it returns.
    Value(i64),
    /// It fails with this errno.
    Fail(i32),
}

/// Puts the calling thread under a filter whose verdicts come from whoever has the descriptor
/// that is returned. In the child between clone and exec: it makes system calls and nothing else.
pub(crate) fn listen(filter: &[libc::sock_filter]) -> Result<i32, i32> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(0),
        filter: filter.as_ptr().cast_mut(),
    };
    let flags = NEW_LISTENER | WAIT_KILLABLE_RECV;
    // SAFETY: prctl() takes numbers here.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == -1 {
        return Err(errno());
    }
    let program = &raw const program;
    // SAFETY: seccomp() reads the program at the pointer, which lives here and whose length is the
    // slice's; the kernel copies it.
    let fd = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, flags, program) };
    i32::try_from(fd)
        .ok()
        .filter(|fd| *fd >= 0)
        .ok_or_else(errno)
}

/// Puts the calling thread under a Landlock ruleset. Needs no-new-privs.
pub(crate) fn restrict(ruleset: BorrowedFd<'_>) -> Result<(), i32> {
    // SAFETY: prctl() takes numbers here.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } == -1 {
        return Err(errno());
    }
    // SAFETY: landlock_restrict_self() takes two numbers.
    match unsafe { libc::syscall(LANDLOCK_RESTRICT_SELF, ruleset.as_raw_fd(), 0) } {
        0 => Ok(()),
        _ => Err(errno()),
    }
}

fn errno() -> i32 {
    io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO)
}

/// Takes the next call that waits.
pub(crate) fn receive(listener: impl AsFd) -> io::Result<Notification> {
    // The kernel wants zeroes.
    let mut notification = Notification::default();
    let to = &raw mut notification;
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the ioctl writes one struct seccomp_notif at the pointer, which `Notification` is.
    done(unsafe { libc::syscall(libc::SYS_ioctl, fd, NOTIF_RECV, to) })?;
    Ok(notification)
}

/// Answers a call. One that is gone meanwhile is ENOENT.
pub(crate) fn send(listener: impl AsFd, id: u64, answer: Answer) -> io::Result<()> {
    let (value, error, flags) = match answer {
        Answer::Continue => (0, 0, CONTINUE),
        Answer::Value(value) => (value, 0, 0),
        Answer::Fail(errno) => (0, errno.saturating_neg(), 0),
    };
    let response = Response {
        id,
        value,
        error,
        flags,
    };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the ioctl reads one struct seccomp_notif_resp at the pointer, which `response` is.
    done(unsafe { libc::syscall(libc::SYS_ioctl, fd, NOTIF_SEND, &raw const response) }).map(drop)
}

/// Whether the call still waits: what was read of its thread before is then that thread's.
pub(crate) fn waits(listener: impl AsFd, id: u64) -> bool {
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the ioctl reads one u64 at the pointer.
    unsafe { libc::syscall(libc::SYS_ioctl, fd, NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Gives the process that waits a descriptor, as what its call returns.
pub(crate) fn give(
    listener: impl AsFd,
    id: u64,
    descriptor: BorrowedFd<'_>,
    close_on_exec: bool,
) -> io::Result<()> {
    let add = AddFd {
        id,
        flags: ADDFD_SEND,
        source: descriptor.as_raw_fd().unsigned_abs(),
        target: 0,
        target_flags: match close_on_exec {
            true => libc::O_CLOEXEC.unsigned_abs(),
            false => 0,
        },
    };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the ioctl reads one struct seccomp_notif_addfd at the pointer, which `add` is.
    done(unsafe { libc::syscall(libc::SYS_ioctl, fd, NOTIF_ADDFD, &raw const add) }).map(drop)
}

/// A copy of a descriptor of another process.
pub(crate) fn descriptor_of(process: impl AsFd, number: i32) -> io::Result<OwnedFd> {
    let pidfd = process.as_fd().as_raw_fd();
    // SAFETY: pidfd_getfd() takes three numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd, number, 0) };
    let fd = done(fd)?;
    // SAFETY: pidfd_getfd() made this descriptor just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads from another process' memory; how many bytes there were.
pub(crate) fn read_memory(pid: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: ptr::without_provenance_mut(usize::try_from(address).unwrap_or(0)),
        iov_len: buffer.len(),
    };
    let pid = libc::pid_t::try_from(pid).unwrap_or(-1);
    let (local, remote) = (&raw const local, &raw const remote);
    // SAFETY: process_vm_readv() writes at most `buffer.len()` bytes into `buffer`; the remote
    // address is the other process', and the kernel checks it there.
    let read = unsafe { libc::process_vm_readv(pid, local, 1, remote, 1, 0) };
    usize::try_from(read).map_err(|_negative| io::Error::last_os_error())
}

/// Gives the calling thread a working folder, root and umask of its own.
pub(crate) fn own_folders() -> io::Result<()> {
    // SAFETY: unshare() takes flags.
    check(unsafe { libc::unshare(libc::CLONE_FS) }).map(drop)
}

/// The version of Landlock that the kernel has; 0 for none.
pub(crate) fn landlock_version() -> i64 {
    const VERSION: libc::c_uint = 1;
    let none = ptr::null::<u8>();
    // SAFETY: with this flag landlock_create_ruleset() reads nothing and answers a number.
    unsafe { libc::syscall(LANDLOCK_CREATE_RULESET, none, 0, VERSION) }.max(0)
}

/// A ruleset that forbids what is handled, but for its rules.
pub(crate) fn ruleset(handled: u64) -> io::Result<OwnedFd> {
    let attributes = &raw const handled;
    // SAFETY: landlock_create_ruleset() reads as many bytes as the size says: the first field of
    // its attributes, handled_access_fs.
    let fd = unsafe { libc::syscall(LANDLOCK_CREATE_RULESET, attributes, size_of::<u64>(), 0) };
    let fd = done(fd)?;
    // SAFETY: the call made this descriptor just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Allows something beneath a folder.
pub(crate) fn allow(ruleset: impl AsFd, folder: impl AsFd, allowed: u64) -> io::Result<()> {
    let rule = PathBeneath {
        allowed,
        parent: folder.as_fd().as_raw_fd(),
    };
    let fd = ruleset.as_fd().as_raw_fd();
    let rule = &raw const rule;
    // SAFETY: landlock_add_rule() reads one landlock_path_beneath_attr at the pointer.
    let added = unsafe { libc::syscall(LANDLOCK_ADD_RULE, fd, PATH_BENEATH, rule, 0) };
    done(added).map(drop)
}

/// Connects a socket to an address as it was read from another process.
pub(crate) fn connect(socket: impl AsFd, address: &[u8]) -> io::Result<()> {
    let len = libc::socklen_t::try_from(address.len()).unwrap_or(0);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: connect() reads `len` bytes at the pointer; the kernel checks what they say.
    check(unsafe { libc::connect(fd, address.as_ptr().cast(), len) }).map(drop)
}

/// `FAN_OPEN_EXEC_PERM` of `include/uapi/linux/fanotify.h`: a file is opened to be run.
const OPEN_EXEC_PERM: u64 = 0x0004_0000;

/// A descriptor that tells of files about to be run, each waiting for an answer.
pub(crate) fn loads() -> io::Result<OwnedFd> {
    const CLOEXEC: libc::c_uint = 1;
    const NONBLOCK: libc::c_uint = 2;
    const CLASS_CONTENT: libc::c_uint = 4;
    let flags = CLASS_CONTENT | NONBLOCK | CLOEXEC;
    // A lease of the task's on the file would hold up the opening, and all that is gated.
    let opened = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: fanotify_init() takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_fanotify_init, flags, opened) };
    let fd = done(fd)?;
    // SAFETY: the call made this descriptor just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Tells of all files of the file system that a folder is of.
pub(crate) fn watch_loads(loads: impl AsFd, folder: &CStr) -> io::Result<()> {
    const ADD: libc::c_uint = 1;
    const FILESYSTEM: libc::c_uint = 0x100;
    let fd = loads.as_fd().as_raw_fd();
    let (flags, folder) = (ADD | FILESYSTEM, folder.as_ptr());
    // SAFETY: fanotify_mark() reads a nul-terminated path, which a CStr is.
    let done = unsafe { libc::fanotify_mark(fd, flags, OPEN_EXEC_PERM, libc::AT_FDCWD, folder) };
    check(done).map(drop)
}

/// Tells no more of one file, until it is changed.
pub(crate) fn trust_loads(loads: impl AsFd, file: impl AsFd) -> io::Result<()> {
    const ADD: libc::c_uint = 1;
    const IGNORED_MASK: libc::c_uint = 0x20;
    let path = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    let path = std::ffi::CString::new(path)?;
    let fd = loads.as_fd().as_raw_fd();
    let (flags, path) = (ADD | IGNORED_MASK, path.as_ptr());
    // SAFETY: fanotify_mark() reads a nul-terminated path, which a CString is.
    let done = unsafe { libc::fanotify_mark(fd, flags, OPEN_EXEC_PERM, libc::AT_FDCWD, path) };
    check(done).map(drop)
}

/// A file that is about to be run.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) file: OwnedFd,
    pub(crate) process: u32,
}

/// `struct fanotify_event_metadata`.
const EVENT: usize = 24;

/// The next files that wait.
pub(crate) fn next_loads(loads: impl AsFd) -> io::Result<Vec<Load>> {
    let mut bytes = [0; EVENT * 16];
    let read = rustix::io::read(loads, &mut bytes)?;
    let whole = bytes.get(..read).unwrap_or_default();
    let (events, _) = whole.as_chunks::<EVENT>();
    let word = |event: &[u8; EVENT], at: usize| {
        let bytes = event.get(at..).and_then(<[u8]>::first_chunk::<4>);
        bytes.map_or(-1, |bytes| i32::from_ne_bytes(*bytes))
    };
    let load = |event: &[u8; EVENT]| {
        let (fd, pid) = (word(event, 16), word(event, 20));
        // An overflow of the queue has no descriptor.
        (fd >= 0).then(|| Load {
            // SAFETY: the kernel opened this descriptor for this event, and nobody else has it.
            file: unsafe { OwnedFd::from_raw_fd(fd) },
            process: u32::try_from(pid).unwrap_or(0),
        })
    };
    Ok(events.iter().filter_map(load).collect())
}

/// Answers for a file that waits.
pub(crate) fn answer_load(loads: impl AsFd, load: &Load, allow: bool) -> io::Result<()> {
    let answer: u32 = if allow { 1 } else { 2 };
    let mut bytes = [0; 8];
    let (fd, response) = bytes.split_at_mut(4);
    fd.copy_from_slice(&load.file.as_raw_fd().to_ne_bytes());
    response.copy_from_slice(&answer.to_ne_bytes());
    rustix::io::write(loads, &bytes)?;
    Ok(())
}

/// Whether a thread is its process' first, whose number is the process'.
pub(crate) fn is_process(thread: u32) -> bool {
    // SAFETY: tgkill() takes numbers; signal 0 is none.
    unsafe { libc::syscall(libc::SYS_tgkill, thread, thread, 0) == 0 }
}

/// Kills a process.
pub(crate) fn kill(process: impl AsFd) {
    let fd = process.as_fd().as_raw_fd();
    let info = ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal() takes numbers and a pointer that may be null.
    unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, libc::SIGKILL, info, 0) };
}

/// Opens a path, but follows no link of the kernel's (`/proc/<pid>/fd/…`): where those lead is
/// somebody's, and here it would be the gate's.
pub(crate) fn open_plainly(base: BorrowedFd<'_>, path: &CStr, flags: u64) -> io::Result<OwnedFd> {
    const NO_MAGICLINKS: u64 = 2;
    // `struct open_how`: flags, mode, resolve.
    let how = [flags, 0, NO_MAGICLINKS];
    let (fd, path) = (base.as_raw_fd(), path.as_ptr());
    let (at, len) = (how.as_ptr(), size_of_val(&how));
    // SAFETY: openat2() reads a nul-terminated path and as many bytes of `how` as the length says.
    let fd = done(unsafe { libc::syscall(libc::SYS_openat2, fd, path, at, len) })?;
    // SAFETY: openat2() made this descriptor just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Renames or removes and the like take names beneath folders; the flags of rustix' own wrappers
/// are enough but for this one.
pub(crate) fn rename(
    from: (BorrowedFd<'_>, &CStr),
    to: (BorrowedFd<'_>, &CStr),
    flags: u32,
) -> io::Result<()> {
    let (from_fd, to_fd) = (from.0.as_raw_fd(), to.0.as_raw_fd());
    let (from, to) = (from.1.as_ptr(), to.1.as_ptr());
    // SAFETY: renameat2() reads two nul-terminated names, which both CStr are.
    let done = unsafe { libc::syscall(libc::SYS_renameat2, from_fd, from, to_fd, to, flags) };
    self::done(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_kernels() {
        assert_eq!(size_of::<Notification>(), 80);
        assert_eq!(size_of::<Response>(), 24);
        assert_eq!(size_of::<AddFd>(), 24);
        assert_eq!(size_of::<PathBeneath>(), 12);
        assert_eq!(std::mem::offset_of!(Notification, arguments), 32);
    }

    #[test]
    fn memory_of_a_process_is_read_and_what_is_none_is_an_error() {
        let text = *b"as it is";
        let mut read = [0; 8];
        let address = u64::try_from(text.as_ptr().addr()).unwrap();
        assert_eq!(
            read_memory(std::process::id(), address, &mut read).unwrap(),
            8
        );
        assert_eq!(read, text);
        assert!(read_memory(std::process::id(), 0, &mut read).is_err());
    }
}
