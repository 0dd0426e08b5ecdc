// SPDX-License-Identifier: Apache-2.0
//! What statements of SQL would do.
//!
//! No grammar: tokens, statements apart by `;`, and the places inside of one where another may
//! begin (`WITH x AS (DELETE …`, `EXPLAIN ANALYZE DELETE …`, `THEN DELETE …`). A transaction that
//! is rolled back counts all the same: whether it is, only the server knows.

mod condition;
mod statement;
mod tokens;
mod verbs;

use super::{Effect, Harm, Kind, Target};
use tokens::Token;

/// Longest text that is read, in bytes.
const TEXT: usize = 1 << 20;

/// Most effects that are told apart.
const EFFECTS: usize = 64;

/// Most places where a statement may begin that are read.
const HEADS: usize = 2000;

/// How deep code in strings is followed.
const DEPTH: usize = 4;

/// The effects of a text of SQL; `engine` names the database (`postgres`, `mysql`, …).
#[must_use]
pub fn statements(text: &str, engine: &'static str) -> Vec<Effect> {
    let mut found = Found {
        engine,
        effects: Vec::new(),
        heads: 0,
    };
    found.text(text, 0);
    found.effects
}

/// What was found so far.
struct Found {
    engine: &'static str,
    effects: Vec<Effect>,
    /// Places where a statement may begin.
    heads: usize,
}

impl Found {
    /// A text of several statements.
    fn text(&mut self, text: &str, depth: usize) {
        if text.len() > TEXT || depth > DEPTH {
            self.too_much();
            return;
        }
        let (tokens, all) = tokens::read(text, self.engine);
        if !all {
            self.too_much();
        }
        let ends =
            |token: &Token| token.sign(';') || token.is("go") || matches!(token, Token::Meta(_));
        for statement in tokens.split(ends) {
            statement::read(self, statement, depth);
        }
        for token in &tokens {
            if let Token::Meta(command) = token {
                verbs::meta(self, command);
            }
        }
    }

    /// Whether another statement may be read: each may cost the length of the rest.
    fn another(&mut self) -> bool {
        self.heads += 1;
        if self.heads == HEADS {
            self.too_much();
        }
        self.heads < HEADS
    }

    fn too_much(&mut self) {
        let why = "more or deeper SQL than is read";
        self.add((Kind::Unknown, Harm::High), "too-much", "", why);
    }

    /// Adds an effect unless it is there.
    fn add(&mut self, (kind, harm): (Kind, Harm), rule: &str, name: &str, why: &'static str) {
        let name: String = name.chars().take(200).collect();
        let target = Target::Resource(self.engine.into(), name);
        let effect = Effect::new(kind, harm, target, format!("sql:{rule}"), why);
        if self.effects.len() < EFFECTS && !self.effects.contains(&effect) {
            self.effects.push(effect);
        }
    }
}

#[cfg(test)]
mod tests;
