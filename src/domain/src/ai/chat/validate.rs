//! What may be asked at all.

use super::ChatRequest;

/// Messages in a conversation.
pub const MAX_MESSAGES: usize = 1_000;
/// Functions that a model may be told of.
pub const MAX_TOOLS: usize = 128;
/// Images in a conversation.
pub const MAX_IMAGES: usize = 20;

/// A field that cannot be as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field's path: `messages[2].role`.
    pub field: String,
    /// Why, for whoever programs the caller.
    pub reason: String,
}

impl ChatRequest {
    /// Whether this can be asked of anybody.
    ///
    /// # Errors
    /// Every field that is not as it must be.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        todo!()
    }

    /// About how many tokens the question is, before anybody counted: rather too many than too few.
    #[must_use]
    pub fn estimate_tokens(&self) -> u64 {
        todo!()
    }
}
