// SPDX-License-Identifier: Apache-2.0
//! Tasks that people hold tighter, and tasks that wait for people.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime};

use super::gated::{asked, decide, events, workspace};
use super::harness::{Done, Home, PATIENCE, eventually, signal};

/// Says a number every now and then, so that it is seen whether it runs.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i $(date +%s); sleep 0.1; done";

/// A running task, and the lines that it prints as they come.
struct Task {
    child: Child,
    lines: Receiver<String>,
}

impl Task {
    fn start(home: &Home, options: &[&str], script: &str) -> Self {
        let folder = workspace(home);
        let task = ["run", "--workspace", folder.to_str().unwrap()];
        let words = [&task[..], options, &["--", "sh", "-c", script]].concat();
        let mut child = home.piped(&words);
        let lines = lines(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Whether it prints nothing for a while; what was on its way is taken first.
    fn is_silent(&self) -> bool {
        std::thread::sleep(Duration::from_millis(500));
        while self.lines.try_recv().is_ok() {}
        self.lines.recv_timeout(Duration::from_secs(2)).is_err()
    }

    fn end(mut self) -> Done {
        let mut stderr = String::new();
        let errors = self.child.stderr.take();
        errors.unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code();
        let stdout = self.lines.iter().map(|line| format!("{line}\n")).collect();
        Done {
            code,
            stdout,
            stderr,
        }
    }
}

fn lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(stdout).lines();
        lines
            .map_while(Result::ok)
            .try_for_each(|line| sender.send(line))
    });
    lines
}

