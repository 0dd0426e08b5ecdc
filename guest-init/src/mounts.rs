// SPDX-License-Identifier: Apache-2.0
//! The file systems of a guest: a plan as data, and what carries it out.
//!
//! ```text
//! /dev/vda (EROFS) ──► /                    the kernel's root, below everything afterwards
//! tmpfs ─────────────► /.ampoule/rw         all that the task writes; its size is the scratch size
//!   root/{upper,work}                       overlay of /       ──► /.ampoule/root, then /
//!   ws/{upper,work}                         overlay of the workspace
//!   tmp, run, shm ───► /tmp /run /dev/shm   bound, so that scratch bounds them too
//! /dev/vdb (EROFS) ──► /.ampoule/lower      workspace, below its overlay at /workspace
//! ```
//!
//! Nothing here needs the host except the scratch size and whether there is a workspace, so the
//! first part is done while the host's answer is on its way. The tmpfs gets its size afterwards.
//!
//! The new root has no `/.ampoule`: a whiteout for it is laid into the upper layer before the
//! overlay is mounted. That costs one `mknod` and hides it from the task's root user too, where a
//! mode or a mount on top could be undone.
//!
//! `redirect_dir=on`: the rename of a folder is recorded, not copied, and `rename` does not answer
//! EXDEV. `metacopy=off`: a changed file is whole in the upper layer. `index=off`: there is no
//! second mount to protect. `xino=on`: files show the overlay's own device and stable inode
//! numbers, so `tar --one-file-system` and `find -xdev` see one file system.
//! (`Documentation/filesystems/overlayfs.rst`.)

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{
    CWD, FileType, Gid, Mode, OFlags, Uid, chmodat, chown, mkdir, mknodat, open, symlink,
};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind, mount_move, mount_remount};
use rustix::process::{chdir, chroot, fchdir};

/// Where the overlay of the root is put together.
const NEW_ROOT: &CStr = c"/.ampoule/root";
/// Where the tmpfs is that takes all writes.
const SCRATCH: &CStr = c"/.ampoule/rw";
/// The task's user, who owns the workspace (uid 1000 in every image).
const TASK_ID: u32 = 1000;
/// Bytes of scratch an inode may stand for. A tmpfs inode is about 1 KiB of kernel memory that the
/// size does not count; one for each 4 KiB lets a source tree in and bounds the rest to a quarter.
const BYTES_PER_INODE: u64 = 4096;

/// The workspace drive's sectors, from the new root.
const SIZE_OF_DRIVE: &str = "sys/block/vdb/size";
/// How often, and how far apart, a drive without a medium is looked at: two seconds in all.
const MEDIUM_LOOKS: u32 = 20_000;
const MEDIUM_PAUSE: Duration = Duration::from_micros(100);

const NO_EXEC: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);
const NO_DEV: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
/// `noatime` saves a write to the upper layer for each first read.
const PLAIN: MountFlags = MountFlags::NOATIME;

