// SPDX-License-Identifier: Apache-2.0
//! How far an approval reaches: the effects it was judged with, in a form that can be compared.
//!
//! An effect is inside when one of the same kind was judged, at least as bad, on the same target
//! or a folder above it. Words decide, not files: who asks about what a process really does gives
//! real paths, with links followed.
//!
//! A target is *open* when its words do not say where it is: a part is known only at run time, or
//! it is relative and the action moves about, or it is on another machine. An open target equals
//! itself when the very same action is judged again, and says nothing about what is seen to run.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::effects::place::Setting;
use crate::effects::word::UNKNOWN;
use crate::effects::{Analysis, Effect, Hard, Harm, Kind, Target};

/// Commands that leave the folder in which the next ones run.
const MOVES: &str = "cd pushd popd chdir";

/// Wrappers that run their command on this machine, in this folder and with these files. So does a
/// script that was read; what changes the folder in it, or in a makefile, is among the commands.
const SAME_PLACE: &str = "sudo doas env nice ionice timeout time nohup stdbuf setsid xargs \
    command builtin exec eval sh bash dash zsh ksh make gmake";

/// One effect, comparable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reach {
    /// What kind of thing.
    pub kind: Kind,
    /// How bad at worst.
    pub harm: Harm,
    /// To what; a path is absolute unless open.
    pub target: Target,
    /// The words do not say where that is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

impl Reach {
    /// Judged so, `seen` needs no other judgement.
    #[must_use]
    pub fn covers(&self, seen: &Self) -> bool {
        self.kind == seen.kind && self.harm >= seen.harm && self.open == seen.open && {
            let (judged, seen) = (&self.target, &seen.target);
            judged == seen || (!self.open && self.above(seen))
        }
    }

    fn above(&self, seen: &Target) -> bool {
        let (Target::Path(folder, of), Target::Path(path, place)) = (&self.target, seen) else {
            return false;
        };
        // Who lets a folder be deleted has let go of all that is in it. Any other kind does more
        // to a key or a start-up file than to what is beside it.
        let no_worse = self.kind == Kind::Delete
            || ((of.secret || !place.secret) && (of.startup || !place.startup));
        no_worse && beneath(path, folder)
    }

    /// Looking at what is no secret: nobody needs to be asked for it.
    fn is_nothing(&self) -> bool {
        self.kind == Kind::Read && self.harm == Harm::None
    }
}

/// Whether an absolute path is in a folder, or in what `folder/*` names.
fn beneath(path: &str, folder: &str) -> bool {
    let folder = folder.strip_suffix("/*").unwrap_or(folder);
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
}

/// The effects something was judged with, and what made it hard to read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The effects.
    pub reach: BTreeSet<Reach>,
    /// The difficulties. A new one is something that nobody judged.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub hard: BTreeSet<Hard>,
}

impl Scope {
    /// What an analysis says, its paths read against the folder the action starts in (the
    /// workspace when absent).
    #[must_use]
    pub fn of(analysis: &Analysis, setting: &Setting, cwd: Option<&str>) -> Self {
        let hard: BTreeSet<Hard> = analysis.findings.iter().map(|found| found.hard).collect();
        let workspace = setting.workspace.as_str();
        let cwd = setting.absolute(cwd.unwrap_or(workspace), Some(workspace));
        let settled = cwd.filter(|_| hard.iter().all(|hard| !hides(*hard)) && !moves(analysis));
        let reach = |effect: &Effect| {
            let (target, open) = target(effect, analysis, setting, settled.as_deref());
            Reach {
                kind: effect.kind,
                harm: effect.harm,
                target,
                open,
            }
        };
        let reach = analysis.effects.iter().map(reach).collect();
        Self { reach, hard }
    }

    /// Whether all that runs was read, so that the same binding means the same again.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.hard.iter().any(|hard| hides(*hard))
    }

    /// Whether `seen`, of the same binding, is a part of this.
    #[must_use]
    pub fn holds(&self, seen: &Self) -> bool {
        seen.hard.is_subset(&self.hard)
            && (seen.reach.iter()).all(|seen| self.reach.iter().any(|judged| judged.covers(seen)))
    }
}

