//! What the object of a webhook does: (state, event, now) → state. Times are
//! Unix milliseconds.

use std::collections::HashSet;

use celaest_domain::webhook::{
    Verdict, has_failed_too_long, next_attempt, retry_after_ms, verdict,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;
use worker::Result;

use super::store::{Core, Delivery, Entry, Store};
use super::wire::{Attempt, Endpoint, Event, Reason, Report, Status};

/// Requests under way at a time.
pub const MAX_IN_FLIGHT: usize = 6;
/// How long an event that has ended is remembered, so that it is not sent
/// again when it comes again.
const REMEMBER_MS: i64 = 3 * 24 * 3_600 * 1_000;
/// Below the queue's 128 KB with room for its own framing.
const MAX_MESSAGE: usize = 96_000;
/// Attempts in one message.
const MAX_ATTEMPTS: usize = 100;

/// The object's state, in front of its storage.
#[derive(Debug)]
pub struct Machine<S> {
    store: S,
    core: Core,
    in_flight: HashSet<Uuid>,
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

/// A message for the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// The JSON text of a [`Report`].
    pub body: String,
    through: i64,
}

impl<S: Store> Machine<S> {
    /// Takes up what an earlier instance stored.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn restore(store: S) -> Result<Self> {
        Ok(Self {
            core: store.core()?,
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
    pub fn configure(&mut self, endpoint: Endpoint) -> Result<()> {
        let mut core = self.core.clone();
        if let Some(old) = &core.endpoint {
            if old.version >= endpoint.version {
                return Ok(());
            }
            let lifted = core.disabled_version.is_some() || old.status == Status::Disabled;
            if lifted || old.url != endpoint.url {
                core.consecutive_failures = 0;
                core.failing_since = None;
                core.disabled_version = None;
            }
        }
        if matches!(endpoint.status, Status::Disabled | Status::Deleted) {
            self.store.drop_pending()?;
        }
        core.endpoint = Some(endpoint);
        self.set_core(core)
    }

    /// Takes events over. Those that are pending or ended lately are ignored,
    /// unless they are to be replayed.
    ///
    /// # Errors
    /// The storage failed; the worker hands the events over again.
    pub fn enqueue(&mut self, endpoint: Endpoint, events: Vec<Event>, now: i64) -> Result<()> {
        self.configure(endpoint)?;
        if !self.takes_events() {
            return Ok(());
        }
        for event in events {
            let known = self.store.delivery(event.id)?;
            if known.is_some() && !event.replay {
                continue;
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
        Ok(())
    }

    fn takes_events(&self) -> bool {
        let status = self.core.endpoint.as_ref().map(|endpoint| endpoint.status);
        self.core.disabled_version.is_none()
            && matches!(status, Some(Status::Active | Status::Paused))
    }

    fn sends(&self) -> bool {
        let status = self.core.endpoint.as_ref().map(|endpoint| endpoint.status);
        self.core.disabled_version.is_none() && status == Some(Status::Active)
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
        let mut disabled = None;
        if judged == Verdict::Delivered {
            core.consecutive_failures = 0;
            core.failing_since = None;
        } else {
            core.consecutive_failures = core.consecutive_failures.saturating_add(1);
            let since = *core.failing_since.get_or_insert(outcome.started_at);
            let failing = has_failed_too_long(since, now, settings.disable_after_s);
            disabled = match judged {
                Verdict::Gone => Some(Reason::Gone),
                _ => failing.then_some(Reason::Failing),
            };
        }
        // Once is enough, and what people disabled is disabled.
        let disabled = disabled
            .filter(|_| self.takes_events())
            .zip(core.endpoint.as_ref().map(|endpoint| endpoint.version));
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
                    delivery.ended_at = Some(now);
                    delivery.body = String::new();
                }
            }
            self.store.set_delivery(&delivery)?;
        }
        if let Some((_, version)) = disabled {
            core.disabled_version = Some(version);
            self.store.drop_pending()?;
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
                response_status: outcome.status,
                response_body: outcome.body,
                error: outcome.error,
                next_attempt_at: next.map(time),
                delivered_at,
            },
            disabled,
        })?;
        self.set_core(core)
    }

    /// The next message for the queue; the same until it was [`Machine::sent`].
    ///
    /// # Errors
    /// The storage failed.
    pub fn message(&self) -> Result<Option<Message>> {
        let Some(endpoint) = &self.core.endpoint else {
            return Ok(None);
        };
        let mut report = Report {
            webhook_id: endpoint.webhook_id,
            organization_id: endpoint.organization_id,
            version: endpoint.version,
            sequence: 0,
            consecutive_failures: self.core.consecutive_failures,
            failing_since_ms: self.core.failing_since,
            disabled: None,
            attempts: Vec::new(),
        };
        let mut size = 0;
        for (sequence, entry) in self.store.journal(MAX_ATTEMPTS)? {
            size += serde_json::to_string(&entry.attempt)?.len() + 1;
            if size > MAX_MESSAGE && report.sequence > 0 {
                break;
            }
            report.sequence = sequence;
            report.attempts.push(entry.attempt);
            if let Some((reason, version)) = entry.disabled {
                report.disabled = Some(reason);
                report.version = version;
                // What comes after may be under another version.
                break;
            }
        }
        if report.attempts.is_empty() {
            return Ok(None);
        }
        Ok(Some(Message {
            body: serde_json::to_string(&report)?,
            through: report.sequence,
        }))
    }

    /// The queue took it.
    ///
    /// # Errors
    /// The storage failed; the message is sent again.
    pub fn sent(&self, message: &Message) -> Result<()> {
        self.store.drop_journal(message.through)
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

    /// Forgets what has served its purpose.
    ///
    /// # Errors
    /// The storage failed.
    pub fn tidy(&self, now: i64) -> Result<()> {
        self.store.drop_ended(now.saturating_sub(REMEMBER_MS))
    }

    fn set_core(&mut self, core: Core) -> Result<()> {
        if core != self.core {
            self.store.set_core(&core)?;
            self.core = core;
        }
        Ok(())
    }
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
