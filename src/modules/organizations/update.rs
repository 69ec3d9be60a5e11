//! `PATCH /api/organizations/{id}`

use super::model::{Organization, OrganizationChanges};
use super::queries::{self, COLUMNS, MINE, SETTABLE, mine, record};
use crate::db::facts::{Action, changes};
use crate::db::patched;
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::params::Id;
use crate::http::permit::{OrganizationsWrite, Permit};
use crate::http::reply::{Data, Raw};
use celaest_domain::access::Role;
use serde_json::{Value, json};

/// Changes an organization. Its limits are what it pays for, so only a super administrator sets them.
pub async fn update(
    permit: Permit<OrganizationsWrite>,
    Id(id): Id,
    Body(wanted): Body<OrganizationChanges>,
) -> Result<Data<Organization>> {
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx, id).await?;
    if permit.principal.role != Role::SuperAdmin {
        let limits = [
            ("max_users", wanted.max_users.is_present()),
            (
                "max_api_calls_per_month",
                wanted.max_api_calls_per_month.is_present(),
            ),
        ];
        if let Some((name, _)) = limits.into_iter().find(|(_, is_given)| *is_given) {
            let problem = json!({ "fields": { name: ["only super_admin may set it"] } });
            return Err(Error::new(Code::Forbidden).with_details(problem));
        }
    }
    let given = queries::columns(&mut tx, &wanted).await?;
    let update = mine(
        &tx,
        format!(
            "UPDATE organizations o SET {} WHERE {MINE} AND o.id = $2::uuid RETURNING {COLUMNS}",
            patched("o", "$3", &SETTABLE)
        ),
    )
    .bind(id)
    .bind(Value::Object(given))
    .on("organizations_slug_key", Code::SlugTaken);
    let after: Option<Raw<Organization>> = tx.row(update).await?;
    let after = after.ok_or_else(|| Error::new(Code::OrganizationNotFound))?;
    let tree = after.tree();
    let changes = changes(&before, &tree);
    // Setting what already is so is no event.
    if changes["after"] != json!({}) {
        record(
            &mut tx,
            id,
            Action::Update,
            "organization.updated",
            &tree,
            changes,
        );
    }
    permit.commit(tx).await?;
    Ok(Data::raw(&after))
}
