//! The storage shell around the rules of an object that is told of changes and counts behind its answers.

use std::cell::RefCell;
use std::rc::Rc;

use uuid::Uuid;
use wasm_bindgen::JsValue;
use worker::{Env, Error, Queue, Result, State};

use crate::object::Object;
use crate::storage::{self, Alarm, Effects};
use crate::turn::Work;

/// Queue binding of the reports.
const QUEUE: &str = "EVENTS";
/// What is written behind waits so long for company, in milliseconds. Shorter than the silence after which an
/// object leaves memory (about ten seconds), so that a count survives it.
const BEHIND_MS: i64 = 8_000;

/// What is to be written behind.
#[derive(Debug, Default)]
pub struct Behind {
    /// What is stored.
    pub effects: Effects,
    /// What PostgreSQL is to be told.
    pub report: Option<String>,
    /// In so many milliseconds there is more to do.
    pub again: Option<i64>,
}

/// The rules of an object: state, event and time in; state and answer out.
pub trait Rules: 'static {
    /// An object of which nothing is known.
    fn new(seed: [u8; 16]) -> Self;

    /// Takes up what was stored. Rows that cannot be read are as if they were not there.
    fn restore(&mut self, rows: &[(String, String)]);

    /// Answers what is asked.
    ///
    /// # Errors
    /// When it cannot be read, or is nothing that there is an answer to.
    fn answer(&mut self, what: &str, text: &str, now: i64) -> Result<(String, Effects)>;

    /// `change` is about to be committed.
    fn announce(&mut self, change: Uuid, now: i64) -> Effects;

    /// `change` was committed, or did not come to be.
    fn forget(&mut self, change: Uuid, now: i64) -> Effects;

    /// What was counted and is not stored.
    fn write_behind(&mut self, now: i64) -> Behind;

    /// A report was not taken.
    fn report_again(&mut self);
}

/// One object.
struct Shell<R> {
    state: State,
    queue: Option<Queue>,
    rules: RefCell<R>,
    alarm: Alarm,
}

/// The object, with what it had stored.
pub fn open<R: Rules>(state: State, env: &Env) -> Rc<dyn Object> {
    let shell = Rc::new(Shell {
        state,
        queue: env.queue(QUEUE).ok(),
        rules: RefCell::new(R::new(storage::seed())),
        alarm: Alarm::default(),
    });
    let loading = Rc::clone(&shell);
    // No event is delivered before the stored rows are read.
    let _loaded = shell.state.block_concurrency_while(async move {
        let rows = storage::rows(&loading.state).await?;
        loading.rules.borrow_mut().restore(&rows);
        Ok::<(), Error>(())
    });
    shell
}

impl<R: Rules> Object for Shell<R> {
    fn ask(self: Rc<Self>, what: String, text: String) -> Work {
        Box::pin(async move { self.answer(&what, &text).await.map(JsValue::from) })
    }

    /// Writes down what was counted, and ends what has its time.
    fn alarm(self: Rc<Self>) -> Work {
        Box::pin(async move { self.write_behind().await.map(|()| JsValue::UNDEFINED) })
    }
}

impl<R: Rules> Shell<R> {
    async fn answer(&self, what: &str, text: &str) -> Result<String> {
        let now = storage::now();
        let (answer, effects) = {
            let mut rules = self.rules.borrow_mut();
            match what {
                "announce" => (String::new(), rules.announce(change(text)?, now)),
                "forget" => (String::new(), rules.forget(change(text)?, now)),
                _ => rules.answer(what, text, now)?,
            }
        };
        if effects.arm {
            self.alarm.set(&self.state, now, BEHIND_MS, true)?;
        }
        storage::store(&self.state, &effects).await?;
        Ok(answer)
    }

    async fn write_behind(&self) -> Result<()> {
        self.alarm.rung();
        let now = storage::now();
        let behind = self.rules.borrow_mut().write_behind(now);
        if let Some(again) = behind.again {
            self.alarm.set(&self.state, now, again, true)?;
        }
        storage::store(&self.state, &behind.effects).await?;
        if let Some(report) = behind.report {
            let sent = storage::send(self.queue.as_ref(), QUEUE, &report).await;
            if sent.is_err() {
                self.rules.borrow_mut().report_again();
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

/// The refusal of what there is no answer to.
pub fn unknown(who: &str, what: &str) -> Error {
    Error::RustError(format!("{who} knows no {what}"))
}
