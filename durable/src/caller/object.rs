//! The storage shell around the rules of a caller.

use std::cell::RefCell;
use std::rc::Rc;

use uuid::Uuid;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Error, Queue, Result, State, worker_sys};

use super::rules::{BEHIND_MS, Machine};
use super::wire::Ask;
use crate::storage::{self, Alarm, Effects};

/// Queue binding of the reports.
const QUEUE: &str = "EVENTS";

/// One caller.
#[wasm_bindgen]
pub struct CallerObject {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    queue: Option<Queue>,
    machine: RefCell<Machine>,
    alarm: Alarm,
}

#[wasm_bindgen]
impl CallerObject {
    /// The object, with what it had stored.
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, env: Env) -> Self {
        let inner = Rc::new(Inner {
            state: State::from(state),
            queue: env.queue(QUEUE).ok(),
            machine: RefCell::new(Machine::new(storage::seed())),
            alarm: Alarm::default(),
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

    /// Writes down what was counted.
    ///
    /// # Errors
    /// When the storage or the queue fails; the platform rings again then.
    pub fn alarm(&self) -> std::result::Result<JsValue, JsValue> {
        let inner = Rc::clone(&self.inner);
        storage::now_or_later(
            async move { inner.write_behind().await.map(|()| JsValue::UNDEFINED) },
        )
    }
}

impl Inner {
    async fn answer(&self, what: &str, text: &str) -> Result<String> {
        let now = storage::now();
        match what {
            "ask" => {
                let ask: Ask<'_> = serde_json::from_str(text)?;
                let answer = self.machine.borrow_mut().ask(&ask, now);
                let (answer, effects) =
                    answer.map_err(|_| Error::RustError("a caller that cannot be read".into()))?;
                self.apply(effects, now).await?;
                Ok(serde_json::to_string(&answer)?)
            }
            "count" => {
                let limit = serde_json::from_str(text)?;
                let (decision, effects) = self.machine.borrow_mut().count(limit, now);
                self.apply(effects, now).await?;
                Ok(serde_json::to_string(&decision)?)
            }
            "announce" => {
                let effects = self.machine.borrow_mut().announce(change(text)?, now);
                self.apply(effects, now).await?;
                Ok(String::new())
            }
            "forget" => {
                let effects = self.machine.borrow_mut().forget(change(text)?);
                self.apply(effects, now).await?;
                Ok(String::new())
            }
            _ => Err(Error::RustError(format!("a caller knows no {what}"))),
        }
    }

    async fn apply(&self, effects: Effects, now: i64) -> Result<()> {
        if effects.arm {
            self.alarm.set(&self.state, now, BEHIND_MS, true)?;
        }
        storage::store(&self.state, &effects).await
    }

    async fn write_behind(&self) -> Result<()> {
        self.alarm.rung();
        let (effects, report) = self.machine.borrow_mut().write_behind();
        storage::store(&self.state, &effects).await?;
        if let Some(report) = report {
            let sent = storage::send(self.queue.as_ref(), QUEUE, &report).await;
            if sent.is_err() {
                self.machine.borrow_mut().report_again();
            }
            return sent;
        }
        Ok(())
    }
}

fn change(text: &str) -> Result<Uuid> {
    let change = text.parse();
    change.map_err(|_| Error::RustError("a change without a name".into()))
}
