//! `GET /api/licenses/{id}/validations`

use super::model::LoggedValidation;
use super::queries::{address, mine};
use crate::db::{Key, Listing, Rows};
use crate::error::{Code, Result};
use crate::http::params::{Id, Paged};
use crate::http::permit::{LicensesRead, Permit};
use crate::http::types::Moment;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "ValidationFilters")]
pub struct Filters {
    /// Only good ones, or only refused ones.
    pub is_valid: Option<bool>,
    /// Only those refused with this code.
    #[garde(length(bytes, max = 50))]
    pub failure_reason: Option<String>,
    /// Only from this address.
    #[garde(length(bytes, max = 64))]
    pub ip_address: Option<String>,
    /// At or after.
    pub created_after: Option<Moment>,
    /// Before.
    pub created_before: Option<Moment>,
}

const COLUMNS: &str = "v.id, v.license_id, v.ip_binding_id, host(v.ip_address) AS ip_address,
    host(v.connection_ip) AS connection_ip, v.is_valid, v.failure_reason, v.device_info,
    v.machine_id, v.hostname, v.nonce, v.user_agent, v.created_at";

/// How the log is ordered.
const KEY: Key = &[("created_at", "timestamptz"), ("id", "uuid")];

/// The validation log of a license, latest first. It lags the validations by a few seconds.
pub async fn list(
    permit: Permit<LicensesRead>,
    Id(id): Id,
    Paged(f, page): Paged<Filters>,
) -> Result<Listing<LoggedValidation>> {
    let address = match &f.ip_address {
        None => None,
        Some(text) => Some(address(text)?.key().to_string()),
    };
    let tx = permit.begin();
    let found = Rows::of("license_validations", "v")
        .within(mine(&tx).id(id), "v.license_id", Code::LicenseNotFound)
        .growing(KEY)
        .when("v.is_valid = {}::boolean", f.is_valid)
        .when("v.failure_reason = {}", f.failure_reason)
        .when("v.ip_address <<= {}::inet", address)
        .when("v.created_at >= {}::timestamptz", f.created_after)
        .when("v.created_at < {}::timestamptz", f.created_before);
    tx.page(found, COLUMNS, "v.created_at {}, v.id {}", &page)
        .await
}
