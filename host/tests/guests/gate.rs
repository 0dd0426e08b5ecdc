// SPDX-License-Identifier: Apache-2.0
//! What a task does is seen, asked about and answered.

use serde_json::Value;

use super::gated::{asked, decide, end, events, run, start, waiting, workspace};
use super::harness::{Home, PATIENCE, eventually};

/// An agent that declares nothing is gated all the same: it waits, a person says yes, it goes on.
#[test]
fn what_people_approve_happens_and_what_they_refuse_does_not() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = "git push --force; echo ended $?";
    let task = start(&home, &workspace, script);
    let id = asked(&home);
    decide(&home, "deny", &id);
    let done = end(task);
    assert!(done.stderr.contains("Permission denied"), "{done:?}");
    assert!(done.stdout.contains("ended 126"), "{done:?}");
    assert!(done.stderr.contains("waits for a person"), "{done:?}");

    let task = start(&home, &workspace, script);
    let id = asked(&home);
    decide(&home, "approve", &id);
    let done = end(task);
    // It ran, and found no repository.
    assert!(done.stdout.contains("ended 128"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn ordinary_work_is_not_asked_about() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = "ls -la && cat kept.txt | wc -l && cp kept.txt new.txt && mv new.txt other.txt \
                  && mkdir -p d/e && echo x > d/e/f && rm -r d && rm other.txt && git init -q . \
                  && git add kept.txt && git -c user.name=a -c user.email=a@b commit -qm first \
                  && git log --oneline | wc -l && python3 -c 'print(6*7)'";
    let done = run(&home, &workspace, &["--on-ask", "deny"], script);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.ends_with("1\n42\n"), "{done:?}");
    assert!(waiting(&home).is_empty());
    let asked = events(&home, "asked");
    assert!(asked.is_empty(), "{asked:?}");
}

/// What was let pass and could not be started leaves the process what it was, free to start
/// something else.
#[test]
fn a_start_that_the_kernel_refuses_is_forgotten() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = r#"mkdir /tmp/b; echo x > /tmp/b/true; PATH=/tmp/b:$PATH env true; echo $?
cat > /tmp/long.py <<'END'
import os
try: os.execve("/usr/bin/python3", ["python3", "-c", "pass"], {"LONG": "x" * 140000})
except OSError as error: print(error.strerror, flush=True)
os.execv("/usr/bin/true", ["true"])
END
python3 /tmp/long.py; echo $?"#;
    let done = run(&home, &workspace, &["--on-ask", "deny"], script);
    assert_eq!(done.stdout, "0\nArgument list too long\n0\n", "{done:?}");
}

#[test]
fn what_is_refused_because_nobody_is_asked_is_named() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = "git push --force; echo $?";
    let done = run(&home, &workspace, &["--on-ask", "deny"], script);
    assert_eq!(done.stdout, "126\n", "{done:?}");
    let says = "refused: git push --force — a person would have to be asked, and nobody is";
    assert!(done.stderr.contains(says), "{done:?}");
    let words = ["run", "--on-ask", "deny", "--", "git", "push", "--force"];
    let done = home.ampoule(&words);
    assert_eq!(done.code, Some(125), "{done:?}");
    assert!(
        done.stderr.contains("'git push --force' was refused"),
        "{done:?}"
    );
}

#[test]
fn a_script_that_is_rewritten_while_people_think_does_not_run() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = "printf '#!/bin/sh\\ngit push --force\\n' > x.sh; chmod +x x.sh; \
                  (sleep 3; printf '#!/bin/sh\\ntouch /tmp/evil\\n' > x.sh) & \
                  ./x.sh; echo ended $?; ls /tmp";
    let task = start(&home, &workspace, script);
    let id = asked(&home);
    std::thread::sleep(std::time::Duration::from_secs(8));
    decide(&home, "approve", &id);
    let done = end(task);
    assert!(done.stdout.contains("ended 126"), "{done:?}");
    assert!(!done.stdout.contains("evil"), "{done:?}");
}

#[test]
fn whoever_races_the_gate_gets_what_was_judged_or_nothing() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    for what in ["memfd", "loader", "argv", "opened"] {
        let script = format!("python3 - {what} <<'END'\n{RACE}\nEND\nls /tmp/ /workspace");
        // On a processor of its own: the gate reads much while the memory is changed.
        let options = ["--on-ask", "deny", "--cpus", "2"];
        let done = run(&home, &workspace, &options, &script);
        assert!(!done.stdout.contains("pwned"), "{what}: {done:?}");
        assert!(done.stdout.contains("kept.txt"), "{what}: {done:?}");
        assert!(done.stdout.contains("raced"), "{what}: {done:?}");
    }
}

/// Each would do something that people would be asked about if it was judged; removals, of which a
/// single one is let pass, are raced in `guest-agent/tests/gate`.
const RACE: &str = r#"
import ctypes, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
what = sys.argv[1]
def pointers(*words):
    return (ctypes.c_void_p * (len(words) + 1))(*words, None)
def text(word):
    return ctypes.cast(ctypes.c_char_p(word), ctypes.c_void_p)
def swapping(good, bad, seconds=0.3):
    buffer = ctypes.create_string_buffer(good, 256)
    address = ctypes.addressof(buffer)
    bad, good = bad.ljust(256, b"\0"), good.ljust(256, b"\0")
    def swap():
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ctypes.memmove(address, bad, 256); ctypes.memmove(address, good, 256)
    threading.Thread(target=swap, daemon=True).start()
    return buffer, address