/// The effects of `seen` that none of these scopes covers, for something that runs in the tree of
/// what was judged. Open targets are never covered: now they could be known.
#[must_use]
pub fn outside<'a>(judged: &[&Scope], seen: &'a Scope) -> Vec<&'a Reach> {
    let covered = |seen: &Reach| {
        let mut all = judged.iter().flat_map(|scope| &scope.reach);
        seen.is_nothing() || (!seen.open && all.any(|judged| judged.covers(seen)))
    };
    (seen.reach.iter()).filter(|seen| !covered(seen)).collect()
}

/// Whether something that runs in the tree of what was judged stays inside all of it.
#[must_use]
pub fn inside(judged: &[&Scope], seen: &Scope) -> bool {
    let known = |hard| judged.iter().any(|scope| scope.hard.contains(hard));
    seen.hard.iter().all(known) && outside(judged, seen).is_empty()
}

/// Difficulties that leave something unread.
fn hides(hard: Hard) -> bool {
    !matches!(
        hard,
        Hard::AnnouncedNotDone | Hard::DoneNotAnnounced | Hard::TooBroad
    )
}

/// Whether a command changes the folder in which it or another one runs. Too many count as such:
/// it costs a question.
fn moves(analysis: &Analysis) -> bool {
    let mut words = analysis.commands.iter().flat_map(|line| {
        let word = line.split_whitespace();
        word.map(|word| word.trim_matches(['\'', '"', '\\', '(', ';']))
    });
    words.any(|word| {
        let option = word.starts_with('-');
        is_one_of(MOVES, word)
            || (option && word.starts_with("-C"))
            || (option
                && ["dir", "cwd", "prefix", "root", "work"]
                    .iter()
                    .any(|part| word.contains(part)))
    })
}

/// The target, absolute if it is a path, and whether it is open.
fn target(
    effect: &Effect,
    analysis: &Analysis,
    setting: &Setting,
    cwd: Option<&str>,
) -> (Target, bool) {
    let is_script = |name: &str| {
        let path = setting.absolute(name, cwd);
        let mut scripts = analysis.scripts.iter();
        path.is_some_and(|path| scripts.any(|script| script.path == path))
    };
    let elsewhere = effect.via.iter().any(|via| {
        let name = via.split_whitespace().next().unwrap_or_default();
        !is_one_of(SAME_PLACE, name) && !is_script(name)
    });
    match &effect.target {
        Target::Path(path, place) => {
            let settled = !elsewhere && !path.contains(UNKNOWN);
            // `~` is another folder for another user.
            let fixed = path.starts_with('/') || (path.starts_with('~') && effect.via.is_empty());
            let whole = (settled && (fixed || (cwd.is_some() && !path.starts_with('~'))))
                .then(|| setting.absolute(path, cwd));
            match whole.flatten() {
                Some(whole) => (Target::Path(whole, *place), false),
                None => (effect.target.clone(), true),
            }
        }
        Target::Host(name) => {
            let plain = name.trim_end_matches('.').to_ascii_lowercase();
            (Target::Host(plain), name.contains(UNKNOWN))
        }
        other => (other.clone(), unknown(other)),
    }
}

fn unknown(target: &Target) -> bool {
    match target {
        Target::Path(text, _)
        | Target::Host(text)
        | Target::Resource(_, text)
        | Target::Package(text)
        | Target::Program(text)
        | Target::System(text) => text.contains(UNKNOWN),
        Target::Nothing => false,
    }
}

