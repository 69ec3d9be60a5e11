//! `GET /api/users/{id}/sessions`, `DELETE /api/users/{id}/sessions/{inner_id}`

use super::model::Session;
use super::queries;
use crate::db::{Listing, Raw, Rows, Set, Tx};
use crate::error::{Code, Result};
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::{Inner, Paged};
use crate::http::permit::{AccountRead, AccountWrite, OnPerson, UsersRead, UsersWrite};
use crate::http::reply::NoContent;
use crate::identity::callers::Whom;
use crate::identity::session::SESSION;
use celaest_domain::membership::Wish;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Sign-ins in the caller's reach.
fn mine(tx: &Tx) -> Rows {
    Rows::of("user_sessions", "s").when("s.organization_id = {}::uuid", tx.scope().organization())
}

/// What the log learns of a sign-in's end.
const STATE: &str = "s.id, s.is_active, s.ended_at";

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "SessionFilters")]
pub struct Filters {
    /// Only those that go on, or only those that ended.
    pub is_active: Option<bool>,
}

/// Lists a person's sign-ins, the last used first.
pub async fn list(
    permit: OnPerson<AccountRead, UsersRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Session>> {
    let tx = permit.begin();
    let person = queries::mine(&tx).id(permit.person);
    let found = mine(&tx)
        .within(person, "s.user_id", Code::UserNotFound)
        .when("s.is_active = {}::boolean", f.is_active);
    let is_current = match &permit.principal.token {
        // A UUID has nothing that means anything in SQL.
        Some(token) => format!("s.session_token = '{}'", token.session),
        None => "false".into(),
    };
    let columns = format!(
        "s.id, s.user_id,
         json_build_object('browser', s.device_info->'browser', 'os', s.device_info->'os',
           'device_type', s.device_info->'device_type') AS device_info,
         host(s.ip_address) AS ip_address, s.user_agent, s.is_active, {is_current} AS is_current,
         s.last_seen_at, s.created_at, s.ended_at"
    );
    tx.page(found, &columns, "s.last_seen_at {}, s.id {}", &page)
        .await
}

/// Ends a sign-in: its tokens are useless from now on. Ending it again changes nothing and is no error.
pub async fn end(
    permit: OnPerson<AccountWrite, UsersWrite>,
    Inner(id): Inner,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let person = queries::peek(&mut tx, permit.person).await?;
    person.facts.allow(&permit, Wish::Edit)?;
    let this = mine(&tx)
        .id(id)
        .when("s.user_id = {}::uuid", Some(permit.person));
    let before: Raw<Value> = tx.one(this.clone().lock(STATE), Code::NotFound).await?;
    let set = Set::new().fixed("is_active = false, ended_at = now()");
    let ended = tx.row(this.only("s.is_active").set(set, STATE)).await?;
    if let Some(after) = ended {
        tx.record_change(&SESSION, "session.ended", &before, &after);
        let whom = Whom::Person(permit.person);
        permit.forget_callers(&mut tx, whom).await?;
    }
    permit.commit(tx, NoContent::done()).await
}
