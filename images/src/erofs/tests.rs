// SPDX-License-Identifier: Apache-2.0
//! Trees are written and read back by the independent reader, and where it is installed checked
//! by `fsck.erofs`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::reader::{Found, Image};
use super::*;
use crate::tree::{Archive, Device, Meta, Node};

fn written(tree: &Tree, options: &WriteOptions) -> Vec<u8> {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("image");
    let result = write(tree, options, &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(result.bytes, bytes.len() as u64);
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        1,
        "no temporary file stays"
    );
    fsck(&path);
    bytes
}

/// A second opinion; said, not silent, where there is none.
fn fsck(path: &Path) {
    match Command::new("fsck.erofs").arg(path).output() {
        Ok(output) => assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(_) => eprintln!("fsck.erofs is not installed: its check of the image is skipped"),
    }
}

fn read(tree: &Tree) -> BTreeMap<Vec<u8>, Found> {
    Image::open(&written(tree, &quick())).walk()
}

fn quick() -> WriteOptions {
    WriteOptions {
        durable: false,
        ..WriteOptions::default()
    }
}

fn file(content: &[u8]) -> Node {
    Node::file(Meta::new(0o644), Content::bytes(content))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect()
}

#[test]
fn empty_tree_is_one_directory() {
    let all = read(&Tree::new(Meta::new(0o755)));
    assert_eq!(all.len(), 1);
    let root = &all[&b""[..]];
    assert_eq!((root.mode, root.nlink, root.nid), (0o040_755, 2, 36));
}

#[test]
fn every_kind_keeps_its_metadata() {
    let mut tree = Tree::new(Meta::new(0o755));
    let meta = Meta::new(0o4751).owned(70_000, 65_536).at(Time {
        secs: -5,
        nanos: 999_999_999,
    });
    tree.insert("f", Node::file(meta, Content::bytes(&b"hello"[..])))
        .unwrap();
    tree.insert("l", Node::symlink(meta, b"../else where"))
        .unwrap();
    tree.insert("c", Node::char_device(meta, Device { major: 1, minor: 3 }))
        .unwrap();
    tree.insert(
        "b",
        Node::block_device(
            meta,
            Device {
                major: 259,
                minor: 70_000,
            },
        ),
    )
    .unwrap();
    tree.insert("p", Node::fifo(meta)).unwrap();
    tree.insert("d/e", Node::dir(meta)).unwrap();
    let all = read(&tree);
    for (name, kind) in [
        ("f", 0o10),
        ("l", 0o12),
        ("c", 0o2),
        ("b", 0o6),
        ("p", 0o1),
        ("d/e", 0o4),
    ] {
        let found = &all[name.as_bytes()];
        assert_eq!(found.mode, kind << 12 | 0o4751, "{name}");
        assert_eq!((found.uid, found.gid), (70_000, 65_536), "{name}");
        assert_eq!((found.secs, found.nanos), (-5, 999_999_999), "{name}");
    }
    assert_eq!(all[&b"f"[..]].data, b"hello");
    assert_eq!(all[&b"l"[..]].data, b"../else where");
    assert_eq!(all[&b"c"[..]].device, 0x103);
    assert_eq!(all[&b"b"[..]].device, 0x1111_0370);
}

#[test]
fn contents_around_the_block_size_come_back() {
    let mut tree = Tree::new(Meta::new(0o755));
    let sizes = [
        0, 1, 4031, 4032, 4033, 4063, 4064, 4065, 4095, 4096, 4097, 8191, 8192, 12_289,
    ];
    for size in sizes.into_iter().chain([600_000, 1 << 20]) {
        tree.insert(format!("{size}"), file(&pattern(size)))
            .unwrap();
    }
    for (path, found) in read(&tree).iter().filter(|(path, _)| !path.is_empty()) {
        let size: usize = std::str::from_utf8(path).unwrap().parse().unwrap();
        assert!(found.data == pattern(size), "content of {size} bytes");
    }
}

#[test]
fn hard_links_share_an_inode_and_count() {
    let mut tree = Tree::new(Meta::new(0o755));
    let id = tree.insert("a/one", file(b"same")).unwrap();
    tree.link(id, "b/two").unwrap();
    tree.link(id, "three").unwrap();
    let all = read(&tree);
    let one = &all[&b"a/one"[..]];
    assert_eq!(one.nlink, 3);
    assert_eq!(one, &all[&b"b/two"[..]]);
    assert_eq!(one, &all[&b"three"[..]]);
    assert_eq!(all[&b""[..]].nlink, 4);
}

#[test]
fn directories_over_many_blocks_are_found_by_bisection() {
    let mut tree = Tree::new(Meta::new(0o755));
    for index in 0..3000 {
        tree.insert(format!("dir/{index:0100}"), file(b"")).unwrap();
    }
    // Names that sort before '.', between '.' and '..', and behind.
    for name in ["dir/-", "dir/.-", "dir/...", "dir/\u{ff}", "dir/!"] {
        tree.insert(name, file(b"x")).unwrap();
    }
    let all = read(&tree);
    assert_eq!(all.len(), 2 + 3000 + 5);
    assert!(all[&b"dir"[..]].size > 300_000);
}

