// SPDX-License-Identifier: Apache-2.0
//! Effects over a workspace in memory.

use std::cell::Cell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::effects::place::below;
use crate::effects::{Analysis, Effect, Finding, Hard, Harm, Span, Target};

/// Files by their absolute path; a folder is where a file is.
#[derive(Debug)]
struct Memory {
    setting: Setting,
    files: BTreeMap<String, Entry>,
    guest: BTreeMap<String, Entry>,
    review: Review,
    /// How often the clock is asked before the time is over.
    time: Cell<u64>,
}

impl Memory {
    fn new(files: &[(&str, Recovery, u64)]) -> Self {
        let mut memory = Self {
            setting: Setting::default(),
            files: BTreeMap::new(),
            guest: BTreeMap::new(),
            review: Review::Workspace,
            time: Cell::new(u64::MAX),
        };
        for (path, recovery, bytes) in files {
            memory.put(path, *recovery, *bytes);
        }
        memory
    }

    /// A small project.
    fn project() -> Self {
        use Recovery::{Committed, CommittedHere, Modified, OnlyCopy, Regenerable};
        Self::new(&[
            ("src/main.rs", Committed, 100),
            ("src/lib.rs", CommittedHere, 200),
            ("src/old.rs", Modified, 300),
            ("src/new.rs", OnlyCopy, 400),
            ("src/.hidden", Committed, 1),
            ("target/debug/app", Regenerable, 5000),
            (".env", OnlyCopy, 50),
            ("README.md", Committed, 10),
            ("/home/task/.ssh/id_rsa", OnlyCopy, 9),
            ("/home/task/notes", OnlyCopy, 8),
        ])
    }

    fn put(&mut self, path: &str, recovery: Recovery, bytes: u64) {
        let path = self.setting.absolute(path, Some("/workspace")).unwrap();
        let entry = Entry {
            path: path.clone(),
            what: What::File,
            bytes,
            recovery,
            source: Source::Host,
        };
        self.files.insert(path, entry);
    }

    fn link(&mut self, path: &str) {
        self.put(path, Recovery::OnlyCopy, 0);
        let path = format!("/workspace/{path}");
        if let Some(entry) = self.files.get_mut(&path) {
            entry.what = What::Link;
        }
    }

    fn below(&self, folder: &str) -> Vec<Entry> {
        let all = self.files.values().chain(self.guest.values());
        let within = |entry: &&Entry| below(&entry.path, folder).is_some();
        all.filter(within).cloned().collect()
    }
}

fn folder(path: &str) -> Entry {
    let git = path.ends_with("/.git");
    Entry {
        path: path.to_owned(),
        what: What::Folder,
        bytes: 0,
        recovery: if git {
            Recovery::History
        } else {
            Recovery::Unknown
        },
        source: Source::Host,
    }
}

impl Workspace for Memory {
    fn setting(&self) -> &Setting {
        &self.setting
    }

    fn look(&self, path: &str) -> Look {
        if let Some(entry) = self.files.get(path) {
            return Look::Found(entry.clone());
        }
        let behind = |link: &&Entry| link.what == What::Link && below(path, &link.path).is_some();
        if self.files.values().any(|entry| behind(&entry)) {
            return Look::Away;
        }
        if path.starts_with("/mnt/") {
            return Look::Hidden;
        }
        if self.below(path).is_empty() {
            return Look::Nothing;
        }
        Look::Found(folder(path))
    }

    fn changed(&self, path: &str) -> Option<Entry> {
        self.guest.get(path).cloned()
    }

    fn list(&self, at: &str) -> Box<dyn Iterator<Item = Step> + '_> {
        let mut seen = BTreeMap::new();
        for entry in self.below(at) {
            let rest = below(&entry.path, at).unwrap_or_default();
            match rest.split_once('/') {
                Some((name, _)) => {
                    let path = format!("{}/{name}", at.trim_end_matches('/'));
                    seen.insert(path.clone(), folder(&path));
                }
                None => {
                    seen.insert(entry.path.clone(), entry);
                }
            }
        }
        Box::new(seen.into_values().map(Step::Found))
    }

    fn walk(&self, at: &str) -> Box<dyn Iterator<Item = Step> + '_> {
        let history = |entry: Entry| match entry.path.find("/.git/") {
            Some(end) => folder(&format!("{}/.git", &entry.path[..end])),
            None => entry,
        };
        let entries = self.below(at).into_iter().map(history);
        Box::new(entries.map(Step::Found))
    }

    fn spent(&self) -> bool {
        let left = self.time.get();
        self.time.set(left.saturating_sub(1));
        left == 0
    }

    fn credentials(&self) -> Vec<String> {
        vec!["~/.ssh".to_owned(), ".env".to_owned()]
    }

    fn review(&self) -> Review {
        self.review
    }
}

