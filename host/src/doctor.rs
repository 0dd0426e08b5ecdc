// SPDX-License-Identifier: Apache-2.0
//! Whether this host can run guests: each check with its result and, where that is not good,
//! what to do. What a task needs fails; what it can do without is a note.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::cli::chain;
use crate::folders::{self, Folders};
use crate::image::{Catalogue, KERNEL, Kind};
use crate::settings::Settings;
use crate::store::Store;
use crate::supervise::cgroup::Place;
use crate::supervise::files::binaries;
use crate::supervise::kvm;
use crate::sys::process::cpu_can_run_guests;

/// Space below which builds and workspaces are likely to fail.
const SPACE: u64 = 4 << 30;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Tasks run, with less than there could be.
    Note,
    /// No task runs.
    Fail,
}

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// The result, and what to do.
    pub text: String,
}

impl Check {
    fn ok(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Ok,
            text: text.into(),
        }
    }

    fn note(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Note,
            text: text.into(),
        }
    }

    fn fail(name: &'static str, text: impl Into<String>) -> Self {
        Self {
            name,
            verdict: Verdict::Fail,
            text: text.into(),
        }
    }
}

/// Looks at everything.
#[must_use]
pub fn examine(folders: &Folders) -> Vec<Check> {
    let mut checks = vec![device(), cpu(), start_up(), cgroup(), namespaces()];
    checks.extend(programs());
    checks.extend(images(folders));
    checks.extend([
        settings(folders),
        store(folders),
        runtime(folders),
        space(folders),
    ]);
    checks
}

fn device() -> Check {
    match kvm::device() {
        Ok(_) => Check::ok("kvm", format!("{} opens", kvm::DEVICE)),
        Err(error) => Check::fail("kvm", chain(&error)),
    }
}

fn cpu() -> Check {
    if cpu_can_run_guests() {
        Check::ok("cpu", "it has hardware virtualisation")
    } else {
        Check::fail("cpu", chain(&kvm::KvmError::NoHardware))
    }
}

/// What makes a VM quick to create. With its huge page mitigation on, KVM starts a thread for each
/// VM and moves it into the caller's cgroups, which on Linux 6.1 and newer waits out an RCU grace
/// period, 10 to 40 ms, unless the hierarchy is mounted with `favordynmods` (Linux
/// Documentation/admin-guide/cgroup-v2.rst; virt/kvm/kvm_main.c,
/// `kvm_vm_create_worker_thread`).
fn start_up() -> Check {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mitigation = fs::read_to_string("/sys/module/kvm/parameters/nx_huge_pages");
    if creation_waits(&mounts, mitigation.as_deref().unwrap_or_default()) {
        let what = "each VM's creation waits 10 to 40 ms for the kernel; \
            `mount -o remount,favordynmods /sys/fs/cgroup` spares guests that";
        return Check::note("start-up", what);
    }
    Check::ok("start-up", "a VM is created without a wait in the kernel")
}

/// Whether creating a VM waits, by the mounted file systems and KVM's parameter.
fn creation_waits(mounts: &str, mitigation: &str) -> bool {
    let mut hierarchies = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(2);
        (words.next() == Some("cgroup2")).then(|| words.next().unwrap_or_default())
    });
    let favoured = hierarchies.any(|options| options.split(',').any(|o| o == "favordynmods"));
    !favoured && mitigation.trim() != "never"
}

fn cgroup() -> Check {
    match Place::find() {
        Ok(Place {
            path, note: None, ..
        }) => Check::ok(
            "cgroup",
            format!("guests are limited in {}", path.display()),
        ),
        Ok(Place {
            note: Some(note), ..
        }) => Check::note("cgroup", note),
        Err(why) => Check::note(
            "cgroup",
            format!("{why}; guests run without a cgroup of their own"),
        ),
    }
}

/// Unprivileged user namespaces can be switched off in three places.
fn namespaces() -> Check {
    if rustix::process::geteuid().is_root() {
        return Check::ok("namespaces", "root makes them as it likes");
    }
    let number = |path: &str| {
        fs::read_to_string(path)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok())
    };
    for (path, wrong, what) in [
        (
            "/proc/sys/user/max_user_namespaces",
            0,
            "sysctl user.max_user_namespaces=15000",
        ),
        (
            "/proc/sys/kernel/unprivileged_userns_clone",
            0,
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            1,
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for ampoule",
        ),
    ] {
        if number(path) == Some(wrong) {
            return Check::fail(
                "namespaces",
                format!("user namespaces are switched off: {what}"),
            );
        }
    }
    Check::ok("namespaces", "this user may make user namespaces")
}

