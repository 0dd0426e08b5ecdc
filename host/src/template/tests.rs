// SPDX-License-Identifier: Apache-2.0
//! The store of templates, with files that stand for snapshots.

use std::os::unix::fs::FileExt;

use super::*;

const IMAGE: &str = "aa";
const KERNEL: &str = "bb";

struct Place {
    _dir: tempfile::TempDir,
    templates: Templates,
    vmm: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let vmm = dir.path().join("ampoule-vmm");
    fs::write(&vmm, "vmm").unwrap();
    let templates = Templates::new(&Folders::below(dir.path()));
    fs::create_dir_all(&templates.folder).unwrap();
    Place {
        _dir: dir,
        templates,
        vmm,
    }
}

impl Place {
    fn key(&self, memory_mib: u32) -> Key {
        let resources = Resources {
            memory_mib,
            cpus: 1,
            scratch_bytes: 0,
        };
        Key::new((IMAGE, KERNEL), &resources, &self.vmm).unwrap()
    }

    fn store(&self, memory_mib: u32) -> Key {
        let key = self.key(memory_mib);
        let write = |file: &File| {
            file.write_all_at(b"state", 0).unwrap();
            file.write_all_at(b"memory", 10 << 20).unwrap();
            Ok(())
        };
        self.templates.store(key.clone(), write).unwrap();
        key
    }

    fn snapshot(&self, key: &Key) -> PathBuf {
        self.templates.place(key).join(SNAPSHOT)
    }
}

#[test]
fn what_was_stored_is_found_under_its_key_only() {
    let place = place();
    let key = place.store(128);
    assert!(place.templates.open(&key).is_ok());
    assert!(matches!(
        place.templates.open(&place.key(256)),
        Err(Cold::None)
    ));
    // Another VMM.
    fs::write(&place.vmm, "new vmm").unwrap();
    assert!(matches!(
        place.templates.open(&place.key(128)),
        Err(Cold::None)
    ));
}

#[test]
fn a_file_that_was_changed_or_exchanged_is_refused() {
    let place = place();
    let key = place.store(128);
    let path = place.snapshot(&key);
    let wrong = || match place.templates.open(&key) {
        Err(Cold::Changed(what)) => what,
        other => panic!("{other:?}"),
    };
    // A copy in its place: the same bytes, another file.
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert_eq!(wrong(), "inode");
    let key = place.store(128);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"x", 10 << 20).unwrap();
    assert_eq!(wrong(), "time of change");
    file.set_len(5).unwrap();
    assert_eq!(wrong(), "length");
    fs::remove_file(&path).unwrap();
    assert!(matches!(
        place.templates.open(&key),
        Err(Cold::Unreadable(_))
    ));
    fs::write(place.templates.place(&key).join(MANIFEST), "{").unwrap();
    assert!(matches!(
        place.templates.open(&key),
        Err(Cold::Unreadable(_))
    ));
}

#[test]
fn verify_reads_what_a_restore_does_not() {
    let place = place();
    let key = place.store(128);
    place.store(256);
    assert_eq!(place.templates.verify(IMAGE).unwrap(), (2, Vec::new()));
    let path = place.snapshot(&key);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(b"M", 10 << 20).unwrap();
    let (count, bad) = place.templates.verify(IMAGE).unwrap();
    assert_eq!((count, bad.len()), (2, 1), "{bad:?}");
    assert_eq!(place.templates.verify("other").unwrap(), (0, Vec::new()));
}

#[test]
fn one_that_could_not_be_written_leaves_nothing_but_its_note() {
    let place = place();
    let key = place.key(128);
    let failed = place.templates.store(key.clone(), |_| {
        Err(make::MakeError::File {
            what: "write",
            source: io::ErrorKind::StorageFull.into(),
        })
    });
    assert!(failed.is_err());
    assert_eq!(fs::read_dir(&place.templates.folder).unwrap().count(), 0);
    fs::write(place.templates.failure(&key), "the disk is full").unwrap();
    let cold = place.templates.open(&key).unwrap_err();
    assert!(!cold.wants_template() && cold.is_a_fault());
    assert!(cold.to_string().contains("the disk is full"));
}

#[test]
fn sweeping_keeps_what_has_an_image_and_not_too_much_of_it() {
    let place = place();
    let named = [IMAGE.to_owned(), KERNEL.to_owned()];
    let keys: Vec<Key> = (0..20).map(|n| place.store(100 + n)).collect();
    place.templates.sweep(&named);
    assert_eq!(place.templates.places().unwrap().len(), KEPT);
    assert!(place.templates.open(&keys[19]).is_ok());
    place.templates.sweep(&named[..1]);
    assert_eq!(place.templates.places().unwrap().len(), 0);
}
