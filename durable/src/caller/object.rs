//! The storage shell around the rules of a caller.

use std::cell::RefCell;
use std::rc::Rc;

use uuid::Uuid;
use wasm_bindgen::JsValue;
use worker::{Env, Error, Queue, Result, State};

use super::rules::{BEHIND_MS, Machine};
use super::wire::Ask;
use crate::call;
use crate::object::{Object, Work};
use crate::storage::{self, Alarm, Effects};

/// Queue binding of the reports.
const QUEUE: &str = "EVENTS";

/// One caller.
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

    /// Writes down what was counted.
    fn alarm(self: Rc<Self>) -> Work {
        Box::pin(async move { self.write_behind().await.map(|()| JsValue::UNDEFINED) })
    }
}

impl Shell {
    async fn answer(&self, what: &str, text: &str) -> Result<String> {
        let now = storage::now();
        match what {
            "ask" => {
                let ask: Ask<'_> = call::read(text)?;
                let answer = self.machine.borrow_mut().ask(&ask, now);
                let (answer, effects) =
                    answer.map_err(|_| Error::RustError("a caller that cannot be read".into()))?;
                self.apply(effects, now).await?;
                Ok(serde_json::to_string(&answer)?)
            }
            "count" => {
                let limit = call::read(text)?;
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
                let effects = self.machine.borrow_mut().forget(change(text)?, now);
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
