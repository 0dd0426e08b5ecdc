// SPDX-License-Identifier: Apache-2.0
//! A host that decides by a rule, and the ground on which commands are run.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::thread;

use protocol::actions::{Act, Done, Gate, Hold, Intent, Verdict};
use protocol::messages::{Exec, Hello};
use protocol::{Kind, read_frame, write_message};

use super::support::*;

/// Of what ends so nothing is decided.
pub(crate) const THINKS: &str = "undecided";

/// A host that decides by a rule, and remembers what it was asked and told.
pub(crate) struct Policy {
    pub(crate) asked: Arc<Mutex<Vec<Intent>>>,
    pub(crate) told: Arc<Mutex<Vec<Done>>>,
}

impl Policy {
    pub(crate) fn of(
        connections: Receiver<UnixStream>,
        hold: Hold,
        allows: impl Fn(&Intent) -> bool + Send + 'static,
    ) -> Self {
        let (asked, told) = (Arc::default(), Arc::default());
        let policy = Self { asked, told };
        let (asked, told) = (Arc::clone(&policy.asked), Arc::clone(&policy.told));
        thread::spawn(move || {
            // None comes of a command that needs nobody.
            let Ok(mut stream) = connections.recv() else {
                return;
            };
            expect::<Hello>(&mut stream, Kind::Hello);
            write_message(&mut stream, Kind::Hold, &hold).unwrap();
            while let Ok(frame) = read_frame(&mut stream) {
                if frame.kind == Kind::Done {
                    told.lock().unwrap().push(frame.decode(Kind::Done).unwrap());
                }
                if frame.kind != Kind::Intent {
                    continue;
                }
                let intent: Intent = frame.decode(Kind::Intent).unwrap();
                let allow = allows(&intent);
                let thinks = short(&intent).ends_with(THINKS);
                let id = intent.id;
                asked.lock().unwrap().push(intent);
                if thinks {
                    continue;
                }
                let verdict = Verdict {
                    id,
                    allow,
                    ..Verdict::default()
                };
                write_message(&mut stream, Kind::Verdict, &verdict).unwrap();
            }
        });
        policy
    }

    /// What was asked, in short.
    pub(crate) fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(short).collect()
    }
}

pub(crate) fn short(intent: &Intent) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match intent.act.as_ref().unwrap() {
        Act::Run(run) => {
            let argv: Vec<_> = run.argv.iter().map(|word| text(word)).collect();
            format!("run {}", argv.join(" "))
        }
        Act::Write(write) => format!("write {}", text(&write.path)),
        Act::Remove(path) => format!("remove {}", text(path)),
        Act::Rename(rename) => format!("rename {} {}", text(&rename.from), text(&rename.to)),
        Act::Connect(connect) => format!("connect {} {}", connect.family, connect.to),
    }
}

/// A folder with a workspace, a free folder and one outside both.
pub(crate) struct Ground {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for name in ["ws", "free", "out"] {
            fs::create_dir(root.join(name)).unwrap();
        }
        Self { _dir: dir, root }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Runs a shell script under the gate.
    pub(crate) fn run(
        &self,
        script: &str,
        allows: impl Fn(&Intent) -> bool + Send + 'static,
    ) -> (Outcome, Policy) {
        self.run_command(sh(script), allows)
    }

    pub(crate) fn run_command(
        &self,
        exec: Exec,
        allows: impl Fn(&Intent) -> bool + Send + 'static,
    ) -> (Outcome, Policy) {
        self.run_held(exec, Hold::default(), allows)
    }

    pub(crate) fn run_held(
        &self,
        exec: Exec,
        hold: Hold,
        allows: impl Fn(&Intent) -> bool + Send + 'static,
    ) -> (Outcome, Policy) {
        let mut host = Host::with_workspace(self.at("ws"));
        let free = [
            self.at("ws"),
            self.at("free"),
            "/dev".into(),
            "/proc".into(),
        ];
        let bytes = |path: &PathBuf| path.to_str().unwrap().as_bytes().to_vec();
        let gate = Gate {
            root: 7,
            free: free.iter().map(bytes).collect(),
        };
        let (_, mut stdio) = host.begin(Exec {
            gate: Some(gate),
            ..exec
        });
        let policy = Policy::of(host.actions(), hold, allows);
        let started: protocol::messages::Started = expect(&mut host.agent, Kind::Started);
        assert!(started.pid > 0);
        let (stdout, stderr) = output(&mut stdio);
        let outcome = Outcome {
            stdout,
            stderr,
            exited: host.exited(),
        };
        (outcome, policy)
    }
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
