//! Marks licenses as expired and tells their objects. Validation does not wait for this: the object
//! compares the dates itself. This is for lists, events and statistics, and so nothing is announced.

use super::notices;
use crate::db::facts::{Action, Fact};
use crate::db::{outbox, sql};
use crate::error::Result;
use crate::run::Run;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Licenses a step.
const STEP: u32 = 200;

#[derive(Deserialize)]
struct Expired {
    id: Uuid,
    organization_id: Uuid,
    license_key: String,
    was: String,
    /// The organization was closed: nobody is to be told.
    is_closed: bool,
}

/// Expires what is due; returns how many.
pub async fn expire(run: &Run) -> Result<u64> {
    let mut done = 0;
    loop {
        let mut tx = run.begin();
        let expired: Vec<Expired> = tx
            .value(
                sql("WITH due AS (
                       SELECT id, status FROM licenses
                       WHERE status IN ('active', 'trial')
                         AND (expires_at <= now() OR (status = 'trial' AND trial_ends_at <= now()))
                       ORDER BY expires_at LIMIT $1::bigint FOR NO KEY UPDATE SKIP LOCKED
                     ), done AS (
                       UPDATE licenses l SET status = 'expired' FROM due WHERE l.id = due.id
                       RETURNING l.id, l.organization_id, l.license_key, due.status AS was,
                         EXISTS (SELECT 1 FROM organizations o WHERE o.id = l.organization_id AND o.deleted_at IS NOT NULL) AS is_closed)
                     SELECT coalesce(json_agg(done), '[]')::text FROM done")
                .bind(STEP),
            )
            .await?;
        for license in &expired {
            tx.record(Fact {
                organization_id: Some(license.organization_id),
                action: Action::Update,
                event: "license.expired",
                resource_type: "license",
                resource_id: license.id,
                changes: json!({ "before": { "status": license.was }, "after": { "status": "expired" } }),
                payload: (!license.is_closed).then(|| json!({ "license": {
                    "id": license.id, "license_key": license.license_key, "status": "expired" } })),
            });
        }
        let messages = tx.commit().await?;
        let keys: Vec<String> = expired.iter().map(|one| one.license_key.clone()).collect();
        notices::forget_all(&run.env, &keys).await?;
        outbox::publish(&run.env, &run.database, &messages).await?;
        done += expired.len() as u64;
        if expired.len() < STEP as usize {
            return Ok(done);
        }
    }
}
