// SPDX-License-Identifier: Apache-2.0
//! Other names that the action gives to things: `cp /bin/rm x; ./x -rf /`, `ln -s /dev/sda x`.

use super::super::word::{Arg, UNKNOWN};
use super::{KEPT, Shell};

impl Shell<'_> {
    /// Remembers what a copy, a move or a link is another name of.
    pub(super) fn rename(&mut self, name: &str, args: &[Arg]) {
        let links = name == "ln";
        if !links && !matches!(name, "cp" | "mv" | "install") {
            return;
        }
        let operands: Vec<&Arg> = args
            .iter()
            .filter(|arg| !arg.text.starts_with('-'))
            .collect();
        let [from, to] = operands.as_slice() else {
            return;
        };
        let known = !from.text.contains(UNKNOWN) && (links || from.text.contains('/'));
        let cwd = self.scope.cwd.as_deref();
        let (Some(meant), Some(to)) = (
            self.setting.absolute(&from.text, cwd),
            self.setting.absolute(&to.text, cwd),
        ) else {
            return;
        };
        if known && self.renamed.len() < KEPT {
            let base = meant.rsplit('/').next().unwrap_or_default();
            self.renamed
                .insert(format!("{to}/{base}"), (meant.clone(), links));
            self.renamed.insert(to, (meant, links));
        }
    }

    /// What a program's path is another name of.
    pub(super) fn program_meant(&self, path: &str) -> Option<String> {
        let whole = self.setting.absolute(path, self.scope.cwd.as_deref())?;
        self.renamed.get(&whole).map(|(meant, _)| meant.clone())
    }

    /// Words with what links among them lead to. A copy is a file of its own.
    pub(super) fn linked(&self, args: &[Arg]) -> Option<Vec<Arg>> {
        if !self.renamed.values().any(|(_, link)| *link) {
            return None;
        }
        let meant = |arg: &Arg| {
            // `of=/tmp/x` names a path behind its equals sign.
            let (before, path) = match arg.text.split_once('=') {
                Some((before, path)) => (format!("{before}="), path),
                None => (String::new(), arg.text.as_str()),
            };
            let whole = self.setting.absolute(path, self.scope.cwd.as_deref());
            let found = whole.and_then(|whole| {
                let links = self.renamed.iter().filter(|(_, (_, link))| *link);
                links.rev().find_map(|(name, (meant, _))| {
                    let rest = whole.strip_prefix(name.as_str())?;
                    let below = rest.is_empty() || rest.starts_with('/');
                    below.then(|| format!("{before}{meant}{rest}"))
                })
            });
            match found {
                Some(text) => Arg {
                    text,
                    ..arg.clone()
                },
                None => arg.clone(),
            }
        };
        Some(args.iter().map(meant).collect())
    }
}
