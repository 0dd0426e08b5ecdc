// SPDX-License-Identifier: Apache-2.0
//! Hosts and URLs, read leniently, as `curl` does.

use super::super::super::place::{Area, Setting};
use super::super::super::word::UNKNOWN;

/// How near the other end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Near {
    /// This machine.
    Local,
    /// The same network, by its address or name.
    Private,
    /// Anybody's.
    Public,
}

/// A URL taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Url {
    /// In lower case, `http` when not said.
    pub(super) scheme: String,
    /// In lower case, without brackets.
    pub(super) host: String,
    /// When said.
    pub(super) port: Option<u16>,
    /// The rest, with its slash.
    pub(super) path: String,
}

impl Url {
    /// Reads a URL with or without its scheme.
    pub(super) fn read(text: &str) -> Self {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(inner) => {
                let (host, port) = inner.split_once(']').unwrap_or((inner, ""));
                (host, port.trim_start_matches(':'))
            }
            None if authority.matches(':').count() > 1 => (authority, ""),
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        Self {
            scheme: scheme.to_ascii_lowercase(),
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            port: port.parse().ok(),
            path: path.to_owned(),
        }
    }

    /// How near it is.
    pub(super) fn near(&self) -> Near {
        near(&self.host)
    }

    /// The name that the last part of its path has.
    pub(super) fn file_name(&self) -> &str {
        let path = self.path.split(['?', '#']).next().unwrap_or_default();
        match path.rsplit('/').next() {
            Some("") | None => "index.html",
            Some(name) => name,
        }
    }

    /// Whether it is a cloud's service that hands out the machine's credentials.
    pub(super) fn is_metadata(&self) -> bool {
        let addresses = [
            [169, 254, 169, 254],
            [169, 254, 170, 2],
            [169, 254, 170, 23],
            [100, 100, 100, 200],
            [192, 0, 0, 192],
        ];
        let address = address(&self.host).map(u32::to_be_bytes);
        address.is_some_and(|address| addresses.contains(&address))
            || matches!(
                self.host.as_str(),
                "metadata.google.internal"
                    | "metadata"
                    | "fd00:ec2::254"
                    | "metadata.azure.com"
                    | "::ffff:169.254.169.254"
                    | "instance-data"
                    | "::ffff:a9fe:a9fe"
            )
    }

