// SPDX-License-Identifier: Apache-2.0
//! Words of a text: which are hosts, paths, packages and commands, and which clauses deny.

use crate::list::is_any;

/// Programs that code between back quotes may begin with.
const PROGRAMS: &str = "rm rmdir mv cp dd ln chmod chown chgrp mkdir touch cat tee ls find grep rg sed awk sort head tail \
    less cut tr wc diff patch tar zip unzip gzip curl wget ssh scp sftp rsync nc ncat telnet ping dig git gh glab hg svn \
    docker podman kubectl helm terraform tofu pulumi ansible ansible-playbook aws gcloud gsutil az doctl flyctl fly \
    heroku vercel netlify wrangler npm npx yarn pnpm bun deno node python python3 pip pip3 pipx uv poetry pdm conda \
    ruby gem bundle rake rails php composer perl cargo rustc rustup go java javac mvn gradle ./gradlew make cmake ninja \
    just task bazel sudo su doas env export source sh bash zsh fish eval exec crontab systemctl service journalctl \
    launchctl kill pkill killall mkfs fdisk parted mount umount shred truncate wipefs iptables ufw nft useradd userdel \
    usermod passwd visudo psql mysql mysqldump sqlite3 mongo mongosh redis-cli apt apt-get dnf yum brew pacman apk snap \
    twine echo printf openssl gpg nmap base64 xargs nohup tmux screen jq yq pytest jest vitest tox ruff black mypy eslint \
    prettier tsc shutdown reboot halt poweroff powershell pwsh";

/// Words that turn a clause into its opposite.
const DENIALS: &str = "not never without no don't won't doesn't shouldn't mustn't can't cannot avoid avoids avoiding instead \
    neither nor dont wont nothing";

/// Endings of files that look like those of hosts.
const FILE_ENDINGS: &str = "rs py js ts tsx jsx mjs cjs rb go c h cc cpp hpp java kt php pl sh bash zsh md txt rst json yaml \
    yml toml lock xml html htm css scss sql csv log ini cfg conf env mk lua awk vue svelte proto so a o exe dll png jpg \
    jpeg gif svg pdf zip tar gz tgz bz2 xz whl jar bak tmp pem key crt db sqlite parquet ipynb tf tfvars tfstate patch \
    diff example local service example map min test spec d";

/// Words that claim everything.
const CLAIMS: &[&str] = &[
    "any host",
    "all hosts",
    "any domain",
    "all domains",
    "any url",
    "full access",
    "unrestricted",
    "full permission",
    "all permissions",
    "any command",
    "whatever is needed",
    "entire filesystem",
    "whole filesystem",
    "whole disk",
    "entire disk",
    "everything on the",
];

/// Words apart by white space, without the marks around them, and where they begin.
pub(super) fn split(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut at = 0;
    text.split(|letter: char| letter.is_whitespace() || "`\"'()<>{},;|=".contains(letter))
        .filter_map(move |word| {
            let start = at;
            // All that parts words here is at most a few bytes long; the place is looked up.
            at = start
                + word.len()
                + text
                    .get(start + word.len()..)?
                    .chars()
                    .next()
                    .map_or(0, char::len_utf8);
            let left = word.trim_start_matches(['[', '*', '_', '!']);
            let left = if word.starts_with("*.") || word.starts_with("**/") || word == "*" {
                word
            } else {
                left
            };
            let kept = left.trim_end_matches(['.', ':', '!', '?', ']', '_', '…']);
            (!kept.is_empty()).then_some((kept, start + word.len() - left.len()))
        })
}

/// A word and the parts that it is made of: `api.github.com` mentions `github`.
pub(super) fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let parts = word.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
    std::iter::once(word)
        .chain(parts)
        .filter(|part| !part.is_empty())
}

/// Whether a clause says what will not happen.
pub(super) fn denies(text: &str) -> bool {
    let lower = text.to_lowercase().replace('’', "'");
    let mut words = lower.split(|letter: char| !(letter.is_alphanumeric() || letter == '\''));
    words.any(|word| is_any(DENIALS, word))
}

