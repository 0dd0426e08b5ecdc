// SPDX-License-Identifier: Apache-2.0

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use super::*;

#[test]
fn the_record_is_its_owners_alone() {
    let place = Place::new();
    let folder = place.path().parent().unwrap().to_owned();
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    place.events();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(folder), mode(place.path())), (0o700, 0o600));
}

#[test]
fn a_seal_comes_after_what_was_noted_and_is_there_at_once() {
    let place = Place::new();
    let events = place.events();
    for n in 0..100 {
        events.note(note(format!("a{n}")));
    }
    assert_eq!(events.seal(note("sealed")).unwrap(), 101);
    let said = place.said();
    assert_eq!(said.len(), 101);
    assert_eq!(
        (said[0].as_str(), said[100].as_str()),
        ("1 a0", "101 sealed")
    );
    let in_order = said
        .iter()
        .take(100)
        .enumerate()
        .all(|(n, said)| *said == format!("{} a{n}", n + 1));
    assert!(in_order, "{said:?}");
}

#[test]
fn a_note_is_written_soon_without_being_asked_for() {
    let place = Place::new();
    let events = place.events();
    events.note(note("a"));
    let give_up = Instant::now() + Duration::from_secs(5);
    while place.text().is_empty() {
        assert!(Instant::now() < give_up, "it was never written");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The thread is there still, or it is gone and another comes.
    for wait in [100, 1300] {
        std::thread::sleep(Duration::from_millis(wait));
        let before = place.text().len();
        events.note(note("b"));
        std::thread::sleep(Duration::from_millis(400));
        assert!(place.text().len() > before);
    }
}

#[test]
fn a_flush_leaves_one_thread_less_and_notes_go_on() {
    let place = Place::new();
    let events = place.events();
    events.note(note("a"));
    events.flush().unwrap();
    assert!(events.0.0.thread_is_gone());
    events.note(note("b"));
    drop(events);
    assert_eq!(place.said(), ["1 a", "2 b"]);
}

#[test]
fn clones_and_other_openers_share_the_numbers() {
    let place = Place::new();
    let shared = place.events();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (place, shared) = (&place, shared.clone());
            scope.spawn(move || {
                let events = if writer % 2 == 0 {
                    shared
                } else {
                    place.events()
                };
                for n in 0..200 {
                    match n % 10 {
                        0 => drop(events.seal(note(format!("{writer} {n}"))).unwrap()),
                        _ => events.note(note(format!("{writer} {n}"))),
                    }
                }
            });
        }
    });
    drop(shared);
    assert_eq!(numbers(&place), (1..=800).collect::<Vec<_>>());
    let said = place.said();
    for writer in 0..4 {
        let mine = said.iter().filter_map(|said| {
            let mut words = said.split(' ').skip(1);
            (words.next()? == writer.to_string()).then(|| words.next()?.parse::<u64>().ok())?
        });
        assert!(mine.eq(0..200), "writer {writer} is out of order");
    }
}

#[test]
fn a_torn_line_is_kept_ended_and_told() {
    let place = Place::new();
    place.events().seal(note("a")).unwrap();
    let torn = "{\"v\":1,\"n\":2,\"at_ms\":1,\"kind\":\"no";
    place.spoil(torn.as_bytes());
    assert_eq!(place.events().seal(note("b")).unwrap(), 3);
    assert_eq!(place.said(), ["1 a", "-", "2 gap 1", "3 b"]);
    let text = place.text();
    assert!(text.contains(&format!("{torn}\n")), "{text}");
    assert!(text.contains(&format!("{} bytes", torn.len())), "{text}");
}

#[test]
fn a_line_that_lacks_but_its_end_is_none_that_is_lost() {
    let place = Place::new();
    let events = place.events();
    events.seal(note("a")).unwrap();
    place.spoil(b"{\"v\":1,\"n\":2,\"at_ms\":1,\"kind\":\"note\",\"text\":\"b\"}");
    // The one that knows the file's end as it was, too.
    assert_eq!(events.seal(note("c")).unwrap(), 3);
    assert_eq!(place.said(), ["1 a", "2 b", "3 c"]);
}

#[test]
fn what_does_not_fit_is_counted_in_its_place() {
    let place = Place::new();
    let events = place.events();
    let hold = events.0.0.hold();
    for n in 0..queue::WAITING + 10 {
        events.note(note(n.to_string()));
    }
    drop(hold);
    events.flush().unwrap();
    events.seal(note("after")).unwrap();
    let said = place.said();
    let kept = queue::WAITING;
    assert_eq!(said.len(), kept + 2);
    assert_eq!(said[kept - 1], format!("{kept} {}", kept - 1));
    assert_eq!(said[kept], format!("{} gap 10", kept + 1));
    assert_eq!(said[kept + 1], format!("{} after", kept + 2));
}