def child(work):
    pid = os.fork()
    if pid == 0:
        try: work()
        finally: os._exit(9)
    os.waitpid(pid, 0)
def memfd():
    fd = os.memfd_create("x", 0)
    os.write(fd, open("/usr/bin/touch", "rb").read())
    buffer, _ = swapping(b"/bin/true", b"/proc/self/fd/%d" % fd)
    time.sleep(0.001)
    libc.execve(buffer, pointers(text(b"true"), text(b"/tmp/pwned")), pointers())
def loader():
    # Anybody may load it, and it runs what it is told. The gate reads for long.
    many = [text(b"N%d=%s" % (i, b"x" * 1100)) for i in range(1000)]
    buffer, _ = swapping(b"/usr/bin/true", b"/lib64/ld-linux-x86-64.so.2")
    time.sleep(0.001)
    words = pointers(text(b"true"), text(b"/usr/bin/printf"), text(b"pwned"))
    libc.execve(buffer, words, pointers(*many))
def argv():
    # Once it is judged, people would be asked.
    evil = b"(touch pwned; git push --force) & wait"
    _, address = swapping(b"true", evil)
    time.sleep(0.001)
    libc.execve(b"/bin/sh", pointers(text(b"sh"), text(b"-c"), address), pointers())
for round in range(25):
    if what in ("memfd", "loader", "argv"):
        child(globals()[what])
if what == "opened":
    buffer, _ = swapping(b"/tmp/good", b"/workspace/../etc/pwned", 2)
    until = time.monotonic() + 2
    while time.monotonic() < until:
        fd = libc.open(buffer, os.O_WRONLY | os.O_CREAT, 0o644)
        if fd >= 0: os.close(fd)
print("raced")
"#;

#[test]
fn ways_round_the_gate_are_refused_by_name() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = format!("python3 - <<'END'\n{WAYS}\nEND\n");
    let done = run(&home, &workspace, &["--on-ask", "deny"], &script);
    assert_eq!(done.code, Some(0), "{done:?}");
    let wanted = "io_uring ENOSYS\nopenat2 ENOSYS\nptrace EPERM\nfilter EINVAL\nvsock EACCES\n\
                  packet EPERM\nraw EPERM\nfsopen ENOSYS\nmount EPERM\nsetuid 1000\n";
    assert_eq!(done.stdout, wanted, "{done:?}");
}

const WAYS: &str = r#"
import ctypes, errno, os, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    result = libc.syscall(*args)
    print(name, errno.errorcode[ctypes.get_errno()] if result < 0 else result, flush=True)
def made(name, *args):
    try:
        socket.socket(*args).close(); print(name, "made", flush=True)
    except OSError as error:
        print(name, errno.errorcode[error.errno], flush=True)
call("io_uring", 425, 1, 0)
call("openat2", 437, -100, b"/etc/passwd", 0, 0)
call("ptrace", 101, 0, 0, 0, 0)
call("filter", 317, 1, 0, 0)
made("vsock", 40, socket.SOCK_STREAM)
made("packet", socket.AF_INET, 10)
made("raw", socket.AF_INET, socket.SOCK_RAW, 1)
call("fsopen", 430, b"tmpfs", 0)
call("mount", 165, b"x", b"/mnt", b"tmpfs", 0, 0)
print("setuid", os.geteuid())
"#;

#[test]
fn the_gate_asks_what_is_left_when_ampoule_policy_is_killed() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = "git push --force; echo ended $?";
    let task = start(&home, &workspace, script);
    asked(&home);
    let policy = home.process("ampoule-policy");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(policy.try_into().unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    eventually("another is there", PATIENCE, || {
        let notes = events(&home, "note");
        let again = |note: &Value| note["text"].to_string().contains("started again");
        notes.iter().any(again)
    });
    let id = asked(&home);
    decide(&home, "approve", &id);
    let done = end(task);
    assert!(done.stdout.contains("ended 128"), "{done:?}");
    home.assert_nothing_left();
}

/// A call that waits for people does not keep a task from being copied; the copy asks for itself.
#[test]
fn a_task_that_waits_is_copied_and_the_copy_asks_for_itself() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let task = start(
        &home,
        &workspace,
        "git push --force; echo ended $?; sleep 1",
    );
    asked(&home);
    let original = home.tasks().pop().unwrap();
    let copied = home.ampoule(&["fork", &original]);
    assert_eq!(copied.code, Some(0), "{copied:?}");
    eventually("both are asked about", PATIENCE, || {
        waiting(&home).len() == 2
    });
    let items = waiting(&home);
    let of = |mine: bool| {
        let found = items
            .iter()
            .find(|item| (item["task"] == *original) == mine);
        found.unwrap()["approval"].as_str().unwrap().to_owned()
    };
    decide(&home, "approve", &of(true));
    let done = end(task);
    assert!(done.stdout.contains("ended 128"), "{done:?}");
    // What was approved for the original is not for its copy.
    assert_eq!(waiting(&home).len(), 1);
    decide(&home, "deny", &of(false));
    eventually("the copy goes on", PATIENCE, || home.holds_nothing());
}
