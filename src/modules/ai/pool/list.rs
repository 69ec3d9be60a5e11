//! `GET /api/ai/pool/keys` and `GET /api/ai/pool/keys/{id}`

use super::model::{AiKey, KeyState};
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, Raw, containing};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{AiKeysRead, Permit};
use crate::http::reply::Data;
use crate::http::types::Ident;
use celaest_domain::ai::provider::Provider;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiKeyFilters")]
pub struct Filters {
    /// Only keys of this provider.
    pub provider: Option<Provider>,
    /// Only for super_admin: those of an organization.
    pub organization_id: Option<Ident>,
    /// Only the platform's, or only those of organizations.
    pub platform: Option<bool>,
    /// Only those that may be used, or only the others.
    pub is_active: Option<bool>,
    /// Only this state.
    pub state: Option<KeyState>,
    /// Part of the name.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
}

/// Lists the organization's own keys; for super_admin, the platform's and everybody's.
pub async fn list(
    permit: Permit<AiKeysRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<AiKey>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .when(
            "k.provider = {}::text::ai_provider",
            f.provider.map(Provider::as_str),
        )
        .when("k.organization_id = {}::uuid", f.organization_id)
        .when("(k.organization_id IS NULL) = {}::boolean", f.platform)
        .when("k.is_active = {}::boolean", f.is_active)
        .when("k.state = {}", f.state.map(KeyState::as_str))
        .when("k.key_name ILIKE {}", containing(f.search.as_deref()));
    let by = "k.organization_id {}, k.provider {}, k.key_name {}, k.id {}";
    tx.page(found, COLUMNS, by, &page.rising()).await
}

/// Reads one key, but for the key itself.
pub async fn read(permit: Permit<AiKeysRead>, Id(id): Id) -> Result<Data<AiKey>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let key: Raw<AiKey> = tx.only_one(query, Code::AiKeyNotFound).await?;
    Ok(Data::raw(&key))
}
