//! `GET /api/plans/{id}`

use super::model::Plan;
use super::queries::{COLUMNS, mine};
use crate::db::Raw;
use crate::error::{Code, Result};
use crate::http::params::Id;
use crate::http::permit::{Permit, PlansRead};
use crate::http::reply::Data;

/// Reads one plan.
pub async fn read(permit: Permit<PlansRead>, Id(id): Id) -> Result<Data<Plan>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let plan: Raw<Plan> = tx.only_one(query, Code::PlanNotFound).await?;
    Ok(Data::raw(&plan))
}
