//! The storage shell around the rules of a license.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;
use wasm_bindgen::JsValue;
use worker::js_sys::{self, Promise, Reflect, futures::JsFuture};
use worker::{
    Date, Delay, DurableObject, Env, Queue, QueueContentType, RawMessageBuilder, Request, Response,
    Result, State, console_error, durable_object,
};

use super::rules::{Machine, Malformed};
use super::stored::Effects;

/// Queue binding of what is reported.
const QUEUE: &str = "VALIDATIONS";
/// How long what is written behind waits for company.
const SAVE_AFTER: Duration = Duration::from_secs(1);
/// Longest pause between attempts while the queue is away.
const MAX_RETRY_MS: i64 = 60_000;
/// Keys one storage call takes.
const STORAGE_BATCH: usize = 128;

/// One license.
#[durable_object(alarm)]
pub struct LicenseObject {
    inner: Rc<Inner>,
}

struct Inner {
    state: State,
    queue: Option<Queue>,
    machine: RefCell<Machine>,
    /// When the alarm is set for; 0 when it is not.
    alarm_at: Cell<i64>,
    failures: Cell<u32>,
    /// A write behind is under way.
    saving: Cell<bool>,
    /// Something may be stored.
    stored: Cell<bool>,
}

impl DurableObject for LicenseObject {
    fn new(state: State, env: Env) -> Self {
        let mut seed = [0; 16];
        if getrandom::fill(&mut seed).is_err() {
            console_error!("no random bits for a license object");
        }
        let inner = Rc::new(Inner {
            state,
            queue: env.queue(QUEUE).ok(),
            machine: RefCell::new(Machine::new(seed)),
            alarm_at: Cell::new(0),
            failures: Cell::new(0),
            saving: Cell::new(false),
            stored: Cell::new(false),
        });
        let loading = Rc::clone(&inner);
        // No event is delivered before the stored rows are read.
        let _loaded = inner
            .state
            .block_concurrency_while(async move { loading.load().await });
        Self { inner }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let what = req.path();
        let body = req.text().await?;
        let (status, text) = match self.inner.answer(what.trim_start_matches('/'), &body) {
            Ok((text, effects)) => {
                self.inner.apply(effects).await?;
                (200, text)
            }
            Err(Malformed(what)) => (400, format!("malformed {what}")),
        };
        Ok(Response::builder()
            .with_status(status)
            .fixed(text.into_bytes()))
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.alarm_at.set(0);
        self.inner.report().await;
        Response::empty()
    }
}

impl Inner {
    async fn load(&self) -> Result<()> {
        let mut rows = Vec::new();
        self.state
            .storage()
            .list()
            .await?
            .for_each(&mut |value, key| {
                rows.extend(key.as_string().zip(value.as_string()));
            });
        self.stored.set(!rows.is_empty());
        self.machine.borrow_mut().restore(&rows);
        // The alarm of the instance before may have been lost with it.
        self.arm(now())
    }

    /// What the rules say, and what they ask for in turn.
    fn answer(&self, what: &str, text: &str) -> Result<(String, Effects), Malformed> {
        let now = now();
        let mut machine = self.machine.borrow_mut();
        match what {
            "validate" => {
                let (answer, effects) = machine.validate(&read(text)?, now)?;
                Ok((answer.encode(), effects))
            }
            "reserve" => {
                let (reservation, effects) = machine.reserve(&read(text)?, now)?;
                Ok((write(&reservation), effects))
            }
            "announce" => Ok((String::new(), machine.announce(read(text)?, now))),
            "forget" => Ok((String::new(), machine.forget(read(text)?, now))),
            "settled" => {
                let ids: Vec<_> = read(text)?;
                Ok((String::new(), machine.settled(&ids)))
            }
            "pending" => Ok((write(&machine.pending()), Effects::default())),
            _ => Err(Malformed("question")),
        }
    }

