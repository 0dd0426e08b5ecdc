// SPDX-License-Identifier: Apache-2.0
//! `ampoule policy check`: verdict, risk, effects, blast radius and why.

use std::io::{self, BufRead, Read};

use clap::Args;
use policy::action::Action;

use super::super::{CliError, say};
use super::ask::{Answer, Intent, Question};
use super::queue::{self, Asked};
use super::{CODES, shown};
use crate::folders::Folders;
use crate::policies::InForce;
use policy::verdict::Verdict;

/// Longest line of a batch, in bytes.
const LINE: usize = 4 << 20;

/// Say what would be decided of an action or a plan, and why
#[derive(Debug, Args)]
#[command(after_help = CODES)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    question: Question,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Put what is to be asked into the queue of approvals, in the name of a task
    #[arg(long, value_name = "TASK", conflicts_with_all = ["plan", "batch"])]
    ask: Option<String>,
    /// Judge each line of stdin, an action as JSON or a line of shell; one line of JSON each
    #[arg(long, conflicts_with_all = ["command", "plan", "action"])]
    batch: bool,
}

impl Check {
    pub(in crate::cli) fn execute(self, folders: &Folders) -> Result<u8, CliError> {
        if self.batch {
            return self.lines(folders);
        }
        let intent = self.question.intent()?;
        let in_force = self.question.in_force(folders)?;
        let answer = self.question.judge(&in_force, &intent)?;
        let asked = self.asked(folders, &in_force, &intent, &answer)?;
        if self.json {
            let mut value = shown::json(&intent, &answer);
            if let Some(asked) = &asked {
                shown::insert(&mut value, "verdict", asked.verdict.name().into());
                shown::insert(&mut value, "approval", asked.said.clone().into());
            }
            say(&value.to_string())?;
        } else {
            if let Some(asked) = &asked {
                say(&format!("{}: {}", asked.verdict.name(), asked.said))?;
            }
            say(&shown::text(&intent, &answer))?;
        }
        let verdict = asked.map_or(shown::verdict(&answer), |asked| asked.verdict);
        Ok(shown::code(verdict))
    }

    /// Asks people, if that was wanted and they are to be asked.
    fn asked(
        &self,
        folders: &Folders,
        in_force: &InForce,
        intent: &Intent,
        answer: &Answer,
    ) -> Result<Option<Asked>, CliError> {
        let (Some(task), Intent::Action(action), Answer::Action(judged)) =
            (&self.ask, intent, answer)
        else {
            return Ok(None);
        };
        if judged.decision.verdict != Verdict::Ask {
            return Ok(None);
        }
        let setting = self.question.setting()?;
        let limits = &in_force.judge.limits;
        queue::ask(folders, task, (action, judged), &setting, limits).map(Some)
    }

    fn lines(&self, folders: &Folders) -> Result<u8, CliError> {
        let in_force = self.question.in_force(folders)?;
        let mut stdin = io::stdin().lock();
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            let read = read_line(&mut stdin, &mut line);
            if read.map_err(CliError::io("cannot read stdin"))? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches('\n');
            if text.is_empty() {
                continue;
            }
            let action = if text.starts_with('{') && text.ends_with('}') && text.contains("\":") {
                serde_json::from_str::<Action>(text).map_err(|error| {
                    CliError::Usage(format!("line {number} is no action: {error}"))
                })?
            } else {
                Action::shell(text)
            };
            let intent = Intent::Action(action);
            let answer: Answer = self.question.judge(&in_force, &intent)?;
            say(&shown::json(&intent, &answer).to_string())?;
        }
        Ok(0)
    }
}

/// Reads a line of at most [`LINE`] bytes; how many it had.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let most = u64::try_from(LINE).unwrap_or(u64::MAX);
    let read = from.take(most).read_until(b'\n', line)?;
    if read == LINE && line.last() != Some(&b'\n') {
        return Err(io::Error::other("a line is longer than 4 MiB"));
    }
    Ok(read)
}
