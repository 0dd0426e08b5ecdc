// SPDX-License-Identifier: Apache-2.0
//! Other monitors, measured beside ours: the same kernel file, root image, memory and command
//! line, the same words of the same guest-init, spoken to by the same host ([`guest`]), so that
//! what differs is the monitor. Ours is among them, started like the others: `ampoule run` does
//! more than a monitor does.
//!
//! The readiness signal that all of them can give is the guest's first vsock connection.

mod arrivals;
mod cloud_hypervisor;
mod files;
mod firecracker;
pub(crate) mod guest;
mod ours;
mod qemu;
mod vsock;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::ampoule;
use crate::results::{Results, Series, Unit};
use files::Files;
use guest::Guest;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Peers {
    /// Measure another monitor too: firecracker=PATH or cloud-hypervisor=PATH. QEMU's microvm is
    /// measured always, if it is installed.
    #[arg(long = "peer", value_name = "NAME=PATH", value_parser = parse)]
    peers: Vec<(Name, PathBuf)>,
    /// Measure ours alone.
    #[arg(long, conflicts_with = "peers")]
    alone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Qemu,
    Firecracker,
    CloudHypervisor,
}

fn parse(text: &str) -> Result<(Name, PathBuf), String> {
    let known = "write firecracker=PATH, cloud-hypervisor=PATH or qemu=PATH";
    let (name, path) = text.split_once('=').ok_or(known)?;
    let name = match name {
        "qemu" => Name::Qemu,
        "firecracker" => Name::Firecracker,
        "cloud-hypervisor" => Name::CloudHypervisor,
        _ => return Err(known.to_owned()),
    };
    Ok((name, PathBuf::from(path)))
}

/// A monitor that starts guests of ours.
pub(crate) trait Monitor {
    fn name(&self) -> String;
    /// What keeps a broken monitor in, as it is started here.
    fn protection(&self) -> &'static str;
    /// Why its figures are no fair comparison, if they are not.
    fn apart(&self) -> Option<&'static str> {
        None
    }
    /// Starts a guest and takes it to *ready*.
    fn start(&mut self) -> Result<Guest>;
}

/// The monitors that can be measured here, ours first, and why others cannot.
pub(crate) struct Field {
    pub(crate) monitors: Vec<Box<dyn Monitor>>,
    pub(crate) missing: Vec<String>,
}

impl Peers {
    /// Whether only ours is asked for.
    pub(crate) fn none(&self) -> bool {
        self.alone
    }

    /// That those asked for are there, before anything is measured.
    pub(crate) fn check(&self) -> Result<()> {
        for (_, path) in &self.peers {
            ensure!(
                find(path).is_some(),
                "there is no program {}: give --peer NAME=PATH",
                path.display()
            );
        }
        Ok(())
    }

    /// The same where no other monitor is measured.
    pub(crate) fn check_none(&self) -> Result<()> {
        let none = self.peers.is_empty();
        ensure!(
            none,
            "other monitors are compared by `boot`, `blk` and `vsock`: leave out --peer"
        );
        Ok(())
    }

    /// Starts each monitor once, uncounted, and keeps those that work. A peer that was asked for
    /// and does not work is an error; QEMU, which was not, is said to be missing.
    pub(crate) fn field(&self, guest: &ampoule::Guest) -> Result<Field> {
        let mut files = Files::find(guest)?;
        let mut ours = ours::Ours::new(&files)?;
        files.words = words(&mut ours.start()?)?;
        let mut field = Field {
            monitors: vec![Box::new(ours)],
            missing: Vec::new(),
        };
        if self.alone {
            return Ok(field);
        }
        let asked = self.peers.iter().any(|(name, _)| *name == Name::Qemu);
        let always = (!asked).then(|| (Name::Qemu, PathBuf::from(qemu::PROGRAM)));
        for (name, path) in always.iter().chain(&self.peers) {
            let tried = monitor(*name, path.clone(), &files).and_then(|mut monitor| {
                monitor.start()?;
                Ok(monitor)
            });
            match tried {
                Ok(monitor) => field.monitors.push(monitor),
                Err(error) if *name == Name::Qemu && !asked => {
                    field.missing.push(format!("QEMU's microvm ({error:#})"));
                }
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("{} does not work here", path.display()));
                }
            }
        }
        Ok(field)
    }
}

/// A program that is there: at its path, or for a bare name on the search path.
fn find(program: &Path) -> Option<PathBuf> {
    let is_path = program.components().count() > 1;
    let search = std::env::var_os("PATH").filter(|_| !is_path);
    let mut places = match &search {
        Some(search) => std::env::split_paths(search)
            .map(|folder| folder.join(program))
            .collect(),
        None => vec![program.to_owned()],
    };
    places.retain(|file| file.is_file());
    places.into_iter().next()
}

fn monitor(name: Name, path: PathBuf, files: &Files) -> Result<Box<dyn Monitor>> {
    Ok(match name {
        Name::Qemu => Box::new(qemu::Qemu::new(path, files)?),
        Name::Firecracker => Box::new(firecracker::Firecracker::new(path, files)),
        Name::CloudHypervisor => Box::new(cloud_hypervisor::CloudHypervisor::new(path, files)),
    })
}

/// Our guest's own command line without its devices: the peers' guests get the same words.
fn words(guest: &mut Guest) -> Result<String> {
    let said = guest.run(&["cat", "/proc/cmdline"], 0, 4096)?;
    let line = String::from_utf8(said.text)?;
    if line.trim().is_empty() {
        bail!("the guest does not know its command line");
    }
    let words = line.split_whitespace();
    let words = words.filter(|word| !word.starts_with("virtio_mmio."));
    Ok(words.collect::<Vec<_>>().join(" "))
}

/// Boots each monitor's guest in turn, `runs` times.
pub(crate) fn boot(
    peers: &Peers,
    guest: &ampoule::Guest,
    runs: u32,
    results: &mut Results,
) -> Result<()> {
    if peers.none() {
        return Ok(());
    }
    let mut field = peers.field(guest)?;
    let mut series: Vec<Series> = field.monitors.iter().map(|m| head(&**m)).collect();
    for _ in 0..runs {
        for (monitor, series) in field.monitors.iter_mut().zip(&mut series) {
            let mut guest = monitor.start()?;
            let nanos = |time: std::time::Duration| time.as_secs_f64() * 1e9;
            series.push("first_connect", Unit::Ns, nanos(guest.boot.connect));
            series.push("clone_to_ready", Unit::Ns, nanos(guest.boot.ready));
            guest.run(&["echo", "x"], 0, 0)?;
            series.push("clone_to_echo", Unit::Ns, nanos(guest.age()));
        }
    }
    let mut beside = Results::new("boot", "");
    beside.series = series;
    for metric in ["first_connect", "clone_to_ready", "clone_to_echo"] {
        beside.compare(metric);
    }
    results.series.append(&mut beside.series);
    results.ratios.append(&mut beside.ratios);
    if let Some(ours) = results.series.first_mut() {
        ours.not_available.append(&mut field.missing);
    }
    Ok(())
}

/// A monitor's series, still without figures.
pub(crate) fn head(monitor: &dyn Monitor) -> Series {
    Series {
        protection: Some(monitor.protection().to_owned()),
        apart: monitor.apart().map(str::to_owned),
        ..Series::new(monitor.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_known_name_and_a_path() {
        let peer = parse("firecracker=/opt/fc=1").unwrap();
        assert_eq!(peer, (Name::Firecracker, PathBuf::from("/opt/fc=1")));
        for wrong in ["firecracker", "crosvm=/x", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
