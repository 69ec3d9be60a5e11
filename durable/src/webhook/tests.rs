//! The rules of the webhook object, by example and by random histories, with a
//! pretended storage, receiver and queue around them.

mod examples;
mod histories;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use uuid::Uuid;
use worker::Result;

use super::rules::{Due, Machine, Outcome, Settings};
use super::store::{Core, Delivery, Entry, Store};
use super::wire::{Endpoint, Event, Report, Status};

/// 2026-06-01.
const START: i64 = 1_780_272_000_000;
const SETTINGS: Settings = Settings {
    allow_private: false,
    disable_after_s: 432_000,
};

/// What survives a crash.
#[derive(Debug, Clone, Default)]
struct Memory(Rc<RefCell<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    core: Core,
    deliveries: BTreeMap<Uuid, (u64, Delivery)>,
    journal: BTreeMap<i64, Entry>,
    last: (u64, i64),
}

impl Memory {
    fn drop_where(&self, gone: impl Fn(&Delivery) -> bool, limit: usize) -> Result<usize> {
        let mut left = limit;
        self.0.borrow_mut().deliveries.retain(|_, (_, row)| {
            let goes = left > 0 && gone(row);
            left -= usize::from(goes);
            !goes
        });
        Ok(limit - left)
    }
}

impl Store for Memory {
    fn core(&self) -> Result<Core> {
        Ok(self.0.borrow().core.clone())
    }

    fn set_core(&self, core: &Core) -> Result<()> {
        // As stored: through its text.
        self.0.borrow_mut().core = serde_json::from_str(&serde_json::to_string(core)?)?;
        Ok(())
    }

    fn delivery(&self, event_id: Uuid) -> Result<Option<Delivery>> {
        let rows = self.0.borrow();
        Ok(rows.deliveries.get(&event_id).map(|(_, row)| row.clone()))
    }

    fn set_delivery(&self, delivery: &Delivery) -> Result<()> {
        let mut rows = self.0.borrow_mut();
        rows.last.0 += 1;
        let next = rows.last.0;
        let row = rows.deliveries.entry(delivery.event_id);
        row.or_insert((next, delivery.clone())).1 = delivery.clone();
        Ok(())
    }

    fn pending(&self) -> Result<(usize, usize)> {
        let rows = self.0.borrow();
        let pending = rows.deliveries.values().map(|(_, row)| row);
        let pending: Vec<_> = pending.filter(|row| row.ended_at.is_none()).collect();
        Ok((
            pending.len(),
            pending.iter().map(|row| row.body.len()).sum(),
        ))
    }

    fn drop_pending(&self, limit: usize) -> Result<usize> {
        self.drop_where(|row| row.ended_at.is_none(), limit)
    }

    fn drop_ended(&self, before: i64, limit: usize) -> Result<usize> {
        self.drop_where(|row| row.ended_at.is_some_and(|at| at < before), limit)
    }

    fn due(&self, now: i64, limit: usize) -> Result<Vec<Delivery>> {
        let rows = self.0.borrow();
        let mut due: Vec<_> = rows
            .deliveries
            .values()
            .filter(|(_, row)| row.ended_at.is_none() && row.due_at <= now)
            .collect();
        due.sort_by_key(|(sequence, row)| (row.due_at, *sequence));
        Ok(due
            .into_iter()
            .take(limit)
            .map(|(_, row)| row.clone())
            .collect())
    }

    fn next_due(&self) -> Result<Option<i64>> {
        let rows = self.0.borrow();
        let pending = rows
            .deliveries
            .values()
            .filter(|(_, row)| row.ended_at.is_none());
        Ok(pending.map(|(_, row)| row.due_at).min())
    }

    fn log(&self, entry: &Entry) -> Result<()> {
        let mut rows = self.0.borrow_mut();
        rows.last.1 += 1;
        let next = rows.last.1;
        rows.journal.insert(next, entry.clone());
        Ok(())
    }

    fn journal(&self, limit: usize) -> Result<Vec<(i64, Entry)>> {
        let rows = self.0.borrow();
        let oldest = rows.journal.iter().take(limit);
        Ok(oldest
            .map(|(sequence, entry)| (*sequence, entry.clone()))
            .collect())
    }

    fn drop_journal(&self, through: i64) -> Result<()> {
        self.0
            .borrow_mut()
            .journal
            .retain(|sequence, _| *sequence > through);
        Ok(())
    }
}

/// An object with its storage, as the shell would run it.
struct Object {
    memory: Memory,
    machine: Machine<Memory>,
    settings: Settings,
    now: i64,
    attempts: u128,
}

impl Object {
    fn new() -> Self {
        let memory = Memory::default();
        Self {
            machine: Machine::restore(memory.clone()).unwrap(),
            memory,
            settings: SETTINGS,
            now: START,
            attempts: 0,
        }
    }

    /// The instance dies and another takes over.
    fn crash(&mut self) {
        self.machine = Machine::restore(self.memory.clone()).unwrap();
    }

    fn enqueue(&mut self, endpoint: Endpoint, events: &[u128]) {
        let events = events.iter().map(|n| event(*n, false)).collect();
        self.machine.enqueue(endpoint, events, self.now).unwrap();
    }

    fn replay(&mut self, endpoint: Endpoint, n: u128) {
        let events = vec![event(n, true)];
        self.machine.enqueue(endpoint, events, self.now).unwrap();
    }

    fn take(&mut self) -> Vec<Due> {
        self.machine.take(self.now).unwrap()
    }

    fn settle(&mut self, due: &Due, status: Option<u16>, retry_after: Option<&str>) {
        self.attempts += 1;
        let outcome = Outcome {
            started_at: self.now,
            status,
            retry_after: retry_after.map(str::to_owned),
            body: status.map(|_| "answer".to_owned()),
            error: status.is_none().then(|| "no answer".to_owned()),
        };
        let fresh = (Uuid::from_u128(self.attempts), u32::MAX / 2);
        self.machine
            .settle(due, outcome, self.settings, self.now, fresh)
            .unwrap();
    }

    /// Sends everything that is due to a receiver that always answers `status`.
    fn run(&mut self, status: u16) -> Vec<Due> {
        let mut made = Vec::new();
        loop {
            let due = self.take();
            if due.is_empty() {
                return made;
            }
            for due in due {
                self.settle(&due, Some(status), None);
                made.push(due);
            }
        }
    }

    /// Sends the journal to a queue that works.
    fn reports(&mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(message) = self.machine.message(self.now).unwrap() {
            assert!(message.body.len() < 100_000);
            reports.push(serde_json::from_str(&message.body).unwrap());
            self.machine.sent(&message, self.now).unwrap();
        }
        reports
    }
}

fn endpoint(version: i64, status: Status) -> Endpoint {
    Endpoint {
        webhook_id: Uuid::from_u128(1),
        organization_id: Uuid::from_u128(2),
        version,
        generation: 1,
        url: "https://example.com/hook".to_owned(),
        status,
        secrets: Vec::new(),
    }
}

fn active() -> Endpoint {
    endpoint(1, Status::Active)
}

fn event(n: u128, replay: bool) -> Event {
    Event {
        id: Uuid::from_u128(n),
        event_type: "license.created".to_owned(),
        body: format!(r#"{{"n":{n}}}"#),
        replay,
        attempts_made: 0,
    }
}
