// SPDX-License-Identifier: Apache-2.0
//! What this process asks of its own kernel where neither std nor rustix has a safe call:
//! taking over inherited descriptors, signal handlers, its use of memory, and the timer of last
//! resort.
#![expect(
    unsafe_code,
    reason = "descriptors by number, signal handlers, POSIX timers"
)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

/// Set once the inherited descriptors have their owners.
static ADOPTED: AtomicBool = AtomicBool::new(false);

/// Why inherited descriptors cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// Nothing is open there.
    #[error("descriptor {0}, named on the command line, is not open")]
    NotOpen(RawFd),
    /// Standard input, output and error keep their meaning.
    #[error("descriptor {0}, named on the command line, is a standard stream")]
    Standard(RawFd),
    /// One descriptor, two uses.
    #[error("descriptor {0} is named twice on the command line")]
    Twice(RawFd),
    /// They have owners.
    #[error("a process takes over its inherited descriptors once")]
    Again,
}

/// Takes over the descriptors this process was started with, by number. Once in a process.
pub(crate) fn adopt(numbers: &[RawFd]) -> Result<Vec<OwnedFd>, AdoptError> {
    for (i, number) in numbers.iter().enumerate() {
        if *number <= libc::STDERR_FILENO {
            return Err(AdoptError::Standard(*number));
        }
        if numbers.iter().take(i).any(|other| other == number) {
            return Err(AdoptError::Twice(*number));
        }
        // SAFETY: F_GETFD takes no pointer and changes nothing, whatever the number.
        if unsafe { libc::fcntl(*number, libc::F_GETFD) } < 0 {
            return Err(AdoptError::NotOpen(*number));
        }
    }
    if ADOPTED.swap(true, Ordering::SeqCst) {
        return Err(AdoptError::Again);
    }
    let own = |number: &RawFd| {
        // SAFETY: the number must be open and have no other owner: it was open just now; no two
        // are alike; this happens once, and the caller does it before it opens anything itself,
        // so that all numbers are inherited ones.
        unsafe { OwnedFd::from_raw_fd(*number) }
    };
    Ok(numbers.iter().map(own).collect())
}

/// Has `handler` called for `signal`, on any thread. System calls go on afterwards, apart from
/// those that never do (KVM_RUN, epoll_wait: signal(7)). The handler may do only what
/// signal-safety(7) allows.
pub(crate) fn on_signal(
    signal: libc::c_int,
    handler: extern "C" fn(libc::c_int),
) -> io::Result<()> {
    // SAFETY: all zero is a valid sigaction: nothing blocked, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: `action` is a live sigaction whose handler takes one number, as it does without
    // SA_SIGINFO, and the old action is not asked for.
    let set = unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The eventfd SIGTERM writes to; none yet.
static TERMINATE: AtomicI32 = AtomicI32::new(-1);

/// Turns SIGTERM into an event. As PID 1 of a namespace a process would not get it otherwise.
/// `event` must stay open for the life of the process; its number is what the handler has.
pub(crate) fn on_terminate(event: RawFd) -> io::Result<()> {
    TERMINATE.store(event, Ordering::SeqCst);
    on_signal(libc::SIGTERM, terminated)
}

extern "C" fn terminated(_: libc::c_int) {
    let one = 1u64.to_ne_bytes();
    let event = TERMINATE.load(Ordering::SeqCst);
    // SAFETY: eight readable bytes, as an eventfd wants; write(2) is async-signal-safe. The
    // event's owner keeps it open; were it not, the write fails without harm.
    unsafe { libc::write(event, one.as_ptr().cast(), one.len()) };
}

/// The largest resident set this process has had, in bytes.
pub(crate) fn peak_resident() -> u64 {
    // SAFETY: all zero is a valid rusage: a struct of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a live rusage to write to. It fails for no other reason.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    // ru_maxrss is in KiB (getrusage(2)).
    u64::try_from(usage.ru_maxrss)
        .unwrap_or_default()
        .saturating_mul(1024)
}

/// The status of a process that [`last_resort`] ended.
static LAST_STATUS: AtomicI32 = AtomicI32::new(1);

/// The kernel's number of the timer of last resort; none yet.
static LAST_TIMER: AtomicI32 = AtomicI32::new(-1);

/// Ends this process with `status` after `life`, whatever its threads are doing by then. Counts
/// as the wall clock does, through suspends.
pub(crate) fn last_resort(life: Duration, status: i32) -> io::Result<()> {
    LAST_STATUS.store(status, Ordering::SeqCst);
    // A handler, as the default action would not reach the first process of a namespace.
    on_signal(libc::SIGALRM, resort)?;
    let mut timer: libc::c_int = 0;
    // SAFETY: a null sigevent means SIGALRM (timer_create(2)); the kernel's timer id is an int,
    // written to a live one.
    let made = unsafe {
        libc::syscall(
            libc::SYS_timer_create,
            libc::CLOCK_BOOTTIME,
            std::ptr::null::<libc::sigevent>(),
            &raw mut timer,
        )
    };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    LAST_TIMER.store(timer, Ordering::SeqCst);
    last_resort_after(life)
}

/// The same timer, counted anew from here.
pub(crate) fn last_resort_after(life: Duration) -> io::Result<()> {
    let timer = LAST_TIMER.load(Ordering::SeqCst);
    let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
    let when = libc::itimerspec {
        it_interval: libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        },
        it_value: libc::timespec {
            tv_sec: seconds(life),
            tv_nsec: life.subsec_nanos().into(),
        },
    };
    let no_old = std::ptr::null_mut::<libc::itimerspec>();
    // SAFETY: a number (of a timer, or it is refused), a live itimerspec, no place for the old one.
    let set = unsafe { libc::syscall(libc::SYS_timer_settime, timer, 0, &raw const when, no_old) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

extern "C" fn resort(_: libc::c_int) {
    // SAFETY: _exit(2) is async-signal-safe and takes any status.
    unsafe { libc::_exit(LAST_STATUS.load(Ordering::SeqCst)) };
}
