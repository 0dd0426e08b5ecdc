// SPDX-License-Identifier: Apache-2.0
//! `ampoule cp`: files out of a running guest, or into it.

use std::ffi::OsString;
use std::io::BufReader;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use clap::Args;

use super::{CliError, store};
use crate::api::{Client, Request};
use crate::copy::{receive, send};
use crate::folders::Folders;
use crate::task::{Bytes, TaskId};

/// Copy files out of a running task (TASK:PATH LOCAL) or into it (LOCAL TASK:PATH)
#[derive(Debug, Args)]
pub(super) struct Cp {
    /// What to copy: TASK:PATH or a local path
    from: OsString,
    /// Where to: a local path or TASK:PATH. In a task, the name that the copy gets, or with a
    /// slash at its end the folder it goes into
    to: OsString,
}

/// A path in a task, if that is what `text` is: `./a:b` is local, and so is anything whose part
/// before the colon is no beginning of an id.
fn in_task(text: &OsString) -> Option<(String, Vec<u8>)> {
    let bytes = text.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let (task, path) = (bytes.get(..colon)?, bytes.get(colon + 1..)?);
    let task = TaskId::prefix(std::str::from_utf8(task).ok()?).ok()?;
    Some((task, path.to_vec()))
}

impl Cp {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        match (in_task(&self.from), in_task(&self.to)) {
            (Some((task, path)), None) => out(folders, &task, path, Path::new(&self.to)),
            (None, Some((task, path))) => into(folders, &task, path, Path::new(&self.from)),
            _ => {
                let text = "one of the two must be in a task (TASK:PATH) and the other here";
                Err(CliError::Usage(text.to_owned()))
            }
        }
    }
}

fn connect(folders: &Folders, task: &str, request: &Request) -> Result<UnixStream, CliError> {
    let mut client = Client::connect(&store(folders)?.find(task)?)?;
    client.send(request)?;
    Ok(client.attached()?.into())
}

fn bytes(path: Vec<u8>) -> Bytes {
    Bytes::from(OsString::from_vec(path))
}

fn out(folders: &Folders, task: &str, path: Vec<u8>, to: &Path) -> Result<u8, CliError> {
    if path.is_empty() {
        return Err(CliError::Usage(format!(
            "{task}: what of it? write {task}:PATH"
        )));
    }
    // As docker has it: what a folder holds, rather than the folder, is `folder/.`.
    let contents = path.ends_with(b"/.");
    let name = path
        .split(|byte| *byte == b'/')
        .rfind(|part| !part.is_empty());
    let name = name.filter(|_| !contents).map(<[u8]>::to_vec);
    let guest = connect(folders, task, &Request::ReadFiles(bytes(path)))?;
    let mut reader = BufReader::with_capacity(256 * 1024, guest);
    let done = receive(&mut reader, to, name.as_deref())?;
    for line in &done.left_out {
        eprintln!("ampoule: left out: {line}");
    }
    if done.entries == 0 {
        eprintln!("ampoule: nothing was copied");
        return Ok(1);
    }
    Ok(0)
}

fn into(folders: &Folders, task: &str, mut path: Vec<u8>, from: &Path) -> Result<u8, CliError> {
    if path.is_empty() || path.ends_with(b"/") {
        let Some(name) = from.file_name() else {
            return Err(CliError::Usage(
                "say what the copy is to be called in the task".to_owned(),
            ));
        };
        path.extend_from_slice(name.as_bytes());
    }
    let guest = connect(folders, task, &Request::WriteFiles(bytes(path)))?;
    send(&guest, from)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_task_is_told_from_a_local_one() {
        let parse = |text: &str| in_task(&OsString::from(text));
        assert_eq!(parse("7k:/etc"), Some(("7k".into(), b"/etc".to_vec())));
        assert_eq!(parse("7k:"), Some(("7k".into(), Vec::new())));
        for local in ["/a", "./7k:x", "dir/7k:x", "long-name:x", ":x"] {
            assert_eq!(parse(local), None, "{local}");
        }
    }
}
