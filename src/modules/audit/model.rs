//! What the audit log looks like from outside.

use crate::http::checks;
use crate::http::types::Ident;
use celaest_domain::license::rfc3339;
use celaest_durable::seal_head::Restart;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

use super::queries::COLUMNS;

/// One thing that was done.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AuditLog {
    /// Row id.
    pub id: Uuid,
    /// Place in the log; grows, with gaps.
    pub sequence: i64,
    /// The organization it happened in; null for what concerns the system as a whole.
    pub organization_id: Option<Uuid>,
    /// Who did it, also through an API key of theirs; null for the system.
    pub user_id: Option<Uuid>,
    /// `user`, `api_key` or `system`.
    pub actor_kind: String,
    /// The API key that was used.
    pub api_key_id: Option<Uuid>,
    /// Its name.
    pub api_key_name: Option<String>,
    /// The dotted event: `license.created`.
    pub action: String,
    /// What kind of thing it was done to.
    pub entity_type: String,
    /// Which one.
    pub entity_id: Option<Uuid>,
    /// `{"field": [before, after]}`, changed fields only.
    pub changes: BTreeMap<String, [Value; 2]>,
    /// A sentence, where there is one.
    pub description: Option<String>,
    /// The request, batch or job.
    pub request_id: Option<String>,
    /// The address of the connection.
    pub ip_address: Option<String>,
    /// The caller's program.
    pub user_agent: Option<String>,
    /// Whether it succeeded.
    pub success: bool,
    /// What went wrong.
    pub error_message: Option<String>,
    /// When.
    pub created_at: String,
}

/// Who acted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A signed-in person.
    User,
    /// A program with an API key.
    ApiKey,
    /// A job or a consumer.
    System,
}

impl ActorKind {
    /// The text in the column.
    pub fn as_str(self) -> &'static str {
        match self {
            ActorKind::User => "user",
            ActorKind::ApiKey => "api_key",
            ActorKind::System => "system",
        }
    }
}

/// How far the log is proved to be what was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verification {
    /// No break was found so far.
    pub intact: bool,
    /// Seals found good in this call.
    pub seals: u64,
    /// Rows found good in this call.
    pub rows: u64,
    /// The last sequence number that is proved; null when nothing is.
    pub verified_to: Option<i64>,
    /// The end of the log was reached.
    pub complete: bool,
    /// Ask again with `after` set to this.
    pub next: Option<i64>,
    /// Rows after the last seal, which a job seals every five minutes.
    pub unsealed: u64,
    /// The Ed25519 key that signs new seals, in hexadecimal.
    pub public_key: String,
    /// Its name in the seals.
    pub key_id: String,
    /// The first break.
    #[serde(rename = "break")]
    pub first_break: Option<FirstBreak>,
    /// Ends that were cut off and acknowledged, the first one first. What was sealed there is not proved.
    pub acknowledged: Vec<AcknowledgedBreak>,
}

/// Body of `POST /api/audit-logs/acknowledge`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AuditAcknowledgement")]
pub struct Acknowledgement {
    /// The organization; left out: what belongs to none.
    #[serde(default)]
    pub organization_id: Option<Ident>,
    /// Where the log is cut off: the `sequence` of the break that the verification found.
    pub sequence: i64,
    /// How that came about. It stays in the log and in every verification.
    #[garde(custom(checks::line::<500>))]
    pub reason: String,
}

/// An end of the log that was cut off, and what was said to it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AcknowledgedBreak {
    /// The last sequence number that was sealed.
    pub lost_to: i64,
    /// The last one whose seal was still there; null when none was.
    pub kept_to: Option<i64>,
    /// When it was acknowledged.
    pub acknowledged_at: String,
    /// Who did.
    pub acknowledged_by: Uuid,
    /// How it came about.
    pub reason: String,
}

impl From<Restart> for AcknowledgedBreak {
    fn from(restart: Restart) -> Self {
        Self {
            lost_to: restart.lost.last_sequence,
            kept_to: restart.kept.map(|head| head.last_sequence),
            acknowledged_at: rfc3339(restart.at.timestamp_millis()),
            acknowledged_by: restart.by,
            reason: restart.reason,
        }
    }
}

/// Where the log is broken first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FirstBreak {
    /// How.
    pub kind: BreakKind,
    /// The sequence number of the row, or the first one that a forged seal covers; for an end that is
    /// cut off with its seals, the last one that was sealed.
    pub sequence: i64,
    /// The row, when it is there.
    pub row_id: Option<Uuid>,
    /// The seal that tells, when it is there.
    pub seal_id: Option<Uuid>,
}

/// How a log can be broken.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakKind {
    /// A row is not what it was when it was sealed.
    Changed,
    /// A sealed row is gone.
    Removed,
    /// A row was put where everything was sealed.
    Added,
    /// The end of the log is gone: rows, seals or both.
    CutOff,
    /// A seal is not ours, or not in its place.
    Forged,
}

impl From<celaest_domain::audit::Break> for FirstBreak {
    fn from(found: celaest_domain::audit::Break) -> Self {
        use celaest_domain::audit::Kind;
        Self {
            kind: match found.kind {
                Kind::Changed => BreakKind::Changed,
                Kind::Removed => BreakKind::Removed,
                Kind::Added => BreakKind::Added,
                Kind::CutOff => BreakKind::CutOff,
                Kind::Forged => BreakKind::Forged,
            },
            sequence: found.sequence,
            row_id: found.row_id,
            seal_id: found.seal_id,
        }
    }
}

/// The columns of an exported file: the fields of [`AuditLog`] in their order.
pub fn header() -> [&'static str; 18] {
    COLUMNS.map(|(name, _)| name)
}
