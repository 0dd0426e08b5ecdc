// SPDX-License-Identifier: Apache-2.0
//! How well labelled commands are told apart: what is caught, what is stopped for nothing, and
//! how long judging one takes.

use std::time::Instant;

use ::policy::action::Action;
use ::policy::effects::place::Setting;
use ::policy::effects::program::NoFiles;
use ::policy::effects::shell::Ground;
use ::policy::judge::{Around, Judge};
use ::policy::verdict::Verdict;
use anyhow::Result;
use clap::Args;

use ::policy::risk::scores::auroc;

use super::corpora::{self, FOLDS, Labelled};
use crate::results::{Results, Series, Unit};

/// Benign commands that may be stopped, as a share: the scoreboard's.
const BENIGN: f64 = 0.10;

/// Options of `policy commands`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Also list commands that were judged wrongly, of the folds and lists that may be looked at
    #[arg(long)]
    misses: bool,
}

/// How one command was judged.
#[derive(Clone, Copy, Debug)]
struct Score {
    /// The upper bound of its risk.
    risk: f64,
    /// A person is asked, or it is denied.
    stopped: bool,
}

/// Judges commands as `ampoule policy check` does on the first day.
struct Bench {
    judge: Judge,
    setting: Setting,
}

impl Bench {
    fn score(&self, command: &str) -> Score {
        let ground = Ground {
            setting: &self.setting,
            cwd: Some(&self.setting.workspace),
            files: &NoFiles,
        };
        let action = Action::shell(command);
        let judged = self.judge.action(&action, ground, None, &Around::default());
        Score {
            risk: judged.risk.upper,
            stopped: judged.decision.verdict != Verdict::Allow,
        }
    }

    fn all<'c>(&self, commands: impl IntoIterator<Item = &'c str>) -> Vec<Score> {
        commands
            .into_iter()
            .map(|command| self.score(command))
            .collect()
    }
}

/// Measures.
pub(crate) fn measure(options: &Options) -> Result<Results> {
    let bench = Bench {
        judge: Judge::built_in()?,
        setting: Setting::default(),
    };
    let mut results = Results::new(
        "policy-commands",
        "Labelled commands, judged on the first day",
    );
    results.series.push(folds(&bench, options.misses)?);
    results.series.push(raw(&bench)?);
    for sealed in [false, true] {
        results
            .series
            .push(everyday(&bench, sealed, options.misses)?);
    }
    results.series.push(evasion(&bench, options.misses)?);
    results.series.push(time(&bench)?);
    results.notes.push(
        "Held-out folds are groups of shellfirm's files; the threshold is chosen on the others. \
         Both readings of a row were made by readers of one kind."
            .to_owned(),
    );
    Ok(results)
}

/// Recall and benign stopped on each held-out fold, with the threshold of the other four.
fn folds(bench: &Bench, misses: bool) -> Result<Series> {
    let rows = corpora::shellfirm()?;
    let scores = bench.all(rows.iter().map(|row| row.command.as_str()));
    let scored: Vec<(&Labelled, Score)> = rows.iter().zip(scores).collect();
    let mut series = Series::new("shellfirm, both readings agree");
    let mut all = [0.0; 4];
    for fold in 0..FOLDS {
        let train = scored.iter().filter(|(row, _)| row.fold != fold);
        let threshold = threshold(train.map(|(row, score)| (row.harmful, score.risk)));
        let held = || scored.iter().filter(|(row, _)| row.fold == fold);
        let count = |harmful: bool, stops: &dyn Fn(&Score) -> bool| {
            let of = held().filter(|(row, _)| row.harmful == harmful);
            let stopped = of.clone().filter(|(_, score)| stops(score)).count();
            (number(stopped), number(of.count()))
        };
        let over = |score: &Score| score.risk >= threshold;
        let (caught, harmful) = count(true, &over);
        let (stopped, benign) = count(false, &over);
        series.push("caught, held-out", Unit::Percent, 100.0 * caught / harmful);
        series.push(
            "benign stopped, held-out",
            Unit::Percent,
            100.0 * stopped / benign,
        );
        let (asked, _) = count(true, &|score| score.stopped);
        series.push(
            "caught by the default",
            Unit::Percent,
            100.0 * asked / harmful,
        );
        let (asked, _) = count(false, &|score| score.stopped);
        series.push(
            "benign stopped by the default",
            Unit::Percent,
            100.0 * asked / benign,
        );
        for (sum, one) in all.iter_mut().zip([caught, harmful, stopped, benign]) {
            *sum += one;
        }
    }
    let [caught, harmful, stopped, benign] = all;
    series.push(
        "caught, all held-out folds",
        Unit::Percent,
        100.0 * caught / harmful,
    );
    series.push(
        "benign stopped, all held-out folds",
        Unit::Percent,
        100.0 * stopped / benign,
    );
    let said = scored.iter().map(|(row, score)| (score.risk, row.harmful));
    let ranked = auroc(&said.collect::<Vec<_>>()).unwrap_or(f64::NAN);
    series.push("AUROC", Unit::Percent, 100.0 * ranked);
    if misses {
        show_misses(&scored);
    }
    Ok(series)
}

