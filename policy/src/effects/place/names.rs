// SPDX-License-Identifier: Apache-2.0
//! Names of places, a table: words apart by white space.

/// Folders and files that a build, a test run or a package manager makes again.
pub(super) const BUILD_NAMES: &str = "node_modules target build dist out __pycache__ .cache coverage .pytest_cache .mypy_cache \
    .ruff_cache .tox .nox .venv venv .next .nuxt .turbo .parcel-cache .svelte-kit .gradle bin \
    obj Debug Release htmlcov .coverage .eggs .terraform _build .stack-work dist-newstyle \
    cmake-build-debug cmake-build-release bazel-out tmp .tmp logs DerivedData .dart_tool \
    .nyc_output storybook-static";

/// Endings of such.
pub(super) const BUILD_ENDINGS: &str =
    ".pyc .pyo .o .class .tmp .log .egg-info .swp .bak .orig .tsbuildinfo ~";

/// Caches in a home folder.
pub(super) const CACHES: &str = ".cache .npm .cargo/registry .cargo/git .gradle/caches .m2/repository .yarn/cache \
    .pnpm-store go/pkg/mod .nuget/packages .local/share/Trash .local/share/pnpm/store";

/// Devices that hold nothing.
pub(super) const NULL: &str = "/dev/null /dev/zero /dev/full /dev/stdin /dev/stdout /dev/stderr /dev/tty /dev/random \
    /dev/urandom";

/// Where temporary files are.
pub(super) const TEMP: &str = "/tmp /var/tmp /dev/shm /private/tmp";

/// The system's own folders.
pub(super) const SYSTEM: &str = "/bin /boot /etc /lib /lib32 /lib64 /opt /proc /run /sbin /sys /usr /var /Applications \
    /Library /System /private /nix /snap";

/// Files that hold keys, tokens, passwords or what was typed.
pub(super) const SECRET_NAMES: &str = ".netrc _netrc .pgpass .my.cnf .npmrc .pypirc .git-credentials .vault-token .htpasswd \
    shadow gshadow shadow- credentials credentials.json credentials.toml credentials.yml \
    credentials.yaml secrets secrets.json secrets.yml secrets.yaml secrets.toml secrets.env \
    wallet.dat terraform.tfstate service-account.json serviceaccount.json kubeconfig \
    master.key authinfo logins.json key4.db cookies.sqlite Cookies .bash_history .zsh_history hosts.yml";

/// Folders of such.
pub(super) const SECRET_FOLDERS: &str = ".ssh .gnupg .aws .kube .azure .password-store gcloud keyrings Keychains .docker .oci \
    secrets .1password";

/// Endings of such.
pub(super) const SECRET_ENDINGS: &str =
    ".pem .key .p12 .pfx .kdbx .keystore .jks .ppk .asc .gpg .tfstate -key.json";

/// Files that run by themselves when somebody logs in, or let somebody in.
pub(super) const STARTUP_NAMES: &str = ".bashrc .bash_profile .bash_login .bash_logout .profile .zshrc .zshenv .zprofile .zlogin \
    .xinitrc .xprofile .kshrc config.fish authorized_keys authorized_keys2 .pam_environment \
    ld.so.preload rc.local crontab sudoers .inputrc .forward";

/// Parts of paths to such.
pub(super) const STARTUP_FOLDERS: &str = "/etc/cron /var/spool/cron /etc/systemd/ /lib/systemd/ /.config/systemd/ \
    /.config/autostart/ /etc/init.d/ /etc/init/ /etc/rc /etc/profile /etc/bash /etc/sudoers.d \
    /etc/pam.d /etc/udev/ /etc/xdg/autostart /LaunchAgents/ /LaunchDaemons/ /.git/hooks /.git/config \
    /.ssh/config /.ssh/rc";

/// Names that patterns are held against before others.
pub(super) const PATTERNS: &str = ".git .ssh .env .aws .gnupg .kube etc bin usr lib boot home root var dev sbin opt proc \
    sys passwd shadow sudoers src .github";
