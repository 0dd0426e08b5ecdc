// SPDX-License-Identifier: Apache-2.0
//! The words of sub-commands: verbs, what they are said of, and flags that insist.
//!
//! Scores are in halves of a *Medium*: 2 to 5 is worth a look, from 6 a colleague would want to be
//! asked. A verb that means to leave nothing gives 6, `delete` 4, `remove` 3, one of daily
//! housekeeping 2; objects that hold what cannot be made again give 4 more, insistence 2.

use super::super::options::Options;
use crate::effects::word::Arg;

/// How many operands may be sub-commands.
const OPERANDS: usize = 4;

/// A longer word is no sub-command.
const LONG: usize = 48;

/// Leaves nothing behind.
const DESTROY: &str = "destroy destroyall drop dropdb dropall purge wipe wipeout erase nuke terminate truncate \
    obliterate shred deprovision teardown decommission annihilate unpublish deleteall \
    removeall flushall flushdb factoryreset selfdestruct massdelete bulkdelete expunge \
    forcedelete harddelete";
/// Takes something away.
const DELETE: &str = "delete del deletes";
/// The same of one thing, which is mostly made again.
const REMOVE: &str = "remove rm rmi rmdir flush revoke rmtree unregister deregister undeploy unlink \
    uninstall unprovision dispose discard zap overwrite reinitialize reformat format rotate";
/// Housekeeping, mostly.
const CLEAR: &str = "clean cleanup clear reset prune gc empty expire invalidate forget trim untrack detach \
    disconnect deinit unset disable remove-orphans";
/// Stops or undoes what others may use.
const DISRUPT: &str = "stop kill killall shutdown reboot restart halt drain cordon evict rollback downgrade revert \
    restore migrate failover scale suspend deactivate pause cancel abort lock quarantine apply";
/// Puts it where it cannot be taken back from.
const ISSUE: &str = "publish";
/// Makes visible to others.
const PUBLISH: &str = "deploy release promote upload send share push submit ship broadcast announce rollout \
    redeploy";
/// Only looks, makes something new, or works on one's own files: what follows is a name.
const LOOK: &str = "list ls get show describe view status info search find inspect help version log logs diff \
    validate lint check test plan preview explain print export-schema watch tail stats whoami \
    create new generate gen g init add make scaffold install build compile format-check fmt \
    doctor history pull fetch download import open edit serve start up dev query read select";
/// Holds what cannot be made again, or what others depend on.
const PRECIOUS: &str = "database databases db dbs cluster clusters bucket buckets project projects app apps \
    application applications instance instances volume volumes namespace namespaces table tables \
    account accounts user users member members key keys secret secrets backup backups snapshot \
    snapshots branch repo repos repository repositories zone zones domain domains environment \
    environments env stack stacks tenant tenants org organization workspace workspaces vault disk \
    disks partition server servers node nodes vm vms host hosts machine machines droplet schema \
    schemas collection collections keyspace topic queue subscription record records data storage \
    site sites team teams group role roles policy certificate network vpc device devices history \
    service services function functions deployment droplets store identity wallet license index \
    indices dataset datasets registry everything world";
/// Made again by itself.
const CHEAP: &str = "cache caches tmp temp build logs log artifact artifacts session sessions dist lock locks \
    module modules dependency dependencies package packages draft drafts container containers \
    alias label tag comment preview previews cookie cookies history-entry \
    breakpoint bookmark filter screen";
/// Others depend on it.
const PRODUCTION: &str = "prod production prd live";
/// All of them.
const ALL: &str = "all everything everywhere global";
/// Insisting flags.
const FORCE: &str = "--force -f --yes -y --assume-yes --auto-approve --no-confirm --noconfirm --no-prompt --non-interactive \
    --no-interaction --confirm --skip-confirmation --approve --quiet -q --no-input --force-yes \
    --no-ask --unattended --yes-i-really-mean-it --i-know-what-i-am-doing --now --force-delete --no-verify \
    --skip-confirm --assumeyes --batch";
