// SPDX-License-Identifier: Apache-2.0

use proptest::prelude::*;

use super::*;

const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N";

fn all(text: &str) -> String {
    text.replace("JWT", JWT)
        .replace("GHP", "ghp_0123456789abcdefghijABCDEFGHIJ012345")
        .replace("AKI", "AKIAIOSFODNN7EXAMPLE")
}

/// A text, and what is left of it.
const SECRETS: &[(&str, &str)] = &[
    // By their form.
    ("git clone GHP x", "git clone [redacted] x"),
    ("xGHP", "x[redacted]"),
    ("github_pat_11ABCDEFG0123456789_abcdef", "[redacted]"),
    ("key sk-proj-abcDEF0123456789abcd.", "key [redacted]."),
    ("xoxb-123456789012-abcdefABCDEF", "[redacted]"),
    ("id AKI;", "id [redacted];"),
    ("t=JWT&x=1", "t=[redacted]&x=1"),
    ("glpat-abcdefghij0123456789", "[redacted]"),
    // By their names.
    ("GITHUB_TOKEN=abc make", "GITHUB_TOKEN=[redacted] make"),
    ("export API_KEY='a b' x", "export API_KEY='[redacted]' x"),
    (
        "MY_SECRET_THING=\"a\\\"b\" x",
        "MY_SECRET_THING=\"[redacted]\" x",
    ),
    ("PASSWORD=a'b c'd;ls", "PASSWORD=[redacted];ls"),
    ("sh -c \"TOKEN=abc\" x", "sh -c \"TOKEN=[redacted]\" x"),
    ("sh -c 'TOKEN=ab\"c d\" ls'", "sh -c 'TOKEN=[redacted] ls'"),
    (
        "{\"password\": \"a b\", \"x\": 1}",
        "{\"password\": \"[redacted]\", \"x\": 1}",
    ),
    (
        "-d {\\\"token\\\":\\\"abc\\\"}",
        "-d {\\\"token\\\":\\\"[redacted]\\\"}",
    ),
    (
        "password: hunter2\nuser: x",
        "password: [redacted]\nuser: x",
    ),
    ("a: b\n  api_key: k1\n", "a: b\n  api_key: [redacted]\n"),
    ("password = \"hunter2\"", "password = \"[redacted]\""),
    ("'password' => 'x y'", "'password' => '[redacted]'"),
    ("DB_PASSWORD := hunter2", "DB_PASSWORD := [redacted]"),
    ("a?access_token=abc&b=c", "a?access_token=[redacted]&b=c"),
    ("x --password hunter2 -v", "x --password [redacted] -v"),
    ("x --password 'hunter 2' -v", "x --password '[redacted]' -v"),
    ("x --token=abc -v", "x --token=[redacted] -v"),
    ("curl -u me:hunter2 x", "curl -u me:[redacted] x"),
    ("//r.io/:_authToken=abc", "//r.io/:_authToken=[redacted]"),
    ("TOKEN=größe x", "TOKEN=[redacted] x"),
    // Headers.
    (
        "curl -H 'Authorization: Basic dTpw' x",
        "curl -H 'Authorization: [redacted]' x",
    ),
    (
        "authorization: abc def\nHost: x",
        "authorization: [redacted]\nHost: x",
    ),
    (
        "{\"Authorization\": \"Bearer abc\"}",
        "{\"Authorization\": \"[redacted]\"}",
    ),
    (
        "curl -H \"X-Api-Key: abc\" x",
        "curl -H \"X-Api-Key: [redacted]\" x",
    ),
    ("Bearer xyz", "Bearer [redacted]"),
    ("x bearer abc123 y", "x bearer [redacted] y"),
    // Addresses.
    ("https://u:p@h/x", "https://u:[redacted]@h/x"),
    (
        "postgres://u:p/w#d@h:1/db x",
        "postgres://u:[redacted]@h:1/db x",
    ),
    ("https://0123456789abcdef0123@h", "https://[redacted]@h"),
    // Keys.
    (
        "a -----BEGIN RSA PRIVATE KEY-----\nMII\nxx\n-----END RSA PRIVATE KEY----- b",
        "a -----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY----- b",
    ),
    (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb",
        "-----BEGIN OPENSSH PRIVATE KEY-----[redacted]",
    ),
];

#[test]
fn what_is_a_secret_is_taken_out() {
    for (text, left) in SECRETS {
        let said = all(text);
        assert_eq!(redact(&said), *left, "{text}");
    }
}

#[test]
fn what_is_none_stays() {
    for text in [
        "ghp_ is how they begin",
        "sk-estimators-and-pipelines",
        "disk-0123456789abcdef0123456789",
        "AKIAIOSFODNN7EXAMPLEX",
        "eyJust a word",
        "GITHUB_TOKEN=$TOKEN make",
        "TOKEN=\"${TOKEN}\" x",
        "TOKEN=$(pass show x) y",
        "token: ${{ secrets.TOKEN }}",
        "PASSWORD= make",
        "PWD=/home/me OLDPWD=/ PATH=/bin",
        "max_tokens=4096 sort_key=name PUBLIC_KEY=abc",
        "if token == other: pass",
        "a != b; token != c",
        "The token: see the docs",
        "secret://x token::y",
        "x --password-stdin y --token-file /t z",
        "x --password --verbose",
        "ssh --private-key ~/.ssh/id",
        "docker run -u 1000:1000 x",
        "Authorization failed for x",
        "Authorization: Bearer $TOKEN",
        "Bearer token authentication",
        "the bearer of news",
        "https://h:8080/@scope/x ssh://git@h/x http://h/a:b@c",
        "https://u:$PASSWORD@h",
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----",
        "rm -rf build && make KEY=value monkey=1",
        "größe – 大小",
    ] {
        assert_eq!(redact(text), text);
    }
}

#[test]
fn what_an_option_announces_is_the_next_argument() {
    assert!(announces("--password") && announces("--token") && announces("-storepass-password"));
    for word in [
        "--password=x",
        "password",
        "--verbose",
        "-p",
        "--token-file",
    ] {
        assert!(!announces(word), "{word}");
    }
}

#[test]
fn a_long_text_takes_no_time_to_speak_of() {
    for piece in [
        "sk-",
        "eyJ.",
        "authorization:",
        "Bearer ",
        "://",
        "TOKEN=\"",
        "TOKEN=",
        "--token ",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "'TOKEN':",
        "\\\"",
        "a:",
        "-u ",
        "TOKEN='a'b",
        "authorization: [redacted] ",
        "://a:",
        "curl -u ",
        "TOKEN=${",
    ] {
        // Steps for each pair of bytes would be 10 to the 12th.
        let text = piece.repeat((1 << 19) / piece.len());
        let began = std::time::Instant::now();
        let _ = redact(&text);
        let took = began.elapsed();
        assert!(
            took < std::time::Duration::from_secs(60),
            "{piece}: {took:?}"
        );
    }
}

/// What the rules look for, in any order.
const AROUND: &str = "(TOKEN|--password|[=:'\"\\\\ \n$@/-]|authorization|Bearer |://|é|ghp_|x|[0-9a-zA-Z]{1,22}|-----(BEGIN|END) PRIVATE KEY-----){0,12}";

proptest! {
    #[test]
    fn a_secret_is_found_whatever_stands_around_it(before in AROUND, after in AROUND) {
        let text = format!("{before} TOKEN=hunter2zz {after}");
        let left = redact(&text);
        prop_assert!(!left.contains("hunter2zz"), "{left}");
    }
}
