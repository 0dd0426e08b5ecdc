// SPDX-License-Identifier: Apache-2.0
//! Whether learning from answers spares people questions: streams of made-up actions, made-up
//! reviewers, the model of `policy::risk` that learns from what it asks and audits, and beside it
//! the first day's model, frozen, on the same actions.
//!
//! Both are compared over the same last decisions of all streams in three ways:
//!
//! - at the same share of wrong allows, the frozen model's as it is: one threshold for all our
//!   streams is chosen with hindsight. A stream has few wrong allows, and one each would make a
//!   threshold of chance.
//! - the frozen model, its threshold chosen so for our share, against ours as deployed, whose
//!   threshold was set at each stream's last promotion.
//! - both as deployed.
//!
//! Audits of allowed actions cost people time too: they are counted apart, and with the asks.

use ::policy::risk::conformal::BOUND;
use ::policy::risk::learning::event::{Answer, Asked, Event};
use ::policy::risk::learning::replay::{Canary, Level, Report, pinned};
use ::policy::risk::learning::{Learner, audit};
use ::policy::risk::{Features, Inputs, Model, State};
use anyhow::Result;

use ::policy::risk::scores::{self, Said};

use super::figures;
use super::random::Random;
use super::reviewers::{MANNERS, Manner, Reviewer};
use super::stream::{self, Seen, Stream};
use crate::results::{Results, Series, Unit};

/// Decisions between two days on which a person looks at the candidate.
const PROMOTION: usize = 100;

/// Recent actions that a promotion is replayed on.
const RECENT: usize = 300;

/// Actions of one task.
const TASK: usize = 10;

/// Further actions on which calibration is measured.
const CALIBRATION: usize = 2000;

/// Bins of equal mass.
const BINS: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many streams, each with a reviewer of its own.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..))]
    seeds: u64,
    /// The first stream's seed. Reviewers, streams and the prior's variances were tuned on those
    /// from 0 to 19; the ones from 100 on had no part in it.
    #[arg(long, default_value_t = 100)]
    from: u64,
    /// Decisions of a stream.
    #[arg(long, default_value_t = 1000)]
    decisions: usize,
    /// How many of them, the last ones, are compared.
    #[arg(long, default_value_t = 200)]
    window: usize,
}

/// One decision of both models.
struct Decision {
    asked: bool,
    audited: bool,
    refused: bool,
    frozen_upper: f64,
    frozen_asked: bool,
    upper: f64,
    said: f64,
}

/// What one stream came to, per 100 actions.
struct Run {
    asks: f64,
    audits: f64,
    wrong: f64,
    frozen_asks: f64,
    frozen_wrong: f64,
    window: Vec<Decision>,
    promotions: f64,
    said: Vec<Said>,
}

/// A learner at work.
struct Site {
    learner: Learner,
    live: Model,
    frozen: Model,
    canaries: Vec<Canary>,
    recent: Vec<Features>,
    salt: u64,
    promotions: u32,
}

impl Site {
    fn new(salt: u64) -> Self {
        let learner = Learner::new(salt);
        Self {
            live: learner.model(State::Valid),
            frozen: Model::first_day(salt),
            canaries: pinned(salt),
            recent: Vec::new(),
            salt,
            promotions: 0,
            learner,
        }
    }

    fn decide(&mut self, seen: &Seen, reviewer: &mut Reviewer, at: usize) -> Result<Decision> {
        let features = Features::of(&Inputs::of(&seen.analysis), self.salt);
        let refused = reviewer.refuses(seen, at);
        let (risk, frozen) = (self.live.assess(&features), self.frozen.assess(&features));
        let rate_bps = audit::rate_bps(risk.upper, frozen.asks());
        let chosen = audit::selected(self.salt, &at.to_le_bytes(), rate_bps);
        let audited = !risk.asks() && chosen;
        if risk.asks() || audited {
            let answered = reviewer.answers(seen, refused);
            self.learner.apply(&Event::Answer(Answer {
                task: format!("task {}", at / TASK),
                features: features.clone(),
                refused: answered.refused,
                latency_ms: answered.latency_ms,
                shown: seen.shown,
                asked: if audited {
                    Asked::After { rate_bps }
                } else {
                    Asked::Before
                },
                version: self.learner.version(),
            }))?;
            self.live = self.learner.model(State::Valid);
        }
        self.recent.push(features);
        if (at + 1).is_multiple_of(PROMOTION) {
            self.look()?;
        }
        Ok(Decision {
            asked: risk.asks(),
            audited,
            refused,
            frozen_upper: frozen.upper,
            frozen_asked: frozen.asks(),
            upper: risk.upper,
            said: risk.probability,
        })
    }

