// SPDX-License-Identifier: Apache-2.0
//! How an item changes: an [`Event`] gives a [`Change`], or is [`Refused`] and changes nothing.
//!
//! What people approve is what they saw: whatever adds to a portion that waits takes back the
//! votes it had, and an approval names the revision that was seen, as a no may. One no ends an
//! item, and so does the deadline; from there no event leads to an approval.

use super::event::{
    COMMENTS, Change, Event, Extent, Missing, PORTIONS, QUESTIONS, Refused, TEXT, Yes,
};
use super::grant;
use super::item::{Comment, Decision, Item, Portion, Question, Revoked, Speaker, State, Vote};
use super::names::Person;
use super::proposal;
use super::scope::{self, Reach, Scope};

/// Most people who are recorded to have seen a portion.
const VIEWERS: usize = 64;

impl Item {
    /// Lets what waits beyond its deadline expire; says whether it did so now.
    pub fn expire(&mut self, now: u64) -> bool {
        let now = now.max(self.last_ms);
        let late = self.state_at(now) != self.state();
        if late {
            self.end(State::Expired, now, None);
        }
        late
    }

    /// Takes an event. Let it expire first: an event that comes too late is refused and leaves the
    /// item as it was.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn apply(&mut self, event: &Event, now: u64) -> Result<Change, Refused> {
        let now = now.max(self.last_ms);
        let change = match event {
            Event::Shown { by } => self.shown(by, now),
            Event::Comment { by, text } => self.comment(by, text, now),
            Event::Approve(yes) => {
                let vote = self.vote(yes, now)?;
                self.count(vote, now)
            }
            Event::Deny { by, seen, note } => {
                self.fits(note.as_deref())?;
                self.waiting(now)?;
                seen.map_or(Ok(()), |seen| self.is_revision(seen))?;
                let latency = self.latency(by, now);
                self.end(State::Denied, now, Some((by, latency, note.as_deref())));
                Ok(Change::Denied)
            }
            Event::Withdraw { why } => {
                self.fits(Some(why))?;
                self.waiting(now)?;
                self.end(State::Withdrawn, now, None);
                if let Some(decision) = self.decision_mut() {
                    decision.note = Some(why.clone());
                }
                Ok(Change::Withdrawn)
            }
            Event::Ask {
                question,
                deadline_ms,
            } => self.ask(question, *deadline_ms, now),
            Event::Revoke { by, portion } => self.revoke(by, *portion, now),
        }?;
        if change != Change::Nothing {
            self.last_ms = now;
        }
        Ok(change)
    }

    /// The portion that waits.
    fn waiting(&mut self, now: u64) -> Result<&mut Portion, Refused> {
        let state = self.state_at(now);
        let ended = |decision: Option<&Decision>, deadline_ms| Refused::Ended {
            state,
            people: decision
                .map(|decision| decision.by.clone())
                .unwrap_or_default(),
            at_ms: decision.map_or(deadline_ms, |decision| decision.at_ms),
        };
        match self.portions.last_mut() {
            Some(portion) if state.waits() => Ok(portion),
            Some(portion) => Err(ended(portion.decision.as_ref(), portion.deadline_ms)),
            None => Err(ended(None, 0)),
        }
    }

    fn decision_mut(&mut self) -> Option<&mut Decision> {
        self.portions.last_mut()?.decision.as_mut()
    }

    fn fits(&self, text: Option<&str>) -> Result<(), Refused> {
        match text {
            Some(text) if text.trim().is_empty() || text.len() > TEXT => Err(Refused::Text {
                state: self.state(),
            }),
            _ => Ok(()),
        }
    }

    fn shown(&mut self, by: &Person, now: u64) -> Result<Change, Refused> {
        if !self.state_at(now).waits() {
            return Ok(Change::Nothing); // Looking at what is decided is no event.
        }
        let portion = self.waiting(now)?;
        if portion.shown.contains_key(by) || portion.shown.len() >= VIEWERS {
            return Ok(Change::Nothing);
        }
        portion.shown.insert(by.clone(), now);
        Ok(Change::Shown)
    }

    fn comment(&mut self, by: &Speaker, text: &str, now: u64) -> Result<Change, Refused> {
        self.fits(Some(text))?;
        self.waiting(now).map_err(|why| match why {
            Refused::Ended { state, people, .. } => Refused::Unread { state, people },
            why => why,
        })?;
        let most = match by {
            Speaker::Agent => COMMENTS / 2,
            Speaker::Person(_) | Speaker::Host => COMMENTS,
        };
        if self.comments.len() >= most {
            let state = self.state();
            return Err(Refused::Text { state });
        }
        self.comments.push(Comment {
            by: by.clone(),
            at_ms: now,
            text: text.to_owned(),
        });
        Ok(Change::Commented)
    }

    /// How long a person took: from being shown this, or else from its being asked.
    fn latency(&self, by: &Person, now: u64) -> u64 {
        let since = self.last().map(|portion| {
            let shown = portion.shown.get(by).copied();
            shown.unwrap_or_else(|| portion.last_asked_ms())
        });
        now.saturating_sub(since.unwrap_or(now))
    }

    fn vote(&mut self, yes: &Yes, now: u64) -> Result<Vote, Refused> {
        let (by, seen) = (&yes.by, yes.seen);
        self.fits(yes.note.as_deref())?;
        let (latency_ms, most) = (self.latency(by, now), self.rules.hours);
        let fresh = self.is_revision(seen);
        let portion = self.waiting(now)?;
        if portion.votes.iter().any(|vote| vote.by == *by) {
            return Err(Refused::Twice { person: by.clone() });
        }
        fresh?;
        let hours = match yes.extent {
            Extent::Hours(hours) if hours == 0 || hours > most => {
                return Err(Refused::Hours { hours, most });
            }
            Extent::Hours(_) if portion.questions.iter().any(|one| !one.scope.is_whole()) => {
                return Err(Refused::OnlyOnce);
            }
            Extent::Hours(hours) => hours,
            Extent::Once | Extent::Proposal => 0,
        };
        let proposal = (yes.extent == Extent::Proposal).then(|| proposal::of(self, by));
        Ok(Vote {
            by: by.clone(),
            at_ms: now,
            latency_ms,
            hours,
            note: yes.note.clone(),
            proposal,
        })
    }

    /// Whether a person has seen it as it is.
    fn is_revision(&self, seen: u32) -> Result<(), Refused> {
        match self.revision {
            now if now == seen => Ok(()),
            now => Err(Refused::Changed { seen, now }),
        }
    }

    fn count(&mut self, vote: Vote, now: u64) -> Result<Change, Refused> {
        let latency = vote.latency_ms;
        let by = vote.by.clone();
        self.waiting(now)?.votes.push(vote);
        let missing = self.last().map(|portion| self.missing(portion));
        match missing {
            Some(missing) if missing.more > 0 || missing.another => Ok(Change::Counted(missing)),
            _ => {
                self.end(State::Approved, now, Some((&by, latency, None)));
                Ok(Change::Approved)
            }
        }
    }

    /// Who must still approve a portion.
    #[must_use]
    pub fn missing(&self, portion: &Portion) -> Missing {
        let votes = &portion.votes;
        let count = u8::try_from(votes.len()).unwrap_or(u8::MAX);
        let alone = match &self.requester {
            Some(requester) => votes.iter().all(|vote| vote.by == *requester),
            // Of two people one at least did not start it.
            None => votes.len() < 2,
        };
        Missing {
            more: self.rules.quorum.max(1).saturating_sub(count),
            another: self.rules.another && alone,
        }
    }

    pub(super) fn is_enough(&self, portion: &Portion) -> bool {
        let missing = self.missing(portion);
        missing.more == 0 && !missing.another
    }

    /// Ends the portion that waits. `last` is whose word it was, how long that took, and the note.
    fn end(&mut self, state: State, now: u64, last: Option<(&Person, u64, Option<&str>)>) {
        let Some(portion) = self.portions.last_mut() else {
            return;
        };
        let votes = portion.votes.iter();
        let approved = state == State::Approved;
        let by = match last {
            Some(_) if approved => votes.clone().map(|vote| vote.by.clone()).collect(),
            Some((by, ..)) => vec![by.clone()],
            None => Vec::new(),
        };
        // Of several people who approve, the most careful one says for how long.
        let hours = votes.map(|vote| vote.hours).min().filter(|_| approved);
        portion.decision = Some(Decision {
            state,
            at_ms: now,
            by,
            latency_ms: last.map(|(_, latency, _)| latency),
            hours: hours.unwrap_or(0),
            note: last.and_then(|(.., note)| note.map(str::to_owned)),
        });
        self.last_ms = now;
    }

    fn ask(&mut self, question: &Question, deadline: u64, now: u64) -> Result<Change, Refused> {
        let state = self.state_at(now);
        let added = self.not_approved(question, now);
        if state.waits() {
            return self.add(question, added, now);
        }
        if state != State::Approved {
            return self.waiting(now).map(|_| Change::Nothing);
        }
        if !self.has_room() {
            return Err(Refused::Full { state });
        }
        let times = (now, deadline);
        self.portions
            .push(Portion::open(question.clone(), added, times));
        self.revision = self.revision.saturating_add(1);
        Ok(Change::Reopened)
    }

    /// Adds to the portion that waits what it does not say already.
    fn add(&mut self, question: &Question, added: Vec<Reach>, now: u64) -> Result<Change, Refused> {
        let state = self.state();
        if self.says(question) {
            self.joined = self.joined.saturating_add(1);
            return Ok(Change::Joined);
        }
        if !self.has_room() {
            return Err(Refused::Full { state });
        }
        let portion = self.waiting(now)?;
        portion.questions.push(question.clone());
        portion.asked_ms.push(now);
        for reach in added {
            if !portion.added.contains(&reach) {
                portion.added.push(reach);
            }
        }
        portion.votes.clear();
        portion.shown.clear();
        self.revision = self.revision.saturating_add(1);
        Ok(Change::Added)
    }

    /// Whether what waits says this already, so that one answer serves both.
    pub(super) fn says(&self, question: &Question) -> bool {
        let waits = self.last().filter(|portion| portion.decision.is_none());
        waits.is_some_and(|portion| {
            let mut asked = portion.questions.iter();
            let scopes: Vec<&Scope> = asked.clone().map(|one| &one.scope).collect();
            let same = |one: &Question| {
                one.binding == question.binding && one.scope.holds(&question.scope)
            };
            asked.any(same) || scope::inside(&scopes, &question.scope)
        })
    }

    /// Whether people could read still more in it.
    pub(super) fn has_room(&self) -> bool {
        match self.last() {
            Some(portion) if portion.decision.is_none() => portion.questions.len() < QUESTIONS,
            _ => self.portions.len() < PORTIONS,
        }
    }

    /// The effects that no approval of this item covers at this time.
    fn not_approved(&self, question: &Question, now: u64) -> Vec<Reach> {
        let judged: Vec<_> = grant::standing(self, now)
            .flat_map(|portion| portion.questions.iter().map(|one| &one.scope))
            .collect();
        let outside = scope::outside(&judged, &question.scope);
        outside.into_iter().cloned().collect()
    }

    fn revoke(&mut self, by: &Person, which: Option<usize>, now: u64) -> Result<Change, Refused> {
        let state = self.state();
        let all = self.portions.iter_mut().enumerate();
        let chosen = all.filter(|(at, _)| which.is_none_or(|which| which == *at));
        let mut any = false;
        for (_, portion) in chosen.filter(|(_, portion)| portion.stands()) {
            portion.revoked = Some(Revoked {
                by: by.clone(),
                at_ms: now,
            });
            any = true;
        }
        if any {
            Ok(Change::Revoked)
        } else {
            Err(Refused::NoApproval { state })
        }
    }
}

impl Portion {
    /// Asked at one time, with a deadline.
    pub(super) fn open(question: Question, added: Vec<Reach>, (now, deadline): (u64, u64)) -> Self {
        Self {
            questions: vec![question],
            added,
            asked_ms: vec![now],
            deadline_ms: deadline,
            shown: std::collections::BTreeMap::new(),
            votes: Vec::new(),
            decision: None,
            revoked: None,
        }
    }
}
