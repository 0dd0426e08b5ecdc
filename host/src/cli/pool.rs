// SPDX-License-Identifier: Apache-2.0
//! `ampoule pool`: restored guests that wait for tasks, and `ampoule pool ls`.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use vmm::config::{MemoryMib, VcpuCount};

use super::progress::Progress;
use super::{CliError, say, values};
use crate::folders::Folders;
use crate::pool::guest::{OLDEST, Source};
use crate::pool::serve::{Pool as Serving, PoolError};
use crate::pool::take;
use crate::pool::wire::Status;
use crate::supervise::{kvm, room};
use crate::sys::signals::Signals;
use crate::task::Resources;
use crate::text::printable;

/// Descriptors that the pool holds of each guest.
const A_GUEST: u64 = 5;

/// Descriptors for its clients, and for a guest that is being made.
const OTHERS: u64 = 256;

/// Signals by which a person or a service manager ends it, and the one that says that a VMM which
/// was given away is gone.
const SIGNALS: [i32; 5] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGCHLD,
];

/// Keep restored guests waiting, which `ampoule run` takes
///
/// It runs until it is told to end. A task of the same image, memory and CPUs takes a guest that
/// waits instead of restoring one, and the pool makes another.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Pool {
    #[command(subcommand)]
    list: Option<List>,
    /// Image of the guests
    #[arg(required = true)]
    image: Option<String>,
    /// How many wait; all of them must fit the memory that can be had
    #[arg(long, value_name = "N", required = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    size: Option<u16>,
    /// Memory of each guest
    #[arg(long, default_value = "256M", value_parser = values::memory, allow_hyphen_values = true)]
    memory: MemoryMib,
    /// vCPUs of each guest
    #[arg(long, visible_alias = "vcpus", default_value = "1", value_parser = values::cpus, allow_hyphen_values = true)]
    cpus: VcpuCount,
    /// How old a guest becomes that nobody takes; then another takes its place (50m at most)
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = values::duration, allow_hyphen_values = true)]
    max_age: Duration,
}

#[derive(Debug, Subcommand)]
enum List {
    /// List the pools that run
    Ls {
        /// One line of JSON a pool
        #[arg(long)]
        json: bool,
    },
}

impl Pool {
    pub(super) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        if let Some(List::Ls { json }) = self.list {
            return ls(folders, json);
        }
        let resources = Resources {
            memory_mib: self.memory.get(),
            cpus: self.cpus.get(),
            scratch_bytes: self.memory.bytes() / 2,
        };
        if self.max_age > OLDEST {
            let most = values::show(OLDEST);
            let text = format!("--max-age may be {most} at most; write --max-age {most} or less");
            return Err(CliError::Usage(text));
        }
        let (image, size) = (self.image.unwrap_or_default(), self.size.unwrap_or(1));
        kvm::open().map_err(PoolError::from)?;
        let mut source = Source::find(folders, &image, &resources)?;
        source.age = self.max_age;
        let advice = |most| match most {
            0 => "give less --memory".to_owned(),
            most => format!("use --size {most}, or less --memory"),
        };
        let room = room::check((size, "guests"), resources.memory_mib, advice);
        room.map_err(PoolError::from)?;
        {
            let _progress = Progress::of(format!("storing a guest of {image}"));
            source.make_template()?;
        }
        descriptors_for(size);
        let signals = Signals::block(&SIGNALS).map_err(CliError::io("cannot take signals"))?;
        Serving::open(source, size, signals)?.serve()?;
        Ok(0)
    }
}

/// Has the system allow as many descriptors as the guests need, if it can; else the pool says
/// that it has none left.
fn descriptors_for(size: u16) {
    let needed = u64::from(size)
        .saturating_mul(A_GUEST)
        .saturating_add(OTHERS);
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|now| now < needed) {
        limit.current = Some(limit.maximum.map_or(needed, |most| most.min(needed)));
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

fn ls(folders: &Folders, json: bool) -> Result<u8, CliError> {
    if !json {
        say(&line([
            "IMAGE", "MEMORY", "CPUS", "SIZE", "WAITING", "TAKEN", "PID",
        ]))?;
    }
    let entries = fs::read_dir(crate::pool::folder(folders));
    let mut sockets: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    sockets.retain(|path| path.extension().is_some_and(|kind| kind == "sock"));
    sockets.sort();
    for socket in sockets {
        // One that is gone or busy is none that a task could take from.
        let Ok(Some(status)) = take::status(&socket) else {
            continue;
        };
        say(&if json {
            json!(status).to_string()
        } else {
            shown(&status)
        })?;
    }
    Ok(0)
}

fn shown(status: &Status) -> String {
    let image = printable(&status.image);
    let memory = format!("{}M", status.memory_mib);
    let numbers = [
        status.cpus.to_string(),
        status.size.to_string(),
        status.waiting.to_string(),
        status.taken.to_string(),
        status.pid.to_string(),
    ];
    let [cpus, size, waiting, taken, pid] = &numbers;
    line([&image, &memory, cpus, size, waiting, taken, pid])
}

fn line([image, memory, cpus, size, waiting, taken, pid]: [&str; 7]) -> String {
    format!("{image:<16}  {memory:<8}  {cpus:<4}  {size:<5}  {waiting:<7}  {taken:<8}  {pid}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        pool: Pool,
    }

    fn parse(line: &str) -> Result<Pool, clap::Error> {
        Line::try_parse_from(line.split_whitespace()).map(|line| line.pool)
    }

    #[test]
    fn a_pool_needs_an_image_and_a_size_and_its_list_neither() {
        let pool = parse("pool base --size 4 --vcpus 2").unwrap();
        assert_eq!((pool.size, pool.cpus.get()), (Some(4), 2));
        assert!(matches!(
            parse("pool ls --json").unwrap().list,
            Some(List::Ls { json: true })
        ));
        for line in [
            "pool",
            "pool base",
            "pool --size 4",
            "pool base --size 0",
            "pool base --size 1025",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