fn effect(kind: Kind, harm: Harm, target: Target) -> Effect {
    Effect::new(kind, harm, target, "test:rule", "it does")
}

fn at(path: &str) -> Target {
    let place = Setting::default().place(path, Some("/workspace"));
    Target::Path(path.to_owned(), place)
}

fn delete(path: &str) -> Effect {
    effect(Kind::Delete, Harm::High, at(path))
}

fn of(memory: &Memory, effects: Vec<Effect>) -> Blast {
    let analysis = Analysis {
        effects,
        ..Analysis::default()
    };
    measure(&analysis, None, memory)
}

#[test]
fn a_deleted_folder_is_counted_by_how_its_files_could_be_had_again() {
    let blast = of(&Memory::project(), vec![delete("src")]);
    assert_eq!(
        blast.deletes.total(),
        Count {
            files: 5,
            bytes: 1001
        }
    );
    assert_eq!(blast.deletes.of(Recovery::Committed).files, 2);
    assert_eq!(blast.deletes.of(Recovery::CommittedHere).bytes, 200);
    assert_eq!(blast.deletes.lasting().files, 2);
    assert_eq!(blast.only_copies, ["src/new.rs", "src/old.rs"]);
    assert!(blast.contained_by_review && !blast.leaves_machine);
    assert!(!blast.whole_workspace && !blast.partial);
    assert_eq!(
        blast.summary()[0],
        "deletes 5 files (1.0 kB) under src: 2 are committed, 1 is committed, but only here, \
         1 is changed since the last commit, 1 is the only copy (src/new.rs, src/old.rs)"
    );
}

#[test]
fn a_file_named_twice_counts_once_and_a_pattern_spares_hidden_ones() {
    let memory = Memory::project();
    let blast = of(&memory, vec![delete("src/*"), delete("src/main.rs")]);
    assert_eq!(blast.deletes.total().files, 4);
    let blast = of(&memory, vec![delete("{src,nothing}/{main,new}.rs")]);
    assert_eq!(blast.deletes.total().files, 2);
    let blast = of(&memory, vec![delete("**/*.rs")]);
    assert_eq!(blast.deletes.total().files, 4);
    let blast = of(&memory, vec![delete("*/m*")]);
    assert_eq!(blast.deletes.total().files, 1);
}

#[test]
fn the_effects_own_folder_is_where_its_path_starts() {
    let mut one = delete("new.rs");
    one.cwd = Some("/workspace/src".to_owned());
    assert_eq!(of(&Memory::project(), vec![one]).deletes.total().files, 1);
}

#[test]
fn the_whole_workspace_goes_with_its_history() {
    let mut memory = Memory::project();
    memory.put(".git/HEAD", Recovery::History, 20);
    for (path, history) in [("/workspace", true), (".", true), ("/workspace/*", false)] {
        let blast = of(&memory, vec![delete(path)]);
        assert!(blast.whole_workspace, "{path}");
        assert_eq!(blast.history, history, "{path}");
    }
    let blast = of(&memory, vec![delete(".git")]);
    assert!(blast.history && !blast.whole_workspace);
    assert!(blast.summary()[0].contains("history"));
}

#[test]
fn what_git_discards_is_what_is_not_committed() {
    let mut reset = delete(".");
    reset.rule = "git:reset-hard".into();
    let blast = of(&Memory::project(), vec![reset]);
    assert_eq!(blast.deletes.of(Recovery::Committed).files, 0);
    assert_eq!(blast.deletes.of(Recovery::Modified).files, 1);
    assert!(!blast.whole_workspace);
}

#[test]
fn a_write_counts_what_is_there_and_creates_the_rest() {
    let write = |path| effect(Kind::Write, Harm::Low, at(path));
    let effects = ["src/new.rs", "a", "a", "src", "/dev/null"];
    let blast = of(&Memory::project(), effects.map(write).to_vec());
    assert_eq!(blast.overwrites.total().files, 1);
    assert_eq!(blast.creates, 1);
    let all = effect(Kind::Write, Harm::High, at("src"));
    assert_eq!(
        of(&Memory::project(), vec![all]).overwrites.total().files,
        5
    );
}

