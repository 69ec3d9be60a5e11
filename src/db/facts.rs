//! What happened, written down with the change itself: the audit row and the outbox row.

use super::{Query, sql};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Who is acting, for the audit row.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    /// `user`, `api_key` or `system`.
    pub kind: &'static str,
    /// The user, also when an API key of theirs is used.
    pub user_id: Option<Uuid>,
    /// The API key that was used.
    pub api_key_id: Option<Uuid>,
    /// The request, batch or job.
    pub request_id: String,
    /// The address of the connection.
    pub ip: Option<String>,
    /// The caller's program.
    pub user_agent: Option<String>,
}

impl Actor {
    /// The system itself: a job or a consumer, named by `run`.
    pub fn system(run: &str) -> Self {
        Self {
            kind: "system",
            request_id: run.to_owned(),
            ..Self::default()
        }
    }
}

/// The verbs of the `audit_action` enum that the worker itself writes.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Something came to be.
    Create,
    /// Something changed.
    Update,
    /// Something was ended for good.
    Delete,
    /// Somebody signed in.
    Login,
    /// Somebody signed out.
    Logout,
    /// Data was taken away as a file.
    Export,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    /// Becomes the outbox message's id; consumers recognise repeats by it.
    #[serde(skip)]
    pub id: Uuid,
    /// The organization it happened in; `None` for what concerns the system as a whole.
    pub organization_id: Option<Uuid>,
    /// The enum value of the audit row.
    pub action: Action,
    /// The dotted event: `license.created`.
    pub event: &'static str,
    /// What kind of thing it happened to.
    pub resource_type: &'static str,
    /// Which one.
    pub resource_id: Uuid,
    /// Before and after, changed fields only.
    pub changes: Value,
    /// The payload for the outside. `None`: audited only.
    #[serde(skip)]
    pub payload: Option<Value>,
}

/// An outbox row on its way to the queue.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// The same on every delivery.
    pub id: Uuid,
    /// The organization it concerns.
    pub organization_id: Option<Uuid>,
    /// The dotted event, or [`Mail::TOPIC`].
    pub topic: String,
    /// What the event is about.
    pub payload: Value,
    /// When it happened.
    pub created_at: DateTime<Utc>,
}

impl Fact {
    pub(super) fn message(&self, now: DateTime<Utc>) -> Option<Message> {
        self.payload.clone().map(|payload| Message {
            id: self.id,
            organization_id: self.organization_id,
            topic: self.event.to_owned(),
            payload,
            created_at: now,
        })
    }
}

/// An e-mail that belongs to a change: sent if, and only if, the change is committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mail {
    /// Also the provider's idempotency key.
    pub id: Uuid,
    /// The organization on whose behalf it is sent.
    pub organization_id: Option<Uuid>,
    /// The address.
    pub to: String,
    /// The recipient's language, `es` or `en…`.
    pub locale: String,
    /// Which text; see `queues/emails.rs`.
    pub template: String,
    /// What the text is filled in with.
    pub data: Value,
}

impl Mail {
    /// The topic of outbox rows that are e-mails.
    pub const TOPIC: &'static str = "email.send";

    pub(super) fn message(&self, now: DateTime<Utc>) -> Message {
        Message {
            id: self.id,
            organization_id: self.organization_id,
            topic: Self::TOPIC.to_owned(),
            payload: json!(self),
            created_at: now,
        }
    }
}

/// The fields that differ between two rows, as `{"before": {…}, "after": {…}}`. Bookkeeping columns
/// are left out, and so are values nobody should find in a log.
pub fn changes(before: &Value, after: &Value) -> Value {
    const SKIPPED: [&str; 2] = ["updated_at", "created_at"];
    let empty = Map::new();
    let (old, new) = (
        before.as_object().unwrap_or(&empty),
        after.as_object().unwrap_or(&empty),
    );
    let mut was = Map::new();
    let mut is = Map::new();
    for key in old
        .keys()
        .chain(new.keys().filter(|key| !old.contains_key(*key)))
    {
        let (left, right) = (old.get(key), new.get(key));
        if left == right || SKIPPED.contains(&key.as_str()) {
            continue;
        }
        if let Some(value) = left {
            was.insert(key.clone(), redacted(key, value));
        }
        if let Some(value) = right {
            is.insert(key.clone(), redacted(key, value));
        }
    }
    json!({ "before": was, "after": is })
}

fn redacted(key: &str, value: &Value) -> Value {
    let secret = ["secret", "password", "token", "key_hash", "license_key"]
        .iter()
        .any(|word| key.contains(word));
    if secret && !value.is_null() {
        json!("[redacted]")
    } else {
        value.clone()
    }
}

/// One statement that writes all facts and messages of a transaction.
pub(super) fn insert(actor: &Actor, facts: &[Fact], messages: &[Message]) -> Query {
    sql("WITH fact AS (
           SELECT * FROM jsonb_to_recordset($1::jsonb) AS f(
             organization_id uuid, action audit_action, event text,
             resource_type text, resource_id uuid, changes jsonb)
         ), audited AS (
           INSERT INTO audit_logs (organization_id, action, event, resource_type, resource_id, changes,
             actor_kind, user_id, api_key_id, request_id, ip_address, user_agent)
           SELECT organization_id, action, event, resource_type, resource_id, changes,
             $2, $3::uuid, $4::uuid, $5, $6::inet, left($7, 500)
           FROM fact
         )
         INSERT INTO outbox_messages (id, organization_id, topic, payload, created_at)
         SELECT id, organization_id, topic, payload, created_at
         FROM jsonb_to_recordset($8::jsonb) AS m(
           id uuid, organization_id uuid, topic text, payload jsonb, created_at timestamptz)")
    .bind(json!(facts))
    .bind(actor.kind)
    .bind(actor.user_id)
    .bind(actor.api_key_id)
    .bind(&actor.request_id)
    .bind(actor.ip.as_deref())
    .bind(actor.user_agent.as_deref())
    .bind(json!(messages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_kept() {
        let before = json!({"status": "active", "notes": null, "updated_at": 1});
        let after = json!({"status": "suspended", "notes": null, "updated_at": 2});
        assert_eq!(
            changes(&before, &after),
            json!({"before": {"status": "active"}, "after": {"status": "suspended"}})
        );
    }

    #[test]
    fn creation_has_no_before_and_hides_the_key() {
        let made = changes(
            &Value::Null,
            &json!({"license_key": "CELAEST-X", "status": "trial"}),
        );
        assert_eq!(
            made,
            json!({"before": {}, "after": {"license_key": "[redacted]", "status": "trial"}})
        );
    }
}
