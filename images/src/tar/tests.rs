// SPDX-License-Identifier: Apache-2.0
//! Tars made by hand, hostile ones too, and by GNU tar where it is installed.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests make the bytes that they index"
)]

use std::fs;
use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::erofs::reader::Image;
use crate::erofs::{self, WriteOptions};
use crate::tree::Kind;

/// One entry of a `ustar` tar.
struct Entry<'a> {
    name: &'a str,
    kind: u8,
    link: &'a str,
    content: &'a [u8],
}

fn entry<'a>(name: &'a str, kind: u8) -> Entry<'a> {
    Entry {
        name,
        kind,
        link: "",
        content: b"",
    }
}

fn file<'a>(name: &'a str, content: &'a str) -> Entry<'a> {
    Entry {
        content: content.as_bytes(),
        ..entry(name, b'0')
    }
}

fn link<'a>(name: &'a str, kind: u8, link: &'a str) -> Entry<'a> {
    Entry {
        link,
        ..entry(name, kind)
    }
}

fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    record[at..at + bytes.len()].copy_from_slice(bytes);
}

fn seal(record: &mut [u8]) {
    put(record, 148, b"        ");
    let sum: u32 = record[..512].iter().map(|byte| u32::from(*byte)).sum();
    put(record, 148, format!("{sum:06o}\0 ").as_bytes());
}

fn record(entry: &Entry<'_>) -> Vec<u8> {
    let mut record = vec![0; 512];
    put(&mut record, 0, entry.name.as_bytes());
    put(&mut record, 100, b"0000755\0");
    put(&mut record, 108, b"0001750\0");
    put(&mut record, 116, b"0001751\0");
    put(
        &mut record,
        124,
        format!("{:011o}\0", entry.content.len()).as_bytes(),
    );
    put(&mut record, 136, b"00000000017\0");
    record[156] = entry.kind;
    put(&mut record, 157, entry.link.as_bytes());
    put(&mut record, 257, b"ustar\x0000");
    put(&mut record, 329, b"0000001\0");
    put(&mut record, 337, b"0000003\0");
    seal(&mut record);
    record.extend(entry.content);
    record.resize(record.len().next_multiple_of(512), 0);
    record
}

fn tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes: Vec<u8> = entries.iter().flat_map(record).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// What a tar is read as, and the folder with the tar, which the contents need.
#[derive(Debug)]
struct Read(Rootfs, TempDir);

fn read_bytes(bytes: &[u8], limits: &TarLimits) -> Result<Read, TarError> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("rootfs.tar");
    fs::write(&path, bytes).unwrap();
    Ok(Read(read(&path, limits)?, dir))
}

