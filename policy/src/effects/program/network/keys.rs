// SPDX-License-Identifier: Apache-2.0
//! Keys of GnuPG.

use super::super::super::{Effect, Harm, Kind, Target};
use super::super::options::Options;
use super::super::system::rows::{exactly, scan};
use super::super::{Call, Outcome};

const VALUED: &str = "-o --output -r --recipient -u --local-user --homedir --keyserver --passphrase \
    --passphrase-file --passphrase-fd --pinentry-mode --trust-model --default-key --cipher-algo";

const CHANGES: &str = "--edit-key --quick-revoke-uid --gen-revoke --generate-revocation --quick-set-expire \
    --change-passphrase --passwd --import-ownertrust";

const ADDS: &str =
    "--recv-keys --import --refresh-keys --gen-key --full-generate-key --quick-generate-key";

/// What `gpg` would do with its keys.
pub(super) fn run(call: &Call) -> Outcome {
    let options = scan(call, VALUED);
    let mut outcome = Outcome::default();
    let Some((kind, harm, why)) = weigh(&options) else {
        return outcome;
    };
    // Secret keys, or what was encrypted, come out.
    if kind == Kind::TouchSecret {
        let name = options.operand(0).unwrap_or("gpg");
        outcome.stdout.taint.secret = Some(name.to_owned());
    }
    let arg = call.args.first().cloned().unwrap_or_default();
    let target = Target::System("gpg keyring".to_owned());
    outcome.add(Effect::new(kind, harm, target, "gpg:keys", why), &arg);
    outcome
}

fn weigh(options: &Options) -> Option<(Kind, Harm, &'static str)> {
    let begins = |beginning: &str| {
        let mut given = options.options.iter();
        given.any(|(name, ..)| name.starts_with(beginning))
    };
    if exactly(options, "--dry-run -n --help --version") {
        None
    } else if begins("--delete-secret") {
        Some((Kind::Delete, Harm::High, "a secret key would be lost"))
    } else if begins("--export-secret") {
        Some((
            Kind::TouchSecret,
            Harm::High,
            "a secret key would be given out",
        ))
    } else if begins("--delete-key") {
        Some((Kind::Delete, Harm::Medium, "a key would be lost"))
    } else if begins("--send-key") {
        let why = "a key on a key server cannot be taken back";
        Some((Kind::Publish, Harm::High, why))
    } else if exactly(options, CHANGES) {
        Some((Kind::Write, Harm::Medium, "a key would change"))
    } else if exactly(options, "-d --decrypt") {
        Some((
            Kind::TouchSecret,
            Harm::Low,
            "what was encrypted would be read",
        ))
    } else if exactly(options, ADDS) {
        Some((Kind::Write, Harm::Low, "the keyring would change"))
    } else {
        None
    }
}
