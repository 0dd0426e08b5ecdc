// SPDX-License-Identifier: Apache-2.0
//! Files named by their SHA-256, read-only.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::CheckError;

/// A file that no name points at is kept so long: it may be on its way to one.
const UNNAMED: Duration = Duration::from_secs(60 * 60);

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// The store's folder.
#[derive(Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
}

/// A file that was stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

type Failure = (&'static str, PathBuf, io::Error);

impl Blobs {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn open(&self, sha256: &str) -> Result<File, CheckError> {
        let hex = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        if !hex {
            return Err(CheckError::NotADigest);
        }
        File::open(self.folder.join(sha256)).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => CheckError::Gone,
            _ => CheckError::Read(source),
        })
    }

    /// Copies `source` in; a file that is there already with the right content is kept.
    pub(super) fn add(&self, mut source: File) -> Result<Stored, Failure> {
        let folder = &self.folder;
        fs::create_dir_all(folder).map_err(|e| ("make", folder.clone(), e))?;
        let temporary = folder.join(format!("tmp.{}", std::process::id()));
        let copied = copy(&mut source, &temporary);
        let result = copied.and_then(|stored| {
            fs::rename(&temporary, folder.join(&stored.sha256))?;
            // The rename must survive a crash before a manifest names the file.
            File::open(folder)?.sync_all()?;
            Ok(stored)
        });
        result.map_err(|e| {
            let _ = fs::remove_file(&temporary);
            ("write", temporary, e)
        })
    }

    /// Removes old files whose digest is not in `named`.
    pub(super) fn sweep(&self, named: &[String]) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let known = name
                .to_str()
                .is_some_and(|name| named.iter().any(|n| n == name));
            if !known && is_old(&entry.path()) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn is_old(path: &Path) -> bool {
    let age = fs::symlink_metadata(path)
        .and_then(|meta| meta.modified())
        .map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
    age.is_ok_and(|age| age > UNNAMED)
}

fn copy(source: &mut File, to: &Path) -> io::Result<Stored> {
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(to)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0u64);
    let mut block = vec![0; BLOCK];
    loop {
        match source.read(&mut block) {
            Ok(0) => break,
            Ok(n) => {
                hash.update(&block[..n]);
                file.write_all(&block[..n])?;
                bytes += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.set_permissions(Permissions::from_mode(0o444))?;
    file.sync_all()?;
    Ok(Stored {
        sha256: hex(hash),
        bytes,
    })
}

/// SHA-256 of all of `file`, in hexadecimal.
pub(super) fn digest(file: &mut File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hex(hash)),
            Ok(n) => hash.update(&block[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
