// SPDX-License-Identifier: Apache-2.0
//! Programs that speak to hosts: `curl`, `scp`, `ssh`, `nc`, `dig`, `gpg`, `ngrok`.
//!
//! Two questions decide: who is at the other end (`url.rs`), and what is sent there (`payload.rs`).

mod clients;
mod copy;
mod exchange;
mod http;
mod keys;
mod mail;
mod names;
mod payload;
mod remote;
mod sockets;
mod tables;
mod url;

use super::{Call, Outcome};

pub(super) use remote::client as ssh_client;
pub use sockets::dev_tcp;

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    let rule: fn(&Call) -> Outcome = match call.name {
        "curl" | "curlie" | "wget" | "wget2" => http::run,
        "http" | "https" | "xh" | "xhs" | "httpie" | "aria2c" | "axel" | "lynx" | "w3m"
        | "links" | "elinks" | "fetch" | "ftp" | "lftp" | "tftp" | "ncftpput" | "ncftpget"
        | "websocat" | "wscat" | "whois" => clients::run,
        "scp" | "sftp" | "rsync" | "pscp" | "psftp" | "rcp" => copy::run,
        "ssh-copy-id" | "ssh-keygen" | "ssh-add" | "ssh-keyscan" | "sshfs" => remote::run,
        "nc" | "ncat" | "netcat" | "nc.traditional" | "nc.openbsd" | "pwncat" | "socat"
        | "telnet" => sockets::run,
        "openssl" => return sockets::openssl(call),
        "dig" | "nslookup" | "host" | "drill" | "kdig" | "ping" | "ping6" | "traceroute"
        | "mtr" | "tracepath" | "resolvectl" | "getent" | "delv" | "fping" => {
            return names::run(call);
        }
        "mail" | "mailx" | "sendmail" | "mutt" | "neomutt" | "msmtp" | "swaks" | "s-nail"
        | "ssmtp" | "mpack" | "Mail" => mail::run,
        "gpg" | "gpg2" => keys::run,
        _ => return tables::run(call),
    };
    let first = call.args.first().map_or("", |arg| arg.text.as_str());
    if matches!(first, "--help" | "--version") {
        return Some(Outcome::default());
    }
    Some(rule(call))
}

#[cfg(test)]
mod tests;
