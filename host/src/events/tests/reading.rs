// SPDX-License-Identifier: Apache-2.0

use super::*;

#[test]
fn lines_that_are_no_events_are_handed_out_as_what_they_are() {
    let place = Place::new();
    place.events().seal(note("a")).unwrap();
    place.spoil(b"junk\n\n\xff\xfe\n");
    place.spoil(b"{\"v\":2,\"n\":2,\"at_ms\":3,\"kind\":\"note\",\"body\":1}\n");
    place.spoil(b"{\"v\":1,\"n\":3,\"at_ms\":3,\"kind\":\"sneezed\"}\n");
    place.spoil(b"{\"v\":1,\"n\":4,\"at_ms\":3,\"kind\":\"note\",\"text\":\"x\",\"hash\":\"y\"}\n");
    place.spoil("x".repeat(3 * LINE).as_bytes());
    place.spoil(b"\nend");
    let lines = place.lines();
    let said: Vec<_> = lines.iter().map(|line| said(&line.text)).collect();
    let wanted = [
        "1 a",
        "-",
        "-",
        "-",
        "2 v2 note",
        "3 v1 sneezed",
        "4 x",
        "-",
        "-",
    ];
    assert_eq!(said, wanted);
    let numbers: Vec<u64> = lines.iter().map(|line| line.place.line).collect();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert_eq!(lines[1].raw, b"junk");
    assert!(lines.iter().all(|line| line.raw.len() <= LINE + 1));
}

#[test]
fn numbers_go_on_after_what_is_no_event() {
    let place = Place::new();
    let events = place.events();
    events.seal(note("a")).unwrap();
    place.spoil(b"junk\n{\"v\":2,\"n\":2}\nmore\n");
    assert_eq!(events.seal(note("b")).unwrap(), 3);
}

#[test]
fn who_follows_sees_each_line_once_and_whole() {
    let place = Place::new();
    let mut reader = Reader::open(&place.path());
    assert!(reader.read().unwrap().is_none());
    let events = place.events();
    let mut seen = Vec::new();
    let mut read = |reader: &mut Reader| {
        while let Some(line) = reader.read().unwrap() {
            seen.push(said(&line.text));
        }
        seen.len()
    };
    for n in 1..=20 {
        events.seal(note(n.to_string())).unwrap();
        assert_eq!(read(&mut reader), n);
    }
    // Half a line is none yet.
    place.spoil(b"{\"v\":1,\"n\":21,");
    assert_eq!(read(&mut reader), 20);
    place.spoil(b"\"kind\":\"note\",\"text\":\"21\"}\n");
    assert_eq!(read(&mut reader), 21);
    assert_eq!(seen.last().unwrap(), "21 21");
}

#[test]
fn who_follows_goes_on_with_the_file_that_takes_its_place() {
    let place = Place::new();
    let events = place.events();
    let mut reader = Reader::open(&place.path());
    events.seal(note("a")).unwrap();
    assert_eq!(said(&reader.read().unwrap().unwrap().text), "1 a");
    events.seal(note("b")).unwrap();
    place.spoil(b"half");
    fs::rename(place.path(), place.path().with_extension("old")).unwrap();
    // Longer than the one before.
    events.seal(note(format!("c {}", "x".repeat(999)))).unwrap();
    let mut seen = Vec::new();
    while let Some(line) = reader.read().unwrap() {
        seen.push(said(&line.text));
    }
    assert_eq!(seen[..2], ["2 b", "-"]);
    assert!(
        seen[2].starts_with("1 c xxx") && seen.len() == 3,
        "{seen:?}"
    );
}

#[test]
fn a_place_that_was_read_is_gone_back_to() {
    let place = Place::new();
    let events = place.events();
    for n in 1..=5 {
        events.seal(note(n.to_string())).unwrap();
    }
    let mut reader = Reader::open(&place.path());
    let third = (0..3)
        .filter_map(|_| reader.read().unwrap())
        .last()
        .unwrap();
    while reader.read().unwrap().is_some() {}
    reader.seek(third.place).unwrap();
    assert_eq!(reader.read().unwrap().unwrap(), third);
    assert_eq!(reader.read().unwrap().unwrap().place.line, 4);
}

/// One of each kind, as it is recorded.
const EACH: &str = r#"
{"kind":"task-started","image":"x","argv":["x"],"workspace":"x","gated":true}
{"kind":"task-ended","code":1,"reason":"x"}
{"kind":"root","by":"x","action":{"shell":"ls"}}
{"kind":"intent","id":1,"pid":2,"action":{"shell":"ls"}}
{"kind":"verdict","verdict":"x","by":"x","risk_bps":7,"policies":["x"],"reason":"x"}
{"kind":"uses","uses":[{"grant":1,"program":"x","argv":["x"],"pid":2}],"lost":1}
{"kind":"asked","id":1,"approval":"x","line":"x"}
{"kind":"decided","approval":"x","state":"x","by":["x"]}
{"kind":"commented","approval":"x","by":"x","text":"x"}
{"kind":"withdrawn","id":1}
{"kind":"done","id":1,"errno":2,"rule":"x","detail":"x"}
{"kind":"granted","programs":1,"why":"x"}
{"kind":"revoked","why":"x"}
{"kind":"posture","from":"x","to":"x","by":"x","why":"x"}
{"kind":"declared","id":1,"declared":{"shell":"ls"}}
{"kind":"drift","id":1,"what":"x"}
{"kind":"waiting","approval":"x"}
{"kind":"resumed","waited_ms":1}
{"kind":"gap","lost":1,"why":"x"}
{"kind":"note","text":"x"}
"#;

#[test]
fn every_kind_reads_back_as_it_was_written() {
    let place = Place::new();
    let events = place.events();
    let each = EACH.lines().filter(|line| !line.is_empty());
    let all: Vec<What> = each
        .clone()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for what in &all {
        events.note(what.clone().into());
    }
    events.flush().unwrap();
    let lines = place.lines();
    let read = lines.iter().map(|line| match &line.text {
        Text::Event(event) => (event.head.kind.as_str(), event.what.clone()),
        other => panic!("{other:?}"),
    });
    let (kinds, whats): (Vec<_>, Vec<_>) = read.unzip();
    assert_eq!(whats, all);
    assert_eq!(kinds, KINDS);
    // Names of fields are for ever.
    for (line, written) in each.zip(&lines) {
        let mut written: serde_json::Value = serde_json::from_slice(&written.raw).unwrap();
        for added in ["v", "n", "at_ms"] {
            written.as_object_mut().unwrap().remove(added).unwrap();
        }
        assert_eq!(
            written,
            serde_json::from_str::<serde_json::Value>(line).unwrap()
        );
    }
}
