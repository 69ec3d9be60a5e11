//! `GET /api/users/{id}/sessions`, `DELETE /api/users/{id}/sessions/{inner_id}`

use super::model::Session;
use super::queries;
use crate::db::facts::{Action, Fact, changes};
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::params::{Inner, NoQuery, Query, first_page, offset, page_size};
use crate::http::permit::{AccountRead, AccountWrite, Over, UsersRead, UsersWrite};
use crate::http::reply::{Listing, NoContent};
use celaest_domain::membership::Wish;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The tenant in a statement's own WHERE, for `user_sessions s`; `$1` is the organization, `$2` whose.
const MINE: &str = "($1::uuid IS NULL OR s.organization_id = $1::uuid) AND s.user_id = $2::uuid";

/// Filters and the page.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "SessionFilters")]
pub struct Filters {
    /// Only those that go on, or only those that ended.
    pub is_active: Option<bool>,
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// Lists a person's sign-ins, the last used first.
pub async fn list(
    over: Over<AccountRead, UsersRead>,
    Query(filters): Query<Filters>,
) -> Result<Listing<Session>> {
    let mut tx = over.begin();
    queries::peek(&mut tx, over.person).await?;
    let current = over.principal.token.as_ref().map(|token| token.session);
    let query = sql(format!(
        "WITH found AS (
           SELECT s.id FROM user_sessions s WHERE {MINE} AND ($3 IS NULL OR s.is_active = $3::boolean)
         ), page AS (
           SELECT s.id, s.user_id,
             json_build_object('browser', s.device_info->'browser', 'os', s.device_info->'os',
               'device_type', s.device_info->'device_type') AS device_info,
             host(s.ip_address) AS ip_address, s.user_agent, s.is_active,
             s.session_token = coalesce($4, '') AS is_current, s.last_seen_at, s.created_at, s.ended_at
           FROM found f JOIN user_sessions s USING (id)
           ORDER BY s.last_seen_at DESC, s.id LIMIT $5::bigint OFFSET $6::bigint)
         SELECT json_build_object('total', (SELECT count(*) FROM found),
           'rows', (SELECT coalesce(json_agg(page), '[]') FROM page))::text"
    ))
    .bind(tx.scope().organization())
    .bind(over.person)
    .bind(filters.is_active)
    .bind(current)
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    Ok(Listing::new(
        tx.only_value(query).await?,
        filters.page,
        filters.per_page,
    ))
}

/// Ends a sign-in: its tokens are useless from now on. Ending it again changes nothing and is no error.
pub async fn end(
    over: Over<AccountWrite, UsersWrite>,
    Inner(id): Inner,
    _: NoQuery,
) -> Result<NoContent> {
    let mut tx = over.begin();
    let person = queries::peek(&mut tx, over.person).await?;
    person.facts.allow(&over, Wish::Edit)?;
    let ended: Option<Value> = tx
        .row(
            sql(format!(
                "UPDATE user_sessions s SET is_active = false, ended_at = now()
                 WHERE {MINE} AND s.id = $3::uuid
                 RETURNING old.is_active AS was_active, new.ended_at"
            ))
            .bind(tx.scope().organization())
            .bind(over.person)
            .bind(id),
        )
        .await?;
    let ended = ended.ok_or_else(|| Error::new(Code::NotFound))?;
    // Dropped otherwise, and with it the second end of what had ended.
    if ended["was_active"] == json!(true) {
        let before = json!({ "is_active": true, "ended_at": null });
        let after = json!({ "is_active": false, "ended_at": ended["ended_at"] });
        tx.record(Fact {
            id: Uuid::new_v4(),
            organization_id: person.facts.organization_id,
            action: Action::Update,
            event: "session.ended",
            resource_type: "session",
            resource_id: id,
            changes: changes(&before, &after),
            payload: None,
        });
        over.commit(tx).await?;
    }
    Ok(NoContent)
}