/// One step. Absolute paths are of the kernel's root.
#[derive(Debug)]
enum Step {
    /// Mount a file system of a kind.
    Mount {
        kind: &'static CStr,
        source: &'static CStr,
        target: &'static CStr,
        flags: MountFlags,
        options: &'static CStr,
    },
    /// Move what the kernel mounted already, or mount it where it did not.
    DevTmpfs {
        from: &'static CStr,
        to: &'static CStr,
    },
    /// Show a folder in a second place.
    Bind {
        from: &'static CStr,
        to: &'static CStr,
    },
    /// Make a folder, if it is not there, and set its mode whatever the umask is.
    Folder { path: &'static CStr, mode: u32 },
    /// Make a symbolic link, if nothing has that name.
    Link {
        path: &'static CStr,
        target: &'static CStr,
    },
    /// Hide a name of the lower layer (a character device 0:0 is overlayfs' whiteout).
    Whiteout { path: &'static CStr },
    /// Give a folder to the task's user.
    Own { path: &'static CStr },
}

/// What needs no word of the host.
const EARLY: &[Step] = &[
    Step::Mount {
        kind: c"tmpfs",
        source: c"scratch",
        target: SCRATCH,
        flags: NO_DEV.union(PLAIN),
        // Until the size is known. No task runs before it is.
        options: c"mode=755,size=1m,nr_inodes=64",
    },
    Step::Folder { path: c"/.ampoule/rw/root", mode: 0o755 },
    Step::Folder { path: c"/.ampoule/rw/root/upper", mode: 0o755 },
    Step::Folder { path: c"/.ampoule/rw/root/work", mode: 0o700 },
    Step::Folder { path: c"/.ampoule/rw/tmp", mode: 0o1777 },
    Step::Folder { path: c"/.ampoule/rw/run", mode: 0o755 },
    Step::Folder { path: c"/.ampoule/rw/shm", mode: 0o1777 },
    Step::Whiteout { path: c"/.ampoule/rw/root/upper/.ampoule" },
    Step::Mount {
        kind: c"overlay",
        source: c"root",
        target: NEW_ROOT,
        flags: PLAIN,
        options: c"lowerdir=/,upperdir=/.ampoule/rw/root/upper,workdir=/.ampoule/rw/root/work,redirect_dir=on,metacopy=off,index=off,xino=on",
    },
    Step::DevTmpfs { from: c"/dev", to: c"/.ampoule/root/dev" },
    Step::Folder { path: c"/.ampoule/root/dev/pts", mode: 0o755 },
    Step::Mount {
        kind: c"devpts",
        source: c"devpts",
        target: c"/.ampoule/root/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: c"gid=5,mode=620,ptmxmode=666",
    },
    Step::Folder { path: c"/.ampoule/root/dev/shm", mode: 0o1777 },
    Step::Bind { from: c"/.ampoule/rw/shm", to: c"/.ampoule/root/dev/shm" },
    Step::Link { path: c"/.ampoule/root/dev/fd", target: c"/proc/self/fd" },
    Step::Link { path: c"/.ampoule/root/dev/stdin", target: c"/proc/self/fd/0" },
    Step::Link { path: c"/.ampoule/root/dev/stdout", target: c"/proc/self/fd/1" },
    Step::Link { path: c"/.ampoule/root/dev/stderr", target: c"/proc/self/fd/2" },
    Step::Mount {
        kind: c"proc",
        source: c"proc",
        target: c"/.ampoule/root/proc",
        flags: NO_EXEC,
        options: c"",
    },
    Step::Mount {
        kind: c"sysfs",
        source: c"sysfs",
        target: c"/.ampoule/root/sys",
        flags: NO_EXEC,
        options: c"",
    },
    Step::Mount {
        kind: c"cgroup2",
        source: c"cgroup2",
        target: c"/.ampoule/root/sys/fs/cgroup",
        flags: NO_EXEC,
        options: c"",
    },
    Step::Bind { from: c"/.ampoule/rw/tmp", to: c"/.ampoule/root/tmp" },
    Step::Bind { from: c"/.ampoule/rw/run", to: c"/.ampoule/root/run" },
];

/// The workspace drive under its overlay. Relative paths are of the new root, in which a step of
/// this part is carried out: the old one shows nothing that was moved away.
const WORKSPACE: &[Step] = &[
    Step::Mount {
        kind: c"erofs",
        source: c"dev/vdb",
        target: c"/.ampoule/lower",
        flags: NO_DEV.union(MountFlags::RDONLY),
        options: c"",
    },
    Step::Folder { path: c"/.ampoule/rw/ws", mode: 0o755 },
    Step::Folder { path: c"/.ampoule/rw/ws/upper", mode: 0o755 },
    Step::Folder { path: c"/.ampoule/rw/ws/work", mode: 0o700 },
    Step::Own { path: c"/.ampoule/rw/ws/upper" },
    Step::Mount {
        kind: c"overlay",
        source: c"workspace",
        target: c"workspace",
        flags: NO_DEV.union(PLAIN),
        options: c"lowerdir=/.ampoule/lower,upperdir=/.ampoule/rw/ws/upper,workdir=/.ampoule/rw/ws/work,redirect_dir=on,metacopy=off,index=off,xino=on",
    },
];

/// No workspace: an empty folder of the root's overlay.
const NO_WORKSPACE: &[Step] = &[
    Step::Folder {
        path: c"workspace",
        mode: 0o755,
    },
    Step::Own { path: c"workspace" },
];

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MountError {
    /// One of the plan.
    #[error("could not set up {place}")]
    Step {
        /// The path the step is about.
        place: String,
        /// What the kernel said.
        #[source]
        source: Errno,
    },
    /// The tmpfs refused its size.
    #[error("could not give the scratch space {bytes} bytes")]
    Size {
        /// The size asked for.
        bytes: u64,
        /// What the kernel said.
        #[source]
        source: Errno,
    },
}

/// Mounts all that needs no word of the host.
pub(crate) fn early() -> Result<(), MountError> {
    carry_out(EARLY)
}

/// Gives the scratch space its size, mounts the workspace, and makes the overlay the root.
pub(crate) fn late(scratch_bytes: u64, workspace: bool) -> Result<Roots, MountError> {
    let in_root = |source| MountError::Step {
        place: "the new root".into(),
        source,
    };
    let old = folder_fd(c"/").map_err(in_root)?;
    chdir(NEW_ROOT).map_err(in_root)?;
    resize(scratch_bytes)?;
    carry_out(if workspace { WORKSPACE } else { NO_WORKSPACE })?;
    enter().map_err(in_root)?;
    let new = folder_fd(c"/").map_err(in_root)?;
    Ok(Roots {
        old,
        new,
        scratch_bytes,
    })
}

/// The root that the kernel mounted and the one that everybody sees. No path leads to the old
/// one; PID 1 alone can go back.
#[derive(Debug)]
pub(crate) struct Roots {
    old: OwnedFd,
    new: OwnedFd,
    /// The size that the scratch space has.
    scratch_bytes: u64,
}

impl Roots {
    /// What [`late`] does with an assignment, for a guest that has had one: another size, and a
    /// workspace if there is one now.
    pub(crate) fn change(&mut self, scratch_bytes: u64, workspace: bool) -> Result<(), MountError> {
        if scratch_bytes == self.scratch_bytes && !workspace {
            return Ok(());
        }
        let in_root = |source| MountError::Step {
            place: "the guest's roots".into(),
            source,
        };
        self.go_back().map_err(in_root)?;
        let changed = self.change_in_old(scratch_bytes, workspace);
        self.return_to_new().map_err(in_root)?;
        self.scratch_bytes = scratch_bytes;
        changed
    }

    fn change_in_old(&self, scratch_bytes: u64, workspace: bool) -> Result<(), MountError> {
        resize(scratch_bytes)?;
        if workspace {
            wait_for_medium();
            carry_out(WORKSPACE)?;
        }
        Ok(())
    }

    fn go_back(&self) -> Result<(), Errno> {
        fchdir(&self.old)?;
        chroot(c".")?;
        fchdir(&self.new)
    }

    fn return_to_new(&self) -> Result<(), Errno> {
        fchdir(&self.new)?;
        chroot(c".")?;
        chdir(c"/")
    }
}

fn folder_fd(path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}

/// The drive that had no medium when the guest was stored has one now; its driver hears of that
/// by an interrupt, a moment after we hear of the assignment. Whatever happens, the mount says.
fn wait_for_medium() {
    for _ in 0..MEDIUM_LOOKS {
        match std::fs::read(SIZE_OF_DRIVE) {
            Ok(size) if size == b"0\n" => std::thread::sleep(MEDIUM_PAUSE),
            _ => return,
        }
    }
}

fn carry_out(steps: &[Step]) -> Result<(), MountError> {
    for step in steps {
        step.run().map_err(|source| MountError::Step {
            place: step.place().to_string_lossy().into_owned(),
            source,
        })?;
    }
    Ok(())
}

/// The tmpfs options for a scratch size.
fn size_options(bytes: u64) -> String {
    // A guest of no inodes could not even have its folders.
    let inodes = (bytes / BYTES_PER_INODE).max(256);
    format!("size={bytes},nr_inodes={inodes}")
}

fn resize(bytes: u64) -> Result<(), MountError> {
    let failed = |source| MountError::Size { bytes, source };
    let options = CString::new(size_options(bytes)).map_err(|_nul| failed(Errno::INVAL))?;
    mount_remount(SCRATCH, NO_DEV.union(PLAIN), options.as_c_str()).map_err(failed)
}

/// Makes the current folder the root of every process that starts from here, as `switch_root` does: the mount
/// is moved over the old root, which no path reaches afterwards. (`pivot_root` refuses when the old
/// root is the kernel's first mount, and here nothing must be unmounted.)
fn enter() -> Result<(), Errno> {
    mount_move(c".", c"/")?;
    chroot(c".")?;
    chdir(c"/")
}

impl Step {
    fn run(&self) -> Result<(), Errno> {
        match self {
            Step::Mount {
                kind,
                source,
                target,
                flags,
                options,
            } => in_folder(target, || mount(*source, *target, *kind, *flags, *options)),
            Step::DevTmpfs { from, to } => in_folder(to, || move_dev(from, to)),
            Step::Bind { from, to } => in_folder(to, || mount_bind(*from, *to)),
            Step::Folder { path, mode } => folder(path, *mode),
            Step::Link { path, target } => unless_there(symlink(*target, *path)),
            Step::Whiteout { path } => {
                mknodat(CWD, *path, FileType::CharacterDevice, Mode::empty(), 0)
            }
            Step::Own { path } => chown(
                *path,
                Some(Uid::from_raw(TASK_ID)),
                Some(Gid::from_raw(TASK_ID)),
            ),
        }
    }

    /// The path to name when the step fails.
    fn place(&self) -> &'static CStr {
        match self {
            Step::Mount { target: path, .. }
            | Step::DevTmpfs { to: path, .. }
            | Step::Bind { to: path, .. }
            | Step::Folder { path, .. }
            | Step::Link { path, .. }
            | Step::Whiteout { path }
            | Step::Own { path } => path,
        }
    }
}

/// Runs a mount; where its folder is missing (an imported image), makes it and tries once more.
fn in_folder(target: &CStr, mount: impl Fn() -> Result<(), Errno>) -> Result<(), Errno> {
    match mount() {
        Err(Errno::NOENT) => {
            folder(target, 0o755)?;
            mount()
        }
        done => done,
    }
}

/// The kernel mounts devtmpfs at /dev after it mounted the root (`CONFIG_DEVTMPFS_MOUNT`).
fn move_dev(from: &CStr, to: &CStr) -> Result<(), Errno> {
    match mount_move(from, to) {
        // Nothing is mounted there.
        Err(Errno::INVAL) => mount(
            c"dev",
            to,
            c"devtmpfs",
            MountFlags::NOSUID.union(MountFlags::NOEXEC),
            c"mode=755",
        ),
        done => done,
    }
}

/// The mode is set apart from the making because the umask takes bits from the latter.
fn folder(path: &CStr, mode: u32) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(mode);
    unless_there(mkdir(path, mode))?;
    // The kernel starts PID 1 with umask 022, which these modes survive.
    if mode.intersects(Mode::from_raw_mode(0o1022)) {
        chmodat(CWD, path, mode, rustix::fs::AtFlags::empty())?;
    }
    Ok(())
}

fn unless_there(made: Result<(), Errno>) -> Result<(), Errno> {
    match made {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_size_bounds_inodes_too() {
        assert_eq!(size_options(64 << 20), "size=67108864,nr_inodes=16384");
        assert_eq!(size_options(0), "size=0,nr_inodes=256");
    }

    #[test]
    fn every_layer_a_task_writes_is_in_the_scratch_space() {
        for step in EARLY.iter().chain(WORKSPACE) {
            match step {
                Step::Bind { from, .. } => {
                    assert!(from.to_bytes().starts_with(SCRATCH.to_bytes()), "{step:?}");
                }
                Step::Mount { kind, options, .. } if kind.to_bytes() == b"overlay" => {
                    let options = options.to_str().unwrap();
                    assert!(options.contains("upperdir=/.ampoule/rw/"), "{step:?}");
                    assert!(options.contains("redirect_dir=on,metacopy=off,index=off"));
                }
                Step::Mount { kind, target, .. } if kind.to_bytes() == b"tmpfs" => {
                    assert_eq!(*target, SCRATCH);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_whiteout_comes_before_the_overlay() {
        let at = |wanted: fn(&Step) -> bool| EARLY.iter().position(wanted).unwrap();
        let whiteout = at(|step| matches!(step, Step::Whiteout { .. }));
        let overlay = at(|step| step.place() == NEW_ROOT);
        assert!(whiteout < overlay);
    }
}
