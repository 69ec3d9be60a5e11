//! `DELETE /api/plans/{id}`

use super::model::Plan;
use super::queries::{self, COLUMNS, PLAN, mine};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, PlansWrite};
use crate::http::reply::NoContent;

/// Takes a plan off the list. Licenses that have it keep it, and a change can offer it again.
pub async fn delete(
    permit: Permit<PlansWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new().fixed("is_active = false");
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let after: Raw<Plan> = tx.one(query, Code::PlanNotFound).await?;
    tx.record_ending(&PLAN, "plan.withdrawn", &before, &after);
    permit.commit(tx, NoContent::done()).await
}
