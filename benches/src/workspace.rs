// SPDX-License-Identifier: Apache-2.0
//! The image of a workspace: written, found again unchanged, and `tar` over the same folder.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use images::folder::{self, ScanOptions};

use crate::results::{Results, Series, Unit};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many files.
    #[arg(long, default_value_t = 10_000)]
    files: u64,
    /// How much they hold together, MB.
    #[arg(long, default_value_t = 500)]
    megabytes: u64,
    /// How many rounds.
    #[arg(long, default_value_t = 5)]
    runs: u32,
}

/// A folder of `files` files in folders of a hundred, of two sizes, none of them empty.
fn fill(dir: &Path, options: &Options) -> Result<()> {
    let mean = options.megabytes * 1_000_000 / options.files.max(1);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = vec![0; usize::try_from(mean * 2)?];
    for n in 0..options.files {
        let folder = dir.join(format!("d{:03}", n / 100));
        fs::create_dir_all(&folder)?;
        for chunk in bytes.chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(state.to_le_bytes().get(..chunk.len()).unwrap_or_default());
        }
        let len = usize::try_from(if n % 2 == 0 {
            mean / 2
        } else {
            mean + mean / 2
        })?;
        fs::write(
            folder.join(format!("f{n:05}")),
            bytes.get(..len).unwrap_or_default(),
        )?;
    }
    Ok(())
}

/// Seconds that `tar c` of `dir` takes into a pipe (GNU tar reads nothing when its output is
/// `/dev/null` itself).
fn tar(dir: &Path) -> Result<f64> {
    let start = Instant::now();
    let mut command = Command::new("tar");
    command.arg("-C").arg(dir).args(["-cf", "-", "."]);
    let mut tar = command.stdout(Stdio::piped()).spawn()?;
    let stdout = tar.stdout.take().context("no stdout")?;
    let cat = Command::new("cat")
        .stdin(stdout)
        .stdout(Stdio::null())
        .status()?;
    ensure!(tar.wait()?.success() && cat.success(), "tar failed");
    Ok(start.elapsed().as_secs_f64())
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let dir = tempfile::tempdir_in(std::env::current_dir()?)?;
    let (project, cache) = (dir.path().join("project"), dir.path().join("cache"));
    fill(&project, options)?;
    let title = format!(
        "workspace: {} files, {} MB",
        options.files, options.megabytes
    );
    let mut results = Results::new("workspace", title);
    let (mut tarred, mut ours) = (Series::new("tar c into a pipe"), Series::new("image"));
    for _ in 0..options.runs {
        touch(&project.join("d000/f00000"))?;
        let tar = tar(&project)?;
        let scan = ScanOptions::default();
        let start = Instant::now();
        let first = folder::image(&project, &scan, &cache)?;
        let written = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let again = folder::image(&project, &scan, &cache)?;
        let found = start.elapsed().as_secs_f64();
        ensure!(
            !first.reused && again.reused,
            "the cache did not do what is measured"
        );
        fs::remove_file(&first.path)?;
        tarred.push("first", Unit::Ns, tar * 1e9);
        ours.push("first", Unit::Ns, written * 1e9);
        ours.push("again, unchanged", Unit::Ns, found * 1e9);
    }
    results.series = vec![tarred, ours];
    results.compare("first");
    Ok(results)
}

/// Changes one byte, so that the folder is in a new state.
fn touch(path: &Path) -> Result<()> {
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file.write_all(&Instant::now().elapsed().subsec_nanos().to_le_bytes())?)
}
