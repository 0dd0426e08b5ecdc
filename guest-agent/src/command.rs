// SPDX-License-Identifier: Apache-2.0
//! `ampoule-agent` in the guest: for scripts and agents that know of the gate and would rather ask
//! than be stopped.
//!
//! Speaks to the gate's socket in lines of JSON, as any program can (`docs/wire.md`). It reads of an
//! answer only what it shows, so it needs no JSON library, which PID 1 would carry as well.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;

/// Where the gate listens.
pub const SOCKET: &str = "/run/ampoule/agent.sock";

const USAGE: &str = "\
usage: ampoule-agent declare [--json] FILE   say what will be done: a plan or an action as JSON; - is stdin
       ampoule-agent ask [--json] -- COMMAND...   ask whether a command may run, and wait for the answer;
                                             one word with blanks is a line of shell
       ampoule-agent status [--json]         what is decided of this task, and what it waits for
exit: 0 allowed, 10 asked and not answered, 11 denied, 2 usage or a declaration that makes no sense,
      1 no answer
";

/// Longest declaration.
const LONGEST: u64 = 1 << 20;

/// The command; what the process is to exit with.
#[must_use]
pub fn main(args: impl Iterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.skip(1).collect();
    let json = args
        .iter()
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--json");
    match request(&args) {
        Ok(Some(line)) => match talk(&line, json) {
            Ok(code) => code,
            Err(error) => {
                eprintln!(
                    "ampoule-agent: no answer from the gate at {SOCKET}: {error}; a task that was \
                     started --ungated has none"
                );
                1
            }
        },
        Ok(None) => {
            print!("{USAGE}");
            0
        }
        Err(error) => {
            eprint!("ampoule-agent: {error}\n{USAGE}");
            2
        }
    }
}

/// What is said, as one line; nothing for a wish for help.
fn request(args: &[OsString]) -> Result<Option<String>, String> {
    let mut words = args.iter().filter(|arg| *arg != "--json");
    let command = words.next().map(|word| word.to_string_lossy().into_owned());
    match command.as_deref() {
        Some("-h" | "--help" | "help") => Ok(None),
        Some("status") => Ok(Some("{\"status\":true}".to_owned())),
        Some("declare") => {
            let file = words
                .next()
                .ok_or("declare what? name a file, or - for stdin")?;
            Ok(Some(format!("{{\"declare\":{}}}", one_line(&read(file)?))))
        }
        Some("ask") => {
            let at = args.iter().position(|arg| arg == "--");
            let words = at.and_then(|at| args.get(at.saturating_add(1)..));
            let words = words.filter(|words| !words.is_empty());
            let words = words.ok_or("ask about what? write the command behind --")?;
            let cwd = std::env::current_dir().unwrap_or_default();
            let cwd = quoted(cwd.as_os_str().as_bytes());
            let asked = asked(words);
            Ok(Some(format!("{{\"ask\":{{{asked},\"cwd\":{cwd}}}}}")))
        }
        Some(other) => Err(format!("there is no '{other}'")),
        None => Err("say what to do".to_owned()),
    }
}

/// What is asked about. One word with blanks is no program's name but a line that was quoted whole,
/// as `ampoule policy check` takes it.
fn asked(words: &[OsString]) -> String {
    if let [line] = words
        && line.to_string_lossy().contains(char::is_whitespace)
    {
        return format!("\"shell\":{}", quoted(line.as_bytes()));
    }
    let words: Vec<String> = words.iter().map(|word| quoted(word.as_bytes())).collect();
    format!("\"exec\":[{}]", words.join(","))
}

fn read(file: &OsString) -> Result<String, String> {
    let mut text = String::new();
    let got = if file == "-" {
        io::stdin().lock().take(LONGEST).read_to_string(&mut text)
    } else {
        let opened = std::fs::File::open(file);
        opened.and_then(|file| file.take(LONGEST).read_to_string(&mut text))
    };
    got.map_err(|error| format!("cannot read {}: {error}", file.to_string_lossy()))?;
    Ok(text)
}

/// JSON has line ends between its words only, never within one.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

/// A JSON string (RFC 8259); bytes that are no UTF-8 become U+FFFD.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for char in String::from_utf8_lossy(bytes).chars() {
        match char {
            '"' | '\\' => text.extend(['\\', char]),
            char if u32::from(char) < 0x20 => {
                text.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            char => text.push(char),
        }
    }
    text.push('"');
    text
}

/// Says a line and shows the answers to it, to the last.
fn talk(line: &str, json: bool) -> io::Result<u8> {
    talk_on(UnixStream::connect(SOCKET)?, line, json)
}

