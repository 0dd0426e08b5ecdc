// SPDX-License-Identifier: Apache-2.0
//! The gate, from the host's side of the wire: what it asks, and what it does with the answers.
//!
//! On this machine's own kernel, which must know seccomp's user notification and Landlock. The
//! overlays of a guest are not here: what depends on them is tested in a guest.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail as the test does")]

mod rig;
#[path = "../support/mod.rs"]
mod support;

use std::fs;

use protocol::actions::{Act, Gate, Hold};
use protocol::messages::Exec;
use rig::*;
use support::*;

#[test]
fn a_program_that_a_command_starts_is_asked_about_with_its_arguments() {
    let ground = Ground::new();
    let script = "/bin/echo one two; /bin/uname || echo refused $?";
    let (done, policy) = ground.run(script, |intent| !short(intent).contains("uname"));
    assert_eq!(done.text(), "one two\nrefused 126\n");
    assert_eq!(policy.asked(), ["run /bin/echo one two", "run /bin/uname"]);
    let asked = policy.asked.lock().unwrap();
    assert_eq!(asked[0].root, 7);
    assert_eq!(asked[0].cwd, ground.at("ws").to_str().unwrap().as_bytes());
}

#[test]
fn the_first_call_waits_until_the_host_has_said_how_tightly_the_task_is_held() {
    let ground = Ground::new();
    let script = format!("echo x > {}", shown(&ground.at("ws/f")));
    let hold = Hold {
        read_only: true,
        ..Hold::default()
    };
    let (done, _) = ground.run_held(sh(&script), hold, |_| true);
    assert_ne!(done.exited.code, 0);
    assert!(!ground.at("ws/f").exists());
}

#[test]
fn a_command_that_does_nothing_but_run_connects_to_nobody() {
    let mut host = Host::start();
    let connections = host.actions();
    let gate = Some(Gate::default());
    let mut run = |exec| {
        host.run(Exec {
            gate: gate.clone(),
            ..exec
        })
    };
    assert_eq!(run(command(&["true"])).exited.code, 0);
    assert!(connections.try_recv().is_err());
}

#[test]
fn what_is_written_in_free_folders_is_not_asked_about() {
    let ground = Ground::new();
    let script = "cd ../free && echo a > a && mkdir d && echo b > d/b && ln a l && ln -s a s \
                  && mv d e && rm -r e && cat s && echo c > ../ws/c && mv ../ws/c ../ws/d \
                  && rm ../ws/d && ls";
    let (done, policy) = ground.run(script, |_| true);
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    assert_eq!(done.text(), "a\na\nl\ns\n");
    let asked = policy.asked();
    assert!(
        asked.iter().all(|asked| asked.starts_with("run ")),
        "{asked:?}"
    );
}

