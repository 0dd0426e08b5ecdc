// SPDX-License-Identifier: Apache-2.0
//! How fast bytes go through a monitor's devices: reads of the drive, and vsock both ways. Every
//! monitor's guest runs the same program; who is measured alternates.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::ampoule::Guest as Kind;
use crate::peers::guest::Guest;
use crate::peers::{self, Peers};
use crate::results::{Results, Series, Unit};

#[derive(clap::Args)]
pub(crate) struct Blk {
    #[command(flatten)]
    rounds: Rounds,
    /// The image whose drive is read: one with python3, of more than 64 MiB.
    #[arg(long, default_value = "python")]
    image: String,
    /// How many reads of 4 KiB.
    #[arg(long, default_value_t = 2000)]
    reads: u32,
}

#[derive(clap::Args)]
pub(crate) struct Vsock {
    #[command(flatten)]
    rounds: Rounds,
    /// The image.
    #[arg(long, default_value = "base")]
    image: String,
}

#[derive(clap::Args)]
struct Rounds {
    /// How many rounds, after one that is not counted; each has a new guest of every monitor.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Memory of the guest.
    #[arg(long, default_value = "128M")]
    memory: String,
    /// How many seconds a guest may take for any one step.
    #[arg(long, default_value_t = 60)]
    patience: u32,
    /// How much, in MiB.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    mib: u32,
    #[command(flatten)]
    peers: Peers,
}

/// Reads `argv[2]` blocks of `argv[1]` bytes of the drive, in order or where a generator of fixed
/// seed says, past the guest's page cache, and prints how many nanoseconds that took. A mapping is
/// aligned as direct reads must be.
const READER: &str = "\
import mmap, os, sys, time
size, count, order = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
drive = os.open('/dev/vda', os.O_RDONLY | os.O_DIRECT)
blocks = os.lseek(drive, 0, os.SEEK_END) // size
page, seed, offsets = mmap.mmap(-1, size), 1, []
for n in range(count):
    seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
    offsets.append((n if order == 'sequential' else seed >> 33) % blocks * size)
begin = time.monotonic_ns()
for offset in offsets:
    if os.preadv(drive, [page], offset) != size: sys.exit('short read')
print(time.monotonic_ns() - begin)
";

/// How fast the guest reads, as its own clock says.
fn read(guest: &mut Guest, size: u32, count: u32, order: &str) -> Result<f64> {
    let (size_word, count_word) = (size.to_string(), count.to_string());
    let argv = ["python3", "-c", READER, &size_word, &count_word, order];
    let said = guest
        .run(&argv, 0, 64)
        .context("the reader does not run: it needs an image with python3")?;
    let nanos = String::from_utf8_lossy(&said.text).trim().parse::<f64>();
    let nanos = nanos.context("the reader printed no time")?;
    ensure!(nanos > 0.0, "the guest's clock stands still");
    Ok(f64::from(size) * f64::from(count) / nanos * 1e9)
}

pub(crate) fn blk(options: &Blk) -> Result<Results> {
    let rounds = &options.rounds;
    let title = format!(
        "blk: reads of the drive of {}, past the guest's cache, {} rounds",
        options.image, rounds.runs
    );
    let (mib, reads) = (rounds.mib, options.reads);
    let results = Results::new("blk", title);
    let mut results = rounds.measure(results, &options.image, &|guest, series| {
        let sequential = read(guest, 1 << 20, mib, "sequential")?;
        series.push("sequential", Unit::BytesPerSecond, sequential);
        let random = read(guest, 4096, reads, "random")?;
        series.push("random_4k", Unit::BytesPerSecond, random);
        Ok(())
    })?;
    faster(&mut results, &["sequential", "random_4k"]);
    Ok(results)
}

pub(crate) fn vsock(options: &Vsock) -> Result<Results> {
    let rounds = &options.rounds;
    let mib = rounds.mib;
    let title = format!(
        "vsock: {mib} MiB each way through a command's streams, {} rounds",
        rounds.runs
    );
    let bytes = u64::from(mib) << 20;
    let mut results = rounds.measure(
        Results::new("vsock", title),
        &options.image,
        &|guest, series| {
            let count = format!("count={}", mib * 16);
            let said = guest.run(&["dd", "if=/dev/zero", "bs=64k", &count], 0, 0)?;
            ensure!(said.bytes == bytes, "{} bytes came of {bytes}", said.bytes);
            // From the first byte on: starting the program is not the device's.
            let took = said
                .took
                .saturating_sub(said.first_byte.unwrap_or_default());
            series.push("guest_to_host", Unit::BytesPerSecond, speed(mib, took));
            let said = guest.run(&["dd", "of=/dev/null", "bs=64k"], bytes, 0)?;
            series.push(
                "host_to_guest",
                Unit::BytesPerSecond,
                speed(mib, said.since_feeding),
            );
            Ok(())
        },
    )?;
    faster(&mut results, &["guest_to_host", "host_to_guest"]);
    Ok(results)
}

/// Bytes a second.
fn speed(mib: u32, took: Duration) -> f64 {
    f64::from(mib) * 1_048_576.0 / took.as_secs_f64()
}

/// Of throughput more is better: ours by theirs is what should not be less than one.
fn faster(results: &mut Results, metrics: &[&str]) {
    for metric in metrics {
        results.compare_to_others(metric);
    }
}

impl Rounds {
    fn measure(
        &self,
        mut results: Results,
        image: &str,
        act: &dyn Fn(&mut Guest, &mut Series) -> Result<()>,
    ) -> Result<Results> {
        let kind = Kind {
            memory: self.memory.clone(),
            image: image.to_owned(),
            patience: self.patience,
            retries: 0,
        };
        self.peers.check()?;
        let mut field = self.peers.field(&kind)?;
        let heads = field.monitors.iter().map(|monitor| peers::head(&**monitor));
        results.series = heads.collect();
        for round in 0..=self.runs {
            for (monitor, series) in field.monitors.iter_mut().zip(&mut results.series) {
                let mut uncounted = Series::default();
                let series = if round == 0 { &mut uncounted } else { series };
                act(&mut monitor.start()?, series).with_context(|| monitor.name())?;
            }
        }
        if let Some(ours) = results.series.first_mut() {
            ours.not_available.append(&mut field.missing);
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_is_bytes_by_seconds() {
        let speed = speed(2, Duration::from_millis(500));
        assert_eq!(speed.to_bits(), 4_194_304_f64.to_bits());
    }
}
