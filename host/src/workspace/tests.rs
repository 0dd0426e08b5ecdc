// SPDX-License-Identifier: Apache-2.0
//! Real folders, with repositories that the real git made.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use policy::blast::{Blast, Limits, Meter, Workspace, measure};
use policy::effects::{Analysis, Effect, Harm, Kind, Target};
use tempfile::TempDir;

use super::*;

/// Long enough for a debug build on a busy machine.
const LONG: Duration = Duration::from_secs(60);

fn git(dir: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"] {
        command.env(name, "/dev/null");
    }
    command.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]);
    command
        .args(["-c", "init.defaultBranch=main", "-C"])
        .arg(dir)
        .args(args);
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {said}");
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A file that changes in the tick in which git writes its index looks changed: wait it out.
fn settle() {
    std::thread::sleep(Duration::from_millis(30));
}

fn repository(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q"]);
    for name in files {
        write(dir.path(), name, name);
    }
    commit(dir.path());
    dir
}

fn commit(dir: &Path) {
    settle();
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-qm", "x", "--allow-empty"]);
}

fn options(machine: Machine, dir: &Path) -> Options {
    let setting = match machine {
        Machine::Guest => Setting::default(),
        Machine::Host => Setting {
            workspace: dir.to_str().unwrap().to_owned(),
            home: dir.join("home").to_str().unwrap().to_owned(),
        },
    };
    Options {
        setting,
        machine,
        changes: Vec::new(),
        time: LONG,
    }
}

fn guest(dir: &Path) -> Folder {
    Folder::open(dir, options(Machine::Guest, dir)).unwrap()
}

fn delete(folder: &Folder, path: &str) -> Blast {
    let workspace = folder.setting().workspace.clone();
    let place = folder.setting().place(path, Some(&workspace));
    let target = Target::Path(path.to_owned(), place);
    let effect = Effect::new(
        Kind::Delete,
        Harm::High,
        target,
        "test:delete",
        "it deletes",
    );
    let analysis = Analysis {
        effects: vec![effect],
        ..Analysis::default()
    };
    measure(&analysis, None, folder)
}

/// Files by recovery: committed and pushed, only here, modified, only copy, regenerable, unknown.
fn counts(blast: &Blast) -> [u64; 6] {
    use Recovery::{Committed, CommittedHere, Modified, OnlyCopy, Regenerable, Unknown};
    let all = [
        Committed,
        CommittedHere,
        Modified,
        OnlyCopy,
        Regenerable,
        Unknown,
    ];
    all.map(|recovery| blast.deletes.of(recovery).files)
}

#[test]
fn files_are_counted_by_what_git_has_of_them() {
    let dir = repository(&["src/a", "src/b", "src/deep/c", ".gitignore", "bin/tool"]);
    let at = dir.path();
    write(at, ".gitignore", "/build\n*.db\n/.env\n");
    commit(at);
    write(at, "src/b", "changed");
    write(at, "src/new", "new");
    write(at, "build/out", "made");
    write(at, "bin/script", "by hand, not ignored");
    write(at, "local.db", "ignored, and the only copy");
    write(at, ".env", "KEY=1");
    write(at, "node_modules/x/index.js", "made");
    let blast = delete(&guest(at), ".");
    assert_eq!(counts(&blast), [0, 4, 1, 4, 2, 0], "{blast:?}");
    assert!(blast.whole_workspace && blast.history && !blast.partial);
    assert!(blast.credentials.contains(".env"));
    assert!(blast.contained_by_review);
    assert_eq!(counts(&delete(&guest(at), "src/deep")), [0, 1, 0, 0, 0, 0]);
    assert_eq!(counts(&delete(&guest(at), "*.db")), [0, 0, 0, 1, 0, 0]);
}

#[test]
fn what_is_staged_only_is_in_no_commit() {
    let dir = repository(&["a", "b"]);
    write(dir.path(), "a", "staged");
    write(dir.path(), "c", "staged");
    settle();
    git(dir.path(), &["add", "-A"]);
    assert_eq!(
        counts(&delete(&guest(dir.path()), "/workspace")),
        [0, 1, 1, 1, 0, 0]
    );
}

