// SPDX-License-Identifier: Apache-2.0
//! Guests that wait in a pool, and the tasks that take them.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Done, Home, PATIENCE, binary, eventually, signal};

/// Prints all that must differ between two guests, a line each.
const IDENTITY: &str = "cat /etc/machine-id; hostname; \
                        head -c 16 /dev/urandom | od -An -tx1; \
                        cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id";

/// A pool that runs.
struct Pool<'a> {
    home: &'a Home,
    child: Child,
}

impl<'a> Pool<'a> {
    fn start(home: &'a Home, size: u64) -> Self {
        let size = size.to_string();
        let mut command = home.command(&["pool", "base", "--memory", "64M", "--size", &size]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let pool = Self { home, child };
        pool.is_full();
        pool
    }

    /// What `ampoule pool ls --json` says of it.
    fn status(&self) -> Option<Value> {
        let done = self.home.ampoule(&["pool", "ls", "--json"]);
        assert!(done.stdout.lines().count() <= 1, "{done:?}");
        serde_json::from_str(&done.stdout).ok()
    }

    fn is_full(&self) {
        eventually("the pool is full", PATIENCE, || {
            self.status()
                .is_some_and(|status| status["waiting"] == status["size"])
        });
    }

    /// Ends it, and says what it said.
    fn end(mut self, by: Signal) -> Done {
        signal(self.child.id(), by);
        let stderr = self.child.stderr.take();
        let code = self.child.wait().unwrap().code();
        let mut done = Done {
            code,
            stdout: String::new(),
            stderr: String::new(),
        };
        if let Some(mut stderr) = stderr {
            std::io::Read::read_to_string(&mut stderr, &mut done.stderr).unwrap();
        }
        done
    }

    /// Its socket.
    fn socket(&self) -> PathBuf {
        let entries = fs::read_dir(self.home.runtime().join("pool")).unwrap();
        let mut paths = entries.flatten().map(|entry| entry.path());
        paths
            .find(|path| path.extension().is_some_and(|kind| kind == "sock"))
            .unwrap()
    }
}

fn run(home: &Home, options: &[&str], script: &str) -> Done {
    let args = ["run", "--memory", "64M"];
    home.ampoule(&[&args, options, &["--", "sh", "-c", script]].concat())
}

/// How the newest task started.
fn how(home: &Home) -> (String, String) {
    let start = &home.inspect(&home.tasks()[0])["start"];
    let part = |name: &str| start[name].as_str().unwrap_or_default().to_owned();
    (part("how"), part("why"))
}

/// The VMMs of this home.
fn vmms(home: &Home) -> Vec<u32> {
    let mut pids = home.processes();
    pids.retain(|pid| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm == "ampoule-vmm\n")
    });
    pids
}

#[test]
fn tasks_take_guests_that_wait_and_each_is_its_own() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 2);
    let mut seen: Vec<Vec<String>> = Vec::new();
    for taken in 1..=3 {
        let done = run(&home, &[], IDENTITY);
        assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
        assert_eq!(how(&home), ("pool".into(), String::new()));
        let lines: Vec<String> = done.stdout.lines().map(str::to_owned).collect();
        assert_eq!((lines.len(), lines[0].len()), (5, 32), "{lines:?}");
        assert_eq!(lines[1], format!("ampoule-{}", home.tasks()[0]));
        for other in &seen {
            assert!(lines.iter().zip(other).all(|(a, b)| a != b), "{seen:?}");
        }
        seen.push(lines);
        pool.is_full();
        assert_eq!(pool.status().unwrap()["taken"], taken);
    }
    let task = &home.inspect(&home.tasks()[0]);
    let id = task["task"].as_str().unwrap();
    if let Some(cgroup) = task["process"]["cgroup"].as_str() {
        assert!(cgroup.ends_with(id), "{task}");
    }
    assert_eq!(vmms(&home).len(), 2);
    let done = pool.end(Signal::TERM);
    assert_eq!(done.code, Some(0), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn a_guest_from_the_pool_has_its_tasks_workspace_limits_time_and_deadline() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 1);
    let folder = home.path().join("work");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "content").unwrap();
    let workspace = ["--workspace", folder.to_str().unwrap()];
    let script = "cat file && echo new > file && cat file && stat -c %U . file";
    for _ in 0..2 {
        let done = run(&home, &workspace, script);
        assert_eq!(done.stdout, "contentnew\nagent\nagent\n", "{done:?}");
        assert_eq!(how(&home).0, "pool");
        pool.is_full();
    }
    let seconds = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    let before = seconds();
    let script = "ls -A | wc -l; date +%s; df -k / | tail -1 | awk '{print $2}'";
    let done = run(&home, &["--scratch", "16M"], script);
    let lines: Vec<u64> = done.stdout.lines().map(|l| l.parse().unwrap()).collect();
    assert_eq!((lines[0], lines[2]), (0, 16 << 10), "{lines:?}");
    assert!(
        (before..=seconds()).contains(&lines[1]),
        "{before} {lines:?}"
    );
    assert_eq!(how(&home).0, "pool");
    pool.is_full();
    let done = run(&home, &["--ttl", "3s"], "sleep 100");
    assert_eq!((done.code, &*how(&home).0), (Some(124), "pool"), "{done:?}");
    assert_eq!(home.inspect(&home.tasks()[0])["end"]["by"], "guest-init");
    pool.end(Signal::INT);
    home.assert_nothing_left();
}

