//! A category, how it is made and how it is changed.

use crate::http::checks;
use crate::http::types::{Ident, Patch, not_null};
use crate::modules::plans::model::place;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The last place in lists.
const MAX_PLACE: u32 = 1_000_000;

/// A category as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Category {
    /// Identifier.
    pub id: Uuid,
    /// The category that it is in.
    pub parent_id: Option<Uuid>,
    /// Its name for people.
    pub name: String,
    /// Its name in links.
    pub slug: String,
    /// What is in it.
    pub description: Option<String>,
    /// The name of a picture.
    pub icon: Option<String>,
    /// Its place among its neighbours, the smallest first.
    pub sort_order: i64,
    /// Whether it is shown.
    pub is_active: bool,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A category at its place in the tree.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CategoryInTree {
    /// The category.
    #[serde(flatten)]
    pub category: Category,
    /// Its level, 1 at the top.
    pub depth: u32,
}

/// Body of `POST /api/categories`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewCategory {
    /// The category that it is in. Default none.
    #[serde(default)]
    pub parent_id: Option<Ident>,
    /// Its name for people.
    #[garde(custom(checks::line::<100>))]
    pub name: String,
    /// Its name in links. Default made of the name.
    #[serde(default)]
    #[garde(custom(checks::slug))]
    pub slug: Option<String>,
    /// What is in it.
    #[serde(default)]
    #[garde(length(chars, max = 2000))]
    pub description: Option<String>,
    /// The name of a picture.
    #[serde(default)]
    #[garde(custom(checks::line::<100>))]
    pub icon: Option<String>,
    /// Its place among its neighbours. Default 0.
    #[serde(default)]
    #[garde(inner(range(max = MAX_PLACE)))]
    pub sort_order: Option<u32>,
    /// Whether it is shown. Default true.
    #[serde(default)]
    pub is_active: Option<bool>,
}

/// Body of `PATCH /api/categories/{id}`. Left out: stays; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct CategoryChanges {
    /// The category that it is in; null for the top.
    pub parent_id: Patch<Ident>,
    /// Its name for people.
    #[garde(custom(not_null), custom(checks::line::<100>))]
    #[schemars(with = "String")]
    pub name: Patch<String>,
    /// Its name in links.
    #[garde(custom(not_null), custom(checks::slug))]
    #[schemars(with = "String")]
    pub slug: Patch<String>,
    /// What is in it.
    #[garde(custom(checks::text::<2000>))]
    pub description: Patch<String>,
    /// The name of a picture.
    #[garde(custom(checks::line::<100>))]
    pub icon: Patch<String>,
    /// Its place among its neighbours.
    #[garde(custom(not_null), custom(place))]
    #[schemars(with = "u32")]
    pub sort_order: Patch<u32>,
    /// Whether it is shown.
    #[garde(custom(not_null))]
    #[schemars(with = "bool")]
    pub is_active: Patch<bool>,
}