#[test]
fn nothing_is_committed_before_the_first_commit_or_without_git() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", "a");
    write(dir.path(), "target/x", "x");
    assert_eq!(counts(&delete(&guest(dir.path()), ".")), [0, 0, 0, 1, 1, 0]);
    git(dir.path(), &["init", "-q"]);
    settle();
    git(dir.path(), &["add", "a"]);
    let blast = delete(&guest(dir.path()), ".");
    assert_eq!(counts(&blast), [0, 0, 0, 2, 0, 0], "target is not ignored");
}

#[test]
fn what_a_remote_has_is_pushed_and_the_rest_is_only_here() {
    let remote = tempfile::tempdir().unwrap();
    git(remote.path(), &["init", "-q", "--bare"]);
    let dir = repository(&["a", "d/b", "d/c", "e/f"]);
    let at = dir.path();
    git(
        at,
        &["remote", "add", "origin", remote.path().to_str().unwrap()],
    );
    git(at, &["push", "-q", "origin", "main"]);
    assert_eq!(counts(&delete(&guest(at), ".")), [4, 0, 0, 0, 0, 0]);
    write(at, "d/c", "again");
    write(at, "g", "new");
    commit(at);
    let wanted = [3, 2, 0, 0, 0, 0];
    assert_eq!(counts(&delete(&guest(at), ".")), wanted);
    // The same out of packs, with differences, packed references and the other index format.
    git(at, &["gc", "-q", "--aggressive"]);
    git(at, &["pack-refs", "--all"]);
    git(at, &["update-index", "--index-version", "4"]);
    assert!(!at.join(".git/refs/heads/main").exists());
    assert_eq!(counts(&delete(&guest(at), ".")), wanted);
    // And where the index has no trees at hand.
    git(at, &["read-tree", "--empty"]);
    git(at, &["add", "-A"]);
    assert_eq!(counts(&delete(&guest(at), ".")), wanted);
}

