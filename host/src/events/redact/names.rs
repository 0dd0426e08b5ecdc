// SPDX-License-Identifier: Apache-2.0
//! Names of what holds a secret: variables, options, keys of JSON, headers.

/// Words that make a secret of any name they are part of.
const ANYWHERE: [&str; 4] = ["secret", "password", "passwd", "passphrase"];

/// Words that do so at a name's end.
const LAST: [&str; 9] = [
    "token",
    "apikey",
    "authtoken",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "credentials",
    "secrets",
];

/// Words before `key` that make a secret of a name in small letters: `sort_key=name` is none.
const KEYS: [&str; 12] = [
    "api",
    "access",
    "private",
    "secret",
    "signing",
    "encryption",
    "auth",
    "account",
    "storage",
    "service",
    "master",
    "license",
];

/// Words before `KEY` in an environment's name that are known to anybody.
const OPEN_KEYS: [&str; 7] = [
    "PUBLIC",
    "PRIMARY",
    "FOREIGN",
    "SORT",
    "CACHE",
    "PARTITION",
    "GROUP",
];

/// Words at the end of an environment's name, after a `_`.
const ENVIRONMENT: [&str; 5] = ["PAT", "PSK", "PWD", "PASS", "AUTH"];

/// Last words of what tells where a secret is, and not which.
const ABOUT: [&str; 17] = [
    "file", "path", "name", "stdin", "count", "length", "len", "type", "ttl", "url", "env",
    "store", "manager", "policy", "prompt", "dir", "fd",
];

/// Longest name that is looked at.
pub(super) const LONGEST: usize = 128;

/// Whether a value under this name is a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.trim_matches('-');
    if name.is_empty() || name.len() > LONGEST {
        return false;
    }
    let words = words(name);
    let Some((last, before)) = words.split_last() else {
        return false;
    };
    if ABOUT.contains(&last.as_str()) {
        return false;
    }
    let upper = !name.contains(|c: char| c.is_ascii_lowercase());
    if upper && name.contains("SECRET") && !name.contains("SECRETAR") {
        return true;
    }
    let held = |word: &String| ANYWHERE.iter().any(|w| word.ends_with(w));
    if words.iter().any(held) || LAST.iter().any(|w| last.ends_with(w)) {
        return true;
    }
    let previous = before.last().map(String::as_str);
    let is = |list: &[&str], word: &str| list.iter().any(|w| w.eq_ignore_ascii_case(word));
    match (last.as_str(), previous) {
        ("key", Some(word)) if upper => !is(&OPEN_KEYS, word),
        ("key", Some(word)) => is(&KEYS, word),
        (word, Some(_)) if upper => is(&ENVIRONMENT, word),
        _ => false,
    }
}

/// The words of `SOME_NAME`, `some-name`, `some.name` and `someName`, in small letters.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        let splits = !c.is_ascii_alphanumeric();
        if splits || (c.is_ascii_uppercase() && small) {
            words.push(String::new());
        }
        small = c.is_ascii_lowercase() || c.is_ascii_digit();
        if let (false, Some(word)) = (splits, words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "TOKEN GITHUB_TOKEN token --token accessToken _authToken AWS_SECRET_ACCESS_KEY \
        OPENAI_API_KEY api_key apiKey X-Api-Key apikey PASSWORD DB_PASSWORD PGPASSWORD \
        --password passwd MYSQL_PWD CLIENT_SECRET clientSecret MYSECRET SECRET_ID SECRETSAUCE \
        GH_PAT NPM_AUTH SSH_PASS STRIPE_KEY --private-key credentials django.secret_key";

    const NONE: &str = "- PWD PATH KEY key PUBLIC_KEY sort_key primary_key keys tokens max_tokens token_count \
        tokenizer --token-file --password-stdin password_file secret-name TOKEN_ID \
        AWS_ACCESS_KEY_ID author secretary compass pass bypass monkey KEYBOARD AUTHORS";

    #[test]
    fn names_of_secrets_are_told_from_names_about_them() {
        for name in SECRET.split_ascii_whitespace() {
            assert!(is_secret(name), "{name}");
        }
        for name in NONE.split_ascii_whitespace() {
            assert!(!is_secret(name), "{name}");
        }
        assert!(!is_secret("") && !is_secret(&"TOKEN_".repeat(100)));
    }
}
