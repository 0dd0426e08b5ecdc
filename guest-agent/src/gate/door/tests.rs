// SPDX-License-Identifier: Apache-2.0

use std::net::Shutdown;
use std::path::PathBuf;

use rustix::event::{PollFd, Timespec, poll};

use super::*;

/// A door in a folder of its own, and the gate's part of serving it.
struct Served {
    door: Door,
    socket: PathBuf,
    /// What was said, the numbers from 1.
    said: Vec<Declared>,
    _dir: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("run/agent.sock");
        Self {
            door: Door::open(Some(&socket)),
            socket,
            said: Vec::new(),
            _dir: dir,
        }
    }

    fn connect(&mut self) -> UnixStream {
        let client = UnixStream::connect(&self.socket).unwrap();
        client.set_nonblocking(true).unwrap();
        self.settle();
        client
    }

    /// One turn of the gate's loop; whether anything was ready.
    fn turn(&mut self) -> bool {
        let (mut parts, mut fds) = (Vec::new(), Vec::new());
        self.door.watch(false, &mut |part, fd, flags| {
            parts.push(part);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        });
        poll(&mut fds, Some(&Timespec::default())).unwrap();
        let flags: Vec<_> = fds.iter().map(PollFd::revents).collect();
        let ready = parts.into_iter().zip(flags);
        let ready: Vec<_> = ready.filter(|(_, flags)| !flags.is_empty()).collect();
        for (part, flags) in &ready {
            if let Part::Listener = part {
                if let Some(accepted) = self.door.accept() {
                    self.door.add(accepted, 7);
                }
                continue;
            }
            for said in self.door.on(*part, *flags) {
                let declared = Declared {
                    id: self.said.len() as u64 + 1,
                    root: said.root,
                    json: said.line,
                };
                self.door.said(said.client, declared.clone());
                self.said.push(declared);
            }
        }
        !ready.is_empty()
    }

    /// Turns until nothing is ready, which a loop that spins never comes to.
    fn settle(&mut self) {
        assert!((0..1000).any(|_| !self.turn()), "it spins");
    }

    fn reply(&mut self, id: u64, json: &str, last: bool) {
        let json = json.as_bytes().to_vec();
        self.door.reply(&Reply { id, json, last });
        self.settle();
    }
}

/// What a client has to read by now; whether that is all there will be.
fn read(client: &mut UnixStream) -> (String, bool) {
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    loop {
        match client.read(&mut piece) {
            Ok(0) => return (text, true),
            Ok(read) => text.push_str(std::str::from_utf8(&piece[..read]).unwrap()),
            Err(e) if not_now(&e) => return (text, false),
            Err(e) => panic!("{e}"),
        }
    }
}

#[test]
fn lines_for_which_there_was_no_room_are_taken_once_there_is() {
    let mut served = Served::new();
    let mut client = served.connect();
    let all = MOST_OPEN + 30;
    client.write_all("{}\n".repeat(all).as_bytes()).unwrap();
    served.settle();
    assert_eq!(served.said.len(), MOST_OPEN);
    for id in 1..=all as u64 {
        served.reply(id, "{}", true);
    }
    assert_eq!(served.said.len(), all);
    assert_eq!(read(&mut client), ("{}\n".repeat(all), false));
}

fn ends(client: &UnixStream, how: Shutdown) {
    client.shutdown(how).unwrap();
}

#[test]
fn who_has_said_all_is_let_go_after_the_last_answer() {
    let mut served = Served::new();
    let mut client = served.connect();
    client
        .write_all(b"{\"a\":1}\n{\"b\":2}\n{\"c\":3}")
        .unwrap();
    ends(&client, Shutdown::Write);
    served.settle();
    let said = served.said.last().map(|said| said.json.as_slice());
    assert_eq!((served.said.len(), said), (3, Some(&b"{\"c\":3}"[..])));
    served.reply(1, "asked", false);
    served.reply(2, "two", true);
    served.reply(3, "three", true);
    let answers = "asked\ntwo\nthree\n".to_owned();
    assert_eq!(read(&mut client), (answers, false));
    served.reply(1, "one", true);
    assert_eq!(read(&mut client), ("one\n".to_owned(), true));
    assert!(served.door.clients.is_empty());
    assert_eq!(served.door.gone(), [0; 0]);
    // One that never says anything.
    let mut silent = served.connect();
    ends(&silent, Shutdown::Write);
    served.settle();
    assert_eq!(read(&mut silent), (String::new(), true));
}

#[test]
fn who_has_said_all_is_answered_what_there_was_no_room_for() {
    let mut served = Served::new();
    let mut client = served.connect();
    let all = MOST_OPEN + 30;
    client.write_all("{}\n".repeat(all).as_bytes()).unwrap();
    ends(&client, Shutdown::Write);
    served.settle();
    for id in 1..=all as u64 {
        served.reply(id, "{}", true);
    }
    assert_eq!(read(&mut client), ("{}\n".repeat(all), true));
}

