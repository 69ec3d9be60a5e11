//! The keys that the platform begins with, from the worker's variables: each is taken once, whether it is kept,
//! changed or deleted afterwards.

use super::keys::Kept;
use super::lending::{forget_empty, name_of};
use super::model::AiKey;
use super::queries::{COLUMNS, KEY};
use crate::config::ai_keys_variable;
use crate::db::facts::Actor;
use crate::db::{Raw, Scope, sql};
use crate::error::{Error, Result};
use crate::log;
use crate::modules::ai::host::Host;
use celaest_durable::key_pool;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// Whether this isolate has looked: the variables do not change while it lives.
static DONE: AtomicBool = AtomicBool::new(false);

/// Takes up what was not taken up yet, and returns how many keys that were.
///
/// # Errors
/// When there is no key to encrypt with, or the database fails.
pub async fn import(host: &impl Host) -> Result<usize> {
    let config = host.config()?;
    if config.ai_keys.is_empty() || DONE.load(Ordering::Relaxed) {
        return Ok(0);
    }
    let mut wanted = Vec::with_capacity(config.ai_keys.len());
    for (place, (provider, key)) in config.ai_keys.iter().enumerate() {
        let id = Uuid::new_v4();
        let kept = Kept::new(config, id, *provider, key.expose())?;
        let variable = ai_keys_variable(*provider);
        let before = &config.ai_keys[..place];
        let number = 1 + before.iter().filter(|(other, _)| other == provider).count();
        let hint = kept.hint.as_deref().unwrap_or_default();
        wanted.push(json!({
            "id": id, "provider": provider, "variable": variable, "key_version": kept.key_version,
            "name": format!("{variable} {number} {hint}").trim_end(),
            "sealed": kept.sealed, "hint": kept.hint, "fingerprint": kept.fingerprint,
        }));
    }
    // On a connection of its own: others may be reading on the place's meanwhile.
    let database = host.another_database();
    let mut tx = database.begin(Scope::System, Actor::system(host.name()));
    let query = sql(format!(
        "WITH wanted AS (
           SELECT DISTINCT ON (fingerprint) * FROM jsonb_to_recordset($1::jsonb) AS w(id uuid, provider text,
             variable text, key_version int, name text, sealed text, hint text, fingerprint text)
         ), taken AS (
           INSERT INTO ai_key_imports (key_fingerprint, variable) SELECT fingerprint, variable FROM wanted
           ON CONFLICT DO NOTHING RETURNING key_fingerprint
         ), made AS (
         INSERT INTO ai_api_pool AS k (id, provider, key_name, key_value_encrypted, encryption_key_version, key_hint,
           key_fingerprint)
         SELECT id, provider::ai_provider, name, decode(sealed, 'hex'), key_version, hint, fingerprint
         FROM wanted JOIN taken ON taken.key_fingerprint = wanted.fingerprint
         ON CONFLICT DO NOTHING RETURNING {COLUMNS})
         SELECT coalesce(json_agg(made), '[]')::text FROM made"
    ));
    let made: Vec<Raw<AiKey>> = tx.value(query.bind(json!(wanted))).await?;
    for key in &made {
        tx.record_new(&KEY, "ai_key.imported", key);
    }
    tx.commit().await?;
    database.close();
    DONE.store(true, Ordering::Relaxed);
    if made.is_empty() {
        return Ok(0);
    }
    log::info(
        host.name(),
        "keys of AI providers were imported",
        json!({ "keys": made.len() }),
    );
    let mut providers: Vec<_> = config
        .ai_keys
        .iter()
        .map(|(provider, _)| *provider)
        .collect();
    providers.dedup();
    for provider in providers {
        let pool = name_of(provider, None);
        forget_empty(&pool);
        host.count_object_call();
        let told = key_pool::forget(host.env(), &pool, Uuid::new_v4()).await;
        told.map_err(Error::unavailable)?;
    }
    Ok(made.len())
}
