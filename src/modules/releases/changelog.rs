//! `GET /api/releases/{id}/changelog`

use super::model::{Changelog, ChangelogEntry, is_version};
use super::queries::public;
use crate::error::{Code, Result};
use crate::http::params::{Browser, Id, Query};
use crate::http::reply::{Data, Shared};
use celaest_domain::market::notes;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Releases in one answer.
const MOST: usize = 20;

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ChangelogQuery")]
pub struct Asked {
    /// The version before the first of interest. Default: the release alone.
    #[garde(custom(is_version))]
    pub from: Option<String>,
}

#[derive(Deserialize)]
struct Up {
    product_id: Uuid,
    version: String,
}

/// Says what changed in a release, and in those between it and a version before. Releases that were taken back
/// are left out, except the one that is asked about.
pub async fn read(
    Browser(call): Browser,
    Id(id): Id,
    Query(asked): Query<Asked>,
) -> Result<Shared<Data<Changelog>>> {
    let mut tx = call.begin_open();
    let query = public().id(id).read("r.product_id, r.version");
    let up: Up = tx.one(query, Code::ReleaseNotFound).await?;
    let rows = match &asked.from {
        None => public().id(id),
        Some(from) => public()
            .when("r.product_id = {}::uuid", Some(up.product_id))
            .when("r.version_order > version_order({})", Some(from))
            .when("r.version_order <= version_order({})", Some(&up.version))
            .when(
                "(r.status <> 'yanked' OR r.release_id = {}::uuid)",
                Some(id),
            ),
    };
    let query = rows.read(
        "r.release_id AS id, r.version, r.status, r.title, r.is_critical, r.published_at,
         r.release_notes AS markdown, NULL AS html",
    );
    let most = MOST + 1;
    let query = query.wrapped(|rows| format!("{rows} ORDER BY r.version_order DESC LIMIT {most}"));
    let mut entries: Vec<ChangelogEntry> = tx.only_rows(query).await?;
    let has_more = entries.len() > MOST;
    entries.truncate(MOST);
    for entry in &mut entries {
        entry.html = entry.markdown.as_deref().map(notes::html);
    }
    let changelog = Changelog {
        product_id: up.product_id,
        from: asked.from,
        to: up.version,
        entries,
        has_more,
    };
    Ok(Shared(Data::of(&changelog)))
}
