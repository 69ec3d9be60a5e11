//! `GET /api/organizations/{id}/subscription`

use super::model::Subscription;
use super::queries::mine;
use crate::db::{Raw, Tx};
use crate::error::{Code, Result};
use crate::http::params::Id;
use crate::http::permit::{OrganizationsRead, Permit};
use crate::http::reply::Data;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

const COLUMNS: &str = "o.id AS organization_id,
    CASE WHEN p.id IS NOT NULL THEN json_build_object('id', p.id, 'code', p.code, 'name', p.name,
      'description', p.description, 'price_monthly', p.price_monthly, 'price_yearly', p.price_yearly,
      'currency', p.currency, 'features', p.features) END AS plan,
    CASE WHEN l.id IS NOT NULL THEN json_build_object('id', l.id, 'status', l.status,
      'starts_at', l.starts_at, 'expires_at', l.expires_at, 'trial_ends_at', l.trial_ends_at,
      'billing_cycle', l.billing_cycle, 'next_billing_date', l.next_billing_date) END AS license,
    CASE WHEN app_owner_id() IS NULL THEN
      coalesce(p.limits, '{}') || coalesce(l.custom_limits, '{}') || jsonb_build_object(
        'max_users', o.max_users, 'max_api_calls_per_month', o.max_api_calls_per_month)
      ELSE '{}' END AS limits,
    json_build_object(
      'users', (SELECT count(*) FROM users_profile u
        WHERE u.organization_id = o.id AND u.deleted_at IS NULL),
      'ai_requests', coalesce(l.ai_requests_used, 0),
      'storage_bytes', coalesce(l.storage_used_bytes, 0),
      'licenses', (SELECT count(*) FROM licenses x
        WHERE x.organization_id = o.id AND x.status <> 'cancelled'),
      'webhooks', (SELECT count(*) FROM webhooks w
        WHERE w.organization_id = o.id AND w.deleted_at IS NULL),
      'api_keys', (SELECT count(*) FROM user_api_keys k WHERE k.organization_id = o.id AND k.is_active
        AND (k.expires_at IS NULL OR k.expires_at > now())),
      'api_calls', coalesce((SELECT m.api_calls FROM organization_usage m
        WHERE app_owner_id() IS NULL AND m.organization_id = o.id AND m.period = date_trunc('month', now())::date), 0)) AS usage";

const JOINS: &str = "LEFT JOIN LATERAL (
      SELECT x.* FROM licenses x
      WHERE app_owner_id() IS NULL AND x.organization_id = o.id AND x.product_id IS NULL AND x.starts_at <= now()
        AND (x.expires_at IS NULL OR x.expires_at > now())
        AND (x.status = 'active'
          OR (x.status = 'trial' AND (x.trial_ends_at IS NULL OR x.trial_ends_at > now())))
      ORDER BY x.created_at DESC, x.id LIMIT 1) l ON true
    LEFT JOIN subscription_plans p
      ON app_owner_id() IS NULL AND p.id = coalesce(l.plan_id, (SELECT f.id FROM subscription_plans f WHERE f.code = 'free'))";

/// A limit of an organization: its license's own, or its plan's.
///
/// # Errors
/// When the database fails.
pub async fn limit(tx: &mut Tx, organization: Uuid, name: &str) -> Result<Option<i64>> {
    #[derive(Deserialize)]
    struct Found {
        limits: Map<String, Value>,
    }
    let query = mine(tx)
        .id(organization)
        .joined(JOINS)
        .read("coalesce(p.limits, '{}') || coalesce(l.custom_limits, '{}') AS limits");
    let found: Option<Found> = tx.row(query).await?;
    Ok(found.and_then(|found| found.limits.get(name)?.as_i64()))
}

/// What an organization has, may and did. A client sees neither plan nor limits, which are not theirs, and
/// of the usage only their own.
pub async fn subscription(
    permit: Permit<OrganizationsRead>,
    Id(id): Id,
) -> Result<Data<Subscription>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).joined(JOINS).read(COLUMNS);
    let found: Raw<Subscription> = tx.only_one(query, Code::OrganizationNotFound).await?;
    Ok(Data::raw(&found))
}
