// SPDX-License-Identifier: Apache-2.0
//! The filter that every gated command runs under: a classic BPF program, which the kernel runs
//! over `struct seccomp_data` (`Documentation/userspace-api/seccomp_filter.rst`).
//!
//! A call is let pass, refused by itself, or handed to the gate. Calls that are let pass whatever
//! their arguments are cost nothing: the kernel remembers them by number (`seccomp_cache`).
//!
//! What is refused by itself, by the names that the record knows:
//!
//! | rule | calls | answer |
//! | --- | --- | --- |
//! | `gate:abi` | any call of the 32-bit or x32 table | killed, ENOSYS |
//! | `gate:io-uring` | `io_uring_*` | ENOSYS: programs fall back |
//! | `gate:openat2` | `openat2` | ENOSYS: libraries fall back to `openat` |
//! | `gate:filter` | filters of the task's own, with a listener or without: one could hide a call from the gate | EINVAL, as a kernel without them says |
//! | `gate:trace` | `ptrace`: it can put another call in the place of one; `process_vm_writev`: other words in the place of those that were judged | EPERM |
//! | `gate:namespace` | mounts and users of the task's own, by `unshare`, `clone` or `setns`: a mount of a namespace that has ended gives its files paths that are not theirs | EPERM |
//! | `gate:clone3` | `clone3`, whose flags are in memory | ENOSYS: libraries fall back to `clone` |
//! | `gate:handle` | `open_by_handle_at` | EPERM |
//! | `gate:vsock`, `gate:raw` | `socket` of AF_VSOCK, AF_PACKET, raw IP | EACCES, EPERM |
//! | `gate:root` | `chroot`, `pivot_root` | EPERM: paths are one guest's |
//! | `gate:mount` | the calls that make file systems without a mount point | ENOSYS; Landlock refuses the others |
//! | `gate:watch` | `fanotify_init` | EPERM: a watcher could hold up the gate's own opens |
//! | `gate:clock` | setting the clock: times of change say which files are the image's | EPERM |

use libc::sock_filter;

/// `AUDIT_ARCH_X86_64` of `include/uapi/linux/audit.h`.
const ARCH: u32 = 0xc000_003e;
/// `__X32_SYSCALL_BIT` of `arch/x86/include/uapi/asm/unistd.h`.
const X32: u32 = 0x4000_0000;

const KILL: u32 = 0x8000_0000;
const FAIL: u32 = 0x0005_0000;
const NOTIFY: u32 = 0x7fc0_0000;
const ALLOW: u32 = 0x7fff_0000;

/// Offsets in `struct seccomp_data`; of an argument its low half, which is all that is looked at
/// of the flags and families here (they are ints, and the kernel cuts them likewise).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

/// Calls that go to the gate whatever their arguments are.
const GATED: [libc::c_long; 22] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_set_tid_address,
    libc::SYS_creat,
    libc::SYS_truncate,
    libc::SYS_unlink,
    libc::SYS_unlinkat,
    libc::SYS_rmdir,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_link,
    libc::SYS_linkat,
    libc::SYS_symlink,
    libc::SYS_symlinkat,
    libc::SYS_mkdir,
    libc::SYS_mkdirat,
    libc::SYS_mknod,
    libc::SYS_mknodat,
    libc::SYS_connect,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
];