#[test]
fn many_long_events_are_bounded_by_their_bytes() {
    let place = Place::new();
    let events = place.events();
    let hold = events.0.0.hold();
    let long = vec!["x".repeat(4000); 12];
    for _ in 0..380 {
        let declared = serde_json::json!(long);
        events.note(What::Declared { id: 1, declared }.into());
    }
    drop(hold);
    events.flush().unwrap();
    let lines = place.lines();
    assert!(fs::metadata(place.path()).unwrap().len() < 17 << 20);
    let lost = lines.iter().find_map(|line| match &line.text {
        Text::Event(Recorded {
            what: What::Gap { lost, .. },
            ..
        }) => Some(*lost),
        _ => None,
    });
    assert_eq!(lost, Some(380 - (lines.len() as u64 - 1)));
}

#[test]
fn a_record_that_was_moved_away_begins_anew() {
    let place = Place::new();
    let events = place.events();
    events.seal(note("a")).unwrap();
    let old = place.path().with_extension("old");
    fs::rename(place.path(), &old).unwrap();
    assert_eq!(place.events().seal(note("b")).unwrap(), 1);
    // It is another's by now.
    assert_eq!(events.seal(note("c")).unwrap(), 2);
    assert_eq!(place.said(), ["1 b", "2 c"]);
    assert!(fs::read_to_string(old).unwrap().ends_with("\"a\"}\n"));
    fs::remove_dir_all(place.path().parent().unwrap()).unwrap();
    assert_eq!(events.seal(note("d")).unwrap(), 1);
}

#[test]
fn what_is_no_file_is_not_written_to() {
    let place = Place::new();
    fs::create_dir_all(place.path().parent().unwrap()).unwrap();
    symlink("/dev/full", place.path()).unwrap();
    let error = Events::open(&place.folders).unwrap_err();
    assert!(error.to_string().contains("events.jsonl"), "{error}");
    fs::remove_file(place.path()).unwrap();
    fs::create_dir(place.path()).unwrap();
    assert!(Events::open(&place.folders).is_err());
}

#[test]
fn a_record_that_cannot_be_written_is_broken_until_it_can() {
    let place = Place::new();
    let events = place.events();
    let folder = place.path().parent().unwrap().to_owned();
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    fs::write(&folder, "in its way").unwrap();
    let error = events.seal(note("refused")).unwrap_err().to_string();
    assert!(
        error.contains("events.jsonl") && error.contains("no task may start"),
        "{error}"
    );
    assert!(events.broken().unwrap().contains("events.jsonl"));
    events.note(note("kept"));
    assert!(events.flush().is_err());
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    assert_eq!(events.seal(note("b")).unwrap(), 3);
    assert_eq!(events.broken(), None);
    // What was refused did not happen, and is no event.
    assert_eq!(place.said(), ["1 gap 1", "2 kept", "3 b"]);
}

#[test]
fn what_waits_is_tried_again_by_itself() {
    let place = Place::new();
    let events = place.events();
    let folder = place.path().parent().unwrap().to_owned();
    let away = folder.with_extension("away");
    fs::rename(&folder, &away).unwrap();
    fs::write(&folder, "in its way").unwrap();
    events.seal(note("refused")).unwrap_err();
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    let give_up = Instant::now() + Duration::from_secs(10);
    while events.broken().is_some() {
        assert!(Instant::now() < give_up, "nobody tried again");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(place.said(), ["1 gap 1"]);
}

#[test]
fn a_number_that_none_can_follow_is_told() {
    let place = Place::new();
    let events = place.events();
    place.spoil(format!("{{\"v\":1,\"n\":{}}}\n", u64::MAX - 1).as_bytes());
    let error = events.seal(note("a")).unwrap_err().to_string();
    assert!(error.contains("move the file away"), "{error}");
}

#[test]
fn secrets_do_not_reach_the_file() {
    let place = Place::new();
    let events = place.events();
    let argv = [
        "curl",
        "-H",
        "Authorization: Bearer hunter2",
        "--token",
        "hunter2",
    ];
    let what = What::TaskStarted {
        image: "base".to_owned(),
        argv: argv.map(str::to_owned).to_vec(),
        workspace: None,
        by: None,
        gated: true,
    };
    events.seal(what.into()).unwrap();
    let text = place.text();
    assert!(
        !text.contains("hunter2") && text.contains("[redacted]"),
        "{text}"
    );
}
