// SPDX-License-Identifier: Apache-2.0
//! Folders are made, scanned and written; the images are read by the independent reader.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::*;
use crate::erofs::reader::{Found, Image as Erofs};
use crate::tree::Kind;

/// A folder to scan and a cache, side by side.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::new().unwrap());
        fs::create_dir(place.work()).unwrap();
        place
    }

    fn work(&self) -> PathBuf {
        self.0.path().join("work")
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn scan(&self) -> Scan {
        scan(&self.work(), &ScanOptions::default()).unwrap()
    }

    fn image(&self) -> Image {
        image(
            &self.work(),
            &ScanOptions::default(),
            &self.0.path().join("cache"),
        )
        .unwrap()
    }
}

fn files(image: &Image) -> BTreeMap<Vec<u8>, Found> {
    Erofs::open(&fs::read(&image.path).unwrap()).walk()
}

#[test]
fn image_holds_what_the_folder_holds_owned_by_the_guest() {
    let place = Place::new();
    place.write("a/b.txt", "hello");
    place.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(
        place.work().join("run.sh"),
        PermissionsExt::from_mode(0o4755),
    )
    .unwrap();
    fs::set_permissions(
        place.work().join("a/b.txt"),
        PermissionsExt::from_mode(0o044),
    )
    .unwrap();
    symlink("/etc/passwd", place.work().join("link")).unwrap();
    fs::hard_link(place.work().join("run.sh"), place.work().join("again")).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"\xff\n odd");
    fs::write(place.work().join(name), "odd").unwrap();

    let options = ScanOptions {
        skip_unreadable: false,
        ..ScanOptions::default()
    };
    let image = image(&place.work(), &options, &place.0.path().join("cache")).unwrap();
    let all = files(&image);
    assert!(
        all.values()
            .all(|found| (found.uid, found.gid) == (1000, 1000))
    );
    assert_eq!(all[&b"a/b.txt"[..]].data, b"hello");
    assert_eq!(all[&b"a/b.txt"[..]].mode, 0o100_444);
    assert_eq!(all[&b"run.sh"[..]].mode, 0o100_755);
    assert_eq!(all[&b"run.sh"[..]].nlink, 2);
    assert_eq!(all[&b"run.sh"[..]].nid, all[&b"again"[..]].nid);
    assert_eq!(all[&b"link"[..]].data, b"/etc/passwd");
    assert_eq!(all[&b"\xff\n odd"[..]].data, b"odd");
    assert_eq!((image.entries, image.skipped.count), (6, 0));
}

#[test]
fn unchanged_folder_reuses_its_image_and_any_change_does_not() {
    let place = Place::new();
    place.write("f", "one");
    let first = place.image();
    assert!(!first.reused);
    assert!(place.image().reused);
    // The same length, and the old modification time forged: the change time tells.
    let before = fs::metadata(place.work().join("f"))
        .unwrap()
        .modified()
        .unwrap();
    place.write("f", "two");
    fs::File::options()
        .write(true)
        .open(place.work().join("f"))
        .unwrap()
        .set_modified(before)
        .unwrap();
    let second = place.image();
    assert!(!second.reused);
    assert_eq!(files(&second)[&b"f"[..]].data, b"two");
    assert_ne!(first.fingerprint, second.fingerprint);
}

