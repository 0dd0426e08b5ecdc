// SPDX-License-Identifier: Apache-2.0
//! The words of sub-commands: verbs, what they are said of, and flags that insist.
//!
//! Scores are in halves of a *Medium*: 2 to 5 is worth a look, from 6 a colleague would want to be
//! asked. A verb that means to leave nothing gives 6, `delete` 4, `remove` 3, one of daily
//! housekeeping 2; objects that hold what cannot be made again give 4 more, insistence 2.

use super::super::options::Options;
use crate::effects::word::Arg;
use crate::list::is_any;

/// How many operands may be sub-commands.
const OPERANDS: usize = 4;

/// A longer word is no sub-command.
const LONG: usize = 48;

/// Leaves nothing behind.
const DESTROY: &str = "destroy destroyall drop dropdb dropall purge wipe wipeout erase nuke terminate truncate \
    obliterate shred deprovision teardown decommission annihilate unpublish deleteall \
    removeall flushall flushdb factoryreset selfdestruct massdelete bulkdelete expunge \
    forcedelete harddelete scrub reimage cleanse";
/// Takes something away.
const DELETE: &str = "delete del deletes yank retract retire delist wipefs burn";
/// The same of one thing, which is mostly made again.
const REMOVE: &str = "remove rm rmr rmi rmdir rb flush revoke rmtree unregister deregister undeploy unlink \
    uninstall unprovision dispose discard zap overwrite reinitialize reformat format rotate down undefine unjoin";
/// Housekeeping, mostly.
const CLEAR: &str = "clean cleanup clear reset prune gc empty expire invalidate forget trim untrack detach \
    disconnect deinit unset disable remove-orphans deallocate reclaim reap vacate archive free";
/// Of these, what takes away only what is not used.
const TIDY: &str = "gc prune trim";
/// Stops or undoes what others may use.
const DISRUPT: &str = "stop kill killall shutdown reboot halt poweroff demote switchover cutover ban block drain cordon evict rollback downgrade revert \
    restore migrate failover scale suspend deactivate pause cancel abort lock quarantine apply";
/// Those that are worse when it is done to all.
const STOP: &str =
    "stop kill killall shutdown halt drain evict suspend deactivate cancel abort block ban";
/// Puts it where it cannot be taken back from.
const ISSUE: &str = "publish";
/// Makes visible to others.
const PUBLISH: &str = "deploy release promote upload send share push submit ship broadcast announce rollout \
    redeploy";
/// Only looks, makes something new, or works on one's own files: what follows is a name.
const LOOK: &str = "list ls get show describe view status info search find inspect help version log logs diff \
    validate lint check test plan preview explain print export-schema watch tail stats whoami \
    create new generate gen g init add make scaffold install build compile format-check fmt \
    doctor history pull fetch download import open edit serve start restart reload resume up dev query read select";
/// Holds what cannot be made again, or what others depend on.
const PRECIOUS: &str = "database databases db dbs cluster clusters bucket buckets project projects app apps \
    application applications instance instances volume volumes namespace namespaces table tables \
    account accounts user users member members key keys secret secrets backup backups snapshot \
    snapshots branch branches repo repos repository repositories zone zones domain domains environment \
    environments env stack stacks tenant tenants org organization workspace workspaces vault disk \
    disks partition server servers node nodes vm vms host hosts machine machines droplet schema \
    schemas collection collections keyspace topic queue subscription record records data storage \
    site sites team teams group role roles policy certificate network vpc device devices history \
    service services function functions deployment droplets store identity wallet license index \
    indices dataset datasets registry everything world release releases pipeline pipelines workflow \
    workflows customer customers order orders payment payments model models pool pools pvc pv claim \
    claims share shares filesystem filesystems fs catalog catalogs warehouse warehouses stream \
    streams exchange vhost gateway loadbalancer balancer ip dns cdn distribution checkpoint \
    checkpoints archive archives mailbox mailboxes fleet farm farms state object objects image \
    nodegroup nodepool metadata ruleset crd crds pages documents entities tables rows hypertable keyring \
    archives contact contacts trail ledger guild channel calendar realm realms dashboard dashboards subscriptions eventdata nodes cell cells shard shards region regions";
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
    -r -R --force-destroy --skipTrash -skipTrash \
    --skip-backup --no-undo --prod --production --delete --clean-slate --prune --all-namespaces --keep-nothing --no-keep";
