// SPDX-License-Identifier: Apache-2.0
//! The machine's network: firewalls, links, routes, names.

use super::super::super::{Harm, Kind};
use super::super::{Call, Outcome};
use super::rows::{self, Row, look, row};
use Harm::{High, Low, Medium};
use Kind::{Disrupt, Write};

const OPEN: &str = "who can reach the machine would change";
const CUT: &str = "the machine, or who works on it from afar, could be cut off";

// A table reads best with one row a line.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("iptables ip6tables iptables-legacy iptables-nft ebtables arptables", "-F|--flush|-X|--delete-chain|-P|--policy|-A|--append|-I|--insert|-D|--delete|-R|--replace|-N|--new-chain|-E", Disrupt, High, OPEN),
    row("iptables ip6tables iptables-legacy ebtables arptables", "-Z|--zero", Write, Low, "counters"),
    row("iptables-restore ip6tables-restore nft-restore", "!-t|--test", Disrupt, High, OPEN),
    look("nft", "list|describe|monitor"),
    look("nft", "-c|--check"),
    row("nft", "flush|delete|add|insert|replace|create|destroy|reset|rename", Disrupt, High, OPEN),
    row("nft", "-f|--file", Disrupt, High, OPEN),
    look("ufw", "status|show|version|app"),
    look("ufw", "--dry-run"),
    row("ufw", "reload|logging", Disrupt, Medium, OPEN),
    row("ufw", "+", Disrupt, High, OPEN),
    look("firewall-cmd", "--state|--list~|--get~|--query~|--info~|--check-config|--help"),
    row("firewall-cmd", "--reload|--complete-reload", Disrupt, Medium, OPEN),
    row("firewall-cmd", "--add~|--remove~|--panic~|--set~|--change~|--delete~|--new~|--direct|--runtime-to-permanent|--zone~|--permanent", Disrupt, High, OPEN),
    look("pfctl", "-n|-s"),
    row("pfctl", "-d|-e|-F|-f|-k|-t|-x|-E|-X", Disrupt, High, OPEN),
    row("ipfw ipf", "+", Disrupt, High, OPEN),
    look("ipset", "list|save|test|version"),
    row("ipset", "+", Disrupt, High, OPEN),
    row("conntrack", "-F|--flush|-D|--delete", Disrupt, Medium, CUT),
    row("csf", "-x|--disable|-f|--stop|-a|-d", Disrupt, High, OPEN),
    row("fail2ban-client", "stop|unban|set|reload", Disrupt, High, OPEN),
    row("ip", "link|l|li set|s + down", Disrupt, High, CUT),
    row("ip", "link|l|li set|s dev + down", Disrupt, High, CUT),
    row("ip", "link|l|li delete|del|d", Disrupt, High, CUT),
    row("ip", "addr|address|a flush|f|del|d|delete", Disrupt, High, CUT),
    row("ip", "route|r|ro flush|f|del|d|delete|replace|change", Disrupt, High, CUT),
    row("ip", "route|r|ro add|a|append|prepend", Disrupt, Medium, CUT),
    row("ip", "rule|ru|xfrm|tunnel|neigh|neighbour|n flush|del|delete|add|change|replace", Disrupt, Medium, CUT),
    row("ip", "netns|net del|delete|add|set", Write, Low, "a separate network"),
    row("ip", "link|l|li|addr|address|a|tuntap add|a|set|s|replace|change", Disrupt, Medium, CUT),
    row("ip", "link|l|li|addr|address|a|tuntap", Kind::Read, Harm::None, "looks"),
    row("ifconfig", "+ down|delete|-alias", Disrupt, High, CUT),
    row("ifconfig", "+ up", Disrupt, Low, "a link would start"),
    row("ifconfig", "+ +", Disrupt, Medium, CUT),
    row("ifdown", "+", Disrupt, High, CUT),
    row("ifup", "+", Disrupt, Low, "a link would start"),
    row("route", "del|delete|flush|change", Disrupt, High, CUT),
    row("route", "-f", Disrupt, High, CUT),
    row("route", "add", Disrupt, Medium, CUT),
    row("nmcli", "networking|n|net|nm off", Disrupt, High, CUT),
    row("nmcli", "radio|r wifi|all|wwan off", Disrupt, High, CUT),
    row("nmcli", "connection|con|c|conn delete|del|down|modify|mod|edit", Disrupt, High, CUT),
    row("nmcli", "device|dev|d disconnect|delete|set|modify", Disrupt, High, CUT),
    row("nmcli", "connection|con|c|conn|device|dev|d up|add|connect|reload|import|clone|wifi|reapply", Disrupt, Medium, CUT),
    row("rfkill", "block", Disrupt, High, CUT),
    row("netplan", "apply|try|set|rebind", Disrupt, High, CUT),
    row("dhclient", "-r|-x", Disrupt, High, CUT),
    row("dhcpcd", "-k|--release|-x|--exit", Disrupt, High, CUT),
    row("brctl ovs-vsctl", "delbr|del-br|delif|del-port", Disrupt, Medium, CUT),
    row("tc", "qdisc|class|filter add|change|replace", Disrupt, Medium, "traffic would be slowed or lost"),
    row("tc", "qdisc|class|filter del|delete", Disrupt, Low, "traffic would no longer be shaped"),
    row("ethtool", "-s|-K|-G|-A|-C|-E|-f", Disrupt, Medium, CUT),
    row("arp", "-d|-s", Disrupt, Low, "an entry of the neighbours"),
    look("resolvectl", "flush-caches|status|query|statistics"),
    row("resolvectl", "dns|domain|dnssec|revert|default-route|dnsovertls", Disrupt, High, "names would be answered by others"),
    row("iw iwconfig wpa_cli", "+ +", Disrupt, Medium, CUT),
    row("hostnamectl", "set-hostname|hostname +", Disrupt, Medium, "others know the machine by its name"),
    row("hostname domainname nisdomainname", "+", Disrupt, Medium, "others know the machine by its name"),
    row("netsh", "advfirewall|firewall", Disrupt, High, OPEN),
];

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    if call.name == "ip" && call.args.iter().any(|arg| arg.text == "exec") {
        return None;
    }
    let valued: &[&str] = match call.name {
        "ip" => &["-f", "-family", "-n", "-netns", "-b", "-batch"],
        "nmcli" => &["-f", "-g", "-m", "-c", "-w", "--fields", "--wait"],
        "firewall-cmd" => &["--zone", "--service"],
        _ => &[],
    };
    rows::run(ROWS, call, valued)
}
