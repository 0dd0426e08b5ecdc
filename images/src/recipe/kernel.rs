// SPDX-License-Identifier: Apache-2.0
//! The guest kernel: Debian's kernel source, `tinyconfig`, our fragment, and a few small patches.
//!
//! Each patch says what it spares a boot; none changes what a program in a guest can do. They fit
//! one source, [`PATCHED`]. Another is built as it is: the same kernel, some milliseconds slower.
//!
//! `boot-text` names the functions that a boot runs or patches, a quarter of the kernel's code, and
//! `command-text` those that a first command runs besides. The linker puts them side by side: the
//! former into the large page of the guest that is its own, the latter to the front of the rest,
//! whose pages are mostly never touched. A name this kernel does not have is passed over, so the
//! lists may be old; `docs/measurements.md` says how to make new ones.
//!
//! The result is `vmlinux`, the uncompressed ELF file the VMM maps. It is the same for the same
//! inputs, wherever and by whomever it is built: user, host and time of the build are fixed, the
//! build counter too, and without debug information no path gets in.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::{self, CacheError, Inputs, failed, find_or_make};
use super::tool::{self, Need, ToolError, clean_command};
use super::{BuildDirs, Built};

/// A patch of `images/kernel/patches` by its name.
macro_rules! patch {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../kernel/patches/", $name, ".patch")),
        )
    };
}

const FRAGMENT: &str = include_str!("../../kernel/x86_64.config");

/// One function a line, sorted; `unlikely.f` is what the compiler sets apart of `f`.
const BOOT_TEXT: &str = include_str!("../../kernel/boot-text");
const COMMAND_TEXT: &str = include_str!("../../kernel/command-text");

/// The source the patches are for.
const PATCHED: &str = "linux-source-6.1.tar.xz";

/// Name and text of each patch, in this order; no two change the same lines.
const PATCHES: [(&str, &str); 12] = [
    patch!("direct-map-end"),
    patch!("image-layout"),
    patch!("init-code-for-speed"),
    patch!("ioapic-as-reset"),
    patch!("mobility-in-large-guests"),
    patch!("new-pages-unchecked"),
    patch!("no-option-roms"),
    patch!("no-parameters-in-sysfs"),
    patch!("no-parameters-of-levels"),
    patch!("percpu-pages"),
    patch!("read-ahead"),
    patch!("slub-sysfs-with-debug"),
];

/// Changes when the same source and fragment give another kernel than before.
const VERSION: &str = "2";

/// Where Debian's package `linux-source` puts its archive.
const SOURCES: &str = "/usr/src";

const NEEDS: [Need; 10] = [
    Need {
        what: "make",
        package: "make",
    },
    Need {
        what: "gcc",
        package: "gcc",
    },
    Need {
        what: "ld",
        package: "binutils",
    },
    Need {
        what: "flex",
        package: "flex",
    },
    Need {
        what: "bison",
        package: "bison",
    },
    Need {
        what: "bc",
        package: "bc",
    },
    Need {
        what: "tar",
        package: "tar",
    },
    Need {
        what: "xz",
        package: "xz-utils",
    },
    Need {
        what: "patch",
        package: "patch",
    },
    // objtool reads and writes the kernel's object files.
    Need {
        what: "/usr/include/libelf.h",
        package: "libelf-dev",
    },
];

/// Options of 6.1 that 6.12 lost because it is always so there: `BASE_FULL` became the opposite of
/// `BASE_SMALL`, and the seeds of CPU and loader are trusted unless the command line says no.
const ALWAYS_SO_LATER: [&str; 3] = [
    "CONFIG_BASE_FULL",
    "CONFIG_RANDOM_TRUST_CPU",
    "CONFIG_RANDOM_TRUST_BOOTLOADER",
];

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The package is not installed.
    #[error("no kernel source in {SOURCES}; apt-get install linux-source")]
    NoSource,
    /// A program is missing or failed.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// This kernel's configuration has no such options, or something they depend on is off.
    #[error("the kernel's configuration did not take: {}; the fragment does not fit this source", .0.join(", "))]
    Dropped(Vec<String>),
    /// The archive holds something else.
    #[error("{} holds no kernel source", .0.display())]
    NotSource(PathBuf),
}

