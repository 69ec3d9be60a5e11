//! One request: what is known of it before anybody is asked who is calling.

use crate::config::Config;
use crate::db::{Background, Database};
use crate::http::language::Language;
use crate::platform::clock;
use axum::http::HeaderMap;
use celaest_domain::address::Address;
use celaest_durable::rate_limit::Decision;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;
use worker::Env;
use worker::send::SendWrapper;

/// Who called, for the log line.
#[derive(Debug, Clone, Default)]
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
    env: SendWrapper<Env>,
    background: SendWrapper<Background>,
    object_calls: AtomicU32,
    quota: Mutex<Option<Decision>>,
    caller: Mutex<CallerLog>,
}

impl Call {
    /// Reads what the headers say.
    pub fn new(
        config: &'static Config,
        env: Env,
        background: Background,
        header: impl Fn(&str) -> Option<String>,
    ) -> Self {
        // A caller's own id is kept if it is harmless to log; otherwise ours.
        let request_id = header("x-request-id")
            .filter(|id| {
                (1..=64).contains(&id.len())
                    && id
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            })
            .unwrap_or_else(|| Uuid::new_v4().to_string());
        Self {
            config,
            request_id,
            language: Language::negotiate(header("accept-language").as_deref()),
            // The platform sets it; only a local caller can leave it out or write nonsense.
            ip: header("cf-connecting-ip")
                .filter(|ip| Address::parse(ip).is_some())
                .unwrap_or_else(|| "127.0.0.1".into()),
            user_agent: header("user-agent").map(|agent| {
                agent
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(500)
                    .collect()
            }),
            started_ms: clock::now_ms(),
            database: Database::new(&env, background.clone()),
            env: SendWrapper::new(env),
            background: SendWrapper::new(background),
            object_calls: AtomicU32::new(0),
            quota: Mutex::default(),
            caller: Mutex::default(),
        }
    }

    /// The bindings.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// Another connection, for work beside the request's own transaction.
    pub fn another_database(&self) -> Database {
        Database::new(&self.env, self.background.0.clone())
    }

    /// Lets `work` go on after the answer has left.
    pub fn background(&self, work: impl Future<Output = ()> + 'static) {
        (self.background)(Box::pin(work));
    }

    /// Counts one call to a Durable Object.
    pub fn count_object_call(&self) {
        self.object_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// How many Durable Object calls were made so far.
    pub fn object_calls(&self) -> u32 {
        self.object_calls.load(Ordering::Relaxed)
    }

    /// Remembers the rate limit for the response's headers.
    pub fn set_quota(&self, quota: Decision) {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner) = Some(quota);
    }

    /// The rate limit, if one was applied.
    pub fn quota(&self) -> Option<Decision> {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers who called for the log line.
    pub fn set_caller(&self, caller: CallerLog) {
        *self.caller.lock().unwrap_or_else(PoisonError::into_inner) = caller;
    }

    /// Who called, as far as known.
    pub fn caller(&self) -> CallerLog {
        self.caller
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A header's value as text, if it is there and printable.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
