//! `POST /api/users/{id}/api-keys`

use super::queries::{API_KEY, Terms, insert, of, shown};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AccountWrite, ApiKeysWrite, OnPerson};
use crate::http::reply::Created;
use crate::modules::users::model::{ApiKeyShown, NewApiKey};
use crate::modules::users::queries;
use crate::platform::clock;
use crate::settings;
use celaest_domain::access::Permissions;
use celaest_domain::membership::{Wish, has_room};

/// Makes an API key and shows it, this once.
pub async fn create(
    permit: OnPerson<AccountWrite, ApiKeysWrite>,
    Once(key, Body(new)): Once<Body<NewApiKey>>,
) -> Outcome<Created<ApiKeyShown>> {
    if new.expires_at.is_some_and(|at| at.0 <= clock::now()) {
        return Err(Error::field("expires_at", "must be in the future").into());
    }
    let wanted = Permissions::named(&new.scopes);
    permit.principal.powers().covers(wanted)?;
    let mut tx = permit.begin_once(key).await?;
    // Held, so that nobody adds a key while they are counted.
    let owner = queries::lock(&mut tx, permit.person).await?.facts;
    // A key reaches as far as its owner does, whatever its scopes are.
    owner.allow(&permit, Wish::Edit)?;
    owner.powers()?.covers(wanted)?;
    let terms = Terms {
        // A key works in one organization.
        organization_id: owner.organization_id.ok_or(Code::Conflict)?,
        name: new.name,
        scopes: new.scopes,
        rate_limit_rpm: new.rate_limit_rpm,
        expires_at: new.expires_at.map(|at| at.0),
    };
    // Those that work and were not replaced: a rotation needs no room.
    let there = of(&tx, permit.person).only(
        "k.is_active AND (k.expires_at IS NULL OR k.expires_at > now()) AND k.replaced_by IS NULL",
    );
    let most = settings::settings().api_keys_per_user();
    if !has_room(most.into(), tx.value(there.count()).await?) {
        return Err(Code::ApiKeyLimitReached.into());
    }
    let (made, secret) = insert(&mut tx, &permit, permit.person, &terms).await?;
    tx.record_new(&API_KEY, "api_key.created", &made);
    permit.commit_secret(tx, shown(&made, &secret)).await
}
