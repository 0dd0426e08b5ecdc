// SPDX-License-Identifier: Apache-2.0
//! The loop's thread of one task, between a supervisor and a gate that are the test's.

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use policy::approval::desk;
use policy::approval::event::{Event, Extent, Yes};
use policy::approval::item::State;
use policy::approval::store::Filter;
use policy::approval::{Item, ItemId, Store};
use prost::Message;
use protocol::actions::{
    Act, Asked, Connect, Declared, Grants, GuestFile, Hold, Intent, Reply, Run, Verdict, Withdrawn,
    Write,
};
use protocol::messages::Hello;
use protocol::{Kind, VERSION, read_frame, write_message};
use serde_json::Value;
use tempfile::TempDir;

mod asking;
mod held;
mod plans;
mod policies;
mod said;
mod verdicts;

use super::serve::{Server, Shared};
use super::task::{self, SHARE};
use super::wire::{Answer, Begin, FromLoop, Root, ToLoop, Waits};
use crate::api::{Lines, Received, send_line};
use crate::approvals::{Approvals, now_ms};
use crate::folders::Folders;
use crate::task::{Bytes, OnAsk};

/// How long anything may take that has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A task with a workspace, in which there are some folders to lose.
fn begin(dir: &Path) -> Begin {
    let workspace = dir.join("workspace");
    let numbered = (0..40).map(|number| format!("src{number}"));
    for name in ["src".to_owned(), "lib".to_owned()]
        .into_iter()
        .chain(numbered)
    {
        fs::create_dir_all(workspace.join(&name)).unwrap();
        fs::write(workspace.join(&name).join("a"), "what is lost").unwrap();
    }
    Begin {
        task: "0000aaaa".parse().unwrap(),
        folders: Folders::below(dir),
        image: "base".to_owned(),
        argv: vec![Bytes::from("agent")],
        workspace: Some(workspace),
        policies: Vec::new(),
        on_ask: OnAsk::Wait,
        wait_ms: 60_000,
        ungated: false,
        plan: None,
        held: policy::posture::Held::default(),
        again: false,
    }
}

/// A supervisor, with the loop's thread at its other end.
struct Rig {
    folders: Folders,
    socket: OwnedFd,
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

impl Rig {
    fn start(begin: Begin) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let thread = std::thread::Builder::new().stack_size(16 << 20);
        let shared = Arc::new(Shared::default());
        let thread = thread.spawn(move || task::serve(theirs.into(), &shared).unwrap());
        let rig = Self {
            folders: begin.folders.clone(),
            socket: ours.into(),
            lines: Lines::default(),
            thread: Some(thread.unwrap()),
        };
        rig.say(&ToLoop::Begin(Box::new(begin)));
        rig
    }

    /// One whose task has begun, with its gate.
    fn with_guest(begin: Begin) -> (Self, Guest) {
        let mut rig = Self::start(begin);
        let begun = rig.hear();
        assert!(
            matches!(begun, FromLoop::Begun { gated: true, .. }),
            "{begun:?}"
        );
        let guest = rig.guest();
        (rig, guest)
    }

    fn guest(&mut self) -> Guest {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send_line(&self.socket, &ToLoop::Guest, Some(theirs.as_fd()), true).unwrap();
        let mut guest = Guest {
            stream: ours,
            next: 1,
        };
        let hello = Hello {
            version: VERSION,
            boot_ns: 1,
        };
        guest.say(Kind::Hello, &hello);
        guest
    }

    fn say(&self, line: &ToLoop) {
        send_line(&self.socket, line, None, true).unwrap();
    }

    fn try_hear(&mut self) -> Option<FromLoop> {
        loop {
            if let Some(line) = self.lines.take().unwrap() {
                return Some(line);
            }
            if self.lines.receive(&self.socket, true).unwrap() == Received::Closed {
                return None;
            }
        }
    }

    /// What it says next, but for whether people are waited for.
    fn hear(&mut self) -> FromLoop {
        loop {
            match self.try_hear().unwrap() {
                FromLoop::Waits(_) => {}
                said => return said,
            }
        }
    }

    /// What it says next of whether people are waited for.
    fn waits(&mut self) -> Waits {
        loop {
            if let FromLoop::Waits(waits) = self.try_hear().unwrap() {
                return waits;
            }
        }
    }

    /// Asks about a root action; the first answer that is a verdict.
    fn root(&mut self, root: u64, argv: &[&str]) -> (Answer, String) {
        self.say(&ToLoop::Root(Root {
            root,
            argv: argv.iter().map(|word| Bytes::from(*word)).collect(),
            cwd: None,
            env: vec!["PATH".to_owned()],
            by: "run".to_owned(),
        }));
        self.verdict(root)
    }

