//! `DELETE /api/users/{id}/api-keys/{inner_id}`

use super::queries::{API_KEY, COLUMNS, Parts, end_with, of, used};
use crate::db::Raw;
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Inner;
use crate::http::permit::{AccountWrite, ApiKeysWrite, OnPerson};
use crate::http::reply::NoContent;
use crate::modules::users::model::ApiKey;
use crate::modules::users::queries;
use crate::settings;
use celaest_domain::membership::Wish;

/// Deletes an API key and what was made with it: the next request with one of them is refused.
pub async fn remove(
    permit: OnPerson<AccountWrite, ApiKeysWrite>,
    Inner(id): Inner,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let owner = queries::lock(&mut tx, permit.person).await?.facts;
    owner.allow(&permit, Wish::Edit)?;
    let by = used(&mut tx, &permit).await?;
    let this = of(&tx, permit.person).id(id).lock(COLUMNS);
    let before: Raw<ApiKey> = tx.one(this, Code::NotFound).await?;
    let parts = Parts::of(&before)?;
    let usual = settings::rate_limit_per_min(&permit.call);
    permit.principal.powers().ends(
        &owner.member(&permit)?,
        &parts.key(&permit, usual),
        by.map(|by| by.term(usual)),
    )?;
    for ended in end_with(&permit, &mut tx, "k.id", id).await? {
        tx.record_end(&API_KEY, "api_key.deleted", &ended);
    }
    permit.commit(tx, NoContent::done()).await
}
