// SPDX-License-Identifier: Apache-2.0

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use protocol::actions::Reply;
use protocol::messages::Hello;
use protocol::{read_frame, write_message};

use super::*;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(10);

struct Host(Mutex<Sender<UnixStream>>);

impl Connect for Host {
    fn connect(&self, _port: u32) -> io::Result<OwnedFd> {
        let (host, gate) = UnixStream::pair()?;
        host.set_read_timeout(Some(PATIENCE))?;
        let to = self.0.lock().map_err(|_| io::ErrorKind::Other)?;
        to.send(host).map_err(io::Error::other)?;
        Ok(gate.into())
    }
}

#[test]
fn what_a_program_asked_that_does_not_read_is_withdrawn_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("run/agent.sock");
    let (hosts, connected) = mpsc::channel();
    let host = Arc::new(Host(Mutex::new(hosts)));
    let gate = Gate::start(host, Some(socket.clone()), false).unwrap();
    let mut program = loop {
        match UnixStream::connect(&socket) {
            Ok(program) => break program,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    };
    program.write_all(b"{}\n{}\n").unwrap();
    let mut host = connected.recv_timeout(PATIENCE).unwrap();
    let mut next = || read_frame(&mut host).unwrap();
    next().decode::<Hello>(Kind::Hello).unwrap();
    let declared = [(); 2].map(|()| next().decode::<Declared>(Kind::Declared).unwrap().id);
    let long = Reply {
        id: declared[0],
        json: vec![b'x'; 60 * 1024],
        last: false,
    };
    for _ in 0..10 {
        write_message(&mut host, Kind::Reply, &long).unwrap();
    }
    let mut next = || read_frame(&mut host).unwrap();
    let withdrawn = [(); 2].map(|()| next().decode::<Withdrawn>(Kind::Withdrawn).unwrap().id);
    assert_eq!(withdrawn, declared);
    gate.end();
}
