// SPDX-License-Identifier: Apache-2.0
//! `GIT_CONFIG_PARAMETERS`, in which git hands `-c key=value` on to what it starts itself.

use super::super::super::word::UNKNOWN;

/// Sections and settings by which git runs nothing, sends nothing elsewhere and trusts nobody more.
/// What is not here may do any of it: git reads settings that no list of ours has.
const PLAIN: [&str; 10] = [
    "user.",
    "author.",
    "committer.",
    "color.",
    "advice.",
    "init.defaultbranch",
    "gc.auto",
    "gc.autodetach",
    "gc.autopacklimit",
    "commit.gpgsign",
];

/// Whether all settings in the variable can be read and none has git do anything else.
#[must_use]
pub fn are_plain(value: &str) -> bool {
    let settings = read(value);
    settings.is_some_and(|keys| keys.iter().all(|key| is_plain(key)))
}

fn is_plain(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    PLAIN.iter().any(|known| match known.ends_with('.') {
        true => key.starts_with(known),
        false => key == *known,
    })
}

/// The keys (`parse_config_env_list` in git's config.c): each `'key'='value'`, `'key'=`, or
/// `'key=value'` as git before 2.31 wrote it, apart by blanks. Nothing when it is anything else.
fn read(value: &str) -> Option<Vec<String>> {
    if value.contains(UNKNOWN) {
        return None;
    }
    let mut keys = Vec::new();
    let mut rest = value.trim_start_matches(BLANKS);
    while !rest.is_empty() {
        let (word, after) = unquoted(rest)?;
        let key = match after.strip_prefix('=') {
            Some(after) if after.is_empty() || after.starts_with(BLANKS) => {
                rest = after;
                word
            }
            Some(after) => {
                rest = unquoted(after)?.1;
                word
            }
            None => {
                rest = after;
                word.split('=').next().unwrap_or_default().to_owned()
            }
        };
        keys.push(key);
        let next = rest.trim_start_matches(BLANKS);
        if next.len() == rest.len() && !rest.is_empty() {
            return None;
        }
        rest = next;
    }
    Some(keys)
}

/// What git takes for blanks.
const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

/// A word in git's quotes, and what is behind it: within them only `'` and `!` are written
/// otherwise, as `'\''` and `'\!'`.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('\'')?;
    let mut word = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        word.push_str(part);
        let escaped = ['\'', '!'].into_iter().find_map(|char| {
            let after = after.strip_prefix('\\')?.strip_prefix(char)?;
            Some((char, after.strip_prefix('\'')?))
        });
        let Some((char, after)) = escaped else {
            return Some((word, after));
        };
        word.push(char);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::readers_testing::effects;
    use super::*;
    use crate::effects::Harm;

    #[test]
    fn what_git_starts_itself_is_as_harmless_as_what_it_was_told() {
        let loads = |set: &str| {
            let line = format!("GIT_CONFIG_PARAMETERS={set} git maintenance run --auto --quiet");
            let mut found = effects(&line).into_iter();
            found.any(|effect| effect.rule == "shell:loaded-code")
        };
        assert!(!loads("\"'user.name'='a' 'user.email'='a@b'\""));
        assert!(loads("\"'user.name'='a' 'core.pager'='sh -c x'\""));
        assert!(loads("\"'user.name'='$x'\"") && loads("user.name=a"));
        for key in PLAIN {
            let key = if key.ends_with('.') {
                format!("{key}x")
            } else {
                key.to_owned()
            };
            let found = effects(&format!("git -c {key}=1 commit -m x"));
            assert!(found.iter().all(|effect| effect.harm <= Harm::Low), "{key}");
        }
    }

    #[test]
    fn settings_that_do_nothing_else_are_plain() {
        for value in [
            "",
            "'user.name'='a' 'user.email'='a@b'",
            "'user.name=a b' 'Color.UI=false'",
            "'user.name'='it'\\''s '\\!' core.pager=x'  'advice.detachedHead'=",
            "'color.ui'\t'gc.auto'='0'",
        ] {
            assert!(are_plain(value), "{value}");
        }
    }

    #[test]
    fn any_other_setting_and_what_cannot_be_read_is_not() {
        let hidden = format!("'user.name'='{UNKNOWN}'");
        for value in [
            "'user.name'='a' 'core.pager'='sh -c x'",
            "'CORE.sshCommand=x'",
            "'include.path'='/workspace/x'",
            "'init.defaultBranchx'='a'",
            "'gc.auto.x'='a'",
            "user.name=a",
            "'user.name'=a",
            "'user.name'='a",
            "'user.name'='a''core.pager'='x'",
            "'user.name'='a'x",
            "'us'\\''er.name'='a'",
            &hidden,
        ] {
            assert!(!are_plain(value), "{value}");
        }
    }
}