#[test]
fn trees_in_chains_of_differences_are_read() {
    let names: Vec<String> = (0..200).map(|n| format!("many/file-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let dir = repository(&names);
    let at = dir.path();
    for n in 0..30 {
        write(at, &format!("many/file-{n}"), "changed");
        git(at, &["add", "-A"]);
        git(at, &["commit", "-qm", "x"]);
    }
    git(at, &["gc", "-q", "--aggressive"]);
    settle();
    git(at, &["read-tree", "--empty"]);
    git(at, &["add", "-A"]);
    assert_eq!(counts(&delete(&guest(at), "many")), [0, 200, 0, 0, 0, 0]);
}

#[test]
fn a_further_work_tree_and_a_folder_within_one_find_their_repository() {
    let dir = repository(&["a", "sub/b", "sub/c"]);
    let trees = tempfile::tempdir().unwrap();
    let second = trees.path().join("second");
    git(
        dir.path(),
        &["worktree", "add", "-q", second.to_str().unwrap()],
    );
    settle();
    git(&second, &["update-index", "--refresh"]);
    assert_eq!(counts(&delete(&guest(&second), "sub")), [0, 2, 0, 0, 0, 0]);
    write(dir.path(), "sub/d", "new");
    let sub = guest(&dir.path().join("sub"));
    assert_eq!(counts(&delete(&sub, "/workspace")), [0, 2, 0, 1, 0, 0]);
}

#[test]
fn a_git_file_that_names_a_foreign_repository_is_not_believed() {
    let foreign = repository(&["a"]);
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a", "a");
    let git_dir = foreign.path().join(".git");
    write(
        dir.path(),
        ".git",
        &format!("gitdir: {}\n", git_dir.display()),
    );
    assert_eq!(counts(&delete(&guest(dir.path()), "a")), [0, 0, 0, 0, 0, 1]);
}

#[test]
fn broken_repositories_leave_recovery_unknown() {
    for name in ["index", "HEAD"] {
        let dir = repository(&["a"]);
        write(dir.path(), &format!(".git/{name}"), "DIRC nonsense");
        assert_eq!(
            counts(&delete(&guest(dir.path()), "a")),
            [0, 0, 0, 0, 0, 1],
            "{name}"
        );
    }
    let dir = repository(&["a"]);
    fs::remove_dir_all(dir.path().join(".git/objects")).unwrap();
    assert_eq!(counts(&delete(&guest(dir.path()), "a")), [0, 0, 0, 0, 0, 1]);
}

#[test]
fn programs_that_a_repository_names_are_not_run() {
    let dir = repository(&["a", "b"]);
    let at = dir.path();
    let ran = at.join("ran");
    let program = at.join("program");
    fs::write(
        &program,
        format!("#!/bin/sh\ntouch '{}'\ncat\n", ran.display()),
    )
    .unwrap();
    let mut mode = fs::metadata(&program).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o755);
    fs::set_permissions(&program, mode).unwrap();
    let config = format!(
        "[core]\n\tfsmonitor = {0}\n\thooksPath = {1}\n[filter \"x\"]\n\tclean = {0}\n\tsmudge = {0}\n\
         [diff]\n\texternal = {0}\n[extensions]\n\tpartialClone = origin\n[remote \"origin\"]\n\turl = ext::{0}\n",
        program.display(),
        at.display()
    );
    let kept = fs::read_to_string(at.join(".git/config")).unwrap();
    fs::write(at.join(".git/config"), kept + &config).unwrap();
    write(at, ".git/info/attributes", "* filter=x diff=x\n");
    let _ = fs::copy(&program, at.join("post-index-change"));
    write(at, "a", "changed");
    let blast = delete(&guest(at), ".");
    assert_eq!(counts(&blast)[1..3], [1, 1]);
    assert!(!ran.exists());
    // The same repository has git run it, so the marker would have been there.
    git(at, &["status"]);
    assert!(ran.exists());
}

#[test]
fn a_link_out_of_the_workspace_is_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "x", "x");
    let dir = repository(&["a"]);
    std::os::unix::fs::symlink(outside.path(), dir.path().join("out")).unwrap();
    let folder = guest(dir.path());
    assert_eq!(folder.look("/workspace/out/x"), Look::Away);
    assert_eq!(counts(&delete(&folder, "out/*")), [0; 6]);
    let blast = delete(&guest(dir.path()), ".");
    assert_eq!(counts(&blast), [0, 1, 0, 1, 0, 0], "the link itself");
    // A folder that becomes a link meanwhile.
    fs::create_dir(dir.path().join("d")).unwrap();
    let mut walk = folder.walk("/workspace/d");
    fs::remove_dir(dir.path().join("d")).unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("d")).unwrap();
    assert_eq!(walk.next(), Some(Step::Unseen));
    assert_eq!(walk.next(), None);
}

#[test]
fn a_guests_paths_outside_the_workspace_are_not_looked_up_here() {
    let dir = repository(&["a"]);
    let blast = delete(&guest(dir.path()), "/etc/passwd");
    assert_eq!(counts(&blast), [0, 0, 0, 0, 0, 1]);
    assert!(blast.contained_by_review);
    let folder = Folder::open(dir.path(), options(Machine::Host, dir.path())).unwrap();
    let blast = delete(&folder, "/etc/passwd");
    assert_eq!(blast.deletes.from(Source::Host).files, 1);
    assert!(!blast.contained_by_review);
}

#[test]
fn a_walk_from_outside_counts_the_workspace_by_its_repository() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("w");
    write(&at, "a", "a");
    git(&at, &["init", "-q"]);
    commit(&at);
    let folder = Folder::open(&at, options(Machine::Host, &at)).unwrap();
    let blast = delete(&folder, dir.path().to_str().unwrap());
    assert_eq!(counts(&blast)[1], 1);
    assert!(blast.whole_workspace && blast.history);
}

#[test]
fn what_the_guest_says_it_changed_is_added() {
    let dir = repository(&["src/a"]);
    let change = |path: &str, kind| Change {
        path: path.to_owned(),
        kind,
        bytes: 7,
    };
    let mut options = options(Machine::Guest, dir.path());
    options.changes = vec![
        change("src/a", ChangeKind::Deleted),
        change("src/made", ChangeKind::Written),
        change("new/deep/x", ChangeKind::Written),
        change("../../etc/passwd", ChangeKind::Written),
    ];
    let open = || Folder::open(dir.path(), options.clone()).unwrap();
    let blast = delete(&open(), "src");
    assert_eq!(counts(&blast), [0, 1, 0, 1, 0, 0]);
    assert_eq!(blast.deletes.from(Source::Guest).files, 1);
    assert!(
        blast.partial,
        "one of the changes was no path of the workspace"
    );
    assert_eq!(delete(&open(), "new").deletes.total().files, 1);
    assert_eq!(delete(&open(), "*/deep/*").deletes.total().files, 1);
}

