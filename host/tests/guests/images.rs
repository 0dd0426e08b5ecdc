// SPDX-License-Identifier: Apache-2.0
//! Images: importing, verifying, and broken ones made for the other tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::harness::Home;

/// The user's data folder, where `cargo ci setup` put kernel and images.
fn data_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".local/share");
    std::env::var_os("XDG_DATA_HOME").map_or_else(home, PathBuf::from)
}

/// A copy of the user's data folder that shares the stored files but has manifests of its own.
pub(crate) fn own_data(home: &Home) -> PathBuf {
    let (from, to) = (data_home().join("ampoule"), home.path().join("d/ampoule"));
    fs::create_dir_all(to.join("images")).unwrap();
    fs::create_dir_all(to.join("store")).unwrap();
    for (folder, share) in [("images", false), ("store", true)] {
        for entry in fs::read_dir(from.join(folder)).unwrap().flatten() {
            let target = to.join(folder).join(entry.file_name());
            let shared = share && fs::hard_link(entry.path(), &target).is_ok();
            if !shared {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    home.path().join("d")
}

/// A data folder whose kernel is a valid ELF that loops for ever at its first instruction.
pub(crate) fn spinning_kernel(home: &Home) -> PathBuf {
    replace_kernel(home, &elf(&[0xeb, 0xfe]))
}

/// A data folder whose image `broken` has no init to run.
pub(crate) fn image_without_init(home: &Home) -> PathBuf {
    let data = own_data(home);
    let base = manifest_file(&data, "base");
    let path = data.join("ampoule/store").join(&base);
    let mut bytes = fs::read(&path).unwrap();
    let needle = b".ampoule";
    let at = bytes
        .windows(needle.len())
        .position(|w| w == needle)
        .unwrap();
    bytes[at..at + needle.len()].copy_from_slice(b".nothere");
    store(&data, "broken", "base", &bytes);
    data
}

fn replace_kernel(home: &Home, bytes: &[u8]) -> PathBuf {
    let data = own_data(home);
    store(&data, "kernel", "kernel", bytes);
    data
}

fn manifest(data: &Path, name: &str) -> PathBuf {
    data.join("ampoule/images").join(format!("{name}.json"))
}

fn manifest_file(data: &Path, name: &str) -> String {
    let text = fs::read_to_string(manifest(data, name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["sha256"].as_str().unwrap().to_owned()
}

/// Stores `bytes` under their digest and makes `name` a copy of `like` that points at them.
pub(crate) fn store(data: &Path, name: &str, like: &str, bytes: &[u8]) {
    use sha2::{Digest, Sha256};
    let digest: String = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let path = data.join("ampoule/store").join(&digest);
    if !path.exists() {
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    }
    let text = fs::read_to_string(manifest(data, like)).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&text).unwrap();
    json["sha256"] = digest.into();
    json["bytes"] = bytes.len().into();
    json["name"] = name.into();
    fs::write(manifest(data, name), json.to_string()).unwrap();
}

/// A minimal x86-64 ELF executable with `code` at 16 MiB, where kernels begin.
pub(crate) fn elf(code: &[u8]) -> Vec<u8> {
    let (entry, offset) = (0x100_0000u64, 4096u64);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes());
    for word in [entry, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    for word in [1u32, 5] {
        file.extend(word.to_le_bytes());
    }
    let size = 4096u64;
    // Linked in the upper half, as kernels are.
    let linked = 0xffff_ffff_8000_0000 + entry;
    for word in [offset, linked, entry, size, size, 4096] {
        file.extend(word.to_le_bytes());
    }
    file.resize(usize::try_from(offset).unwrap(), 0);
    file.extend(code);
    file.resize(8192, 0x90);
    file
}

#[test]
fn an_imported_root_runs() {
    let Some(home) = Home::new() else { return };
    let data = own_data(&home);
    let root = home.path().join("root");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    let tar = home.path().join("root.tar");
    let mut make = std::process::Command::new("tar");
    make.arg("-C").arg(&root).arg("-cf").arg(&tar).arg(".");
    assert!(make.status().unwrap().success());
    let with_data = |args: &[&str]| {
        home.command(args)
            .env("XDG_DATA_HOME", &data)
            .output()
            .unwrap()
    };
    let imported = with_data(&["image", "import", "mine", tar.to_str().unwrap()]);
    assert!(imported.status.success(), "{imported:?}");
    let ran = with_data(&[
        "run",
        "--image",
        "mine",
        "--",
        "/bin/busybox",
        "echo",
        "mine",
    ]);
    assert_eq!(ran.stdout, b"mine\n", "{ran:?}");
    assert!(with_data(&["image", "verify", "mine"]).status.success());
}

#[test]
fn a_changed_file_in_the_store_fails_verification_by_name() {
    let Some(home) = Home::new() else { return };
    let data = own_data(&home);
    let digest = manifest_file(&data, "base");
    let path = data.join("ampoule/store").join(digest);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100_000] ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    let mut verify = home.command(&["image", "verify", "base"]);
    let output = verify.env("XDG_DATA_HOME", &data).output().unwrap();
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("base"),
        "{output:?}"
    );
}