/// Flags that take the way back, or everything.
const NO_RETURN: &str = "--all -a --cascade --purge --skip-final-snapshot --no-backup --no-snapshot --no-preserve \
    --permanent --permanently --hard --delete-data --remove-data --with-data --volumes --recursive \
    --delete-all --drop-all --wipe --erase --destroy --delete-volumes --force-destroy \
    --skip-backup --no-undo --prod --production --delete --clean-slate --prune --all-namespaces";
/// Objects of rights and keys.
const SECRET: &str = "login logout token tokens credential credentials password passwords passwd apikey secret \
    secrets passphrase privatekey accesskey";
const GRANT: &str = "grant impersonate sudo elevate addadmin setowner chown chmod authorize allow expose unseal \
    assume escalate bypass trust invite permit";
const MIGHTY: &str = "admin administrator admins owner root superuser sudo cluster-admin public anyone everyone all \
    allusers global anonymous";
const PROTECTION: &str = "protection firewall mfa 2fa logging audit encryption security antivirus monitoring alerts \
    alarm alarms seccomp selinux apparmor verification ssl tls auth authentication guardrails \
    policy policies backup backups";
const OFF: &str = "disable off remove delete deactivate bypass skip unprotect stop turn";
/// Endings of file names, which no sub-command has.
const FILES: &str = "rs py js ts jsx tsx mjs cjs json yaml yml toml md txt sh go c h cc cpp java rb php html css \
    xml csv tsv log lock sql png jpg jpeg gif svg pdf zip tar gz tgz bz2 xz ini cfg conf env proto \
    kt swift cs lua pl r ipynb parquet db sqlite bin img iso wasm vue svelte out map";

/// What a verb comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    None,
    Looks,
    Destroys,
    Deletes,
    Removes,
    Clears,
    Issues,
    Publishes,
    Disrupts,
}

/// What a command line says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) verb: Verb,
    pub(super) unprotects: bool,
    pub(super) grants: bool,
    pub(super) mighty: bool,
    pub(super) secret: bool,
    pub(super) sends: bool,
    precious: bool,
    cheap: bool,
    production: bool,
    all: bool,
    force: bool,
    no_return: bool,
}

impl Said {
    pub(super) fn read(tool: &str, options: &Options) -> Self {
        let words = words(tool, &options.operands);
        let any = |table: &str| words.iter().any(|word| is(table, word));
        let flag = |table: &str| {
            let flags: Vec<&str> = table.split_ascii_whitespace().collect();
            options.has_exactly(&flags)
        };
        let values = options.options.iter().map(|(.., value)| value.as_str());
        let values = values.filter(|value| value.len() <= LONG);
        let names = options.operands.iter().take(8).map(|arg| arg.text.as_str());
        let production = values.chain(names).any(|text| {
            let mut parts = text.split(|c: char| !c.is_ascii_alphanumeric());
            parts.any(|part| is(PRODUCTION, &part.to_ascii_lowercase()))
        });
        let verb = verb(&words, options);
        Self {
            verb,
            unprotects: verb != Verb::Looks && any(OFF) && any(PROTECTION) && !any("cache"),
            grants: verb != Verb::Looks && any(GRANT),
            mighty: any(MIGHTY) || flag("--admin --owner --public --all --superuser"),
            secret: any(SECRET),
            sends: any(PUBLISH) || any(ISSUE) || flag("--upload --send --post --share --publish"),
            precious: any(PRECIOUS),
            cheap: any(CHEAP),
            production,
            all: any(ALL),
            force: flag(FORCE),
            no_return: flag(NO_RETURN),
        }
    }

    pub(super) fn destroys(&self) -> bool {
        matches!(
            self.verb,
            Verb::Destroys | Verb::Deletes | Verb::Removes | Verb::Clears
        )
    }