fn programs() -> Vec<Check> {
    let folder = binaries().unwrap_or_default();
    let check = |name: &'static str| {
        let path = folder.join(name);
        if path.is_file() {
            Check::ok("programs", path.display().to_string())
        } else {
            let text = format!(
                "{} is missing: put all three binaries into one folder",
                path.display()
            );
            Check::fail("programs", text)
        }
    };
    ["ampoule-vmm", "ampoule-init", "ampoule-policy"]
        .map(check)
        .into()
}

fn images(folders: &Folders) -> Vec<Check> {
    let catalogue = Catalogue::new(folders);
    let mut names = vec![
        (KERNEL.to_owned(), Kind::Kernel),
        ("base".to_owned(), Kind::Image),
    ];
    let listing = match catalogue.list() {
        Ok(listing) => listing,
        Err(error) => return vec![Check::fail("images", chain(&error))],
    };
    for manifest in listing.manifests {
        if !names.iter().any(|(name, _)| *name == manifest.name) {
            names.push((manifest.name, manifest.kind));
        }
    }
    let check = |(name, kind): (String, Kind)| match catalogue.open(&name, kind) {
        Ok((manifest, _)) => Check::ok(
            "images",
            format!("{kind} {name}, {} MiB", manifest.bytes.div_ceil(1 << 20)),
        ),
        Err(error) => Check::fail("images", chain(&error)),
    };
    let mut checks: Vec<_> = names.into_iter().map(check).collect();
    for error in &listing.damaged {
        let text = chain(error);
        // The kernel and the base image were looked at already.
        if !checks.iter().any(|check| check.text == text) {
            checks.push(Check::fail("images", text));
        }
    }
    checks
}

fn settings(folders: &Folders) -> Check {
    match Settings::read(folders) {
        Ok(settings) => {
            let most = crate::cli::values::show(settings.max_ttl);
            Check::ok("settings", format!("tasks may live {most} at most"))
        }
        Err(error) => Check::fail("settings", chain(&error)),
    }
}

fn store(folders: &Folders) -> Check {
    match Store::open(folders) {
        Ok(store) => Check::ok("store", store.path().display().to_string()),
        Err(error) => Check::fail("store", chain(&error)),
    }
}

fn runtime(folders: &Folders) -> Check {
    match folders.make_runtime() {
        Ok(()) => Check::ok("runtime", folders.runtime.display().to_string()),
        Err(error) => Check::fail("runtime", chain(&error)),
    }
}

fn space(folders: &Folders) -> Check {
    let least = [&folders.state, &folders.cache]
        .into_iter()
        .filter_map(|path| folders::make_private(path).ok().and_then(|()| free(path)))
        .min();
    match least {
        None => Check::note("disk", "cannot tell how much space is free"),
        Some(bytes) if bytes < SPACE => Check::note(
            "disk",
            format!("only {} MiB are free; images need a few GiB", bytes >> 20),
        ),
        Some(bytes) => Check::ok("disk", format!("{} GiB are free", bytes >> 30)),
    }
}

fn free(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_with_a_bad_manifest_is_told_once_beside_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        let manifests = folders.data.join("images");
        std::fs::create_dir_all(&manifests).unwrap();
        for file in ["base.json", "bad.json"] {
            std::fs::write(manifests.join(file), "{").unwrap();
        }
        let texts: Vec<_> = images(&folders).into_iter().map(|c| c.text).collect();
        assert_eq!(texts.len(), 3, "{texts:?}");
        for name in ["'kernel'", "'base'", "'bad'"] {
            assert!(texts.iter().any(|text| text.contains(name)), "{texts:?}");
        }
    }

    #[test]
    fn on_an_empty_home_the_missing_images_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::below(dir.path());
        let checks = examine(&folders);
        let missing: Vec<_> = checks
            .iter()
            .filter(|check| check.name == "images" && check.verdict == Verdict::Fail)
            .collect();
        assert_eq!(missing.len(), 2);
        assert!(
            missing
                .iter()
                .all(|check| check.text.contains("ampoule image build"))
        );
        let store = checks.iter().find(|check| check.name == "store").unwrap();
        assert_eq!(store.verdict, Verdict::Ok);
    }

    #[test]
    fn creating_a_vm_waits_unless_the_hierarchy_or_kvm_says_otherwise() {
        let plain = "x / ext4 rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        let favoured = plain.replace("nosuid", "nosuid,favordynmods");
        assert!(creation_waits(plain, "Y\n"));
        assert!(!creation_waits(&favoured, "Y\n"));
        assert!(!creation_waits(plain, "never\n"));
    }
}
