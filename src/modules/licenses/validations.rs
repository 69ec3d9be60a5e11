//! `GET /api/licenses/{id}/validations`

use super::model::LoggedValidation;
use super::queries::{MINE, mine};
use crate::error::{Code, Error, Result};
use crate::http::params::{Id, Query, first_page, offset, page_size};
use crate::http::permit::{LicensesRead, Permit};
use crate::http::reply::Listing;
use crate::http::types::Moment;
use celaest_domain::address::Address;
use garde::Validate;
use schemars::JsonSchema;
use serde::Deserialize;

/// Filters and the page.
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
    /// Counted from 1.
    #[serde(default = "first_page")]
    #[garde(range(min = 1, max = 1_000_000))]
    pub page: u32,
    /// Rows on a page.
    #[serde(default = "page_size")]
    #[garde(range(min = 1, max = 100))]
    pub per_page: u32,
}

/// The validation log of a license, latest first. It lags the validations by a few seconds.
pub async fn list(
    permit: Permit<LicensesRead>,
    Id(id): Id,
    Query(filters): Query<Filters>,
) -> Result<Listing<LoggedValidation>> {
    let address = match &filters.ip_address {
        None => None,
        Some(text) => Some(
            Address::parse(text)
                .ok_or_else(|| Error::field("ip_address", "is not an IP address"))?
                .key()
                .to_string(),
        ),
    };
    let tx = permit.begin();
    let query = mine(
        &tx,
        format!(
            "WITH license AS (SELECT l.id FROM licenses l WHERE {MINE} AND l.id = $3::uuid),
             found AS (
               SELECT v.id, v.created_at FROM license_validations v JOIN license ON license.id = v.license_id
               WHERE ($4 IS NULL OR v.is_valid = $4::boolean)
                 AND ($5 IS NULL OR v.failure_reason = $5)
                 AND ($6 IS NULL OR v.ip_address <<= $6::inet)
                 AND ($7 IS NULL OR v.created_at >= $7::timestamptz)
                 AND ($8 IS NULL OR v.created_at < $8::timestamptz)
             ), page AS (
               SELECT v.id, v.license_id, v.ip_binding_id, host(v.ip_address) AS ip_address,
                 host(v.connection_ip) AS connection_ip, v.is_valid, v.failure_reason, v.device_info,
                 v.machine_id, v.hostname, v.nonce, v.user_agent, v.created_at
               FROM found JOIN license_validations v USING (id)
               ORDER BY v.created_at DESC, v.id DESC LIMIT $9::bigint OFFSET $10::bigint)
             SELECT CASE WHEN EXISTS (SELECT 1 FROM license) THEN
               json_build_object('total', (SELECT count(*) FROM found),
                 'rows', (SELECT coalesce(json_agg(page), '[]') FROM page)) END::text"
        ),
    )
    .bind(id)
    .bind(filters.is_valid)
    .bind(filters.failure_reason.as_deref())
    .bind(address)
    .bind(filters.created_after.map(|at| at.0))
    .bind(filters.created_before.map(|at| at.0))
    .bind(filters.per_page)
    .bind(offset(filters.page, filters.per_page));
    let found = tx
        .only_value::<Option<_>>(query)
        .await?
        .ok_or_else(|| Error::new(Code::LicenseNotFound))?;
    Ok(Listing::new(found, filters.page, filters.per_page))
}