fn talk_on(mut socket: UnixStream, line: &str, json: bool) -> io::Result<u8> {
    let said = socket.write_all(line.as_bytes());
    // A gate that has no room says so and closes it, which may be before this is said.
    let said = said.and_then(|()| socket.write_all(b"\n"));
    let mut answers = BufReader::new(socket);
    let mut code = 1;
    loop {
        let mut answer = String::new();
        if answers.read_line(&mut answer)? == 0 {
            return said.map(|()| code);
        }
        let text = value(&answer, "text").unwrap_or_default();
        code = match value(&answer, "verdict").as_deref() {
            Some("allow" | "none") => 0,
            Some("ask") => 10,
            Some("deny") => 11,
            // Of no line that was said: there was no room.
            Some("error") if answer.starts_with("{\"id\":0,") => 1,
            Some("error") => 2,
            _ => 1,
        };
        match json {
            true => println!("{}", answer.trim_end()),
            false if matches!(code, 1 | 2) => eprintln!("ampoule-agent: {text}"),
            false => println!("{text}"),
        }
        if answer.contains("\"final\":true") {
            return Ok(code);
        }
    }
}

/// The string that a key of a JSON object has, as the host writes it: without blanks, and with no
/// such key within a string, where its quotes would be escaped.
fn value(json: &str, key: &str) -> Option<String> {
    let at = json.find(&format!("\"{key}\":\""))?;
    let rest = json.get(at.checked_add(key.len())?.checked_add(4)?..)?;
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'u' => {
                    let code: String = chars.by_ref().take(4).collect();
                    let code = u32::from_str_radix(&code, 16).ok()?;
                    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                other => text.push(other),
            },
            char => text.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> Result<Option<String>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        request(&words)
    }

    #[test]
    fn a_question_is_a_line_with_the_command_in_it() {
        let line = said(&["ask", "--json", "--", "rm", "-rf", "a \"b\"\n"])
            .unwrap()
            .unwrap();
        let wanted = r#"{"ask":{"exec":["rm","-rf","a \"b\"\u000a"],"cwd":""#;
        assert!(line.starts_with(wanted), "{line}");
        assert!(said(&["ask"]).is_err() && said(&["ask", "--"]).is_err());
        assert!(said(&[]).is_err() && said(&["dance"]).is_err());
        assert_eq!(said(&["--help"]), Ok(None));
    }

    #[test]
    fn one_word_with_blanks_is_a_line_of_shell() {
        for (words, wanted) in [
            (
                &["rm -rf /a /b"][..],
                r#"{"ask":{"shell":"rm -rf /a /b","cwd":""#,
            ),
            (&["ls\n\"x\""], r#"{"ask":{"shell":"ls\u000a\"x\"","cwd":""#),
            (&["ls"], r#"{"ask":{"exec":["ls"],"cwd":""#),
            (&["rm -r", "x"], r#"{"ask":{"exec":["rm -r","x"],"cwd":""#),
        ] {
            let line = said(&[&["ask", "--"], words].concat()).unwrap().unwrap();
            assert!(line.starts_with(wanted), "{line}");
        }
    }

    #[test]
    fn a_declaration_is_the_file_on_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.json");
        std::fs::write(&path, "{\"goal\": \"x\",\n \"actions\": []}\n").unwrap();
        let line = said(&["declare", path.to_str().unwrap()]).unwrap().unwrap();
        assert_eq!(line, "{\"declare\":{\"goal\": \"x\",  \"actions\": []} }");
        assert!(said(&["declare", "/nowhere/x"]).is_err());
    }

    #[test]
    fn a_gate_that_has_no_room_is_no_answer() {
        let (mut gate, client) = UnixStream::pair().unwrap();
        gate.write_all(b"{\"id\":0,\"verdict\":\"error\",\"text\":\"no room\",\"final\":true}\n")
            .unwrap();
        drop(gate);
        assert_eq!(talk_on(client, "{}", false).unwrap(), 1);
        let (gate, client) = UnixStream::pair().unwrap();
        drop(gate);
        assert!(talk_on(client, "{}", false).is_err());
    }

    #[test]
    fn of_an_answer_only_its_own_keys_count() {
        let line = r#"{"id":3,"text":"say \"verdict\":\"allow\" \u003c","verdict":"deny"}"#;
        assert_eq!(value(line, "verdict").unwrap(), "deny");
        assert_eq!(value(line, "text").unwrap(), "say \"verdict\":\"allow\" <");
        assert_eq!(value(line, "none"), None);
    }
}
