// SPDX-License-Identifier: Apache-2.0
//! Writers that are killed, and writers that run out of space, each in a process of its own: this
//! test program again, with a folder to write to in its environment.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::*;

const FOLDER: &str = "AMPOULE_TEST_EVENTS";

/// Set for a writer that finds room in the end.
const ROOM: &str = "AMPOULE_TEST_EVENTS_ROOM";

/// Not a test: the process that fills a record. Without a folder it has nothing to do.
#[test]
fn a_writer_until_it_is_refused() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let events = Events::open(&Folders::below(Path::new(&dir))).unwrap();
    let long = "x".repeat(3000);
    for n in 0u64..10_000 {
        events.note(note(format!("{n} {long}")));
        if n % 10 == 0 && events.seal(note(format!("{n} sealed"))).is_err() {
            println!("refused: {}", events.broken().unwrap());
            if std::env::var_os(ROOM).is_some() {
                let mut limit = getrlimit(Resource::Fsize);
                limit.current = limit.maximum;
                setrlimit(Resource::Fsize, limit).unwrap();
            }
            // Else what waits cannot be written either, and is told of when this ends.
            events.note(note("waits"));
            return;
        }
    }
}

/// Not a test: the process that is killed, mostly in the middle of a write.
#[test]
fn a_writer_until_it_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut record = file::Record::at(path(&Folders::below(Path::new(&dir))));
    let bodies = vec![line::body(note("x".repeat(3000)), 1); 1000];
    loop {
        record.append(&bodies).unwrap();
    }
}

fn writer(name: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("events::tests::crash::{name}");
    command
        .args(["--exact", &name, "--nocapture"])
        .env(FOLDER, dir);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn writers_that_are_killed_leave_a_record_that_reads() {
    let place = Place::new();
    let dir = place._dir.path();
    drop(place.events());
    let len = || fs::metadata(place.path()).unwrap().len();
    let mut torn = 0;
    for round in 0..20 {
        let start = || writer("a_writer_until_it_is_killed", dir).spawn().unwrap();
        let children = [start(), start()];
        let before = len();
        while len() <= before {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_millis(round % 4));
        children.into_iter().for_each(kill);
        torn += u64::from(!ends_well(&place));
        place.events().seal(note("after")).unwrap();
        assert!(ends_well(&place));
        if torn > 2 {
            break;
        }
    }
    assert!(torn > 0, "none was killed in the middle of a write");
    let numbers = numbers(&place);
    let last = u64::try_from(numbers.len()).unwrap();
    assert!(numbers.iter().copied().eq(1..=last), "{numbers:?}");
    assert!(last > 100, "{last} events");
    // Each line that cannot be read (the other writer may have ended one, too) is followed by the gap that tells of it.
    let said = place.said();
    let unread = said.iter().filter(|said| *said == "-").count() as u64;
    let told = said
        .windows(2)
        .filter(|two| two[0] == "-" && two[1].ends_with("gap 1"))
        .count() as u64;
    assert_eq!(unread, told);
    assert!(unread >= torn, "{unread} of {torn}");
    eprintln!("{last} events, {torn} torn ends, {unread} unreadable lines");
}

fn ends_well(place: &Place) -> bool {
    let mut file = fs::File::open(place.path()).unwrap();
    let mut last = [0];
    file.seek(SeekFrom::End(-1)).unwrap();
    file.read_exact(&mut last).unwrap();
    last == *b"\n"
}

/// Runs the writer with room for 150 KiB; in blocks of 512 bytes. Without a handler the signal
/// would end it.
fn limited(dir: &Path, more: &[(&str, &str)]) -> std::process::Output {
    let script = "trap '' XFSZ; ulimit -S -f 300; exec \"$@\"";
    let own = writer("a_writer_until_it_is_refused", dir);
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(own.get_program());
    command.args(own.get_args()).env(FOLDER, dir);
    command.envs(more.iter().copied()).output().unwrap()
}

#[test]
fn a_record_without_space_refuses_seals_and_says_what_is_not_recorded() {
    let place = Place::new();
    let output = limited(place._dir.path(), &[]);
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(out.contains("refused: the record of events"), "{out}{err}");
    assert!(out.contains("File too large"), "{out}");
    assert!(err.contains("events are not recorded"), "{err}");
    // The write was cut in the middle of a line.
    assert!(!ends_well(&place));
    place.events().seal(note("after")).unwrap();
    let said = place.said();
    let [.., torn, gap, after] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(torn, "-");
    let told = gap.ends_with("gap 1") && after.ends_with(" after");
    assert!(told, "{gap} {after}");
    let numbers = numbers(&place);
    let count = numbers.len() as u64;
    assert!(numbers.iter().copied().eq(1..=count), "{numbers:?}");
}

#[test]
fn what_was_cut_off_is_written_again_once_there_is_room() {
    let place = Place::new();
    let output = limited(place._dir.path(), &[(ROOM, "")]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!err.contains("not recorded"), "{err}");
    let said = place.said();
    assert!(said.last().unwrap().ends_with(" waits"), "{said:?}");
    // Each note once and in order; a line of its own was cut off, none was lost but what was
    // refused.
    let noted = said.iter().filter_map(|said| {
        let mut words = said.split(' ').skip(1);
        let (number, text) = (words.next()?, words.next()?);
        text.starts_with('x').then(|| number.parse::<u64>().ok())?
    });
    let noted: Vec<u64> = noted.collect();
    assert!(noted.iter().copied().eq(0..noted.len() as u64), "{noted:?}");
    let gaps: Vec<_> = said.iter().filter(|said| said.contains(" gap ")).collect();
    let kinds = gaps.iter().map(|gap| gap.rsplit(' ').next().unwrap());
    assert_eq!(kinds.collect::<Vec<_>>(), ["0", "1"], "{gaps:?}");
    let numbers = numbers(&place);
    let count = numbers.len() as u64;
    assert!(numbers.iter().copied().eq(1..=count), "{numbers:?}");
}
