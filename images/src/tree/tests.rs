// SPDX-License-Identifier: Apache-2.0
//! The tree's own rules.

use super::*;

fn tree() -> Tree {
    Tree::new(Meta::new(0o755))
}

fn file(bytes: &'static [u8]) -> Node {
    Node::file(Meta::new(0o644), Content::bytes(bytes))
}

#[test]
fn insert_makes_what_is_above_and_normalises_names() {
    let mut tree = tree();
    let id = tree.insert("//a/./b//c", file(b"x")).unwrap();
    assert_eq!(tree.lookup("/a/b/c"), Some(id));
    assert_eq!(tree.lookup("a/b/c/"), Some(id));
    assert_eq!(tree.lookup("a/b/c/d"), None);
    assert_eq!(tree.node(tree.lookup("a/b").unwrap()).meta.mode(), 0o755);
}

#[test]
fn directory_over_directory_keeps_its_names_and_anything_else_replaces() {
    let mut tree = tree();
    tree.insert("d/kept", file(b"")).unwrap();
    tree.insert("d", Node::dir(Meta::new(0o700))).unwrap();
    assert!(tree.lookup("d/kept").is_some());
    assert_eq!(tree.node(tree.lookup("d").unwrap()).meta.mode(), 0o700);
    tree.insert("d", file(b"")).unwrap();
    assert!(tree.lookup("d/kept").is_none());
    tree.insert("", Node::dir(Meta::new(0o711))).unwrap();
    assert_eq!(tree.node(tree.root()).meta.mode(), 0o711);
    assert!(tree.lookup("d").is_some());
}

#[test]
fn mkdir_p_leaves_what_exists() {
    let mut tree = tree();
    tree.insert("d", Node::dir(Meta::new(0o700))).unwrap();
    tree.mkdir_p("d/e", Meta::new(0o755).owned(5, 6)).unwrap();
    assert_eq!(tree.node(tree.lookup("d").unwrap()).meta.mode(), 0o700);
    assert_eq!(tree.node(tree.lookup("d/e").unwrap()).meta.gid, 6);
    tree.insert("f", file(b"")).unwrap();
    let error = tree.mkdir_p("f/g", Meta::new(0o755)).unwrap_err();
    assert!(
        matches!(&error, TreeError::NotADirectory(path) if path == Path::new("f")),
        "{error}"
    );
}

#[test]
fn bad_names_and_targets_are_refused_by_path() {
    let mut tree = tree();
    let long = "n".repeat(256);
    for path in ["a\0b", long.as_str()] {
        let error = tree.insert(format!("d/{path}"), file(b"")).unwrap_err();
        assert!(matches!(error, TreeError::BadName(_)), "{error}");
    }
    assert!(matches!(
        tree.insert("a/../b", file(b"")),
        Err(TreeError::Upwards(_))
    ));
    for target in [vec![], vec![b'x'; 4096], b"a\0".to_vec()] {
        let link = Node::symlink(Meta::new(0o777), &target);
        let error = tree.insert("d/l", link).unwrap_err();
        assert!(
            matches!(&error, TreeError::BadTarget(path) if path == Path::new("d/l")),
            "{error}"
        );
    }
    for name in [&b""[..], b".", b"..", b"a/b"] {
        assert!(tree.put(tree.root(), name, file(b"")).is_err());
    }
    assert!(matches!(tree.insert("/", file(b"")), Err(TreeError::Root)));
    assert!(matches!(tree.remove("/"), Err(TreeError::Root)));
}

#[test]
fn links_share_a_node_and_removal_takes_one_name() {
    let mut tree = tree();
    let id = tree.insert("a", file(b"x")).unwrap();
    tree.link(id, "d/b").unwrap();
    assert_eq!(tree.lookup("d/b"), Some(id));
    assert!(tree.remove("a").unwrap());
    assert!(!tree.remove("a").unwrap());
    assert_eq!(tree.lookup("d/b"), Some(id));
    let dir = tree.lookup("d").unwrap();
    assert!(matches!(
        tree.link(dir, "e"),
        Err(TreeError::LinkToDirectory(_))
    ));
}

#[test]
fn times_are_clamped_and_owners_set() {
    let mut tree = tree();
    for (name, secs) in [("old", 5), ("new", 50)] {
        let meta = Meta::new(0o644).at(Time::seconds(secs));
        tree.insert(name, Node::file(meta, Content::bytes(&b""[..])))
            .unwrap();
    }
    tree.clamp_mtimes(Time::seconds(10));
    tree.set_owner(7, 8);
    let meta = |name: &str| tree.node(tree.lookup(name).unwrap()).meta;
    assert_eq!((meta("old").mtime.secs, meta("new").mtime.secs), (5, 10));
    assert_eq!((meta("new").uid, meta("new").gid), (7, 8));
}

#[test]
fn a_content_that_changes_while_it_is_read_is_told_at_the_end() {
    let dir = tempfile::TempDir::new().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "before").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let content = Content::file(&path).unwrap();
    let opened = content.open().unwrap();
    let mut bytes = [0; 6];
    opened.read(&mut bytes, 0).unwrap();
    opened.finish().unwrap();
    std::fs::write(&path, "middle").unwrap();
    let error = opened.finish().unwrap_err();
    assert!(
        matches!(&error, ContentError::Changed(changed) if *changed == path),
        "{error}"
    );
    std::fs::write(&path, "cut").unwrap();
    let error = opened.read(&mut bytes, 0).unwrap_err();
    assert!(matches!(error, ContentError::Changed(_)), "{error}");
}

#[test]
fn nothing_opened_below_a_folder_is_reached_by_a_link_or_upwards() {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(dir.path().join("top/real")).unwrap();
    std::fs::write(dir.path().join("top/real/f"), "").unwrap();
    std::fs::write(dir.path().join("outside"), "").unwrap();
    std::os::unix::fs::symlink("real", dir.path().join("top/link")).unwrap();
    let top = std::fs::File::open(dir.path().join("top")).unwrap();
    let folder = HostFolder {
        top: top.into(),
        path: dir.path().join("top"),
    };
    let open = |path: &[u8]| folder.open(path, rustix::fs::OFlags::empty()).map(|_| ());
    assert_eq!(open(b""), Ok(()));
    assert_eq!(open(b"real/f"), Ok(()));
    assert_eq!(open(b"link/f"), Err(rustix::io::Errno::LOOP));
    assert_eq!(open(b"link"), Err(rustix::io::Errno::LOOP));
    assert_eq!(open(b"../outside"), Err(rustix::io::Errno::XDEV));
}

#[test]
fn set_id_bits_are_kept_and_type_bits_are_not() {
    assert_eq!(Meta::new(0o104_755).mode(), 0o4755);
}
