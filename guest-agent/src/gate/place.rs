// SPDX-License-Identifier: Apache-2.0
//! Where a path of another process leads: opened, not remembered as words.
//!
//! A path is resolved once, with the rights of the process that named it, into descriptors
//! (`O_PATH`). What is judged is the path that the kernel gives for these descriptors, and what is
//! carried out is carried out on them: whoever changes the words or a link afterwards changes
//! nothing.
//!
//! `/proc/self` and what leads there (`/dev/stdout`) means the process that resolves, which is the
//! gate here. In words it is replaced by the process' own number; where a link leads to a file
//! system of the kernel's all the same, [`Place::is_kernels`] says so, and nothing is opened there
//! in anybody's name.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, Stat, accessat, fcntl_getfl, fcntl_setfl, fstat,
    fstatfs, openat, readlink, stat, statat,
};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::sys;

const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// File systems whose files are not of a disk: procfs, sysfs, cgroup2, devpts
/// (`include/uapi/linux/magic.h`).
const KERNELS: [u64; 4] = [0x9fa0, 0x6265_6572, 0x6367_7270, 0x1cd1];

/// A process that names paths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The thread's number, under which /proc knows its folder and descriptors.
    pub(crate) thread: u32,
}

/// A file by what it is: a file of the image that was changed is another, since overlayfs gives
/// the copy the device and inode of its origin, but no program can choose a time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    changed: (i64, u64),
}

/// A file by its number alone, whatever became of its content and links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    device: u64,
    inode: u64,
}

impl Identity {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

impl Identity {
    pub(crate) fn number(self) -> Number {
        Number {
            device: self.device,
            inode: self.inode,
        }
    }
}

/// The file systems of the image and the workspace, as they were before any command ran.
#[derive(Clone, Debug, Default)]
pub(crate) struct Originals {
    image: Option<u64>,
    workspace: Option<u64>,
    /// Seconds since 1970; nothing changes before.
    since: i64,
}

impl Originals {
    /// Of this moment.
    pub(crate) fn now() -> Self {
        let device = |path: &str| stat(path).ok().map(|stat| stat.st_dev);
        Self {
            image: device("/"),
            workspace: device("/workspace"),
            since: clock_gettime(ClockId::Realtime).tv_sec,
        }
    }

    /// Whether a file is as the image or the workspace had it. What is written is copied into the
    /// upper layer and has a time of change of its own, which no program can choose.
    pub(crate) fn has(&self, file: &Stat) -> bool {
        let known = [self.image, self.workspace].contains(&Some(file.st_dev));
        known && is_original(file) && file.st_ctime < self.since
    }

    /// Whether a file is the image's own and as that had it.
    pub(crate) fn of_image(&self, file: &Stat) -> bool {
        self.image == Some(file.st_dev) && self.has(file)
    }
}

/// Whether a file of an overlay was there before the task, changed since or not.
///
/// With `xino=on` overlayfs puts the number of the layer into the high bits of an inode's number;
/// the upper layer is the one without (`ovl_map_dev_ino` in `fs/overlayfs/inode.c`), and a file
/// that was copied up keeps its origin's.
pub(crate) fn is_original(stat: &Stat) -> bool {
    stat.st_ino.checked_shr(XINO_SHIFT).unwrap_or(0) != 0
}

const XINO_SHIFT: u32 = 60;

/// A name in a folder.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) parent: OwnedFd,
    pub(crate) name: CString,
    /// Absolute, links of its folder followed.
    pub(crate) path: Vec<u8>,
    /// It was written with a slash at its end: it must be a folder.
    pub(crate) folder: bool,
}

/// Something that is there.
#[derive(Debug)]
pub(crate) struct There {
    pub(crate) file: OwnedFd,
    pub(crate) stat: Stat,
    /// Absolute, links followed.
    pub(crate) path: Vec<u8>,
    /// It has no path any more, or never had one.
    pub(crate) nameless: bool,
}

