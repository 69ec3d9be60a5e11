//! What happened, written down with the change itself: the audit row and the outbox row.

use super::{Query, sql};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::platform::random;
use celaest_domain::audit::redacted;
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
    /// That somebody took a file away. `asked` is what it was narrowed by; what was not said is left out.
    pub fn export(
        organization_id: Option<Uuid>,
        event: &'static str,
        resource_type: &'static str,
        asked: &impl Serialize,
    ) -> Self {
        let mut asked = json!(asked);
        if let Some(fields) = asked.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        Self {
            organization_id,
            action: Action::Export,
            event,
            resource_type,
            resource_id: Uuid::new_v4(),
            changes: json!({ "after": asked }),
            payload: None,
        }
    }

    pub(super) fn message(&self, id: Uuid, now: DateTime<Utc>) -> Option<Message> {
        self.payload.clone().map(|payload| Message {
            id,
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
    /// A link that lets whoever has it in, sealed for this e-mail: it is in no row and no log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Value>,
}

impl Mail {
    /// The topic of outbox rows that are e-mails.
    pub const TOPIC: &'static str = "email.send";

    /// Seals the link of the e-mail `id`.
    ///
    /// # Errors
    /// 503 when there is no key to seal with.
    pub fn seal_link(config: &Config, id: Uuid, url: &str) -> Result<Value> {
        let nonce = random::bytes()?;
        let sealed = config.vault()?.seal_text(url, &associated(id), nonce);
        sealed.ok_or_else(|| Error::internal("a link could not be sealed"))
    }

    /// The link, if there is one.
    ///
    /// # Errors
    /// 503 when it was sealed with a key that is not in the list.
    pub fn open_link(&self, config: &Config) -> Result<Option<String>> {
        let Some(sealed) = &self.link else {
            return Ok(None);
        };
        let opened = config.vault()?.open_text(sealed, &associated(self.id));
        let url = opened.ok_or_else(|| Error::unavailable("a link does not open"))?;
        Ok(Some(url))
    }

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

fn associated(mail: Uuid) -> Vec<u8> {
    format!("mail:{mail}").into_bytes()
}

/// What the log and the outside learn of one kind of thing.
#[derive(Debug)]
pub struct Subject {
    /// What it is called: `license`.
    pub kind: &'static str,
    /// The field with its organization.
    pub tenant: &'static str,
    /// Fields whose values nobody should find in a log, besides those whose name says so.
    pub secret: &'static [&'static str],
    /// What the outside learns of it; `None`: nothing.
    pub told: Option<fn(&Value) -> Value>,
}

impl Subject {
    /// What happened to one of these; `None` when nothing did, because setting what already is so is no
    /// event.
    pub fn fact(&self, event: &'static str, before: &Value, after: &Value) -> Option<Fact> {
        let changes = self.changes(before, after);
        // Not whether they are the same: one secret in the place of another looks the same on both sides.
        if changes["before"] == json!({}) && changes["after"] == json!({}) {
            return None;
        }
        let (action, row) = match (before, after) {
            (Value::Null, row) => (Action::Create, row),
            (row, Value::Null) => (Action::Delete, row),
            (_, row) => (Action::Update, row),
        };
        let id = |field: &str| row[field].as_str().and_then(|id| Uuid::try_parse(id).ok());
        Some(Fact {
            organization_id: id(self.tenant),
            action,
            event,
            resource_type: self.kind,
            resource_id: id("id").unwrap_or_default(),
            changes,
            payload: self.told.map(|told| told(row)),
        })
    }

    /// The fields that differ between two rows, as `{"before": {…}, "after": {…}}`. Bookkeeping columns
    /// are left out, and so are values nobody should find in a log.
    pub fn changes(&self, before: &Value, after: &Value) -> Value {
        const SKIPPED: [&str; 3] = ["updated_at", "created_at", "updated_by"];
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
            for (side, value) in [(&mut was, left), (&mut is, right)] {
                if let Some(value) = value {
                    side.insert(key.clone(), self.shown(key, value));
                }
            }
        }
        json!({ "before": was, "after": is })
    }

    fn shown(&self, key: &str, value: &Value) -> Value {
        redacted(key, value, self.secret)
    }
}

/// A row without some of its fields, for what the outside learns of it.
pub fn without(row: &Value, fields: &[&str]) -> Value {
    let mut row = row.clone();
    if let Some(all) = row.as_object_mut() {
        all.retain(|name, _| !fields.contains(&name.as_str()));
    }
    row
}

/// What differs between two rows of anything.
pub fn changes(before: &Value, after: &Value) -> Value {
    ANYTHING.changes(before, after)
}

const ANYTHING: Subject = Subject {
    kind: "",
    tenant: "organization_id",
    secret: &["secret", "license_key", "key_hash"],
    told: None,
};

/// One statement that writes all facts and messages of a transaction.
pub(super) fn insert(actor: &Actor, facts: &[&Fact], messages: &[Message]) -> Query {
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

    const LICENSE: Subject = Subject {
        kind: "license",
        tenant: "organization_id",
        secret: &["license_key"],
        told: Some(|row| json!({ "license": row["id"] })),
    };
    const ID: &str = "40000000-0000-4000-8000-000000000001";

    #[test]
    fn only_what_changed_is_kept() {
        let before = json!({"id": ID, "status": "active", "notes": null, "updated_at": 1});
        let after = json!({"id": ID, "status": "suspended", "notes": null, "updated_at": 2});
        let fact = LICENSE.fact("license.revoked", &before, &after).unwrap();
        assert_eq!(
            fact.changes,
            json!({"before": {"status": "active"}, "after": {"status": "suspended"}})
        );
        assert_eq!(fact.resource_id.to_string(), ID);
        assert_eq!(fact.payload, Some(json!({ "license": ID })));
        assert!(LICENSE.fact("license.updated", &before, &before).is_none());
    }

    #[test]
    fn another_secret_is_a_change() {
        let keyed = |key: &str| json!({"id": ID, "license_key": key, "updated_by": key});
        let fact = LICENSE
            .fact("license.updated", &keyed("a"), &keyed("b"))
            .unwrap();
        assert_eq!(
            fact.changes,
            json!({"before": {"license_key": "[redacted]"}, "after": {"license_key": "[redacted]"}})
        );
    }

    #[test]
    fn nested_secrets_stay_out_and_are_a_change() {
        let kept = |word: &str| json!({"id": ID, "metadata": {"password": word, "seats": 3}});
        let fact = LICENSE
            .fact("license.updated", &kept("a"), &kept("b"))
            .unwrap();
        let shown = json!({"metadata": {"password": "[redacted]", "seats": 3}});
        assert_eq!(fact.changes, json!({"before": shown, "after": shown}));
    }

    #[test]
    fn creation_has_no_before_and_hides_the_key() {
        let row = json!({"id": ID, "license_key": "CELAEST-X", "status": "trial"});
        let fact = LICENSE.fact("license.created", &Value::Null, &row).unwrap();
        assert_eq!(
            fact.changes,
            json!({"before": {}, "after": {"id": ID, "license_key": "[redacted]", "status": "trial"}})
        );
    }
}
