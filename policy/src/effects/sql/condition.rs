// SPDX-License-Identifier: Apache-2.0
//! Whether a condition leaves any row out.

use super::tokens::Token;

/// The tokens of a statement that begins here, without what encloses it.
pub(super) fn clause(tokens: &[Token]) -> &[Token] {
    let mut depth = 0_i64;
    let end = tokens.iter().position(|token| {
        depth += i64::from(token.sign('(')) - i64::from(token.sign(')'));
        depth < 0
    });
    tokens.get(..end.unwrap_or(tokens.len())).unwrap_or(tokens)
}

/// The condition after `WHERE`, if there is one.
pub(super) fn condition(tokens: &[Token]) -> Option<&[Token]> {
    let parts = split(tokens, |token| token.is("where"));
    let after = parts.get(1)?;
    let ends = "returning order limit offset fetch option settings";
    split(after, |token| token.is_any(ends)).first().copied()
}

/// Splits at tokens outside parentheses.
pub(super) fn split(tokens: &[Token], at: impl Fn(&Token) -> bool) -> Vec<&[Token]> {
    let mut depth = 0_i64;
    let split = tokens.split(|token| {
        depth += i64::from(token.sign('(')) - i64::from(token.sign(')'));
        depth == 0 && at(token)
    });
    split.collect()
}

/// Whether it holds for every row, as far as its words say: `1=1`, `true`, `id = id`, `x or 1=1`.
pub(super) fn always(condition: &[Token]) -> bool {
    let any = split(condition, |token| token.is("or"));
    any.into_iter().any(|all| {
        let all = split(all, |token| token.is("and"));
        all.into_iter().all(holds)
    })
}

/// One comparison.
fn holds(tokens: &[Token]) -> bool {
    let tokens = bare(tokens);
    match tokens {
        [Token::Number(number)] => number.chars().any(|c| c.is_ascii_digit() && c != '0'),
        [word] => word.is("true"),
        [not, word] if not.is("not") => word.is("false") || *word == Token::Number("0".to_owned()),
        [a, sign, b] if sign.sign('=') || sign.is("is") => a == b || (b.is("true") && a.is("true")),
        [_, like, Token::Text(text)] if like.is_any("like ilike") => {
            !text.is_empty() && text.chars().all(|c| c == '%')
        }
        [Token::Number(a), sign, Token::Number(b)] => compares(a, sign, b),
        [Token::Number(a), less, equal, Token::Number(b)] if equal.sign('=') => {
            (a == b && (less.sign('<') || less.sign('>'))) || compares(a, less, b)
        }
        [Token::Number(a), less, more, Token::Number(b)] if less.sign('<') && more.sign('>') => {
            a != b
        }
        [a, less, more, b] if less.sign('<') && more.sign('>') => texts_differ(a, b),
        // A key is above zero, and is there.
        [Token::Word(_), sign, Token::Number(zero)] if sign.sign('>') => zero == "0",
        [Token::Word(_), more, equal, Token::Number(zero)] => {
            more.sign('>') && equal.sign('=') && matches!(zero.as_str(), "0" | "1")
        }
        [Token::Word(name), is, not, null] => {
            name.ends_with("id") && is.is("is") && not.is("not") && null.is("null")
        }
        _ => false,
    }
}

fn texts_differ(a: &Token, b: &Token) -> bool {
    matches!((a, b), (Token::Text(a), Token::Text(b)) if a != b)
}

fn compares(a: &str, sign: &Token, b: &str) -> bool {
    let (Ok(a), Ok(b)) = (a.parse::<f64>(), b.parse::<f64>()) else {
        return false;
    };
    (sign.sign('<') && a < b) || (sign.sign('>') && a > b)
}

/// Without parentheses around all of it.
fn bare(mut tokens: &[Token]) -> &[Token] {
    while let [open, inside @ .., close] = tokens {
        if !(open.sign('(') && close.sign(')') && clause(inside).len() == inside.len()) {
            break;
        }
        tokens = inside;
    }
    tokens
}