#[test]
fn names_that_are_no_text_are_shown_escaped() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"d/\xff");
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join(name), "x").unwrap();
    assert_eq!(delete(&guest(dir.path()), "d").only_copies, ["d/\\xff"]);
}

#[test]
fn credentials_are_found_by_name() {
    let dir = repository(&["a", ".env", "home/.ssh/id_ed25519"]);
    let folder = Folder::open(dir.path(), options(Machine::Host, dir.path())).unwrap();
    assert_eq!(folder.credentials(), [".env", "~/.ssh"]);
    assert_eq!(guest(dir.path()).credentials(), [".env"]);
}

fn many(files: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..files {
        let folder = dir.path().join(format!("src/{}", n / 50));
        if n % 50 == 0 {
            fs::create_dir_all(&folder).unwrap();
        }
        fs::write(folder.join(format!("file-{n}.txt")), "x").unwrap();
    }
    dir
}

#[test]
fn twenty_thousand_files_stop_at_the_budget_as_partial() {
    let dir = many(20_000);
    let blast = delete(&guest(dir.path()), "src");
    let files = blast.deletes.total().files;
    assert!(blast.partial && files < 20_000 && files > 10_000, "{files}");
    assert!(blast.summary()[0].starts_with("deletes at least 1"));
}

#[test]
fn a_clock_that_has_run_out_stops_everything_as_partial() {
    let dir = repository(&["src/a"]);
    let mut options = options(Machine::Guest, dir.path());
    options.time = Duration::ZERO;
    let folder = Folder::open(dir.path(), options).unwrap();
    assert!(
        matches!(folder.look("/workspace/src/a"), Look::Found(entry) if entry.recovery == Recovery::Unknown)
    );
    let mut meter = Meter::new(&folder, Limits { entries: 64 });
    let target = Target::Path(
        "src".into(),
        folder.setting().place("src", Some("/workspace")),
    );
    let analysis = Analysis {
        effects: vec![Effect::new(Kind::Delete, Harm::High, target, "x", "x")],
        ..Analysis::default()
    };
    meter.add(&analysis, None);
    assert!(meter.finish().partial);
}

/// This thread's time on the processor, which others on the machine do not lengthen.
fn processor() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap()
}

/// `cargo test -p host workspace -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn ten_thousand_files_are_counted_in_time() {
    let dir = many(10_000);
    git(dir.path(), &["init", "-q"]);
    time(dir.path(), "src", Recovery::OnlyCopy, "in no commit");
    commit(dir.path());
    git(dir.path(), &["gc", "-q"]);
    time(dir.path(), "src", Recovery::CommittedHere, "committed");
    git(dir.path(), &["read-tree", "--empty"]);
    git(dir.path(), &["add", "-A"]);
    time(
        dir.path(),
        "src",
        Recovery::CommittedHere,
        "no trees in the index",
    );
    fs::rename(dir.path().join("src"), dir.path().join("build")).unwrap();
    write(dir.path(), ".gitignore", "build\n");
    time(dir.path(), "build", Recovery::Regenerable, "ignored");
}

fn time(dir: &Path, name: &str, recovery: Recovery, what: &str) {
    for _ in 0..3 {
        let (start, cpu) = (Instant::now(), processor());
        let folder = guest(dir);
        let blast = delete(&folder, name);
        let (total, cpu) = (start.elapsed(), processor() - cpu);
        let start = processor();
        let _ = Git::read(dir, &Clock::new(LONG));
        let git = processor() - start;
        assert_eq!(blast.deletes.of(recovery).files, 10_000);
        println!("{what}: {total:?}, of the processor {cpu:?}, git's part {git:?}");
    }
}
