//! `GET /api/ai/models` and `GET /api/ai/models/{id}`

use super::model::AiModel;
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, Raw, containing};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{AiRead, Permit};
use crate::http::reply::Data;
use celaest_domain::ai::provider::Provider;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AiModelFilters")]
pub struct Filters {
    /// Only models of this provider.
    pub provider: Option<Provider>,
    /// Only those that can do this: `vision`, `function_calling`, ….
    #[garde(length(chars, min = 1, max = 50))]
    pub capability: Option<String>,
    /// Only those that are called by this alias.
    #[garde(length(chars, min = 1, max = 100))]
    pub alias: Option<String>,
    /// Only for super_admin: those that can be called, or the others.
    pub is_active: Option<bool>,
    /// Part of one of the names.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
}

/// Lists the models that can be called, in the order in which they are; for super_admin, every one.
pub async fn list(
    permit: Permit<AiRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<AiModel>> {
    let tx = permit.begin();
    let found = mine(&tx)
        .when(
            "m.provider = {}::text::ai_provider",
            f.provider.map(Provider::as_str),
        )
        .when("m.capabilities->{} = 'true'", f.capability)
        .when("{} = ANY (m.aliases)", f.alias)
        .when("m.is_active = {}::boolean", f.is_active)
        .when(
            "(m.model_id ILIKE {} OR m.display_name ILIKE {})",
            containing(f.search.as_deref()),
        );
    let by = "m.is_default {}, m.priority {}, m.provider {}, m.model_id {}, m.id {}";
    tx.page(found, COLUMNS, by, &page).await
}

/// Reads one model.
pub async fn read(permit: Permit<AiRead>, Id(id): Id) -> Result<Data<AiModel>> {
    let tx = permit.begin();
    let query = mine(&tx).id(id).read(COLUMNS);
    let model: Raw<AiModel> = tx.only_one(query, Code::ModelNotFound).await?;
    Ok(Data::raw(&model))
}
