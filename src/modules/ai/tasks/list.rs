//! `GET /api/ai/tasks`

use super::model::{Status, Task};
use super::queries::{COLUMNS, KEY, mine};
use crate::db::Listing;
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{AiRead, Permit};
use crate::http::types::{Ident, Moment};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiTaskFilters")]
pub struct Filters {
    /// Only those that are here.
    pub status: Option<Status>,
    /// Only those of this batch.
    pub batch_id: Option<Ident>,
    /// Only those of this license.
    pub license_id: Option<Ident>,
    /// Only those of this person.
    pub user_id: Option<Ident>,
    /// Only those that were asked with this version of a prompt.
    pub prompt_id: Option<Ident>,
    /// Only those that were asked so: `task`, `chat`, `completion`, `process`.
    #[garde(length(chars, max = 50))]
    pub input_type: Option<String>,
    /// At or after.
    pub created_after: Option<Moment>,
    /// Before.
    pub created_before: Option<Moment>,
}

/// Lists tasks, the newest first.
pub async fn list(permit: Permit<AiRead>, Paged(f, page): Paged<Filters>) -> Result<Listing<Task>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .growing(KEY)
        .when("t.batch_id = {}::uuid", f.batch_id)
        .when("t.license_id = {}::uuid", f.license_id)
        .when("t.user_id = {}::uuid", f.user_id)
        .when("t.prompt_id = {}::uuid", f.prompt_id)
        .when("t.created_at >= {}::timestamptz", f.created_after)
        .when("t.created_at < {}::timestamptz", f.created_before)
        .sought("t.status = {}::task_status", f.status.map(Status::as_str))
        .sought("t.input_type = {}", f.input_type);
    tx.page(found, COLUMNS, "t.created_at {}, t.id {}", &page)
        .await
}
