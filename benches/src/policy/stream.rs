// SPDX-License-Identifier: Apache-2.0
//! Made-up actions with the effects that reading real ones gives: mostly looking, building and
//! small changes, now and then something a colleague would want to be asked about.

use ::policy::effects::place::Setting;
use ::policy::effects::{Analysis, Effect, Finding, Hard, Harm, Kind, Span, Target};

use super::random::Random;

/// How often, the rule, the kind, how bad, and on what: `@host`, `%kind:name`, `=package`,
/// `!program`, or a path. `*` is any of [`NAMES`].
type Row = (u32, &'static str, Kind, Harm, &'static str);

/// A table, and longer than a file of code may be read at once.
const ROWS: [Row; 56] = [
    (90, "ls:list", Kind::Read, Harm::None, "src/*"),
    (90, "cat:read", Kind::Read, Harm::None, "src/*/*.rs"),
    (70, "rg:search", Kind::Read, Harm::None, "src"),
    (60, "cargo:build", Kind::Execute, Harm::None, "target/debug"),
    (60, "cargo:test", Kind::Execute, Harm::Low, "!cargo"),
    (40, "npm:test", Kind::Execute, Harm::Low, "!npm"),
    (50, "git:status", Kind::Read, Harm::None, ".git"),
    (40, "git:commit", Kind::Write, Harm::Low, ".git"),
    (60, "write:file", Kind::Write, Harm::Low, "src/*/*.rs"),
    (30, "sed:in-place", Kind::Write, Harm::Low, "src/*.py"),
    (20, "mkdir:make", Kind::Write, Harm::Low, "build/*"),
    (20, "rm:force", Kind::Delete, Harm::Low, "build/*"),
    (15, "curl:get", Kind::Connect, Harm::Low, "@*.example.com"),
    (15, "docker:run", Kind::Execute, Harm::Low, "%docker:*"),
    (10, "make:all", Kind::Execute, Harm::Low, "!make"),
    (12, "pip:install", Kind::Install, Harm::Medium, "=*"),
    (12, "npm:install", Kind::Install, Harm::Medium, "=*"),
    (10, "cargo:add", Kind::Install, Harm::Medium, "=*"),
    (10, "apt:install", Kind::Install, Harm::Medium, "=*"),
    (
        14,
        "git:push",
        Kind::Publish,
        Harm::Medium,
        "@git.example.com",
    ),
    (10, "rm:recursive", Kind::Delete, Harm::Medium, "src/*"),
    (10, "mv:over", Kind::Write, Harm::Medium, "src/*/*"),
    (8, "git:rebase", Kind::Write, Harm::Medium, ".git"),
    (8, "curl:post", Kind::Send, Harm::Medium, "@*.example.org"),
    (8, "docker:stop", Kind::Disrupt, Harm::Medium, "%docker:*"),
    (
        8,
        "kubectl:apply",
        Kind::Publish,
        Harm::Medium,
        "%kubernetes:*",
    ),
    (6, "python:run", Kind::Execute, Harm::Medium, "tools/*.py"),
    (6, "tool:run", Kind::Unknown, Harm::Medium, "!*"),
    (6, "chmod:mode", Kind::Escalate, Harm::Medium, "bin/*"),
    (6, "psql:update", Kind::Write, Harm::Medium, "%postgres:*"),
    (5, "terraform:plan", Kind::Connect, Harm::Medium, "%aws:*"),
    (5, "ssh:run", Kind::Connect, Harm::Medium, "@*.internal"),
    (
        9,
        "git:push-force",
        Kind::Publish,
        Harm::High,
        "@git.example.com",
    ),
    (9, "git:reset-hard", Kind::Delete, Harm::High, ".git"),
    (8, "git:clean", Kind::Delete, Harm::High, "*"),
    (8, "rm:recursive-force", Kind::Delete, Harm::High, "data/*"),
    (7, "npm:publish", Kind::Publish, Harm::High, "=*"),
    (
        7,
        "kubectl:delete",
        Kind::Delete,
        Harm::High,
        "%kubernetes:*",
    ),
    (
        7,
        "kubectl:scale",
        Kind::Disrupt,
        Harm::High,
        "%kubernetes:*",
    ),
    (7, "terraform:apply", Kind::Write, Harm::High, "%aws:*"),
    (
        7,
        "docker:prune",
        Kind::Delete,
        Harm::High,
        "%docker:volumes",
    ),
    (
        6,
        "sudo:install",
        Kind::Escalate,
        Harm::High,
        "/usr/local/bin/*",
    ),
    (
        6,
        "systemctl:restart",
        Kind::Disrupt,
        Harm::High,
        "/etc/systemd/*",
    ),
    (6, "crontab:edit", Kind::Persist, Harm::High, "~/.config/*"),
    (
        6,
        "curl:pipe-sh",
        Kind::Execute,
        Harm::High,
        "@*.example.net",
    ),
    (6, "cat:secret", Kind::TouchSecret, Harm::High, ".env"),
    (5, "scp:copy", Kind::Send, Harm::High, "@*.example.net"),
    (5, "psql:delete", Kind::Delete, Harm::High, "%postgres:*"),
    (
        5,
        "gh:release",
        Kind::Publish,
        Harm::High,
        "@api.example.com",
    ),
    (5, "chmod:recursive", Kind::Escalate, Harm::High, "/opt/*"),
    (4, "rm:root", Kind::Delete, Harm::Critical, "~"),
    (
        4,
        "psql:drop",
        Kind::Delete,
        Harm::Critical,
        "%postgres:production",
    ),
    (3, "dd:device", Kind::Write, Harm::Critical, "/dev/sda"),
    (
        3,
        "terraform:destroy",
        Kind::Delete,
        Harm::Critical,
        "%aws:production",
    ),
    (
        3,
        "curl:exfiltrate",
        Kind::Send,
        Harm::Critical,
        "@203.0.113.7",
    ),
    (
        3,
        "ssh:authorize",
        Kind::Persist,
        Harm::Critical,
        "~/.ssh/authorized_keys",
    ),
];

