//! The license that tasks use: it is looked at when they are handed in, so that nobody waits for what cannot be
//! done, and its object says whether a call would be let in now. When they are done, it decides.

use crate::db::sql;
use crate::error::{Code, Error, Result};
use crate::http::permit::Access;
use crate::modules::ai::engine::{self, Ask};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// Tasks in a batch where neither license nor plan says.
const DEFAULT_BATCH: usize = 10;
/// Tasks in a batch where there is no limit: what one request can hold.
pub const MOST_IN_BATCH: usize = 10_000;

/// A license in force.
pub struct License {
    /// Which one.
    pub id: Uuid,
    /// Its vendor.
    pub organization: Uuid,
    /// Tasks that a batch may have.
    pub batch: usize,
    /// Where its object is.
    key: String,
    /// It allows none at a time.
    is_closed: bool,
}

impl License {
    /// Whether it lets in, now, what costs so many millionths of a dollar. Tell it only to whoever does not get an
    /// answer that was given before.
    ///
    /// # Errors
    /// What whoever asks at once is told. How many there are at a time is none: tasks wait for that, unless there may
    /// never be one.
    pub async fn admits(&self, access: &Access, ask: &Ask, cost_micro: i64) -> Result<()> {
        if self.is_closed {
            return Err(engine::license::closed());
        }
        let license = engine::license::License {
            id: self.id,
            key: self.key.clone(),
        };
        engine::license::admits(&*access.call, ask, &license, cost_micro).await
    }
}

#[derive(Deserialize)]
struct Found {
    id: Uuid,
    key: String,
    is_closed: bool,
    organization_id: Uuid,
    verdict: Option<String>,
    batch: Option<i64>,
}

/// The license that is named, or the oldest of those in force that the caller may use.
///
/// # Errors
/// 404 for one that is not the caller's, 403 for one that is not in force, or when there is none.
pub async fn of(access: &Access, named: Option<Uuid>) -> Result<License> {
    let tx = access.begin();
    let organization = tx
        .scope()
        .organization()
        .or(access.principal.organization_id);
    let owner = tx.scope().owner();
    if organization.is_none() && named.is_none() {
        return Err(Error::field("license_id", "is required for super_admin"));
    }
    let found: Option<Found> = tx
        .only_row(
            sql("SELECT l.id, l.license_key AS key, l.organization_id,
                   (SELECT CASE WHEN jsonb_typeof(c.most) = 'number' THEN floor(c.most::numeric) = 0 ELSE false END
                    FROM (SELECT coalesce(l.custom_limits->'max_concurrent_tasks', p.limits->'max_concurrent_tasks') AS most) c)
                   AS is_closed,
                   CASE WHEN l.status NOT IN ('active', 'trial') THEN upper(l.status::text)
                     WHEN l.expires_at <= now() THEN 'EXPIRED'
                     WHEN l.status = 'trial' AND l.trial_ends_at <= now() THEN 'TRIAL_EXPIRED'
                     WHEN l.starts_at > now() THEN 'NOT_STARTED' END AS verdict,
                   (SELECT CASE WHEN jsonb_typeof(b.size) = 'number' THEN floor(b.size::numeric)::bigint END
                    FROM (SELECT coalesce(l.custom_limits->'max_batch_size', p.limits->'max_batch_size') AS size) b) AS batch
                 FROM licenses l JOIN subscription_plans p ON p.id = l.plan_id
                 WHERE ($1::uuid IS NULL OR l.id = $1::uuid)
                   AND (l.organization_id = $2::uuid OR ($4::boolean AND $1::uuid IS NOT NULL))
                   AND ($3::uuid IS NULL OR l.owner_id = $3::uuid)
                   AND ($1::uuid IS NOT NULL OR (l.status IN ('active', 'trial') AND l.starts_at <= now()
                     AND (l.expires_at IS NULL OR l.expires_at > now())
                     AND (l.status <> 'trial' OR l.trial_ends_at IS NULL OR l.trial_ends_at > now())))
                 ORDER BY l.created_at, l.id LIMIT 1")
            .bind(named)
            .bind(organization)
            .bind(owner)
            .bind(access.scope().organization().is_none()),
        )
        .await?;
    let found = found.ok_or(match named {
        Some(_) => Code::LicenseNotFound,
        None => Code::LicenseRequired,
    })?;
    if let Some(verdict) = found.verdict {
        let code = match verdict.as_str() {
            "EXPIRED" | "TRIAL_EXPIRED" => Code::LicenseExpired,
            _ => Code::LicenseInactive,
        };
        return Err(Error::new(code).with_details(json!({ "status": verdict })));
    }
    let most = found.batch.map_or(DEFAULT_BATCH, |size| {
        usize::try_from(size).unwrap_or(MOST_IN_BATCH)
    });
    Ok(License {
        id: found.id,
        organization: found.organization_id,
        batch: most.min(MOST_IN_BATCH),
        key: found.key,
        is_closed: found.is_closed,
    })
}
