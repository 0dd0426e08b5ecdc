// SPDX-License-Identifier: Apache-2.0
//! A Debian system as a tar, made by mmdebstrap from the release and mirrors this machine uses.
//!
//! mmdebstrap is built for this: with `SOURCE_DATE_EPOCH` set, the same packages give the same
//! tar. What it leaves of the build's own machine (its resolver, its name) the image replaces.
//! The essential packages and those asked for, without apt: nothing is installed in a guest.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::cache::{CacheError, Inputs, failed, find_or_make};
use super::tool::{self, Need, ToolError, clean_command};
use super::{BuildDirs, Built};

/// Changes when the same packages give another tar than before.
const VERSION: &str = "1";

const NEEDS: [Need; 3] = [
    Need {
        what: "mmdebstrap",
        package: "mmdebstrap",
    },
    Need {
        what: "apt-get",
        package: "apt",
    },
    Need {
        what: "tar",
        package: "tar",
    },
];

/// The Debian part of a recipe.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// Names of packages; what they depend on comes along, what they recommend does not.
    pub packages: Vec<String>,
    /// Patterns of files that are not unpacked.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Patterns of files that are, in spite of `exclude`.
    #[serde(default)]
    pub include: Vec<String>,
}

/// Where packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The release's code name.
    pub suite: String,
    /// Lines as in `sources.list`.
    pub lines: Vec<String>,
}

/// Why there is no Debian system.
#[derive(Debug, thiserror::Error)]
pub enum DebianError {
    /// This is no Debian, or it hides its release.
    #[error("/etc/os-release names no Debian release; images with Debian packages need one")]
    NotDebian,
    /// apt has no lists of this release.
    #[error("apt knows no packages of {0}; run apt-get update")]
    NoSources(String),
    /// A program is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Sources {
    /// This machine's: its release, from where its apt gets it.
    pub fn of_this_machine() -> Result<Self, DebianError> {
        let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let suite = code_name(&release).ok_or(DebianError::NotDebian)?;
        let format = "$(ORIGIN)|$(CODENAME)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)";
        let targets = tool::output(clean_command("apt-get").args([
            "indextargets",
            "--format",
            format,
            "Created-By: Packages",
        ]))?;
        let lines = debian_lines(&targets, &suite);
        if lines.is_empty() {
            return Err(DebianError::NoSources(suite));
        }
        Ok(Self { suite, lines })
    }
}

/// The code name of the release that an `os-release` file tells of, when it is Debian's.
pub fn code_name(os_release: &str) -> Option<String> {
    let value = |key: &str| {
        let line = os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(line.trim_matches('"').to_owned())
    };
    (value("ID")? == "debian").then(|| value("VERSION_CODENAME"))?
}

