//! `POST /api/users/{id}/api-keys/{inner_id}/rotate`

use super::queries::{
    API_KEY, COLUMNS, Parts, Terms, check_room, insert, mine, of, public, shown, used,
};
use crate::db::facts::{Action, Fact};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Inner;
use crate::http::permit::{AccountWrite, ApiKeysWrite, OnPerson};
use crate::http::reply::Created;
use crate::identity::callers::Whom;
use crate::modules::users::model::{ApiKey, ApiKeyShown, Rotation};
use crate::modules::users::queries;
use crate::settings;
use celaest_domain::membership::Wish;
use serde_json::json;

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
    let by = used(&mut tx, &permit).await?;
    let this = of(&tx, permit.person).id(id);
    let before: Raw<ApiKey> = tx.one(this.clone().lock(COLUMNS), Code::NotFound).await?;
    let old = Parts::of(&before)?;
    let usual = settings::rate_limit_per_min(&permit.call);
    let worth = old.key(&permit, usual);
    permit.principal.powers().replaces(
        &owner.member(&permit)?,
        &worth,
        by.map(|by| by.term(usual)),
    )?;
    // The old one goes on beside the new one, unless there is no overlap.
    check_room(
        &mut tx,
        permit.person,
        i64::from(rotation.overlap_seconds > 0),
    )
    .await?;
    let using = permit.principal.api_key_id.filter(|_| !worth.is_callers);
    let terms = Terms {
        made_with: using.or(old.terms.made_with),
        spends_with: Some(id).filter(|_| old.terms.max_ai_cost_usd_per_month.is_some()),
        ..old.terms
    };
    let (made, secret) = insert(&mut tx, &permit, permit.person, &terms).await?;
    let fresh = made.tree();
    let set = Set::new()
        .to("replaced_by = {}::uuid", fresh["id"].as_str())
        .to(
            "expires_at = least(k.expires_at, now() + make_interval(secs => {}::integer))",
            rotation.overlap_seconds,
        );
    let after: Raw<ApiKey> = tx.one(this.set(set, COLUMNS), Code::NotFound).await?;
    // What was made with the old one goes on as long as the new one does.
    let children = mine(&tx).when("k.made_with = {}::uuid", Some(id));
    let set = Set::new().to("made_with = {}::uuid", fresh["id"].as_str());
    tx.finally(children.set(set, "k.id"));
    let (was, is) = (before.tree(), after.tree());
    tx.record(Fact {
        organization_id: Some(terms.organization_id),
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
