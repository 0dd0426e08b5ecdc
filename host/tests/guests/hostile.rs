// SPDX-License-Identifier: Apache-2.0
//! Agents that would get past the gate, or be a burden to it. Nobody is there to ask, so what
//! people would be asked about is refused, by the policies that would ask. Calls that the filter
//! itself refuses are in `gate.rs`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::gated::{
    decide, end, events, has, nobody_is_asked, record, run, shown, start, start_with, waiting,
    workspace,
};
use super::harness::{Done, Home, PATIENCE, eventually, read_until};

/// Runs a script of Python's as a task that nobody is asked about. Root may write everywhere, if it
/// is not stopped.
fn python(home: &Home, workspace: &Path, user: &str, script: &str) -> Done {
    let script = format!("python3 - <<'END'\n{script}\nEND\n");
    let options = ["--on-ask", "deny", "--user", user];
    let done = run(home, workspace, &options, &script);
    assert_eq!(done.code, Some(0), "{done:?}");
    done
}

/// What was refused of an action whose record has this, each with the rules that did.
fn refused(home: &Home, action: &str) -> Vec<Vec<String>> {
    let all = record(home);
    let intents = all
        .iter()
        .filter(|event| event["kind"] == "intent" && event["action"].to_string().contains(action));
    let verdict = |intent: &Value| {
        let of = json!({ "kind": "verdict", "id": intent["id"] });
        all.iter().find(|event| has(event, &of))
    };
    let denied = intents
        .filter_map(verdict)
        .filter(|verdict| verdict["verdict"] == "deny");
    let rules = |verdict: &Value| {
        let rules = verdict["policies"].as_array().into_iter().flatten();
        rules
            .filter_map(|rule| rule.as_str().map(str::to_owned))
            .collect()
    };
    denied.map(rules).collect()
}

/// Asserts that it was refused, each time by a rule that has a name.
#[track_caller]
fn by_name(home: &Home, action: &str, times: usize) {
    let rules = refused(home, action);
    let named = rules.iter().filter(|rules| !rules.is_empty()).count();
    assert!(
        named == rules.len() && named >= times,
        "{action}: {rules:?} {}",
        shown(&record(home))
    );
}

/// Each process asks again and again, whatever it is answered.
const FLOOD: &str = r#"
import os
children = []
for number in range(120):
    pid = os.fork()
    if pid == 0:
        for n in range(2):
            try: os.execv("/usr/bin/git", ["git", "push", "--force", "far", "%d-%d" % (number, n)])
            except OSError: pass
        os._exit(3)
    children.append(pid)
print({os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children})
"#;

#[test]
fn a_flood_of_questions_is_one_question_and_others_are_served() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    let script = format!("python3 - <<'END'\n{FLOOD}\nEND\n");
    let flood = start_with(&home, &workspace, &["--memory", "512M"], &script);
    let stands = json!({ "kind": "note", "text": "stands still" });
    eventually("it stands still", PATIENCE, || {
        events(&home, "note")
            .iter()
            .any(|event| has(event, &stands))
    });
    let other = run(&home, &workspace, &[], "echo other; cat kept.txt");
    assert_eq!(other.stdout, "other\nkept\n", "{other:?}");
    // The budget's questions are in one item, since one command asks; the rest in another.
    let items = waiting(&home);
    assert!(items.len() <= 2, "{items:?}");
    let peak = peak(home.process("ampoule-policy"));
    assert!(peak < 256 << 10, "{peak} KiB");
    let done = std::thread::scope(|scope| {
        let ended = scope.spawn(|| end(flood));
        while !ended.is_finished() {
            for item in waiting(&home) {
                decide(&home, "deny", item["approval"].as_str().unwrap());
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        ended.join().unwrap()
    });
    assert_eq!(done.stdout, "{3}\n", "{done:?}");
    by_name(&home, "--force", 120 * 2);
    home.assert_nothing_left();
}

/// Most memory of a process so far, in KiB.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.unwrap().split_whitespace().next();
    words.unwrap().parse().unwrap()
}