    /// Carries out what the rules ask. Returns when the writes are accepted;
    /// the platform holds the answer back until they are on disk.
    async fn apply(self: &Rc<Self>, effects: Effects) -> Result<()> {
        if effects.arm {
            self.arm(now())?;
        }
        if effects.save && !self.saving.replace(true) {
            self.state.wait_until(Rc::clone(self).save());
        }
        if effects.free && self.stored.replace(false) {
            return self.state.storage().delete_all().await;
        }
        // All are issued before the first is awaited, so they are one
        // transaction.
        for write in self.issue(&effects)? {
            JsFuture::from(write).await?;
        }
        Ok(())
    }

    fn issue(&self, effects: &Effects) -> Result<Vec<Promise>> {
        let storage = self.state.storage();
        let mut writes = Vec::new();
        for rows in effects.put.chunks(STORAGE_BATCH) {
            self.stored.set(true);
            let object = js_sys::Object::new();
            for (key, text) in rows {
                Reflect::set(&object, &key.as_str().into(), &text.as_str().into())?;
            }
            writes.push(storage.as_raw().put_multiple(object.into())?);
        }
        for keys in effects.delete.chunks(STORAGE_BATCH) {
            let keys = keys.iter().map(|key| JsValue::from_str(key)).collect();
            writes.push(storage.as_raw().delete_multiple(keys)?);
        }
        Ok(writes)
    }

    /// Writes behind what would be lost with an idle object's memory.
    async fn save(self: Rc<Self>) {
        Delay::from(SAVE_AFTER).await;
        self.saving.set(false);
        let effects = self.machine.borrow_mut().save(now());
        if self.apply(effects).await.is_err() {
            console_error!("a license object could not write behind");
        }
    }

    /// Sets the alarm where it is needed, unless it comes soon enough. One that is
    /// late is not pushed away.
    fn arm(&self, now: i64) -> Result<()> {
        let Some(mut at) = self.machine.borrow().next_alarm(now) else {
            return Ok(());
        };
        if self.failures.get() > 0 {
            at = at.max(now + (2_000 << self.failures.get().min(5)).min(MAX_RETRY_MS));
        }
        let set_for = self.alarm_at.get();
        if set_for != 0 && set_for <= at {
            return Ok(());
        }
        self.alarm_at.set(at);
        let date = js_sys::Date::new(&JsValue::from_f64(at as f64));
        let set = self
            .state
            .storage()
            .as_raw()
            .set_alarm(date, js_sys::Object::new())?;
        self.state.wait_until(async move {
            if JsFuture::from(set).await.is_err() {
                console_error!("the alarm of a license object was not set");
            }
        });
        Ok(())
    }

    /// Sends what Postgres has not confirmed to the queue; what it does not take
    /// goes with the next alarm.
    async fn report(&self) {
        let outgoing = self.machine.borrow_mut().take(now());
        let mut failed = false;
        for body in &outgoing.bodies {
            failed = failed || self.send(body).await.is_err();
        }
        if failed {
            self.machine.borrow_mut().unsent(&outgoing);
        }
        let failures = if failed { self.failures.get() + 1 } else { 0 };
        self.failures.set(failures);
        if self.arm(now()).is_err() {
            console_error!("the alarm of a license object was not set");
        }
    }

    async fn send(&self, body: &str) -> Result<()> {
        let Some(queue) = &self.queue else {
            return Err(worker::Error::BindingError(QUEUE.to_owned()));
        };
        // Text: the consumer hands it to Postgres as it is.
        let message = RawMessageBuilder::new(JsValue::from_str(body));
        queue
            .send_raw(message.build_with_content_type(QueueContentType::Text))
            .await
    }
}

fn read<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Malformed> {
    serde_json::from_str(text).map_err(|_| Malformed("question"))
}

fn write<T: Serialize>(value: &T) -> String {
    // A plain structure always serializes.
    serde_json::to_string(value).unwrap_or_default()
}

fn now() -> i64 {
    i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX)
}