/// `ampoule posture` of the home's last task.
fn posture(home: &Home, words: &[&str]) -> String {
    let task = home.tasks().remove(0);
    let done = home.ampoule(&[&["posture", &task], words].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    done.stdout.trim_end().replace(&task, "TASK")
}

/// How much memory is the VMM's own, in KiB.
fn own_memory(home: &Home) -> u64 {
    let pid = home.process("ampoule-vmm");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let words = line.unwrap().trim().trim_end_matches(" kB");
    words.parse().unwrap()
}

#[test]
fn a_paused_task_does_nothing_and_goes_on_with_the_hosts_time() {
    let Some(home) = Home::new() else { return };
    let task = Task::start(&home, &["--ttl", "40s", "--grace", "0s"], COUNT);
    task.line();
    let begun = Instant::now();
    assert_eq!(posture(&home, &["paused"]), "TASK: paused");
    assert!(task.is_silent());
    let refused = home.ampoule(&["exec", &home.tasks()[0], "--", "true"]);
    let id = &home.tasks()[0];
    let says = format!("the task is paused; `ampoule posture {id} normal` has it go on");
    assert!(refused.stderr.contains(&says), "{refused:?}");
    let listed = home.ampoule(&["ps"]).stdout;
    assert!(listed.contains(&format!("{id}  paused ")), "{listed}");
    assert_eq!(home.inspect(id)["posture"], "paused");
    let refused = home.ampoule(&["fork", &home.tasks()[0]]);
    assert!(refused.stderr.contains("held more tightly"), "{refused:?}");
    // Longer than it may run.
    let until = begun + Duration::from_secs(45);
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    assert_eq!(posture(&home, &["normal"]), "TASK: normal");
    let line = task.line();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap().as_secs();
    eprintln!("{line}, and here it is {now}");
    // The line before may have been on its way.
    let later = task.line();
    let told: u64 = later.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(told.abs_diff(now) < 10, "{later} {now}");
    let done = task.end();
    assert_eq!(done.code, Some(124), "{done:?}");
    let postures = events(&home, "posture");
    assert_eq!(
        (&postures[0]["to"], &postures[1]["to"]),
        (&"paused".into(), &"normal".into())
    );
    home.assert_nothing_left();
}

/// Waits for a file, does this and that, and says what came of each.
const DEEDS: &str = r#"
import errno, os, subprocess, time
def wait(path):
    while not os.path.exists(path):
        time.sleep(0.1)
def tried(what):
    try:
        what()
        return "done"
    except OSError as error:
        return errno.errorcode[error.errno]
print("ready", flush=True)
for name in ["go", "on"]:
    wait("/tmp/" + name)
    print(*[tried(what) for what in [
        lambda: open("kept.txt").read(),
        lambda: subprocess.run(["ls", "-l"], stdout=subprocess.DEVNULL, check=True),
        lambda: open("new", "w").close(),
        lambda: open("kept.txt", "a").close(),
        lambda: os.rename("kept.txt", "b") or os.rename("b", "kept.txt"),
        lambda: os.mkdir("d") or os.rmdir("d"),
    ]], flush=True)
"#;

#[test]
fn a_read_only_task_changes_nothing_and_a_named_path_is_asked_about() {
    let Some(home) = Home::judged() else { return };
    let script = home.path().join("deeds.py");
    fs::write(&script, DEEDS).unwrap();
    let folder = workspace(&home);
    fs::copy(&script, folder.join("deeds.py")).unwrap();
    let task = Task::start(&home, &["--image", "python"], "python3 deeds.py");
    assert_eq!(task.line(), "ready");
    posture(&home, &["read-only", "--reason", "it looks odd"]);
    let id = home.tasks().remove(0);
    let copied = |name: &str| {
        let to = format!("{id}:/tmp/{name}");
        let done = home.ampoule(&["cp", script.to_str().unwrap(), &to]);
        assert_eq!(done.code, Some(0), "{done:?}");
    };
    // What people copy is theirs.
    copied("go");
    assert_eq!(task.line(), "done done EACCES EACCES EACCES EACCES");
    let asks = posture(&home, &["normal", "--ask", "kept.txt"]);
    assert_eq!(
        asks,
        "TASK: normal, asks before changes of /workspace/kept.txt"
    );
    assert_eq!(posture(&home, &[]), asks);
    copied("on");
    let approval = asked(&home);
    decide(&home, "approve", &approval);
    // What it asks about next is held in `host/src/gate/tests/held.rs`.
    posture(&home, &["ended"]);
    let done = task.end();
    assert_eq!(done.code, Some(137), "{done:?}");
}

#[test]
fn an_ended_task_is_over_and_says_who_ended_it() {
    let Some(home) = Home::new() else { return };
    let task = Task::start(&home, &[], COUNT);
    task.line();
    posture(&home, &["paused"]);
    assert_eq!(posture(&home, &["ended"]), "TASK: ended");
    let done = task.end();
    assert_eq!(done.code, Some(137), "{done:?}");
    assert_eq!(home.inspect(&home.tasks()[0])["end"]["reason"], "posture");
    home.assert_nothing_left();
}

#[test]
fn a_paused_guest_ends_with_its_supervisor() {
    let Some(home) = Home::new() else { return };
    let mut task = Task::start(&home, &[], COUNT);
    task.line();
    posture(&home, &["paused"]);
    let vmm = home.process("ampoule-vmm");
    signal(task.child.id(), rustix::process::Signal::KILL);
    task.child.wait().unwrap();
    eventually("the VMM is gone", Duration::from_secs(10), || {
        !Path::new(&format!("/proc/{vmm}")).exists()
    });
}

#[test]
fn a_task_that_waits_is_parked_and_its_time_does_not_count() {
    let Some(home) = Home::judged() else { return };
    // Some memory that it must still have afterwards.
    let script = "x=$(head -c 6000000 /dev/urandom | base64 -w0); \
                  a=$(echo $x | md5sum); git push --force; \
                  [ \"$(echo $x | md5sum)\" = \"$a\" ] && echo same";
    let options = [
        "--image",
        "python",
        "--ttl",
        "60s",
        "--park-after",
        "10s",
        "--wait",
        "5m",
    ];
    let task = Task::start(&home, &options, script);
    let approval = asked(&home);
    let begun = Instant::now();
    let before = own_memory(&home);
    eventually("it is parked", PATIENCE, || {
        events(&home, "waiting").len() == 1
    });
    assert_eq!(events(&home, "waiting")[0]["approval"], *approval);
    eventually("its memory is given back", PATIENCE, || {
        own_memory(&home) * 2 < before
    });
    // Longer than it may run.
    let until = begun + Duration::from_secs(65);
    std::thread::sleep(until.saturating_duration_since(Instant::now()));
    decide(&home, "approve", &approval);
    let done = task.end();
    assert_eq!(
        (done.code, done.stdout.as_str()),
        (Some(0), "same\n"),
        "{done:?}"
    );
    assert_eq!(events(&home, "resumed").len(), 1);
    home.assert_nothing_left();
}

#[test]
fn a_task_that_stood_still_for_as_long_as_it_may_wait_is_ended() {
    let Some(home) = Home::new() else { return };
    let task = Task::start(&home, &["--wait", "5s"], COUNT);
    task.line();
    posture(&home, &["paused"]);
    let done = task.end();
    assert!(
        done.stderr.contains("--wait 5s") || done.stderr.contains("(--wait)"),
        "{done:?}"
    );
    assert_eq!(done.code, Some(125), "{done:?}");
    assert_eq!(home.inspect(&home.tasks()[0])["end"]["reason"], "waited");
    home.assert_nothing_left();
}