/// Calls that fail by themselves.
const REFUSED: [(libc::c_long, i32); 23] = [
    (libc::SYS_io_uring_setup, libc::ENOSYS),
    (libc::SYS_io_uring_enter, libc::ENOSYS),
    (libc::SYS_io_uring_register, libc::ENOSYS),
    (libc::SYS_openat2, libc::ENOSYS),
    (libc::SYS_open_by_handle_at, libc::EPERM),
    (libc::SYS_chroot, libc::EPERM),
    (libc::SYS_pivot_root, libc::EPERM),
    (libc::SYS_open_tree, libc::ENOSYS),
    (libc::SYS_move_mount, libc::ENOSYS),
    (libc::SYS_fsopen, libc::ENOSYS),
    (libc::SYS_fsconfig, libc::ENOSYS),
    (libc::SYS_fsmount, libc::ENOSYS),
    (libc::SYS_fspick, libc::ENOSYS),
    (libc::SYS_mount_setattr, libc::ENOSYS),
    (libc::SYS_ptrace, libc::EPERM),
    (libc::SYS_process_vm_writev, libc::EPERM),
    (libc::SYS_setns, libc::EPERM),
    (libc::SYS_clone3, libc::ENOSYS),
    (libc::SYS_fanotify_init, libc::EPERM),
    (libc::SYS_clock_settime, libc::EPERM),
    (libc::SYS_settimeofday, libc::EPERM),
    (libc::SYS_adjtimex, libc::EPERM),
    (libc::SYS_clock_adjtime, libc::EPERM),
];

/// `SECCOMP_SET_MODE_FILTER` of `include/uapi/linux/seccomp.h`.
const SET_MODE_FILTER: u32 = 1;

/// Flags of an open that may change a file, make one, or cut one.
const WRITES: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC).unsigned_abs();

/// A type of IP socket that the kernel makes a packet socket of (`__sock_create`).
const SOCK_PACKET: u32 = 10;

/// What is loaded, compared and returned, before jumps are counted.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Loads a word of the data.
    Load(u32),
    /// Keeps only these bits of what was loaded.
    Keep(u32),
    /// Returns, if what was loaded is this.
    If(u32, u32),
    /// Returns, unless what was loaded is this.
    IfNot(u32, u32),
    /// Returns, if any of these bits is set.
    IfAny(u32, u32),
    /// Passes over as many instructions, unless what was loaded is this.
    Unless(u32, u8),
    /// Returns.
    Return(u32),
}

/// What is done about a call.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Returns.
    Return(u32),
    /// Looks at its arguments.
    Look(&'static [Step]),
}

/// The calls whose arguments decide.
const BY_ARGUMENTS: [(libc::c_long, &[Step]); 8] = [
    (libc::SYS_openat, &opens(2)),
    (libc::SYS_open, &opens(1)),
    // A message with an address; its pointer's low half may be zero only by an attacker's choice,
    // so both halves are looked at.
    (
        libc::SYS_sendto,
        &[
            Step::Load(argument(4)),
            Step::IfAny(u32::MAX, NOTIFY),
            Step::Load(argument(4).saturating_add(4)),
            Step::IfAny(u32::MAX, NOTIFY),
            Step::Return(ALLOW),
        ],
    ),
    (libc::SYS_socket, &SOCKETS),
    (libc::SYS_unshare, &NAMESPACES),
    (libc::SYS_clone, &NAMESPACES),
    (
        libc::SYS_seccomp,
        &[
            Step::Load(argument(0)),
            Step::If(SET_MODE_FILTER, fail(libc::EINVAL)),
            Step::Return(ALLOW),
        ],
    ),
    (
        libc::SYS_prctl,
        &[
            Step::Load(argument(0)),
            Step::Unless(libc::PR_SET_SECCOMP.unsigned_abs(), 3),
            Step::Load(argument(1)),
            Step::If(libc::SECCOMP_MODE_FILTER, fail(libc::EINVAL)),
            Step::Return(ALLOW),
        ],
    ),
];

/// Flags of `clone` and `unshare`, the first argument of both, that make namespaces in which paths
/// or rights are others.
const NAMESPACES: [Step; 3] = [
    Step::Load(argument(0)),
    Step::IfAny(
        (libc::CLONE_NEWNS | libc::CLONE_NEWUSER).unsigned_abs(),
        fail(libc::EPERM),
    ),
    Step::Return(ALLOW),
];

