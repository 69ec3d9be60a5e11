//! The SQL of the audit log.

use crate::db::{Query, Rows, Tx, sql};
use uuid::Uuid;

/// The fields of [`super::model::AuditLog`], from `audit_logs a` and `user_api_keys k`.
pub const COLUMNS: [(&str, &str); 18] = [
    ("id", "a.id"),
    ("sequence", "a.sequence"),
    ("organization_id", "a.organization_id"),
    ("user_id", "a.user_id"),
    ("actor_kind", "a.actor_kind"),
    ("api_key_id", "a.api_key_id"),
    ("api_key_name", "k.name"),
    ("action", "a.event"),
    ("entity_type", "a.resource_type"),
    ("entity_id", "a.resource_id"),
    ("changes", "audit_changes(a.changes)"),
    ("description", "a.description"),
    ("request_id", "a.request_id"),
    ("ip_address", "host(a.ip_address)"),
    ("user_agent", "a.user_agent"),
    ("success", "a.success"),
    ("error_message", "a.error_message"),
    ("created_at", "a.created_at"),
];

/// [`COLUMNS`] as a SELECT list.
pub fn columns() -> String {
    COLUMNS
        .map(|(name, expression)| format!("{expression} AS {name}"))
        .join(", ")
}

/// What [`columns`] show of another table.
pub const KEYS: &str = "LEFT JOIN user_api_keys k ON k.id = a.api_key_id";

/// The caller's rows of the log: of one organization or all, of a client only what it did itself.
pub fn mine(tx: &Tx, organization: Option<Uuid>) -> Rows {
    Rows::of("audit_logs", "a")
        .when("a.organization_id = {}::uuid", organization)
        .when("a.user_id = {}::uuid", tx.scope().owner())
}

/// The canonical form of a row of `audit_logs a`, as `celaest_domain::audit` describes it. The text is
/// only taken from here; hashes are computed by the worker, so that nobody can fake them in SQL.
pub const CANONICAL: &str = "json_build_array(a.sequence::text, a.id::text, a.organization_id::text, a.user_id::text,
    a.api_key_id::text, a.actor_kind::text, a.action::text, a.event::text, a.resource_type::text, a.resource_id::text,
    a.description::text, a.changes::text, a.request_id::text, a.ip_address::text, a.user_agent::text, a.success::text,
    a.error_message::text, to_char(a.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'))";

/// The rows or seals of one tenant, in which NULL is one too. `$1` is the organization.
pub fn of_tenant(organization: Option<Uuid>) -> &'static str {
    match organization {
        Some(_) => "organization_id = $1::uuid",
        None => "organization_id IS NULL",
    }
}

/// Up to where no row of one tenant can still appear; `null` while somebody who writes to its log does not
/// end. In a statement of its own, before the rows are read.
pub fn horizon(organization: Option<Uuid>) -> Query {
    sql("SELECT coalesce(to_json(audit_horizon($1::uuid)), 'null')::text").bind(organization)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_hashed_in_its_order() {
        let mut rest = CANONICAL;
        for column in celaest_domain::audit::COLUMNS {
            let at = rest.find(&format!("a.{column}")).expect(column);
            rest = &rest[at + 1..];
        }
        assert_eq!(
            CANONICAL.matches("a.").count(),
            celaest_domain::audit::COLUMNS.len()
        );
    }
}