#[test]
fn a_pool_that_is_killed_takes_its_waiting_guests_with_it_and_no_task() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 2);
    let args = ["--memory", "64M", "--", "sh", "-c", "echo here; sleep 1000"];
    let task = home.detach(&args);
    pool.is_full();
    assert_eq!(vmms(&home).len(), 3);
    let vmm = home.inspect(&task)["process"]["vmm_pid"].as_u64().unwrap();
    pool.end(Signal::KILL);
    eventually("only the task is left", Duration::from_secs(1), || {
        vmms(&home).len() == 1
            && home.find("ampoule-guard").is_none()
            && home.folders() == [task.as_str()]
    });
    assert_eq!(u64::from(vmms(&home)[0]), vmm);
    let logs = fs::read_dir(home.path().join("s/ampoule/tasks")).unwrap();
    assert_eq!(logs.count(), 1);
    let done = home.ampoule(&["exec", &task, "--", "hostname"]);
    assert_eq!(done.stdout.trim(), format!("ampoule-{task}"));
    assert_eq!(home.ampoule(&["kill", &task]).code, Some(0));
    assert_eq!(home.inspect(&task)["start"]["how"], "pool");
    home.assert_nothing_left();
    // And another begins where it was.
    let pool = Pool::start(&home, 1);
    pool.end(Signal::TERM);
    home.assert_nothing_left();
}

#[test]
fn a_task_from_the_pool_is_copied_and_killed_as_any_other() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 1);
    let folder = home.path().join("work");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "content").unwrap();
    let workspace = ["--workspace", folder.to_str().unwrap(), "--memory", "64M"];
    let task = home.detach(&[&workspace[..], &["--", "sleep", "1000"]].concat());
    let done = home.ampoule(&["fork", &task]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let copy = done.stdout.trim();
    for task in [&*task, copy] {
        let done = home.ampoule(&["exec", task, "--", "sh", "-c", "cat file; hostname"]);
        assert_eq!(done.stdout, format!("contentampoule-{task}\n"), "{done:?}");
        assert_eq!(home.ampoule(&["kill", task]).code, Some(0));
    }
    assert_eq!(home.inspect(&task)["start"]["how"], "pool");
    assert_eq!(home.inspect(copy)["start"]["how"], "copied");
    assert_eq!(home.ampoule(&["rm", &task, copy]).code, Some(0));
    pool.end(Signal::TERM);
    home.assert_nothing_left();
    let logs = fs::read_dir(home.path().join("s/ampoule/tasks")).unwrap();
    assert_eq!(logs.count(), 0);
}

#[test]
fn guests_that_are_old_are_replaced_and_a_pool_for_nobody_ends() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    // Binaries of its own, to be exchanged.
    let folder = home.path().join("bin");
    fs::create_dir(&folder).unwrap();
    for name in ["ampoule", "ampoule-vmm"] {
        fs::copy(binary(name), folder.join(name)).unwrap();
    }
    let like = home.command(&[]);
    let mut command = Command::new(folder.join("ampoule"));
    let variables = like
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    command.envs(variables).stdin(Stdio::null());
    command.args(["pool", "base", "--memory", "64M", "--size", "1"]);
    command.args(["--max-age", "4s"]).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pool = Pool { home: &home, child };
    pool.is_full();
    let first = vmms(&home);
    eventually("another waits", PATIENCE, || {
        let now = vmms(&home);
        now.len() == 1 && now != first
    });
    fs::copy(binary("ampoule-vmm"), folder.join("new")).unwrap();
    fs::rename(folder.join("new"), folder.join("ampoule-vmm")).unwrap();
    let done = Done::from(pool.child.wait_with_output().unwrap());
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("start the pool again"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn a_guest_whose_taker_is_killed_goes_and_another_waits() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 1);
    let args = ["run", "--memory", "64M", "--", "sleep", "1000"];
    let mut child = home.piped(&args);
    eventually("it took the guest", PATIENCE, || {
        pool.status().is_some_and(|status| status["taken"] == 1)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    pool.is_full();
    eventually("a next command frees the other", PATIENCE, || {
        home.ampoule(&["ps"]);
        vmms(&home).len() == 1
    });
    assert_eq!(run(&home, &[], "echo ran").stdout, "ran\n");
    assert_eq!(how(&home).0, "pool");
    pool.end(Signal::TERM);
    eventually("nothing is left", PATIENCE, || {
        home.ampoule(&["ps"]);
        home.holds_nothing()
    });
}

#[test]
fn many_tasks_at_once_take_each_another_guest_or_none() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 2);
    let args = ["run", "--memory", "64M", "--json", "--", "hostname"];
    let children: Vec<_> = (0..5).map(|_| home.piped(&args)).collect();
    let mut from_pool = 0;
    for child in children {
        let done = Done::from(child.wait_with_output().unwrap());
        assert_eq!(done.code, Some(0), "{done:?}");
        let (name, report) = done.stdout.split_once('\n').unwrap();
        let report: Value = serde_json::from_str(report).unwrap();
        assert_eq!(
            name,
            format!("ampoule-{}", report["task"].as_str().unwrap())
        );
        let start = &report["start"];
        match start["how"].as_str().unwrap() {
            "pool" => from_pool += 1,
            _ => assert_eq!(start["why"], "the pool is empty", "{start}"),
        }
    }
    assert!(from_pool >= 2, "{from_pool}");
    pool.end(Signal::TERM);
    home.assert_nothing_left();
}

