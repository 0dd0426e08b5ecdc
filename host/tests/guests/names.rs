// SPDX-License-Identifier: Apache-2.0
//! Names that are not what they say: paths of mounts that are nobody's, folders that got another
//! name before they are emptied.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use super::gated::{events, has, run};
use super::harness::Home;

/// A workspace with a repository and a source in it.
fn workspace(home: &Home) -> PathBuf {
    let folder = super::gated::workspace(home);
    fs::create_dir_all(folder.join(".git/refs")).unwrap();
    fs::create_dir_all(folder.join(".git/objects")).unwrap();
    fs::write(folder.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/main.c"), "int main;\n").unwrap();
    folder
}

/// What would make a tree of mounts in which paths are others, and what would write a file of
/// which nobody is asked.
const NAMESPACES: &str = r#"
import ctypes, errno, os, resource
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, *call):
    result = libc.syscall(*call)
    if result == 0 and name.startswith("clone"): os._exit(0)
    print(name, errno.errorcode[ctypes.get_errno()] if result < 0 else "done")
NEWNS, NEWUSER = 0x20000, 0x10000000
tried("unshare user", 272, NEWUSER)
tried("unshare mounts", 272, NEWNS)
tried("unshare both", 272, NEWNS | NEWUSER)
tried("clone", 56, NEWUSER | 17, 0, 0, 0, 0)
tried("clone3", 435, 0, 0)
tried("setns", 308, os.open("/proc/self/ns/mnt", os.O_RDONLY), 0)
tried("process_vm_writev", 311, os.getpid(), 0, 0, 0, 0, 0)
print("core", resource.getrlimit(resource.RLIMIT_CORE))
"#;

#[test]
fn a_task_makes_no_mounts_and_no_users_of_its_own() {
    let Some(home) = Home::judged() else { return };
    let wanted = "unshare user EPERM\nunshare mounts EPERM\nunshare both EPERM\nclone EPERM\n\
                  clone3 ENOSYS\nsetns EPERM\nprocess_vm_writev EPERM\ncore (0, 0)\n";
    for user in ["agent", "root"] {
        let script = format!("python3 - <<'END'\n{NAMESPACES}\nEND\n");
        let options = ["--on-ask", "deny", "--user", user];
        let done = run(&home, &super::gated::workspace(&home), &options, &script);
        assert_eq!(done.stdout, wanted, "{user}: {done:?}");
    }
    home.assert_nothing_left();
}

/// By the call itself, where no command says what is moved.
const MOVES: &str = r#"
import os
for was, now in (".git", "build"), ("src", "s2"):
    try: os.rename(was, now); print(was, "is", now)
    except OSError as error: print(was, error.strerror)
print(sorted(os.listdir(".")))
"#;

#[test]
fn a_folder_that_gets_another_name_is_judged_by_the_one_it_had() {
    let Some(home) = Home::judged() else { return };
    let script = format!("python3 - <<'END'\n{MOVES}\nEND\nrm -rf build; cat .git/HEAD");
    let done = run(&home, &workspace(&home), &["--on-ask", "deny"], &script);
    let wanted = ".git Permission denied\nsrc is s2\n['.git', 'kept.txt', 's2']\n\
                  ref: refs/heads/main\n";
    assert_eq!(done.stdout, wanted, "{done:?}");
    let intents = events(&home, "intent");
    for (from, to) in [(".git", "build"), ("src", "s2")] {
        let words = [
            "mv",
            "--",
            &format!("/workspace/{from}"),
            &format!("/workspace/{to}"),
        ];
        let moved = json!({ "action": { "exec": words } });
        assert!(
            intents.iter().any(|intent| has(intent, &moved)),
            "{from}: {intents:#?}"
        );
    }
    home.assert_nothing_left();
}
