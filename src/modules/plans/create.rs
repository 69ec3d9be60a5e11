//! `POST /api/plans`

use super::model::{DEFAULT_CURRENCY, NewPlan, Plan};
use super::queries::{COLUMNS, PLAN, are_payable};
use crate::db::{Raw, Set};
use crate::error::Code;
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{Permit, PlansWrite};
use crate::http::reply::Created;
use serde_json::json;

/// Makes a plan.
pub async fn create(
    permit: Permit<PlansWrite>,
    Once(key, Body(new)): Once<Body<NewPlan>>,
) -> Outcome<Created<Plan>> {
    let currency = new.currency.as_deref().unwrap_or(DEFAULT_CURRENCY);
    are_payable(
        currency,
        &[
            ("price_monthly", new.price_monthly),
            ("price_yearly", new.price_yearly),
        ],
    )?;
    let mut tx = permit.begin_once(key).await?;
    let query = Set::new()
        .to("code = {}", &new.code)
        .to("name = {}", &new.name)
        .to("description = {}", new.description.as_deref())
        .to("price_monthly = {}::numeric", new.price_monthly)
        .to("price_yearly = {}::numeric", new.price_yearly)
        .to("currency = {}", currency)
        .to("limits = {}::jsonb", json!(new.limits))
        .to("features = {}::jsonb", json!(new.features))
        .when("is_public = {}::boolean", new.is_public)
        .when("sort_order = {}::integer", new.sort_order)
        .insert("subscription_plans", "p", COLUMNS)
        .on("subscription_plans_code_key", Code::PlanCodeTaken);
    let plan: Raw<Plan> = tx.one(query, Code::Internal).await?;
    tx.record_new(&PLAN, "plan.created", &plan);
    permit.commit(tx, Created::raw(&plan)).await
}
