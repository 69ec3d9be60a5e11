//! `POST /api/users/{id}/api-keys`

use super::queries::{COLUMNS, MINE, draw, of, public, record, shown};
use crate::db::facts::{Action, changes};
use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::permit::{AccountWrite, ApiKeysWrite, Over};
use crate::http::reply::Created;
use crate::modules::settings::current;
use crate::modules::users::model::{ApiKeyShown, NewApiKey};
use crate::modules::users::queries;
use crate::platform::clock;
use celaest_domain::access::Permissions;
use celaest_domain::membership::{Caller, Wish};
use serde_json::{Value, json};
use uuid::Uuid;

/// Makes an API key and shows it, this once.
pub async fn create(
    over: Over<AccountWrite, ApiKeysWrite>,
    Once(idempotency, Body(new)): Once<Body<NewApiKey>>,
) -> Result<Created<ApiKeyShown>> {
    if new.expires_at.is_some_and(|at| at.0 <= clock::now()) {
        return Err(Error::field("expires_at", "must be in the future"));
    }
    let powers = over.principal.powers();
    let wanted = Permissions::named(&new.scopes);
    powers.covers(wanted)?;
    let caller = over.caller();

    let mut tx = over.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let owner = queries::lock(&mut tx, over.person).await?.facts;
    // A key reaches as far as its owner does, whatever its scopes are.
    owner.allow(&over, Wish::Edit)?;
    let owners = Caller {
        role: owner.role()?,
        permissions: owner.permissions()?,
    };
    owners.covers(wanted)?;
    // A key works in one organization.
    let organization = owner
        .organization_id
        .ok_or_else(|| Error::new(Code::Conflict))?;
    let most = current::settings().api_keys_per_user();
    if count(&mut tx, over.person).await? >= i64::from(most) {
        return Err(Code::ApiKeyLimitReached.into());
    }
    let drawn = draw(&over.call)?;
    let inserted: Option<Value> = tx
        .row(
            sql(format!(
                "INSERT INTO user_api_keys AS k (user_id, organization_id, name, key_hash, key_prefix, scopes,
                   rate_limit_rpm, expires_at, created_by)
                 VALUES ($1::uuid, $2::uuid, $3, $4, $5,
                   ARRAY(SELECT jsonb_array_elements_text($6::jsonb)), $7::integer, $8::timestamptz, $9::uuid)
                 RETURNING {COLUMNS}"
            ))
            .bind(over.person)
            .bind(organization)
            .bind(&new.name)
            .bind(&drawn.hash)
            .bind(&drawn.prefix)
            .bind(json!(new.scopes))
            .bind(new.rate_limit_rpm)
            .bind(new.expires_at.map(|at| at.0))
            .bind(over.principal.user_id),
        )
        .await?;
    let row = inserted.ok_or_else(|| Error::internal("an inserted key was not returned"))?;
    record(
        &mut tx,
        Action::Create,
        "api_key.created",
        &row,
        changes(&Value::Null, &row),
        json!({ "api_key": public(&row) }),
    )?;
    let reply = Created::of(&shown(&row, &drawn.key)?);
    idempotency.settle_sealed(&mut tx, caller, &reply)?;
    over.commit(tx).await?;
    Ok(reply)
}

/// How many keys work and were not replaced: a rotation needs no room. The person's row is held, so nobody adds one meanwhile.
async fn count(tx: &mut Tx, person: Uuid) -> Result<i64> {
    let query = of(
        tx,
        person,
        format!(
            "SELECT to_json(count(*))::text FROM user_api_keys k
             WHERE {MINE} AND k.is_active AND (k.expires_at IS NULL OR k.expires_at > now()) AND k.replaced_by IS NULL"
        ),
    );
    tx.value(query).await
}