#[test]
fn long_link_targets_leave_the_inode() {
    let mut tree = Tree::new(Meta::new(0o755));
    let late = Meta::new(0o777).at(Time::seconds(1));
    for len in [1, 4032, 4033, 4095] {
        tree.insert(format!("{len}"), Node::symlink(late, &vec![b't'; len]))
            .unwrap();
    }
    let all = read(&tree);
    for (len, inline) in [(1, true), (4032, true), (4033, false), (4095, false)] {
        let found = &all[format!("{len}").as_bytes()];
        assert_eq!((found.data.len(), found.inline), (len, inline));
    }
}

#[test]
fn build_time_makes_compact_inodes_and_the_same_times() {
    let time = Time {
        secs: 1_700_000_000,
        nanos: 5,
    };
    let mut tree = Tree::new(Meta::new(0o755).at(time));
    for index in 0..200 {
        tree.insert(
            format!("{index}"),
            Node::file(Meta::new(0o644).at(time), Content::bytes(vec![])),
        )
        .unwrap();
    }
    let compact = written(
        &tree,
        &WriteOptions {
            build_time: time,
            ..quick()
        },
    );
    let extended = written(&tree, &quick());
    assert!(compact.len() < extended.len());
    for bytes in [&compact, &extended] {
        let all = Image::open(bytes).walk();
        assert!(
            all.values()
                .all(|found| (found.secs, found.nanos) == (time.secs, time.nanos))
        );
    }
    // A nanosecond makes a difference.
    let later = Meta::new(0o644).at(Time { nanos: 6, ..time });
    tree.insert("later", Node::file(later, Content::bytes(vec![])))
        .unwrap();
    let mixed = written(
        &tree,
        &WriteOptions {
            build_time: time,
            ..quick()
        },
    );
    assert_eq!(Image::open(&mixed).walk()[&b"later"[..]].nanos, 6);
}

#[test]
fn parts_and_files_are_streamed() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("source");
    let bytes = pattern(3_000_000);
    std::fs::write(&path, &bytes).unwrap();
    let archive = Arc::new(Archive::open(&path).unwrap());
    let mut tree = Tree::new(Meta::new(0o755));
    let mut add = |name: &str, content| tree.insert(name, Node::file(Meta::new(0o644), content));
    add("whole", Content::file(&path).unwrap()).unwrap();
    add("small", Content::part(&archive, 17, 100).unwrap()).unwrap();
    add("large", Content::part(&archive, 999, 2_000_001).unwrap()).unwrap();
    assert!(Content::part(&archive, 1, 3_000_000).is_none());
    let all = read(&tree);
    assert!(all[&b"whole"[..]].data == bytes);
    assert!(all[&b"small"[..]].data == bytes[17..117]);
    assert!(all[&b"large"[..]].data == bytes[999..2_001_000]);
}

#[test]
fn a_source_that_changed_gives_no_image() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("source");
    for changed in [&b"shorter"[..], b"longer than it was", b"as long, "] {
        std::fs::write(&path, b"measured ").unwrap();
        let mut tree = Tree::new(Meta::new(0o755));
        let content = Content::file(&path).unwrap();
        tree.insert("f", Node::file(Meta::new(0o644), content))
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(&path, changed).unwrap();
        let image = dir.path().join("image");
        let error = write(&tree, &quick(), &image).unwrap_err();
        assert!(matches!(&error, WriteError::Content(ContentError::Changed(p)) if *p == path));
        assert!(!image.exists());
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
    }
}

#[test]
fn too_large_names_what_overflowed() {
    let mut tree = Tree::new(Meta::new(0o755));
    tree.insert("a", file(&pattern(4096))).unwrap();
    tree.insert("dir/big", file(&pattern(40_960))).unwrap();
    tree.insert("z", file(&pattern(4096))).unwrap();
    let dir = TempDir::new().unwrap();
    let options = WriteOptions {
        max_bytes: 20_000,
        ..quick()
    };
    let error = write(&tree, &options, &dir.path().join("image")).unwrap_err();
    assert!(
        matches!(&error, WriteError::TooLarge { path, .. } if path == Path::new("/dir/big")),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn device_beyond_linux_is_refused_by_name() {
    let mut tree = Tree::new(Meta::new(0o755));
    let device = Device {
        major: 5000,
        minor: 0,
    };
    tree.insert("dev/odd", Node::char_device(Meta::new(0o600), device))
        .unwrap();
    let dir = TempDir::new().unwrap();
    let error = write(&tree, &quick(), &dir.path().join("image")).unwrap_err();
    assert!(matches!(&error, WriteError::Device(path) if path == Path::new("/dev/odd")));
}

#[test]
fn destination_that_cannot_be_written_is_named() {
    let tree = Tree::new(Meta::new(0o755));
    let error = write(&tree, &quick(), Path::new("/nowhere/at all/image")).unwrap_err();
    assert!(
        error.to_string().contains("/nowhere/at all/image"),
        "{error}"
    );
}

/// A file larger than 32-bit sizes: the layout only, nothing is written.
#[test]
fn sizes_beyond_4_gib_take_the_extended_form() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("sparse");
    let size = (5 << 30) + 1;
    File::create(&path).unwrap().set_len(size).unwrap();
    let mut tree = Tree::new(Meta::new(0o755));
    let content = Content::file(&path).unwrap();
    let id = tree
        .insert("f", Node::file(Meta::new(0o644), content))
        .unwrap();
    tree.insert("g", file(b"behind it")).unwrap();
    let plan = Plan::new(&tree, Time::default(), u64::MAX).unwrap();
    let place = plan.places.iter().find(|place| place.node == id).unwrap();
    assert_eq!((place.form, place.size), (spec::Form::Extended, size));
    assert_eq!(plan.blocks, (5 << 18) + 1);
}

fn arbitrary_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no name holds it", |byte| !matches!(byte, 0 | b'/'));
    let bytes = prop_oneof![
        4 => prop::collection::vec(byte.clone(), 1..4),
        1 => prop::collection::vec(byte, 200..=255),
    ];
    bytes.prop_filter("not a link upwards", |name| {
        !matches!(&name[..], b"." | b"..")
    })
}

