//! `GET /api/system/dead-letters` and `GET /api/system/dead-letters/{id}`

use super::model::{DeadLetter, OpenedLetter, Status};
use super::queries::{COLUMNS, KEY, letters};
use crate::db::{Listing, Raw};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{Permit, SystemRead};
use crate::http::reply::Data;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "DeadLetterFilters")]
pub struct Filters {
    /// Only this queue.
    #[garde(length(chars, max = 100))]
    pub queue: Option<String>,
    /// Only this status.
    pub status: Option<Status>,
}

/// Lists dead letters, those that came last first.
pub async fn list(
    permit: Permit<SystemRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<DeadLetter>> {
    let found = letters()
        .growing(KEY)
        .when("d.queue = {}", f.queue)
        .when("d.status = {}", f.status.map(Status::as_str));
    let by = "d.last_seen_at {}, d.id {}";
    permit.begin().page(found, COLUMNS, by, &page).await
}

/// Reads one dead letter with its message.
pub async fn read(permit: Permit<SystemRead>, Id(id): Id) -> Result<Data<OpenedLetter>> {
    let opened = format!("(SELECT row_to_json(l) FROM (SELECT {COLUMNS}) AS l) AS letter, d.body");
    let query = letters().id(id).read(&opened);
    let letter: Raw<OpenedLetter> = permit.begin().only_one(query, Code::NotFound).await?;
    Ok(Data::raw(&letter))
}