#[test]
fn special_files_are_left_out_and_named() {
    let place = Place::new();
    let _socket = UnixListener::bind(place.work().join("socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.work().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    place.write("kept", "");
    let scan = place.scan();
    assert_eq!((scan.entries, scan.skipped.count), (1, 2));
    let named: Vec<_> = scan
        .skipped
        .named
        .iter()
        .map(|(path, _)| path.as_path())
        .collect();
    assert_eq!(named, [Path::new("pipe"), Path::new("socket")]);
    assert!(scan.tree.lookup("pipe").is_none());
}

#[test]
fn caps_name_what_is_too_much() {
    let place = Place::new();
    place.write("a", "12345");
    place.write("b", "12345");
    let many = ScanOptions {
        max_entries: 1,
        ..ScanOptions::default()
    };
    assert!(matches!(
        scan(&place.work(), &many),
        Err(ScanError::TooMany { max: 1, .. })
    ));
    let large = ScanOptions {
        max_bytes: 9,
        ..ScanOptions::default()
    };
    let error = scan(&place.work(), &large).unwrap_err();
    assert!(
        matches!(&error, ScanError::TooLarge { path, .. } if path.ends_with("b")),
        "{error}"
    );
}

#[test]
fn a_file_or_nothing_is_not_a_folder() {
    let place = Place::new();
    place.write("file", "");
    for path in ["file", "missing"] {
        let error = scan(&place.work().join(path), &ScanOptions::default()).unwrap_err();
        assert!(matches!(error, ScanError::NotADirectory(_)), "{error}");
    }
}

#[test]
fn directory_swapped_for_a_link_is_not_followed() {
    let place = Place::new();
    place.write("dir/secret", "inside");
    fs::create_dir(place.0.path().join("outside")).unwrap();
    fs::write(place.0.path().join("outside/secret"), "outsid").unwrap();
    let scan = place.scan();
    fs::rename(place.work().join("dir"), place.0.path().join("moved")).unwrap();
    symlink(place.0.path().join("outside"), place.work().join("dir")).unwrap();
    let error = erofs::write(
        &scan.tree,
        &WriteOptions::default(),
        &place.0.path().join("i"),
    )
    .unwrap_err();
    let WriteError::Content(ContentError::Changed(path)) = error else {
        panic!("{error}")
    };
    assert_eq!(path, place.work().join("dir/secret"));
}

#[test]
fn file_swapped_for_a_pipe_does_not_hang() {
    let place = Place::new();
    place.write("f", "inside");
    let scan = place.scan();
    fs::remove_file(place.work().join("f")).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, place.work().join("f"), pipe, mode, 0).unwrap();
    let path = place.0.path().join("i");
    let error = erofs::write(&scan.tree, &WriteOptions::default(), &path).unwrap_err();
    assert!(
        matches!(error, WriteError::Content(ContentError::Changed(_))),
        "{error}"
    );
    assert!(!path.exists());
}

#[test]
fn folders_end_somewhere() {
    let deep = Place::new();
    fs::create_dir_all(deep.work().join("d/".repeat(256))).unwrap();
    assert_eq!(deep.scan().entries, 256);
    fs::create_dir(deep.work().join("d/".repeat(257))).unwrap();
    let error = scan(&deep.work(), &ScanOptions::default()).unwrap_err();
    assert!(matches!(error, ScanError::TooDeep(_)), "{error}");

    let long = Place::new();
    let below = vec!["n".repeat(255); 15].join("/");
    fs::create_dir_all(long.work().join(below)).unwrap();
    let below = vec!["n".repeat(255); 14].join("/");
    let middle = fs::File::open(long.work().join(below)).unwrap();
    let below = vec!["n".repeat(255); 3].join("/");
    fs::create_dir_all(format!("/proc/self/fd/{}/{below}", middle.as_raw_fd())).unwrap();
    let error = scan(&long.work(), &ScanOptions::default()).unwrap_err();
    assert!(matches!(error, ScanError::TooDeep(_)), "{error}");
}

#[test]
fn changes_are_attempted_again_and_then_given_up_by_name() {
    let changed = || ImageError::Scan(ScanError::Changed("log".into()));
    let mut made = 0;
    let error = persist::<()>(Duration::ZERO, || {
        made += 1;
        Err(changed())
    });
    assert!(matches!(&error, Err(ImageError::KeepsChanging(path)) if path == Path::new("log")));
    assert_eq!(made, ATTEMPTS);

    let mut left = 3;
    let third = persist(Duration::ZERO, || {
        left -= 1;
        if left > 0 {
            Err(changed())
        } else {
            Ok("image")
        }
    });
    assert_eq!(third.unwrap(), "image");

    let mut made = 0;
    let other = persist::<()>(Duration::ZERO, || {
        made += 1;
        Err(ImageError::Scan(ScanError::Unreadable("f".into())))
    });
    assert!(matches!(
        other,
        Err(ImageError::Scan(ScanError::Unreadable(_)))
    ));
    assert_eq!(made, 1);
}

/// A log that grows all the time: whether an image comes to be is a matter of luck, but one that
/// does holds a whole state, and otherwise nothing stays behind.
#[test]
fn a_file_that_grows_meanwhile_never_spoils_an_image() {
    let place = Place::new();
    place.write("log", "");
    place.write("big", &"b".repeat(200_000));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut log = fs::File::options()
                .append(true)
                .open(place.work().join("log"))
                .unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                log.write_all(b"line\n").unwrap();
            }
        });
        let cache = place.0.path().join("cache");
        let result = image(&place.work(), &ScanOptions::default(), &cache);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let left = fs::read_dir(cache).unwrap().count();
        match result {
            Ok(image) => {
                let log = &files(&image)[&b"log"[..]].data;
                assert!(log.chunks(5).all(|line| line == b"line\n"));
                assert_eq!(left, 1);
            }
            Err(error) => {
                let ImageError::KeepsChanging(path) = error else {
                    panic!("{error}")
                };
                assert_eq!(path, place.work().join("log"));
                assert_eq!(left, 0);
            }
        }
    });
}