/// Builds the kernel, or finds it in the cache. Takes minutes the first time.
pub fn build(dirs: &BuildDirs<'_>) -> Result<Built, KernelError> {
    let source = tool::newest(Path::new(SOURCES), "linux-source-", ".tar.xz");
    let source = source.ok_or(KernelError::NoSource)?;
    tool::require(&NEEDS)?;
    let mut inputs = Inputs::default();
    inputs.add("recipe", format!("kernel {VERSION}"));
    inputs.add_file(
        &source.file_name().unwrap_or_default().to_string_lossy(),
        &source,
    )?;
    inputs.add("fragment", cache::text_digest(FRAGMENT));
    if is_patched(&source) {
        inputs.add("boot-text", cache::text_digest(BOOT_TEXT));
        inputs.add("command-text", cache::text_digest(COMMAND_TEXT));
        for (name, text) in PATCHES {
            inputs.add(&format!("patch {name}"), cache::text_digest(text));
        }
    }
    for program in ["gcc", "ld"] {
        let version = tool::output(clean_command(program).arg("--version"))?;
        inputs.add(program, version.lines().next().unwrap_or_default());
    }
    find_or_make(dirs, "vmlinux", inputs, |done| make(dirs, &source, done))
}

fn make(dirs: &BuildDirs<'_>, source: &Path, done: &Path) -> Result<(), KernelError> {
    let work = done.with_file_name("work");
    let log = done.join("log");
    fs::create_dir(&work).map_err(failed("make", &work))?;
    (dirs.progress)(&format!("kernel: unpacking {}", source.display()));
    let mut unpack = clean_command("tar");
    tool::run(unpack.arg("-xJf").arg(source).arg("-C").arg(&work), &log)?;
    let tree = only_folder(&work).ok_or_else(|| KernelError::NotSource(source.into()))?;

    let mut flags = None;
    if is_patched(source) {
        patch(&tree, &work, &log)?;
        // A section each, or the linker could not sort the functions.
        flags = Some("KCFLAGS=-ffunction-sections");
    } else {
        (dirs.progress)(&format!("kernel: no patches, they are for {PATCHED}"));
    }

    (dirs.progress)("kernel: configuring");
    tool::run(kernel_make(&tree).arg("tinyconfig"), &log)?;
    let config = tree.join(".config");
    let tiny = fs::read_to_string(&config).map_err(failed("read", &config))?;
    fs::write(&config, tiny + FRAGMENT).map_err(failed("write", &config))?;
    tool::run(kernel_make(&tree).arg("olddefconfig"), &log)?;
    let result = fs::read_to_string(&config).map_err(failed("read", &config))?;
    let dropped = dropped(FRAGMENT, &result);
    if !dropped.is_empty() {
        return Err(KernelError::Dropped(dropped));
    }

    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    (dirs.progress)(&format!(
        "kernel: compiling with {jobs} jobs; takes some minutes"
    ));
    let mut compile = kernel_make(&tree);
    compile.arg(format!("-j{jobs}")).args(flags).arg("vmlinux");
    tool::run(&mut compile, &log)?;
    let built = tree.join("vmlinux");
    let target = done.join("vmlinux");
    fs::rename(&built, &target).map_err(failed("move here", &target))?;
    fs::rename(&config, done.join("config")).map_err(failed("keep", &config))?;
    Ok(())
}

fn is_patched(source: &Path) -> bool {
    source.file_name().is_some_and(|name| *name == *PATCHED)
}

/// Applies every patch, none of it where a line differs, and writes what the linker's script
/// includes.
fn patch(tree: &Path, work: &Path, log: &Path) -> Result<(), KernelError> {
    for (name, text) in PATCHES {
        let file = work.join(name);
        fs::write(&file, text).map_err(failed("write", &file))?;
        let mut patch = clean_command("patch");
        patch.args([
            "--strip=1",
            "--fuzz=0",
            "--forward",
            "--batch",
            "--directory",
        ]);
        tool::run(patch.arg(tree).arg("--input").arg(&file), log)?;
    }
    // What is written in assembly has no sections of its own, and comes first.
    let boot = format!("\t\t*(.text)\n{}", sections(BOOT_TEXT));
    for (name, lines) in [("boot", boot), ("command", sections(COMMAND_TEXT))] {
        let script = tree.join(format!("arch/x86/kernel/{name}-text.lds"));
        fs::write(&script, lines).map_err(failed("write", &script))?;
    }
    Ok(())
}