impl Caller {
    fn link(self, folder: i32) -> String {
        match folder {
            libc::AT_FDCWD => format!("/proc/{}/cwd", self.thread),
            number => format!("/proc/{}/fd/{number}", self.thread),
        }
    }

    /// What a path begins in, opened as whoever this thread is: to be done before it acts as the
    /// caller, who need not have the right to look at its own links (prctl(2), PR_SET_DUMPABLE).
    pub(crate) fn base<'a>(self, folder: i32, path: &'a [u8]) -> Result<Base<'a>, Errno> {
        if let Some((link, rest)) = self.own(path) {
            return Ok(match rest.is_empty() {
                // The link itself is the whole path.
                true => Base::Link(openat(CWD, link, LOOK, Mode::empty())?),
                false => Base::Folder(openat(CWD, link, LOOK, Mode::empty())?, rest),
            });
        }
        if path.starts_with(b"/") {
            return Ok(Base::Root(path));
        }
        let link = self.link(folder);
        if path.is_empty() {
            // AT_EMPTY_PATH: the descriptor itself.
            return Ok(Base::Link(openat(CWD, link, LOOK, Mode::empty())?));
        }
        let opened = openat(CWD, link, LOOK, Mode::empty());
        let opened = opened.map_err(|error| match error {
            Errno::NOENT if folder != libc::AT_FDCWD => Errno::BADF,
            error => error,
        });
        Ok(Base::Folder(opened?, path))
    }

    /// A link of the process itself that a path begins with, and the rest of it: `/proc/self/exe`,
    /// `/proc/self/cwd`, `/dev/fd/3` and such.
    fn own(self, path: &[u8]) -> Option<(String, &[u8])> {
        let below = |words: &str| {
            let rest = path.strip_prefix(words.as_bytes())?;
            (rest.is_empty() || rest.starts_with(b"/")).then(|| trim_start(rest))
        };
        for (words, number) in [
            ("/dev/stdin", "0"),
            ("/dev/stdout", "1"),
            ("/dev/stderr", "2"),
        ] {
            if let Some(rest) = below(words) {
                return Some((format!("/proc/{}/fd/{number}", self.thread), rest));
            }
        }
        let numbered = format!("/proc/{}", self.thread);
        let own = ["/proc/self", "/proc/thread-self", &numbered];
        let own = own.into_iter().find_map(below);
        let (kind, rest) = match own {
            Some(rest) => first(rest),
            None => (&b"fd"[..], below("/dev/fd")?),
        };
        match kind {
            b"exe" | b"cwd" | b"root" => {
                let kind = std::str::from_utf8(kind).ok()?;
                Some((format!("/proc/{}/{kind}", self.thread), rest))
            }
            b"fd" => {
                let (number, rest) = first(rest);
                let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
                Some((format!("/proc/{}/fd/{number}", self.thread), rest))
            }
            _ => None,
        }
    }

    /// The folder that it is in, as the kernel writes it.
    pub(crate) fn cwd(self) -> Vec<u8> {
        let link = readlink(self.link(libc::AT_FDCWD), Vec::new());
        link.map(CString::into_bytes).unwrap_or_default()
    }

    /// The path in words alone, absolute; nothing for one that its words do not settle (`..`, the
    /// kernel's own file systems).
    pub(crate) fn lexical(self, folder: i32, path: &[u8]) -> Option<PathBuf> {
        let words = Path::new(OsStr::from_bytes(path));
        let plain = |part: Component<'_>| !matches!(part, Component::ParentDir);
        if !words.components().all(plain) {
            return None;
        }
        let base = match path.first()? {
            b'/' => PathBuf::new(),
            _ => {
                let link = readlink(self.link(folder), Vec::new()).ok()?;
                PathBuf::from(std::ffi::OsString::from_vec(link.into_bytes()))
            }
        };
        let whole = base.join(words);
        (whole.is_absolute() && !whole.starts_with("/proc")).then_some(whole)
    }

    /// Opens what a path leads to, all at once.
    pub(crate) fn there(self, folder: i32, path: &[u8], follow: bool) -> Result<There, Errno> {
        self.base(folder, path)?.there(follow)
    }
}