#[test]
fn outside_the_workspace_no_review_contains_it() {
    let mut memory = Memory::project();
    let blast = of(&memory, vec![delete("~/notes")]);
    assert_eq!(blast.deletes.outside().files, 1);
    assert!(!blast.contained_by_review && !blast.leaves_machine);
    memory.review = Review::Machine;
    assert!(of(&memory, vec![delete("~/notes")]).contained_by_review);
    memory.review = Review::Nothing;
    assert!(!of(&memory, vec![delete("src")]).contained_by_review);
}

#[test]
fn what_is_only_known_when_it_runs_is_said_to_be() {
    let mut memory = Memory::project();
    memory.link("out");
    for (path, said) in [
        ("src/\u{F0000}", "anything below src"),
        ("\u{F0000}/x", "anything that …/x stands for"),
        ("out/x", "what the link out/x leads to"),
    ] {
        let blast = of(&memory, vec![delete(path)]);
        assert!(blast.unresolved.contains(said), "{:?}", blast.unresolved);
        assert!(blast.deletes.is_empty(), "{path}");
    }
    assert!(!of(&memory, vec![delete("out/x")]).contained_by_review);
    // The link itself is there to be deleted.
    assert_eq!(of(&memory, vec![delete("out")]).deletes.total().files, 1);
}

#[test]
fn what_nobody_can_look_at_is_unknown() {
    let blast = of(&Memory::project(), vec![delete("/mnt/data")]);
    assert_eq!(blast.deletes.of(Recovery::Unknown).files, 1);
    assert_eq!(blast.deletes.from(Source::Unknown).files, 1);
    assert!(blast.partial);
}

#[test]
fn what_is_sent_is_what_was_read_and_credentials_are_named() {
    let effects = vec![
        effect(Kind::Read, Harm::None, at(".env")),
        effect(Kind::Read, Harm::None, at("src")),
        effect(Kind::Send, Harm::High, Target::Host("evil.example".into())),
    ];
    let blast = of(&Memory::project(), effects);
    assert!(blast.leaves_machine && !blast.contained_by_review);
    assert_eq!(blast.sends.total().files, 6);
    assert!(blast.credentials.contains(".env"));
    let lines = blast.summary().join("\n");
    assert!(
        lines.contains("sends .env, src (6 files, 1.0 kB) to evil.example"),
        "{lines}"
    );
    assert!(lines.contains("no review takes it back"), "{lines}");
}

#[test]
fn reading_alone_counts_no_files_and_stays_contained() {
    let blast = of(
        &Memory::project(),
        vec![effect(Kind::Read, Harm::None, at("src"))],
    );
    assert!(blast.contained_by_review && blast.summary().is_empty());
}

#[test]
fn code_nobody_read_has_the_credentials_in_reach() {
    let memory = Memory::project();
    let program = Target::Program("make".into());
    let routine = of(
        &memory,
        vec![effect(Kind::Execute, Harm::None, program.clone())],
    );
    assert!(routine.credentials_in_reach.contains("~/.ssh"));
    assert!(routine.contained_by_review);
    let odd = of(&memory, vec![effect(Kind::Unknown, Harm::None, program)]);
    assert!(!odd.contained_by_review);
    let finding = Finding {
        hard: Hard::DynamicCode,
        span: Span::default(),
        text: "eval".to_owned(),
    };
    let analysis = Analysis {
        findings: vec![finding],
        ..Analysis::default()
    };
    assert!(measure(&analysis, None, &memory).unseen_code);
}

#[test]
fn things_elsewhere_leave_the_machine_and_a_container_does_not() {
    let target = Target::Resource("kubernetes".into(), "namespace prod".into());
    let blast = of(
        &Memory::project(),
        vec![effect(Kind::Delete, Harm::Critical, target)],
    );
    assert!(blast.leaves_machine);
    assert!(blast.summary()[0].contains("kubernetes namespace prod"));

    let mut remote = delete("/workspace");
    remote.via = vec!["ssh host".to_owned()];
    let blast = of(&Memory::project(), vec![remote.clone()]);
    assert!(blast.deletes.is_empty() && blast.leaves_machine);
    remote.via = vec!["docker exec app".to_owned()];
    let blast = of(&Memory::project(), vec![remote]);
    assert!(blast.deletes.is_empty() && !blast.leaves_machine);
    assert!(!blast.contained_by_review);
}

