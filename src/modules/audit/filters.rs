//! What the reads of the audit log can be narrowed by.

/// The conditions of the filters, for `audit_logs a`, as parameters `$3` to `$12`.
pub const MATCHING: &str = "($3 IS NULL OR a.user_id = $3::uuid)
    AND ($4 IS NULL OR a.actor_kind = $4)
    AND ($5 IS NULL OR a.api_key_id = $5::uuid)
    AND ($6 IS NULL OR a.event = $6)
    AND ($7 IS NULL OR a.resource_type = $7)
    AND ($8 IS NULL OR a.resource_id = $8::uuid)
    AND ($9 IS NULL OR a.created_at >= $9::timestamptz)
    AND ($10 IS NULL OR a.created_at < $10::timestamptz)
    AND ($11 IS NULL OR a.success = $11::boolean)
    AND ($12 IS NULL OR a.event ILIKE $12 OR a.description ILIKE $12 OR a.request_id ILIKE $12
      OR a.changes::text ILIKE $12
      OR a.user_id IN (SELECT u.id FROM users_profile u
        WHERE u.email ILIKE $12 AND ($1::uuid IS NULL OR u.organization_id = $1::uuid))
      OR a.api_key_id IN (SELECT k.id FROM user_api_keys k
        WHERE k.name ILIKE $12 AND ($1::uuid IS NULL OR k.organization_id = $1::uuid)))";

/// Declares the query parameters of a read: the filters and its own. A flattened struct would do,
/// were it not that serde then neither refuses unknown parameters nor reads numbers from a query string.
macro_rules! filtered {
    ($(#[$doc:meta])* $name:ident { $( $(#[$more:meta])* $field:ident: $kind:ty, )* }) => {
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema, garde::Validate)]
        $(#[$doc])*
        #[serde(deny_unknown_fields)]
        #[garde(allow_unvalidated)]
        pub struct $name {
            /// Only this organization. Everybody but a super administrator sees the own one anyway.
            pub organization_id: Option<uuid::Uuid>,
            /// Only what this person did.
            pub user_id: Option<uuid::Uuid>,
            /// Only what such actors did.
            pub actor_kind: Option<$crate::modules::audit::model::ActorKind>,
            /// Only what was done with this API key.
            pub api_key_id: Option<uuid::Uuid>,
            /// Only this event: `license.created`.
            #[garde(length(chars, max = 100))]
            pub action: Option<String>,
            /// Only what was done to this kind of thing.
            #[garde(length(chars, max = 100))]
            pub entity_type: Option<String>,
            /// Only what was done to this thing.
            pub entity_id: Option<uuid::Uuid>,
            /// At or after.
            pub created_after: Option<$crate::http::types::Moment>,
            /// Before.
            pub created_before: Option<$crate::http::types::Moment>,
            /// Only what succeeded, or only what failed.
            pub success: Option<bool>,
            /// Text in the event, the description, the changes, the request id, the person's e-mail
            /// address or the API key's name.
            #[garde(length(chars, max = 100))]
            pub q: Option<String>,
            $( $(#[$more])* pub $field: $kind, )*
        }

        impl $name {
            /// Adds the parameters that `MATCHING` expects.
            pub fn bind(&self, query: $crate::db::Query) -> $crate::db::Query {
                let text = self.q.as_deref().filter(|text| !text.is_empty());
                query
                    .bind(self.user_id)
                    .bind(self.actor_kind.map($crate::modules::audit::model::ActorKind::as_str))
                    .bind(self.api_key_id)
                    .bind(self.action.as_deref())
                    .bind(self.entity_type.as_deref())
                    .bind(self.entity_id)
                    .bind(self.created_after.map(|at| at.0))
                    .bind(self.created_before.map(|at| at.0))
                    .bind(self.success)
                    .bind(text.map($crate::db::containing))
            }
        }
    };
}
pub(super) use filtered;
