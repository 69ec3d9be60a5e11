//! What the reads of the audit log can be narrowed by.

use super::model::ActorKind;
use super::queries::mine;
use crate::db::{Rows, Search, Tx, containing};
use crate::http::types::Moment;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The filters, and what a read has besides. Only what is read from text alone can be there: serde gives
/// a flattened struct no numbers from a query string.
#[derive(Debug, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "{More}Filters")]
pub struct Filters<More> {
    /// Only this organization. Everybody but a super administrator sees the own one anyway.
    #[serde(skip_serializing)]
    pub organization_id: Option<Uuid>,
    /// Only what this person did.
    pub user_id: Option<Uuid>,
    /// Only what such actors did.
    pub actor_kind: Option<ActorKind>,
    /// Only what was done with this API key.
    pub api_key_id: Option<Uuid>,
    /// Only this event: `license.created`.
    #[garde(length(chars, max = 100))]
    pub action: Option<String>,
    /// Only what was done to this kind of thing.
    #[garde(length(chars, max = 100))]
    pub entity_type: Option<String>,
    /// Only what was done to this thing.
    pub entity_id: Option<Uuid>,
    /// At or after.
    pub created_after: Option<Moment>,
    /// Before.
    pub created_before: Option<Moment>,
    /// Only what succeeded, or only what failed.
    pub success: Option<bool>,
    /// Text in the event, the description, the changes, the request id, the person's e-mail
    /// address or the API key's name.
    #[garde(length(chars, max = 100))]
    pub q: Option<String>,
    /// What the read has besides.
    #[serde(flatten)]
    pub more: More,
}

impl<More> Filters<More> {
    /// The rows that are asked for, of one organization or all.
    pub fn rows(&self, tx: &Tx, organization: Option<Uuid>) -> Rows {
        mine(tx, organization)
            .when("a.user_id = {}::uuid", self.user_id)
            .sought("a.actor_kind = {}", self.actor_kind.map(ActorKind::as_str))
            .when("a.api_key_id = {}::uuid", self.api_key_id)
            .when("a.event = {}", self.action.as_deref())
            .when("a.resource_type = {}", self.entity_type.as_deref())
            .when("a.resource_id = {}::uuid", self.entity_id)
            .when("a.created_at >= {}::timestamptz", self.created_after)
            .when("a.created_at < {}::timestamptz", self.created_before)
            .sought("a.success = {}::boolean", self.success)
            .searched(self.search(organization))
    }

    /// Where the text may be. Row-level security lets no index serve such a condition (`ILIKE` is not
    /// leakproof), so a read looks at a bounded stretch of the log at a time.
    fn search(&self, organization: Option<Uuid>) -> Option<Search> {
        let text = self.q.as_deref();
        let pattern = containing(text)?;
        // Inside JSON, quotes and backslashes are escaped.
        let json = serde_json::to_string(text?).ok()?;
        let json = containing(Some(&json[1..json.len() - 1]))?;
        // Other tenants' people and keys find nothing here.
        let own =
            organization.map_or_else(String::new, |id| format!("organization_id = '{id}' AND "));
        Some(Search {
            condition: format!(
                "(a.event ILIKE {{text}} OR a.description ILIKE {{text}} OR a.request_id ILIKE {{text}}
                  OR a.changes::text ILIKE {{text}} OR a.changes::text ILIKE {{json}}
                  OR a.user_id IN (SELECT id FROM users_profile WHERE {own}email ILIKE {{text}})
                  OR a.api_key_id IN (SELECT id FROM user_api_keys WHERE {own}name ILIKE {{text}}))"
            ),
            values: vec![("{text}", pattern), ("{json}", json)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::export::{File, Format};
    use super::super::list::Sorting;
    use super::*;
    use crate::http::strict::query;
    use serde_json::json;

    #[test]
    fn each_read_has_its_own_parameters() {
        let listed: Filters<Sorting> = query(Some("success=false&sort=action&q=x")).unwrap();
        assert_eq!(
            (listed.success, listed.more.sort.by().1),
            (Some(false), "a.event {}, a.sequence {}")
        );
        let exported: Filters<File> = query(Some("format=jsonl&created_after=2026-01-01")).unwrap();
        assert_eq!(exported.more.format, Format::Jsonl);
        assert_eq!(
            query::<Filters<File>>(None).unwrap().more.format,
            Format::Csv
        );
        for wrong in [
            "sort=action",
            "x=1",
            "format=csv&format=csv",
            "format=xlsx",
            "success=maybe",
            "more=1",
        ] {
            assert_eq!(
                query::<Filters<File>>(Some(wrong))
                    .unwrap_err()
                    .code
                    .status(),
                400,
                "{wrong}"
            );
        }
        for wrong in ["format=csv", "sort=action&sort=action", "sort=changes"] {
            assert!(query::<Filters<Sorting>>(Some(wrong)).is_err(), "{wrong}");
        }
        let long = format!("q={}", "x".repeat(101));
        assert_eq!(
            query::<Filters<File>>(Some(&long))
                .unwrap_err()
                .code
                .status(),
            422
        );
        assert_eq!(json!(exported)["format"], "jsonl");
    }
}
