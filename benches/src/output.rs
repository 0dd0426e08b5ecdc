// SPDX-License-Identifier: Apache-2.0
//! stdout of a guest, against a plain pipe on the same machine. Pairs alternate.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::ampoule::Home;
use crate::results::{Results, Series, Unit};

/// What the guest is compared by.
const SPEED: &str = "throughput";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How much, in MiB.
    #[arg(long, default_value_t = 256)]
    mib: u64,
    /// How many pairs.
    #[arg(long, default_value_t = 3)]
    runs: u32,
}

/// Reads all that `command` prints; the time from its start, what it was, and how much.
fn drain(mut command: Command, hash: bool) -> Result<(Duration, String, u64)> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().context("no stdout")?;
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        let n = stdout.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        bytes += n as u64;
        if hash {
            digest.update(buffer.get(..n).unwrap_or_default());
        }
    }
    ensure!(child.wait()?.success(), "{command:?} failed");
    let text = digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok((start.elapsed(), text, bytes))
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let home = Home::new()?;
    // For the comparison something whose order shows, for the time something that costs nothing
    // to make.
    let text = format!(
        "yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c {}",
        options.mib << 20
    );
    let zeros = format!(
        "dd if=/dev/zero bs=64k count={} 2>/dev/null",
        options.mib << 4
    );
    let guest = |script: &str| -> Result<Command> {
        let mut command = home.command()?;
        command.args(["run", "--ttl", "30m", "--", "sh", "-c", script]);
        Ok(command)
    };
    let pipe = |script: &str| {
        let mut command = Command::new("busybox");
        command.args(["sh", "-c", script]);
        command
    };
    let same = drain(guest(&text)?, true)?.1 == drain(pipe(&text), true)?.1;
    ensure!(same, "what came out of the guest is not what went in");
    let title = format!("output: {} MiB of stdout, the same digest", options.mib);
    let mut results = Results::new("output", title);
    let (mut ours, mut pipe_only) = (Series::new("guest's stdout"), Series::new("a pipe"));
    for _ in 0..options.runs {
        let idle = drain(guest("true")?, false)?.0;
        let (in_guest, _, bytes) = drain(guest(&zeros)?, false)?;
        let (plain, _, _) = drain(pipe(&zeros), false)?;
        let net = in_guest.saturating_sub(idle);
        let speed = |time: Duration| bytes as f64 / time.as_secs_f64();
        ours.push("whole command", Unit::Ns, in_guest.as_secs_f64() * 1e9);
        ours.push(
            "the same without output",
            Unit::Ns,
            idle.as_secs_f64() * 1e9,
        );
        ours.push(SPEED, Unit::BytesPerSecond, speed(net));
        pipe_only.push(SPEED, Unit::BytesPerSecond, speed(plain));
    }
    // The guest by the pipe, as the bar is written.
    results.series = vec![pipe_only, ours];
    results.compare(SPEED);
    Ok(results)
}