#[test]
fn a_pool_of_other_guests_is_not_used() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 1);
    for options in [vec!["--cpus", "2"], vec!["--memory", "65M"], vec!["--cold"]] {
        let args = ["run"].iter().chain(&options);
        let mut args: Vec<&str> = args.copied().collect();
        if options[0] != "--memory" {
            args.extend(["--memory", "64M"]);
        }
        args.extend(["--", "true"]);
        assert_eq!(home.ampoule(&args).code, Some(0));
        assert_eq!(how(&home).0, "cold", "{options:?}");
    }
    assert_eq!(pool.status().unwrap()["taken"], 0);
    let second = home.ampoule(&["pool", "base", "--memory", "64M", "--size", "1"]);
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(second.stderr.contains("runs already"), "{second:?}");
    pool.end(Signal::TERM);
    // Templates of the other kinds may be made meanwhile.
    eventually("nothing is left", PATIENCE, || home.holds_nothing());
}

#[test]
fn a_pool_larger_than_memory_is_refused_in_one_line() {
    let Some(home) = Home::new() else { return };
    let done = home.ampoule(&["pool", "base", "--size", "1000", "--memory", "1G"]);
    assert_eq!((done.code, done.stderr.lines().count()), (Some(1), 1));
    assert!(done.stderr.contains("use --size "), "{done:?}");
    let done = home.ampoule(&["pool", "base", "--size", "1", "--memory", "1024G"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("give less --memory"), "{done:?}");
    home.assert_nothing_left();
}

#[test]
fn whatever_is_wrong_with_a_pool_the_task_runs_and_says_why() {
    let Some(home) = Home::with_own_templates() else {
        return;
    };
    let pool = Pool::start(&home, 1);
    let socket = pool.socket();
    // A guest that says nothing any more.
    signal(vmms(&home)[0], Signal::STOP);
    let done = run(&home, &[], "echo ran");
    assert_eq!((done.code, &*done.stdout), (Some(0), "ran\n"), "{done:?}");
    let (is, why) = how(&home);
    assert!(is == "restored" && why.contains("of no use"), "{is} {why}");
    // One whose VMM was killed is replaced before anybody takes it.
    pool.is_full();
    signal(vmms(&home)[0], Signal::KILL);
    pool.is_full();
    assert_eq!(run(&home, &[], "echo ran").stdout, "ran\n");
    // A pool that does not answer, one that is dead, and one in a folder for all to enter.
    signal(pool.child.id(), Signal::STOP);
    let since = Instant::now();
    assert_eq!(run(&home, &[], "echo ran").stdout, "ran\n");
    assert!(how(&home).1.contains("did not answer"), "{since:?}");
    signal(pool.child.id(), Signal::CONT);
    pool.end(Signal::TERM);
    home.assert_nothing_left();
    let folder = socket.parent().unwrap();
    fs::create_dir(folder).unwrap();
    assert_eq!(run(&home, &[], "echo ran").stdout, "ran\n");
    assert!(how(&home).1.contains("not this user's alone"));
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(folder, private).unwrap();
    fs::write(&socket, "").unwrap();
    assert_eq!(run(&home, &[], "echo ran").stdout, "ran\n");
    let (is, why) = how(&home);
    assert!(
        is == "restored" && why.contains("cannot be reached"),
        "{why}"
    );
    fs::remove_dir_all(folder).unwrap();
    home.assert_nothing_left();
}