#[test]
fn the_machines_own_things_are_named() {
    let effects = vec![
        effect(Kind::Disrupt, Harm::High, Target::System("nginx".into())),
        effect(Kind::Write, Harm::Critical, at("/dev/sda")),
        effect(Kind::Install, Harm::Low, Target::Package("left-pad".into())),
    ];
    let blast = of(&Memory::project(), effects);
    assert_eq!(blast.systems.len(), 2);
    assert!(blast.packages.contains("left-pad") && !blast.contained_by_review);
}

#[test]
fn the_guests_own_changes_add_to_what_the_host_sees() {
    let mut memory = Memory::project();
    for path in ["/workspace/src/main.rs", "/workspace/src/made.rs"] {
        let entry = Entry {
            path: path.to_owned(),
            what: What::File,
            bytes: u64::MAX,
            recovery: Recovery::OnlyCopy,
            source: Source::Guest,
        };
        memory.guest.insert(path.to_owned(), entry);
    }
    let blast = of(&memory, vec![delete("src")]);
    assert_eq!(blast.deletes.from(Source::Host).files, 5);
    assert_eq!(blast.deletes.from(Source::Guest).files, 2);
    assert_eq!(blast.deletes.total().bytes, u64::MAX);
    let one = of(&memory, vec![delete("src/main.rs")]);
    assert_eq!(one.deletes.total().files, 2);
}

#[test]
fn the_budget_and_the_clock_stop_a_walk_as_partial() {
    let mut memory = Memory::new(&[]);
    for n in 0..500 {
        memory.put(&format!("data/{n}"), Recovery::OnlyCopy, 1);
    }
    let mut meter = Meter::new(&memory, Limits { entries: 100 });
    let analysis = Analysis {
        effects: vec![delete("data")],
        ..Analysis::default()
    };
    meter.add(&analysis, None);
    let blast = meter.finish();
    assert!(blast.partial);
    assert!((90..=100).contains(&blast.deletes.total().files));
    assert!(
        blast.summary()[0].starts_with("deletes at least 9"),
        "{:?}",
        blast.summary()
    );

    memory.time.set(3);
    let blast = of(&memory, vec![delete("data")]);
    assert!(blast.partial && blast.deletes.total().files < 200);
}

#[test]
fn lists_that_a_plan_fills_end() {
    let names = (0..5000).map(|n| Target::Host(format!("h{n}.example")));
    let blast = of(
        &Memory::project(),
        names
            .map(|host| effect(Kind::Send, Harm::Low, host))
            .collect(),
    );
    assert!(blast.hosts.len() <= 100 && blast.partial);
}

#[test]
fn a_blast_reads_back_from_json() {
    let blast = of(&Memory::project(), vec![delete("src"), delete("\u{F0000}")]);
    let text = serde_json::to_string(&blast).unwrap();
    assert_eq!(serde_json::from_str::<Blast>(&text).unwrap(), blast);
}

fn targets() -> impl Strategy<Value = Target> {
    let paths = [
        "src",
        "src/*",
        "src/new.rs",
        ".",
        "*",
        ".env",
        "target",
        "~",
        "~/notes",
        "/",
        "/mnt/x",
        "\u{F0000}",
        "src/\u{F0000}",
        "**/*.rs",
        "nothing",
        ".git",
        "/dev/null",
    ];
    prop_oneof![
        4 => proptest::sample::select(paths.to_vec()).prop_map(at),
        1 => Just(Target::Host("a.example".into())),
        1 => Just(Target::Resource("aws".into(), "bucket".into())),
        1 => Just(Target::System("nginx".into())),
        1 => Just(Target::Nothing),
    ]
}

fn effects() -> impl Strategy<Value = Effect> {
    let kinds = vec![
        Kind::Read,
        Kind::Write,
        Kind::Delete,
        Kind::Execute,
        Kind::Connect,
        Kind::Send,
        Kind::Install,
        Kind::Persist,
        Kind::TouchSecret,
        Kind::Unknown,
    ];
    let harms = vec![Harm::None, Harm::Medium, Harm::High];
    let rules = vec!["test:rule", "git:clean"];
    use proptest::sample::select;
    (select(kinds), select(harms), targets(), select(rules))
        .prop_map(|(kind, harm, target, rule)| Effect::new(kind, harm, target, rule, "why"))
}

