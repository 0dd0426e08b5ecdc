// SPDX-License-Identifier: Apache-2.0
//! `ampoule-agent`, which speaks to the gate: what stands behind `ask --` is asked about, not run.

use super::filters::input::{Use, file};
use super::{Call, Outcome};

/// Its name.
const NAME: &str = "ampoule-agent";

/// Where images have it (`images`, `own_program`).
const FOLDER: &str = "/usr/local/bin";

/// Whether a program elsewhere has its name: that may be anything.
pub fn only_called_so(folder: Option<&str>, name: &str) -> bool {
    name == NAME && folder.is_some_and(|folder| folder != FOLDER)
}

/// What it would do, or nothing when the program is another or is told something else.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    if call.name != NAME {
        return None;
    }
    let mut words = call.args.iter().filter(|arg| arg.text != "--json");
    let mut out = Outcome::default();
    match words.next()?.text.as_str() {
        "ask" | "status" => {}
        "declare" => {
            let path = words.next()?;
            file(call, path, Use::Shows, &mut out);
        }
        _ => return None,
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::NoFiles;
    use super::super::readers_testing::effects;
    use crate::action::Action;
    use crate::effects::Kind;
    use crate::effects::place::Setting;
    use crate::effects::shell::Ground;
    use crate::judge::{Around, Judge};
    use crate::verdict::Verdict;

    #[test]
    fn what_the_gate_is_told_runs_nothing() {
        let judge = Judge::built_in().unwrap();
        let setting = Setting::default();
        let ground = Ground {
            setting: &setting,
            cwd: Some("/workspace"),
            files: &NoFiles,
        };
        for line in [
            "ampoule-agent ask -- git push --force",
            "ampoule-agent ask --json -- 'rm -rf /workspace /home'",
            "ampoule-agent --json ask -- sh -c 'rm -rf /'",
            "/usr/local/bin/ampoule-agent ask -- sudo rm -rf /",
            "timeout 9 ampoule-agent declare plan.json",
            "ampoule-agent declare - < plan.json",
            "ampoule-agent status --json",
        ] {
            assert_eq!(effects(line), [], "{line}");
            let judged = judge.action(&Action::shell(line), ground, None, &Around::default());
            assert_eq!(judged.decision.verdict, Verdict::Allow, "{line}");
        }
    }

    #[test]
    fn another_program_or_another_word_is_unknown_as_any() {
        for line in [
            "./ampoule-agent ask -- rm -rf src",
            "/workspace/bin/ampoule-agent ask -- rm -rf src",
            "/usr/bin/ampoule-agent status",
            "ampoule-agent2 status",
            "ampoule-agent run -- ls",
            "ampoule-agent \"$x\" -- ls",
            "ampoule-agent declare",
            "ampoule-agent",
        ] {
            let found = effects(line);
            assert!(found.iter().any(|e| e.kind == Kind::Unknown), "{line}");
        }
        assert!(!effects("ampoule-agent ask -- \"$(git push --force)\"").is_empty());
        assert!(!effects("ampoule-agent declare ~/.ssh/id_rsa").is_empty());
    }
}
