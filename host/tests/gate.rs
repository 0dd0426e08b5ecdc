// SPDX-License-Identifier: Apache-2.0
//! The policy loop as a process: found, started, killed.
#![cfg(test)]

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use host::api::{Lines, Received, send_line};
use host::folders::Folders;
use host::gate::client::Place;
use host::gate::wire::{Begin, FromLoop, ToLoop};
use host::task::OnAsk;

/// How long a process may take to be there or gone.
const PATIENCE: Duration = Duration::from_secs(20);

fn folders(dir: &Path) -> Folders {
    Folders {
        data: dir.join("d"),
        state: dir.join("s"),
        cache: dir.join("c"),
        runtime: dir.join("r"),
        config: dir.join("f"),
    }
}

fn place(folders: &Folders) -> Place {
    Place::of(folders, env!("CARGO_BIN_EXE_ampoule-policy").into()).unwrap()
}

/// Has a task begin; what it is told, unless the loop ends before it says anything.
fn begin(socket: &OwnedFd, folders: &Folders) -> Option<FromLoop> {
    let begin = Begin {
        task: "0000aaaa".parse().unwrap(),
        folders: folders.clone(),
        image: "base".to_owned(),
        argv: vec!["true".into()],
        workspace: None,
        policies: Vec::new(),
        on_ask: OnAsk::Wait,
        wait_ms: 1000,
        ungated: false,
        plan: None,
        held: policy::posture::Held::default(),
        again: false,
    };
    send_line(socket, &ToLoop::Begin(Box::new(begin)), None, true).ok()?;
    let mut lines = Lines::default();
    loop {
        if let Some(line) = lines.take().unwrap() {
            return Some(line);
        }
        if lines.receive(socket, true).ok()? == Received::Closed {
            return None;
        }
    }
}

/// The processes that serve a socket.
fn servers(socket: &Path) -> Vec<i32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let serves = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.windows(socket.as_os_str().len())
            .any(|part| part == socket.as_os_str().as_encoded_bytes())
    };
    pids.filter(serves).collect()
}

fn wait_for(what: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < until, "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The session of a process (proc(5), `stat`, field 6).
fn session(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    after_name.split(' ').nth(3).unwrap().parse().unwrap()
}

fn is_gated(told: &Option<FromLoop>) -> bool {
    matches!(told, Some(FromLoop::Begun { gated: true, .. }))
}

#[test]
fn the_first_task_starts_the_loop_and_the_next_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let folders = folders(dir.path());
    let place = place(&folders);
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let (place, folders) = (place.clone(), folders.clone());
            std::thread::spawn(move || {
                let socket = place.connect(&folders).unwrap();
                let told = begin(&socket, &folders);
                (socket, told)
            })
        })
        .collect();
    let tasks: Vec<_> = starting
        .into_iter()
        .map(|task| task.join().unwrap())
        .collect();
    assert!(tasks.iter().all(|(_, told)| is_gated(told)), "{tasks:?}");
    assert_eq!(servers(&place.socket).len(), 1);
    // It has nothing of this process's but what it was given.
    let pid = servers(&place.socket)[0];
    assert!(fs::read(format!("/proc/{pid}/environ")).unwrap().is_empty());
    // A session that was led from outside this namespace of processes has the number 0 here.
    assert_eq!(session(pid), pid, "the loop leads a session of its own");
    drop(tasks);
    // Nobody can find it any more, and nobody needs it.
    fs::remove_dir_all(&folders.runtime).unwrap();
    wait_for(|| servers(&place.socket).is_empty());
}

#[test]
fn a_loop_that_was_killed_is_started_again_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let folders = folders(dir.path());
    let place = place(&folders);
    let socket = place.connect(&folders).unwrap();
    assert!(is_gated(&begin(&socket, &folders)));
    let killed = servers(&place.socket)[0];
    let pid = rustix::process::Pid::from_raw(killed).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let mut stream = UnixStream::from(socket.as_fd().try_clone_to_owned().unwrap());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    // The killed one may listen for a moment longer than it talks.
    let socket = loop {
        let socket = place.connect(&folders).unwrap();
        if is_gated(&begin(&socket, &folders)) {
            break socket;
        }
    };
    let now = servers(&place.socket);
    assert!(now.iter().any(|pid| *pid != killed), "{now:?}");
    drop(socket);
    fs::remove_dir_all(&folders.runtime).unwrap();
    // The killed one is our child and waits to be reaped: it has no command line any more.
    wait_for(|| servers(&place.socket).is_empty());
}