const fn opens(flags: u32) -> [Step; 3] {
    [
        Step::Load(argument(flags)),
        Step::IfAny(WRITES, NOTIFY),
        Step::Return(ALLOW),
    ]
}

/// Sockets of families and types that stay in the guest and are no way round it.
const SOCKETS: [Step; 14] = [
    Step::Load(argument(0)),
    Step::If(libc::AF_VSOCK.unsigned_abs(), fail(libc::EACCES)),
    Step::If(libc::AF_PACKET.unsigned_abs(), fail(libc::EPERM)),
    Step::Unless(libc::AF_INET.unsigned_abs(), 6),
    Step::Load(argument(1)),
    Step::Keep(0xf),
    Step::If(libc::SOCK_RAW.unsigned_abs(), fail(libc::EPERM)),
    Step::If(SOCK_PACKET, fail(libc::EPERM)),
    Step::Load(argument(0)),
    Step::Unless(libc::AF_INET6.unsigned_abs(), 4),
    Step::Load(argument(1)),
    Step::Keep(0xf),
    Step::If(libc::SOCK_RAW.unsigned_abs(), fail(libc::EPERM)),
    Step::Return(ALLOW),
];

/// The program: a search by halves among the calls' numbers. A search, since the kernel tries it
/// with every number there is whenever a command is put under it.
pub(crate) fn program() -> Vec<sock_filter> {
    let mut program = Vec::with_capacity(256);
    for step in [
        Step::Load(ARCHITECTURE),
        Step::IfNot(ARCH, KILL),
        Step::Load(NUMBER),
        Step::IfAny(X32, fail(libc::ENOSYS)),
    ] {
        step.write(&mut program);
    }
    search(&ranges(), &mut program);
    program
}

/// From which number on what is done, in order.
fn ranges() -> Vec<(u32, Then)> {
    let looked = BY_ARGUMENTS.map(|(call, steps)| (number(call), Then::Look(steps)));
    let gated = GATED.map(|call| (number(call), Then::Return(NOTIFY)));
    let refused = REFUSED.map(|(call, errno)| (number(call), Then::Return(fail(errno))));
    let mut calls = [&looked[..], &gated, &refused].concat();
    calls.sort_unstable_by_key(|(call, _)| *call);
    let mut ranges = vec![(0, Then::Return(ALLOW))];
    for (call, then) in calls {
        // What follows a call is let pass, until another follows at once.
        if ranges.last().is_some_and(|(from, _)| *from == call) {
            ranges.pop();
        }
        ranges.push((call, then));
        ranges.push((call.saturating_add(1), Then::Return(ALLOW)));
    }
    ranges
}

fn search(ranges: &[(u32, Then)], into: &mut Vec<sock_filter>) {
    let (before, after) = ranges.split_at(ranges.len() / 2);
    let Some((from, then)) = after.first() else {
        return;
    };
    if before.is_empty() {
        return match then {
            Then::Return(verdict) => Step::Return(*verdict).write(into),
            Then::Look(steps) => steps.iter().for_each(|step| step.write(into)),
        };
    }
    let at = into.len();
    into.push(jump(libc::BPF_JGE, 0, 1, *from));
    search(before, into);
    let begin = at.saturating_add(1);
    let over = into.len().saturating_sub(begin);
    // A jump by a condition reaches 255 instructions, one without any.
    match (u8::try_from(over), into.get_mut(at)) {
        (Ok(over), Some(near)) => (near.jt, near.jf) = (over, 0),
        _ => {
            let over = u32::try_from(over).unwrap_or(u32::MAX);
            into.insert(begin, instruction(libc::BPF_JMP | libc::BPF_JA, 0, 0, over));
        }
    }
    search(after, into);
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

const fn fail(errno: i32) -> u32 {
    FAIL | errno.unsigned_abs()
}

fn instruction(code: u32, yes: u8, no: u8, operand: u32) -> sock_filter {
    sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt: yes,
        jf: no,
        k: operand,
    }
}

