// SPDX-License-Identifier: Apache-2.0
//! One home a test, the commands run in it, and what must not be left afterwards.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before a test gives up on it. A guest that runs in emulation
/// inside emulation boots in seconds, and several tests share two cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const PERMIT_ALL: &str = "@id(\"tests:all\")\n@reason(\"nobody is asked\")\n\
                          permit (principal, action, resource);\n";

/// Folders of one test: state, cache and runtime are its own, images are the user's.
pub(crate) struct Home {
    dir: TempDir,
    /// Templates are its own too.
    own_templates: bool,
}

/// What a command printed and returned.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Home {
    /// A fresh home, or nothing (said on stderr) where no guest can run. What its tasks do is gated
    /// and permitted: most tests are about something else than what people would be asked about.
    pub(crate) fn new() -> Option<Self> {
        let home = Self::judged()?;
        let policy = home.path().join("f/ampoule/policy");
        fs::create_dir_all(&policy).unwrap();
        fs::write(policy.join("limits.toml"), "built_in = false\n").unwrap();
        fs::write(policy.join("all.cedar"), PERMIT_ALL).unwrap();
        Some(home)
    }

    /// A fresh home with the policies of the first day.
    pub(crate) fn judged() -> Option<Self> {
        if let Some(why) = missing_kvm() {
            eprintln!("skipped: real guests need KVM with hardware behind it, and {why}");
            return None;
        }
        Some(Self {
            dir: tempfile::Builder::new().prefix("amp").tempdir().unwrap(),
            own_templates: false,
        })
    }

    /// A home with templates of its own, none at first. The images are the user's, by links.
    pub(crate) fn with_own_templates() -> Option<Self> {
        let mut home = Self::new()?;
        let data = user_data();
        fs::create_dir_all(home.data()).unwrap();
        for folder in ["images", "store"] {
            std::os::unix::fs::symlink(data.join(folder), home.data().join(folder)).unwrap();
        }
        home.own_templates = true;
        Some(home)
    }

    fn data(&self) -> PathBuf {
        self.path().join("d/ampoule")
    }

    /// The snapshots of its own templates.
    pub(crate) fn templates(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.data().join("templates"));
        let paths = entries.into_iter().flatten().flatten().map(|e| e.path());
        let snapshots = paths.filter(|path| path.extension().is_none());
        let snapshots = snapshots.map(|path| path.join("snapshot"));
        snapshots.filter(|path| path.is_file()).collect()
    }

    /// Makes the template of a guest of this size, as `ampoule run` has it made in the background.
    pub(crate) fn make_template(&self, memory_mib: u32, cpus: u8) {
        self.make_template_of("base", (memory_mib, cpus));
    }

    pub(crate) fn make_template_of(&self, image: &str, (memory_mib, cpus): (u32, u8)) {
        let scratch = u64::from(memory_mib) << 19;
        let resources = serde_json::json!({
            "memory_mib": memory_mib, "cpus": cpus, "scratch_bytes": scratch,
        });
        let request = serde_json::json!({ "image": image, "resources": resources });
        eventually("nobody else makes a template", PATIENCE, || {
            let done = self.ampoule(&["template", &request.to_string()]);
            assert!(matches!(done.code, Some(0 | 75)), "{done:?}");
            done.code == Some(0)
        });
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn runtime(&self) -> PathBuf {
        self.path().join("r/ampoule")
    }

    /// `ampoule ARGS` in this home, not yet started.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("ampoule"));
        for (variable, folder) in [
            ("XDG_STATE_HOME", "s"),
            ("XDG_CACHE_HOME", "c"),
            ("XDG_RUNTIME_DIR", "r"),
            ("XDG_CONFIG_HOME", "f"),
        ] {
            let folder = self.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            command.env(variable, folder);
        }
        if self.own_templates {
            command.env("XDG_DATA_HOME", self.path().join("d"));
        }
        command.args(args).stdin(Stdio::null());
        command
    }

    /// Runs `ampoule ARGS` to its end.
    pub(crate) fn ampoule(&self, args: &[&str]) -> Done {
        self.command(args).output().unwrap().into()
    }

    /// Runs `ampoule ARGS` with `input` as its stdin.
    pub(crate) fn fed(&self, args: &[&str], input: &[u8]) -> Done {
        let mut child = self.piped(args);
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&input));
        let done = child.wait_with_output().unwrap().into();
        let _ = feeder.join().unwrap();
        done
    }

    /// Starts `ampoule ARGS` with all three streams piped.
    pub(crate) fn piped(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// `ampoule inspect TASK`, parsed.
    pub(crate) fn inspect(&self, task: &str) -> serde_json::Value {
        let done = self.ampoule(&["inspect", task]);
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:?}"))
    }

    /// The ids that `ampoule ps -a` knows, newest first.
    pub(crate) fn tasks(&self) -> Vec<String> {
        let done = self.ampoule(&["ps", "-a", "--json"]);
        let rows: Vec<serde_json::Value> = done
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        rows.iter()
            .map(|row| row["task"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Starts a detached task and returns its id.
    pub(crate) fn detach(&self, args: &[&str]) -> String {
        let done = self.ampoule(&[&["run", "-d"], args].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout.trim().to_owned()
    }

    /// Asserts that within a second nothing of this home's tasks is left on the machine.
    pub(crate) fn assert_nothing_left(&self) {
        eventually(
            "the last guest leaves nothing",
            Duration::from_secs(1),
            || self.holds_nothing(),
        );
    }

    /// Whether nothing of this home's tasks is on the machine. The policy loop is the user's and
    /// waits a minute for another task.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.folders().is_empty() && self.processes().is_empty() && self.cgroups().is_empty()
    }

    /// What is in the runtime folder, but for the policy loop's socket and lock.
    pub(crate) fn folders(&self) -> Vec<OsString> {
        let entries = fs::read_dir(self.runtime()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name());
        let of_loop = |name: &OsString| name.to_string_lossy().starts_with("policy");
        names.filter(|name| !of_loop(name)).collect()
    }

    /// Cgroups of this home's tasks, wherever on the host they were made.
    fn cgroups(&self) -> Vec<PathBuf> {
        let tasks = fs::read_dir(self.path().join("s/ampoule/tasks")).into_iter();
        let tasks: Vec<_> = tasks.flatten().flatten().map(|e| e.file_name()).collect();
        let mut found = folders("/sys/fs/cgroup".into());
        found.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            tasks
                .iter()
                .any(|task| name.ends_with(&*task.to_string_lossy()))
        });
        found
    }

    /// Processes of this home's tasks: all but the policy loop.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut all = self.all_processes();
        all.retain(|pid| name_of(*pid).as_deref() != Some("ampoule-policy"));
        all
    }

    /// Processes that hold a file of this home open or were started with one of its paths.
    fn all_processes(&self) -> Vec<u32> {
        let home = self.path().to_string_lossy().into_owned();
        let pids = fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| {
                let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                String::from_utf8_lossy(&environ).contains(&home) || holds(*pid, &home)
            })
            .filter(|pid| *pid != std::process::id())
            .collect()
    }

    /// The process of this home whose executable is `name`.
    pub(crate) fn process(&self, name: &str) -> u32 {
        let found = self.find(name);
        found.unwrap_or_else(|| panic!("no process {name} in this home"))
    }

    /// The same, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let named = |pid: &u32| name_of(*pid).as_deref() == Some(name);
        self.all_processes().into_iter().find(named)
    }
}

