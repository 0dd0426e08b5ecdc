// SPDX-License-Identifier: Apache-2.0
//! Tunnels, private networks, scanners and load generators, as a table.

use super::super::super::{Harm, Kind};
use super::super::system::rows::{self, Row, look, row};
use super::super::{Call, Outcome};
use super::url::{Near, Url};
use crate::list::is_any;
use Harm::{Critical, High, Low, Medium};
use Kind::{Connect, Disrupt, Escalate, Persist, Publish, Read, Write};

const SHOWN: &str = "a port of this machine would be open to the world";
const MIDDLE: &str = "traffic of others would be read or changed";
const ATTACKS: &str = "a tool to break into hosts";
const LISTENS: &str = "traffic of the machine would be recorded";

// A table reads best with one row a line.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    look("ngrok", "version|config|update|diagnose|credits"),
    row("ngrok", "authtoken", Write, Low, "the tunnel's account"),
    row("ngrok", "+", Publish, High, SHOWN),
    look("cloudflared", "version|update|tail"),
    look("cloudflared", "tunnel list|info|token|ingress"),
    row("cloudflared", "tunnel delete|cleanup|route", Disrupt, High, "a tunnel that others use would change"),
    row("cloudflared", "tunnel login|create", Write, Medium, "the account would have another tunnel"),
    row("cloudflared", "tunnel", Publish, High, SHOWN),
    row("cloudflared", "service install", Persist, High, SHOWN),
    row("cloudflared", "access", Connect, Low, "speaks to a host"),
    row("cloudflared", "--url", Publish, High, SHOWN),
    row("lt localtunnel bore tunnelto localhost.run frpc frps rathole inlets sish zrok pagekite localxpose loclx expose chisel gost ligolo-ng pinggy telebit", "+", Publish, High, SHOWN),
    row("lt localtunnel bore tunnelto frpc frps rathole gost chisel", "-p|--port|-c|--config|-L", Publish, High, SHOWN),
    row("code code-insiders code-server-tunnel", "tunnel", Publish, High, SHOWN),
    row("code-server", "", Publish, Medium, "an editor would be served"),
    look("tailscale", "status|ip|ping|netcheck|version|whois|dns|cert|metrics"),
    row("tailscale", "funnel", Publish, High, SHOWN),
    row("tailscale", "serve", Publish, Medium, "a port of this machine would be open to the network"),
    row("tailscale", "up|down|logout|set|switch|login|lock|file", Connect, High, "the machine would join or leave a network"),
    row("wg-quick zerotier-cli netbird", "up|down|join|leave|set|save", Connect, High, "the machine would join or leave a network"),
    look("wg", "show|showconf|genkey|pubkey|genpsk"),
    row("wg", "set|setconf|addconf|syncconf", Connect, High, "the machine would join or leave a network"),
    row("openvpn openconnect vpnc sshuttle anyconnect", "", Connect, Medium, "traffic would go another way"),
    row("warp-cli", "connect|disconnect|delete|registration", Connect, Medium, "traffic would go another way"),
    row("devtunnel", "host|port", Publish, High, SHOWN),
    look("tcpdump tshark dumpcap", "-D|-h|-v|--version|--list-interfaces|-r"),
    row("tcpdump", "-z", Kind::Execute, High, "a command would run for each file"),
    row("tcpdump tshark dumpcap ngrep dsniff wireshark termshark", "", Read, Medium, LISTENS),
    row("ettercap bettercap arpspoof mitmproxy mitmdump mitmweb responder dnsspoof sslstrip dnschef evilginx", "", Escalate, High, MIDDLE),
    row("sqlmap hydra medusa nikto msfconsole msfvenom john hashcat aircrack-ng airodump-ng aireplay-ng wpscan crackmapexec nxc impacket-secretsdump mimikatz patator ncrack commix beef-xss setoolkit wfuzz ffuf gobuster dirb feroxbuster nuclei masscan zmap unicornscan", "", Escalate, High, ATTACKS),
    row("hping3 hping2 slowloris goldeneye slowhttptest t50 mdk4 loic", "", Disrupt, Critical, "a flood of packets keeps others from the host"),
    row("snmpset", "", Write, High, "a device of the network would change"),
    row("wol etherwake wakeonlan", "", Connect, Low, "another machine would start"),
    row("minicom screen-serial", "", Connect, Low, "speaks to a device"),
    row("croc wormhole magic-wormhole ffsend transfer onionshare onionshare-cli portal", "send", Kind::Send, High, "a local file would leave the machine"),
    row("onionshare onionshare-cli ffsend gupload bashupload", "+", Kind::Send, High, "a local file would leave the machine"),
    row("croc wormhole", "receive", Connect, Low, "a file would come from another machine"),
    row("uftp rwhod rusersd", "", Publish, Medium, SHOWN),
];

/// Scanners and load generators, whose harm follows from the host.
const BY_HOST: &str = "nmap zenmap ab wrk wrk2 hey siege vegeta bombardier oha k6 locust artillery autocannon iperf iperf3";

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    if is_any(BY_HOST, call.name) {
        return Some(by_host(call));
    }
    if matches!(call.name, "code" | "code-insiders")
        && call.args.first().is_none_or(|arg| arg.text != "tunnel")
    {
        return None;
    }
    rows::run(
        ROWS,
        call,
        &["-i", "-w", "-r", "-c", "-s", "-G", "-C", "-W", "--config"],
    )
}

fn by_host(call: &Call) -> Outcome {
    let mut outcome = Outcome::default();
    let loads = call.name != "nmap" && call.name != "zenmap";
    let host = call.args.iter().rev().find(|arg| {
        !arg.text.starts_with('-')
            && (arg.text.contains("://") || arg.text.contains('.') || arg.text == "localhost")
    });
    let Some(arg) = host else {
        return outcome;
    };
    let url = Url::read(&arg.text);
    // A script of `k6` or `locust` says itself where it goes.
    let script = [".js", ".py", ".yml", ".yaml", ".lua", ".ts"]
        .iter()
        .any(|end| arg.text.ends_with(end));
    let intrudes = call.args.iter().any(|arg| arg.text.starts_with("--script"))
        && call.args.iter().any(|arg| {
            let attacks = ["vuln", "exploit", "brute", "dos"];
            attacks.iter().any(|word| arg.text.contains(word))
        });
    let harm = match url.near() {
        _ if script => Low,
        Near::Local => Low,
        Near::Private if !intrudes => Medium,
        _ if loads || intrudes => High,
        _ => Medium,
    };
    let (kind, why) = if loads {
        (Disrupt, "many requests keep others from the host")
    } else {
        (Connect, "owners of hosts take scans for attacks")
    };
    let target = super::super::super::Target::Host(url.host);
    outcome.add(
        super::super::super::Effect::new(kind, harm, target, "network:probe", why),
        arg,
    );
    outcome
}
