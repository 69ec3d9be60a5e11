//! `POST /api/users/{id}/api-keys/{inner_id}/rotate`

use super::queries::{COLUMNS, MINE, columns_of, draw, of, public, record, shown};
use crate::db::Tx;
use crate::db::facts::{Action, changes};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::params::Inner;
use crate::http::permit::{AccountWrite, ApiKeysWrite, Over};
use crate::http::reply::Created;
use crate::modules::users::model::{ApiKeyShown, Rotation};
use crate::modules::users::queries;
use celaest_domain::access::effective;
use celaest_domain::membership::Wish;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// What the rules look at.
#[derive(Deserialize)]
struct Facts {
    scopes: Vec<String>,
    is_active: bool,
    replaced_by: Option<Uuid>,
}

/// Makes a new key in a key's place. Both work until the overlap is over; neither works beyond the old
/// key's own expiry.
pub async fn rotate(
    over: Over<AccountWrite, ApiKeysWrite>,
    Inner(id): Inner,
    Once(idempotency, Body(rotation)): Once<Body<Rotation>>,
) -> Result<Created<ApiKeyShown>> {
    let caller = over.caller();
    let mut tx = over.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    // Held, so that rotations of one person's keys come one after the other.
    let owner = queries::lock(&mut tx, over.person).await?.facts;
    // A key reaches as far as its owner does, whatever its scopes are.
    owner.allow(&over, Wish::Edit)?;
    let before = lock(&mut tx, over.person, id).await?;
    let facts = Facts::deserialize(&before).map_err(Error::internal)?;
    // Whoever rotates a key holds the new one afterwards.
    let holds = effective(owner.role()?, &owner.scopes, Some(&facts.scopes));
    over.principal.powers().covers(holds)?;
    if !facts.is_active || facts.replaced_by.is_some() {
        return Err(Code::ApiKeyEnded.into());
    }
    let drawn = draw(&over.call)?;
    let made = of(
        &tx,
        over.person,
        format!(
            "INSERT INTO user_api_keys AS n (user_id, organization_id, name, key_hash, key_prefix, scopes,
               rate_limit_rpm, expires_at, created_by)
             SELECT k.user_id, k.organization_id, k.name, $4, $5, k.scopes, k.rate_limit_rpm, k.expires_at, $6::uuid
             FROM user_api_keys k WHERE {MINE} AND k.id = $3::uuid
             RETURNING {}",
            columns_of("n")
        ),
    )
    .bind(id)
    .bind(&drawn.hash)
    .bind(&drawn.prefix)
    .bind(over.principal.user_id);
    let made: Option<Value> = tx.row(made).await?;
    let made = made.ok_or_else(|| Error::internal("an inserted key was not returned"))?;
    let replaced = of(
        &tx,
        over.person,
        format!(
            "UPDATE user_api_keys k SET replaced_by = $4::uuid,
               expires_at = least(k.expires_at, now() + make_interval(secs => $5::integer))
             WHERE {MINE} AND k.id = $3::uuid RETURNING {COLUMNS}"
        ),
    )
    .bind(id)
    .bind(made["id"].as_str().unwrap_or_default())
    .bind(rotation.overlap_seconds);
    let after: Option<Value> = tx.row(replaced).await?;
    let after = after.ok_or_else(|| Error::new(Code::NotFound))?;
    let payload = json!({
        "api_key": public(&made),
        "replaced": { "id": id, "expires_at": after["expires_at"] },
    });
    record(
        &mut tx,
        Action::Update,
        "api_key.rotated",
        &after,
        changes(&before, &after),
        payload,
    )?;
    let reply = Created::of(&shown(&made, &drawn.key)?);
    idempotency.settle_sealed(&mut tx, caller, &reply)?;
    over.commit(tx).await?;
    Ok(reply)
}

async fn lock(tx: &mut Tx, person: Uuid, id: Uuid) -> Result<Value> {
    let query = of(
        tx,
        person,
        format!(
            "SELECT {COLUMNS} FROM user_api_keys k WHERE {MINE} AND k.id = $3::uuid FOR NO KEY UPDATE OF k"
        ),
    )
    .bind(id);
    let row: Option<Value> = tx.row(query).await?;
    row.ok_or_else(|| Error::new(Code::NotFound))
}