/// Does in a daemon what its command does not do.
const DAEMON: &str = r#"
import os, subprocess, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while os.getppid() != 1: time.sleep(0.01)
        said = []
        try: os.execv("/usr/bin/git", ["git", "push", "--force"])
        except OSError as error: said.append(error.strerror)
        try: open("/etc/daemon", "w")
        except OSError as error: said.append(error.strerror)
        asked = subprocess.run(["ampoule-agent", "ask", "--", "ls"], capture_output=True)
        said.append(asked.stderr.decode().strip())
        with open("/tmp/said", "w") as file: file.write("; ".join(said))
        os.rename("/tmp/said", "/tmp/daemon")
    os._exit(0)
while not os.path.exists("/tmp/daemon"): time.sleep(0.05)
print(open("/tmp/daemon").read())
"#;

#[test]
fn a_daemon_is_gated_as_the_command_that_left_it() {
    let Some(home) = Home::judged() else { return };
    let done = python(&home, &workspace(&home), "root", DAEMON);
    let none = "ampoule-agent: it cannot be told which command of the task says so";
    assert_eq!(
        done.stdout,
        format!("Permission denied; Permission denied; {none}\n"),
        "{done:?}"
    );
    by_name(&home, "--force", 1);
    by_name(&home, "/etc/daemon", 1);
    let mut roots = events(&home, "verdict");
    roots.retain(|event| event["root"] != 1);
    assert!(roots.is_empty(), "{roots:?}");
    home.assert_nothing_left();
}

const NAMELESS: &str = r#"
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
fd = os.memfd_create("x", 0)
os.write(fd, open("/usr/bin/touch", "rb").read())
words = (ctypes.c_char_p * 3)(b"touch", b"/workspace/pwned", None)
def tried(call):
    pid = os.fork()
    if pid == 0:
        call()
        os._exit(ctypes.get_errno())
    return errno.errorcode[os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
print(tried(lambda: libc.syscall(322, fd, b"", words, None, 0x1000)))
print(tried(lambda: libc.execve(b"/proc/self/fd/%d" % fd, words, None)))
# A file that is removed before it runs has a name no more than that.
path = "/workspace/gone"
with open(path, "wb") as file: file.write(open("/usr/bin/touch", "rb").read())
os.chmod(path, 0o755)
fd = os.open(path, os.O_RDONLY)
os.unlink(path)
print(tried(lambda: libc.syscall(322, fd, b"", words, None, 0x1000)))
print(os.listdir("/workspace"))
"#;

#[test]
fn a_program_without_a_name_does_not_run() {
    let Some(home) = Home::judged() else { return };
    let done = python(&home, &workspace(&home), "agent", NAMELESS);
    assert_eq!(
        done.stdout, "EACCES\nEACCES\nEACCES\n['kept.txt']\n",
        "{done:?}"
    );
    let nameless = refused(&home, "/workspace/pwned");
    assert_eq!(nameless, vec![["gate:nameless"]; 3]);
    home.assert_nothing_left();
}

/// What may be done to a process of another command of the task.
const OTHER: &str = r#"
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
victim = int(open("/tmp/victim").read())
def tried(name, result):
    print(name, errno.errorcode[ctypes.get_errno()] if result < 0 else result, flush=True)
for name, request in (("attach", 16), ("seize", 0x4206)):
    tried(name, libc.ptrace(request, victim, None, None))
class Part(ctypes.Structure):
    _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t)]