fn assert_no_less(more: &Blast, less: &Blast) {
    for (more, less) in [
        (&more.deletes, &less.deletes),
        (&more.overwrites, &less.overwrites),
        (&more.sends, &less.sends),
    ] {
        for line in less.lines() {
            let same = more.lines().iter().find(|other| {
                (other.recovery, other.source, other.outside)
                    == (line.recovery, line.source, line.outside)
            });
            let count = same.map(|line| line.count).unwrap_or_default();
            assert!(count.files >= line.count.files && count.bytes >= line.count.bytes);
        }
    }
    assert!(more.creates >= less.creates);
    for (more, less) in [
        (&more.unresolved, &less.unresolved),
        (&more.hosts, &less.hosts),
        (&more.receivers, &less.receivers),
        (&more.sent, &less.sent),
        (&more.targets, &less.targets),
        (&more.credentials, &less.credentials),
        (&more.credentials_in_reach, &less.credentials_in_reach),
        (&more.systems, &less.systems),
    ] {
        assert!(more.is_superset(less), "{more:?} {less:?}");
    }
    assert!(more.resources.is_superset(&less.resources));
    for (more, less) in [
        (more.whole_workspace, less.whole_workspace),
        (more.history, less.history),
        (more.unseen_code, less.unseen_code),
        (more.leaves_machine, less.leaves_machine),
        (more.partial, less.partial),
        (less.contained_by_review, more.contained_by_review),
    ] {
        assert!(more || !less);
    }
}

proptest! {
    /// Holds for an effect at the end whatever the budget, and anywhere when nothing is cut short.
    #[test]
    fn adding_an_effect_never_makes_anything_smaller(
        mut list in proptest::collection::vec(effects(), 0..6),
        more in effects(),
        place in 0_usize..6,
        entries in prop_oneof![Just(15_000_usize), 0_usize..12],
    ) {
        let memory = Memory::project();
        let blast = |effects: &[Effect]| {
            let mut meter = Meter::new(&memory, Limits { entries });
            let analysis = Analysis { effects: effects.to_vec(), ..Analysis::default() };
            meter.add(&analysis, None);
            meter.finish()
        };
        let before = blast(&list);
        let place = if entries < 15_000 { list.len() } else { place.min(list.len()) };
        list.insert(place, more);
        assert_no_less(&blast(&list), &before);
    }

    #[test]
    fn no_pattern_panics_or_hangs(path in ".{0,60}", cwd in "/.{0,20}") {
        let memory = Memory::project();
        let place = memory.setting.place(&path, Some(&cwd));
        let mut one = effect(Kind::Delete, Harm::High, Target::Path(path, place));
        one.cwd = Some(cwd);
        let _ = of(&memory, vec![one]).summary();
    }
}

/// The harm of deleting a path, as it is settled over a workspace.
fn settled(memory: &Memory, path: &str, more: Option<Effect>) -> Harm {
    let place = memory.setting.place(path, Some("/workspace"));
    let target = Target::Path(path.to_owned(), place);
    let mut analysis = Analysis::default();
    let delete = Effect::new(Kind::Delete, Harm::High, target, "files:delete", "gone");
    analysis.effects.push(delete);
    analysis.effects.extend(more);
    settle(&mut analysis, Some("/workspace"), memory);
    analysis.effects[0].harm
}

#[test]
fn deleting_what_the_task_made_itself_loses_nothing() {
    let mut memory = Memory::project();
    memory.review = Review::Machine;
    assert_eq!(settled(&memory, "made/here", None), Harm::Low);
    assert_eq!(settled(&memory, "/workspace/made", None), Harm::Low);
    for kept in ["src", "src/main.rs", ".", "made*", "../made", "/etc/made"] {
        assert_eq!(settled(&memory, kept, None), Harm::High, "{kept}");
    }
    // Something else may have put there what is deleted.
    let place = memory.setting.place("made", Some("/workspace"));
    let target = Target::Path("made".to_owned(), place);
    let moved = Effect::new(Kind::Write, Harm::Low, target, "files:move", "moved");
    assert_eq!(settled(&memory, "made", Some(moved)), Harm::High);
    // On a machine of its own nothing stands before it.
    memory.review = Review::Nothing;
    assert_eq!(settled(&memory, "made", None), Harm::High);
}
