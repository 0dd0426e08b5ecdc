// SPDX-License-Identifier: Apache-2.0
//! What of one task waits for people.
//!
//! ```text
//! ask ─► approved before: allow │ refused before: deny │ else an item of the queue: wait
//!
//! look, each 100 ms while something waits:
//!   of an item     approved ─► allow        denied, expired, withdrawn ─► deny
//!   of too many    approved ─► ask again    the same
//! ```
//!
//! The queue is `approvals.db`, which anybody of this user's decides in; nothing tells us of that
//! but the file itself. So it is looked at, and only while something waits: first whether anybody
//! has written to it at all, which is a look into shared memory.
//!
//! All waiting of a task has one limit, counted while anything of it waits.

mod back;
mod told;

use std::time::{Duration, Instant};

use policy::approval::desk::{self, Answer};
use policy::approval::grant::Grants;
use policy::approval::item::{Decision, Speaker, State};
use policy::approval::root::{Ask, Way, way};
use policy::approval::store::Filter;
use policy::approval::{Item, ItemId, Person, Store};
use policy::effects::place::Setting;
use policy::judge::Judgement;
use policy::verdict::Limits;

use super::court::short;
use super::question;
use crate::approvals::{Approvals, ApprovalsError, new_id, now_ms};
use crate::folders::Folders;
use crate::task::OnAsk;
pub use back::Back;
pub use told::{Asked, Asker, Became, Case, Commented, Decided, News, PEOPLES, Tree, Waits, shown};
use told::{cannot, refusal, refused};

/// How often to look for decisions.
const LOOK: Duration = Duration::from_millis(100);

/// Actions that may wait at once. A task that is held up by more is not one that people follow.
pub const WAITING: usize = 256;

/// Bytes of them: each is kept as it came, to be judged again.
pub const BYTES: usize = 16 << 20;

#[derive(Debug)]
struct Waiting<S> {
    case: Case<S>,
    ask: Ask,
    item: ItemId,
    /// Which portion of the item; none of the one that says there are too many.
    portion: Option<usize>,
    deadline_ms: u64,
    /// Comments of the item that were seen.
    seen: usize,
}

/// The terms under which a task asks.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The task.
    pub task: String,
    /// Where its approvals are.
    pub folders: Folders,
    /// What becomes of what people would be asked about.
    pub on_ask: OnAsk,
    /// How long all of it may wait.
    pub wait: Duration,
}

/// What waits of one task.
#[derive(Debug)]
pub struct Asks<S> {
    terms: Terms,
    requester: Option<Person>,
    store: Option<Approvals>,
    /// What the store said of others' changes at the last look.
    seen: i64,
    waiting: Vec<Waiting<S>>,
    spent: Duration,
    /// Since when something waits.
    since: Option<Instant>,
    next: Instant,
}

impl<S> Asks<S> {
    /// Nothing waits yet. The requester is who started the task, if known.
    #[must_use]
    pub fn new(terms: Terms, requester: Option<Person>) -> Self {
        Self {
            terms,
            requester,
            store: None,
            seen: 0,
            waiting: Vec::new(),
            spent: Duration::ZERO,
            since: None,
            next: Instant::now(),
        }
    }

