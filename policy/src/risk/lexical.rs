// SPDX-License-Identifier: Apache-2.0
//! The words of an action, hashed: programs, sub-commands, parts of paths, hosts. They teach a
//! site's own model and never leave it. A hash of a short word can be guessed, so hashing is no
//! reason to share it, and the type has no way into what is shared:
//!
//! ```compile_fail
//! use policy::risk::{Shared, lexical::LocalBlock};
//! fn share(local: LocalBlock) -> Shared {
//!     local.into()
//! }
//! ```
//!
//! ```compile_fail
//! use policy::risk::lexical::LocalBlock;
//! fn peek(local: &LocalBlock) -> usize {
//!     local.tokens.len()
//! }
//! ```

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::features::ONE;
use crate::effects::{Analysis, Effect, Target};

/// How many words can be told apart.
pub const BUCKETS: u16 = 1 << 12;

/// Most parts of a path that are looked at, the last ones.
const COMPONENTS: usize = 4;

/// One hashed word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// Which of the [`BUCKETS`].
    pub(super) bucket: u16,
    /// How much it counts, in thousandths.
    pub(super) value: u16,
}

/// The hashed words of each effect. See the module for what cannot be done with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw")]
pub struct LocalBlock {
    tokens: Vec<Vec<Token>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    tokens: Vec<Vec<Token>>,
}

/// A block that no analysis gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hashed word is outside its buckets or counts for more than one")]
pub struct BadToken;

impl TryFrom<Raw> for LocalBlock {
    type Error = BadToken;

    fn try_from(raw: Raw) -> Result<Self, BadToken> {
        let good = |token: &Token| token.bucket < BUCKETS && token.value <= ONE;
        if raw.tokens.iter().flatten().all(good) {
            Ok(Self { tokens: raw.tokens })
        } else {
            Err(BadToken)
        }
    }
}

impl LocalBlock {
    pub(super) fn of(analysis: &Analysis, salt: u64) -> Self {
        let effects = analysis.effects.iter();
        Self {
            tokens: effects.map(|effect| words(effect, salt)).collect(),
        }
    }

    /// The words of one part.
    pub(super) fn part(&self, index: usize) -> &[Token] {
        self.tokens.get(index).map_or(&[], Vec::as_slice)
    }

    /// The same without some parts' words, for what would be without them.
    pub(super) fn keep(&self, keep: impl Fn(usize) -> bool) -> Self {
        let tokens = self.tokens.iter().enumerate();
        Self {
            tokens: tokens
                .filter(|(index, _)| keep(*index))
                .map(|(_, words)| words.clone())
                .collect(),
        }
    }
}

/// Hashes words under a name for what they are, all together counting for `norm` (the length of
/// their vector, so that a long path says no more than a short one).
struct Hasher {
    salt: u64,
    tokens: Vec<Token>,
}

impl Hasher {
    fn add(&mut self, what: &str, words: &[&str], norm: f64) {
        let value = norm * f64::from(ONE) / (words.len().max(1) as f64).sqrt();
        let value = super::whole(value).min(ONE);
        for word in words {
            let mut hash = Sha256::new();
            hash.update(self.salt.to_le_bytes());
            hash.update(what.as_bytes());
            hash.update([0]);
            hash.update(word.as_bytes());
            let digest = hash.finalize();
            let pair = [digest.first(), digest.get(1)].map(|b| b.copied().unwrap_or(0));
            self.tokens.push(Token {
                bucket: u16::from_le_bytes(pair) % BUCKETS,
                value,
            });
        }
    }
}

/// The words of an effect alone, never of the commands beside it: another command must not
/// change what is known of this one. The rule names the program and the sub-command.
fn words(effect: &Effect, salt: u64) -> Vec<Token> {
    let mut hasher = Hasher {
        salt,
        tokens: Vec::new(),
    };
    let rule = &*effect.rule;
    hasher.add("rule", &[rule], 0.8);
    let (program, sub) = rule.split_once(':').unwrap_or((rule, ""));
    hasher.add("program", &[program], 0.6);
    let sub: Vec<&str> = sub.split([':', '-']).filter(|w| !w.is_empty()).collect();
    hasher.add(program, &sub, 0.4);
    match &effect.target {
        Target::Path(path, _) => {
            let mut parts: Vec<&str> = path.rsplit('/').filter(|p| !p.is_empty()).collect();
            parts.truncate(COMPONENTS);
            hasher.add("path", &parts, 0.5);
        }
        Target::Host(host) => {
            let site = host.rmatch_indices('.').nth(1).map(|(at, _)| at + 1);
            let site = site.and_then(|at| host.get(at..)).unwrap_or(host);
            hasher.add("host", &[host, site], 0.5);
        }
        Target::Resource(kind, name) => hasher.add("resource", &[kind, name], 0.5),
        Target::Package(name) => hasher.add("package", &[name], 0.5),
        Target::Program(name) => hasher.add("program", &[name], 0.5),
        Target::System(name) => hasher.add("system", &[name], 0.5),
        Target::Nothing => {}
    }
    hasher.tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::{Harm, Kind};

    fn block(rule: &'static str, salt: u64) -> LocalBlock {
        let target = Target::Host("api.example.com".to_owned());
        let effect = Effect::new(Kind::Send, Harm::Low, target, rule, "sends");
        let analysis = Analysis {
            effects: vec![effect],
            ..Analysis::default()
        };
        LocalBlock::of(&analysis, salt)
    }

    #[test]
    fn the_same_words_hash_alike_and_another_salt_elsewhere() {
        assert_eq!(block("curl:post", 1), block("curl:post", 1));
        assert_ne!(block("curl:post", 1), block("curl:post", 2));
        assert_ne!(block("curl:post", 1), block("wget:post", 1));
    }

    #[test]
    fn words_outside_their_buckets_are_refused() {
        let bad = r#"{"tokens":[[{"bucket":4096,"value":1}]]}"#;
        assert!(serde_json::from_str::<LocalBlock>(bad).is_err());
        let good = serde_json::to_string(&block("curl:post", 1)).unwrap();
        let back: LocalBlock = serde_json::from_str(&good).unwrap();
        assert_eq!(back, block("curl:post", 1));
    }
}
