//! The storage and network shell around the rules of a webhook.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use celaest_domain::egress;
use celaest_domain::vault::Vault;
use celaest_domain::webhook::SigningSecret;
use futures_util::StreamExt;
use futures_util::future::{FutureExt, LocalBoxFuture};
use futures_util::stream::FuturesUnordered;
use wasm_bindgen::JsValue;
use worker::js_sys::{self, futures::JsFuture};
use worker::{Delay, Env, Error, Queue, Result, State, console_error};

use super::rules::{Due, Machine, Message, Outcome, Settings};
use super::send;
use super::store::Sqlite;
use super::wire::{Endpoint, Enqueue};
use crate::call;
use crate::ids::Ids;
use crate::object::Object;
use crate::storage::{self, now};
use crate::turn::Work;

/// Queue binding of the log.
const QUEUE: &str = "DELIVERIES";
/// How long one alarm goes on beginning attempts.
const RUN_MS: i64 = 60_000;
/// Attempts one alarm begins: the platform counts requests.
const RUN_ATTEMPTS: usize = 800;
/// Pause between looks at the clock while requests are under way, and between
/// messages of the log.
const TICK_MS: i64 = 250;
/// Longest pause between tries while the queue is away.
const MAX_QUEUE_PAUSE_MS: i64 = 60_000;
/// Pause while the signing secret cannot be opened.
const LOCKED_PAUSE_MS: i64 = 60_000;
/// [`Settings::disable_after_s`] where nothing is configured: five days.
const DISABLE_AFTER_S: u32 = 432_000;

/// One webhook.
struct Shell {
    state: State,
    queue: Option<Queue>,
    vault: Option<Vault>,
    settings: Settings,
    machine: OnceCell<RefCell<Machine<Sqlite>>>,
    ids: RefCell<Ids>,
    /// When the alarm is set for, as far as this instance knows.
    alarm_at: Cell<i64>,
    /// Messages the queue refused in a row.
    refused: Cell<u32>,
    /// The storage was freed.
    ended: Cell<bool>,
}

/// Something under way came to its end.
enum Done {
    Attempt(Due, Outcome),
    Message(Message, bool),
    Tick,
}

/// The object, with what it had stored.
pub fn open(state: State, env: &Env) -> Rc<dyn Object> {
    Rc::new(Shell::new(state, env))
}

impl Object for Shell {
    fn ask(self: Rc<Self>, what: String, text: String) -> Work {
        Box::pin(async move { self.answer(&what, &text).await.map(JsValue::from) })
    }

    /// Sends what is due.
    fn alarm(self: Rc<Self>) -> Work {
        Box::pin(async move { self.rung().await.map(|()| JsValue::UNDEFINED) })
    }
}

impl Shell {
    fn new(state: State, env: &Env) -> Self {
        let variable = |name| env.var(name).ok().map(|value| value.to_string());
        let disable_after = variable("WEBHOOK_DISABLE_AFTER_SECONDS");
        Self {
            state,
            queue: env.queue(QUEUE).ok(),
            vault: variable("ENCRYPTION_KEY").and_then(|keys| Vault::parse(&keys).ok()),
            settings: Settings {
                allow_private: variable("WEBHOOK_ALLOW_PRIVATE").as_deref() == Some("true"),
                disable_after_s: disable_after
                    .and_then(|text| text.trim().parse().ok())
                    .unwrap_or(DISABLE_AFTER_S),
            },
            machine: OnceCell::new(),
            ids: RefCell::new(Ids::new(storage::seed())),
            alarm_at: Cell::new(i64::MAX),
            refused: Cell::new(0),
            ended: Cell::new(false),
        }
    }

    async fn answer(&self, what: &str, text: &str) -> Result<String> {
        let now = now();
        match what {
            "enqueue" => {
                let request: Enqueue = call::read(text)?;
                let mut machine = self.machine()?.borrow_mut();
                machine.enqueue(request.endpoint, request.events, now)?;
            }
            "configure" => {
                let endpoint: Endpoint = call::read(text)?;
                self.machine()?.borrow_mut().configure(endpoint, now)?;
            }
            _ => return Err(Error::RustError(format!("a webhook knows no {what}"))),
        }
        self.arm(now).await?;
        Ok(String::new())
    }

    async fn rung(&self) -> Result<()> {
        self.alarm_at.set(i64::MAX);
        let earliest = match self.run().await {
            Ok(earliest) => earliest,
            Err(error) => {
                console_error!("a webhook run ended early: {error}");
                now() + LOCKED_PAUSE_MS
            }
        };
        let over = self.machine()?.borrow().is_over(now())?;
        match over {
            true => self.end().await,
            false => self.arm(earliest).await,
        }
    }

    fn machine(&self) -> Result<&RefCell<Machine<Sqlite>>> {
        if let Some(machine) = self.machine.get() {
            if self.ended.take() {
                // Its tables are gone; what it remembers says that the webhook is deleted.
                Sqlite::open(self.state.storage().sql())?;
            }
            return Ok(machine);
        }
        let machine = Machine::restore(Sqlite::open(self.state.storage().sql())?)?;
        Ok(self.machine.get_or_init(|| RefCell::new(machine)))
    }

    /// Frees the storage of a webhook that was deleted.
    async fn end(&self) -> Result<()> {
        self.state.storage().delete_all().await?;
        self.ended.set(true);
        Ok(())
    }