#[test]
fn a_file_elsewhere_is_written_when_the_host_says_so_and_by_the_gate() {
    let ground = Ground::new();
    let (yes, no) = (ground.at("out/yes"), ground.at("out/no"));
    fs::write(ground.at("out/there"), "old\n").unwrap();
    let script = format!(
        "umask 027; echo new > {}; echo new > {} || echo refused; echo more >> ../out/there",
        shown(&yes),
        shown(&no)
    );
    let (done, policy) = ground.run(&script, |intent| !short(intent).ends_with("/no"));
    assert_eq!(done.text(), "refused\n");
    assert_eq!(fs::read_to_string(&yes).unwrap(), "new\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&yes).unwrap());
    assert_eq!(mode & 0o777, 0o640);
    assert!(!no.exists());
    assert_eq!(
        fs::read_to_string(ground.at("out/there")).unwrap(),
        "old\nmore\n"
    );
    let there = shown(&ground.at("out/there"));
    let wanted = [shown(&yes), shown(&no), there].map(|path| format!("write {path}"));
    assert_eq!(policy.asked(), wanted);
}

#[test]
fn names_elsewhere_are_removed_changed_and_made_when_the_host_says_so() {
    let ground = Ground::new();
    for name in ["a", "b", "c"] {
        fs::write(ground.at("out").join(name), name).unwrap();
    }
    let script = "cd ../out; rm a; rm b; mv c d; mkdir e; ln -s x s; ls";
    let (done, policy) = ground.run(script, |intent| !short(intent).ends_with("out/b"));
    assert_eq!(done.text(), "b\nd\ne\ns\n");
    let own = |asked: &String| !asked.starts_with("run ");
    let asked: Vec<_> = policy.asked().into_iter().filter(own).collect();
    let out = shown(&ground.at("out"));
    let wanted = [
        format!("remove {out}/a"),
        format!("remove {out}/b"),
        format!("rename {out}/c {out}/d"),
        format!("write {out}/e"),
        format!("write {out}/s"),
    ];
    assert_eq!(asked, wanted);
}

#[test]
fn a_link_out_of_a_free_folder_does_not_lead_out() {
    let ground = Ground::new();
    fs::write(ground.at("out/f"), "old").unwrap();
    std::os::unix::fs::symlink("../out", ground.at("free/l")).unwrap();
    let script = "echo new > ../free/l/f; rm ../free/l/f; echo x > ../free/l/g; true";
    let (_, policy) = ground.run(script, |intent| short(intent).starts_with("run "));
    assert_eq!(fs::read_to_string(ground.at("out/f")).unwrap(), "old");
    assert!(!ground.at("out/g").exists(), "{:?}", policy.asked());
}

#[test]
fn ways_round_the_gate_are_refused() {
    let ground = Ground::new();
    let script = r#"
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    result = libc.syscall(*args)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
print(call(425, 1, 0))                                   # io_uring_setup
print(call(437, -100, b"/etc/passwd", 0, 0))             # openat2
def family(number, kind):
    try:
        socket.socket(number, kind).close(); return "made"
    except OSError as error:
        return errno.errorcode[error.errno]
print(family(40, socket.SOCK_STREAM), family(socket.AF_INET, socket.SOCK_RAW))
fd = os.memfd_create("x")
os.write(fd, open("/bin/true", "rb").read())
try:
    os.execve(fd, ["true"], {})
except OSError as error:
    print(errno.errorcode[error.errno])
"#;
    let exec = command(&["/usr/bin/env", "python3", "-c", script]);
    let (done, policy) = ground.run_command(exec, |intent| match &intent.act {
        Some(Act::Run(run)) => !run.nameless,
        _ => true,
    });
    assert_eq!(
        done.text(),
        "ENOSYS\nENOSYS\nEACCES EPERM\nEACCES\n",
        "{done:?}"
    );
    assert!(policy.asked().len() > 1);
}

#[test]
fn a_connection_out_is_made_only_when_the_host_says_so() {
    let ground = Ground::new();
    let script = r#"
import errno, socket
there = socket.socket(); there.bind(("127.0.0.1", 0)); there.listen()
here = socket.create_connection(there.getsockname()); print("inside")
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    try:
        out = socket.socket(type=kind); out.settimeout(2); out.connect(("192.0.2.1", 9))
    except OSError as error:
        print(errno.errorcode[error.errno])
"#;
    let exec = command(&["/usr/bin/env", "python3", "-c", script]);
    let (done, policy) = ground.run_command(exec, |intent| !short(intent).starts_with("connect"));
    assert_eq!(done.text(), "inside\nEACCES\nEACCES\n");
    let mut asked = policy.asked();
    asked.retain(|asked| asked.starts_with("connect"));
    assert_eq!(
        asked,
        ["tcp", "udp"].map(|kind| format!("connect {kind} 192.0.2.1:9"))
    );
}

#[test]
fn nobody_is_asked_about_a_file_that_may_not_be_run() {
    let ground = Ground::new();
    let script = "echo '#!/bin/sh' > x; PATH=.:/bin env x || echo $?; chmod +x x; ./x && echo ran";
    let (done, policy) = ground.run(script, |_| true);
    assert_eq!(done.text(), "126\nran\n", "{done:?}");
    let mut asked = policy.asked();
    asked.retain(|asked| asked == "run x" || asked == "run ./x");
    assert_eq!(asked, ["run ./x"]);
}

#[test]
fn a_strange_first_line_is_taken_as_the_kernel_takes_it() {
    let ground = Ground::new();
    let long = "y".repeat(4096);
    let full = format!("#!{}/bin/echo\n", "/".repeat(300));
    let most = format!("#!{}/bin/echo", "/".repeat(244));
    let nested: Vec<String> = (0..7).map(|n| format!("#!./s{}\n", n + 1)).collect();
    let mut lines: Vec<&str> = nested.iter().map(String::as_str).collect();
    let argument = format!("#!/bin/echo {long}\n");
    let (over, whole) = (format!("{most}o\n"), format!("{most}\n"));
    lines.extend([
        "#!/bin/echo end\n",
        "#! \t /bin/echo  a  \t b  \n",
        "#!/bin/echo",
        "#!/bin/echo ",
        "#!/bin/echo a\0b\n",
        "#!/bin/echo\0 a\n",
        "#!/bin/echo a\r\n",
        "#!   \n",
        "#!\0\n",
        "#!./s7\n",
        "#!/usr/bin/env -S echo 'a b' c\n",
        &argument,
        &full,
        &whole,
        &over,
    ]);
    for (number, line) in lines.iter().enumerate() {
        let path = ground.at("ws").join(format!("s{number}"));
        fs::write(&path, line).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap();
    }
    let script = format!(
        r#"
import errno, subprocess
for number in range({}):
    try:
        done = subprocess.run(["./s%d" % number, "x"], capture_output=True)
        print(number, done.returncode, done.stdout, flush=True)
    except OSError as error:
        print(number, errno.errorcode[error.errno], flush=True)
"#,
        lines.len()
    );
    let argv = ["/usr/bin/env", "python3", "-c", &script];
    let mut plain = std::process::Command::new(argv[0]);
    plain.args(&argv[1..]).current_dir(ground.at("ws"));
    let plain = plain.output().unwrap().stdout;
    let (done, _) = ground.run_command(command(&argv), |_| true);
    assert_eq!(done.text(), String::from_utf8_lossy(&plain));
}

#[test]
fn who_asks_more_than_may_wait_is_turned_away_by_name() {
    let ground = Ground::new();
    let script = r#"
import errno, os, signal, time
children = []
for number in range(1200):
    pid = os.fork()
    if pid == 0:
        try: open("../out/undecided", "w")
        except OSError as error: os._exit(error.errno)
        os._exit(0)
    children.append(pid)
codes = set()
for n in range(1200 - 1024):
    pid, status = os.wait()
    codes.add(errno.errorcode[os.waitstatus_to_exitcode(status)])
    children.remove(pid)
print(codes)
time.sleep(0.5)
for pid in children: os.kill(pid, signal.SIGKILL)
for pid in children: os.waitpid(pid, 0)
"#;
    let exec = command(&["/usr/bin/env", "python3", "-c", script]);
    let (done, policy) = ground.run_command(exec, |_| true);
    assert_eq!(done.text(), "{'EAGAIN'}\n", "{done:?}");
    let told = policy.told.lock().unwrap();
    let rules: Vec<_> = told.iter().map(|told| told.rule.as_str()).collect();
    assert!(!rules.is_empty() && rules.iter().all(|rule| *rule == "gate:full"));
    let counts = told.iter().filter_map(|told| told.detail.split(' ').next());
    let counts = counts.map(|count| count.parse::<u64>().unwrap());
    assert_eq!(counts.sum::<u64>(), 1200 - 1024, "{told:?}");
}

/// What a second thread does to the memory of a call that waits, `{swap}` times.
const RACE: &str = r#"
import ctypes, os, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
good, bad = [word.encode().ljust(256, b"\0") for word in sys.argv[2:4]]
buffer = ctypes.create_string_buffer(good, 256)
address = ctypes.addressof(buffer)
def swap(until):
    while time.monotonic() < until:
        ctypes.memmove(address, bad, 256)
        ctypes.memmove(address, good, 256)
def race(attempt, seconds=1.5):
    until = time.monotonic() + seconds
    thread = threading.Thread(target=swap, args=(until,))
    thread.start()
    while time.monotonic() < until:
        attempt()
    thread.join()
def opened():
    fd = libc.open(buffer, os.O_WRONLY | os.O_CREAT, 0o644)
    if fd >= 0: os.close(fd)
def removed():
    libc.unlink(buffer)
def cut():
    libc.truncate(buffer, ctypes.c_long(0))
def started():
    pid = os.fork()
    if pid == 0:
        until = time.monotonic() + 1
        threading.Thread(target=swap, args=(until,), daemon=True).start()
        time.sleep(0.002)
        argv = (ctypes.c_void_p * 3)(ctypes.cast(ctypes.c_char_p(b"touch"), ctypes.c_void_p), address, None)
        env = (ctypes.c_void_p * 1)(None)
        libc.execve(b"/usr/bin/touch", argv, env)
        os._exit(9)
    os.waitpid(pid, 0)
def connected():
    pass
race(globals()[sys.argv[1]])
"#;

#[test]
fn memory_that_is_changed_while_a_call_waits_changes_nothing() {
    for what in ["opened", "removed", "cut", "started"] {
        let ground = Ground::new();
        let (good, bad) = (ground.at("free/good"), ground.at("out/bad"));
        if what != "started" && what != "opened" {
            fs::write(&bad, "kept").unwrap();
        }
        // A start that is let pass may only be that; where its file would be does not matter.
        let bad = if what == "started" {
            ground.at("free/bad")
        } else {
            bad
        };
        let argv = ["/usr/bin/env", "python3", "-c", RACE, what];
        let words = argv
            .iter()
            .copied()
            .chain([good.to_str().unwrap(), bad.to_str().unwrap()]);
        let exec = command(&words.collect::<Vec<_>>());
        let name = bad.to_str().unwrap().to_owned();
        let (done, policy) = ground.run_command(exec, move |intent| {
            let asked = short(intent);
            asked.contains("python3") || !asked.contains(&name)
        });
        assert_eq!(
            (done.exited.code, done.exited.signal),
            (0, 0),
            "{what}: {done:?}"
        );
        match what {
            "removed" | "cut" => assert_eq!(fs::read_to_string(&bad).unwrap(), "kept", "{what}"),
            _ => assert!(!bad.exists(), "{what}"),
        }
        // The race was one: both were asked about, or the good one was done.
        let asked = policy.asked();
        let bad = |asked: &String| asked.contains("bad") && !asked.contains("python3");
        assert!(asked.iter().any(bad), "{what}: {asked:?}");
    }
}
