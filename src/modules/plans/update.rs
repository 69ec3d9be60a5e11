//! `PATCH /api/plans/{id}`

use super::model::{Plan, PlanChanges, Price};
use super::queries::{self, COLUMNS, PLAN, are_payable, mine};
use crate::db::{Raw, Set};
use crate::error::{Code, Error};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, PlansWrite};
use crate::http::reply::Data;
use crate::modules::licenses::many::{self, Whose};
use celaest_domain::json;
use serde::Deserialize;

/// What a plan costs.
#[derive(Deserialize)]
struct Costs {
    price_monthly: Option<Price>,
    price_yearly: Option<Price>,
    currency: String,
}

/// Changes a plan; its licenses are validated by what it says from then on.
pub async fn update(
    permit: Permit<PlansWrite>,
    Id(id): Id,
    Once(key, Body(wanted)): Once<Body<PlanChanges>>,
) -> Outcome<Data<Plan>> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let costs: Costs = json::read(before.text()).map_err(Error::internal)?;
    are_payable(
        &wanted.currency.over(costs.currency),
        &[
            (
                "price_monthly",
                wanted.price_monthly.or(costs.price_monthly, |price| *price),
            ),
            (
                "price_yearly",
                wanted.price_yearly.or(costs.price_yearly, |price| *price),
            ),
        ],
    )?;
    let set = Set::new()
        .patch("name = {}", &wanted.name)
        .patch("description = {}", &wanted.description)
        .patch("price_monthly = {}::numeric", &wanted.price_monthly)
        .patch("price_yearly = {}::numeric", &wanted.price_yearly)
        .patch("currency = {}", &wanted.currency)
        .patch_json("limits = {}::jsonb", &wanted.limits)
        // None is a list without entries.
        .patch_json("features = coalesce({}::jsonb, '[]')", &wanted.features)
        .patch("is_active = {}::boolean", &wanted.is_active)
        .patch("is_public = {}::boolean", &wanted.is_public)
        .patch("sort_order = {}::integer", &wanted.sort_order);
    let query = mine(&tx).id(id).set(set, COLUMNS);
    let after: Raw<Plan> = tx.one(query, Code::PlanNotFound).await?;
    tx.record_change(&PLAN, "plan.updated", &before, &after);
    let is_told =
        wanted.name.is_present() || wanted.limits.is_present() || wanted.features.is_present();
    if is_told {
        many::changed(&mut tx, Whose::Plan(id)).await?;
    }
    permit.commit(tx, Data::raw(&after)).await
}