/// Whether code between back quotes is a command, not a name.
pub(super) fn is_command(code: &str) -> bool {
    let code = code.trim().trim_start_matches("$ ");
    let mut words = code
        .split_whitespace()
        .skip_while(|word| word.contains('=') && !word.starts_with('-'));
    let first = words.next().unwrap_or_default();
    let more = words.next().is_some();
    let name = first.rsplit('/').next().unwrap_or_default();
    let local = first.starts_with("./") || first.starts_with("/usr/") || first.starts_with("/bin/");
    more && (is_any(PROGRAMS, name) || is_any(PROGRAMS, first) || local)
}

/// The host of an address, or a word that is a host's name or number.
pub(super) fn host(word: &str) -> Option<&str> {
    if let Some((scheme, rest)) = word.split_once("://") {
        let scheme = scheme
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '+');
        let rest = rest.split(['/', '?', '#']).next()?;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let host = match rest.strip_prefix('[') {
            Some(rest) => rest.split(']').next()?,
            None => rest.split(':').next()?,
        };
        return Some(host).filter(|host| scheme && !host.is_empty());
    }
    let word = word.split_once('@').map_or(word, |(_, host)| host);
    let word = word.split(['/', ':']).next().unwrap_or_default();
    let name = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '-')
    };
    let labels: Vec<&str> = word.split('.').take(10).collect();
    let number = labels.len() == 4 && labels.iter().all(|label| label.parse::<u8>().is_ok());
    if number || word == "localhost" {
        return Some(word);
    }
    let last = labels.last().copied().unwrap_or_default();
    let domain = labels.len() >= 2
        && labels.iter().all(|label| name(label))
        && (2..=24).contains(&last.len())
        && last.chars().all(|letter| letter.is_ascii_alphabetic())
        && !is_any(FILE_ENDINGS, last);
    domain.then_some(word)
}

/// Whether a word is a path or the name of a file.
pub(super) fn is_path(word: &str) -> bool {
    let starts = ["/", "./", "../", "~/"]
        .iter()
        .any(|start| word.starts_with(start));
    let ending = word.rsplit_once('.').map_or("", |(_, ending)| ending);
    let file = is_any(FILE_ENDINGS, &ending.to_ascii_lowercase()) && !word.contains("://");
    let hidden = word.starts_with('.')
        && word.len() > 2
        && word.chars().nth(1).is_some_and(char::is_alphabetic);
    (starts && word.len() > 1)
        || file
        || hidden
        || (word.contains('/') && !word.contains("://") && !word.ends_with('/'))
}

/// Whether a word stands for very many: `*`, `/**`, `*.com`.
pub(super) fn is_broad(word: &str) -> bool {
    matches!(
        word,
        "/*" | "/**" | "~/*" | "~/**" | "**/*" | "0.0.0.0/0" | "::/0" | "*:*"
    ) || (word.starts_with("*.") && host(word.trim_start_matches("*.")).is_some())
        || word
            .strip_prefix("*.")
            .is_some_and(|rest| matches!(rest, "com" | "net" | "org" | "io" | "dev"))
}

/// A claim to everything.
pub(super) fn claim(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    CLAIMS.iter().find(|claim| lower.contains(**claim)).copied()
}

/// Names after `install`, up to the first word that is none.
pub(super) fn packages(text: &str) -> impl Iterator<Item = String> {
    let mut after = false;
    let fillers = "and the package packages also dependency dependencies latest version of library libraries -g -D -U --save-dev \
        --upgrade --user";
    split(text).filter_map(move |(word, _)| {
        let lower = word.to_lowercase();
        if matches!(lower.as_str(), "install" | "installs" | "installing") {
            after = true;
            return None;
        }
        let name = word
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.@/=<>~^[]".contains(letter));
        if !after || is_any(fillers, &lower) {
            return None;
        }
        let stop = matches!(
            lower.as_str(),
            "with"
                | "using"
                | "to"
                | "in"
                | "into"
                | "from"
                | "for"
                | "so"
                | "it"
                | "on"
                | "as"
                | "via"
        );
        after = name && !stop && !word.starts_with('-');
        // A version stands after its package.
        let named = word.starts_with(|letter: char| letter.is_alphabetic() || letter == '@');
        (after && named).then(|| {
            word.split(['=', '<', '>', '~', '^', '['])
                .next()
                .unwrap_or_default()
                .to_lowercase()
        })
    })
}
