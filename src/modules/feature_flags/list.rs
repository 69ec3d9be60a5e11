//! `GET /api/feature-flags`

use super::model::{FeatureFlag, TargetType};
use super::queries::{COLUMNS, all};
use crate::db::{Listing, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{FeatureFlagsRead, Permit};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "FeatureFlagFilters")]
pub struct Filters {
    /// Part of the key, the name or the description.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
    /// Only flags meant for these.
    pub target_type: Option<TargetType>,
    /// Only flags that are on, or off.
    pub enabled: Option<bool>,
}

/// Lists flags by key, from a to z.
pub async fn list(
    permit: Permit<FeatureFlagsRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<FeatureFlag>> {
    let found = all()
        .when(
            "(f.flag_key ILIKE {} OR f.name ILIKE {} OR f.description ILIKE {})",
            containing(f.search.as_deref()),
        )
        .when("f.target_type = {}", f.target_type.map(TargetType::as_str))
        .when("f.is_enabled = {}::boolean", f.enabled);
    let by = r#"f.flag_key COLLATE "C" {}"#;
    let tx = permit.begin();
    tx.page(found, COLUMNS, by, &page.rising()).await
}