    /// When to look for decisions; never while nothing waits.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next)
    }

    /// Whether people are asked if the task may go on at all.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.waiting.iter().any(|waiting| waiting.portion.is_none())
    }

    /// Asks about an action.
    pub fn ask(&mut self, case: Case<S>, setting: &Setting, limits: &Limits) -> Asked<S> {
        let settled = |case, why: &str| Asked::Settled(Box::new(case), refused(why));
        if let Some(why) = self.is_full(&case) {
            return settled(case, why);
        }
        let Some(judged) = case.ruling.judged.as_deref() else {
            return settled(case, "gate:unread: it was not judged");
        };
        match self.question(&case, judged, (setting, limits)) {
            Ok(ask) => self.put(case, ask, limits),
            Err(error) => settled(case, &cannot(&error)),
        }
    }

    fn is_full(&self, case: &Case<S>) -> Option<&'static str> {
        let bytes = self.waiting.iter().map(|waiting| waiting.case.bytes);
        let bytes = bytes.fold(case.bytes, usize::saturating_add);
        let full = self.waiting.len() >= WAITING || bytes > BYTES;
        full.then_some("gate:full: too much of this task waits for people already")
    }

    fn question(
        &mut self,
        case: &Case<S>,
        judged: &Judgement,
        (setting, limits): (&Setting, &Limits),
    ) -> Result<Ask, ApprovalsError> {
        let (task, requester) = (self.terms.task.clone(), self.requester.clone());
        let wait = u64::try_from(self.left().as_millis()).unwrap_or(u64::MAX);
        let what = (&case.ruling.action, case.ruling.reason.as_str());
        let mut question = question::of(self.store()?, what, judged, setting)?;
        question.plan.clone_from(&case.plan);
        if question.policies.is_empty() {
            // The gate's own rules.
            question.policies = case.ruling.policies.iter().cloned().collect();
        }
        question.policies.extend(case.with.iter().cloned());
        Ok(Ask {
            id: new_id()?,
            root: match case.tree {
                Tree::Plan => format!("{task}/plan"),
                Tree::Root(root) => format!("{task}/{root}"),
            },
            task,
            requester,
            rules: question::rules(limits),
            question,
            deadline_ms: now_ms().saturating_add(wait),
        })
    }

    /// Puts it into the queue, where it belongs.
    fn put(&mut self, case: Case<S>, ask: Ask, limits: &Limits) -> Asked<S> {
        let became = match self.enqueue(&ask, limits) {
            Err(error) => refused(&cannot(&error)),
            Ok(None) => self.unasked(&case),
            Ok(Some(Answer::Covered(grant))) => Became::Allowed {
                approval: grant.to_string(),
            },
            Ok(Some(Answer::Refused(id, state))) => refusal(&id, state, self.last(&id).as_ref()),
            Ok(Some(Answer::Waiting(item, portion))) => {
                return self.wait(case, ask, (item, Some(portion)));
            }
            Ok(Some(Answer::Flooded(item))) => return self.wait(case, ask, (item, None)),
        };
        Asked::Settled(Box::new(case), became)
    }

    /// How an item was decided.
    fn last(&mut self, id: &ItemId) -> Option<Decision> {
        let item = desk::look(self.store().ok()?, id, now_ms()).ok()?;
        item.last()?.decision.clone()
    }

    /// Asks, or if nobody is to be asked, sees whether it was decided before.
    fn enqueue(&mut self, ask: &Ask, limits: &Limits) -> Result<Option<Answer>, ApprovalsError> {
        let asks = self.terms.on_ask == OnAsk::Wait && !self.left().is_zero();
        let (budget, first) = (question::budget(limits), self.waiting.is_empty());
        let store = self.store()?;
        if !asks {
            let filter = Filter {
                task: Some(ask.task.clone()),
                waiting: false,
            };
            let items: Vec<Item> = store.list(&filter)?.into_iter().flatten().collect();
            return Ok(match way(&items, ask, &budget, now_ms()) {
                Way::Covered(grant) => Some(Answer::Covered(grant)),
                Way::Refused(id, state) => Some(Answer::Refused(id, state)),
                _ => None,
            });
        }
        // Before anything can be decided.
        let seen = store.changes()?;
        let answer = desk::ask(store, ask, &budget, now_ms())?;
        if first {
            self.seen = seen;
        }
        Ok(Some(answer))
    }

    /// What becomes of it when nobody is to be asked.
    fn unasked(&self, case: &Case<S>) -> Became {
        let reason = &case.ruling.reason;
        match self.terms.on_ask {
            OnAsk::Wait => refused("the task has waited for people as long as it may (--wait)"),
            OnAsk::Deny => refused(&format!(
                "a person would have to be asked, and nobody is (--on-ask deny): {reason}"
            )),
            OnAsk::Exit => Became::Ends {
                why: short(&format!(
                    "a person would have to be asked about '{}': {reason}",
                    shown(case)
                )),
            },
        }
    }

    fn wait(
        &mut self,
        case: Case<S>,
        ask: Ask,
        (item, portion): (ItemId, Option<usize>),
    ) -> Asked<S> {
        let now = now_ms();
        let looked = self.store().map(|store| desk::look(store, &item, now));
        // One that cannot be looked at now is looked at again soon.
        let (deadline_ms, seen, revision) = match looked {
            Ok(Ok(item)) => {
                let deadline = item.last().map_or(now, |portion| portion.deadline_ms);
                (deadline, item.comments().len(), item.revision())
            }
            _ => (now, 0, 0),
        };
        let waits = Waits {
            asker: case.asker,
            root: case.root,
            approval: item.to_string(),
            revision,
            line: shown(&case),
            why: match portion {
                Some(_) => case.ruling.reason.clone(),
                None => "too many questions: people are asked whether it may go on".to_owned(),
            },
            wait_ms: deadline_ms.saturating_sub(now),
        };
        if self.since.is_none() {
            self.since = Some(Instant::now());
            self.next = Instant::now() + LOOK;
        }
        self.waiting.push(Waiting {
            case,
            ask,
            item,
            portion,
            deadline_ms,
            seen,
        });
        Asked::Waits(waits)
    }

    /// Looks for decisions.
    pub fn look(&mut self, limits: &Limits) -> News<S> {
        self.next = Instant::now() + LOOK;
        let mut news = News {
            commented: Vec::new(),
            decided: Vec::new(),
            asked: Vec::new(),
        };
        let now = now_ms();
        let late = self
            .waiting
            .iter()
            .any(|waiting| now >= waiting.deadline_ms);
        let changes = self.store().and_then(|store| Ok(store.changes()?));
        match changes {
            Ok(changes) if changes == self.seen && !late => return news,
            Ok(changes) => self.seen = changes,
            // Nothing is let pass for that; what waits goes on waiting.
            Err(_) => return news,
        }
        for mut waiting in std::mem::take(&mut self.waiting) {
            match self.heard(&mut waiting, now, &mut news) {
                None => self.waiting.push(waiting),
                // The task goes on: what was too much is asked about by itself.
                Some((State::Approved, _)) if waiting.portion.is_none() => {
                    let again = self.again(waiting.case, waiting.ask, limits);
                    news.asked.push(again);
                }
                Some((State::Approved, _)) => {
                    let approval = waiting.item.to_string();
                    let became = Became::Allowed { approval };
                    news.asked
                        .push(Asked::Settled(Box::new(waiting.case), became));
                }
                Some((state, decision)) => {
                    let became = refusal(&waiting.item, state, decision.as_ref());
                    news.asked
                        .push(Asked::Settled(Box::new(waiting.case), became));
                }
            }
        }
        self.rest();
        news
    }

    fn again(&mut self, case: Case<S>, mut ask: Ask, limits: &Limits) -> Asked<S> {
        match new_id() {
            Ok(id) => ask.id = id,
            Err(error) => return Asked::Settled(Box::new(case), refused(&cannot(&error))),
        }
        self.put(case, ask, limits)
    }

    /// What was decided of something that waits, told once for all that wait for it.
    fn heard(
        &mut self,
        waiting: &mut Waiting<S>,
        now: u64,
        news: &mut News<S>,
    ) -> Option<(State, Option<Decision>)> {
        let store = self.store().ok()?;
        let portion = waiting.portion.unwrap_or(0);
        let state = desk::hear(store, &waiting.item, portion, now).ok()?;
        // Looked at afterwards, it has at least what was heard.
        let item = desk::look(store, &waiting.item, now).ok()?;
        comments(&item, waiting, &mut news.commented);
        let told = &mut news.decided;
        if state.waits() {
            return None;
        }
        let heard = item.portions().get(portion);
        let decision = heard.and_then(|portion| portion.decision.clone());
        let approval = waiting.item.to_string();
        if !told.iter().any(|told| told.approval == approval) {
            let decision = decision.as_ref();
            let by = decision.map(|decision| decision.by.iter().map(ToString::to_string));
            let votes = heard.into_iter().flat_map(|portion| &portion.votes);
            let said = votes.filter_map(|vote| vote.note.clone()).next();
            told.push(Decided {
                approval,
                root: waiting.case.root,
                state,
                by: by.into_iter().flatten().collect(),
                note: decision.and_then(|decision| decision.note.clone()).or(said),
            });
        }
        Some((state, decision))
    }

    /// What waits: the approval, the action in a line, and seconds until no answer is a no.
    pub fn waits(&self) -> impl Iterator<Item = (String, String, u64)> + '_ {
        let now = now_ms();
        self.waiting.iter().map(move |waiting| {
            let left = waiting.deadline_ms.saturating_sub(now) / 1000;
            (waiting.item.to_string(), shown(&waiting.case), left)
        })
    }

    /// Whether what people approved is still approved.
    pub fn stands(&mut self, approval: &str) -> bool {
        let (id, portion) = approval.split_once('.').unwrap_or((approval, ""));
        let (Ok(id), Ok(store)) = (id.parse(), self.store()) else {
            return false;
        };
        let now = now_ms();
        let item = desk::look(store, &id, now).map(|item| [item]);
        item.is_ok_and(|item| {
            let live = Grants::of(&item).all().filter(|grant| grant.is_live(now));
            let mut live = live.map(|grant| grant.id().to_string());
            live.any(|grant| portion.is_empty() || grant == approval)
        })
    }

    /// Stops counting when nothing waits.
    fn rest(&mut self) {
        if self.waiting.is_empty()
            && let Some(since) = self.since.take()
        {
            self.spent = self.spent.saturating_add(since.elapsed());
        }
    }

    /// How much longer the task may wait.
    fn left(&self) -> Duration {
        let running = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        let spent = self.spent.saturating_add(running);
        self.terms.wait.saturating_sub(spent)
    }

    fn store(&mut self) -> Result<&Approvals, ApprovalsError> {
        match self.store {
            Some(ref store) => Ok(store),
            None => Ok(self.store.insert(Approvals::open(&self.terms.folders)?)),
        }
    }
}

/// What people wrote since the last look, told once for all that wait for the item.
fn comments<S>(item: &Item, waiting: &mut Waiting<S>, told: &mut Vec<Commented>) {
    let seen = std::mem::replace(&mut waiting.seen, item.comments().len());
    let approval = waiting.item.to_string();
    for comment in item.comments().iter().skip(seen) {
        let Speaker::Person(by) = &comment.by else {
            continue;
        };
        let (by, text) = (by.to_string(), comment.text.clone());
        let same =
            |one: &&mut Commented| one.approval == approval && one.by == by && one.text == text;
        match told.iter_mut().find(same) {
            Some(told) if !told.askers.contains(&waiting.case.asker) => {
                told.askers.push(waiting.case.asker);
            }
            Some(_) => {}
            None => told.push(Commented {
                approval: approval.clone(),
                root: waiting.case.root,
                by,
                text,
                askers: vec![waiting.case.asker],
            }),
        }
    }
}
