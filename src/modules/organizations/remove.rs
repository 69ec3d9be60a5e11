//! `DELETE /api/organizations/{id}`

use super::queries::{self, ORGANIZATION, mine};
use crate::db::{Set, Tx, sql};
use crate::error::{Code, Result};
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{OrganizationsDelete, Permit};
use crate::http::reply::NoContent;
use crate::identity::callers::Whom;
use crate::identity::person::CAME;
use crate::modules::licenses::many::{self, Whose};
use crate::modules::users::queries::lock_super_admins;
use uuid::Uuid;

/// Closes an organization: nobody of it signs in any more, and its licenses are no longer valid.
pub async fn remove(
    permit: Permit<OrganizationsDelete>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    // Nobody locks themselves out.
    if permit.principal.organization_id == Some(id) {
        return Err(Code::OwnAccount.into());
    }
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    super_admins_stay(&mut tx, id).await?;
    let set = Set::new().fixed("deleted_at = now()");
    let closing = mine(&tx).id(id).set(set, "o.id");
    tx.finally(closing);
    tx.record_end(&ORGANIZATION, "organization.deleted", &before);
    permit
        .forget_callers(&mut tx, Whom::Organization(id))
        .await?;
    many::changed(&mut tx, Whose::Organization(id)).await?;
    permit.commit(tx, NoContent::done()).await
}

/// Two super administrators who close each other's organization leave one of them.
async fn super_admins_stay(tx: &mut Tx, closing: Uuid) -> Result<()> {
    lock_super_admins(tx).await?;
    let others = sql(format!(
        "SELECT to_json(count(*))::text FROM users_profile u LEFT JOIN organizations o ON o.id = u.organization_id
         WHERE u.role = 'super_admin' AND u.deleted_at IS NULL AND {CAME}
           AND o.deleted_at IS NULL AND o.id IS DISTINCT FROM $1::uuid"
    ));
    match tx.value::<i64>(others.bind(closing)).await? {
        0 => Err(Code::LastAdmin.into()),
        _ => Ok(()),
    }
}
