// SPDX-License-Identifier: Apache-2.0
//! Storing, listing, verifying, replacing.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt;

use super::check::tests::{elf, erofs};
use super::*;

struct Home {
    dir: tempfile::TempDir,
    catalogue: Catalogue,
}

fn home() -> Home {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::new(&Folders::below(dir.path()));
    Home { dir, catalogue }
}

fn add(home: &Home, name: &str, kind: Kind, bytes: &[u8]) -> Result<Manifest, ImageError> {
    let from = home.dir.path().join("new");
    fs::write(&from, bytes).unwrap();
    let manifest = Manifest {
        name: name.into(),
        kind,
        sha256: String::new(),
        bytes: 0,
        created_ms: 0,
        source: "test".into(),
        env: BTreeMap::new(),
        inputs: BTreeMap::new(),
    };
    home.catalogue.add(&from, manifest)
}

fn stored(home: &Home, manifest: &Manifest) -> PathBuf {
    home.dir.path().join("d/store").join(&manifest.sha256)
}

#[test]
fn a_stored_file_is_read_only_and_replacing_makes_a_new_one() {
    let home = home();
    let first = add(&home, "base", Kind::Image, &erofs()).unwrap();
    let mode = fs::metadata(stored(&home, &first))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o444);
    let (_, open) = home.catalogue.open("base", Kind::Image).unwrap();
    let mut other = erofs();
    other[5000] = 1;
    let second = add(&home, "base", Kind::Image, &other).unwrap();
    assert_ne!(first.sha256, second.sha256);
    assert_eq!(open.metadata().unwrap().len(), 8192);
    assert!(stored(&home, &first).exists(), "kept while it is young");
    assert_eq!(home.catalogue.list().unwrap().manifests, [second]);
}

#[test]
fn a_missing_image_says_what_to_do() {
    let home = home();
    let error = home
        .catalogue
        .open("nope", Kind::Image)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("nope") && error.contains("ampoule image build"),
        "{error}"
    );
    assert!(home.catalogue.list().unwrap().manifests.is_empty());
}

#[test]
fn a_name_cannot_leave_the_folder() {
    let home = home();
    for name in ["", "../x", "a/b", ".x", "-x", "a b"] {
        assert!(
            matches!(home.catalogue.manifest(name), Err(ImageError::BadName(_))),
            "{name}"
        );
    }
}

#[test]
fn a_kernel_is_no_image() {
    let home = home();
    add(&home, KERNEL, Kind::Kernel, &elf()).unwrap();
    assert!(home.catalogue.open(KERNEL, Kind::Kernel).is_ok());
    assert!(matches!(
        home.catalogue.open(KERNEL, Kind::Image),
        Err(ImageError::WrongKind { .. })
    ));
    assert!(add(&home, KERNEL, Kind::Kernel, &erofs()).is_err());
}

#[test]
fn a_changed_or_cut_file_is_named() {
    let home = home();
    let manifest = add(&home, "base", Kind::Image, &erofs()).unwrap();
    home.catalogue.verify("base").unwrap();
    let path = stored(&home, &manifest);
    let mut bytes = erofs();
    bytes[6000] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bytes).unwrap();
    assert!(
        home.catalogue.open("base", Kind::Image).is_ok(),
        "the cheap checks do not see it"
    );
    let error = home.catalogue.verify("base").unwrap_err();
    assert!(error.to_string().contains("base"));
    fs::write(&path, &bytes[..5000]).unwrap();
    assert!(matches!(
        home.catalogue.open("base", Kind::Image),
        Err(ImageError::Damaged { .. })
    ));
}

#[test]
fn a_removed_image_is_gone() {
    let home = home();
    add(&home, "base", Kind::Image, &erofs()).unwrap();
    home.catalogue.remove("base").unwrap();
    assert!(home.catalogue.manifest("base").unwrap().is_none());
    assert!(matches!(
        home.catalogue.remove("base"),
        Err(ImageError::Missing { .. })
    ));
}

