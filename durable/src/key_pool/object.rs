//! The storage shell around the rules of a pool.

use std::cell::RefCell;
use std::rc::Rc;

use uuid::Uuid;
use wasm_bindgen::JsValue;
use worker::{Env, Error, Queue, Result, State};

use super::rules::{BEHIND_MS, Machine};
use super::wire::{Reserve, Settle};
use crate::object::{Object, Work};
use crate::storage::{self, Alarm, Effects};

/// Queue binding of the reports.
const QUEUE: &str = "EVENTS";

/// One pool.
struct Shell {
    state: State,
    queue: Option<Queue>,
    machine: RefCell<Machine>,
    alarm: Alarm,
}

/// The object, with what it had stored.
pub fn open(state: State, env: &Env) -> Rc<dyn Object> {
    let shell = Rc::new(Shell {
        state,
        queue: env.queue(QUEUE).ok(),
        machine: RefCell::new(Machine::new(storage::seed())),
        alarm: Alarm::default(),
    });
    let loading = Rc::clone(&shell);
    // No event is delivered before the stored rows are read.
    let _loaded = shell.state.block_concurrency_while(async move {
        let rows = storage::rows(&loading.state).await?;
        loading.machine.borrow_mut().restore(&rows);
        Ok::<(), Error>(())
    });
    shell
}

impl Object for Shell {
    fn ask(self: Rc<Self>, what: String, text: String) -> Work {
        Box::pin(async move { self.answer(&what, &text).await.map(JsValue::from) })
    }

    /// Writes down what was counted, and ends what has its time.
    fn alarm(self: Rc<Self>) -> Work {
        Box::pin(async move { self.write_behind().await.map(|()| JsValue::UNDEFINED) })
    }
}

impl Shell {
    async fn answer(&self, what: &str, text: &str) -> Result<String> {
        let now = storage::now();
        match what {
            "reserve" => {
                let ask: Reserve<'_> = serde_json::from_str(text)?;
                let answer = self.machine.borrow_mut().reserve(&ask, now);
                let (answer, effects) =
                    answer.map_err(|_| Error::RustError("keys that cannot be read".into()))?;
                self.apply(effects, now).await?;
                Ok(serde_json::to_string(&answer)?)
            }
            "settle" => {
                let settle: Settle<'_> = serde_json::from_str(text)?;
                let effects = self.machine.borrow_mut().settle(&settle, now);
                self.apply(effects, now).await?;
                Ok(String::new())
            }
            "announce" => {
                let effects = self.machine.borrow_mut().announce(change(text)?, now);
                self.apply(effects, now).await?;
                Ok(String::new())
            }
            "forget" => {
                let effects = self.machine.borrow_mut().forget(change(text)?, now);
                self.apply(effects, now).await?;
                Ok(String::new())
            }
            "show" => {
                let shown = self.machine.borrow().shown(now);
                Ok(serde_json::to_string(&shown)?)
            }
            _ => Err(Error::RustError(format!("a pool of keys knows no {what}"))),
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
        let now = storage::now();
        let behind = self.machine.borrow_mut().write_behind(now);
        if let Some(again) = behind.again {
            self.alarm.set(&self.state, now, again, true)?;
        }
        storage::store(&self.state, &behind.effects).await?;
        if let Some(report) = behind.report {
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
