//! `POST /api/ai/pool/keys`

use super::keys::Kept;
use super::lending::name_of;
use super::model::{AiKey, NewAiKey};
use super::notices;
use super::queries::{COLUMNS, KEY};
use crate::db::{Raw, Rows, Scope, Set, Tx};
use crate::error::{Code, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Access, AiKeysWrite, Permit};
use crate::http::reply::Created;
use celaest_domain::ai::provider::Provider;
use serde_json::json;
use uuid::Uuid;

/// Keys of one provider and owner. The object of a pool takes twice as many, so it does not matter that two
/// who come together may both take the last place.
const MOST_KEYS: u32 = 100;

/// Adds a key to a pool; it is used from the very next call on.
pub async fn create(
    permit: Permit<AiKeysWrite>,
    Once(key, Body(new)): Once<Body<NewAiKey>>,
) -> Outcome<Created<AiKey>> {
    let owner = owner(&permit, new.organization_id)?;
    let id = Uuid::new_v4();
    let kept = Kept::new(permit.call.config, id, new.provider, &new.key_value)?;
    let mut tx = permit.begin_once(key).await?;
    room(&mut tx, new.provider, owner).await?;
    let set = Set::new()
        .to("id = {}::uuid", id)
        .to("organization_id = {}::uuid", owner)
        .to("provider = {}::text::ai_provider", new.provider.as_str())
        .to("key_name = {}", new.key_name.trim())
        .to("rate_limit_rpm = {}::int", new.rate_limit_rpm)
        .to("rate_limit_tpm = {}::int", new.rate_limit_tpm)
        .to("rate_limit_rpd = {}::int", new.rate_limit_rpd)
        .when("priority = {}::int", new.priority)
        .when("weight = {}::int", new.weight)
        .to("notes = {}", new.notes)
        .to("metadata = {}::jsonb", json!(new.metadata))
        .to("expires_at = {}::timestamptz", new.expires_at);
    let query = kept
        .into_columns(set)
        .insert("ai_api_pool", "k", COLUMNS)
        .on("ai_api_pool_name_key", Code::AiKeyNameTaken)
        .on("ai_api_pool_fingerprint_key", Code::AiKeyTaken)
        .on(
            "ai_api_pool_organization_id_fkey",
            crate::error::Error::field("organization_id", "does not exist"),
        );
    let made: Raw<AiKey> = tx.one(query, Code::Internal).await?;
    tx.record_new(&KEY, "ai_key.created", &made);
    notices::tell(&mut tx, name_of(new.provider, owner));
    permit.commit(tx, Created::raw(&made)).await
}

/// Whose key a new one is: the caller's organization's; for a super administrator of the one that is named, or
/// the platform's.
fn owner(access: &Access, named: Option<Uuid>) -> Result<Option<Uuid>> {
    match access.scope() {
        Scope::System => Ok(named),
        Scope::Tenant { .. } | Scope::Nobody => access.organization(named).map(Some),
    }
}

async fn room(tx: &mut Tx, provider: Provider, owner: Option<Uuid>) -> Result<()> {
    let of_pool = Rows::of("ai_api_pool", "k")
        .when(
            "k.provider = {}::text::ai_provider",
            Some(provider.as_str()),
        )
        .when("k.organization_id = {}::uuid", owner);
    let of_pool = match owner {
        Some(_) => of_pool,
        None => of_pool.only("k.organization_id IS NULL"),
    };
    let count: u32 = tx.value(of_pool.count()).await?;
    match count < MOST_KEYS {
        true => Ok(()),
        false => Err(Code::AiKeyLimitReached.into()),
    }
}
