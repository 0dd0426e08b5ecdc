// SPDX-License-Identifier: Apache-2.0
//! Which package may depend on which, and that what is pure stays so.
//!
//! ```text
//! guest-init ─► guest-agent ─► protocol            benches, ci ─► anything
//!                                 ▲
//! vmm ────────────────────────────┤                policy ─► protocol
//! host ─► vmm, policy, images, protocol            images ─► nothing
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Verdict;
use crate::tools;

/// Packages of the workspace, each with those it may depend on.
const MAY: [(&str, &[&str]); 7] = [
    ("protocol", &[]),
    ("images", &[]),
    ("policy", &["protocol"]),
    ("vmm", &["protocol"]),
    ("guest-init", &["protocol", "guest-agent"]),
    ("guest-agent", &["protocol"]),
    ("host", &["protocol", "policy", "vmm", "images"]),
];

/// Packages that may depend on anything, and nothing on them.
const TOOLS: [&str; 2] = ["benches", "ci"];

/// Packages without I/O, their dependencies included.
const PURE: [&str; 1] = ["protocol"];

/// Packages that do no I/O themselves: their own source is checked for it (`source::pure`), and
/// what they depend on directly. Libraries that compute, such as the policy engine, bring what
/// they bring.
const PURE_THEMSELVES: [&str; 1] = ["policy"];

/// What does I/O, or leads to it.
const IO: [&str; 9] = [
    "libc",
    "rustix",
    "nix",
    "mio",
    "tokio",
    "async-std",
    "socket2",
    "reqwest",
    "tempfile",
];

/// Names every package that breaks a rule.
pub(super) fn rules() -> Result<Verdict> {
    let mut cargo = tools::cargo();
    let text = tools::output(cargo.args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    Ok(wrong(&graph(&metadata)?).into())
}

/// Each package's direct dependencies, those of tests left out.
#[derive(Debug, Default)]
struct Graph {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

fn graph(metadata: &Value) -> Result<Graph> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut names = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let id = package["id"]
            .as_str()
            .context("a package without id")?
            .to_owned();
        names.insert(id, package["name"].as_str().unwrap_or_default().to_owned());
    }
    let name = |id: &Value| {
        id.as_str()
            .and_then(|id| names.get(id))
            .cloned()
            .unwrap_or_default()
    };
    let mut graph = Graph::default();
    graph
        .members
        .extend(list(&metadata["workspace_members"]).iter().map(name));
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = |dep: &&Value| {
            list(&dep["dep_kinds"])
                .iter()
                .any(|kind| kind["kind"].is_null())
        };
        let dependencies = list(&node["deps"]);
        let edges = dependencies
            .iter()
            .filter(normal)
            .map(|dep| name(&dep["pkg"]));
        graph
            .edges
            .entry(name(&node["id"]))
            .or_default()
            .extend(edges);
    }
    Ok(graph)
}

fn wrong(graph: &Graph) -> Vec<String> {
    let mut wrong = Vec::new();
    for member in &graph.members {
        let direct = graph.edges.get(member).cloned().unwrap_or_default();
        let of_ours = direct.intersection(&graph.members);
        if TOOLS.contains(&member.as_str()) {
            continue;
        }
        let Some((_, may)) = MAY.iter().find(|(name, _)| name == member) else {
            wrong.push(format!("no rule says what {member} may depend on"));
            continue;
        };
        let forbidden = of_ours.filter(|name| !may.contains(&name.as_str()));
        wrong.extend(forbidden.map(|name| format!("{member} must not depend on {name}")));
        if PURE.contains(&member.as_str()) {
            let reached = reach(graph, member);
            let io = IO.iter().filter(|name| reached.contains(**name));
            wrong.extend(io.map(|name| format!("{member} does no I/O, yet depends on {name}")));
        }
        if PURE_THEMSELVES.contains(&member.as_str()) {
            let io = IO.iter().filter(|name| direct.contains(**name));
            wrong.extend(io.map(|name| format!("{member} does no I/O, yet depends on {name}")));
        }
    }
    wrong
}

fn reach(graph: &Graph, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![from.to_owned()];
    while let Some(name) = pending.pop() {
        let next = graph.edges.get(&name).into_iter().flatten();
        pending.extend(next.filter(|next| reached.insert((*next).clone())).cloned());
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(edges: &[(&str, &[&str])]) -> Graph {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Graph {
            members: ["protocol", "vmm", "host", "ci"].map(str::to_owned).into(),
            edges: edges
                .iter()
                .map(|(from, to)| ((*from).to_owned(), set(to)))
                .collect(),
        }
    }

    #[test]
    fn rules_kept_are_fine() {
        let graph = made(&[
            ("host", &["vmm", "libc"]),
            ("ci", &["host"]),
            ("protocol", &["prost"]),
        ]);
        assert!(wrong(&graph).is_empty());
    }

    #[test]
    fn vmm_on_host_and_anything_on_ci_are_named() {
        let graph = made(&[("vmm", &["host"]), ("host", &["ci"])]);
        assert_eq!(
            wrong(&graph),
            ["host must not depend on ci", "vmm must not depend on host"]
        );
    }

    #[test]
    fn pure_package_reaching_io_is_named() {
        let graph = made(&[("protocol", &["a"]), ("a", &["b"]), ("b", &["libc"])]);
        assert_eq!(wrong(&graph), ["protocol does no I/O, yet depends on libc"]);
        let mut graph = made(&[("policy", &["a", "tokio"]), ("a", &["libc"])]);
        graph.members.insert("policy".to_owned());
        assert_eq!(wrong(&graph), ["policy does no I/O, yet depends on tokio"]);
    }
}
