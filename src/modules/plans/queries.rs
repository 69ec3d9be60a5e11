//! The SQL of plans.

use super::model::Plan;
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Tx};
use crate::error::{Code, Result};
use uuid::Uuid;

/// The columns of [`Plan`], from alias `p`.
pub const COLUMNS: &str =
    "p.id, p.code, p.name, p.description, p.price_monthly, p.price_yearly, p.currency, p.limits,
    p.features, p.is_active, p.is_public, p.sort_order, p.created_at, p.updated_at";

/// What the log learns of a plan. It is nobody's, so nobody outside is told.
pub const PLAN: Subject = Subject {
    kind: "plan",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The plans that the caller sees: those that are offered; for a super administrator all.
pub fn mine(tx: &Tx) -> Rows {
    let rows = Rows::of("subscription_plans", "p");
    match tx.scope().organization() {
        Some(_) => rows.only("p.is_active AND p.is_public"),
        None => rows,
    }
}

/// Reads one plan and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Raw<Plan>> {
    let query = mine(tx).id(id).lock(COLUMNS);
    tx.one(query, Code::PlanNotFound).await
}
