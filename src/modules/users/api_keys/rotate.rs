//! `POST /api/users/{id}/api-keys/{inner_id}/rotate`

use super::queries::{API_KEY, COLUMNS, Terms, insert, of, public, shown};
use crate::db::facts::{Action, Fact};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Inner;
use crate::http::permit::{AccountWrite, ApiKeysWrite, OnPerson};
use crate::http::reply::Created;
use crate::identity::callers::Whom;
use crate::modules::users::model::{ApiKey, ApiKeyShown, Rotation};
use crate::modules::users::queries;
use celaest_domain::membership::{Key, Wish};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// What is looked at of the old key.
#[derive(Deserialize)]
struct Parts {
    #[serde(flatten)]
    terms: Terms,
    is_active: bool,
    replaced_by: Option<Uuid>,
}

/// Makes a new key in a key's place. Both work until the overlap is over; neither works beyond the old
/// key's own expiry.
pub async fn rotate(
    permit: OnPerson<AccountWrite, ApiKeysWrite>,
    Inner(id): Inner,
    Once(key, Body(rotation)): Once<Body<Rotation>>,
) -> Outcome<Created<ApiKeyShown>> {
    let mut tx = permit.begin_once(key).await?;
    // Held, so that rotations of one person's keys come one after the other.
    let owner = queries::lock(&mut tx, permit.person).await?.facts;
    // A key reaches as far as its owner does, whatever its scopes are.
    owner.allow(&permit, Wish::Edit)?;
    let this = of(&tx, permit.person).id(id);
    let before: Raw<ApiKey> = tx.one(this.clone().lock(COLUMNS), Code::NotFound).await?;
    let old: Parts = serde_json::from_str(before.text()).map_err(Error::internal)?;
    let worth = Key {
        scopes: &old.terms.scopes,
        is_active: old.is_active,
        is_replaced: old.replaced_by.is_some(),
    };
    permit
        .principal
        .powers()
        .replaces(&owner.member(&permit)?, &worth)?;
    let (made, secret) = insert(&mut tx, &permit, permit.person, &old.terms).await?;
    let fresh = made.tree();
    let set = Set::new()
        .to("replaced_by = {}::uuid", fresh["id"].as_str())
        .to(
            "expires_at = least(k.expires_at, now() + make_interval(secs => {}::integer))",
            rotation.overlap_seconds,
        );
    let after: Raw<ApiKey> = tx.one(this.set(set, COLUMNS), Code::NotFound).await?;
    let (was, is) = (before.tree(), after.tree());
    tx.record(Fact {
        organization_id: Some(old.terms.organization_id),
        action: Action::Update,
        event: "api_key.rotated",
        resource_type: API_KEY.kind,
        resource_id: id,
        changes: API_KEY.changes(&was, &is),
        payload: Some(json!({
            "api_key": public(&fresh),
            "replaced": { "id": id, "expires_at": is["expires_at"] },
        })),
    });
    permit
        .forget_callers(&mut tx, Whom::Person(permit.person))
        .await?;
    permit.commit_secret(tx, shown(&made, &secret)).await
}