/// First words of flags that take away.
const DELETING: &str = "delete deleted deleteAll destroy wipe erase purge nuke drop";
/// What such a flag may speak of without harm.
const AGAIN: &str = "branch marker markers conflicting output outputs stale orphaned";
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
/// Verbs and objects of the same, where only one's own tools are meant.
const SWITCH: &str = "disable deactivate unprotect bypass off";
const GUARD: &str = "protection backup backups encryption logging audit mfa 2fa firewall antivirus retention recovery";
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
    takes_away: bool,
    stops: bool,
    nested: bool,
    tidies: bool,
}

impl Said {
    pub(super) fn read(tool: &str, options: &Options, args: &[Arg]) -> Self {
        let words = words(tool, &options.operands, args);
        let any = |table: &str| words.iter().any(|word| is_any(table, word));
        let flag = |table: &str| {
            let flags: Vec<&str> = table.split_ascii_whitespace().collect();
            options.has_exactly(&flags)
        };
        let values = options.options.iter().map(|(.., value)| value.as_str());
        let values = values.filter(|value| value.len() <= LONG);
        let names = options.operands.iter().take(8).map(|arg| arg.text.as_str());
        let production = values.chain(names).any(|text| {
            let mut parts = text.split(|c: char| !c.is_ascii_alphanumeric());
            parts.any(|part| is_any(PRODUCTION, &part.to_ascii_lowercase()))
        });
        let production = production || flag("--prod --production");
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
            all: any(ALL)
                || flag("--delete-all --deleteAll --drop-all --wipe-all --purge-all")
                || options.operands.iter().any(|arg| arg.is_unknown()),
            force: flag(FORCE) || any("force"),
            no_return: flag(NO_RETURN),
            takes_away: destroying_flag(options),
            stops: any(STOP),
            tidies: any(TIDY),
            nested: nested(&options.operands, args),
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
            let many = self.stops && (self.all || self.no_return);
            return base + 4 * u32::from(self.production || many || self.takes_away);
        }
        // What nothing uses is no loss, whatever it is: `store gc`, `env prune`.
        let tidies = self.tidies && self.verb == Verb::Clears;
        let held = if tidies { 2 } else { 4 };
        let more = held * u32::from(self.precious)
            + 4 * u32::from(self.production)
            + 3 * u32::from(self.all)
            + 2 * u32::from(self.force)
            + 3 * u32::from(self.no_return)
            + 4 * u32::from(self.takes_away && !matches!(self.verb, Verb::Deletes));
        // Tools that name what they delete mostly keep it somewhere: `thing delete x`.
        let nested = self.nested && self.verb == Verb::Deletes && !self.cheap && !self.precious;
        let more = more + 2 * u32::from(nested);
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
        let table = tables.iter().find(|(table, _)| is_any(table, word));
        table.map(|(_, verb)| *verb)
    });
    // `release list` looks, whatever a release is.
    let looks = words.iter().any(|word| is_any(LOOK, word));
    match found {
        Some(Verb::Issues | Verb::Publishes | Verb::Disrupts) if looks => Verb::Looks,
        Some(verb) => verb,
        None if options.has_exactly(&["--destroy", "--nuke"]) => Verb::Destroys,
        None if destroying_flag(options) => Verb::Deletes,
        None => Verb::None,
    }
}

/// `sync --delete`, `--wipe-all`, `-rm` as `hdfs dfs` has it; not what is made again by itself, and
/// not `docker`'s `--rm`.
fn destroying_flag(options: &Options) -> bool {
    let mut names = options.options.iter().map(|(name, ..)| name.as_str());
    names.any(|name| deleting(name) || matches!(name, "-rm" | "-rmr"))
}

/// Whether an option of two words or more, that is not switched off, takes away.
pub(super) fn flag_deletes(options: &Options) -> bool {
    let mut options = options.options.iter();
    options.any(|(name, _, value)| {
        let off = matches!(value.as_str(), "false" | "no" | "none" | "0");
        let words = name.trim_start_matches('-');
        !off && name.starts_with("--") && words.contains('-') && deleting(name)
    })
}

fn deleting(option: &str) -> bool {
    let long = option.trim_start_matches('-');
    let words = || long.split('-');
    let verb = words().next().unwrap_or_default();
    long.len() > 1
        && is_any(DELETING, verb)
        && !words().any(|word| is_any(CHEAP, word) || is_any(AGAIN, word))
}

