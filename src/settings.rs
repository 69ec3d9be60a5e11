//! What the settings are now, for the rest of the worker.
//!
//! Each isolate remembers them, and renews them behind an answer on a connection of its own: so a change
//! is felt everywhere within a minute, and no request waits or spends a statement for it.

use crate::call::Call;
use crate::db::facts::Actor;
use crate::db::{Database, Scope, sql};
use crate::error::Result;
use crate::log;
use crate::platform::clock;
use celaest_domain::settings::Stored;
use celaest_durable::license::CurrentSettings;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Age in milliseconds at which the settings are read again.
const RENEW_AFTER_MS: i64 = 25_000;
/// Age in milliseconds at which nobody is judged by them any more.
const OLD_AFTER_MS: i64 = 55_000;
/// Pause in milliseconds between two attempts to read them behind an answer.
const ATTEMPT_EVERY_MS: i64 = 10_000;

/// The settings as one read showed them.
#[derive(Clone)]
struct Known {
    values: Arc<Stored>,
    /// The part that goes with every validation.
    edge: CurrentSettings,
    /// When the reading began ([`begins`]): every change committed before is in them.
    read_at: i64,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
static NEXT_ATTEMPT: AtomicI64 = AtomicI64::new(0);
static LAST_READING: AtomicI64 = AtomicI64::new(0);

fn known() -> Option<Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn is_due(now: i64) -> bool {
    known().is_none_or(|known| now - known.read_at >= RENEW_AFTER_MS)
}

/// The settings as this isolate knows them; the defaults until they were read. Never waits.
pub fn settings() -> Arc<Stored> {
    known().map(|known| known.values).unwrap_or_default()
}

/// Requests a minute for a caller without a limit of its own.
pub fn rate_limit_per_min(call: &Call) -> u32 {
    let set = settings().rate_limit_per_min();
    set.unwrap_or(call.config.rate_limit_per_min)
}

/// What goes with a validation to its license's object, whose snapshot may be older. Nothing when
/// nothing is known yet: then the snapshot's own count.
pub fn for_edge(call: &Call) -> Option<CurrentSettings> {
    keep_fresh(call);
    known().map(|known| known.edge)
}

/// Reads the settings behind the answer when they are due.
fn keep_fresh(call: &Call) {
    if is_due(call.started_ms) {
        renew_behind(call);
    }
}

/// For callers who sign in: what they are judged by is younger than a minute. Only after a silence is
/// there something to wait for, and only one request waits for it.
pub async fn fresh(call: &Call) {
    let now = call.started_ms;
    if known().is_some_and(|known| now - known.read_at < OLD_AFTER_MS) {
        keep_fresh(call);
    } else if is_my_turn() {
        let database = call.another_database();
        renew(&database, &call.request_id).await;
        database.close();
    }
}

/// Whether it is time for another attempt, and nobody else makes it.
fn is_my_turn() -> bool {
    let now = clock::now_ms();
    let mine = NEXT_ATTEMPT.load(Ordering::Relaxed) <= now;
    if mine {
        NEXT_ATTEMPT.store(now + ATTEMPT_EVERY_MS, Ordering::Relaxed);
    }
    mine
}

/// A reading begins now: when, in Unix milliseconds, and later than any before it, also within one millisecond.
fn begins() -> i64 {
    let now = clock::now_ms();
    let after = |last: i64| now.max(last + 1);
    let last = LAST_READING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
        Some(after(last))
    });
    after(last.unwrap_or_default())
}

/// Takes up settings whose reading began at `read_at`, unless newer ones are known.
fn learn(values: Stored, read_at: i64) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.as_ref().is_none_or(|known| known.read_at <= read_at) {
        *known = Some(Known {
            edge: CurrentSettings {
                values: values.licenses(),
                read_at,
            },
            values: Arc::new(values),
            read_at,
        });
    }
}

/// Reads the settings, the sensitive ones still sealed: for consumers and jobs, which have no request
/// to be quick for.
///
/// # Errors
/// When the database fails.
pub async fn read(database: &Database) -> Result<Stored> {
    database
        .begin(Scope::System, Actor::default())
        .only_value(sql(
            "SELECT coalesce(json_object_agg(key, value), '{}')::text FROM system_config",
        ))
        .await
}

/// Reads the settings after the answer, on a connection of its own.
fn renew_behind(call: &Call) {
    if !is_my_turn() {
        return;
    }
    let (database, request_id) = (call.another_database(), call.request_id.clone());
    call.background(async move {
        renew(&database, &request_id).await;
        database.close();
    });
}

/// Reads what was changed a moment ago, so that this isolate goes by it at once. The change's own transaction is no
/// measure of that: another's may have been committed after it, and be known already.
pub async fn changed(call: &Call) {
    renew(&call.database, &call.request_id).await;
}

async fn renew(database: &Database, request_id: &str) {
    let began = begins();
    let read = database
        .begin(Scope::System, Actor::default())
        .only_value::<Option<Stored>>(sql(
            "SELECT json_object_agg(key, value)::text FROM system_config WHERE NOT is_sensitive",
        ));
    match read.await {
        Ok(values) => learn(values.unwrap_or_default(), began),
        // The old ones stand until it works.
        Err(error) => log::warn(request_id, "the settings were not read", &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_older_reading_never_replaces_a_newer_one() {
        let stored = |limit: u32| {
            serde_json::from_value::<Stored>(json!({ "api.rate_limit_per_min": limit })).unwrap()
        };
        // In whichever order their answers come, and however soon after each other they began.
        let readings: Vec<_> = (0..1_000).map(|_| begins()).collect();
        assert!(readings.is_sorted_by(|one, next| one < next));
        let (&older, &newer) = (&readings[0], &readings[999]);
        assert!(is_due(newer));
        learn(stored(5), newer);
        learn(stored(4), older);
        learn(stored(3), readings[998]);
        assert_eq!(settings().rate_limit_per_min(), Some(5));
        assert!(!is_due(newer + RENEW_AFTER_MS - 1) && is_due(newer + RENEW_AFTER_MS));
        learn(stored(6), begins());
        assert_eq!(settings().rate_limit_per_min(), Some(6));
    }
}