fn is_one_of(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|one| one == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::sample;

    fn of(commands: &[&str], effects: Vec<Effect>) -> Scope {
        let analysis = Analysis {
            effects,
            commands: commands.iter().map(|&line| line.into()).collect(),
            ..Analysis::default()
        };
        Scope::of(&analysis, &Setting::default(), None)
    }

    fn one(kind: Kind, harm: Harm, path: &str) -> Scope {
        of(&[], vec![sample::effect(kind, harm, path)])
    }

    #[test]
    fn a_judged_folder_covers_what_is_in_it_and_nothing_beside() {
        let judged = one(Kind::Delete, Harm::High, "build");
        for (path, covered) in [
            ("build", true),
            ("./build/", true),
            ("/workspace/build/a.o", true),
            ("build/../src", false),
            ("buildx", false),
            ("/workspace", false),
            ("/build", false),
        ] {
            let seen = one(Kind::Delete, Harm::Medium, path);
            assert_eq!(inside(&[&judged], &seen), covered, "{path}");
        }
        let all = one(Kind::Delete, Harm::High, "build/*");
        assert!(inside(&[&all], &one(Kind::Delete, Harm::Low, "build/x")));
        assert!(!inside(&[&all], &one(Kind::Delete, Harm::Low, "build")));
    }

    #[test]
    fn another_kind_a_worse_harm_or_a_secret_beneath_is_outside() {
        let judged = one(Kind::Write, Harm::Medium, "/home/task");
        let outside = |seen: &Scope| !inside(&[&judged], seen);
        assert!(!outside(&one(Kind::Write, Harm::Medium, "/home/task/a")));
        assert!(outside(&one(Kind::Delete, Harm::Medium, "/home/task/a")));
        assert!(outside(&one(Kind::Write, Harm::High, "/home/task/a")));
        assert!(outside(&one(
            Kind::Write,
            Harm::Medium,
            "/home/task/.ssh/id_rsa"
        )));
        assert!(outside(&one(
            Kind::Write,
            Harm::Medium,
            "/home/task/.bashrc"
        )));
    }

    #[test]
    fn a_relative_path_after_cd_covers_nothing_that_is_seen() {
        let effects = || vec![sample::effect(Kind::Delete, Harm::High, "x")];
        let seen = one(Kind::Delete, Harm::High, "/workspace/x");
        assert!(inside(&[&of(&["rm -r x"], effects())], &seen));
        for line in [
            "cd sub",
            "git -C sub clean",
            "find . -execdir rm x",
            "make --directory=s",
        ] {
            let judged = of(&[line, "rm -r x"], effects());
            assert!(!inside(&[&judged], &seen), "{line}");
            assert!(judged.holds(&judged), "{line}");
        }
    }

    #[test]
    fn a_path_on_another_machine_covers_none_here() {
        let mut remote = sample::effect(Kind::Delete, Harm::High, "/data");
        remote.via = vec!["ssh host".into()];
        let mut wrapped = remote.clone();
        wrapped.via = vec!["sudo".into()];
        let seen = one(Kind::Delete, Harm::High, "/data/x");
        assert!(!inside(&[&of(&[], vec![remote])], &seen));
        assert!(inside(&[&of(&[], vec![wrapped])], &seen));
    }

    #[test]
    fn what_a_script_or_a_makefile_does_is_done_where_it_is_started() {
        let seen = one(Kind::Delete, Harm::High, "/workspace/old");
        let judged = |via: &[&str], commands: &[&str]| {
            let mut effect = sample::effect(Kind::Delete, Harm::High, "old");
            effect.via = via.iter().map(|&one| one.into()).collect();
            let analysis = Analysis {
                effects: vec![effect],
                commands: commands.iter().map(|&line| line.into()).collect(),
                scripts: vec![crate::effects::Script {
                    path: "/workspace/clean.sh".into(),
                    digest: String::new(),
                }],
                ..Analysis::default()
            };
            Scope::of(&analysis, &Setting::default(), None)
        };
        let rm = ["rm -rf old"];
        for via in [
            &["sh", "./clean.sh"][..],
            &["/workspace/clean.sh"],
            &["make"],
        ] {
            assert!(inside(&[&judged(via, &rm)], &seen), "{via:?}");
            let moved = judged(via, &["cd sub", "rm -rf old"]);
            assert!(!inside(&[&moved], &seen), "{via:?}");
        }
        // One that was not read, and another machine's.
        for via in [&["./other.sh"][..], &["ssh host", "./clean.sh"]] {
            assert!(!inside(&[&judged(via, &rm)], &seen), "{via:?}");
        }
    }

    #[test]
    fn what_is_known_only_when_it_runs_covers_only_itself() {
        let path = format!("/data/{UNKNOWN}");
        let judged = one(Kind::Delete, Harm::High, &path);
        assert!(judged.holds(&judged));
        assert!(!inside(&[&judged], &judged));
        assert!(!inside(
            &[&judged],
            &one(Kind::Delete, Harm::High, "/data/x")
        ));
    }

    #[test]
    fn a_new_difficulty_is_outside_and_reading_is_not() {
        let judged = Scope::default();
        assert!(inside(
            &[&judged],
            &one(Kind::Read, Harm::None, "README.md")
        ));
        assert!(!inside(&[&judged], &one(Kind::Read, Harm::Low, "x")));
        let mut seen = Scope::default();
        seen.hard.insert(Hard::DynamicCode);
        assert!(!inside(&[&judged], &seen));
        assert!(!judged.holds(&seen));
        assert!(!seen.is_whole());
        assert!(inside(&[&judged, &seen], &seen));
    }
}
