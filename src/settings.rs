//! What the settings are now, for the rest of the worker.
//!
//! Each isolate remembers them. They are renewed in passing, by the statement that finds out who is
//! calling, and, where nobody signs in (the validations), behind the answer on a connection of its own:
//! so a change is felt everywhere within a minute, and no request waits or spends a statement for it.

use crate::db::facts::Actor;
use crate::db::{Database, Scope, sql};
use crate::error::Result;
use crate::call::Call;
use crate::log;
use crate::platform::clock;
use celaest_domain::settings::Stored;
use celaest_durable::license::CurrentSettings;
use serde::Deserialize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Age in milliseconds at which the settings are read again.
const RENEW_AFTER_MS: i64 = 25_000;
/// Pause in milliseconds between two attempts to read them behind an answer.
const ATTEMPT_EVERY_MS: i64 = 10_000;

/// The settings in a statement's column `settings`. Sensitive ones stay in the database.
const COLUMN: &str =
    "(SELECT json_object_agg(key, value) FROM system_config WHERE NOT is_sensitive) AS settings";

/// The settings as one read showed them.
#[derive(Clone)]
struct Known {
    values: Arc<Stored>,
    /// The part that goes with every validation.
    edge: CurrentSettings,
    /// When the reading began, in Unix milliseconds: every change committed before is in them.
    read_at: i64,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
static NEXT_ATTEMPT: AtomicI64 = AtomicI64::new(0);

fn known() -> Option<Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn is_due(now: i64) -> bool {
    known().is_none_or(|known| now - known.read_at >= RENEW_AFTER_MS)
}

/// The settings as this isolate knows them; the defaults until they were read. Never waits. Behind a
/// `Permit` they are younger than a minute.
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
    if is_due(call.started_ms) {
        renew_behind(call);
    }
    known().map(|known| known.edge)
}

/// The column `settings` for a statement that is run anyway: the settings when they are due to be read,
/// NULL otherwise. What comes back goes to [`learn`].
pub fn column(call: &Call) -> &'static str {
    if is_due(call.started_ms) {
        COLUMN
    } else {
        "NULL AS settings"
    }
}

/// Takes up settings whose reading began at `read_at`, unless newer ones are known.
pub fn learn(values: Stored, read_at: i64) {
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
    let began = clock::now_ms();
    if NEXT_ATTEMPT.load(Ordering::Relaxed) > began {
        return;
    }
    NEXT_ATTEMPT.store(began + ATTEMPT_EVERY_MS, Ordering::Relaxed);
    let database = call.another_database();
    let request_id = call.request_id.clone();
    call.background(async move {
        let read = database
            .begin(Scope::System, Actor::default())
            .only_row::<Renewed>(sql(format!("SELECT {COLUMN}")));
        match read.await {
            Ok(renewed) => learn(
                renewed.and_then(|row| row.settings).unwrap_or_default(),
                began,
            ),
            // The old ones stand until it works.
            Err(error) => log::warn(&request_id, "the settings were not read", &error),
        }
        database.close();
    });
}

#[derive(Deserialize)]
struct Renewed {
    settings: Option<Stored>,
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
        let now = clock::now_ms();
        assert!(is_due(now));
        learn(stored(5), now);
        learn(stored(4), now - 1);
        assert_eq!(settings().rate_limit_per_min(), Some(5));
        assert!(!is_due(now + RENEW_AFTER_MS - 1) && is_due(now + RENEW_AFTER_MS));
        learn(stored(6), now + 1);
        assert_eq!(settings().rate_limit_per_min(), Some(6));
    }
}
