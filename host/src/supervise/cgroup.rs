// SPDX-License-Identifier: Apache-2.0
//! A cgroup (v2) for one VMM: its limits, its peak, its end.
//!
//! Where it goes: as root below the hierarchy's root, `ampoule/<task>`. Otherwise below the
//! nearest of our own cgroup and those above it that this user may write, which is what systemd
//! delegates to a user's session. Where there is none, the task runs without, and says so: the
//! namespaces, the VMM's memory size and its timer hold without it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Access, Mode, OFlags, access, open};

/// Memory that a VMM itself may need besides the guest's: page tables, queues, buffers.
pub const VMM_MEMORY: u64 = 64 << 20;

/// Threads that a VMM may have besides its vCPUs.
const VMM_THREADS: u64 = 16;

/// What the kernel needs to take a removed process out of its cgroup.
const REMOVAL: Duration = Duration::from_secs(1);

/// Limits of one VMM.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Guest memory, bytes.
    pub memory: u64,
    /// vCPUs.
    pub cpus: u64,
}

/// Where cgroups of tasks can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub path: PathBuf,
    /// Put before a task's id: elsewhere than in a folder of our own the name must say whose.
    pub prefix: &'static str,
    /// Why limits do not hold there, if they do not.
    pub note: Option<String>,
}

/// A task's cgroup.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    dir: OwnedFd,
}

impl Place {
    /// Looks for one.
    ///
    /// # Errors
    /// A line that says why there is none.
    pub fn find() -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mount = mount_point(&mounts).ok_or("cgroup v2 is not mounted on this host")?;
        let (path, prefix) = if rustix::process::geteuid().is_root() {
            enable(&mount);
            let path = mount.join("ampoule");
            make(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
            enable(&path);
            (path, "")
        } else {
            let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
            let path = delegated(&mount, &own).ok_or(
                "no cgroup is delegated to this user; run within a systemd user session, \
                 e.g. `systemd-run --user --scope -p Delegate=yes ampoule ...`",
            )?;
            (path, "ampoule-")
        };
        let missing: Vec<_> = ["memory", "pids"]
            .into_iter()
            .filter(|name| !is_enabled(&path, name))
            .collect();
        let note = (!missing.is_empty()).then(|| {
            format!(
                "no limits on {}: the controller is not available in {}",
                missing.join(" and "),
                path.display()
            )
        });
        Ok(Self { path, prefix, note })
    }

    /// Where the cgroup of a task is.
    #[must_use]
    pub fn of(&self, task: &str) -> PathBuf {
        self.path.join(format!("{}{task}", self.prefix))
    }

    /// Makes the cgroup of a task.
    ///
    /// # Errors
    /// What the system says.
    pub fn make(&self, task: &str, limits: Limits) -> io::Result<Cgroup> {
        let path = self.of(task);
        fs::create_dir(&path)?;
        let cgroup = Cgroup::open(path)?;
        let memory = limits.memory.saturating_add(VMM_MEMORY);
        let threads = limits.cpus.saturating_add(VMM_THREADS);
        // A controller that is not there was noted when the place was found.
        for (file, value) in [
            ("memory.max", memory.to_string()),
            ("memory.swap.max", "0".to_owned()),
            ("memory.oom.group", "1".to_owned()),
            ("pids.max", threads.to_string()),
        ] {
            let _ = fs::write(cgroup.path.join(file), value);
        }
        Ok(cgroup)
    }
}

impl Cgroup {
    /// One that was made by another process.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let dir = open(&path, flags, Mode::empty())?;
        Ok(Self { path, dir })
    }

    /// Its folder, to clone into.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it has now, bytes; not without the memory controller.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join("memory.current")).ok()?;
        text.trim().parse().ok()
    }

    /// Most memory it had, bytes. Since Linux 5.19, and not without the memory controller.
    #[must_use]
    pub fn peak(&self) -> Option<u64> {
        let text = fs::read_to_string(self.path.join("memory.peak")).ok()?;
        text.trim().parse().ok().filter(|peak| *peak > 0)
    }
}

/// Kills everything in the cgroup at `path` and removes it. Harmless when it is gone.
///
/// # Errors
/// When it cannot be removed within a second.
pub fn destroy(path: &Path) -> io::Result<()> {
    let give_up = Instant::now() + REMOVAL;
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > give_up => return Err(error),
            Err(_) => {}
        }
        kill(path);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Kills everything in the cgroup at `path`, where there is such a cgroup (Linux 5.14).
pub fn kill(path: &Path) {
    // Opened and not made: a path that is no cgroup gets no such file.
    let file = File::options().write(true).open(path.join("cgroup.kill"));
    let _ = file.and_then(|mut file| file.write_all(b"1"));
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Lets the children of `path` have limits, where the kernel allows it.
fn enable(path: &Path) {
    for controller in ["memory", "pids"] {
        if !is_enabled(path, controller) {
            let _ = fs::write(
                path.join("cgroup.subtree_control"),
                format!("+{controller}"),
            );
        }
    }
}

fn is_enabled(path: &Path, controller: &str) -> bool {
    let text = fs::read_to_string(path.join("cgroup.subtree_control")).unwrap_or_default();
    text.split_whitespace().any(|name| name == controller)
}

/// Where cgroup v2 is mounted (proc(5), mountinfo: field 5 is the mount point, and after the
/// dash comes the type).
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    let mut lines = mountinfo.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let is_v2 = after.split(' ').next() == Some("cgroup2");
        let path = before.split(' ').nth(4)?;
        is_v2.then(|| PathBuf::from(path))
    });
    lines.next()
}

/// The nearest of our cgroup and those above it that we may move a process into: one with the
/// controllers for choice, else any.
fn delegated(mount: &Path, own: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = mount.join(own);
    let usable = |path: &&Path| {
        path.starts_with(mount)
            && access(*path, Access::WRITE_OK).is_ok()
            && File::options()
                .write(true)
                .open(path.join("cgroup.procs"))
                .is_ok()
    };
    let mut found = own.ancestors().filter(usable);
    let nearest = found.next()?;
    let mut all = std::iter::once(nearest).chain(found);
    let limited = all.find(|path| is_enabled(path, "memory") && is_enabled(path, "pids"));
    Some(limited.unwrap_or(nearest).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
25 1 0:23 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
26 25 0:24 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
27 25 0:25 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
";

    #[test]
    fn the_unified_hierarchy_is_found_among_others() {
        assert_eq!(mount_point(HYBRID), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(mount_point("25 1 0:23 / /sys rw - sysfs sysfs rw"), None);
    }

    #[test]
    fn a_cgroup_that_is_not_ours_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(delegated(dir.path(), "0::/user.slice\n"), None);
        let own = dir.path().join("user.slice/scope");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("cgroup.procs"), "").unwrap();
        fs::write(own.join("cgroup.subtree_control"), "").unwrap();
        assert_eq!(
            delegated(dir.path(), "0::/user.slice/scope\n"),
            Some(own.clone())
        );
        let slice = dir.path().join("user.slice");
        fs::write(slice.join("cgroup.procs"), "").unwrap();
        fs::write(slice.join("cgroup.subtree_control"), "cpu memory pids").unwrap();
        assert_eq!(delegated(dir.path(), "0::/user.slice/scope\n"), Some(slice));
    }

    #[test]
    fn a_cgroup_that_is_gone_is_destroyed() {
        destroy(Path::new("/sys/fs/cgroup/no-such-cgroup")).unwrap();
    }
}
