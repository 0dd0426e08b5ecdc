// SPDX-License-Identifier: Apache-2.0
//! The server's first root: a cpio archive ("newc", Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`) with a static busybox, the modules,
//! the init script and the command to run. Made in memory for each run: it is 3 MB.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Server;
use super::kernel::Kernel;
use crate::tools::Missing;

const INIT: &str = include_str!("init.sh");
const BUSYBOX: &str = "/bin/busybox";

/// What the command's environment keeps of ours. Not all of it: a different environment is a
/// different initial stack, and the deterministic clock would show it.
const KEPT: [&str; 11] = [
    "HOME",
    "PATH",
    "USER",
    "LANG",
    "CARGO_HOME",
    "CARGO_TARGET_DIR",
    "RUSTUP_HOME",
    "RUST_BACKTRACE",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// The archive for one run.
pub(crate) fn build(server: &Server, kernel: &Kernel) -> Result<Vec<u8>> {
    let busybox = fs::read(BUSYBOX).map_err(|_| no_busybox())?;
    if is_dynamic(&busybox) {
        return Err(no_busybox().into());
    }
    let mut archive = Cpio::default();
    for folder in ["bin", "dev", "proc", "sys", "modules", "lower", "up", "new"] {
        archive.add(folder, FOLDER, &[]);
    }
    archive.add("init", PROGRAM, INIT.as_bytes());
    archive.add("bin/busybox", PROGRAM, &busybox);
    let mut order = String::new();
    for module in &kernel.modules {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(module).with_context(|| format!("no {}", module.display()))?;
        archive.add(&format!("modules/{name}"), FILE, &bytes);
        order.push_str(&name);
        order.push('\n');
    }
    archive.add("modules/order", FILE, order.as_bytes());
    if server.out.is_some() {
        archive.add("has-out", FILE, &[]);
    }
    let here = std::env::current_dir().context("the current folder is gone")?;
    archive.add(
        "command",
        FILE,
        command(server, &here, environment()).as_bytes(),
    );
    Ok(archive.finish())
}

fn no_busybox() -> Missing {
    Missing(format!(
        "{BUSYBOX} is missing or not static: install the package busybox-static"
    ))
}

/// Whether an ELF file asks for an interpreter. Its path is in the first page of every such file.
fn is_dynamic(elf: &[u8]) -> bool {
    let head = elf.get(..4096).unwrap_or(elf);
    head.windows(4).any(|window| window == b"/lib")
}

fn environment() -> Vec<(String, String)> {
    let ours = std::env::vars();
    let mut kept: Vec<_> = ours
        .filter(|(key, _)| KEPT.contains(&key.as_str()) || key.starts_with("AMPOULE_"))
        .collect();
    kept.sort();
    kept
}

/// The script that is PID 1 once the root is there. The command has pipes, not the ports: a port
/// cannot be opened twice, and programs do open `/dev/stderr`. What it leaves running with a pipe
/// open has two seconds. The last act before the power goes is to tell the exit code; writes to a
/// virtio port return when the other side has them.
fn command(server: &Server, here: &Path, environment: Vec<(String, String)>) -> String {
    use std::fmt::Write;
    let mut script = String::from("export TERM=dumb\n");
    for (key, value) in environment {
        // A String never fails to be written to.
        let _ = writeln!(script, "export {key}={}", quote(&value));
    }
    // For measurements, which must say on what they were made.
    let clock = if server.deterministic {
        "deterministic"
    } else {
        "wall"
    };
    let _ = writeln!(script, "export AMPOULE_SIMULATED={clock}");
    let words: Vec<_> = server.argv.iter().map(|word| quote(word)).collect();
    let here = quote(&here.to_string_lossy());
    let _ = write!(
        script,
        "cd /run/kvmhost\n\
         ./busybox mkfifo in out err\n\
         ./busybox cat <stdin >in &\n\
         ./busybox cat <out >stdout & out=$!\n\
         ./busybox cat <err >stderr & err=$!\n\
         ulimit -n 65536\n\
         ( cd {here} && exec {} ) <in >out 2>err\n\
         code=$?\n\
         ( ./busybox sleep 2; kill $out $err ) &\n\
         wait $out $err\n\
         echo $code >exit\n\
         ./busybox poweroff -f\n",
        words.join(" ")
    );
    script
}

/// A word as a POSIX shell reads it back.
pub(crate) fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;

#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    fn add(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.entries = self.entries.saturating_add(1);
        let (inode, size, length) = (self.entries, data.len(), name.len().saturating_add(1));
        let links = 1;
        // magic, inode, mode, uid, gid, nlink, mtime, size, four device numbers, name size, check
        let header = format!(
            "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{size:08x}\
             {0:08x}{0:08x}{0:08x}{0:08x}{length:08x}{0:08x}",
            0
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn quoted_word_with_quotes_reads_back() {
        let word = "it's $HOME \"`x`\"\n";
        let script = format!("printf %s {}", quote(word));
        let out = std::process::Command::new("sh")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert_eq!(out.stdout, word.as_bytes());
    }

    #[test]
    fn archive_of_two_files_has_aligned_newc_headers() {
        let mut cpio = Cpio::default();
        cpio.add("a", FILE, b"12345");
        cpio.add("bb", FOLDER, b"");
        let bytes = cpio.finish();
        assert!(bytes.len().is_multiple_of(4));
        let text = String::from_utf8(bytes).unwrap();
        // 110 bytes of header, "a\0", 5 bytes of data, each padded to 4.
        assert_eq!(text.find("12345"), Some(112));
        assert_eq!(
            text.match_indices("070701")
                .map(|m| m.0)
                .collect::<Vec<_>>(),
            [0, 120, 236]
        );
    }

    #[test]
    fn command_script_quotes_and_keeps_the_folder() {
        let server = Server {
            deterministic: false,
            memory_mib: 1,
            cpus: 1,
            limit: Duration::ZERO,
            out: None,
            forward_stdin: false,
            argv: vec!["echo".into(), "a b".into()],
        };
        let script = command(&server, Path::new("/a dir"), vec![("K".into(), "v".into())]);
        assert!(script.contains("export K='v'\n"));
        assert!(script.contains("export AMPOULE_SIMULATED=wall\n"));
        assert!(script.contains("( cd '/a dir' && exec 'echo' 'a b' )"));
    }
}
