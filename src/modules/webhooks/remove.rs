//! `DELETE /api/webhooks/{id}`

use super::object;
use super::queries::{self, WEBHOOK};
use crate::db::Set;
use crate::http::change::Outcome;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::Id;
use crate::http::permit::{Permit, WebhooksWrite};
use crate::http::reply::NoContent;

/// Deletes a webhook: nothing more is sent, what waits is dropped, and its secrets are gone. The log of
/// its deliveries stays.
pub async fn remove(
    permit: Permit<WebhooksWrite>,
    Id(id): Id,
    Once(key, NoBody): Once<NoBody>,
) -> Outcome<NoContent> {
    let mut tx = permit.begin_once(key).await?;
    let before = queries::lock(&mut tx, id).await?;
    let set = Set::new().fixed(
        "deleted_at = now(), secret_hash = '', secret_encrypted = '', previous_secrets = '[]'",
    );
    queries::set(&mut tx, id, set).await?;
    tx.record_end(&WEBHOOK, "webhook.deleted", &before.row);
    object::tell(&permit.call, &mut tx, id).await?;
    permit.commit(tx, NoContent::done()).await
}
