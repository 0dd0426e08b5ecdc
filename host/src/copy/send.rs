// SPDX-License-Identifier: Apache-2.0
//! A file or folder of the host into a guest. Links are sent as links and never followed.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use protocol::kind::DATA_CAP;
use protocol::messages::{CopyEnd, Entry, EntryKind};
use protocol::{FrameError, Kind, read_frame, write_frame, write_message};

use super::{CopyError, MAX_DEPTH};

/// Sends what is at `source`, and waits until the guest has it.
///
/// # Errors
/// As [`CopyError`] says; what the guest has of it by then stays.
pub fn send(guest: &UnixStream, source: &Path) -> Result<(), CopyError> {
    // One that is named itself is followed: it is the user's word.
    let meta = fs::metadata(source).map_err(CopyError::file("read", source))?;
    let mut writer = BufWriter::with_capacity(2 * DATA_CAP as usize, guest);
    let mut path = Vec::new();
    let sent = tree(&mut writer, source, &meta, &mut path)
        .and_then(|()| {
            Ok(write_message(
                &mut writer,
                Kind::CopyEnd,
                &CopyEnd::default(),
            )?)
        })
        .and_then(|()| writer.flush().map_err(|e| FrameError::from(e).into()));
    match (sent, answer(guest)) {
        (Err(CopyError::Frame(_)), Err(theirs @ CopyError::Guest(_))) => Err(theirs),
        (Err(ours), _) => Err(ours),
        (Ok(()), theirs) => theirs,
    }
}

fn answer(guest: &UnixStream) -> Result<(), CopyError> {
    let frame = read_frame(&mut BufReader::new(guest))?;
    let CopyEnd { error } = frame.decode(Kind::CopyEnd)?;
    if error.is_empty() {
        return Ok(());
    }
    Err(CopyError::Guest(crate::supervise::verdict::clean(&error)))
}

fn tree(
    to: &mut impl Write,
    at: &Path,
    meta: &Metadata,
    path: &mut Vec<Vec<u8>>,
) -> Result<(), CopyError> {
    if path.len() > MAX_DEPTH {
        return Err(CopyError::TooLarge(format!(
            "{MAX_DEPTH} folders within folders"
        )));
    }
    let kind = meta.file_type();
    let mut entry = Entry {
        path: path.clone(),
        mode: meta.mode() & 0o7777,
        mtime_ns: meta
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(meta.mtime_nsec()),
        size: meta.len(),
        ..Entry::default()
    };
    if kind.is_dir() {
        entry.set_kind(EntryKind::Folder);
        write_message(to, Kind::Entry, &entry)?;
        return folder(to, at, path);
    }
    if kind.is_symlink() {
        entry.set_kind(EntryKind::Link);
        let target = fs::read_link(at).map_err(CopyError::file("read", at))?;
        entry.target = target.as_os_str().as_bytes().to_vec();
    } else if kind.is_file() {
        entry.set_kind(EntryKind::File);
        write_message(to, Kind::Entry, &entry)?;
        return content(to, at);
    } else {
        eprintln!(
            "ampoule: left out: {} (a device, socket or pipe)",
            at.display()
        );
        return Ok(());
    }
    Ok(write_message(to, Kind::Entry, &entry)?)
}

fn folder(to: &mut impl Write, at: &Path, path: &mut Vec<Vec<u8>>) -> Result<(), CopyError> {
    let entries = fs::read_dir(at).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(CopyError::file("list", at))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, below) = (entry.file_name(), entry.path());
        let meta = entry.metadata().map_err(CopyError::file("read", &below))?;
        path.push(OsStr::as_bytes(&name).to_vec());
        tree(to, &below, &meta, path)?;
        path.pop();
    }
    Ok(())
}

fn content(to: &mut impl Write, at: &Path) -> Result<(), CopyError> {
    let mut file = File::open(at).map_err(CopyError::file("open", at))?;
    let mut block = vec![0; DATA_CAP as usize];
    loop {
        match file.read(&mut block).map_err(CopyError::file("read", at))? {
            0 => break,
            n => write_frame(to, Kind::FileData, &block[..n])?,
        }
    }
    Ok(write_frame(to, Kind::FileEnd, b"")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::receive;

    #[test]
    fn what_is_sent_can_be_received() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("d")).unwrap();
        fs::write(from.join("d/f"), vec![7; 200_000]).unwrap();
        std::os::unix::fs::symlink("d/f", from.join("l")).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let to = dir.path().join("to");
        let receiver = std::thread::spawn(move || {
            let done = receive(&mut &theirs, &to, None).unwrap();
            write_message(&mut &theirs, Kind::CopyEnd, &CopyEnd::default()).unwrap();
            done
        });
        send(&ours, &from).unwrap();
        assert_eq!(receiver.join().unwrap().bytes, 200_000);
        assert_eq!(fs::read(dir.path().join("to/l")).unwrap(), vec![7; 200_000]);
    }

    #[test]
    fn what_the_guest_objects_to_is_the_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), "x").unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let end = CopyEnd {
            error: "/etc/f: no permission".into(),
        };
        write_message(&mut theirs, Kind::CopyEnd, &end).unwrap();
        let error = send(&ours, &dir.path().join("f")).unwrap_err();
        assert_eq!(error.to_string(), "/etc/f: no permission");
    }
}