#[test]
fn the_tick_of_the_newest_change_is_waited_out() {
    let now = || {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
    };
    let at = |time: Duration| Time {
        secs: i64::try_from(time.as_secs()).unwrap(),
        nanos: time.subsec_nanos(),
    };
    let newest = now();
    settle(at(newest));
    assert!(now() >= newest + TICK);
    let start = now();
    settle(at(start + Duration::from_secs(3600)));
    assert!(
        now() < start + Duration::from_secs(60),
        "the future is not waited for"
    );

    let place = Place::new();
    place.write("f", "just now");
    let newest = place.scan().newest;
    place.image();
    assert!(at(now()) >= at(Duration::new(newest.secs.unsigned_abs(), newest.nanos) + TICK));
}

#[test]
fn options_that_shape_the_image_are_in_the_fingerprint() {
    let place = Place::new();
    let other = ScanOptions {
        uid: 0,
        ..ScanOptions::default()
    };
    let other = scan(&place.work(), &other).unwrap();
    assert_ne!(other.fingerprint, place.scan().fingerprint);
    assert_eq!(other.tree.node(other.tree.root()).meta.uid, 0);
    assert!(matches!(
        other.tree.node(other.tree.root()).kind(),
        Kind::Dir(_)
    ));
}

/// Runs `check` without the powers of root, on a thread of its own where this process is root.
fn unprivileged(check: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                let nobody = rustix::process::Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
            check();
        });
    });
}

#[test]
fn an_error_advises_only_what_a_user_can_do() {
    let path = || PathBuf::from("f");
    let max = 1;
    for error in [
        ScanError::Unreadable(path()),
        ScanError::TooMany { path: path(), max },
        ScanError::TooLarge { path: path(), max },
    ] {
        let text = error.to_string();
        assert!(text.contains("leave "), "{text}");
        for option in ["skip", "raise"] {
            assert!(!text.contains(option), "{text}");
        }
    }
}

#[test]
fn unreadable_files_are_an_error_or_skipped_by_name() {
    unprivileged(|| {
        let place = Place::new();
        place.write("open/file", "");
        place.write("secret", "");
        place.write("shut/file", "");
        let shut = |path: &str, mode| {
            let mode = PermissionsExt::from_mode(mode);
            fs::set_permissions(place.work().join(path), mode).unwrap();
        };
        shut("secret", 0o200);
        let error = scan(&place.work(), &ScanOptions::default()).unwrap_err();
        assert!(
            matches!(&error, ScanError::Unreadable(path) if path.ends_with("secret")),
            "{error}"
        );
        shut("secret", 0o600);
        // Neither listed nor searched, then listed but not searched.
        for mode in [0o300, 0o600] {
            shut("shut", mode);
            let error = scan(&place.work(), &ScanOptions::default()).unwrap_err();
            assert!(matches!(error, ScanError::Unreadable(_)), "{error}");
        }
        shut("shut", 0o000);
        shut("secret", 0o200);
        let skip = ScanOptions {
            skip_unreadable: true,
            ..ScanOptions::default()
        };
        let image = image(&place.work(), &skip, &place.0.path().join("cache")).unwrap();
        shut("shut", 0o700);
        let names: Vec<_> = files(&image).into_keys().collect();
        assert_eq!(names, [&b""[..], b"open", b"open/file"]);
        assert_eq!(image.skipped.count, 2);
        assert!(
            image
                .skipped
                .named
                .contains(&("secret".into(), Reason::Unreadable))
        );
        assert!(
            image
                .skipped
                .named
                .contains(&("shut".into(), Reason::Unreadable))
        );
        assert_eq!(image.entries, 2);
    });
}

#[test]
fn several_callers_at_once_get_one_whole_image() {
    let place = Place::new();
    for index in 0..50 {
        place.write(&format!("{index}"), &"x".repeat(index * 999));
    }
    let images: Vec<_> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4).map(|_| scope.spawn(|| place.image())).collect();
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    assert!(images.iter().all(|image| image.path == images[0].path));
    assert_eq!(
        fs::read_dir(place.0.path().join("cache")).unwrap().count(),
        1
    );
    assert_eq!(files(&images[0]).len(), 51);
}
