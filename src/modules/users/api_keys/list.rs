//! `GET /api/users/{id}/api-keys`

use super::queries::{COLUMNS, mine};
use crate::db::Listing;
use crate::error::{Code, Result};
use crate::http::params::Paged;
use crate::http::permit::{AccountRead, ApiKeysRead, OnPerson};
use crate::modules::users::model::ApiKey;
use crate::modules::users::queries;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ApiKeyFilters")]
pub struct Filters {
    /// Only keys that begin like this.
    #[garde(length(chars, max = 20))]
    pub prefix: Option<String>,
}

/// Lists a person's API keys, the latest first; deleted ones are not listed.
pub async fn list(
    permit: OnPerson<AccountRead, ApiKeysRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<ApiKey>> {
    let tx = permit.begin();
    let person = queries::mine(&tx).id(permit.person);
    let found = mine(&tx)
        .within(person, "k.user_id", Code::UserNotFound)
        .when("starts_with(k.key_prefix, {})", f.prefix);
    tx.page(found, COLUMNS, "k.created_at {}, k.id {}", &page)
        .await
}
