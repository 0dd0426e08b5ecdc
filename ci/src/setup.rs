// SPDX-License-Identifier: Apache-2.0
//! `cargo ci setup`: brings a machine to where guests run. It installs what is missing and nothing
//! else, says each thing before it does it, and does nothing when run again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::machine::{self, Kvm};
use crate::tools::{self, Missing};
use crate::{kvmhost, project};

/// What building needs: Debian's packages.
const BUILD: [&str; 16] = [
    "bc",
    "binutils",
    "bison",
    "busybox-static",
    "debian-archive-keyring",
    "erofs-utils",
    "flex",
    "gcc",
    "libc6-dev",
    "libelf-dev",
    "linux-source",
    "make",
    "mmdebstrap",
    "musl-tools",
    "tar",
    "xz-utils",
];

/// What the simulated KVM server needs besides.
const SIMULATED: [&str; 2] = ["qemu-system-x86", "util-linux"];

/// What is shipped.
pub(crate) const PROGRAMS: [&str; 4] = ["ampoule", "ampoule-policy", "ampoule-vmm", "ampoule-init"];

const TARGET: &str = "x86_64-unknown-linux-musl";

/// Where backports are added when they have to be.
const BACKPORTS_LIST: &str = "/etc/apt/sources.list.d/ampoule-backports.list";

/// The folder of the built binaries.
pub(crate) fn binaries() -> PathBuf {
    tools::root().join("target").join(TARGET).join("release")
}

/// Sets the machine up; returns what KVM it has.
pub(crate) fn run() -> Result<Kvm> {
    let kvm = machine::kvm();
    say(match kvm {
        Kvm::Hardware => "guests run on this machine's KVM",
        Kvm::Device => "/dev/kvm is not backed by hardware: guests run in the simulated server",
        Kvm::None => "no KVM here: guests run in the simulated server",
    });
    packages(kvm)?;
    rust_target()?;
    build_binaries()?;
    for name in ["kernel", "base", "python", "develop"] {
        say(&format!("ampoule image build {name}"));
        tools::run(Command::new(binaries().join("ampoule")).args(["image", "build", name]))?;
    }
    if kvm != Kvm::Hardware {
        kvmhost::prepare().or_else(|_| {
            // The lists may name a version that the mirror no longer has.
            apt(&["update"])?;
            kvmhost::prepare()
        })?;
    }
    project::fetch()?;
    Ok(kvm)
}

fn say(what: &str) {
    println!("setup: {what}");
}

fn packages(kvm: Kvm) -> Result<()> {
    let mut wanted = BUILD.to_vec();
    if kvm != Kvm::Hardware {
        wanted.extend(SIMULATED);
    }
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let Some(suite) = images::recipe::debian::code_name(&release) else {
        let list = wanted.join(" ");
        let why = format!("this is not Debian; install what its packages {list} contain");
        return Err(Missing(why).into());
    };
    let missing = not_installed(&wanted)?;
    if missing.is_empty() && machine_sources_known() {
        return Ok(());
    }
    apt(&["update", "-q"])?;
    if missing.is_empty() {
        return Ok(());
    }
    let (qemu, rest): (Vec<_>, Vec<_>) = missing.iter().partition(|name| name.contains("qemu"));
    install(&rest, None)?;
    let backports = format!("{suite}-backports");
    if !qemu.is_empty() && is_from_backports("qemu-utils")? {
        add_backports(&suite, &backports)?;
        return install(&qemu, Some(&backports));
    }
    install(&qemu, None)
}

fn machine_sources_known() -> bool {
    images::recipe::debian::Sources::of_this_machine().is_ok()
}

fn not_installed(wanted: &[&'static str]) -> Result<Vec<&'static str>> {
    let mut query = Command::new("dpkg-query");
    query
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(wanted);
    // It fails when it knows nothing of one of them, and still tells of the others.
    let output = query.output().context("cannot start dpkg-query")?;
    let known = String::from_utf8_lossy(&output.stdout);
    let installed = |name: &str| {
        known
            .lines()
            .any(|line| line == format!("{name} installed"))
    };
    Ok(wanted
        .iter()
        .copied()
        .filter(|name| !installed(name))
        .collect())
}

fn install(names: &[&str], release: Option<&str>) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
    if let Some(release) = release {
        arguments.extend(["-t", release]);
    }
    arguments.extend(names);
    apt(&arguments)
}

/// Whether an installed package has a backport's version. QEMU's packages must be of one version,
/// so where one is from backports the others must be too.
fn is_from_backports(package: &str) -> Result<bool> {
    let query = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", package])
        .output();
    let version = query.context("cannot start dpkg-query")?.stdout;
    Ok(String::from_utf8_lossy(&version).contains("~bpo"))
}

fn add_backports(suite: &str, backports: &str) -> Result<()> {
    let format = "$(CODENAME) $(REPO_URI)";
    let mut query = Command::new("apt-get");
    query.args(["indextargets", "--format", format, "Created-By: Packages"]);
    let targets = tools::output(&mut query)?;
    let uri = |name: &str| {
        targets
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} ")))
    };
    if uri(backports).is_some() {
        return Ok(());
    }
    let archive = uri(suite).with_context(|| format!("apt has no archive of {suite}"))?;
    say(&format!(
        "qemu-utils is from backports, so QEMU must be too: adding {BACKPORTS_LIST}"
    ));
    let line = format!("deb {archive} {backports} main");
    tools::run(as_root("sh").args(["-c", "echo \"$0\" > \"$1\"", &line, BACKPORTS_LIST]))?;
    apt(&["update", "-q"])
}

fn apt(arguments: &[&str]) -> Result<()> {
    say(&format!("apt-get {}", arguments.join(" ")));
    let mut apt = as_root("apt-get");
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let by_hand = || Missing(format!("run as root: apt-get {}", arguments.join(" ")));
    tools::run(&mut apt).with_context(by_hand)
}

/// The program as root: itself, or through sudo, which asks when it must.
pub(crate) fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() || tools::find("sudo").is_none() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.args(["--preserve-env=DEBIAN_FRONTEND", program]);
    sudo
}

fn rust_target() -> Result<()> {
    let mut query = Command::new("rustup");
    query
        .current_dir(tools::root())
        .args(["target", "list", "--installed"]);
    // Without rustup the toolchain is the system's business, and the build will tell.
    let Ok(installed) = tools::output(&mut query) else {
        return Ok(());
    };
    if installed.lines().any(|line| line == TARGET) {
        return Ok(());
    }
    say(&format!("rustup target add {TARGET}"));
    let mut add = Command::new("rustup");
    tools::run(
        add.current_dir(tools::root())
            .args(["target", "add", TARGET]),
    )
}

fn build_binaries() -> Result<()> {
    say(&format!("building {}", PROGRAMS.join(", ")));
    let mut cargo = tools::cargo();
    // One folder, whatever CARGO_TARGET_DIR says: tests and users find the binaries there.
    cargo.args([
        "build",
        "--release",
        "--quiet",
        "--target",
        TARGET,
        "--target-dir",
        "target",
    ]);
    for package in ["host", "vmm", "guest-init"] {
        cargo.args(["-p", package]);
    }
    tools::run(&mut cargo)?;
    for name in PROGRAMS {
        is_there(&binaries().join(name))?;
    }
    Ok(())
}

fn is_there(path: &Path) -> Result<()> {
    fs::metadata(path)
        .with_context(|| format!("the build made no {}", path.display()))
        .map(|_| ())
}
