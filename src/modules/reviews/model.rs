//! A review, as everybody and as its author sees it.

use crate::http::checks;
use crate::http::types::{Patch, not_null};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest comment and the longest reply, in characters.
const MAX_TEXT: usize = 5000;

/// A review as everybody sees it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PublicReview {
    /// Identifier.
    pub id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// One to five stars.
    pub rating: u8,
    /// It in a line.
    pub title: Option<String>,
    /// It in detail.
    pub comment: Option<String>,
    /// How its author is called.
    pub author_name: Option<String>,
    /// Whether its author's organization has the product.
    pub is_verified: bool,
    /// How many find it helpful.
    pub helpful_count: u32,
    /// What the vendor says to it.
    pub reply: Option<String>,
    /// When the vendor said it.
    pub replied_at: Option<String>,
    /// When it was written.
    pub created_at: String,
    /// When its author last changed it.
    pub edited_at: Option<String>,
}

/// A review as its author sees it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Review {
    /// Identifier.
    pub id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// The author's organization.
    pub organization_id: Uuid,
    /// The author.
    pub user_id: Uuid,
    /// One to five stars.
    pub rating: u8,
    /// It in a line.
    pub title: Option<String>,
    /// It in detail.
    pub comment: Option<String>,
    /// How the author was called when it was written.
    pub author_name: Option<String>,
    /// Whether the author's organization has the product.
    pub is_verified: bool,
    /// Whether the platform hides it: it does not count then.
    pub is_hidden: bool,
    /// Why.
    pub hidden_reason: Option<String>,
    /// How many find it helpful.
    pub helpful_count: u32,
    /// When it was written.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// When its author last changed it.
    pub edited_at: Option<String>,
}

/// Body of `POST /api/products/{id}/reviews`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewReview {
    /// One to five stars.
    #[garde(range(min = 1, max = 5))]
    pub rating: u8,
    /// It in a line.
    #[serde(default)]
    #[garde(custom(checks::line::<200>))]
    pub title: Option<String>,
    /// It in detail.
    #[serde(default)]
    #[garde(custom(checks::text::<MAX_TEXT>))]
    pub comment: Option<String>,
}

/// Body of `PATCH /api/reviews/{id}`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct ReviewChanges {
    /// One to five stars.
    #[garde(custom(not_null), custom(is_rating))]
    #[schemars(with = "u8")]
    pub rating: Patch<u8>,
    /// It in a line.
    #[garde(custom(checks::line::<200>))]
    pub title: Patch<String>,
    /// It in detail.
    #[garde(custom(checks::text::<MAX_TEXT>))]
    pub comment: Patch<String>,
}

fn is_rating(patch: &Patch<u8>, (): &()) -> garde::Result {
    match patch.value().is_none_or(|stars| (1..=5).contains(stars)) {
        true => Ok(()),
        false => Err(garde::Error::new("must be 1 to 5")),
    }
}

/// Body of `POST /api/reviews/{id}/reply`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "NewReviewReply")]
pub struct NewReply {
    /// What the vendor says.
    #[garde(custom(is_said), custom(checks::text::<MAX_TEXT>))]
    pub reply: String,
}

fn is_said(text: &str, (): &()) -> garde::Result {
    match text.trim().is_empty() {
        false => Ok(()),
        true => Err(garde::Error::new("must not be empty")),
    }
}

/// What the vendor says to a review.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "ReviewReply")]
pub struct Reply {
    /// The review.
    pub id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// The vendor.
    pub organization_id: Uuid,
    /// Who wrote it.
    pub user_id: Uuid,
    /// What the vendor says.
    pub reply: String,
    /// When it was first written.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// Body of `POST /api/reviews/{id}/moderate`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ReviewModeration")]
pub struct Moderation {
    /// Whether it is hidden: it is not shown, and does not count.
    pub hidden: bool,
    /// Why; the author reads it.
    #[serde(default)]
    #[garde(custom(checks::line::<500>))]
    pub reason: Option<String>,
}

/// How many find a review helpful.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "ReviewVotes")]
pub struct Votes {
    /// The review.
    pub id: Uuid,
    /// How many find it helpful.
    pub helpful_count: u32,
    /// Whether the caller does.
    pub is_helpful: bool,
}