    /// Sends what is due and reports what was sent, until there is nothing more
    /// or the run has lasted long enough. Returns when the next one makes sense
    /// at the earliest.
    async fn run(&self) -> Result<i64> {
        let machine = self.machine()?;
        machine.borrow_mut().abandon();
        machine.borrow_mut().tidy(now())?;
        let started = now();
        let mut begun = 0;
        let mut locked = false;
        let (mut ticking, mut reporting, mut reported_at) = (false, false, 0);
        let mut work: FuturesUnordered<LocalBoxFuture<'_, Done>> = FuturesUnordered::new();
        loop {
            if begun < RUN_ATTEMPTS && now() - started < RUN_MS && !locked {
                let due = machine.borrow_mut().take(now())?;
                begun += due.len();
                for due in due {
                    match self.prepare(&due) {
                        Some(attempt) => work.push(attempt),
                        None => {
                            machine.borrow_mut().put_back(due.event_id);
                            locked = true;
                        }
                    }
                }
            }
            let sending = machine.borrow().in_flight() > 0;
            let may_report = self.refused.get() == 0 || !sending && reported_at == 0;
            if !reporting && may_report && (!sending || now() - reported_at >= TICK_MS) {
                if let Some(message) = machine.borrow().message(now())? {
                    reporting = true;
                    work.push(self.report(message).boxed_local());
                }
                reported_at = now();
            }
            if !sending && !reporting {
                break;
            }
            if sending && !ticking {
                ticking = true;
                let tick = Delay::from(Duration::from_millis(TICK_MS as u64));
                work.push(tick.map(|()| Done::Tick).boxed_local());
            }
            match work.next().await {
                Some(Done::Attempt(due, outcome)) => {
                    let (id, random) = {
                        let mut ids = self.ids.borrow_mut();
                        (ids.v7(outcome.started_at), ids.token() as u32)
                    };
                    machine.borrow_mut().settle(
                        &due,
                        outcome,
                        self.settings,
                        now(),
                        (id, random),
                    )?;
                }
                Some(Done::Message(message, taken)) => {
                    reporting = false;
                    if taken {
                        self.refused.set(0);
                        machine.borrow_mut().sent(&message, now())?;
                    } else {
                        self.refused.set(self.refused.get().saturating_add(1));
                    }
                }
                Some(Done::Tick) => ticking = false,
                None => break,
            }
        }
        Ok(if locked {
            now() + LOCKED_PAUSE_MS
        } else {
            now()
        })
    }

    /// The attempt, ready to be waited for. `None`: this object cannot sign it.
    fn prepare(&self, due: &Due) -> Option<LocalBoxFuture<'static, Done>> {
        let machine = self.machine().ok()?.borrow();
        let endpoint = machine.endpoint()?;
        let now_ms = now();
        // The addresses are checked again: what is allowed may have changed.
        let url = match egress::check(&endpoint.url, self.settings.allow_private) {
            Ok(url) => url,
            Err(refusal) => {
                let outcome = Outcome {
                    started_at: now_ms,
                    error: Some(refusal.to_string()),
                    ..Outcome::default()
                };
                let due = due.clone();
                return Some(async move { Done::Attempt(due, outcome) }.boxed_local());
            }
        };
        let current = |expires: Option<i64>| expires.is_none_or(|at| at > now_ms);
        let secrets: Vec<_> = endpoint
            .secrets
            .iter()
            .filter(|secret| current(secret.expires_at_ms))
            .filter_map(|secret| {
                let sealed = STANDARD.decode(&secret.sealed).ok()?;
                let owner = endpoint.webhook_id.as_bytes();
                let text = self
                    .vault
                    .as_ref()?
                    .open(secret.key_version, &sealed, owner)?;
                SigningSecret::parse(std::str::from_utf8(&text).ok()?)
            })
            .collect();
        if secrets.is_empty() {
            console_error!(
                "the secret of webhook {} cannot be opened",
                endpoint.webhook_id
            );
            return None;
        }
        let due = due.clone();
        Some(
            async move {
                let outcome = send::attempt(&url, &due, &secrets, now).await;
                Done::Attempt(due, outcome)
            }
            .boxed_local(),
        )
    }

    async fn report(&self, message: Message) -> Done {
        let sent = storage::send(self.queue.as_ref(), QUEUE, &message.body).await;
        Done::Message(message, sent.is_ok())
    }

    /// Sets the alarm for what is next, not before `earliest`.
    async fn arm(&self, earliest: i64) -> Result<()> {
        let machine = self.machine()?;
        let due = machine.borrow().next_due()?;
        let journal = match machine.borrow().message(now())? {
            Some(_) => {
                let pause = (1_000 << self.refused.get().min(6)).min(MAX_QUEUE_PAUSE_MS);
                Some(now() + pause)
            }
            None => None,
        };
        let due = due.map(|at| at.max(earliest));
        let chore = machine.borrow().next_chore().map(|at| at.max(now()));
        let Some(at) = due.into_iter().chain(journal).chain(chore).min() else {
            return Ok(());
        };
        if self.alarm_at.get() <= at {
            return Ok(());
        }
        let date = js_sys::Date::new(&JsValue::from_f64(at as f64));
        let options = js_sys::Object::new();
        let set = self.state.storage().as_raw().set_alarm(date, options)?;
        self.alarm_at.set(at);
        JsFuture::from(set).await?;
        Ok(())
    }
}
