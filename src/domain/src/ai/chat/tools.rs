//! Functions that a model may ask for, and the shape of its answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What shape an answer has.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiFormat"))]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Format {
    /// Any text.
    #[default]
    #[serde(rename = "text")]
    Text,
    /// A JSON object.
    #[serde(rename = "json_object")]
    Json,
    /// JSON of a schema.
    #[serde(rename = "json_schema")]
    Schema {
        /// The schema.
        json_schema: Schema,
    },
}

impl Format {
    /// Whether any text is good.
    #[must_use]
    pub fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

/// A JSON schema with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiSchema"))]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Up to 64 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The schema.
    pub schema: Value,
    /// Whether the answer must fit: then every property is required and no other is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// The only kind of tool there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiFunctionType"))]
#[serde(rename_all = "snake_case")]
pub enum FunctionType {
    /// A function.
    #[default]
    Function,
}

/// A function that the model may ask to be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiTool"))]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `function`.
    #[serde(rename = "type")]
    pub kind: FunctionType,
    /// The function.
    pub function: ToolFunction,
}

/// A function's description.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiToolFunction"))]
#[serde(deny_unknown_fields)]
pub struct ToolFunction {
    /// Up to 64 of `A-Z a-z 0-9 _ -`.
    pub name: String,
    /// What it does and when to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema of its arguments: an object. Without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// Whether the arguments must fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// Whether the model must call a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiToolChoice"))]
#[serde(untagged)]
pub enum ToolChoice {
    /// One of the three words.
    Mode(ToolMode),
    /// This one.
    Named {
        /// `function`.
        #[serde(rename = "type")]
        kind: FunctionType,
        /// Its name.
        function: FunctionName,
    },
}

/// Whether the model must call a function, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiToolMode"))]
#[serde(rename_all = "snake_case")]
pub enum ToolMode {
    /// As it sees fit.
    Auto,
    /// It may not.
    None,
    /// It must call one.
    Required,
}

/// The name of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiFunctionName"))]
#[serde(deny_unknown_fields)]
pub struct FunctionName {
    /// The name.
    pub name: String,
}

/// A function that the model asks to be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiToolCall"))]
#[serde(deny_unknown_fields)]
pub struct ToolCall {
    /// Names the call; its result carries the same.
    pub id: String,
    /// `function`.
    #[serde(rename = "type", default)]
    pub kind: FunctionType,
    /// The function and its arguments.
    pub function: FunctionCall,
}

/// A function and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "AiFunctionCall"))]
#[serde(deny_unknown_fields)]
pub struct FunctionCall {
    /// Its name.
    pub name: String,
    /// The arguments, a JSON object as text: what a model wrote, which need not be valid.
    pub arguments: String,
}