/// Whether sub-commands say that a protection is switched off, whatever else the tool is for.
pub(super) fn switches_off(sub_commands: &[String]) -> bool {
    let mut words = Vec::new();
    for word in sub_commands.iter().take(OPERANDS) {
        if !bare(word) {
            break;
        }
        split(word, &mut words);
    }
    let any = |table: &str| words.iter().any(|word| is_any(table, word));
    let looks = words.first().is_some_and(|word| is_any(LOOK, word));
    !looks && any(SWITCH) && any(GUARD)
}

/// Whether a sub-command leaves no doubt that it takes away.
pub(super) fn deletes(word: &str) -> bool {
    is_any(DESTROY, word) || is_any(DELETE, word) || is_any("rm remove unregister erase", word)
}

/// The words of the program's name and of its sub-commands, in small letters.
fn words(tool: &str, operands: &[&Arg], args: &[Arg]) -> Vec<String> {
    let mut words = Vec::new();
    let name = tool.rsplit('/').next().unwrap_or(tool);
    let name = name.rsplit_once('.').map_or(name, |(name, _)| name);
    if name.len() <= LONG {
        split(name, &mut words);
        // A name of one word is a name, not a verb: `stop`, but also `drop`, `format`.
        if words.len() < 2 && !is_any(DESTROY, name) {
            words.clear();
        }
    }
    let mut values = values(args);
    for arg in operands.iter().take(OPERANDS) {
        if let Some(method) = method(&arg.text) {
            split(method, &mut words);
        } else if bare(&arg.text) {
            split(&arg.text, &mut words);
        } else if !values.any(|value| value == arg.text) {
            break;
        }
    }
    words
}

/// Whether the verb that deletes has a word before it that says what: `widget delete`.
fn nested(operands: &[&Arg], args: &[Arg]) -> bool {
    let words = words("", operands, args);
    let verb = words.iter().position(|word| is_any(DELETE, word));
    verb.is_some_and(|at| at > 0)
}

/// What follows an option, in order: `--file x.toml delete`, where `x.toml` is mostly its value.
fn values(args: &[Arg]) -> impl Iterator<Item = &str> {
    args.windows(2).filter_map(|pair| match pair {
        [option, value] if option.text.starts_with('-') && !option.text.contains('=') => {
            Some(value.text.as_str())
        }
        _ => None,
    })
}

/// A procedure that is called by name: `shop.v1.Orders/DeleteOrder`.
fn method(text: &str) -> Option<&str> {
    let (service, method) = text.split_once('/')?;
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let named = service.split('.').count() > 1 && service.split('.').all(plain);
    let called = method.starts_with(|c: char| c.is_ascii_uppercase()) && plain(method);
    (named && called && text.len() <= 2 * LONG).then_some(method)
}

/// Whether a word may be a sub-command.
fn bare(text: &str) -> bool {
    let file = text
        .rsplit_once('.')
        .is_some_and(|(_, end)| is_any(FILES, end));
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.-".contains(c);
    !file
        && text.len() <= LONG
        && text.chars().all(plain)
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Splits at `:`, `-`, `_`, `.` and before capitals: `terminateInstances`. A word in two parts is
/// also kept whole, for `drop-db`.
fn split(text: &str, words: &mut Vec<String>) {
    let start = words.len();
    let mut word = String::new();
    let mut small = false;
    let mut hyphen = false;
    for c in text.chars() {
        let ends = !c.is_ascii_alphanumeric() || (small && c.is_ascii_uppercase());
        if ends && !word.is_empty() {
            let word = std::mem::take(&mut word);
            // `project-info remove`: within a name it is no verb.
            if !(hyphen && words.len() > start && is_any(LOOK, &word)) {
                push(word, words);
            }
            hyphen = c == '-';
        }
        small = c.is_ascii_lowercase();
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
    }
    if !(word.is_empty() || (hyphen && words.len() > start && is_any(LOOK, &word))) {
        push(word, words);
    }
}

/// Adds a word; one made of a verb and what it is said of as both: `clearsnapshot`, `rmpool`.
fn push(word: String, words: &mut Vec<String>) {
    let joined = "delete remove destroy drop purge erase wipe clear rm del terminate";
    let parts = joined.split(' ').find_map(|verb| {
        let object = word.strip_prefix(verb)?;
        (is_any(PRECIOUS, object) || is_any(ALL, object)).then_some((verb, object))
    });
    match parts {
        Some((verb, object)) => words.extend([verb.to_owned(), object.to_owned()]),
        None => words.push(word),
    }
}
