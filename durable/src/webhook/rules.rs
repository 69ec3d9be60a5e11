//! What the object of a webhook does: (state, event, now) → state. Times are
//! Unix milliseconds.

mod chores;
mod reports;

pub use chores::STEP;
pub use reports::Message;

use std::collections::HashSet;

use celaest_domain::webhook::{
    Verdict, has_failed_too_long, next_attempt, reason_of, retry_after_ms, verdict,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use worker::Result;

use super::store::{Core, Delivery, Disabled, Entry, Store};
use super::wire::{Attempt, Endpoint, Event, Reason, Status};

/// Requests under way at a time.
pub const MAX_IN_FLIGHT: usize = 6;
/// Events that wait for one receiver at most, and the bytes of their bodies.
pub const MAX_PENDING: usize = 100_000;
const MAX_PENDING_BYTES: usize = 1_000_000_000;

/// The object's state, in front of its storage.
#[derive(Debug)]
pub struct Machine<S> {
    store: S,
    core: Core,
    in_flight: HashSet<Uuid>,
    /// Events that have not ended, and the bytes of their bodies.
    pending: (usize, usize),
}

/// An attempt to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// The event.
    pub event_id: Uuid,
    /// Its name.
    pub event_type: String,
    /// The body to send.
    pub body: String,
    /// Counted from 1.
    pub number: u32,
    /// Of the webhook when it began: another address, or being activated, is another one.
    pub generation: i64,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// When it began.
    pub started_at: i64,
    /// What the receiver answered.
    pub status: Option<u16>,
    /// Its `Retry-After` header.
    pub retry_after: Option<String>,
    /// The beginning of its answer.
    pub body: Option<String>,
    /// Why there was no answer.
    pub error: Option<String>,
}

