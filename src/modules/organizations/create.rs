//! `POST /api/organizations`

use super::model::{Organization, OrganizationChanges};
use super::queries::{COLUMNS, SETTABLE, columns, record};
use crate::db::facts::{Action, changes};
use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::idempotency::Once;
use crate::http::permit::{OrganizationsCreate, Permit};
use crate::http::reply::{Created, Raw};
use celaest_domain::contact::slug_of;
use serde_json::{Value, json};
use uuid::Uuid;

/// Founds an organization.
pub async fn create(
    permit: Permit<OrganizationsCreate>,
    Once(idempotency, Body(new)): Once<Body<OrganizationChanges>>,
) -> Result<Created<Organization>> {
    let name = new.name.value().cloned();
    let name = name.ok_or_else(|| Error::field("name", "is required"))?;
    let caller = permit.caller();
    let mut tx = permit.begin();
    if let Some(stored) = idempotency.claim(&mut tx, caller).await? {
        return Ok(stored);
    }
    let mut given = columns(&mut tx, &new).await?;
    if !given.contains_key("slug") {
        let made = slug_of(&name)
            .ok_or_else(|| Error::field("slug", "is required, none can be made from the name"))?;
        given.insert("slug".into(), json!(made));
    }
    // Only the columns that were given: the others have their defaults.
    let (names, values): (Vec<_>, Vec<_>) = SETTABLE
        .iter()
        .filter(|(name, _)| given.contains_key(*name))
        .map(|(name, kind)| match *kind {
            "jsonb" => (*name, format!("$1::jsonb->'{name}'")),
            kind => (*name, format!("($1::jsonb->>'{name}')::{kind}")),
        })
        .unzip();
    let made: Option<Raw<Organization>> = tx
        .row(
            sql(format!(
                "INSERT INTO organizations AS o ({}) VALUES ({}) RETURNING {COLUMNS}",
                names.join(", "),
                values.join(", ")
            ))
            .bind(Value::Object(given))
            .on("organizations_slug_key", Code::SlugTaken),
        )
        .await?;
    let made = made.ok_or_else(|| Error::internal("an inserted organization was not returned"))?;
    let tree = made.tree();
    let id: Uuid = serde_json::from_value(tree["id"].clone()).map_err(Error::internal)?;
    let changes = changes(&Value::Null, &tree);
    record(
        &mut tx,
        id,
        Action::Create,
        "organization.created",
        &tree,
        changes,
    );
    let reply = Created::raw(&made);
    idempotency.settle(&mut tx, caller, &reply);
    permit.commit(tx).await?;
    Ok(reply)
}
