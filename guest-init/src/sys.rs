// SPDX-License-Identifier: Apache-2.0
//! The system calls that `rustix` has no safe wrapper for, each behind one.
#![expect(
    unsafe_code,
    reason = "vsock addresses, signalfd and three ioctls have no safe wrapper"
)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::Pid;

/// Largest payload of [`add_entropy`]; the assignment carries at most this.
pub(crate) const MAX_ENTROPY: usize = 64;

/// `RNDADDENTROPY` and `RNDRESEEDCRNG` of `include/uapi/linux/random.h`.
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;

/// Turns libc's "-1 and errno" into a result.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// `SO_VM_SOCKETS_CONNECT_TIMEOUT` of `include/uapi/linux/vm_sockets.h` (its first form, which
/// takes a `struct timeval` of the machine's own width).
const CONNECT_TIMEOUT: libc::c_int = 6;
/// How long the host has to accept a connection. The kernel's default of 2 s is short on a server
/// where many guests start at once.
const CONNECT_SECONDS: i64 = 20;

/// Connects to a vsock port of the host. Blocks until the host answers, or gives up after
/// [`CONNECT_SECONDS`].
pub(crate) fn connect_vsock(cid: u32, port: u32) -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::VSOCK,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let wait = libc::timeval {
        tv_sec: CONNECT_SECONDS,
        tv_usec: 0,
    };
    let wait_len = libc::socklen_t::try_from(size_of_val(&wait)).unwrap_or_default();
    // SAFETY: setsockopt() reads `wait_len` bytes at the pointer: `wait`, whose size that is.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::AF_VSOCK,
            CONNECT_TIMEOUT,
            ptr::from_ref(&wait).cast(),
            wait_len,
        )
    })?;
    // SAFETY: sockaddr_vm is plain integers, for which all zeroes is a value.
    let mut address: libc::sockaddr_vm = unsafe { mem::zeroed() };
    address.svm_family = libc::sa_family_t::try_from(libc::AF_VSOCK).unwrap_or_default();
    address.svm_cid = cid;
    address.svm_port = port;
    let len = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
    // SAFETY: connect() reads `len` bytes at the pointer: `address`, whose size `len` is.
    check(unsafe { libc::connect(socket.as_raw_fd(), ptr::from_ref(&address).cast(), len) })?;
    Ok(socket)
}

/// Blocks `SIGCHLD` and gives a descriptor that becomes readable when one is pending.
pub(crate) fn child_signals() -> io::Result<OwnedFd> {
    let set = child_set();
    // SAFETY: sigprocmask() reads the set at the first pointer; a null second one asks for nothing.
    check(unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) })?;
    // SAFETY: signalfd() reads the set at the pointer; -1 asks for a new descriptor.
    let fd = check(unsafe {
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    })?;
    // SAFETY: signalfd() returned this descriptor just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The set that holds `SIGCHLD` alone.
fn child_set() -> libc::sigset_t {
    // SAFETY: sigset_t is an array of integers, for which all zeroes is a value: the empty set.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: sigaddset() writes within the set at the pointer, which lives here.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) };
    set
}

/// A copy of this process that does `work` and ends with the status that it gives. It has none of
/// our descriptors but the standard streams, and blocks no signal.
///
/// To be called while this process has one thread, the only one that the copy has.
pub(crate) fn copy(work: impl FnOnce() -> u8) -> io::Result<Pid> {
    // SAFETY: fork(2) is always sound to call; what may go on in the copy is bounded by its one
    // thread (above), and that the copy ends here, before it returns to anybody's frame.
    let pid = check(unsafe { libc::fork() })?;
    let Some(pid) = Pid::from_raw(pid) else {
        forget();
        let status = work();
        // SAFETY: _exit() takes any status, and runs no handlers of the original's copy. (A panic
        // ends the process where it is: `panic = "abort"` in the workspace's Cargo.toml.)
        unsafe { libc::_exit(status.into()) };
    };
    Ok(pid)
}

/// Lets go of what a copy of PID 1 has and is not for it.
fn forget() {
    let (first, last) = (libc::STDERR_FILENO + 1, libc::c_int::MAX);
    // SAFETY: close_range() takes numbers. The owners of what it closes are frames of the
    // original's, which the copy never returns to.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    // SAFETY: sigset_t is an array of integers, for which all zeroes is a value: the empty set.
    let none: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: sigprocmask() reads the set at the pointer; a null second one asks for nothing.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()) };
}

/// Brings up the network interface `lo`.
pub(crate) fn loopback_up() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // SAFETY: ifreq is integers and a union of them, for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or_default();
    let name = libc::Ioctl::try_from(libc::SIOCSIFFLAGS).unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS reads an ifreq at the pointer, which `request` is.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), name, &raw const request) })?;
    Ok(())
}

/// What `RNDADDENTROPY` reads: `struct rand_pool_info` with its bytes.
#[repr(C)]
struct PoolInfo {
    entropy_bits: libc::c_int,
    bytes: libc::c_int,
    buffer: [u8; MAX_ENTROPY],
}

/// Mixes bytes of the host into the kernel's pool, counts them as entropy, and makes the generator
/// take its next key from the pool. `device` is `/dev/urandom`.
pub(crate) fn add_entropy(device: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    let mut info = PoolInfo {
        entropy_bits: 0,
        bytes: 0,
        buffer: [0; MAX_ENTROPY],
    };
    let mut count: libc::c_int = 0;
    for (to, from) in info.buffer.iter_mut().zip(bytes) {
        *to = *from;
        count = count.saturating_add(1);
    }
    info.bytes = count;
    info.entropy_bits = count.saturating_mul(8);
    let fd = device.as_fd().as_raw_fd();
    let add = libc::Ioctl::try_from(RNDADDENTROPY).unwrap_or_default();
    // SAFETY: RNDADDENTROPY reads the two counts and then `bytes` bytes at the pointer; `bytes` is
    // at most MAX_ENTROPY, which `buffer` holds.
    check(unsafe { libc::ioctl(fd, add, &raw const info) })?;
    let reseed = libc::Ioctl::try_from(RNDRESEEDCRNG).unwrap_or_default();
    // SAFETY: RNDRESEEDCRNG takes no argument and touches no memory of ours.
    check(unsafe { libc::ioctl(fd, reseed) })?;
    Ok(())
}
