//! `POST /api/users/{id}/api-keys`

use super::queries::{API_KEY, Terms, check_room, insert, shown, used};
use crate::db::Tx;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{AccountWrite, ApiKeysWrite, OnPerson};
use crate::http::reply::Created;
use crate::modules::organizations::subscription::limit;
use crate::modules::users::model::{ApiKeyShown, NewApiKey};
use crate::modules::users::queries;
use crate::platform::clock;
use crate::settings;
use celaest_domain::access::Permissions;
use celaest_domain::membership::{UNLIMITED, Wish};
use uuid::Uuid;

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
    // A key works in one organization.
    let organization_id = owner.organization_id.ok_or(Code::Conflict)?;
    let by = used(&mut tx, &permit).await?;
    let terms = Terms {
        organization_id,
        name: new.name,
        scopes: new.scopes,
        rate_limit_rpm: new
            .rate_limit_rpm
            .or(by.as_ref().and_then(|by| by.rate_limit_rpm)),
        expires_at: new
            .expires_at
            .map(|at| at.0)
            .or(by.as_ref().and_then(|by| by.expires_at)),
        made_with: permit.principal.api_key_id,
        max_ai_cost_usd_per_month: new
            .max_ai_cost_usd_per_month
            .or(by.as_ref().and_then(|by| by.max_ai_cost_usd_per_month)),
        // All that are made with a key that has a budget share it.
        spends_with: by
            .as_ref()
            .filter(|by| by.max_ai_cost_usd_per_month.is_some())
            .map(|by| by.id),
    };
    let usual = settings::rate_limit_per_min(&permit.call);
    let term = terms.term(usual);
    term.within(by.map(|by| by.term(usual)))?;
    if term.per_minute > usual {
        let most = most_per_minute(&mut tx, organization_id).await?;
        let powers = permit.principal.powers();
        powers.sets_rate(term.per_minute, usual, most)?;
    }
    check_room(&mut tx, permit.person, 1).await?;
    let (made, secret) = insert(&mut tx, &permit, permit.person, &terms).await?;
    tx.record_new(&API_KEY, "api_key.created", &made);
    permit.commit_secret(tx, shown(&made, &secret)).await
}

/// How often a minute a key of the organization may work at most: what its plan says, or the system.
async fn most_per_minute(tx: &mut Tx, organization: Uuid) -> Result<u32> {
    let plan = limit(tx, organization, "max_api_key_rate_per_min").await?;
    Ok(match plan {
        Some(UNLIMITED) => u32::MAX,
        Some(most) => u32::try_from(most).unwrap_or(0),
        None => settings::settings().api_key_rate_per_min(),
    })
}