/// Where a path begins, opened, and what follows.
#[derive(Debug)]
pub(crate) enum Base<'a> {
    /// An absolute path.
    Root(&'a [u8]),
    /// A path in a folder.
    Folder(OwnedFd, &'a [u8]),
    /// This, and nothing follows.
    Link(OwnedFd),
}

impl Base<'_> {
    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let folder = match self {
            Self::Folder(folder, _) => folder.as_fd(),
            _ => CWD,
        };
        let words = CString::new(path).map_err(|_nul| Errno::INVAL)?;
        let opened = sys::open_plainly(folder, &words, u64::from(flags.bits()));
        opened.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    /// Opens what is there.
    pub(crate) fn there(&self, follow: bool) -> Result<There, Errno> {
        let there = There::of(self.file(follow)?)?;
        if !there.nameless {
            is_true(&there.file, &there.stat, &there.path)?;
        }
        Ok(there)
    }

    /// What is there, and nothing more of it.
    pub(crate) fn identity(&self, follow: bool) -> Result<Identity, Errno> {
        Ok(Identity::of(&fstat(self.file(follow)?)?))
    }

    fn file(&self, follow: bool) -> Result<OwnedFd, Errno> {
        let flags = match follow {
            true => LOOK,
            false => LOOK.union(OFlags::NOFOLLOW),
        };
        match self {
            Self::Root(path) | Self::Folder(_, path) => self.open(path, flags),
            Self::Link(file) => rustix::io::fcntl_dupfd_cloexec(file, 0),
        }
    }

    /// Opens the folder that the last name is in.
    pub(crate) fn place(&self) -> Result<Place, Errno> {
        let (Self::Root(path) | Self::Folder(_, path)) = self else {
            return Err(Errno::PERM);
        };
        let (parent, name) = split(path)?;
        let words = match parent.is_empty() {
            true => b".",
            false => parent,
        };
        let parent = self.open(words, LOOK.union(OFlags::DIRECTORY))?;
        let folder = path.ends_with(b"/");
        let mut path = path_of(&parent)?;
        is_true(&parent, &fstat(&parent)?, &path)?;
        if path != b"/" {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        let name = CString::new(name).map_err(|_nul| Errno::INVAL)?;
        Ok(Place {
            parent,
            name,
            path,
            folder,
        })
    }
}

/// The first name of a path, and what follows it.
fn first(path: &[u8]) -> (&[u8], &[u8]) {
    let at = path.iter().position(|byte| *byte == b'/');
    let (name, rest) = path
        .split_at_checked(at.unwrap_or(path.len()))
        .unwrap_or((path, b""));
    (name, trim_start(rest))
}

fn trim_start(path: &[u8]) -> &[u8] {
    let at = path.iter().position(|byte| *byte != b'/');
    path.get(at.unwrap_or(path.len())..).unwrap_or_default()
}

/// A path's folder and last name. Slashes at its end say no more than that it is a folder.
fn split(path: &[u8]) -> Result<(&[u8], &[u8]), Errno> {
    let end = path.iter().rposition(|byte| *byte != b'/');
    let end = end.ok_or(match path.is_empty() {
        true => Errno::NOENT,
        false => Errno::BUSY,
    })?;
    let path = path.get(..=end).unwrap_or_default();
    let at = path.iter().rposition(|byte| *byte == b'/');
    let at = at.map_or(0, |at| at.saturating_add(1));
    let (parent, name) = path.split_at_checked(at).ok_or(Errno::INVAL)?;
    match name {
        b"." | b".." => Err(Errno::INVAL),
        name => Ok((parent, name)),
    }
}

impl Place {
    /// What is there of that name, itself and not where it leads.
    pub(crate) fn stat(&self) -> Result<Stat, Errno> {
        let stat = statat(&self.parent, &*self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        match self.folder && FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            true => Err(Errno::NOTDIR),
            false => Ok(stat),
        }
    }

    /// Whether this thread may make and remove names there.
    pub(crate) fn may_change(&self) -> bool {
        may(self.parent.as_fd(), Access::WRITE_OK | Access::EXEC_OK)
    }

    /// Whether it is a file system of the kernel's.
    pub(crate) fn is_kernels(&self) -> bool {
        is_kernels(self.parent.as_fd())
    }
}

impl There {
    pub(crate) fn of(file: OwnedFd) -> Result<Self, Errno> {
        let stat = fstat(&file)?;
        let path = path_of(&file)?;
        let nameless = !path.starts_with(b"/") || path.ends_with(b" (deleted)") || is_memfd(&path);
        Ok(Self {
            file,
            stat,
            path,
            nameless,
        })
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::of(&self.stat)
    }

    pub(crate) fn is_file(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::RegularFile
    }

    /// Whether it is a device of bytes: /dev/null, a terminal.
    pub(crate) fn is_device(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::CharacterDevice
    }

    /// Whether this thread may write it.
    pub(crate) fn may_write(&self) -> bool {
        may(self.file.as_fd(), Access::WRITE_OK)
    }

    /// Whether this thread may start it.
    pub(crate) fn may_run(&self) -> bool {
        may(self.file.as_fd(), Access::EXEC_OK)
    }

    /// Whether it is of a file system of the kernel's.
    pub(crate) fn is_kernels(&self) -> bool {
        is_kernels(self.file.as_fd())
    }

    /// Opens the very file, with other flags. Never waits: a lease of the task's on it would hold
    /// up all that is gated, so there is an error instead.
    pub(crate) fn reopen(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        if !self.is_file() && !self.is_device() {
            return Err(Errno::ACCESS);
        }
        let link = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let here = flags | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(CWD, link, here, Mode::empty())?;
        as_asked(file, flags)
    }
}

/// Takes O_NONBLOCK back where it was not asked for.
pub(crate) fn as_asked(file: OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    if !flags.contains(OFlags::NONBLOCK) {
        let now = fcntl_getfl(&file)?;
        fcntl_setfl(&file, now.difference(OFlags::NONBLOCK))?;
    }
    Ok(file)
}

/// A memfd's path begins so, and a file of that name in the root folder is not worth the doubt.
fn is_memfd(path: &[u8]) -> bool {
    path.starts_with(b"/memfd:")
}

fn may(file: BorrowedFd<'_>, access: Access) -> bool {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    // EACCESS: with the file-system ids, which are the caller's while this thread acts as it.
    accessat(CWD, link, access, AtFlags::EACCESS).is_ok()
}

fn is_kernels(file: BorrowedFd<'_>) -> bool {
    fstatfs(file)
        .is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|kind| KERNELS.contains(&kind)))
}