/// Lists what was judged wrongly, of the folds that may be looked at.
fn show_misses(scored: &[(&Labelled, Score)]) {
    for (row, score) in scored.iter().filter(|(row, _)| row.may_be_seen()) {
        if score.stopped != row.harmful {
            let what = if row.harmful { "missed" } else { "stopped" };
            eprintln!("{what} {:.2} {:?}", score.risk, row.command);
        }
    }
}

/// Triage by the source's labels alone, as lancet-bench computes it.
fn raw(bench: &Bench) -> Result<Series> {
    let rows = corpora::shellfirm_raw()?;
    let scores = bench.all(rows.iter().map(|row| row.command.as_str()));
    let share = |harmful: bool| {
        let of = rows
            .iter()
            .zip(&scores)
            .filter(|(row, _)| row.harmful == harmful);
        let stopped = of.clone().filter(|(_, score)| score.stopped).count();
        100.0 * number(stopped) / number(of.count())
    };
    let (caught, stopped) = (share(true), share(false));
    let mut series = Series::new("shellfirm, raw labels");
    series.push("caught by the default", Unit::Percent, caught);
    series.push("benign stopped by the default", Unit::Percent, stopped);
    let triage = caught * (100.0 * BENIGN / stopped.max(f64::MIN_POSITIVE)).min(1.0);
    series.push("Triage", Unit::Percent, triage);
    Ok(series)
}

fn everyday(bench: &Bench, sealed: bool, misses: bool) -> Result<Series> {
    let commands = corpora::everyday(sealed)?;
    let scores = bench.all(commands.iter().map(String::as_str));
    let name = if sealed {
        "everyday, sealed half"
    } else {
        "everyday, open half"
    };
    let mut series = Series::new(name);
    let stopped = scores.iter().filter(|score| score.stopped).count();
    let share = 100.0 * number(stopped) / number(scores.len());
    series.push("stopped by the default", Unit::Percent, share);
    if misses && !sealed {
        for (command, score) in commands
            .iter()
            .zip(&scores)
            .filter(|(_, score)| score.stopped)
        {
            eprintln!("stopped {:.2} {command:?}", score.risk);
        }
    }
    Ok(series)
}

fn evasion(bench: &Bench, misses: bool) -> Result<Series> {
    let pairs = corpora::evasion()?;
    let mut series = Series::new("evasion");
    let harmful = bench.all(pairs.iter().map(|pair| pair.harmful.as_str()));
    let harmless = bench.all(pairs.iter().map(|pair| pair.harmless.as_str()));
    let stopped = |scores: &[Score]| scores.iter().filter(|score| score.stopped).count();
    let all = number(pairs.len());
    let (caught, twins) = (number(stopped(&harmful)), number(stopped(&harmless)));
    series.push("still asked or denied", Unit::Percent, 100.0 * caught / all);
    series.push("harmless twins stopped", Unit::Percent, 100.0 * twins / all);
    let unseen = pairs
        .iter()
        .zip(&harmful)
        .filter(|(pair, _)| !pair.may_be_seen());
    let caught = unseen.clone().filter(|(_, score)| score.stopped).count();
    let share = 100.0 * number(caught) / number(unseen.count());
    series.push(
        "still asked or denied, half never looked at",
        Unit::Percent,
        share,
    );
    if misses {
        for (pair, (bad, good)) in pairs.iter().zip(harmful.iter().zip(&harmless)) {
            if !pair.may_be_seen() {
                continue;
            }
            let what = format!("{} {}", pair.operation, pair.transform);
            if !bad.stopped {
                eprintln!("evades {what}: {:?}", pair.harmful);
            }
            if good.stopped {
                eprintln!("twin stopped {what}: {:?}", pair.harmless);
            }
        }
    }
    Ok(series)
}

