// SPDX-License-Identifier: Apache-2.0
//! `ampoule pool` for the time of a measurement.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::ampoule::{Guest, Home};

/// How long it may take until all its guests wait.
const FULL: Duration = Duration::from_secs(60);

/// A pool that runs.
pub(crate) struct Pool<'a> {
    home: &'a Home,
    guest: &'a Guest,
    child: Child,
}

impl<'a> Pool<'a> {
    /// One of `size` such guests.
    pub(crate) fn start(home: &'a Home, guest: &'a Guest, size: u32) -> Result<Self> {
        home.make_template(guest)?;
        let mut command = home.command()?;
        command.args(["pool", &guest.image, "--memory", &guest.memory]);
        command.args(["--size", &size.to_string()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn()?;
        Ok(Self { home, guest, child })
    }

    /// Waits until all its guests wait, and are at rest.
    pub(crate) fn is_full(&self) -> Result<()> {
        let until = Instant::now() + FULL;
        loop {
            let said = self.home.said(&["pool", "ls", "--json"], self.guest)?;
            if let Some(line) = said.lines().next() {
                let status: Value = serde_json::from_str(line).context("pool ls --json")?;
                if status["waiting"] == status["size"] {
                    std::thread::sleep(Duration::from_millis(100));
                    return Ok(());
                }
            }
            if Instant::now() >= until {
                bail!("the pool is not full after {} s", FULL.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&mut self) -> Result<()> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(id.context("its process id")?, Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "ampoule pool: {status}");
        Ok(())
    }
}

impl Drop for Pool<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("benches: the pool did not end: {error:#}");
        }
    }
}