fn jump(kind: u32, yes: u8, no: u8, operand: u32) -> sock_filter {
    instruction(libc::BPF_JMP | kind | libc::BPF_K, yes, no, operand)
}

impl Step {
    fn write(self, into: &mut Vec<sock_filter>) {
        let plain = |code: u32, operand| instruction(code, 0, 0, operand);
        let leave = |verdict| plain(libc::BPF_RET | libc::BPF_K, verdict);
        match self {
            Self::Load(offset) => {
                into.push(plain(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset));
            }
            Self::Keep(bits) => into.push(plain(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits)),
            Self::If(value, verdict) => {
                into.extend([jump(libc::BPF_JEQ, 0, 1, value), leave(verdict)]);
            }
            Self::IfNot(value, verdict) => {
                into.extend([jump(libc::BPF_JEQ, 1, 0, value), leave(verdict)]);
            }
            Self::IfAny(bits, verdict) => {
                into.extend([jump(libc::BPF_JSET, 0, 1, bits), leave(verdict)]);
            }
            Self::Unless(value, over) => into.push(jump(libc::BPF_JEQ, 0, over, value)),
            Self::Return(verdict) => into.push(leave(verdict)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's machine, as far as the program needs it.
    fn run(arch: u32, call: libc::c_long, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(number(call).to_ne_bytes());
        data.extend(arch.to_ne_bytes());
        data.extend(0u64.to_ne_bytes());
        for argument in arguments {
            data.extend(argument.to_ne_bytes());
        }
        let program = program();
        let (mut at, mut word) = (0usize, 0u32);
        loop {
            let step = program[at];
            at += 1;
            let code = u32::from(step.code);
            let taken = |holds: bool| usize::from(if holds { step.jt } else { step.jf });
            if code == libc::BPF_JMP | libc::BPF_JA {
                at += usize::try_from(step.k).unwrap();
            } else if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS {
                let from = usize::try_from(step.k).unwrap();
                word = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
            } else if code == libc::BPF_ALU | libc::BPF_AND | libc::BPF_K {
                word &= step.k;
            } else if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K {
                at += taken(word == step.k);
            } else if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K {
                at += taken(word >= step.k);
            } else if code == libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K {
                at += taken(word & step.k != 0);
            } else {
                assert_eq!(code, libc::BPF_RET | libc::BPF_K);
                return step.k;
            }
        }
    }

    fn verdict(call: libc::c_long, arguments: &[u64]) -> u32 {
        let mut all = [0; 6];
        all[..arguments.len()].copy_from_slice(arguments);
        run(ARCH, call, all)
    }

    fn flags(flags: i32) -> u64 {
        u64::from(flags.unsigned_abs())
    }

    #[test]
    fn another_table_of_calls_is_none() {
        assert_eq!(run(0x4000_0003, 11, [0; 6]), KILL);
        let x32 = i64::from(X32) | libc::SYS_execve;
        assert_eq!(verdict(x32, &[]), fail(libc::ENOSYS));
    }

    #[test]
    fn opens_that_only_read_pass_and_all_others_wait() {
        for (call, at) in [(libc::SYS_open, 1), (libc::SYS_openat, 2)] {
            let with = |wanted: i32| {
                let mut arguments = vec![0; 3];
                arguments[at] = flags(wanted);
                verdict(call, &arguments)
            };
            assert_eq!(with(libc::O_RDONLY | libc::O_CLOEXEC), ALLOW);
            assert_eq!(with(libc::O_PATH | libc::O_DIRECTORY), ALLOW);
            for wanted in [libc::O_WRONLY, libc::O_RDWR, libc::O_CREAT, libc::O_TRUNC] {
                assert_eq!(with(wanted), NOTIFY, "{wanted:o}");
            }
        }
    }

    #[test]
    fn what_changes_names_or_runs_programs_waits() {
        for call in GATED {
            assert_eq!(verdict(call, &[]), NOTIFY, "{call}");
        }
    }

    #[test]
    fn calls_that_nothing_is_said_of_pass() {
        let looked = BY_ARGUMENTS.map(|(call, _)| call);
        let refused = REFUSED.map(|(call, _)| call);
        let named: Vec<_> = looked.into_iter().chain(GATED).chain(refused).collect();
        for call in (0..600).filter(|call| !named.contains(call)) {
            assert_eq!(verdict(call, &[u64::MAX; 6]), ALLOW, "{call}");
        }
    }

    #[test]
    fn a_message_waits_only_with_an_address() {
        assert_eq!(verdict(libc::SYS_sendto, &[1, 2, 3, 4, 0, 9]), ALLOW);
        assert_eq!(verdict(libc::SYS_sendto, &[1, 2, 3, 4, 5, 16]), NOTIFY);
        assert_eq!(
            verdict(libc::SYS_sendto, &[1, 2, 3, 4, 1 << 40, 16]),
            NOTIFY
        );
    }

    #[test]
    fn sockets_out_of_the_guest_and_raw_ones_are_refused() {
        let socket = |family, kind| verdict(libc::SYS_socket, &[flags(family), flags(kind), 0]);
        assert_eq!(
            socket(libc::AF_VSOCK, libc::SOCK_STREAM),
            fail(libc::EACCES)
        );
        assert_eq!(socket(libc::AF_PACKET, libc::SOCK_RAW), fail(libc::EPERM));
        for family in [libc::AF_INET, libc::AF_INET6] {
            let raw = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
            assert_eq!(socket(family, raw), fail(libc::EPERM));
            assert_eq!(
                socket(family, libc::SOCK_STREAM | libc::SOCK_NONBLOCK),
                ALLOW
            );
            assert_eq!(socket(family, libc::SOCK_DGRAM), ALLOW);
        }
        assert_eq!(socket(libc::AF_UNIX, libc::SOCK_STREAM), ALLOW);
        assert_eq!(socket(libc::AF_NETLINK, libc::SOCK_RAW), ALLOW);
    }

    #[test]
    fn calls_that_go_round_the_gate_fail() {
        for (call, errno) in REFUSED {
            assert_eq!(verdict(call, &[]), fail(errno), "{call}");
        }
        assert_eq!(verdict(libc::SYS_seccomp, &[1, 8]), fail(libc::EINVAL));
        assert_eq!(verdict(libc::SYS_seccomp, &[2, 0]), ALLOW);
        let prctl = |option: i32, value| verdict(libc::SYS_prctl, &[flags(option), value]);
        assert_eq!(prctl(libc::PR_SET_SECCOMP, 2), fail(libc::EINVAL));
        assert_eq!(prctl(libc::PR_SET_SECCOMP, 1), ALLOW);
        assert_eq!(prctl(libc::PR_SET_NAME, 2), ALLOW);
        for call in [libc::SYS_unshare, libc::SYS_clone] {
            for own in [libc::CLONE_NEWNS, libc::CLONE_NEWUSER] {
                let with = flags(own | libc::SIGCHLD);
                assert_eq!(verdict(call, &[with]), fail(libc::EPERM), "{call} {own:x}");
            }
            assert_eq!(verdict(call, &[flags(libc::CLONE_FILES)]), ALLOW);
        }
        let packet = verdict(libc::SYS_socket, &[flags(libc::AF_INET), 10, 0]);
        assert_eq!(packet, fail(libc::EPERM));
    }

    #[test]
    fn the_program_is_one_the_kernel_takes() {
        // BPF_MAXINSNS, and jumps that stay inside.
        let program = program();
        assert!(program.len() < 4096);
        for (at, step) in program.iter().enumerate() {
            assert!(at + 1 + usize::from(step.jt.max(step.jf)) < program.len() || step.jt == 0);
        }
    }
}
