//! `PATCH /api/ai/pool/keys/{id}`

use super::keys::Kept;
use super::model::{AiKey, AiKeyChanges};
use super::notices;
use super::queries::{self, COLUMNS, KEY, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{AiKeysWrite, Permit};
use crate::http::reply::Data;

/// Changes a key, takes it out of use or puts it back; the very next call goes by it.
pub async fn update(
    permit: Permit<AiKeysWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<AiKeyChanges>>,
) -> Outcome<Data<AiKey>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let mut set = Set::new()
        .patch("key_name = {}", &wanted.key_name)
        .patch("is_active = {}::boolean", &wanted.is_active)
        .patch("rate_limit_rpm = {}::int", &wanted.rate_limit_rpm)
        .patch("rate_limit_tpm = {}::int", &wanted.rate_limit_tpm)
        .patch("rate_limit_rpd = {}::int", &wanted.rate_limit_rpd)
        .patch("priority = {}::int", &wanted.priority)
        .patch("weight = {}::int", &wanted.weight)
        .patch("notes = {}", &wanted.notes)
        .patch_json("metadata = coalesce({}::jsonb, '{}')", &wanted.metadata)
        .patch("expires_at = {}::timestamptz", &wanted.expires_at);
    if let Some(value) = wanted.key_value.value() {
        set = Kept::new(permit.call.config, id, before.provider, value)?.into_columns(set);
    }
    let clean = wanted.key_value.is_present() || wanted.is_active.value() == Some(&true);
    if clean {
        set = set.fixed(
            "generation = k.generation + 1, is_healthy = true, state = 'active', state_reason = NULL,
             state_since = NULL, cooling_until = NULL, consecutive_failures = 0",
        );
    }
    let query = mine(&tx)
        .id(id)
        .set(set, COLUMNS)
        .on("ai_api_pool_name_key", Code::AiKeyNameTaken)
        .on("ai_api_pool_fingerprint_key", Code::AiKeyTaken);
    let after: Raw<AiKey> = tx.one(query, Code::AiKeyNotFound).await?;
    tx.record_change(&KEY, "ai_key.updated", &before.row, &after);
    notices::tell(&mut tx, before.pool);
    permit.commit(tx, Data::raw(&after)).await
}
