//! `DELETE /api/webhooks/{id}`

use super::{object, queries};
use crate::db::facts::Action;
use crate::error::Result;
use crate::http::params::{Id, NoQuery};
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::NoContent;

/// Deletes a webhook: nothing more is sent, what waits is dropped, and its secrets are gone. The log of
/// its deliveries stays.
pub async fn remove(permit: Permit<WebhooksWrite>, Id(id): Id, _: NoQuery) -> Result<NoContent> {
    let mut tx = permit.begin();
    let before = queries::lock(&mut tx, id).await?;
    queries::set(
        &mut tx,
        id,
        "deleted_at = now(), secret_hash = '', secret_encrypted = '', previous_secret_encrypted = NULL,
         previous_encryption_key_version = NULL, previous_secret_expires_at = NULL",
        |query| query,
    )
    .await?;
    object::settle(
        &permit,
        tx,
        Action::Delete,
        "webhook.deleted",
        Some(&before.row),
        &before.row,
    )
    .await?;
    Ok(NoContent)
}