#[test]
fn who_has_said_all_and_reads_slowly_is_let_go_when_all_is_written() {
    let mut served = Served::new();
    let mut client = served.connect();
    client.write_all(b"{}\n{}\n{}\n{}\n").unwrap();
    ends(&client, Shutdown::Write);
    served.settle();
    // More than a socket takes at once.
    let long = "x".repeat(MOST_WAITING / 4);
    for id in 1..=4 {
        served.reply(id, &long, true);
    }
    assert_eq!(served.door.clients.len(), 1);
    let (mut all, mut ended) = (String::new(), false);
    while !ended {
        let (text, end) = read(&mut client);
        (all, ended) = (all + &text, end);
        served.settle();
    }
    assert!(all == format!("{long}\n").repeat(4), "{}", all.len());
}

#[test]
fn who_has_said_all_and_closes_is_gone() {
    let mut served = Served::new();
    let mut client = served.connect();
    client.write_all(b"{}\n").unwrap();
    ends(&client, Shutdown::Write);
    served.settle();
    assert_eq!(served.door.gone(), [0; 0]);
    drop(client);
    served.settle();
    assert_eq!(served.door.gone(), [1]);
}

#[test]
fn what_a_client_that_is_gone_asked_is_withdrawn_and_what_others_asked_stays() {
    let mut served = Served::new();
    let mut stays = served.connect();
    stays.write_all(b"{}\n").unwrap();
    for closes in [false, true] {
        let mut client = served.connect();
        client.write_all(b"{}\n{}\n{}\n").unwrap();
        served.settle();
        let last = served.said.len() as u64;
        served.reply(last - 2, "{}", true);
        match closes {
            true => drop(client),
            false => ends(&client, Shutdown::Both),
        }
        served.settle();
        // What was answered is not among it, and it is told once.
        assert_eq!(served.door.gone(), [last - 1, last]);
        assert_eq!(served.door.gone(), [0; 0]);
        // An answer that comes too late is nobody's.
        served.reply(last, "late", true);
    }
    let open: Vec<u64> = served.door.declared().map(|said| said.id).collect();
    assert_eq!(open, [1]);
    served.reply(1, "{}", true);
    assert_eq!(read(&mut stays), ("{}\n".to_owned(), false));
}

#[test]
fn who_is_silent_longest_makes_room() {
    let mut served = Served::new();
    let mut clients: Vec<_> = (0..MOST_CLIENTS).map(|_| served.connect()).collect();
    // It came first, and said something since.
    clients[0].write_all(b"{}\n").unwrap();
    served.settle();
    served.reply(1, "{}", true);
    let mut new = served.connect();
    new.write_all(b"new\n").unwrap();
    served.settle();
    assert_eq!(served.said.last().unwrap().json, b"new");
    for (at, client) in clients.iter_mut().enumerate() {
        let wanted = match at {
            0 => ("{}\n".to_owned(), false),
            1 => (MADE_ROOM.to_owned(), true),
            _ => (String::new(), false),
        };
        assert_eq!(read(client), wanted, "{at}");
    }
    assert_eq!(served.door.gone(), [0; 0]);
}

#[test]
fn when_something_waits_of_each_the_new_one_is_refused() {
    let mut served = Served::new();
    let mut clients: Vec<_> = (0..MOST_CLIENTS).map(|_| served.connect()).collect();
    let long = "x".repeat(MOST_WAITING - 1);
    for (at, client) in clients.iter_mut().enumerate() {
        client
            .write_all([&b"{}\n"[..], b"{", b"{}\n"][at % 3])
            .unwrap();
        served.settle();
        if at % 3 == 2 {
            served.reply(served.said.len() as u64, &long, true);
        }
    }
    // What it says is not read yet when the new one comes.
    served.reply(1, "{}", true);
    clients[0].write_all(b"more\n").unwrap();
    let mut new = UnixStream::connect(&served.socket).unwrap();
    assert!(served.door.accept().is_none());
    let mut told = String::new();
    new.read_to_string(&mut told).unwrap();
    assert_eq!(told, NO_ROOM);
    // Once one is answered there is room.
    served.settle();
    assert_eq!(served.said.last().unwrap().json, b"more");
    served.reply(served.said.len() as u64, "{}", true);
    let mut new = served.connect();
    assert_eq!(read(&mut new), (String::new(), false));
    let told = read(&mut clients[0]);
    assert_eq!(told, (format!("{{}}\n{{}}\n{MADE_ROOM}"), true));
    assert_eq!(served.door.clients.len(), MOST_CLIENTS);
    assert_eq!(served.door.gone(), [0; 0]);
}

#[test]
fn nobody_is_heard_while_the_host_is_behind_and_who_said_much_waits_for_it() {
    let mut served = Served::new();
    let (_much, _little) = (served.connect(), served.connect());
    let hears = |served: &Served, is_behind| {
        let mut hears = Vec::new();
        served.door.watch(is_behind, &mut |part, _, flags| {
            if let Part::Client(_) = part {
                hears.push(flags.contains(PollFlags::IN));
            }
        });
        hears
    };
    assert_eq!(hears(&served, false), [true, true]);
    assert_eq!(hears(&served, true), [false, false]);
    let whose = *served.door.clients.keys().next().unwrap();
    for id in 1..=16 {
        let json = vec![b' '; 1 << 20];
        let declared = Declared { id, root: 7, json };
        served.door.said(whose, declared);
    }
    assert_eq!(hears(&served, false), [false, true]);
    served.reply(1, "{}", true);
    assert_eq!(hears(&served, false), [true, true]);
}