const NAMES: [&str; 16] = [
    "api", "auth", "billing", "cache", "core", "docs", "edge", "feed", "index", "jobs", "mail",
    "parser", "queue", "search", "users", "web",
];

/// How much teams differ: the standard deviation of the logarithm of how often a row comes.
const SPREAD: f64 = 1.0;

/// An action, and what a reviewer sees that the model does not.
pub(crate) struct Seen {
    pub(crate) analysis: Analysis,
    /// The worst effect's program: what its rule begins with.
    pub(crate) program: String,
    pub(crate) kind: Kind,
    pub(crate) harm: Harm,
    /// How deep its path is, 0 when it has none.
    pub(crate) depth: usize,
    /// Characters shown to the reviewer.
    pub(crate) shown: u32,
}

fn name(random: &mut Random) -> &'static str {
    NAMES.get(random.below(NAMES.len())).copied().unwrap_or("x")
}

fn fill(random: &mut Random, pattern: &str) -> String {
    let mut pieces = pattern.split('*');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        text.push_str(name(random));
        text.push_str(piece);
    }
    text
}

fn target(random: &mut Random, pattern: &str) -> Target {
    let text = fill(random, pattern);
    let rest = text.get(1..).unwrap_or_default().to_owned();
    match text.chars().next() {
        Some('@') => Target::Host(rest),
        Some('=') => Target::Package(rest),
        Some('!') => Target::Program(rest),
        Some('%') => {
            let (kind, name) = rest.split_once(':').unwrap_or((&rest, ""));
            Target::Resource(kind.to_owned().into(), name.to_owned())
        }
        _ => {
            let place = Setting::default().place(&text, Some("/workspace"));
            Target::Path(text, place)
        }
    }
}

fn effect(random: &mut Random, row: &Row) -> Effect {
    let (_, rule, kind, harm, pattern) = row;
    let target = target(random, pattern);
    Effect::new(*kind, *harm, target, *rule, "a made-up effect")
}

/// The actions of one team's agents. Teams differ in the tools they use, and repeat themselves:
/// how often a row comes is multiplied by a number of the team's own.
pub(crate) struct Stream {
    random: Random,
    often: Vec<f64>,
}

impl Stream {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 2);
        let often = ROWS.iter().map(|row| {
            let habit = random.gauss(SPREAD).exp();
            f64::from(row.0) * habit
        });
        Self {
            often: often.collect(),
            random,
        }
    }

    fn effect(&mut self) -> Effect {
        let whole: f64 = self.often.iter().sum();
        let mut left = self.random.share() * whole;
        let found = self.often.iter().position(|often| {
            left -= often;
            left < 0.0
        });
        let row = ROWS.get(found.unwrap_or(0)).unwrap_or(&ROWS[0]);
        effect(&mut self.random, row)
    }

    /// One action: now and then two commands in a line, or something hard to read.
    pub(crate) fn sample(&mut self) -> Seen {
        let mut effects = vec![self.effect()];
        if self.random.share() < 0.15 {
            effects.push(self.effect());
        }
        let mut findings = Vec::new();
        if self.random.share() < 0.03 {
            let hards = [Hard::DynamicCode, Hard::UnreadScript, Hard::ParsersDiffer];
            let hard = hards.get(self.random.below(hards.len()));
            findings.extend(hard.map(|hard| Finding {
                hard: *hard,
                span: Span::default(),
                text: "made up".to_owned(),
            }));
        }
        let shown = 40 + u32::try_from(self.random.below(200)).unwrap_or(0);
        seen(effects, findings, shown)
    }
}

/// One action of each row.
pub(crate) fn each() -> impl Iterator<Item = Seen> {
    let mut random = Random::new(0, 9);
    ROWS.iter()
        .map(move |row| seen(vec![effect(&mut random, row)], Vec::new(), 80))
}

fn seen(effects: Vec<Effect>, findings: Vec<Finding>, shown: u32) -> Seen {
    let worst = effects.iter().max_by_key(|effect| effect.harm);
    let rule = worst.map_or("", |effect| &effect.rule);
    let depth = match worst.map(|effect| &effect.target) {
        Some(Target::Path(path, _)) => path.split('/').count(),
        _ => 0,
    };
    Seen {
        program: rule.split(':').next().unwrap_or_default().to_owned(),
        kind: worst.map_or(Kind::Read, |effect| effect.kind),
        harm: worst.map_or(Harm::None, |effect| effect.harm),
        depth,
        shown,
        analysis: Analysis {
            effects,
            findings,
            ..Analysis::default()
        },
    }
}