impl<S: Store> Machine<S> {
    /// Takes up what an earlier instance stored.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn restore(store: S) -> Result<Self> {
        Ok(Self {
            core: store.core()?,
            pending: store.pending()?,
            store,
            in_flight: HashSet::new(),
        })
    }

    /// The webhook, as far as it is known.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.core.endpoint.as_ref()
    }

    /// Takes a newer configuration; an older one, or the same again, is ignored.
    ///
    /// # Errors
    /// The storage failed.
    pub fn configure(&mut self, endpoint: Endpoint, now: i64) -> Result<()> {
        let mut core = self.core.clone();
        let ends = matches!(endpoint.status, Status::Disabled | Status::Deleted);
        if let Some(old) = &core.endpoint {
            if old.version >= endpoint.version {
                return Ok(());
            }
            // A new name is no reason to begin again; a new address, or being activated, is.
            let given_up = core.disabled.as_ref();
            let lifted = old.status == Status::Disabled && !ends
                || given_up.is_some_and(|given_up| given_up.generation < endpoint.generation);
            if lifted || old.url != endpoint.url {
                core.consecutive_failures = 0;
                core.failing_since = None;
                core.quiet_since = None;
            }
            if lifted {
                core.disabled = None;
            }
        }
        if ends {
            // The row says so now.
            core.disabled = None;
            core.dropping = true;
        } else if core.dropping {
            // What was to go must not be sent now.
            while self.store.drop_pending(STEP)? == STEP {}
            self.pending = self.store.pending()?;
            core.dropping = false;
        }
        if endpoint.status == Status::Deleted {
            core.deleted_at.get_or_insert(now);
        }
        core.endpoint = Some(endpoint);
        self.set_core(core, now)
    }

    /// Takes events over. Those that are pending or ended lately are ignored,
    /// unless they are to be replayed.
    ///
    /// # Errors
    /// The storage failed; the worker hands the events over again.
    pub fn enqueue(&mut self, endpoint: Endpoint, events: Vec<Event>, now: i64) -> Result<()> {
        self.configure(endpoint, now)?;
        if !self.takes_events() {
            return Ok(());
        }
        for event in events {
            let known = self.store.delivery(event.id)?;
            if known.is_some() && !event.replay {
                continue;
            }
            if self.pending.0 >= MAX_PENDING || self.pending.1 >= MAX_PENDING_BYTES {
                return self.give_up(now);
            }
            if known.as_ref().is_none_or(|known| known.ended_at.is_some()) {
                self.pending.0 += 1;
                self.pending.1 += event.body.len();
            }
            let attempts = known.map_or(0, |known| known.attempts);
            self.store.set_delivery(&Delivery {
                event_id: event.id,
                event_type: event.event_type,
                body: event.body,
                tried: 0,
                attempts: attempts.max(event.attempts_made),
                due_at: now,
                ended_at: None,
            })?;
        }
        let core = self.core.clone();
        self.set_core(core, now)
    }

    /// Stops because too much waits.
    fn give_up(&mut self, now: i64) -> Result<()> {
        let mut core = self.core.clone();
        core.disabled = core.endpoint.as_ref().map(|endpoint| Disabled {
            reason: Reason::Backlog,
            generation: endpoint.generation,
            told_at: 0,
        });
        self.set_core(core, now)
    }

    fn takes_events(&self) -> bool {
        let status = self.core.endpoint.as_ref().map(|endpoint| endpoint.status);
        self.core.disabled.is_none() && matches!(status, Some(Status::Active | Status::Paused))
    }

    fn sends(&self) -> bool {
        sends(&self.core)
    }

    fn generation(&self) -> i64 {
        let endpoint = self.core.endpoint.as_ref();
        endpoint.map_or(0, |endpoint| endpoint.generation)
    }

    /// The attempts to begin now, as many as there is room for. Each is under
    /// way until [`Machine::settle`] or [`Machine::put_back`].
    ///
    /// # Errors
    /// The storage failed.
    pub fn take(&mut self, now: i64) -> Result<Vec<Due>> {
        let room = MAX_IN_FLIGHT.saturating_sub(self.in_flight.len());
        if room == 0 || !self.sends() {
            return Ok(Vec::new());
        }
        let generation = self.generation();
        // Those under way are due as well.
        let due = self.store.due(now, MAX_IN_FLIGHT + room)?;
        let free: Vec<_> = due
            .into_iter()
            .filter(|delivery| !self.in_flight.contains(&delivery.event_id))
            .take(room)
            .map(|delivery| Due {
                event_id: delivery.event_id,
                event_type: delivery.event_type,
                body: delivery.body,
                number: delivery.attempts.saturating_add(1),
                generation,
            })
            .collect();
        self.in_flight.extend(free.iter().map(|due| due.event_id));
        Ok(free)
    }

    /// Nothing is under way any more: what was is made again.
    pub fn abandon(&mut self) {
        self.in_flight.clear();
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// An attempt was not made after all.
    pub fn put_back(&mut self, event_id: Uuid) {
        self.in_flight.remove(&event_id);
    }

    /// An attempt was made: writes down what came of it and what is next.
    /// `attempt_id` and `random` are fresh.
    ///
    /// # Errors
    /// The storage failed; the attempt is made again.
    pub fn settle(
        &mut self,
        due: &Due,
        outcome: Outcome,
        settings: Settings,
        now: i64,
        (attempt_id, random): (Uuid, u32),
    ) -> Result<()> {
        self.in_flight.remove(&due.event_id);
        let mut core = self.core.clone();
        let judged = verdict(outcome.status);
        let mut stop = None;
        if judged == Verdict::Delivered {
            core.consecutive_failures = 0;
            core.failing_since = None;
            core.quiet_since = None;
        } else if due.generation == self.generation() {
            // What an address of before answers says nothing of the one of now.
            core.consecutive_failures = core.consecutive_failures.saturating_add(1);
            let since = *core.failing_since.get_or_insert(outcome.started_at);
            let failing = has_failed_too_long(since, now, settings.disable_after_s);
            stop = match judged {
                Verdict::Gone => Some(Reason::Gone),
                _ => failing.then_some(Reason::Failing),
            };
        }
        // Once is enough, and what people disabled is disabled.
        let stop = stop
            .filter(|_| self.takes_events())
            .map(|reason| (reason, due.generation));
        // Dropped while it was under way: only the journal knows it then.
        let mut next = None;
        if let Some(mut delivery) = self.store.delivery(due.event_id)? {
            delivery.attempts = delivery.attempts.max(due.number);
            delivery.tried += 1;
            if judged != Verdict::Delivered {
                let pause = outcome.retry_after.as_deref();
                let pause = pause.and_then(|header| retry_after_ms(header, now));
                next = next_attempt(delivery.tried, now, pause, random);
            }
            match next {
                Some(at) => delivery.due_at = at,
                None => {
                    self.pending.0 = self.pending.0.saturating_sub(1);
                    self.pending.1 = self.pending.1.saturating_sub(delivery.body.len());
                    delivery.ended_at = Some(now);
                    delivery.body = String::new();
                }
            }
            self.store.set_delivery(&delivery)?;
        }
        if let Some((reason, generation)) = stop {
            // What waits is kept until the row says that it is over: somebody may be activating it.
            core.disabled = Some(Disabled {
                reason,
                generation,
                told_at: now,
            });
            next = None;
        }
        let delivered_at = (judged == Verdict::Delivered).then(|| time(now));
        self.store.log(&Entry {
            attempt: Attempt {
                id: attempt_id,
                event_id: due.event_id,
                event_type: due.event_type.clone(),
                attempt_number: due.number,
                created_at: time(outcome.started_at),
                duration_ms: u32::try_from(now - outcome.started_at).unwrap_or(0),
                response_status: outcome.status.filter(|status| (100..600).contains(status)),
                response_body: outcome.body,
                error: outcome.error.or(outcome.status.and_then(reason_of)),
                next_attempt_at: next.map(time),
                delivered_at,
            },
            disabled: stop,
        })?;
        self.set_core(core, now)
    }

    /// When the next attempt is due; the past for one that is late.
    ///
    /// # Errors
    /// The storage failed.
    pub fn next_due(&self) -> Result<Option<i64>> {
        if self.sends() {
            self.store.next_due()
        } else {
            Ok(None)
        }
    }

    fn set_core(&mut self, mut core: Core, now: i64) -> Result<()> {
        // Only time in which something was tried counts as failing.
        let tries = sends(&core) && self.pending.0 > 0;
        match (core.failing_since, core.quiet_since) {
            (Some(since), Some(quiet)) if tries => {
                core.failing_since = Some(since + (now - quiet).max(0));
                core.quiet_since = None;
            }
            (Some(_), None) if !tries => core.quiet_since = Some(now),
            _ => {}
        }
        if core != self.core {
            self.store.set_core(&core)?;
            self.core = core;
        }
        Ok(())
    }
}

fn sends(core: &Core) -> bool {
    let status = core.endpoint.as_ref().map(|endpoint| endpoint.status);
    core.disabled.is_none() && status == Some(Status::Active)
}

/// What is configured for all webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Addresses inside are allowed.
    pub allow_private: bool,
    /// Seconds of nothing but failures after which a webhook is disabled.
    pub disable_after_s: u32,
}

fn time(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}