    /// Whether it only takes what others send, so that its owner can read it.
    pub(super) fn collects(&self) -> bool {
        COLLECTORS.split_ascii_whitespace().any(|known| {
            self.host
                .strip_suffix(known)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    /// Whether its port is one where a service's whole data or machine is managed.
    pub(super) fn manages(&self) -> bool {
        let ports = [
            2375, 2376, 2379, 4646, 5984, 6443, 7474, 8001, 8086, 8200, 8500, 9200, 9201, 15672,
            8098, 8983, 6333, 9000, 7700, 8123, 10250,
        ];
        self.port.is_some_and(|port| ports.contains(&port))
    }

    /// The file that a `file://` URL names.
    pub(super) fn file(&self) -> Option<&str> {
        (self.scheme == "file").then_some(self.path.as_str())
    }

    /// Whether that file holds secrets.
    pub(super) fn is_secret_file(&self, setting: &Setting) -> bool {
        self.file().is_some_and(|path| {
            let place = setting.place(path, None);
            place.secret || place.area == Area::Root
        })
    }
}

/// Sites to which anybody posts and from which anybody reads.
const COLLECTORS: &str = "webhook.site requestbin.com requestbin.net pipedream.net beeceptor.com interact.sh oast.fun oast.me \
    oast.pro oast.live oast.site oast.online oastify.com burpcollaborator.net ngrok.io ngrok.app \
    ngrok-free.app trycloudflare.com loca.lt serveo.net pastebin.com paste.rs dpaste.com dpaste.org \
    ix.io sprunge.us termbin.com 0x0.st transfer.sh file.io gofile.io catbox.moe temp.sh bashupload.com \
    anonfiles.com hastebin.com paste.ee ghostbin.com rentry.co oshi.at uguu.se filebin.net tmpfiles.org \
    requestcatcher.com hookb.in dnslog.cn ceye.io canarytokens.com c.gdns.me clbin.com envs.sh \
    keybase.pub wormhole.app send.vis.ee litterbox.catbox.moe pixeldrain.com webhookrelay.com \
    typedwebhook.tools smee.io pastes.dev paste.mozilla.org controlc.com privatebin.net";

/// How near a host is.
pub(super) fn near(host: &str) -> Near {
    if let Some(address) = address(host) {
        return match address.to_be_bytes() {
            [127, ..] | [0, 0, 0, 0] => Near::Local,
            [10, ..] | [192, 168, ..] | [169, 254, ..] => Near::Private,
            [172, second, ..] if (16..32).contains(&second) => Near::Private,
            [100, second, ..] if (64..128).contains(&second) => Near::Private,
            _ => Near::Public,
        };
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| host.ends_with(ending));
    if matches!(
        host,
        "localhost" | "::1" | "ip6-localhost" | "host.docker.internal" | ""
    ) || ends(&[".localhost"])
    {
        return Near::Local;
    }
    let named = !host.contains(['.', ':']) && !host.contains(UNKNOWN);
    let inside = [
        ".local",
        ".internal",
        ".lan",
        ".test",
        ".svc",
        ".home.arpa",
        ".localdomain",
        ".intranet",
        ".corp",
        ".home",
    ];
    if named
        || ends(&inside)
        || host.starts_with("fe80:")
        || host.starts_with("fd") && host.contains(':')
    {
        return Near::Private;
    }
    Near::Public
}

/// An IPv4 address in any of the spellings of `inet_aton(3)`: `127.1`, `0x7f000001`, `2130706433`.
fn address(host: &str) -> Option<u32> {
    if host.is_empty() || host.len() > 40 {
        return None;
    }
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let mut whole: u32 = 0;
    for (at, part) in first.iter().enumerate() {
        whole |= part.checked_shl(24_u32.saturating_sub(8 * u32::try_from(at).ok()?))?;
    }
    let room = 32_u32.saturating_sub(8 * u32::try_from(first.len()).ok()?);
    if room < 32 && u64::from(*last) >= 1_u64 << room {
        return None;
    }
    Some(whole | last)
}

fn number(text: &str) -> Option<u32> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u32::from_str_radix(hex, 16).ok();
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if text.len() > 1 && text.starts_with('0') {
        return u32::from_str_radix(text, 8).ok();
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_near_by_their_address_or_name() {
        for (host, wanted) in [
            ("localhost", Near::Local),
            ("127.0.0.1", Near::Local),
            ("127.1", Near::Local),
            ("0x7f.1", Near::Local),
            ("2130706433", Near::Local),
            ("app.localhost", Near::Local),
            ("::1", Near::Local),
            ("10.1.2.3", Near::Private),
            ("172.20.0.1", Near::Private),
            ("172.32.0.1", Near::Public),
            ("postgres", Near::Private),
            ("printer.local", Near::Private),
            ("example.com", Near::Public),
            ("8.8.8.8", Near::Public),
            ("localhost.example.com", Near::Public),
            ("127.0.0.1.example.com", Near::Public),
        ] {
            assert_eq!(near(host), wanted, "{host}");
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let url = Url::read("HTTPS://bob:pw@Example.com:8443/a/b.tgz?x=1#y");
        assert_eq!(url.scheme, "https");
        assert_eq!(url.host, "example.com");
        assert_eq!(url.port, Some(8443));
        assert_eq!(url.file_name(), "b.tgz");
        assert_eq!(Url::read("[::1]:80/x").near(), Near::Local);
        assert_eq!(Url::read("example.com").file_name(), "index.html");
    }

    #[test]
    fn the_metadata_service_is_known_in_every_spelling() {
        for text in [
            "http://169.254.169.254/latest/meta-data/",
            "http://2852039166/",
            "http://0xa9fea9fe/x",
            "http://0251.0376.0251.0376/",
            "http://metadata.google.internal/computeMetadata/v1/",
            "169.254.170.2/v2/credentials",
        ] {
            assert!(Url::read(text).is_metadata(), "{text}");
        }
        assert!(!Url::read("http://169.254.1.1/").is_metadata());
    }
}