    /// How much its words weigh.
    pub(super) fn score(&self) -> u32 {
        let base = match self.verb {
            Verb::Destroys | Verb::Issues => 6,
            Verb::Deletes => 4,
            Verb::Removes => 3,
            Verb::Clears | Verb::Disrupts | Verb::Publishes => 2,
            Verb::None | Verb::Looks => return 0,
        };
        if matches!(self.verb, Verb::Issues | Verb::Publishes | Verb::Disrupts) {
            let production = self.production || (self.no_return && self.verb == Verb::Publishes);
            return base + 4 * u32::from(production);
        }
        let more = 4 * u32::from(self.precious)
            + 4 * u32::from(self.production)
            + 2 * u32::from(self.all)
            + 2 * u32::from(self.force)
            + 3 * u32::from(self.no_return);
        let less = if self.precious || self.production {
            0
        } else {
            3 * u32::from(self.cheap)
        };
        (base + more).saturating_sub(less)
    }
}

/// The first verb decides, so that `create drop-table-migration` creates.
fn verb(words: &[String], options: &Options) -> Verb {
    let tables = [
        (LOOK, Verb::Looks),
        (DESTROY, Verb::Destroys),
        (DELETE, Verb::Deletes),
        (REMOVE, Verb::Removes),
        (CLEAR, Verb::Clears),
        (ISSUE, Verb::Issues),
        (PUBLISH, Verb::Publishes),
        (DISRUPT, Verb::Disrupts),
    ];
    let found = words.iter().find_map(|word| {
        let table = tables.iter().find(|(table, _)| is(table, word));
        table.map(|(_, verb)| *verb)
    });
    // `release list` looks, whatever a release is.
    let looks = words.iter().any(|word| is(LOOK, word));
    match found {
        Some(Verb::Issues | Verb::Publishes | Verb::Disrupts) if looks => Verb::Looks,
        Some(verb) => verb,
        None if destroying_flag(options) => Verb::Deletes,
        None => Verb::None,
    }
}

/// `sync --delete`, `--wipe-all`.
fn destroying_flag(options: &Options) -> bool {
    options.options.iter().any(|(name, ..)| {
        let name = name.trim_start_matches('-');
        let verb = name.split('-').next().unwrap_or_default();
        name.len() > 2
            && matches!(
                verb,
                "delete" | "destroy" | "wipe" | "erase" | "purge" | "nuke"
            )
    })
}

fn is(table: &str, word: &str) -> bool {
    table.split_ascii_whitespace().any(|entry| entry == word)
}

/// The words of the program's name and of its sub-commands, in small letters.
fn words(tool: &str, operands: &[&Arg]) -> Vec<String> {
    let mut words = Vec::new();
    let name = tool.rsplit('/').next().unwrap_or(tool);
    let name = name.rsplit_once('.').map_or(name, |(name, _)| name);
    if name.len() <= LONG {
        split(name, &mut words);
        // A name of one word is a name, not a verb: `stop`, but also `drop`, `format`.
        if words.len() < 2 && !is(DESTROY, name) {
            words.clear();
        }
    }
    for arg in operands.iter().take(OPERANDS) {
        if !bare(&arg.text) {
            break;
        }
        split(&arg.text, &mut words);
    }
    words
}

/// Whether a word may be a sub-command.
fn bare(text: &str) -> bool {
    let file = text.rsplit_once('.').is_some_and(|(_, end)| is(FILES, end));
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.-".contains(c);
    !file
        && text.len() <= LONG
        && text.chars().all(plain)
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Splits at `:`, `-`, `_`, `.` and before capitals: `terminateInstances`. A word in two parts is
/// also kept whole, for `drop-db`.
fn split(text: &str, words: &mut Vec<String>) {
    let mut word = String::new();
    let mut small = false;
    for c in text.chars() {
        let ends = !c.is_ascii_alphanumeric() || (small && c.is_ascii_uppercase());
        if ends && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        small = c.is_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
}