#[derive(Debug, Clone)]
enum Step {
    Dir,
    File(usize),
    Symlink(usize),
    Char,
    Fifo,
    Link(usize),
    Remove,
}

fn arbitrary_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Dir),
        4 => (0_usize..20_000).prop_map(Step::File),
        2 => (4000_usize..4200).prop_map(Step::File),
        1 => (1_usize..4095).prop_map(Step::Symlink),
        1 => Just(Step::Char),
        1 => Just(Step::Fifo),
        1 => any::<usize>().prop_map(Step::Link),
        1 => Just(Step::Remove),
    ]
}

type Plot = Vec<(Vec<Vec<u8>>, Step, (u16, u32, i64))>;

fn arbitrary_plot() -> impl Strategy<Value = Plot> {
    let path = prop::collection::vec(arbitrary_name(), 1..4);
    let meta = (any::<u16>(), prop_oneof![0..70_000_u32], -3..3_i64);
    prop::collection::vec((path, arbitrary_step(), meta), 0..60)
}

/// Applies the steps that a tree accepts.
fn grown(plot: &Plot) -> Tree {
    let mut tree = Tree::new(Meta::new(0o755));
    let mut known = Vec::new();
    for (path, step, (mode, owner, secs)) in plot {
        let path = crate::tree::to_path(&path.join(&b'/'));
        let meta = Meta::new(*mode)
            .owned(*owner, *owner / 2)
            .at(Time::seconds(*secs));
        let node = match step {
            Step::Dir => Node::dir(meta),
            Step::File(len) => Node::file(meta, Content::bytes(pattern(*len))),
            Step::Symlink(len) => Node::symlink(meta, &vec![b'x'; *len]),
            Step::Char => Node::char_device(
                meta,
                Device {
                    major: 5,
                    minor: owner & 0xf_ffff,
                },
            ),
            Step::Fifo => Node::fifo(meta),
            Step::Link(which) => {
                if let Some(id) = known.get(which % known.len().max(1)) {
                    let _ = tree.link(*id, &path);
                }
                continue;
            }
            Step::Remove => {
                let _ = tree.remove(&path);
                continue;
            }
        };
        known.extend(tree.insert(&path, node).ok());
    }
    tree
}

/// Mode, owner, group, time, data by path.
type Facts = BTreeMap<Vec<u8>, (u16, u32, u32, i64, Vec<u8>)>;

/// What the reader should find, from the tree alone.
fn expected(tree: &Tree) -> Facts {
    let mut all = BTreeMap::new();
    let mut pending = vec![(Vec::new(), tree.root())];
    while let Some((path, id)) = pending.pop() {
        let node = tree.node(id);
        let (kind, data) = match node.kind() {
            Kind::Dir(entries) => {
                for (name, child) in entries.iter() {
                    let slash = if path.is_empty() { &b""[..] } else { b"/" };
                    pending.push(([&path, slash, name].concat(), child));
                }
                (0o4, Vec::new())
            }
            Kind::File(content) => (0o10, pattern(usize::try_from(content.len()).unwrap())),
            Kind::Symlink(target) => (0o12, target.to_vec()),
            Kind::Char(_) => (0o2, Vec::new()),
            Kind::Block(_) => (0o6, Vec::new()),
            Kind::Fifo => (0o1, Vec::new()),
        };
        let meta = node.meta;
        all.insert(
            path,
            (
                kind << 12 | meta.mode(),
                meta.uid,
                meta.gid,
                meta.mtime.secs,
                data,
            ),
        );
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_reads_back_and_is_written_the_same_twice(plot in arbitrary_plot()) {
        let tree = grown(&plot);
        let image = written(&tree, &quick());
        let found: Facts = Image::open(&image)
            .walk()
            .into_iter()
            .map(|(path, f)| (path, (f.mode, f.uid, f.gid, f.secs, f.data)))
            .collect();
        prop_assert_eq!(found, expected(&tree));
        prop_assert_eq!(image, written(&grown(&plot), &quick()));
    }
}