/// The path of a descriptor, as the kernel writes it. One that is too long to be written down is
/// too long to be judged.
fn path_of(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = readlink(link, Vec::new()).map_err(|_unwritten| Errno::ACCESS)?;
    Ok(path.into_bytes())
}

/// Refuses a path that does not lead back to what it was written for: of a mount that is in no
/// tree of ours the kernel writes paths as if it began at the root.
fn is_true(file: &OwnedFd, stat: &Stat, path: &[u8]) -> Result<(), Errno> {
    if is_kernels(file.as_fd()) {
        // Their files come and go by themselves, and are not done in anybody's name.
        return Ok(());
    }
    let back = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(|_unseen| Errno::ACCESS)?;
    match (back.st_dev, back.st_ino) == (stat.st_dev, stat.st_ino) {
        true => Ok(()),
        false => Err(Errno::ACCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Caller {
        Caller {
            thread: std::process::id(),
        }
    }

    #[test]
    fn a_path_is_split_at_its_last_name() {
        assert_eq!(split(b"/a/b").unwrap(), (&b"/a/"[..], &b"b"[..]));
        assert_eq!(split(b"b//").unwrap(), (&b""[..], &b"b"[..]));
        assert_eq!(split(b"/b").unwrap(), (&b"/"[..], &b"b"[..]));
        assert_eq!(split(b"//"), Err(Errno::BUSY));
        assert_eq!(split(b""), Err(Errno::NOENT));
        assert_eq!(split(b"a/.."), Err(Errno::INVAL));
        assert_eq!(split(b"."), Err(Errno::INVAL));
    }

    #[test]
    fn a_name_is_judged_by_where_its_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir(dir.join("real")).unwrap();
        std::os::unix::fs::symlink("real", dir.join("link")).unwrap();
        let words = dir.join("link/new");
        let base = me().base(libc::AT_FDCWD, words.as_os_str().as_bytes());
        let place = base.unwrap().place().unwrap();
        assert_eq!(place.path, dir.join("real/new").as_os_str().as_bytes());
        assert_eq!(place.stat().unwrap_err(), Errno::NOENT);
        let link = dir.join("link");
        let there = me().there(libc::AT_FDCWD, link.as_os_str().as_bytes(), true);
        assert_eq!(there.unwrap().path, dir.join("real").as_os_str().as_bytes());
    }

    /// Of a mount that is in no tree the kernel writes paths as if it began at the root.
    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        use rustix::mount::{OpenTreeFlags, open_tree};
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "").unwrap();
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let Ok(tree) = open_tree(CWD, dir.path(), flags) else {
            return eprintln!("skipped: mounting is root's");
        };
        assert_eq!(path_of(&tree).unwrap(), b"/");
        let number = tree.as_raw_fd();
        let place = me().base(number, b"f").unwrap().place();
        assert_eq!(place.unwrap_err(), Errno::ACCESS);
        assert_eq!(me().there(number, b"f", true).unwrap_err(), Errno::ACCESS);
    }

    #[test]
    fn the_process_itself_is_the_one_that_says_so() {
        let caller = Caller { thread: 7 };
        let own = |path: &'static str| caller.own(path.as_bytes());
        let is = |link: &str, rest: &'static str| Some((link.to_owned(), rest.as_bytes()));
        assert_eq!(own("/proc/self/exe"), is("/proc/7/exe", ""));
        assert_eq!(own("/proc/7/cwd//a/b"), is("/proc/7/cwd", "a/b"));
        assert_eq!(own("/proc/selfish/exe"), None);
        assert_eq!(own("/proc/self/mem"), None);
        assert_eq!(own("/dev/fd/3"), is("/proc/7/fd/3", ""));
        assert_eq!(own("/dev/fd/x"), None);
        assert_eq!(own("/dev/stdout"), is("/proc/7/fd/1", ""));
        assert!(caller.lexical(libc::AT_FDCWD, b"/a/../b").is_none());
        assert!(caller.lexical(libc::AT_FDCWD, b"/proc/1/mem").is_none());
    }

    #[test]
    fn a_link_of_the_kernels_leads_nowhere_but_for_its_own_process() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("l");
        std::os::unix::fs::symlink("/proc/self/fd/0", &link).unwrap();
        let there = me().there(libc::AT_FDCWD, link.as_os_str().as_bytes(), true);
        assert_eq!(there.unwrap_err(), Errno::LOOP);
        assert!(me().there(libc::AT_FDCWD, b"/proc/self/exe", true).is_ok());
    }

    #[test]
    fn the_kernels_own_files_are_known_and_a_changed_file_is_another() {
        let there = |path: &[u8]| me().there(libc::AT_FDCWD, path, true).unwrap();
        assert!(there(b"/proc/self/comm").is_kernels());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "1").unwrap();
        let words = path.as_os_str().as_bytes();
        assert!(!there(words).is_kernels());
        let before = there(words).identity();
        assert_eq!(before, there(words).identity());
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&path, "2").unwrap();
        assert_ne!(before, there(words).identity());
    }
}