fn name_of(pid: u32) -> Option<String> {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(comm.trim_end().to_owned())
}

/// Where the user's images are.
fn user_data() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".local/share");
    let data = std::env::var_os("XDG_DATA_HOME").map_or_else(home, PathBuf::from);
    data.join("ampoule")
}

/// All folders below `top`.
fn folders(top: PathBuf) -> Vec<PathBuf> {
    let mut all = vec![top];
    let mut next = 0;
    while let Some(folder) = all.get(next) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let below = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
        let below: Vec<_> = below.map(|e| e.path()).collect();
        all.extend(below);
        next += 1;
    }
    all
}

fn holds(pid: u32, home: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.to_string_lossy().contains(home))
}

/// The shipped (static, release) binary `name`.
pub(crate) fn binary(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root
        .join("target/x86_64-unknown-linux-musl/release")
        .join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo ci setup`",
        path.display()
    );
    path
}

fn missing_kvm() -> Option<&'static str> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))
        .unwrap_or_default();
    if !flags
        .split_whitespace()
        .any(|flag| flag == "svm" || flag == "vmx")
    {
        return Some("this CPU has neither svm nor vmx");
    }
    let kvm = fs::File::options().read(true).write(true).open("/dev/kvm");
    kvm.err().map(|_| "/dev/kvm does not open")
}

/// Waits until `condition` holds, or fails naming it.
#[track_caller]
pub(crate) fn eventually(what: &str, within: Duration, condition: impl Fn() -> bool) {
    let end = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Reads from `stream` until `text` was seen, and returns what came.
pub(crate) fn read_until(stream: &mut impl Read, text: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let n = stream.read(&mut byte).unwrap_or(0);
        assert!(
            n > 0,
            "ended before {text:?}: {:?}",
            String::from_utf8_lossy(&seen)
        );
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

/// Sends a signal by number to a process.
pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}
