// SPDX-License-Identifier: Apache-2.0
//! The smallest host there is for a guest of ours, the same for every monitor: it assigns, waits
//! for *ready*, has commands run and reads what they say.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use protocol::messages::{Assignment, Attach, Exec, Exited};
use protocol::{Frame, Kind, ports, read_frame, write_frame, write_message};

use super::arrivals::Arrivals;

const SCRATCH: u64 = 32 << 20;

/// A guest under a monitor that was just started.
pub(crate) struct Guest {
    monitor: Child,
    started: Instant,
    arrivals: Arrivals,
    /// Kept: a guest that loses its host ends.
    _control: File,
    agent: File,
    next: u32,
    patience: Duration,
    pub(crate) boot: Boot,
}

/// When it got where, from just before its monitor was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Boot {
    /// Its first vsock connection: the readiness signal that every monitor can give.
    pub(crate) connect: Duration,
    pub(crate) ready: Duration,
}

impl Guest {
    /// Starts a monitor and takes its guest to where it serves commands.
    pub(super) fn start(
        mut monitor: Command,
        arrivals: Arrivals,
        patience: Duration,
    ) -> Result<Self> {
        let started = Instant::now();
        let child = monitor.spawn();
        let child = child.with_context(|| {
            let program = Path::new(monitor.get_program());
            format!("cannot start {}", program.display())
        })?;
        Self::drive(child, started, arrivals, patience)
    }

    /// The same for one that was started.
    pub(super) fn drive(
        monitor: Child,
        started: Instant,
        arrivals: Arrivals,
        patience: Duration,
    ) -> Result<Self> {
        let mut monitor = Monitor(Some(monitor));
        let first = arrivals.next(ports::CONTROL, patience)?;
        let connect = first.when.duration_since(started);
        let mut control = first.stream;
        expect(&mut control, Kind::Hello)?;
        write_message(&mut control, Kind::Assignment, &assignment())?;
        let mut agent = arrivals.next(ports::AGENT, patience)?.stream;
        expect(&mut agent, Kind::Hello)?;
        expect(&mut agent, Kind::Ready)?;
        let ready = started.elapsed();
        let Some(monitor) = monitor.0.take() else {
            bail!("the monitor is gone");
        };
        Ok(Self {
            monitor,
            started,
            arrivals,
            _control: control,
            agent,
            next: 1,
            patience,
            boot: Boot { connect, ready },
        })
    }

    /// Since the monitor was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Runs a command as root, sends it `input` bytes of zeroes and gives what it wrote, up to
    /// `keep` bytes, how much that was, and when its first byte came.
    pub(crate) fn run(&mut self, argv: &[&str], input: u64, keep: usize) -> Result<Said> {
        let (id, began) = (self.next, Instant::now());
        self.next += 1;
        let exec = Exec {
            id,
            argv: argv.iter().map(|word| word.as_bytes().to_vec()).collect(),
            user: "0:0".to_owned(),
            cwd: b"/".to_vec(),
            stdin: input > 0,
            ..Exec::default()
        };
        write_message(&mut self.agent, Kind::Exec, &exec)?;
        let mut stdio = self.arrivals.next(ports::STDIO, self.patience)?.stream;
        let attach: Attach = read_frame(&mut stdio)?.decode(Kind::Attach)?;
        ensure!(attach.id == id, "the guest attached {} to {id}", attach.id);
        let mut said = Said::default();
        let fed = Instant::now();
        if input > 0 {
            feed(&mut stdio, input)?;
        }
        loop {
            let Frame { kind, body } = read_frame(&mut stdio)?;
            match kind {
                Kind::Stdout => {
                    said.first_byte.get_or_insert_with(|| began.elapsed());
                    said.bytes += body.len() as u64;
                    let room = keep.saturating_sub(said.text.len()).min(body.len());
                    said.text
                        .extend_from_slice(body.get(..room).unwrap_or_default());
                }
                Kind::Stderr => said.errors.extend_from_slice(&body),
                Kind::OutputEnd => break,
                other => bail!("{other:?} among a command's streams"),
            }
        }
        said.took = began.elapsed();
        said.since_feeding = fed.elapsed();
        let exited = self.exited()?;
        let errors = String::from_utf8_lossy(&said.errors);
        ensure!(
            exited.code == 0 && exited.signal == 0,
            "{argv:?} failed: {}",
            errors.trim()
        );
        Ok(said)
    }

    fn exited(&mut self) -> Result<Exited> {
        loop {
            let frame = read_frame(&mut self.agent)?;
            match frame.kind {
                Kind::Started => {}
                _ => return Ok(frame.decode(Kind::Exited)?),
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        end(&mut self.monitor);
    }
}

/// A monitor whose guest is not there yet: it must not outlive a failure.
struct Monitor(Option<Child>);

impl Drop for Monitor {
    fn drop(&mut self) {
        if let Some(monitor) = &mut self.0 {
            end(monitor);
        }
    }
}

fn end(monitor: &mut Child) {
    // One that has ended by itself is as good.
    let _ = monitor.kill();
    let _ = monitor.wait();
}

/// What a command wrote.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) text: Vec<u8>,
    errors: Vec<u8>,
    pub(crate) bytes: u64,
    pub(crate) first_byte: Option<Duration>,
    /// From the request to the end of its output.
    pub(crate) took: Duration,
    /// From the first byte of its input to the end of its output.
    pub(crate) since_feeding: Duration,
}

fn expect(stream: &mut File, kind: Kind) -> Result<()> {
    let frame = read_frame(stream)?;
    ensure!(
        frame.kind == kind,
        "{:?} where {kind:?} should be",
        frame.kind
    );
    Ok(())
}

/// Sends zeroes and their end.
fn feed(stdio: &mut File, bytes: u64) -> Result<()> {
    let zeroes = vec![0; protocol::kind::DATA_CAP as usize];
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(zeroes.len());
        write_frame(stdio, Kind::Stdin, zeroes.get(..piece).unwrap_or_default())?;
        left -= piece as u64;
    }
    write_frame(stdio, Kind::StdinEnd, &[])?;
    Ok(stdio.flush()?)
}

fn assignment() -> Assignment {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    Assignment {
        task: "bench".to_owned(),
        hostname: "bench".to_owned(),
        ttl_ms: 3_600_000,
        grace_ms: 0,
        realtime_ns: u64::try_from(now).unwrap_or(u64::MAX),
        scratch_bytes: SCRATCH,
        // No secret is made in this guest.
        entropy: vec![7; 64],
        machine_id: "0".repeat(31) + "1",
        ..Assignment::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn input_is_sent_in_frames_and_ended() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut ours = File::from(std::os::fd::OwnedFd::from(ours));
        let fed = std::thread::spawn(move || feed(&mut ours, 100_000));
        let mut theirs = theirs;
        let mut bytes = 0;
        loop {
            let frame = read_frame(&mut theirs).unwrap();
            match frame.kind {
                Kind::Stdin => bytes += frame.body.len(),
                other => break assert_eq!(other, Kind::StdinEnd),
            }
        }
        assert_eq!(bytes, 100_000);
        fed.join().unwrap().unwrap();
    }
}
