//! The storage shell around the rules of a license.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Error, Queue, Result, State, console_error, console_warn, worker_sys};

use super::rules::{Machine, Malformed};
use super::wire::{Check, ReserveRequest};
use crate::storage::{self, Alarm, Effects, now};

/// Queue binding of the validation log.
const QUEUE: &str = "VALIDATIONS";
/// How long a log entry waits for company.
const FLUSH_AFTER_MS: i64 = 2_000;
/// Longest pause between attempts while the queue is away.
const MAX_RETRY_MS: i64 = 60_000;

/// One license.
#[wasm_bindgen]
pub struct LicenseObject {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    queue: Option<Queue>,
    machine: RefCell<Machine>,
    alarm: Alarm,
    flushing: Cell<bool>,
    failures: Cell<u32>,
}

#[wasm_bindgen]
impl LicenseObject {
    /// The object, with what it had stored.
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, env: Env) -> Self {
        let inner = Rc::new(Inner {
            state: State::from(state),
            queue: env.queue(QUEUE).ok(),
            machine: RefCell::new(Machine::new(storage::seed())),
            alarm: Alarm::default(),
            flushing: Cell::new(false),
            failures: Cell::new(0),
        });
        let loading = Rc::clone(&inner);
        // No event is delivered before the stored rows are read.
        let _loaded = inner.state.block_concurrency_while(async move {
            let rows = storage::rows(&loading.state).await?;
            loading.machine.borrow_mut().restore(&rows);
            Ok::<(), Error>(())
        });
        Self { inner }
    }

    /// Answers the worker.
    ///
    /// # Errors
    /// When the question or the storage is broken.
    pub fn ask(&self, what: String, text: String) -> std::result::Result<JsValue, JsValue> {
        let inner = Rc::clone(&self.inner);
        storage::now_or_later(async move { inner.answer(&what, &text).await.map(JsValue::from) })
    }

    /// Sends the log on its way.
    ///
    /// # Errors
    /// When the storage fails; the platform rings again then.
    pub fn alarm(&self) -> std::result::Result<JsValue, JsValue> {
        let inner = Rc::clone(&self.inner);
        storage::now_or_later(async move { inner.rung().await.map(|()| JsValue::UNDEFINED) })
    }
}

impl Inner {
    async fn answer(self: &Rc<Self>, what: &str, text: &str) -> Result<String> {
        let now = now();
        match what {
            "validate" => {
                let check: Check<'_> = serde_json::from_str(text)?;
                let result = self.machine.borrow_mut().validate(&check, now);
                let (answer, effects) = result.map_err(malformed)?;
                self.apply(effects, now).await?;
                Ok(answer.into_text())
            }
            "reserve" => {
                let request: ReserveRequest<'_> = serde_json::from_str(text)?;
                let result = self.machine.borrow_mut().reserve(&request, now);
                let (reservation, effects) = result.map_err(malformed)?;
                self.apply(effects, now).await?;
                json(&reservation)
            }
            "pending" => {
                let pending = self.machine.borrow().pending();
                json(&pending)
            }
            "forget" => {
                let effects = self.machine.borrow_mut().forget();
                self.apply(effects, now).await?;
                Ok(String::new())
            }
            _ => Err(Error::RustError(format!("a license knows no {what}"))),
        }
    }

    async fn rung(self: &Rc<Self>) -> Result<()> {
        self.alarm.rung();
        Rc::clone(self).flush().await;
        let effects = self.machine.borrow_mut().save_window(now());
        self.apply(effects, now()).await
    }

    /// Carries out what the rules ask.
    async fn apply(self: &Rc<Self>, effects: Effects, now: i64) -> Result<()> {
        if effects.arm {
            // With writes of its own the answer waits anyway.
            let behind = effects.put.is_empty();
            self.alarm.set(&self.state, now, FLUSH_AFTER_MS, behind)?;
        }
        // While the queue is away the alarm alone tries again.
        if effects.flush && self.failures.get() == 0 && !self.flushing.get() {
            self.state.wait_until(Rc::clone(self).flush());
        }
        storage::store(&self.state, &effects).await
    }

    /// Sends what there is to the queue. What it does not take is kept for the
    /// next alarm.
    async fn flush(self: Rc<Self>) {
        if self.flushing.replace(true) {
            return;
        }
        let messages = self.machine.borrow_mut().take_messages();
        let dropped = self.machine.borrow_mut().take_dropped();
        if dropped > 0 {
            console_warn!("{dropped} validation log entries dropped: the queue is away");
        }
        let mut failed = false;
        for message in messages {
            // After one failure the rest waits too.
            if failed
                || storage::send(self.queue.as_ref(), QUEUE, &message.body)
                    .await
                    .is_err()
            {
                failed = true;
                self.machine.borrow_mut().unsent(message);
                continue;
            }
            let effects = self.machine.borrow_mut().sent(&message);
            if self.apply(effects, now()).await.is_err() {
                console_error!("a sent collision was not removed; it will be sent again");
            }
        }
        self.flushing.set(false);
        let failures = if failed { self.failures.get() + 1 } else { 0 };
        self.failures.set(failures);
        if self.machine.borrow().has_messages() {
            let delay = (FLUSH_AFTER_MS << failures.min(5)).min(MAX_RETRY_MS);
            if self.alarm.set(&self.state, now(), delay, true).is_err() {
                console_error!("the alarm of a license object was not set");
            }
        }
    }
}

fn malformed(error: Malformed) -> Error {
    Error::RustError(format!("malformed {}", error.0))
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}
