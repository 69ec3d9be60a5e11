//! The storage shell around the rules of a license.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::JsValue;
use worker::js_sys::{self, Promise, Reflect, futures::JsFuture};
use worker::{
    Date, DurableObject, Env, Queue, QueueContentType, RawMessageBuilder, Request, Response,
    Result, State, console_error, console_warn, durable_object,
};

use super::client::{LIMITED, NEED_SNAPSHOT, UNAVAILABLE, limited_text, write};
use super::rules::{Machine, Malformed};
use super::stored::Effects;
use super::wire::{Answer, Check, ReserveRequest};

/// Queue binding of the validation log.
const QUEUE: &str = "VALIDATIONS";
/// How long a log entry waits for company.
const FLUSH_AFTER_MS: i64 = 2_000;
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
    flushing: Cell<bool>,
    failures: Cell<u32>,
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
            flushing: Cell::new(false),
            failures: Cell::new(0),
        });
        let loading = Rc::clone(&inner);
        // No event is delivered before the stored rows are read.
        let _loaded = inner
            .state
            .block_concurrency_while(async move { loading.load().await });
        Self { inner }
    }

    async fn fetch(&self, mut req: Request) -> Result<Response> {
        let path = req.path();
        let now = now();
        let inner = &self.inner;
        let (status, text) = match path.as_str() {
            "/validate" => inner.validate(&req.text().await?, now).await?,
            "/reserve" => inner.reserve(&req.text().await?, now).await?,
            "/pending" => {
                let pending = inner.machine.borrow().pending();
                write(&pending)?
            }
            "/forget" => {
                let effects = inner.machine.borrow_mut().forget();
                inner.apply(effects, now).await?;
                (200, String::new())
            }
            _ => (404, String::new()),
        };
        Ok(Response::builder()
            .with_status(status)
            .fixed(text.into_bytes()))
    }

    async fn alarm(&self) -> Result<Response> {
        self.inner.alarm_at.set(0);
        Rc::clone(&self.inner).flush().await;
        let effects = self.inner.machine.borrow_mut().save_window(now());
        self.inner.apply(effects, now()).await?;
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
        self.machine.borrow_mut().restore(&rows);
        Ok(())
    }

    async fn validate(self: &Rc<Self>, body: &str, now: i64) -> Result<(u16, String)> {
        let Ok(check) = serde_json::from_str::<Check<'_>>(body) else {
            return Ok(malformed(&Malformed("check")));
        };
        let result = self.machine.borrow_mut().validate(&check, now);
        let (answer, effects) = match result {
            Ok(done) => done,
            Err(error) => return Ok(malformed(&error)),
        };
        self.apply(effects, now).await?;
        Ok(match answer {
            Answer::Verdict(data) => (200, data),
            Answer::NeedSnapshot { token } => (NEED_SNAPSHOT, token.to_string()),
            Answer::Limited(decision) => (LIMITED, limited_text(&decision)),
            Answer::Unavailable => (UNAVAILABLE, String::new()),
        })
    }

    async fn reserve(self: &Rc<Self>, body: &str, now: i64) -> Result<(u16, String)> {
        let Ok(request) = serde_json::from_str::<ReserveRequest<'_>>(body) else {
            return Ok(malformed(&Malformed("request")));
        };
        let result = self.machine.borrow_mut().reserve(&request, now);
        let (reservation, effects) = match result {
            Ok(done) => done,
            Err(error) => return Ok(malformed(&error)),
        };
        self.apply(effects, now).await?;
        write(&reservation)
    }

    /// Carries out what the rules ask. Returns when the writes are accepted;
    /// the platform holds the answer back until they are on disk.
    async fn apply(self: &Rc<Self>, effects: Effects, now: i64) -> Result<()> {
        if effects.arm {
            // With writes of its own the answer waits anyway.
            self.arm(now, FLUSH_AFTER_MS, effects.put.is_empty())?;
        }
        // While the queue is away the alarm alone tries again.
        if effects.flush && self.failures.get() == 0 && !self.flushing.get() {
            self.state.wait_until(Rc::clone(self).flush());
        }
        if effects.put.is_empty() && effects.delete.is_empty() {
            return Ok(());
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

    /// Sets the alarm, unless one is set already. `unconfirmed`: the answer
    /// need not wait for it (a log entry is lost with its memory either way).
    fn arm(&self, now: i64, delay: i64, unconfirmed: bool) -> Result<()> {
        if self.alarm_at.get() > now {
            return Ok(());
        }
        let at = now + delay;
        self.alarm_at.set(at);
        let date = js_sys::Date::new(&JsValue::from_f64(at as f64));
        let options = js_sys::Object::new();
        Reflect::set(&options, &"allowUnconfirmed".into(), &unconfirmed.into())?;
        let set = self.state.storage().as_raw().set_alarm(date, options)?;
        self.state.wait_until(async move {
            if JsFuture::from(set).await.is_err() {
                console_error!("the alarm of a license object was not set");
            }
        });
        Ok(())
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
            if failed || self.send(&message.body).await.is_err() {
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
            if self.arm(now(), delay, true).is_err() {
                console_error!("the alarm of a license object was not set");
            }
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

fn malformed(error: &Malformed) -> (u16, String) {
    (400, format!("malformed {}", error.0))
}

fn now() -> i64 {
    i64::try_from(Date::now().as_millis()).unwrap_or(i64::MAX)
}