word = ctypes.create_string_buffer(8)
here, there = Part(ctypes.addressof(word), 8), Part(0x400000, 8)
def parts(call): return libc.syscall(call, victim, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
tried("read", parts(310))
tried("write", parts(311))
def opened(path, flags):
    try: os.close(os.open(path, flags)); print(path.split("/")[-1], "opened", flush=True)
    except OSError as error: print(path.split("/")[-1], errno.errorcode[error.errno], flush=True)
opened("/proc/%d/mem" % victim, os.O_RDWR)
opened("/proc/1/mem", os.O_RDWR)
pidfd = os.pidfd_open(victim)
tried("descriptor", libc.syscall(438, pidfd, 0, 0))
"#;

#[test]
fn a_command_cannot_trace_another_of_its_task() {
    let Some(home) = Home::judged() else { return };
    let folder = workspace(&home);
    let mut task = start(
        &home,
        &folder,
        "echo $$ > /tmp/victim; echo up; exec sleep 1000",
    );
    read_until(task.stdout.as_mut().unwrap(), "up\n");
    let id = home.tasks().pop().unwrap();
    let done = home.fed(&["exec", "-i", &id, "--", "python3", "-"], OTHER.as_bytes());
    let wanted = "attach EPERM\nseize EPERM\nread EPERM\nwrite EPERM\nmem EACCES\nmem EACCES\n\
                  descriptor EPERM\n";
    assert_eq!(done.stdout, wanted, "{done:?}");
    home.ampoule(&["kill", &id]);
    end(task);
    home.assert_nothing_left();
}

const SETUID: &str = r#"
import os, shutil, stat, subprocess, time
su = os.stat("/usr/bin/su")
print("su of", su.st_uid, "raises" if su.st_mode & stat.S_ISUID else "does not raise")
def who(command):
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    name = command[0].split("/")[-1]
    while open("/proc/%d/comm" % process.pid).read().strip() != name: time.sleep(0.01)
    status = open("/proc/%d/status" % process.pid).read().splitlines()
    print(name, *[line.split()[1:] for line in status if line.startswith(("Uid", "NoNew"))])
    process.kill(); process.wait()
who(["/usr/bin/su", "-c", "id"])
shutil.copy("/usr/bin/sleep", "/tmp/raised")
os.chmod("/tmp/raised", 0o6755)
who(["/tmp/raised", "1000"])
try: subprocess.run(["chmod", "6755", "/tmp/raised"])
except OSError as error: print(error.strerror)
"#;

#[test]
fn nothing_raises_the_rights_of_a_task() {
    let Some(home) = Home::judged() else { return };
    let done = python(&home, &workspace(&home), "agent", SETUID);
    let own = "['1000', '1000', '1000', '1000'] ['1']";
    let wanted = format!("su of 0 raises\nsu {own}\nraised {own}\nPermission denied\n");
    assert_eq!(done.stdout, wanted, "{done:?}");
    by_name(&home, "6755", 1);
    home.assert_nothing_left();
}

/// A program of a few instructions, without a C library: makes a file, says how that went.
fn tiny(path: &str) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    let mut code = vec![0xb8, 2, 0, 0, 0, 0xbf]; // mov eax, open; mov edi, path
    let text = BASE + 120 + 36;
    code.extend(u32::try_from(text).unwrap().to_le_bytes());
    code.extend([0xbe, 0x41, 0, 0, 0]); // mov esi, O_WRONLY | O_CREAT
    code.extend([0xba, 0xa4, 1, 0, 0]); // mov edx, 0644
    code.extend([0x0f, 0x05]); // syscall
    code.extend([0x89, 0xc7, 0xf7, 0xdf]); // mov edi, eax; neg edi
    code.extend([0xb8, 60, 0, 0, 0, 0x0f, 0x05]); // exit
    code.resize(36, 0x90);
    code.extend(path.bytes().chain([0]));
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [BASE + 120, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    elf.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let size = 120 + u64::try_from(code.len()).unwrap();
    for word in [0, BASE, BASE, size, size, 4096] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(code);
    elf
}

/// Programs that came with the workspace: a static one, and one that speaks to the kernel itself,
/// once by the name of a harmless one.
const BROUGHT: &str = "\
    ./busybox echo runs\n\
    ./busybox touch /etc/tiny; echo $?\n\
    ./busybox sh -c 'git push --force'; echo $?\n\
    ./tiny; echo $?\n\
    ./ls; echo $?\n\
    test -e /etc/tiny; echo $?\n";

#[test]
fn a_program_that_the_workspace_brings_is_gated_as_any_other() {
    let Some(home) = Home::judged() else { return };
    let folder = workspace(&home);
    fs::copy("/bin/busybox", folder.join("busybox")).unwrap();
    for name in ["tiny", "ls"] {
        fs::write(folder.join(name), tiny("/etc/tiny")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.join(name), mode).unwrap();
    }
    let options = ["--on-ask", "deny", "--user", "root"];
    let done = run(&home, &folder, &options, BROUGHT);
    // 13 is EACCES, in words of the program itself.
    assert_eq!(done.stdout, "runs\n1\n126\n13\n13\n1\n", "{done:?}");
    by_name(&home, "--force", 1);
    by_name(&home, "\"path\":\"/etc/tiny\"", 3);
    // What it is called by is where it lies.
    let called = json!({ "kind": "intent", "action": { "exec": ["/workspace/ls"] } });
    assert!(
        events(&home, "intent")
            .iter()
            .any(|event| has(event, &called))
    );
    home.assert_nothing_left();
}

/// Scripts whose first lines are not what they seem, each with what it would leave behind.
const SCRIPTS: &str = r##"
import os, subprocess
def script(name, text):
    with open(name, "w") as file: file.write(text)
    os.chmod(name, 0o755)
last = "\ntouch /etc/strange\n"
filler = "y" * 4096
script("split", "#!/usr/bin/env -S git push --force\n")
script("inner", "#!/bin/sh\ngit push --force far 'inner'" + last)
script("outer", "#!./inner\n")
script("long", "#!/usr/bin/env -S sh -c 'git push --force far long; touch /etc/strange' #" + filler + "\n")
script("blank", "#! \t /bin/sh \t -e \ngit push --force far blank" + last)
script("python", "#!/usr/bin/env python3\nimport os\nos.execvp('git', ['git', 'push', '--force', 'far', 'python'])\n")
for name in ("split", "outer", "long", "blank", "python"):
    try: done = subprocess.run(["./" + name, "x"], capture_output=True)
    except OSError as error: print(name, error.strerror, flush=True); continue
    print(name, done.returncode != 0, done.stderr.decode().count("Permission denied"), flush=True)
print(os.path.exists("/etc/strange"))
"##;

#[test]
fn a_script_does_what_its_first_line_says_and_is_judged_by_that() {
    let Some(home) = Home::judged() else { return };
    let done = python(&home, &workspace(&home), "root", SCRIPTS);
    // The one whose interpreter is a script starts; what that does is refused, each by itself.
    let wanted = "split Permission denied\nouter True 2\nlong Permission denied\n\
                  blank Permission denied\npython Permission denied\nFalse\n";
    assert_eq!(done.stdout, wanted, "{done:?}");
    for name in [
        "/workspace/split",
        "/workspace/long",
        "/workspace/blank",
        "/workspace/python",
    ] {
        by_name(&home, name, 1);
    }
    by_name(&home, "\"inner\"", 1);
    home.assert_nothing_left();
}

/// Another process, or another start, instead of another thread's write.
const RACES: &str = r#"
import ctypes, mmap, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
what = sys.argv[1]
shared = mmap.mmap(-1, 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(shared))
evil = b"(touch pwned; git push --force) & wait"
good, bad = b"true".ljust(64, b"\0"), evil.ljust(64, b"\0")
def pointers(*words): return (ctypes.c_void_p * (len(words) + 1))(*words, None)
def text(word): return ctypes.cast(ctypes.c_char_p(word), ctypes.c_void_p)
def start(line): libc.execve(b"/bin/sh", pointers(text(b"sh"), text(b"-c"), line), pointers())
def child(work):
    pid = os.fork()
    if pid == 0:
        try: work()
        finally: os._exit(9)
    return pid
def swap(seconds=0.3):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ctypes.memmove(address, bad, 64); ctypes.memmove(address, good, 64)
def memory():
    racer = child(swap)
    victim = child(lambda: start(address))
    os.waitpid(victim, 0); os.waitpid(racer, 0)
def threads():
    def both():
        barrier = threading.Barrier(3)
        def one(line): barrier.wait(); start(text(line))
        for line in (b"true", evil): threading.Thread(target=one, args=(line,), daemon=True).start()
        barrier.wait(); time.sleep(1)
    os.waitpid(child(both), 0)
ctypes.memmove(address, good, 64)
for round in range(25): globals()[what]()
print("raced")
"#;

#[test]
fn whoever_races_a_start_from_elsewhere_gets_what_was_judged_or_nothing() {
    let Some(home) = Home::judged() else { return };
    let workspace = workspace(&home);
    for what in ["memory", "threads"] {
        let script = format!("python3 - {what} <<'END'\n{RACES}\nEND\nls");
        let done = run(&home, &workspace, &["--on-ask", "deny"], &script);
        assert_eq!(done.stdout, "raced\nkept.txt\n", "{what}: {done:?}");
    }
    // The race was one: what was not to run was judged, or ended.
    by_name(&home, "touch pwned", 1);
    nobody_is_asked(&home);
    home.assert_nothing_left();
}
