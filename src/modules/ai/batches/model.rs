//! A batch of tasks and how it is handed in.

use crate::http::checks;
use crate::http::types::Ident;
use crate::modules::ai::tasks::license::MOST_IN_BATCH;
use crate::modules::ai::tasks::model::{MAX_INPUT, Status};
use celaest_domain::ai::chat::{Message, Options};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A batch, with its progress.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "AiBatch")]
pub struct Batch {
    /// Identifier.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Who handed it in.
    pub user_id: Uuid,
    /// The license that its tasks use.
    pub license_id: Option<Uuid>,
    /// The version of the prompt that its tasks are asked with.
    pub prompt_id: Option<Uuid>,
    /// What people call it.
    pub name: Option<String>,
    /// `pending` before its first task is taken up, `processing` until its last has ended; then `completed`, or
    /// `failed` if none went well, or `cancelled` if none was tried.
    pub status: Status,
    /// Its tasks.
    pub total_tasks: i64,
    /// Those that have their answer.
    pub completed_tasks: i64,
    /// Those that failed.
    pub failed_tasks: i64,
    /// Those that were cancelled.
    pub cancelled_tasks: i64,
    /// The share that has ended, in per cent.
    pub progress: f64,
    /// Whether webhooks are told of each of its tasks.
    pub notify_each: bool,
    /// Anything that was handed in with it.
    pub metadata: Map<String, Value>,
    /// When it was handed in.
    pub created_at: String,
    /// When its first task was taken up.
    pub started_at: Option<String>,
    /// When its last task ended.
    pub completed_at: Option<String>,
}

/// Body of `POST /api/ai/batches`: what its tasks have in common, and what each asks.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "NewAiBatch")]
pub struct NewBatch {
    /// What people call it.
    #[serde(default)]
    #[garde(inner(length(chars, min = 1, max = 200)), custom(checks::line::<200>))]
    pub name: Option<String>,
    /// The license that its tasks use. Default the organization's first that is in force.
    #[serde(default)]
    pub license_id: Option<Ident>,
    /// A stored prompt for all, by its slug: one of its active versions.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub prompt_slug: Option<String>,
    /// A stored prompt for all, by the id of a version.
    #[serde(default)]
    pub prompt_id: Option<Ident>,
    /// Values of the stored prompt's variables, for tasks that have none of their own.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// Whether webhooks are told of each of its tasks, besides the whole. Default false.
    #[serde(default)]
    pub notify_each: bool,
    /// Anything, up to 16 KB; it comes back with the batch.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub metadata: Map<String, Value>,
    /// What each task asks, in their order: as many as the license's plan allows (`max_batch_size`).
    #[garde(length(min = 1, max = MOST_IN_BATCH), dive)]
    pub items: Vec<NewItem>,
    /// How they are asked.
    #[serde(flatten)]
    pub options: Options,
}

/// What one task of a batch asks: a `prompt`, `messages`, or the values of the batch's stored prompt.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "NewAiBatchItem")]
pub struct NewItem {
    /// What is asked, as one text.
    #[serde(default)]
    #[garde(length(min = 1, max = MAX_INPUT))]
    pub prompt: Option<String>,
    /// What is asked, as a conversation.
    #[serde(default)]
    pub messages: Option<Vec<Message>>,
    /// What the stored prompt is asked about.
    #[serde(default)]
    #[garde(length(max = MAX_INPUT))]
    pub input_text: Option<String>,
    /// Values of the stored prompt's variables.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// Anything, up to 16 KB; it comes back with the task.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub metadata: Map<String, Value>,
}