#[test]
fn a_name_that_no_image_may_have_is_refused_before_anything_is_read() {
    let home = home();
    let folders = Folders::below(home.dir.path());
    let said = RefCell::new(Vec::new());
    let progress = |line: &str| said.borrow_mut().push(line.to_owned());
    let maker = Maker::new(&folders, home.dir.path(), &progress);
    for (name, words) in [
        ("kernel", "'kernel' is the guest kernel's name"),
        ("a/b", "'a/b' is no name"),
        ("", "'' is no name"),
    ] {
        let error = maker.import(name, Path::new("/no/such.tar")).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    let error = maker.build("/no/such/kernel.toml").unwrap_err().to_string();
    assert!(
        error.contains("'kernel' is the guest kernel's name"),
        "{error}"
    );
    assert!(said.borrow().is_empty(), "{said:?}");
}

#[test]
fn what_goes_comes_with_the_way_back() {
    let home = home();
    for (name, kind, source, command) in [
        ("kernel", Kind::Kernel, "recipe kernel", "build kernel"),
        ("base", Kind::Image, "recipe base", "build base"),
        ("own", Kind::Image, "recipe own", "build own.toml"),
        ("base", Kind::Image, "import r.tar", "import base r.tar"),
    ] {
        let bytes = if kind == Kind::Image { erofs() } else { elf() };
        let mut manifest = add(&home, name, kind, &bytes).unwrap();
        manifest.source = source.into();
        let line = manifest.gone("removed");
        let short = &manifest.sha256[..12];
        assert_eq!(
            line,
            format!(
                "removed the {kind} '{name}' ({source}, {short}); \
                 `ampoule image {command}` makes it again"
            )
        );
    }
    assert_eq!(home.catalogue.remove("own").unwrap().unwrap().name, "own");
}

#[test]
fn replacing_an_image_says_so_and_storing_the_same_again_does_not() {
    let home = home();
    let folders = Folders::below(home.dir.path());
    let said = RefCell::new(Vec::new());
    let progress = |line: &str| said.borrow_mut().push(line.to_owned());
    let maker = Maker::new(&folders, home.dir.path(), &progress);
    let first = add(&home, "base", Kind::Image, &erofs()).unwrap();
    let from = home.dir.path().join("new");
    maker.add(&from, first.clone()).unwrap();
    assert!(said.borrow().is_empty(), "{said:?}");
    let mut other = erofs();
    other[5000] = 1;
    fs::write(&from, other).unwrap();
    maker.add(&from, first.clone()).unwrap();
    assert_eq!(*said.borrow(), [first.gone("replaced")]);
}

/// Makes a file beside the manifests.
fn write_manifest_as(home: &Home, file: &str, text: &str) {
    fs::write(home.dir.path().join("d/images").join(file), text).unwrap();
}

#[test]
fn a_bad_manifest_can_be_removed_while_there_is_another() {
    let home = home();
    add(&home, "base", Kind::Image, &erofs()).unwrap();
    write_manifest_as(&home, "one.json", "{");
    write_manifest_as(&home, "two.json", "");
    home.catalogue.remove("one").unwrap();
    assert!(home.catalogue.manifest("one").unwrap().is_none());
    home.catalogue.remove("base").unwrap();
    add(&home, "base", Kind::Image, &erofs()).unwrap();
}

#[test]
fn a_bad_manifest_is_listed_apart_and_says_what_to_do() {
    let home = home();
    let good = add(&home, "base", Kind::Image, &erofs()).unwrap();
    write_manifest_as(&home, "bad.json", "{");
    write_manifest_as(&home, "a b.json", "{}");
    fs::create_dir(home.dir.path().join("d/images/dir.json")).unwrap();
    let Listing { manifests, damaged } = home.catalogue.list().unwrap();
    assert_eq!(manifests, [good]);
    let mut lines: Vec<_> = damaged.iter().map(ToString::to_string).collect();
    lines.sort();
    assert!(lines[0].ends_with("a b.json is no image's manifest; remove the file"));
    assert!(lines[1].contains("'bad'") && lines[1].contains("`ampoule image rm bad`"));
    assert!(lines[2].contains("'dir'") && lines[2].contains("cannot be read"));
}

#[test]
fn a_file_is_kept_while_a_manifest_does_not_say_which_it_names() {
    let home = home();
    let manifest = add(&home, "base", Kind::Image, &erofs()).unwrap();
    let file = File::open(stored(&home, &manifest)).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(7200);
    file.set_modified(old).unwrap();
    write_manifest_as(&home, "base.json", "{");
    write_manifest_as(&home, "other.json", "{");
    home.catalogue.remove("other").unwrap();
    assert!(stored(&home, &manifest).exists());
    home.catalogue.remove("base").unwrap();
    assert!(!stored(&home, &manifest).exists());
}
