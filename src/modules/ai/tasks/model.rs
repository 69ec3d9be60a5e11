//! A task, how it is handed in, and what came of it.

use crate::http::checks;
use crate::http::types::Ident;
use celaest_domain::ai::chat::{Message, Options};
pub use celaest_domain::ai::task::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The longest text that is asked about, in bytes.
pub const MAX_INPUT: usize = 200_000;

/// A task: anything that a model was or is to be asked, at once or later.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "AiTask")]
pub struct Task {
    /// Identifier.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Uuid,
    /// Who handed it in.
    pub user_id: Uuid,
    /// The license that it uses.
    pub license_id: Option<Uuid>,
    /// The batch it belongs to.
    pub batch_id: Option<Uuid>,
    /// Its place in the batch, from 0.
    pub batch_index: Option<i64>,
    /// The version of the prompt that it is asked with.
    pub prompt_id: Option<Uuid>,
    /// The model that answered.
    pub model_id: Option<Uuid>,
    /// How it was asked: `task`, or at once: `chat`, `completion`, `process`.
    pub input_type: Option<String>,
    /// Where it is.
    pub status: Status,
    /// Why it failed, for programs.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_message: Option<String>,
    /// How often it was tried again.
    pub retry_count: i64,
    /// Tokens of the question.
    pub tokens_input: i64,
    /// Tokens of the answer.
    pub tokens_output: i64,
    /// Both.
    pub tokens_total: i64,
    /// What it cost, in dollars; null where that is not known.
    pub cost_usd: Option<f64>,
    /// How long it waited before the attempt that ended it, in milliseconds.
    pub queue_time_ms: Option<i64>,
    /// How long that attempt took, in milliseconds.
    pub execution_time_ms: Option<i64>,
    /// How long the provider took of that, in milliseconds.
    pub ai_time_ms: Option<i64>,
    /// The request that it came in.
    pub request_id: Option<String>,
    /// Anything that was handed in with it.
    pub metadata: Map<String, Value>,
    /// When it was handed in.
    pub created_at: String,
    /// When its last attempt began.
    pub started_at: Option<String>,
    /// When it ended.
    pub completed_at: Option<String>,
}

/// What came of a task.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "AiTaskResult")]
pub struct TaskResult {
    /// The task.
    pub id: Uuid,
    /// Its place in its batch, from 0.
    pub batch_index: Option<i64>,
    /// Where it is.
    pub status: Status,
    /// The answer's text.
    pub output_text: Option<String>,
    /// The answer as JSON, where JSON was asked for.
    pub output_json: Option<Value>,
    /// Whose model answered, why the answer ended, the functions that it asks to be called, what it used, and
    /// every attempt; of a failure, its particulars.
    pub outcome: Option<Map<String, Value>>,
    /// Why it failed, for programs.
    pub error_code: Option<String>,
    /// Why it failed, for people.
    pub error_message: Option<String>,
    /// Tokens of the question.
    pub tokens_input: i64,
    /// Tokens of the answer.
    pub tokens_output: i64,
    /// What it cost, in dollars; null where that is not known.
    pub cost_usd: Option<f64>,
    /// Anything that was handed in with it.
    pub metadata: Map<String, Value>,
    /// When it ended.
    pub completed_at: Option<String>,
}

/// Body of `POST /api/ai/tasks`: a `prompt`, `messages`, or a stored prompt with its values.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "NewAiTask")]
pub struct NewTask {
    /// The license that it uses. Default the organization's first that is in force.
    #[serde(default)]
    pub license_id: Option<Ident>,
    /// What is asked, as one text.
    #[serde(default)]
    #[garde(length(min = 1, max = MAX_INPUT))]
    pub prompt: Option<String>,
    /// What is asked, as a conversation.
    #[serde(default)]
    pub messages: Option<Vec<Message>>,
    /// A stored prompt, by its slug: one of its active versions, for each caller always the same.
    #[serde(default)]
    #[garde(length(chars, max = 100))]
    pub prompt_slug: Option<String>,
    /// A stored prompt, by the id of a version.
    #[serde(default)]
    pub prompt_id: Option<Ident>,
    /// What a stored prompt is asked about.
    #[serde(default)]
    #[garde(length(max = MAX_INPUT))]
    pub input_text: Option<String>,
    /// The values of a stored prompt's variables.
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// Anything, up to 16 KB; it comes back with the task.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub metadata: Map<String, Value>,
    /// How it is asked.
    #[serde(flatten)]
    pub options: Options,
}
