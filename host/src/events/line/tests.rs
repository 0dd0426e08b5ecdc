// SPDX-License-Identifier: Apache-2.0

use proptest::prelude::*;
use serde_json::json;

use super::super::what::{UseOf, What};
use super::*;

fn whole(what: What) -> Value {
    let event = Event {
        task: Some("7k3m9x2p".to_owned()),
        root: Some(3),
        what,
    };
    let text = line(17, &body(event, 5));
    assert!(
        text.ends_with("}\n") && text.matches('\n').count() == 1,
        "{text}"
    );
    assert!(text.len() <= LINE, "{}", text.len());
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_line_has_its_number_first_and_what_happened_flat() {
    let event = Event {
        task: Some("7k3m9x2p".to_owned()),
        root: Some(3),
        what: What::Withdrawn { id: 9 },
    };
    assert_eq!(
        line(17, &body(event, 5)),
        "{\"v\":1,\"n\":17,\"at_ms\":5,\"task\":\"7k3m9x2p\",\"root\":3,\"kind\":\"withdrawn\",\"id\":9}\n"
    );
}

#[test]
fn secrets_are_taken_out_wherever_they_are() {
    let action = json!({
        "exec": ["x", "--password", "hunter2", "--token", "-v", "A_TOKEN=abc", "--private-key", "/k"],
        "headers": [{"name": "X-Api-Key", "value": "hunter2"}, {"name": "Host", "value": "h"}],
        "env": {"API_KEY": "hunter2", "PIN_SECRET": 1234, "PATH": "/bin", "DB_PASSWORD": "$X"},
        "deep": {"https://u:hunter2@h": ["Bearer hunter2"]},
    });
    let line = whole(What::Intent {
        id: 1,
        pid: 2,
        action,
    });
    let r = REDACTED;
    assert_eq!(
        line["action"],
        json!({
            "exec": ["x", "--password", r, "--token", "-v", "A_TOKEN=[redacted]", "--private-key", "/k"],
            "headers": [{"name": "X-Api-Key", "value": r}, {"name": "Host", "value": "h"}],
            "env": {"API_KEY": r, "PIN_SECRET": r, "PATH": "/bin", "DB_PASSWORD": "$X"},
            "deep": {"https://u:[redacted]@h": ["Bearer [redacted]"]},
        })
    );
    assert_eq!(line.get("cut"), None);
}

#[test]
fn a_long_text_is_cut_and_says_so() {
    let line = whole(What::Note {
        text: "é".repeat(5000),
    });
    let text = line["text"].as_str().unwrap();
    assert!(
        text.starts_with("éé") && text.len() < TEXT + 40,
        "{}",
        text.len()
    );
    assert!(text.ends_with("… (5904 bytes more)"), "{text}");
    assert_eq!(line["cut"], 1);
}

#[test]
fn a_secret_where_a_text_is_cut_is_taken_out_first() {
    let text = format!("{} ghp_{}", "x".repeat(TEXT - 10), "a1".repeat(20));
    let line = whole(What::Note { text });
    let text = line["text"].as_str().unwrap();
    assert!(!text.contains("ghp_"), "{text}");
}

#[test]
fn what_is_too_much_leaves_a_line_that_reads_back() {
    let uses = (0..5000).map(|grant| UseOf {
        grant,
        program: "/bin/x".to_owned(),
        argv: vec!["\u{1b}".repeat(100); 3],
        pid: 1,
    });
    let line = whole(What::Uses {
        uses: uses.collect(),
        lost: 7,
    });
    assert!(line["cut"].as_u64().unwrap() > 4000);
    assert_eq!(line["lost"], 7);
    let what: What = serde_json::from_value(line).unwrap();
    let What::Uses { uses, .. } = what else {
        panic!("{what:?}")
    };
    assert!(uses.len() > 10, "{}", uses.len());
}

#[test]
fn nothing_in_a_line_turns_a_terminal() {
    let text = "a\u{1b}[2J\n\u{9b}b\u{202e}c\u{e0041}é".to_owned();
    let event = Event::from(What::Note { text: text.clone() });
    let line = line(1, &body(event, 0));
    let bad = |c: char| c != '\n' && unprintable(c);
    assert!(!line.contains(bad), "{line:?}");
    let back: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(back["text"], text);
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<f64>().prop_map(|n| json!(n)),
        "\\PC{0,20}".prop_map(Value::from),
        "[\u{0}-\u{9f}\u{202e}\u{e0041}\"]{0,2000}".prop_map(Value::from),
    ];
    leaf.prop_recursive(40, 200, 100, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..100).prop_map(Value::from),
            (prop::collection::vec(inner.clone(), 1..4), 0..9000usize).prop_map(|(items, n)| {
                Value::from(items.into_iter().cycle().take(n).collect::<Vec<_>>())
            }),
            prop::collection::btree_map("\\PC{0,300}", inner, 0..9)
                .prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_event_is_one_line_of_bounded_length(declared in any_value(), task in "\\PC{0,600}") {
        let event = Event { task: Some(task), root: None, what: What::Declared { id: 1, declared } };
        let text = line(u64::MAX, &body(event, u64::MAX));
        prop_assert!(text.len() <= LINE, "{}", text.len());
        let back: Result<What, _> = serde_json::from_str(&text);
        prop_assert!(back.is_ok());
    }
}
