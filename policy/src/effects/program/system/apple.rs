// SPDX-License-Identifier: Apache-2.0
//! Programs of macOS, as a table.

use super::super::super::{Harm, Kind};
use super::super::{Call, Outcome};
use super::rows::{self, Row, look, row};
use Harm::{Critical, High, Low, Medium};
use Kind::{Delete, Disrupt, Escalate, Persist, Read, TouchSecret, Write};

const GUARD: &str = "the machine would be less protected";
const SETTINGS: &str = "settings would change";
const ACCOUNTS: &str = "accounts or groups would change";
const KEYS: &str = "passwords in the keychain would be read or lost";

// A table reads best with one row a line.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    look("diskutil", "list|info|activity|listFilesystems|verifyDisk|verifyVolume"),
    look("diskutil", "apfs|ap|cs|corestorage|appleRAID list|listUsers|listSnapshots|info"),
    row("diskutil", "eraseDisk|eraseVolume|partitionDisk|zeroDisk|secureErase|reformat|randomDisk|splitPartition|mergePartitions|eraseOptical|eraseAll", Delete, Critical, "what is on the disk would be lost"),
    row("diskutil", "apfs|ap|cs|corestorage|appleRAID|ar delete~|erase~|destroy~|remove~|revert", Delete, Critical, "what is on the disk would be lost"),
    row("diskutil", "resizeVolume|apfs|ap|cs|repairDisk|repairVolume", Write, High, "the disk would change"),
    row("diskutil", "unmount|unmountDisk|umount|umountDisk|rename|renameVolume|enableJournal|disableJournal", Disrupt, Medium, "programs that use it would fail"),
    row("diskutil", "eject|mount|mountDisk", Disrupt, Low, "a disk would come or go"),
    look("hdiutil", "info|imageinfo|verify|checksum|isencrypted"),
    row("hdiutil", "erasekeys|burn", Delete, High, "what is on the disk would be lost"),
    row("hdiutil", "+", Write, Low, "an image of a disk"),
    look("csrutil", "status|authenticated-root"),
    row("csrutil", "disable|clear|netboot|enable", Escalate, Critical, GUARD),
    look("spctl", "--status|-a|--assess"),
    row("spctl", "--master-disable|--global-disable|--add|--disable|--remove|--reset-default|--enable", Escalate, High, GUARD),
    look("fdesetup", "status|list|isactive|version|haspersonalrecoverykey|hasinstitutionalrecoverykey"),
    row("fdesetup", "+", TouchSecret, Critical, "the disk's encryption would change"),
    look("tmutil", "list~|status|latestbackup|destinationinfo|compare|calculatedrift|isexcluded|machinedirectory|uniquesize|verifychecksums"),
    row("tmutil", "delete~|thinlocalsnapshots|disable|disablelocal|removedestination|inheritbackup|setdestination|restore", Delete, High, "backups would be lost or no longer made"),
    row("tmutil", "addexclusion|removeexclusion|startbackup|stopbackup|localsnapshot|snapshot|enable", Write, Low, "backups"),
    look("nvram", "-p|-x"),
    row("nvram", "boot-args=~|csr-active-config=~|boot-volume=~|auto-boot=~|StartupMute=~|SystemAudioVolume=~", Disrupt, High, "the machine might not start again"),
    row("nvram", "-c|-d|-f", Disrupt, High, "the machine might not start again"),
    look("dscl", "-list|-read|-readall|-search|-authonly|-diff"),
    row("dscl", "-create|-append|-delete|-change|-passwd|-merge|-createpl", Escalate, High, ACCOUNTS),
    row("dscl", "+ list|read|readall|search", Read, Harm::None, "looks"),
    row("dscl", "+ create|append|delete|change|passwd|merge", Escalate, High, ACCOUNTS),
    look("sysadminctl", "-secureTokenStatus|-adminUser"),
    row("sysadminctl dseditgroup dsenableroot createhomedir dsimport", "", Escalate, High, ACCOUNTS),
    look("defaults", "read|read-type|domains|find|export|help"),
    row("defaults", "delete|import|rename", Write, Medium, SETTINGS),
    row("defaults", "write com.apple.LSQuarantine|com.apple.loginwindow|/Library~|com.apple.screensaver|com.apple.security~|com.apple.alf|com.apple.SoftwareUpdate", Escalate, High, GUARD),
    row("defaults", "write", Write, Medium, SETTINGS),
    look("systemsetup networksetup", "-get~|-list~|-print~|-show~"),
    row("systemsetup", "-set~", Disrupt, High, SETTINGS),
    row("networksetup", "-set~|-remove~|-create~|-add~|-switch~|-order~", Disrupt, High, "the machine could be cut off, or others answer it"),
    look("scutil", "--get|--dns|--proxy|--nwi|-r"),
    row("scutil", "--set|--prefs", Disrupt, Medium, SETTINGS),
    look("pmset", "-g"),
    row("pmset", "sleepnow|displaysleepnow|schedule|repeat", Disrupt, Medium, "the machine would sleep"),
    row("pmset", "", Write, Medium, SETTINGS),
    look("softwareupdate", "-l|--list|--history"),
    row("softwareupdate", "-i|--install|-a|-r|-ia|--restart|-R", Kind::Install, High, "the system would be changed and restarted"),
    look("security", "list-keychains|default-keychain|find-certificate|verify-cert|show-keychain-info|cms|help"),
    row("security", "dump-keychain|export|delete-keychain|delete-generic-password|delete-internet-password|delete-identity|unlock-keychain|set-keychain-settings|delete-certificate", TouchSecret, High, KEYS),
    row("security", "find-generic-password|find-internet-password|find-key|find-identity -w|-g", TouchSecret, High, KEYS),
    row("security", "add-trusted-cert|authorizationdb|remove-trusted-cert|trust-settings-import", Escalate, High, "whom the machine trusts would change"),
    row("security", "add-generic-password|add-internet-password|import|create-keychain", TouchSecret, Medium, "the keychain would change"),
    row("tccutil", "reset", Escalate, Medium, "what programs may see would change"),
    row("profiles", "install|remove|-I|-R|-D|renew|delete", Persist, High, "a profile decides about the whole machine"),
    row("installer", "-pkg|-target", Kind::Install, High, "a package would be installed for everybody"),
    row("bless startosinstall asr", "", Delete, Critical, "the machine would start, or be, something else"),
    row("kickstart ardagent", "", Kind::Publish, High, "others could see and use the screen"),
    look("xattr", "-l|-p"),
    row("xattr", "-d|-c|-cr|-dr|-rd|-rc", Escalate, Medium, "a file from elsewhere would no longer be checked"),
    row("log", "erase", Kind::Obfuscate, High, "logs tell what happened"),
    row("purge", "", Disrupt, Low, "caches in memory"),
];

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    if call.name == "log" && call.args.first().is_none_or(|arg| arg.text != "erase") {
        return None;
    }
    rows::run(ROWS, call, &["-f", "-x"])
}