    /// A person looks at the candidate, and promotes it unless a canary would fall.
    fn look(&mut self) -> Result<()> {
        let from = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..from);
        let report = Report::of(&self.learner, &self.canaries, &self.recent, BOUND);
        if let Ok(event) = report.promotion(&self.learner) {
            self.learner.apply(&event)?;
            self.live = self.learner.model(State::Valid);
            self.promotions += 1;
        }
        Ok(())
    }
}

fn stream(manner: Manner, seed: u64, options: &Options) -> Result<Run> {
    let mut site = Site::new(Random::new(seed, 1).next());
    let mut reviewer = Reviewer::new(manner, seed);
    let mut actions = Stream::new(seed);
    let mut decisions = Vec::new();
    for at in 0..options.decisions {
        let seen = actions.sample();
        decisions.push(site.decide(&seen, &mut reviewer, at)?);
    }
    let promotions = f64::from(site.promotions);
    let mut said = Vec::new();
    for at in options.decisions..options.decisions + CALIBRATION {
        let seen = actions.sample();
        let decision = site.decide(&seen, &mut reviewer, at)?;
        said.push((decision.said, decision.refused));
    }
    let from = decisions.len().saturating_sub(options.window);
    let window = decisions.split_off(from);
    let share = |count: f64| 100.0 * count / window.len().max(1) as f64;
    let count = |of: fn(&Decision) -> bool| window.iter().filter(|d| of(d)).count() as f64;
    Ok(Run {
        asks: share(count(|d| d.asked)),
        audits: share(count(|d| d.audited)),
        wrong: share(count(wrong)),
        frozen_asks: share(count(|d| d.frozen_asked)),
        frozen_wrong: share(count(frozen_wrong)),
        promotions,
        said,
        window,
    })
}

/// What each stream asks, per 100 actions, from the one threshold on risk on at which all streams
/// together wrongly allow as many as `wrong` says.
fn matched(runs: &[Run], wrong: fn(&Decision) -> bool, risk: fn(&Decision) -> f64) -> Vec<f64> {
    let all = || runs.iter().flat_map(|run| &run.window);
    let budget = all().filter(|d| wrong(d)).count();
    let mut refused: Vec<f64> = all().filter(|d| d.refused).map(risk).collect();
    refused.sort_by(f64::total_cmp);
    // Asking begins at the first refused action that is one too many; a tie is asked whole.
    let threshold = refused.get(budget).copied().unwrap_or(f64::INFINITY);
    let asks = runs.iter().map(|run| {
        let asked = run.window.iter().filter(|d| risk(d) >= threshold).count();
        100.0 * asked as f64 / run.window.len().max(1) as f64
    });
    asks.collect()
}

/// How many kinds of action an agent gets allowed that has everything harmless approved first, in
/// many tasks and each time with care.
fn ground() -> Result<usize> {
    let mut site = Site::new(7);
    for task in 0..100 {
        for seen in stream::each().filter(|seen| !asked(&site.frozen, seen)) {
            let features = Features::of(&Inputs::of(&seen.analysis), site.salt);
            site.recent.push(features.clone());
            site.learner.apply(&Event::Answer(Answer {
                task: format!("task {task}"),
                features,
                refused: false,
                latency_ms: 60_000,
                shown: seen.shown,
                asked: Asked::Before,
                version: site.learner.version(),
            }))?;
        }
        site.look()?;
    }
    let gained =
        stream::each().filter(|seen| asked(&site.frozen, seen) && !asked(&site.live, seen));
    Ok(gained.count())
}

fn asked(model: &Model, seen: &Seen) -> bool {
    let features = Features::of(&Inputs::of(&seen.analysis), model.salt());
    Level::of(model, &features) > Level::Allow
}

pub(crate) fn measure(options: &Options) -> Result<Results> {
    let title = format!(
        "learning: the last {} of {} decisions, {} streams, per 100 actions",
        options.window, options.decisions, options.seeds
    );
    let mut results = Results::new("policy-learning", title);
    for manner in MANNERS {
        let runs: Vec<Run> = (0..options.seeds)
            .map(|seed| options.from.saturating_add(seed))
            .map(|seed| stream(manner, seed, options))
            .collect::<Result<_>>()?;
        results.series.push(series(manner, &runs));
        results.notes.extend(notes(manner, &runs));
    }
    results.notes.push(format!(
        "grinding: {} kinds of action gained an allow after 100 tasks of harmless approvals; the \
         bar is none",
        ground()?
    ));
    Ok(results)
}

fn wrong(decision: &Decision) -> bool {
    !decision.asked && decision.refused
}

fn frozen_wrong(decision: &Decision) -> bool {
    !decision.frozen_asked && decision.refused
}

