// SPDX-License-Identifier: Apache-2.0
//! From an action to its answer: judged, recorded, asked about, told.

use std::collections::BTreeSet;

use policy::verdict::Verdict as Decides;
use prost::Message;
use protocol::Kind;
use protocol::actions::{self, Intent, Judged, Verdict};
use serde_json::json;

use super::super::asks::{Asked, Asker, Became, Case, Decided, PEOPLES, Waits, shown};
use super::super::court::{Ruling, short};
use super::super::intent::{Read, read, text};
use super::super::named::Named;
use super::super::record::FLOOR;
use super::super::scripts::Scripts;
use super::super::wire::{self, Answer, FromLoop};
use super::{Source, Task};
use crate::events::What;

/// An answer.
pub(super) struct Reply {
    pub(super) allow: bool,
    /// People were asked.
    pub(super) asked: bool,
    /// `policy`, `approval` or `gate`.
    pub(super) by: &'static str,
    pub(super) reason: String,
    pub(super) approval: Option<String>,
}

impl Task<'_> {
    /// Whether an intent is the start of its root action.
    fn is_start(&self, intent: &Intent) -> bool {
        let (Some(actions::Act::Run(run)), Some(started)) =
            (&intent.act, self.roots.get(&intent.root))
        else {
            return false;
        };
        let words = run.argv.iter().map(|word| text(word));
        !started.begun && words.eq(started.argv.iter().cloned())
    }

    /// Something is about to happen in the guest.
    pub(super) fn intent(&mut self, intent: Intent, bytes: usize) {
        self.look_at_policies();
        let tree = self.tree(intent.root);
        // What people started is no drift from what is said in it.
        let starts = self.is_start(&intent);
        let (ruling, shown) = {
            let named = self.said.named(tree).filter(|_| !starts);
            let host = self.court.workspace.as_deref();
            let scripts = Scripts::new(&self.court.setting, host, &intent.files);
            let read = read(&intent, &scripts);
            let shown = read.readings.first().map(|action| json!(action));
            (self.rule(&intent, &read, (&scripts, named)), shown)
        };
        let what = What::Intent {
            id: intent.id,
            pid: intent.pid,
            action: shown.unwrap_or_default(),
        };
        self.book.note(Some(intent.root), what);
        if let Some(drift) = &ruling.drift {
            let (id, what) = (intent.id, drift.clone());
            self.book.note(Some(intent.root), What::Drift { id, what });
        }
        let approval = self.inherits(&intent, &ruling, starts);
        let approval = approval.or_else(|| self.was_said(&intent, &ruling));
        let case = Case {
            asker: Asker::Intent(intent.id),
            root: intent.root,
            tree,
            with: BTreeSet::new(),
            plan: None,
            ruling,
            source: Source::Intent(Box::new(intent)),
            bytes,
        };
        match approval {
            Some(approval) => self.became(&case, Became::Allowed { approval }),
            None => self.decide(case),
        }
    }

    /// What is said of an intent: by the gate itself, by how the task is held, by policies.
    fn rule(
        &self,
        intent: &Intent,
        read: &Read,
        (scripts, named): (&Scripts<'_>, Option<&Named>),
    ) -> Ruling {
        let first = read.readings.first();
        let refused = first.and_then(|first| self.refused(intent.act.as_ref(), first));
        match (read.fixed, first, refused) {
            (Some(fixed), Some(first), _) => Ruling::fixed(first.clone(), fixed),
            (_, _, Some(refused)) => refused,
            _ => self.court.rule_again(&read.readings, scripts, named),
        }
    }

    /// Whether an intent is the start of a root action that people approved: the same words, and
    /// nothing in it that they were not asked about. The approval's own rule for what happens in
    /// the tree would ask about what the words leave open, which is what they were asked.
    fn inherits(&mut self, intent: &Intent, ruling: &Ruling, starts: bool) -> Option<String> {
        let Some(actions::Act::Run(_)) = &intent.act else {
            return None;
        };
        let started = self.roots.get_mut(&intent.root)?;
        started.begun = true;
        let approved = started.approved.as_ref()?;
        if !starts || ruling.verdict != Decides::Ask {
            return None;
        }
        let analysis = &ruling.judged.as_deref()?.analysis;
        let covers = approved.covers(&ruling.action, analysis, &self.court.setting);
        covers.then(|| approved.approval.clone())
    }

    /// Answers what is decided, asks about the rest.
    pub(super) fn decide(&mut self, case: Case<Source>) {
        let reason = case.ruling.reason.clone();
        let reply = Reply {
            allow: case.ruling.verdict == Decides::Allow,
            asked: false,
            by: case.ruling.by,
            reason,
            approval: None,
        };
        if case.ruling.verdict != Decides::Ask {
            return self.answer(&case, reply);
        }
        let limits = match self.court.limits() {
            Ok(limits) => limits,
            Err(why) => {
                let refused = Reply {
                    reason: short(&format!("gate:policies: {why}")),
                    ..reply
                };
                return self.answer(&case, refused);
            }
        };
        let asked = self.asks.ask(case, &self.court.setting, &limits);
        self.asked(asked);
    }

    fn asked(&mut self, asked: Asked<Source>) {
        match asked {
            Asked::Settled(case, became) => {
                self.tell_unasked(&case, &became);
                self.became(&case, became);
            }
            Asked::Waits(waits) => self.waits(waits),
        }
    }

    /// People are asked. If that cannot be recorded, they are not.
    fn waits(&mut self, waits: Waits) {
        let what = What::Asked {
            id: number(waits.asker),
            approval: waits.approval.clone(),
            line: waits.line.clone(),
        };
        if let Err(why) = self.book.seal(Some(waits.root), what) {
            let why = short(&format!("gate:record: it cannot be recorded: {why}"));
            // That it was asked is not recorded either.
            let _ = self.asks.withdraw(waits.asker, &why);
            return self.tell_asker(waits.asker, &refusal(why), Vec::new());
        }
        self.tell(&FromLoop::Asked(wire::Asked {
            root: waits.root,
            approval: waits.approval.clone(),
            revision: waits.revision,
            line: waits.line.clone(),
            why: waits.why.clone(),
            wait_ms: waits.wait_ms,
        }));
        match waits.asker {
            Asker::Said(id, _) => self.said_waits(id, &waits),
            Asker::Root(root) => self.tell(&FromLoop::Verdict {
                root,
                verdict: Answer::Waits,
                reason: waits.why,
            }),
            Asker::Intent(id) => {
                let asked = actions::Asked {
                    id,
                    approval: waits.approval,
                    reason: waits.why,
                    wait_ms: waits.wait_ms,
                };
                self.say(Kind::Asked, &asked);
            }
        }
    }

    /// Looks for what people decided. Once the task is over it is recorded, and lets nothing pass.
    pub(super) fn hear(&mut self) {
        if self.asks.next().is_none() {
            return;
        }
        let limits = self.court.limits().unwrap_or_default();
        let news = self.asks.look(&limits);
        for commented in &news.commented {
            self.commented(commented);
        }
        for decided in news.decided {
            self.decided(decided);
        }
        for asked in news.asked {
            if !self.over {
                let asked = self.again(asked);
                self.asked(asked);
            }
        }
    }

    /// Records and tells what became of an approval. The answers that follow are durable, and so is
    /// what comes before them.
    pub(super) fn decided(&mut self, decided: Decided) {
        let Decided {
            approval,
            root,
            state,
            by,
            note,
        } = decided;
        let state = state.to_string();
        let told = FromLoop::Decided {
            approval: approval.clone(),
            state: state.clone(),
            note: note.as_deref().map(short),
        };
        let what = What::Decided {
            approval,
            state,
            by,
            note,
        };
        self.book.note(Some(root), what);
        self.tell(&told);
    }

    /// Looks again at what people approved: policies may have changed while they thought.
    fn again(&mut self, asked: Asked<Source>) -> Asked<Source> {
        let Asked::Settled(case, Became::Allowed { approval }) = asked else {
            return asked;
        };
        let became = match self.still(&case) {
            Ok(()) => Became::Allowed { approval },
            Err(why) => Became::Refused {
                why,
                approval: None,
            },
        };
        Asked::Settled(case, became)
    }

    /// What asking came to.
    pub(super) fn became(&mut self, case: &Case<Source>, became: Became) {
        let reply = match became {
            Became::Allowed { approval } => Reply {
                allow: true,
                asked: true,
                by: "approval",
                reason: format!("approved: {approval}"),
                approval: Some(approval),
            },
            Became::Refused { why, approval } => Reply {
                by: if approval.is_some() {
                    "approval"
                } else {
                    "gate"
                },
                approval,
                ..refusal(why)
            },
            Became::Ends { why } => {
                self.answer(case, refusal(why.clone()));
                return self.tell(&FromLoop::ExitNow(why));
            }
        };
        self.answer(case, reply);
    }

    /// Whether it may still run.
    fn still(&mut self, case: &Case<Source>) -> Result<(), String> {
        self.look_at_policies();
        let ruling = self.rules_now(&case.source);
        match ruling.verdict {
            Decides::Deny => Err(ruling.reason),
            Decides::Allow | Decides::Ask => Ok(()),
        }
    }

    /// What is said now of something that waits, but for drift.
    pub(super) fn rules_now(&self, source: &Source) -> Ruling {
        let host = self.court.workspace.as_deref();
        let none = Scripts::new(&self.court.setting, host, &[]);
        match source {
            Source::Root(root) => self.court.rule(&[self.said_or_root(root)], &none, None),
            Source::Said(action) => self.court.rule(&[*action.clone()], &none, None),
            Source::Intent(intent) => {
                let scripts = Scripts::new(&self.court.setting, host, &intent.files);
                self.rule(intent, &read(intent, &scripts), (&scripts, None))
            }
        }
    }

    /// Records an answer and gives it. What cannot be recorded is refused.
    pub(super) fn answer(&mut self, case: &Case<Source>, mut reply: Reply) {
        let ruling = &case.ruling;
        let (verdict, risk_bps) = (if reply.allow { "allow" } else { "deny" }, ruling.risk_bps);
        let what = What::Verdict {
            id: number(case.asker),
            verdict: verdict.to_owned(),
            by: reply.by.to_owned(),
            risk_bps,
            policies: ruling.policies.clone(),
            reason: reply.reason.clone(),
            approval: reply.approval.clone(),
        };
        let durable = !reply.allow || reply.asked || risk_bps.is_some_and(|risk| risk > FLOOR);
        let recorded = match (durable, self.book.broken()) {
            (true, _) => self.book.seal(Some(case.root), what),
            (false, Some(why)) => Err(why),
            (false, None) => {
                self.book.note(Some(case.root), what);
                Ok(())
            }
        };
        if let Err(why) = recorded
            && reply.allow
        {
            reply = refusal(short(&format!("gate:record: it cannot be recorded: {why}")));
        }
        if reply.allow
            && let Source::Root(root) = &case.source
        {
            self.started(root, case, &reply);
        }
        if reply.asked || !reply.allow {
            let (line, reason) = (shown(case), &reply.reason);
            let said = if reply.allow { "allowed" } else { "denied" };
            self.said
                .lately(short(&format!("{said}: {line} ({reason})")));
        }
        self.tell_asker(case.asker, &reply, case.ruling.files.clone());
    }

    fn tell_asker(&mut self, asker: Asker, reply: &Reply, files: Vec<Judged>) {
        match asker {
            Asker::Root(root) => self.tell(&FromLoop::Verdict {
                root,
                verdict: if reply.allow {
                    Answer::Allow
                } else {
                    Answer::Deny
                },
                reason: reply.reason.clone(),
            }),
            Asker::Intent(id) => self.say(Kind::Verdict, &verdict(id, reply, files)),
            Asker::Said(id, step) => self.said_answered(id, step, reply),
        }
    }
}

/// The gate's number for who waits, if it has one.
fn number(asker: Asker) -> Option<u64> {
    match asker {
        Asker::Intent(id) => Some(id),
        Asker::Said(id, _) => (id != PEOPLES).then_some(id),
        Asker::Root(_) => None,
    }
}

/// As the gate is told. Files that do not fit could not be bound, so nothing may run them.
fn verdict(id: u64, reply: &Reply, files: Vec<Judged>) -> Verdict {
    let refused = |reason: &str| Verdict {
        id,
        reason: reason.to_owned(),
        ..Verdict::default()
    };
    if !reply.allow {
        return refused(&reply.reason);
    }
    let verdict = Verdict {
        id,
        allow: true,
        asked: reply.asked,
        reason: String::new(),
        files,
    };
    let cap = usize::try_from(Kind::Verdict.cap()).unwrap_or(usize::MAX);
    if verdict.encoded_len() > cap {
        return refused("gate:scripts: it runs more scripts than can be bound");
    }
    verdict
}

fn refusal(reason: String) -> Reply {
    Reply {
        allow: false,
        asked: false,
        by: "gate",
        reason,
        approval: None,
    }
}
