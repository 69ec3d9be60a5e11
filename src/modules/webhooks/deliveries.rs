//! `GET /api/webhooks/{id}/deliveries`

use super::model::{Delivery, Outcome};
use super::queries::{PAYLOAD, mine, owner_of};
use crate::db::{Key, Listing, Rows};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{Permit, WebhooksRead};
use crate::http::types::Moment;
use celaest_domain::access::Permissions;
use celaest_domain::webhook::{self, SHARED};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "WebhookDeliveryFilters")]
pub struct Filters {
    /// Only events with this name.
    #[garde(length(chars, max = 100))]
    pub event_type: Option<String>,
    /// Only attempts at this event.
    pub event_id: Option<Uuid>,
    /// Only what succeeded, or only what failed.
    pub status: Option<Outcome>,
    /// Attempted at or after.
    pub created_after: Option<Moment>,
    /// Attempted before.
    pub created_before: Option<Moment>,
}

/// The columns of [`Delivery`]. What was sent is shown to whoever may read such events: all of them, or, to
/// whoever is `narrowed` to the own ones, those about these.
fn columns(permissions: Permissions, narrowed: bool) -> String {
    let families: Vec<_> = webhook::readable(permissions)
        .into_iter()
        .map(|family| format!("'{family}'"))
        .collect();
    let readable = families.join(", ");
    let shown = match narrowed {
        false => PAYLOAD.to_owned(),
        true => format!(
            "(SELECT p.payload FROM (SELECT {PAYLOAD} AS payload) AS p
              WHERE d.event_type LIKE '{SHARED}.%' OR {} = app_owner_id())",
            owner_of("d.event_type", "p.payload->'data'")
        ),
    };
    format!(
        "d.id, d.webhook_id, d.event_id, d.event_type,
         CASE WHEN split_part(d.event_type, '.', 1) IN ({readable}) THEN {shown} END AS payload, d.attempt_number,
         CASE WHEN d.delivered_at IS NULL THEN 'failed' ELSE 'delivered' END AS status,
         d.response_status, d.response_body, d.error_message, d.duration_ms, d.next_attempt_at,
         d.delivered_at, d.created_at"
    )
}

/// How the log is ordered.
const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];

/// Lists the attempts to deliver events to a webhook, latest first.
pub async fn list(
    permit: Permit<WebhooksRead>,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Delivery>> {
    let tx = permit.begin();
    let found = Rows::of("webhook_deliveries", "d")
        .within(mine(&tx).id(id), "d.webhook_id", Code::WebhookNotFound)
        .growing(KEY)
        .when("d.event_type = {}", f.event_type)
        .when("d.event_id = {}::uuid", f.event_id)
        .when(
            "(d.delivered_at IS NOT NULL) = {}::boolean",
            f.status.map(|status| status == Outcome::Delivered),
        )
        .when("d.created_at >= {}::timestamptz", f.created_after)
        .when("d.created_at < {}::timestamptz", f.created_before);
    let columns = columns(permit.principal.permissions, tx.scope().owner().is_some());
    tx.page(found, &columns, "d.created_at {}, d.id {}", &page)
        .await
}
