//! The storage shell around the rules of a license.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use wasm_bindgen::JsValue;
use worker::{Delay, Env, Error, Queue, Result, State, console_error};

use super::rules::{Machine, Malformed};
use super::wire::Check;
use crate::call;
use crate::object::Object;
use crate::storage::{self, Alarm, Effects, now};
use crate::turn::Work;

/// Queue binding of what is reported.
const QUEUE: &str = "VALIDATIONS";
/// Queue binding of the records of AI calls.
const RECORDS: &str = "AI_RECORDS";
/// How long what is written behind waits for company.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// Shortest and longest pause between attempts while the queue is away.
const RETRY_MS: i64 = 2_000;
const MAX_RETRY_MS: i64 = 60_000;

/// One license.
struct Shell {
    state: State,
    queue: Option<Queue>,
    records: Option<Queue>,
    machine: RefCell<Machine>,
    alarm: Alarm,
    failures: Cell<u32>,
    /// A write behind is under way.
    saving: Cell<bool>,
    /// Something may be stored.
    stored: Cell<bool>,
}

/// The object, with what it had stored.
pub fn open(state: State, env: &Env) -> Rc<dyn Object> {
    let shell = Rc::new(Shell {
        state,
        queue: env.queue(QUEUE).ok(),
        records: env.queue(RECORDS).ok(),
        machine: RefCell::new(Machine::new(storage::seed())),
        alarm: Alarm::default(),
        failures: Cell::new(0),
        saving: Cell::new(false),
        stored: Cell::new(false),
    });
    let loading = Rc::clone(&shell);
    // No event is delivered before the stored rows are read.
    let _loaded = shell.state.block_concurrency_while(async move {
        let rows = storage::rows(&loading.state).await?;
        loading.stored.set(!rows.is_empty());
        loading.machine.borrow_mut().restore(&rows);
        // The alarm of the instance before may have been lost with it.
        loading.arm(now())
    });
    shell
}

impl Object for Shell {
    fn ask(self: Rc<Self>, what: String, text: String) -> Work {
        Box::pin(async move {
            let (answer, effects) = self.answer(&what, &text)?;
            self.apply(effects).await?;
            Ok(JsValue::from(answer))
        })
    }

    /// Sends what PostgreSQL has not confirmed on its way.
    fn alarm(self: Rc<Self>) -> Work {
        Box::pin(async move {
            self.alarm.rung();
            self.report().await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}

impl Shell {
    /// What the rules say, and what they ask for in turn.
    fn answer(&self, what: &str, text: &str) -> Result<(String, Effects)> {
        let now = now();
        let mut machine = self.machine.borrow_mut();
        match what {
            "validate" => {
                let check = Check::decode(text).ok_or_else(|| malformed(Malformed("check")))?;
                let (answer, effects) = machine.validate(&check, now).map_err(malformed)?;
                Ok((answer.encode(), effects))
            }
            "reserve" => {
                let request = call::read(text)?;
                let (reservation, effects) = machine.reserve(&request, now).map_err(malformed)?;
                Ok((json(&reservation)?, effects))
            }
            "announce" => {
                let change = call::read(text)?;
                Ok((String::new(), machine.announce(change, now)))
            }
            "forget" => {
                let outcome = call::read(text)?;
                Ok((String::new(), machine.forget(outcome, now)))
            }
            "settled" => {
                let ids: Vec<_> = call::read(text)?;
                Ok((String::new(), machine.settled(&ids)))
            }
            "reserve_call" => {
                let ask = call::read(text)?;
                let (answer, effects) = machine.reserve_call(&ask, now).map_err(malformed)?;
                Ok((json(&answer)?, effects))
            }
            "settle_calls" => {
                let told = call::read(text)?;
                Ok((String::new(), machine.settle_calls(told, now)))
            }
            "confirm_calls" => {
                let told: Vec<_> = call::read(text)?;
                Ok((String::new(), machine.confirm_calls(&told)))
            }
            "pending" => Ok((json(&machine.pending())?, Effects::default())),
            _ => Err(Error::RustError(format!("a license knows no {what}"))),
        }
    }

    /// Carries out what the rules ask. Returns when the writes are accepted; the
    /// platform holds the answer back until they are on disk.
    async fn apply(self: &Rc<Self>, mut effects: Effects) -> Result<()> {
        if effects.arm {
            self.arm(now())?;
        }
        if effects.save && !self.saving.replace(true) {
            self.state.wait_until(Rc::clone(self).save());
        }
        if effects.free {
            effects.free = self.stored.replace(false);
            self.alarm.rung();
        }
        if !effects.put.is_empty() {
            self.stored.set(true);
        }
        storage::store(&self.state, &effects).await
    }

    /// Writes behind what would be lost with an idle object's memory.
    async fn save(self: Rc<Self>) {
        Delay::from(SAVE_AFTER).await;
        self.saving.set(false);
        let mut effects = self.machine.borrow_mut().save(now());
        effects.unconfirmed = true;
        if self.apply(effects).await.is_err() {
            console_error!("a license could not write behind");
        }
    }

    /// Sets the alarm where something has to be sent.
    fn arm(&self, now: i64) -> Result<()> {
        let Some(at) = self.machine.borrow().next_alarm(now) else {
            return Ok(());
        };
        let pause = match self.failures.get() {
            0 => 0,
            failures => (RETRY_MS << failures.min(5)).min(MAX_RETRY_MS),
        };
        self.alarm
            .set(&self.state, now, (at - now).max(pause), false)
    }

    /// Sends what Postgres has not confirmed to the queue; what it does not take
    /// goes with the next alarm.
    async fn report(&self) -> Result<()> {
        let outgoing = self.machine.borrow_mut().take(now());
        let mut failed = false;
        for body in &outgoing.bodies {
            let queue = self.queue.as_ref();
            // After one failure the rest waits too.
            failed = failed || storage::send(queue, QUEUE, body).await.is_err();
        }
        if failed {
            self.machine.borrow_mut().unsent(&outgoing);
        }
        let (records, effects) = self.machine.borrow_mut().take_calls(now());
        storage::store(&self.state, &effects).await?;
        for record in &records {
            // What the queue does not take goes again with its next turn.
            let queue = self.records.as_ref();
            failed = failed || storage::send(queue, RECORDS, record).await.is_err();
        }
        let failures = if failed { self.failures.get() + 1 } else { 0 };
        self.failures.set(failures);
        self.arm(now())
    }
}

fn malformed(error: Malformed) -> Error {
    Error::RustError(format!("malformed {}", error.0))
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}