fn series(manner: Manner, runs: &[Run]) -> Series {
    let mut series = Series::new(manner.name());
    for asks in matched(runs, frozen_wrong, |d| d.upper) {
        series.push("asks at frozen's wrong allows", Unit::Percent, asks);
    }
    for asks in matched(runs, wrong, |d| d.frozen_upper) {
        series.push("asks at ours, frozen", Unit::Percent, asks);
    }
    for run in runs {
        for (name, value) in [
            ("asks", run.asks),
            ("audits", run.audits),
            ("asks, frozen", run.frozen_asks),
            ("wrong allows", run.wrong),
            ("wrong allows, frozen", run.frozen_wrong),
            ("calibration error", 100.0 * scores::ece(&run.said, BINS)),
        ] {
            series.push(name, Unit::Percent, value);
        }
        series.push("promotions", Unit::Count, run.promotions);
    }
    series
}

fn notes(manner: Manner, runs: &[Run]) -> Vec<String> {
    let text = |differences: &[f64]| {
        let (mean, half) = figures::paired(differences);
        format!("{mean:+.2} ± {half:.2}")
    };
    let of = |difference: fn(&Run) -> f64| text(&runs.iter().map(difference).collect::<Vec<_>>());
    let against = |asks: &[f64], of: fn(&Run, f64) -> f64| {
        let pairs = runs.iter().zip(asks);
        text(&pairs.map(|(run, asks)| of(run, *asks)).collect::<Vec<_>>())
    };
    let ours = matched(runs, frozen_wrong, |d| d.upper);
    let theirs = matched(runs, wrong, |d| d.frozen_upper);
    let said: Vec<Vec<Said>> = runs.iter().map(|run| run.said.clone()).collect();
    let all: Vec<Said> = said.concat();
    let error = |said: &[Said]| scores::ece(said, BINS);
    let (low, high) = figures::bootstrap(&said, error);
    let (least, most) = figures::bootstrap(&said, scores::brier);
    let name = manner.name();
    vec![
        format!(
            "{name}: asks against frozen at its wrong allows {}, with audits {}",
            against(&ours, |run, asks| asks - run.frozen_asks),
            against(&ours, |run, asks| asks + run.audits - run.frozen_asks)
        ),
        format!(
            "{name}: asks as deployed against frozen at our wrong allows {}, as it is {}",
            against(&theirs, |run, asks| run.asks - asks),
            of(|run| run.asks - run.frozen_asks)
        ),
        format!(
            "{name}: wrong allows as deployed against frozen as it is {}",
            of(|run| run.wrong - run.frozen_wrong)
        ),
        format!(
            "{name}: calibration error {:.3} [{low:.3}, {high:.3}], Brier {:.3} [{least:.3}, \
             {most:.3}], {} actions",
            error(&all),
            scores::brier(&all),
            all.len()
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matched_threshold_allows_as_many_wrongly_and_no_more() {
        let decision = |upper: f64, refused| Decision {
            asked: upper >= 0.4,
            audited: false,
            refused,
            frozen_upper: 0.3,
            frozen_asked: false,
            upper,
            said: upper,
        };
        let window = vec![
            decision(0.1, true),
            decision(0.5, false),
            decision(0.6, true),
            decision(0.9, true),
        ];
        let run = Run {
            asks: 75.0,
            audits: 0.0,
            wrong: 25.0,
            frozen_asks: 0.0,
            frozen_wrong: 75.0,
            window,
            promotions: 0.0,
            said: Vec::new(),
        };
        let asks = |wrong, risk| matched(std::slice::from_ref(&run), wrong, risk);
        assert_eq!(format!("{:?}", asks(wrong, |d| d.upper)), "[50.0]");
        assert_eq!(format!("{:?}", asks(frozen_wrong, |d| d.upper)), "[0.0]");
        // A tie is asked whole.
        assert_eq!(format!("{:?}", asks(wrong, |d| d.frozen_upper)), "[100.0]");
    }

    #[test]
    fn learning_asks_less_at_the_same_wrong_allows_and_grinding_gains_nothing() {
        let options = Options {
            from: 100,
            seeds: 4,
            decisions: 600,
            window: 200,
        };
        let runs: Vec<Run> = (0..options.seeds)
            .map(|seed| options.from.saturating_add(seed))
            .map(|seed| stream(Manner::Logistic, seed, &options).unwrap())
            .collect();
        let ours: f64 = matched(&runs, frozen_wrong, |d| d.upper).iter().sum();
        let frozen: f64 = runs.iter().map(|run| run.frozen_asks).sum();
        assert!(ours < frozen, "{ours} {frozen}");
        assert_eq!(ground().unwrap(), 0);
    }
}
