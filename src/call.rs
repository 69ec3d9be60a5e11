//! One request: what its head says, and what is known of it before anybody is asked who is calling.

use crate::config::Config;
use crate::db::facts::{Actor, Message};
use crate::db::{Background, Database, Scope, Tx, outbox};
use crate::error::{Code, Error, Result};
use crate::language::Language;
use crate::log;
use crate::platform::incoming::{Head, Incoming};
use crate::platform::{clock, ids};
use celaest_domain::address::Address;
use celaest_durable::caller::Decision;
use std::cell::Cell;
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// Who called, for the log line.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallerLog {
    /// `user` or `api_key`.
    pub kind: Option<&'static str>,
    /// The tenant.
    pub organization: Option<Uuid>,
}

/// One request on its way through the house.
pub struct Call {
    /// Variables and secrets.
    pub config: &'static Config,
    /// What came before the body.
    pub head: Head,
    /// Echoed as `X-Request-Id`; in every log line and audit row.
    pub request_id: String,
    /// Of the answer.
    pub language: Language,
    /// The address of the connection.
    pub ip: String,
    /// `User-Agent`, cut at 500 characters.
    pub user_agent: Option<String>,
    /// When the request arrived, in milliseconds since the epoch.
    pub started_ms: i64,
    /// PostgreSQL, connected on first use.
    pub database: Database,
    env: Env,
    background: Background,
    incoming: Incoming,
    object_calls: Cell<u32>,
    quota: Cell<Option<Decision>>,
    caller: Cell<CallerLog>,
}

impl Call {
    /// Reads what the head says.
    pub fn new(
        config: &'static Config,
        head: Head,
        incoming: Incoming,
        env: Env,
        background: Background,
    ) -> Self {
        // A caller's own id is kept if it is harmless to log; otherwise ours.
        let request_id = head
            .request_id()
            .filter(|id| {
                id.len() <= 64
                    && id
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            })
            .map_or_else(|| ids::v4().to_string(), str::to_owned);
        Self {
            config,
            request_id,
            language: Language::negotiate(head.accept_language()),
            // The platform sets it; only a local caller can leave it out or write nonsense.
            ip: head
                .connecting_ip()
                .filter(|ip| Address::parse(ip).is_some())
                .unwrap_or("127.0.0.1")
                .to_owned(),
            user_agent: head.user_agent().map(clipped),
            started_ms: clock::now_ms(),
            database: Database::new(&env, background.clone()),
            head,
            env,
            background,
            incoming,
            object_calls: Cell::default(),
            quota: Cell::default(),
            caller: Cell::default(),
        }
    }

    /// The bindings.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The body, of at most `limit` bytes: nothing beyond that is read.
    ///
    /// # Errors
    /// 413 for a larger one, 400 when the caller breaks off.
    pub async fn body(&self, limit: usize) -> Result<Vec<u8>> {
        let announced = self.head.content_length();
        if announced.is_some_and(|length| length > limit) {
            return Err(Code::BodyTooLarge.into());
        }
        match self.incoming.body(limit).await {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(Code::BodyTooLarge.into()),
            Err(cause) => Err(Error {
                cause: Some(cause),
                ..Error::new(Code::InvalidBody)
            }),
        }
    }

    /// Ends when the caller has left before the end of the answer, which may be never.
    pub async fn left(&self) {
        self.incoming.left().await;
    }

    /// A transaction that sees what everybody may read, and no row of any tenant: for routes that are open.
    pub fn begin_open(&self) -> Tx {
        self.database.begin(Scope::Nobody, Actor::default())
    }

    /// Another connection, for work beside the request's own transaction.
    pub fn another_database(&self) -> Database {
        Database::new(&self.env, self.background.clone())
    }

    /// Lets `work` go on after the answer has left.
    pub fn background(&self, work: impl Future<Output = ()> + 'static) {
        (self.background)(Box::pin(work));
    }

    /// [`Call::background`] for those who are handed the way itself.
    pub fn in_background(&self) -> Background {
        self.background.clone()
    }

    /// Sends outbox messages on their way after the answer.
    pub fn publish(call: &Rc<Self>, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let same = call.clone();
        call.background(async move {
            // A failure here is not lost: the sweep finds the rows unsent.
            if let Err(error) = outbox::publish(&same.env, &same.database, &messages).await {
                log::warn(
                    &same.request_id,
                    "outbox messages left for the sweep",
                    &error,
                );
            }
        });
    }

    /// Milliseconds since the request arrived, as far as the platform's clock tells.
    pub fn age_ms(&self) -> i64 {
        clock::now_ms() - self.started_ms
    }

    /// Counts one call to a Durable Object.
    pub fn count_object_call(&self) {
        self.count_object_calls(1);
    }

    /// Counts so many calls to Durable Objects.
    pub fn count_object_calls(&self, count: usize) {
        let calls = self.object_calls.get();
        self.object_calls.set(calls + count as u32);
    }

    /// How many Durable Object calls were made so far.
    pub fn object_calls(&self) -> u32 {
        self.object_calls.get()
    }

    /// Remembers the rate limit for the response's headers.
    pub fn set_quota(&self, quota: Decision) {
        self.quota.set(Some(quota));
    }

    /// The rate limit, if one was applied.
    pub fn quota(&self) -> Option<Decision> {
        self.quota.get()
    }

    /// Remembers who called for the log line.
    pub fn set_caller(&self, caller: CallerLog) {
        self.caller.set(caller);
    }

    /// Who called, as far as known.
    pub fn caller(&self) -> CallerLog {
        self.caller.get()
    }
}

/// At most 500 characters of a header, without those that control terminals.
fn clipped(text: &str) -> String {
    match text.len() <= 500 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        true => text.to_owned(),
        false => {
            let harmless = text.chars().filter(|c| !c.is_control());
            harmless.take(500).collect()
        }
    }
}
