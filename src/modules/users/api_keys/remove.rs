//! `DELETE /api/users/{id}/api-keys/{inner_id}`

use super::queries::{API_KEY, COLUMNS, of};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Inner;
use crate::http::permit::{AccountWrite, ApiKeysWrite, OnPerson};
use crate::http::reply::NoContent;
use crate::identity::callers::Whom;
use crate::modules::users::model::ApiKey;
use crate::modules::users::queries;
use celaest_domain::membership::Wish;

/// Deletes an API key: the next request with it is refused.
pub async fn remove(
    permit: OnPerson<AccountWrite, ApiKeysWrite>,
    Inner(id): Inner,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let owner = queries::peek(&mut tx, permit.person).await?.facts;
    owner.allow(&permit, Wish::Edit)?;
    let this = of(&tx, permit.person).id(id);
    let before: Raw<ApiKey> = tx.one(this.clone().lock(COLUMNS), Code::NotFound).await?;
    let set = Set::new().fixed("is_active = false, revoked_at = now()");
    tx.finally(this.set(set, "k.id"));
    tx.record_end(&API_KEY, "api_key.deleted", &before);
    permit
        .forget_callers(&mut tx, Whom::Person(permit.person))
        .await?;
    permit.commit(tx, NoContent::done()).await
}