/// The linker's lines for functions, in this order.
fn sections(functions: &str) -> String {
    let lines = functions.lines();
    lines.map(|name| format!("\t\t*(.text.{name})\n")).collect()
}

/// `make` in the kernel's tree, with everything fixed that a kernel otherwise says of its build.
fn kernel_make(tree: &Path) -> Command {
    let mut make = clean_command("make");
    make.current_dir(tree)
        .env("ARCH", "x86_64")
        .env("KBUILD_BUILD_TIMESTAMP", format!("@{}", super::EPOCH))
        .env("KBUILD_BUILD_USER", "ampoule")
        .env("KBUILD_BUILD_HOST", "ampoule")
        .env("KBUILD_BUILD_VERSION", "1");
    make
}

/// What the fragment asks for and the final configuration does not say.
fn dropped(fragment: &str, config: &str) -> Vec<String> {
    let lines: BTreeSet<_> = config.lines().collect();
    let is_off = |option: &str| {
        !config
            .lines()
            .any(|line| line.starts_with(&format!("{option}=")))
    };
    fragment
        .lines()
        .filter(|line| {
            match line
                .strip_prefix("# ")
                .and_then(|l| l.strip_suffix(" is not set"))
            {
                Some(option) if option.starts_with("CONFIG_") => !is_off(option),
                _ => line.starts_with("CONFIG_") && !lines.contains(line) && !is_gone(line, config),
            }
        })
        .map(|line| line.trim_start_matches("# ").to_owned())
        .collect()
}

/// Whether a configuration does not know the option of a line at all, and need not.
fn is_gone(line: &str, config: &str) -> bool {
    let option = line.split('=').next().unwrap_or_default();
    ALWAYS_SO_LATER.contains(&option) && !config.contains(&format!("{option} "))
}

fn only_folder(folder: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(folder).ok()?.filter_map(Result::ok);
    let first = entries.next()?.path();
    (entries.next().is_none() && first.join("Kconfig").is_file()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_names_options_lost_and_options_forced() {
        let fragment =
            "# why\nCONFIG_A=y\nCONFIG_B=32\n# CONFIG_C is not set\n# CONFIG_D is not set\n";
        let config = "CONFIG_A=y\nCONFIG_B=64\nCONFIG_C=y\n";
        assert_eq!(
            dropped(fragment, config),
            ["CONFIG_B=32", "CONFIG_C is not set"]
        );
    }

    #[test]
    fn option_of_older_kernels_is_dropped_only_where_it_exists() {
        let fragment = "CONFIG_BASE_FULL=y\n";
        assert_eq!(
            dropped(fragment, "# CONFIG_BASE_FULL is not set\n"),
            ["CONFIG_BASE_FULL=y"]
        );
        assert!(dropped(fragment, "# CONFIG_BASE_SMALL is not set\n").is_empty());
    }

    #[test]
    fn each_function_is_a_section_in_the_order_of_the_list() {
        assert_eq!(
            sections("b\nunlikely.a.part.0\n"),
            "\t\t*(.text.b)\n\t\t*(.text.unlikely.a.part.0)\n"
        );
    }

    #[test]
    fn lists_of_text_hold_sorted_names_and_nothing_else_and_share_none() {
        let boot: Vec<_> = BOOT_TEXT.lines().collect();
        let command: Vec<_> = COMMAND_TEXT.lines().collect();
        assert!(!command.iter().any(|name| boot.contains(name)));
        assert_list(&boot);
        assert_list(&command);
    }

    fn assert_list(names: &[&str]) {
        assert!(names.is_sorted_by(|a, b| a < b), "sorted, none twice");
        let part_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        for name in names {
            assert!(
                !name.is_empty() && name.chars().all(part_of_a_name),
                "{name}"
            );
        }
    }

    #[test]
    fn fragment_asks_for_no_option_twice() {
        let mut seen = BTreeSet::new();
        for line in FRAGMENT.lines() {
            let line = line.trim_start_matches("# ");
            let option = line.split(['=', ' ']).next().unwrap_or_default();
            if option.starts_with("CONFIG_") {
                assert!(seen.insert(option.to_owned()), "{option}");
            }
        }
    }
}
