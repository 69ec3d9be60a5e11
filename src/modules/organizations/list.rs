//! `GET /api/organizations`

use super::model::Organization;
use super::queries::{COLUMNS, mine};
use crate::db::{Listing, containing};
use crate::error::Result;
use crate::http::params::Paged;
use crate::http::permit::{OrganizationsRead, Permit};
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Columns to sort by.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "OrganizationSort")]
pub enum Sort {
    /// Founding.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
    /// Name.
    Name,
    /// Name in links.
    Slug,
}

impl Sort {
    fn by(self) -> &'static str {
        match self {
            Sort::CreatedAt => "o.created_at {}, o.id {}",
            Sort::UpdatedAt => "o.updated_at {}, o.id {}",
            Sort::Name => "lower(o.name) {}, o.id {}",
            Sort::Slug => "o.slug {}, o.id {}",
        }
    }
}

/// Filters and sorting.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "OrganizationFilters")]
pub struct Filters {
    /// Part of the name, of the name in links or of the e-mail address.
    #[garde(length(chars, max = 100))]
    pub search: Option<String>,
    /// Column to sort by.
    #[serde(default)]
    pub sort: Sort,
}

/// Lists the caller's organization; for super_admin, every one.
pub async fn list(
    permit: Permit<OrganizationsRead>,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<Organization>> {
    let tx = permit.begin();
    let found = mine(&tx).when(
        "(o.name ILIKE {} OR o.slug ILIKE {} OR o.email ILIKE {})",
        containing(f.search.as_deref()),
    );
    tx.page(found, COLUMNS, f.sort.by(), &page).await
}
