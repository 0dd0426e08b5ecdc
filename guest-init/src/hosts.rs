// SPDX-License-Identifier: Apache-2.0
//! The list of hosts, hosts(5), with the guest's own name in it, as on any server: programs that
//! ask for the address of the host they are on get one, and its name back from it.
//!
//! The file is in `/run`, and the image's `/etc/hosts` a link to it: a file of the image would be
//! read from the drive and copied by the overlay, which cost a boot 0.2 ms and 22 exits. An image
//! with a list of its own keeps that.
//!
//! Our line is at the end, and is changed when the guest becomes another. One that starts from a
//! template has had no task, only `true`, without rights to this file; so the line is where it was
//! put. In a copy a task has been at work, and what does not look like our
//! line is left alone.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The rest of the list.
const LOCALHOST: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n";
/// Where our line begins.
const AT: u64 = LOCALHOST.len() as u64;
/// Of a list that is changed in a copy.
const LONGEST: u64 = 64 * 1024;
/// Debian's address of a host's own name: on loopback, and not that of `localhost`.
const OURS: &str = "127.0.1.1 ";

/// The file, and our line in it.
#[derive(Debug)]
pub(crate) struct Hosts {
    file: File,
    /// With its end; empty until there is one.
    line: String,
}

impl Hosts {
    /// Makes it, and keeps it open: a restored guest looks up no path.
    pub(crate) fn make(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(true);
        let file = options.open(path)?;
        file.write_all_at(LOCALHOST.as_bytes(), 0)?;
        Ok(Self {
            file,
            line: String::new(),
        })
    }

    /// Makes `name` the guest's own. No task has run yet.
    pub(crate) fn set(&mut self, name: &str) -> io::Result<()> {
        self.replace(name, &[])
    }

    /// The same in a copy, whose original ran a task.
    pub(crate) fn change(&mut self, name: &str) -> io::Result<()> {
        // A task of root may have made anything of it.
        if self.file.metadata()?.len() > LONGEST {
            return Ok(());
        }
        let mut is = Vec::new();
        let mut file = &self.file;
        file.seek(SeekFrom::Start(AT))?;
        file.take(LONGEST).read_to_end(&mut is)?;
        match is.strip_prefix(self.line.as_bytes()) {
            Some(after) => self.replace(name, after),
            None => Ok(()),
        }
    }

    /// Writes our line and what comes after it.
    fn replace(&mut self, name: &str, after: &[u8]) -> io::Result<()> {
        let line = format!("{OURS}{name}\n");
        let text = [line.as_bytes(), after].concat();
        self.file.write_all_at(&text, AT)?;
        if line.len() < self.line.len() {
            let end = u64::try_from(text.len()).map_or(AT, |len| AT.saturating_add(len));
            self.file.set_len(end)?;
        }
        self.line = line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What follows `LOCALHOST` after the guest was a template's and `a-long-name`, the task did
    /// its part, and its copy is `b`.
    fn copied(task: impl Fn(&Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let mut hosts = Hosts::make(&path).unwrap();
        hosts.set("a-template").unwrap();
        hosts.set("a-long-name").unwrap();
        task(&path);
        hosts.change("b").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        text.strip_prefix(LOCALHOST).unwrap_or(&text).to_owned()
    }

    #[test]
    fn guest_of_a_template_has_its_own_name_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let mut hosts = Hosts::make(&path).unwrap();
        hosts.set("a-template").unwrap();
        hosts.set("guest").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, format!("{LOCALHOST}127.0.1.1 guest\n"));
    }

    #[test]
    fn copy_has_its_own_name_and_what_the_task_added() {
        assert_eq!(copied(|_| {}), "127.0.1.1 b\n");
        let add = |path: &Path| {
            let is = fs::read_to_string(path).unwrap();
            fs::write(path, is + "10.0.0.1 db\n").unwrap();
        };
        assert_eq!(copied(add), "127.0.1.1 b\n10.0.0.1 db\n");
    }

    #[test]
    fn what_the_task_made_of_it_stays() {
        for made in ["", "10.0.0.1 db\n", &"10.0.0.1 db\n".repeat(9)] {
            assert_eq!(copied(|path| fs::write(path, made).unwrap()), made);
        }
    }
}