/// The lines of Debian's own archives for this release: itself, its updates, its security fixes.
/// Others' archives and backports would bring other versions than the release's.
fn debian_lines(targets: &str, suite: &str) -> Vec<String> {
    let releases = [
        suite.to_owned(),
        format!("{suite}-updates"),
        format!("{suite}-security"),
    ];
    let mut lines: Vec<_> = targets
        .lines()
        .filter_map(|target| {
            let (origin, rest) = target.split_once('|')?;
            let (code_name, line) = rest.split_once('|')?;
            let ours = origin == "Debian" && releases.iter().any(|release| release == code_name);
            ours.then(|| line.to_owned())
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

/// Makes the system's tar, or finds it in the cache.
pub(super) fn root(
    debian: &Debian,
    sources: &Sources,
    dirs: &BuildDirs<'_>,
) -> Result<Built, DebianError> {
    find_or_make(dirs, "root.tar", inputs(debian, sources), |done| {
        tool::require(&NEEDS)?;
        (dirs.progress)(&format!(
            "debian: installing {} of {}; takes some minutes",
            debian.packages.join(", "),
            sources.suite
        ));
        let tar = done.join("root.tar");
        tool::run(
            mmdebstrap(debian, sources).arg(&tar).args(&sources.lines),
            &done.join("log"),
        )?;
        let list = versions(&tar)?;
        fs::write(done.join("packages"), list).map_err(failed("write", done))?;
        Ok(())
    })
}

/// Forgets the systems made so far from these sources, so that the next build has new packages.
pub fn refresh(debian: &Debian, sources: &Sources, dirs: &BuildDirs<'_>) -> Result<(), CacheError> {
    super::cache::remove(dirs, &inputs(debian, sources))
}

/// The packages in a tar that [`root`] made, as `name=version` lines.
pub(super) fn packages(root: &Built) -> Result<String, CacheError> {
    let list = root.path.with_file_name("packages");
    fs::read_to_string(&list).map_err(failed("read", &list))
}

/// Not the mirrors: the same release from another one is the same.
fn inputs(debian: &Debian, sources: &Sources) -> Inputs {
    let mut inputs = Inputs::default();
    inputs.add("recipe", format!("debian {VERSION}"));
    inputs.add("suite", &sources.suite);
    inputs.add("packages", debian.packages.join(" "));
    inputs.add("exclude", debian.exclude.join(" "));
    inputs.add("include", debian.include.join(" "));
    inputs
}

fn mmdebstrap(debian: &Debian, sources: &Sources) -> std::process::Command {
    let mut command = clean_command("mmdebstrap");
    command
        .env("SOURCE_DATE_EPOCH", super::EPOCH.to_string())
        .args([
            "--variant=essential",
            "--architectures=amd64",
            "--format=tar",
            "--aptopt=Acquire::Languages \"none\"",
        ]);
    command.arg(format!("--include={}", debian.packages.join(",")));
    let patterns = debian
        .exclude
        .iter()
        .map(|pattern| ("path-exclude", pattern));
    for (key, pattern) in patterns.chain(debian.include.iter().map(|p| ("path-include", p))) {
        command.arg(format!("--dpkgopt={key}={pattern}"));
    }
    for (file, line) in [
        ("passwd", "agent:x:1000:1000:agent:/home/agent:/bin/bash"),
        ("group", "agent:x:1000:"),
    ] {
        command.arg(format!(
            "--customize-hook=echo '{line}' >> \"$1/etc/{file}\""
        ));
    }
    // What would tell this machine's mirror, resolver and name apart from another's.
    let files = ["apt/sources.list", "resolv.conf", "hostname"].map(|f| format!("\"$1/etc/{f}\""));
    command.arg(format!("--customize-hook=rm -f {}", files.join(" ")));
    command.arg(&sources.suite);
    command
}

/// Reads dpkg's own records in the tar.
fn versions(tar: &Path) -> Result<String, ToolError> {
    let status = tool::output(
        clean_command("tar")
            .args(["-xOf".as_ref(), tar.as_os_str()])
            .arg("./var/lib/dpkg/status"),
    )?;
    let mut list = String::new();
    let mut name = "";
    for line in status.lines() {
        if let Some(package) = line.strip_prefix("Package: ") {
            name = package;
        } else if let Some(version) = line.strip_prefix("Version: ") {
            list.push_str(&format!("{name}={version}\n"));
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_name_needs_debian() {
        let debian = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(code_name(debian).as_deref(), Some("bookworm"));
        assert_eq!(code_name("ID=\"ubuntu\"\nVERSION_CODENAME=noble\n"), None);
        assert_eq!(code_name("ID=debian\n"), None);
    }

    #[test]
    fn lines_leave_out_backports_and_others() {
        let targets = "Debian|trixie|deb http://m/debian trixie main\n\
                       Debian|trixie-security|deb http://m/security trixie-security main\n\
                       Debian Backports|trixie-backports|deb http://m/debian b main\n\
                       Debian|bookworm|deb http://m/debian bookworm main\n\
                       |nodistro|deb http://n/ nodistro main\n\
                       Debian|trixie|deb http://m/debian trixie main\n";
        let lines = debian_lines(targets, "trixie");
        assert_eq!(
            lines,
            [
                "deb http://m/debian trixie main",
                "deb http://m/security trixie-security main"
            ]
        );
    }
}
