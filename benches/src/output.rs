// SPDX-License-Identifier: Apache-2.0
//! stdout of a guest, against a plain pipe on the same machine. Pairs alternate.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{ampoule, table};

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

pub(crate) fn measure(options: &Options) -> Result<Value> {
    let home = tempfile::tempdir()?;
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
        let mut command = ampoule(home.path())?;
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
    let mut runs = Vec::new();
    for _ in 0..options.runs {
        let idle = drain(guest("true")?, false)?.0;
        let (in_guest, _, bytes) = drain(guest(&zeros)?, false)?;
        let (plain, _, _) = drain(pipe(&zeros), false)?;
        let net = in_guest.saturating_sub(idle);
        runs.push(json!({
            "bytes": bytes,
            "guest_s": in_guest.as_secs_f64(),
            "boot_s": idle.as_secs_f64(),
            "pipe_s": plain.as_secs_f64(),
            "ratio": plain.as_secs_f64() / net.as_secs_f64(),
        }));
    }
    table::head(
        &format!("{} MiB of stdout, the same digest", options.mib),
        "",
    );
    for figure in ["guest_s", "boot_s", "pipe_s", "ratio"] {
        let runs: Vec<f64> = runs.iter().filter_map(|run| run[figure].as_f64()).collect();
        table::line(figure, &runs);
    }
    Ok(Value::from(runs))
}