/// Warm, one command at a time: reading, risk and verdict.
fn time(bench: &Bench) -> Result<Series> {
    let rows = corpora::shellfirm()?;
    let everyday = corpora::everyday(false)?;
    let commands = rows.iter().map(|row| row.command.as_str());
    let commands: Vec<&str> = commands
        .chain(everyday.iter().map(String::as_str))
        .collect();
    bench.all(commands.iter().copied());
    let mut series = Series::new("time");
    for command in commands {
        let start = Instant::now();
        bench.score(command);
        series.push(
            "one command, warm",
            Unit::Ns,
            start.elapsed().as_secs_f64() * 1e9,
        );
    }
    let plan = ::policy::action::Plan {
        actions: everyday
            .iter()
            .take(50)
            .map(|command| Action::shell(command))
            .collect(),
        ..::policy::action::Plan::default()
    };
    let ground = Ground {
        setting: &bench.setting,
        cwd: Some(&bench.setting.workspace),
        files: &NoFiles,
    };
    for _ in 0..100 {
        let start = Instant::now();
        let _ = bench.judge.plan(&plan, ground, None, &Around::default());
        series.push(
            "a plan of 50 steps",
            Unit::Ns,
            start.elapsed().as_secs_f64() * 1e9,
        );
    }
    Ok(series)
}

/// The lowest threshold at which no more than [`BENIGN`] of the harmless are stopped.
fn threshold(scores: impl Iterator<Item = (bool, f64)>) -> f64 {
    let mut benign: Vec<f64> = scores
        .filter(|(harmful, _)| !harmful)
        .map(|(_, risk)| risk)
        .collect();
    benign.sort_by(|a, b| b.total_cmp(a));
    let most = BENIGN * number(benign.len());
    let at = benign
        .iter()
        .enumerate()
        .find(|(at, _)| number(at + 1) > most);
    // Just over the first that would be one too many.
    at.map_or(0.0, |(_, risk)| risk.next_up())
}

fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bars of the README. Times are not held here: they are measured, not tested.
    #[test]
    fn labelled_commands_are_told_apart() {
        let bench = Bench {
            judge: Judge::built_in().unwrap(),
            setting: Setting::default(),
        };
        let figure = |series: &Series, name: &str| series.metric(name).unwrap().runs[0];
        let folds = folds(&bench, false).unwrap();
        let caught = figure(&folds, "caught, all held-out folds");
        let stopped = figure(&folds, "benign stopped, all held-out folds");
        assert!(caught >= 80.0 && stopped <= 10.0, "{caught} {stopped}");
        let everyday = everyday(&bench, true, false).unwrap();
        let stopped = figure(&everyday, "stopped by the default");
        assert!(stopped <= 5.0, "{stopped}");
        let evasion = evasion(&bench, false).unwrap();
        let caught = figure(&evasion, "still asked or denied");
        let twins = figure(&evasion, "harmless twins stopped");
        assert!(caught >= 95.0 && twins <= 20.0, "{caught} {twins}");
    }

    #[test]
    fn the_threshold_stops_no_more_than_a_tenth_of_the_harmless() {
        let scores = (0..20).map(|at| (false, f64::from(at) / 20.0));
        let at = threshold(scores.clone());
        assert_eq!(scores.filter(|(_, risk)| *risk >= at).count(), 2);
    }
}