    fn verdict(&mut self, wanted: u64) -> (Answer, String) {
        loop {
            if let FromLoop::Verdict {
                root,
                verdict,
                reason,
            } = self.hear()
            {
                assert_eq!(root, wanted);
                return (verdict, reason);
            }
        }
    }

    fn store(&self) -> Approvals {
        Approvals::open(&self.folders).unwrap()
    }

    fn item(&self, id: &str) -> Item {
        self.store().load(&id.parse().unwrap()).unwrap().0
    }

    fn decide(&self, id: &str, yes: bool) {
        let (store, id): (_, ItemId) = (self.store(), id.parse().unwrap());
        let by: policy::approval::Person = "ada".parse().unwrap();
        let seen = self.item(id.as_str()).revision();
        let event = match yes {
            true => Event::Approve(Yes {
                by,
                seen,
                extent: Extent::Once,
                note: None,
            }),
            false => Event::Deny {
                by,
                seen: None,
                note: Some("not that one".to_owned()),
            },
        };
        desk::act(&store, &id, &event, now_ms()).unwrap();
    }

    /// All that was recorded, once the loop has gone.
    fn recorded(self) -> Vec<Value> {
        let path = crate::events::path(&self.folders);
        self.end();
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }

    fn end(mut self) {
        drop(self.socket);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// A gate in a guest.
struct Guest {
    stream: UnixStream,
    next: u64,
}

impl Guest {
    fn say(&mut self, kind: Kind, message: &impl Message) {
        write_message(&mut self.stream, kind, message).unwrap();
    }

    fn hear<M: Message + Default>(&mut self, kind: Kind) -> M {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        loop {
            let frame = read_frame(&mut self.stream).unwrap();
            if frame.kind == kind {
                return frame.decode(kind).unwrap();
            }
            assert!(
                matches!(frame.kind, Kind::Grants | Kind::Hold),
                "{:?}",
                frame.kind
            );
        }
    }

    fn intend(&mut self, root: u64, act: Act, files: Vec<GuestFile>) -> u64 {
        let id = self.next;
        self.next += 1;
        let intent = Intent {
            id,
            root,
            pid: 7,
            cwd: b"/workspace".to_vec(),
            act: Some(act),
            cut: false,
            files,
        };
        self.say(Kind::Intent, &intent);
        id
    }

    fn run(&mut self, root: u64, argv: &[&str]) -> u64 {
        self.intend(root, program(argv), Vec::new())
    }

    /// Says a line on the gate's socket.
    fn line(&mut self, root: u64, json: &str) -> u64 {
        let id = self.next;
        self.next += 1;
        let json = json.into();
        self.say(Kind::Declared, &Declared { id, root, json });
        id
    }

    /// The next line for it: what the client in the guest reads of it, and all of it.
    fn answer(&mut self, id: u64) -> (String, Value) {
        let reply: Reply = self.hear(Kind::Reply);
        assert_eq!(reply.id, id);
        let json = String::from_utf8(reply.json).unwrap();
        assert!(!json.contains('\n'), "{json}");
        let line: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(line["id"], id);
        assert_eq!(line["final"], reply.last);
        // Without blanks: the client in the guest has no JSON library.
        assert_eq!(json.contains("\"final\":true"), reply.last, "{json}");
        let verdict = line["verdict"].as_str().unwrap().to_owned();
        assert!(
            json.contains(&format!("\"verdict\":\"{verdict}\"")),
            "{json}"
        );
        assert!(line["text"].is_string(), "{json}");
        (verdict, line)
    }

    fn verdict(&mut self, id: u64) -> Verdict {
        let verdict: Verdict = self.hear(Kind::Verdict);
        assert_eq!(verdict.id, id);
        verdict
    }

    fn asked(&mut self, id: u64) -> String {
        let asked: Asked = self.hear(Kind::Asked);
        assert_eq!(asked.id, id);
        asked.approval
    }

    fn is_closed(&mut self) -> bool {
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        loop {
            match read_frame(&mut self.stream) {
                Ok(_) => {}
                Err(protocol::FrameError::Io(error)) => {
                    return error.kind() == std::io::ErrorKind::ConnectionReset;
                }
                Err(_) => return true,
            }
        }
    }
}

fn program(argv: &[&str]) -> Act {
    let bytes = |word: &&str| word.as_bytes().to_vec();
    Act::Run(Run {
        program: format!("/usr/bin/{}", argv[0]).into_bytes(),
        argv: argv.iter().map(bytes).collect(),
        of_image: true,
        ..Run::default()
    })
}

fn wait_for(what: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < until, "it did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn policies(dir: &TempDir, text: &str) {
    let folder = Folders::below(dir.path()).config.join("policy");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("own.cedar"), text).unwrap();
}

const NO_MAKE: &str = "@id(\"no-make\")\n@reason(\"make is not used here\")\n\
    forbid (principal, action, resource)\nwhen { context.programs.contains(\"make\") };\n";