fn parsed(entries: &[Entry<'_>]) -> Result<Read, TarError> {
    read_bytes(&tar(entries), &TarLimits::default())
}

fn content(tree: &Tree, path: &str) -> Vec<u8> {
    let id = tree
        .lookup(path)
        .unwrap_or_else(|| panic!("{path} is missing"));
    let Kind::File(content) = tree.node(id).kind() else {
        panic!("{path} is not a file")
    };
    let mut bytes = vec![0; usize::try_from(content.len()).unwrap()];
    content.open().unwrap().read(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn every_kind_of_entry() {
    let Read(rootfs, _tar) = parsed(&[
        entry("./", b'5'),
        entry("./etc/", b'5'),
        file("./etc/motd", "hello"),
        link("etc/issue", b'1', "./etc/motd"),
        link("/bin", b'2', "usr/bin"),
        entry("dev/null", b'3'),
        entry("dev/loop", b'4'),
        entry("run/pipe", b'6'),
        file("old/dir/", ""),
    ])
    .unwrap();
    let tree = &rootfs.tree;
    assert_eq!(rootfs.entries, 9);
    assert_eq!(content(tree, "etc/motd"), b"hello");
    assert_eq!(tree.lookup("etc/motd"), tree.lookup("etc/issue"));
    let kind = |path: &str| tree.node(tree.lookup(path).unwrap()).kind();
    assert!(matches!(kind("bin"), Kind::Symlink(target) if &**target == b"usr/bin"));
    assert!(matches!(
        kind("dev/null"),
        Kind::Char(Device { major: 1, minor: 3 })
    ));
    assert!(matches!(
        kind("dev/loop"),
        Kind::Block(Device { major: 1, minor: 3 })
    ));
    assert!(matches!(kind("run/pipe"), Kind::Fifo));
    assert!(matches!(kind("old/dir"), Kind::Dir(_)));
    let meta = tree.node(tree.root()).meta;
    assert_eq!(
        (meta.mode(), meta.uid, meta.gid, meta.mtime.secs),
        (0o755, 1000, 1001, 15)
    );
    assert_eq!(
        tree.node(tree.lookup("dev").unwrap()).meta.uid,
        0,
        "no entry describes it"
    );
}

#[test]
fn the_last_of_two_entries_counts() {
    let Read(rootfs, _tar) = parsed(&[
        file("a", "one"),
        file("a", "two"),
        file("d/kept", "kept"),
        entry("d", b'5'),
        link("was-dir", b'5', ""),
        file("was-dir", "file"),
    ])
    .unwrap();
    assert_eq!(content(&rootfs.tree, "a"), b"two");
    assert_eq!(content(&rootfs.tree, "d/kept"), b"kept");
    assert_eq!(content(&rootfs.tree, "was-dir"), b"file");
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../a", "a/../../b", "/..", "a/.."] {
        let error = parsed(&[file(name, "")]).unwrap_err();
        assert!(
            matches!(error, TarError::Entry(TreeError::Upwards(_))),
            "{name}: {error}"
        );
    }
    let error = parsed(&[file("a", ""), link("b", b'1', "../a")]).unwrap_err();
    assert!(matches!(error, TarError::LinkTarget { .. }), "{error}");
}

#[test]
fn entries_below_a_link_are_refused() {
    let error = parsed(&[link("bin", b'2', "/usr/bin"), file("bin/sh", "")]).unwrap_err();
    assert!(
        matches!(&error, TarError::Entry(TreeError::NotADirectory(path)) if path == Path::new("bin")),
        "{error}"
    );
}

#[test]
fn hard_links_to_nothing_or_to_directories_are_refused() {
    let error = parsed(&[link("a", b'1', "later"), file("later", "")]).unwrap_err();
    assert!(matches!(error, TarError::LinkTarget { .. }), "{error}");
    let error = parsed(&[entry("d", b'5'), link("a", b'1', "d")]).unwrap_err();
    assert!(
        matches!(error, TarError::Entry(TreeError::LinkToDirectory(_))),
        "{error}"
    );
}

#[test]
fn kinds_that_are_not_supported_are_named() {
    for (kind, what) in [(b'S', "sparse"), (b'M', "multi-volume"), (b'Q', "unknown")] {
        let error = parsed(&[entry("odd", kind)]).unwrap_err();
        assert!(
            error.to_string().contains(what) && error.to_string().contains("odd"),
            "{error}"
        );
    }
    let sparse = Entry {
        content: b"22 GNU.sparse.major=1\n",
        ..entry("x", b'x')
    };
    let error = parsed(&[sparse, file("holes", "")]).unwrap_err();
    assert!(matches!(error, TarError::Unsupported { .. }), "{error}");
}

#[test]
fn extended_headers_rename_and_resize() {
    let long = "n".repeat(200);
    let path = format!("p/{long}");
    let records = format!("{} path={path}\n8 uid=9\n", path.len() + 10);
    let global = Entry {
        content: b"9 gid=77\n",
        ..entry("g", b'g')
    };
    let extended = Entry {
        content: records.as_bytes(),
        ..entry("x", b'x')
    };
    let gnu_name = format!("gnu/{long}\0");
    let gnu_target = format!("{long}/target\0");
    let Read(rootfs, _tar) = parsed(&[
        global,
        extended,
        file("short", "pax"),
        Entry {
            content: gnu_target.as_bytes(),
            ..entry("././@LongLink", b'K')
        },
        Entry {
            content: gnu_name.as_bytes(),
            ..entry("././@LongLink", b'L')
        },
        link("short", b'2', "t"),
        file("after", "plain"),
    ])
    .unwrap();
    let tree = &rootfs.tree;
    assert_eq!(content(tree, &path), b"pax");
    let meta = tree.node(tree.lookup(&path).unwrap()).meta;
    assert_eq!((meta.uid, meta.gid), (9, 77));
    let id = tree.lookup(format!("gnu/{long}")).unwrap();
    let Kind::Symlink(target) = tree.node(id).kind() else {
        panic!()
    };
    assert_eq!(&**target, format!("{long}/target").as_bytes());
    let after = tree.node(tree.lookup("after").unwrap()).meta;
    assert_eq!(
        (after.uid, after.gid),
        (1000, 77),
        "the global header lasts, the other does not"
    );
}

#[test]
fn an_extended_size_is_that_of_the_entry_alone() {
    let size = Entry {
        content: b"10 size=5\n",
        ..entry("x", b'x')
    };
    let name = Entry {
        content: b"named by GNU\0",
        ..entry("L", b'L')
    };
    // The header says 0 bytes where the extended one says 5.
    let mut bytes = [record(&size), record(&name), record(&file("short", ""))].concat();
    bytes.extend(b"hello");
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes.extend(tar(&[file("next", "plain")]));
    let Read(rootfs, _tar) = read_bytes(&bytes, &TarLimits::default()).unwrap();
    assert_eq!(content(&rootfs.tree, "named by GNU"), b"hello");
    assert_eq!(content(&rootfs.tree, "next"), b"plain");
}

#[test]
fn extended_headers_without_entry_or_end_are_refused() {
    let size = Entry {
        content: b"10 size=5\n",
        ..entry("x", b'x')
    };
    let error = parsed(&[file("a", ""), size]).unwrap_err();
    assert!(matches!(error, TarError::Truncated(_)), "{error}");
    let long = vec![b'n'; (1 << 20) + 1];
    for kind in [b'x', b'L'] {
        let long = Entry {
            content: &long,
            ..entry("long", kind)
        };
        let error = parsed(&[long, file("a", "")]).unwrap_err();
        assert!(
            error.to_string().contains("length of its extended header"),
            "{error}"
        );
    }
}

#[test]
fn cut_and_damaged_tars_are_told_apart() {
    let whole = tar(&[file("a", "content"), file("b", &"x".repeat(1000))]);
    let limits = TarLimits::default();
    for length in (512..whole.len() - 1023).step_by(256) {
        let error = read_bytes(&whole[..length], &limits).unwrap_err();
        assert!(matches!(error, TarError::Truncated(_)), "{length}: {error}");
    }
    let mut damaged = whole.clone();
    damaged[1024] ^= 1;
    let error = read_bytes(&damaged, &limits).unwrap_err();
    assert!(
        matches!(
            error,
            TarError::Damaged {
                offset: 1024,
                field: "checksum",
                ..
            }
        ),
        "{error}"
    );
    let mut number = whole;
    put(&mut number[1024..], 124, b"wrong");
    seal(&mut number[1024..]);
    let error = read_bytes(&number, &limits).unwrap_err();
    assert!(
        matches!(
            error,
            TarError::Damaged {
                offset: 1024,
                field: "size",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_is_no_tar_is_said_to_be_none() {
    let limits = TarLimits::default();
    for bytes in [&b""[..], b"short", &[b'x'; 2000], &[0; 2048]] {
        let error = read_bytes(bytes, &limits).unwrap_err();
        assert!(matches!(error, TarError::NotATar(_)), "{error}");
    }
    let error = read_bytes(&[&b"\x1f\x8b\x08"[..], &[7; 600]].concat(), &limits).unwrap_err();
    assert!(
        matches!(error, TarError::Compressed { tool: "gzip", .. }),
        "{error}"
    );
    assert!(
        read(Path::new("/missing.tar"), &limits)
            .unwrap_err()
            .to_string()
            .contains("/missing")
    );
}

#[test]
fn limits_hold() {
    let limits = TarLimits {
        max_entries: 3,
        max_bytes: 10,
    };
    let many = tar(&[file("a", ""), file("b", ""), file("c", ""), file("d", "")]);
    assert!(matches!(
        read_bytes(&many, &limits),
        Err(TarError::TooMany(3))
    ));
    let deep = tar(&[file("a/b/c/d", "")]);
    assert!(matches!(
        read_bytes(&deep, &limits),
        Err(TarError::TooMany(3))
    ));
    let global = || Entry {
        content: b"9 gid=77\n",
        ..entry("g", b'g')
    };
    let headers = tar(&[global(), global(), global(), file("a", "")]);
    assert!(matches!(
        read_bytes(&headers, &limits),
        Err(TarError::TooMany(3))
    ));
    let large = tar(&[file("a", "12345"), file("b", "678901")]);
    let error = read_bytes(&large, &limits).unwrap_err();
    assert!(
        matches!(&error, TarError::TooLarge { name, .. } if name == Path::new("b")),
        "{error}"
    );
    let mut header = record(&entry("x", b'x'));
    put(&mut header, 124, b"77777777777\0");
    seal(&mut header);
    let error = read_bytes(&header, &TarLimits::default()).unwrap_err();
    assert!(matches!(error, TarError::Truncated(_)), "{error}");
}

/// What GNU tar packs in each of its formats comes out as it went in.
#[test]
fn gnu_tar_in_every_format() {
    let dir = TempDir::new().unwrap();
    let source = dir.path().join("src");
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    fs::create_dir_all(source.join(&long).parent().unwrap()).unwrap();
    fs::write(source.join(&long), "long").unwrap();
    fs::write(source.join("plain"), vec![7; 100_000]).unwrap();
    fs::hard_link(source.join("plain"), source.join("zlink")).unwrap();
    std::os::unix::fs::symlink("plain", source.join("symlink")).unwrap();
    for format in ["gnu", "pax", "ustar", "v7"] {
        let path = dir.path().join(format);
        let mut command = Command::new("tar");
        command
            .arg(format!("--format={format}"))
            .arg("-cf")
            .arg(&path)
            .arg("-C")
            .arg(&source);
        if format == "v7" {
            command.args(["plain", "zlink", "symlink"]);
        } else {
            command.arg(".");
        }
        let Ok(output) = command.output() else {
            eprintln!("tar is not installed: reading its formats is not checked");
            return;
        };
        assert!(output.status.success(), "{format}: {output:?}");
        let rootfs = read(&path, &TarLimits::default()).unwrap();
        let image = dir.path().join("image");
        erofs::write(&rootfs.tree, &WriteOptions::default(), &image).unwrap();
        let bytes = fs::read(&image).unwrap();
        let all = Image::open(&bytes).walk();
        assert!(all[&b"plain"[..]].data == [7; 100_000], "{format}");
        assert_eq!(all[&b"plain"[..]].nid, all[&b"zlink"[..]].nid, "{format}");
        assert_eq!(all[&b"symlink"[..]].data, b"plain", "{format}");
        if format != "v7" {
            assert_eq!(all[long.as_bytes()].data, b"long", "{format}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever is done to a tar, reading it ends with a tree or an error.
    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((0_usize..6144, any::<u8>(), any::<bool>()), 0..8),
    ) {
        let content = "12 path=a/b\n".repeat(20);
        let extended = Entry { content: content.as_bytes(), ..entry("x", b'x') };
        let mut bytes = tar(&[
            extended,
            file("f", &content),
            Entry { content: b"long/name\0", ..entry("L", b'L') },
            link("l", b'1', "a/b"),
            entry("dev", b'3'),
        ]);
        for (at, byte, reseal) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
            if reseal {
                seal(&mut bytes[at / 512 * 512..][..512]);
            }
        }
        let _ = read_bytes(&bytes, &TarLimits::default());
    }
}
