//! `POST /api/licenses`

use super::model::{License, NewLicense, Status};
use super::notices;
use super::queries::{COLUMNS, LICENSE};
use crate::db::{Raw, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::body::Body;
use crate::http::change::Outcome;
use crate::http::idempotency::Once;
use crate::http::permit::{LicensesWrite, Permit};
use crate::http::reply::Created;
use crate::platform::clock;
use celaest_domain::calendar;
use celaest_domain::license_key::LicenseKey;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

/// How often another key is tried when the drawn one is taken: with 40 random bits one retry is already rare.
const KEY_ATTEMPTS: usize = 5;

/// The product code of licenses without a product.
pub(super) const NO_PRODUCT: &str = "GEN";

#[derive(Deserialize)]
struct Surroundings {
    organization_exists: bool,
    plan_exists: bool,
    owner_exists: bool,
    product_code: Option<String>,
}

/// Creates a license.
pub async fn create(
    permit: Permit<LicensesWrite>,
    Once(key, Body(new)): Once<Body<NewLicense>>,
) -> Outcome<Created<License>> {
    let organization = permit.organization(new.organization_id.map(|id| id.0))?;
    let dates = dates(&new, clock::now())?;
    let mut tx = permit.begin_once(key).await?;
    let product_code = surroundings(&mut tx, organization, &new).await?;
    let secret = permit.call.config.license_key_secret.newest();
    let (key, license) = issue(&mut tx, secret, organization, &product_code, &new, &dates).await?;
    // The edge may remember the key as missing.
    notices::tell(&mut tx, &key);
    permit.commit(tx, Created::raw(&license)).await
}

/// The dates of a new license.
pub(super) struct Dates {
    starts_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// The running month of usage.
    period: (DateTime<Utc>, DateTime<Utc>),
}

/// The dates with the defaults filled in. A license expires at the end of the running billing cycle; a
/// trial ends with the trial.
pub(super) fn dates(new: &NewLicense, now: DateTime<Utc>) -> Result<Dates> {
    let starts_at = new.starts_at.map_or(now, |at| at.0);
    let running = |months| {
        calendar::running_period(starts_at, months, now)
            .ok_or_else(|| Error::field("starts_at", "is too far away"))
    };
    let expires_at = match (new.expires_at, new.billing_cycle.months()) {
        (Some(at), _) => Some(at.0),
        (None, Some(months)) if new.trial_ends_at.is_none() => Some(running(months)?.1),
        _ => None,
    };
    if expires_at.is_some_and(|at| at <= starts_at) {
        return Err(Error::field("expires_at", "must be after starts_at"));
    }
    if new.trial_ends_at.is_some_and(|at| at.0 <= starts_at) {
        return Err(Error::field("trial_ends_at", "must be after starts_at"));
    }
    Ok(Dates {
        starts_at,
        expires_at,
        period: running(1)?,
    })
}

/// Checks that what the license refers to is there, and returns the product code of its key.
async fn surroundings(tx: &mut Tx, organization: Uuid, new: &NewLicense) -> Result<String> {
    let found: Surroundings = tx
        .value(
            sql("SELECT json_build_object(
                   'organization_exists', EXISTS (SELECT 1 FROM organizations WHERE id = $1::uuid AND deleted_at IS NULL),
                   'plan_exists', EXISTS (SELECT 1 FROM subscription_plans WHERE id = $2::uuid AND is_active),
                   'owner_exists', $3 IS NULL OR EXISTS (SELECT 1 FROM users_profile
                     WHERE id = $3::uuid AND organization_id = $1::uuid AND deleted_at IS NULL),
                   'product_code', (SELECT code FROM products
                     WHERE id = $4::uuid AND organization_id = $1::uuid AND deleted_at IS NULL))::text")
            .bind(organization)
            .bind(new.plan_id)
            .bind(new.owner_id)
            .bind(new.product_id),
        )
        .await?;
    let missing = |field| Err(Error::field(field, "does not exist"));
    if !found.organization_exists {
        return missing("organization_id");
    }
    if !found.plan_exists {
        return missing("plan_id");
    }
    if !found.owner_exists {
        return missing("owner_id");
    }
    match (new.product_id, found.product_code) {
        (Some(_), None) => missing("product_id"),
        (_, code) => Ok(code.unwrap_or_else(|| NO_PRODUCT.into())),
    }
}

/// Makes a license with a new key, and writes down that it came to be.
///
/// # Errors
/// 503 when no free key was found.
pub(super) async fn issue(
    tx: &mut Tx,
    secret: &str,
    organization: Uuid,
    product_code: &str,
    new: &NewLicense,
    dates: &Dates,
) -> Result<(String, Raw<License>)> {
    let status = if new.trial_ends_at.is_some() {
        Status::Trial
    } else {
        Status::Active
    };
    let renewal_day = dates
        .expires_at
        .map(|at| calendar::renewal_day(dates.starts_at, at));
    for _ in 0..KEY_ATTEMPTS {
        let random: [u8; 5] = Uuid::new_v4().as_bytes()[..5]
            .try_into()
            .map_err(Error::internal)?;
        let key = LicenseKey::generate(product_code, random, secret.as_bytes())
            .map_err(|_| Error::internal("the product code cannot be part of a key"))?;
        let inserted: Option<Raw<License>> = tx
            .row(
                sql(format!(
                    "INSERT INTO licenses AS l (organization_id, plan_id, product_id, owner_id, license_key, status,
                       starts_at, expires_at, trial_ends_at, billing_cycle, custom_limits, notes, metadata,
                       current_period_start, current_period_end, next_billing_date, renewal_day)
                     VALUES ($1::uuid, $2::uuid, $3::uuid, $4::uuid, $5, $6::license_status,
                       $7::timestamptz, $8::timestamptz, $9::timestamptz, $10::billing_cycle, $11::jsonb, $12, $13::jsonb,
                       $14::timestamptz, $15::timestamptz, $8::timestamptz::date, $16::smallint)
                     ON CONFLICT (license_key) DO NOTHING
                     RETURNING {COLUMNS}"
                ))
                .bind(organization)
                .bind(new.plan_id)
                .bind(new.product_id)
                .bind(new.owner_id)
                .bind(key.as_str())
                .bind(status.as_str())
                .bind(dates.starts_at)
                .bind(dates.expires_at)
                .bind(new.trial_ends_at.map(|at| at.0))
                .bind(new.billing_cycle.as_str())
                .bind(new.custom_limits.as_ref().map(|limits| json!(limits)))
                .bind(new.notes.as_deref())
                .bind(json!(new.metadata))
                .bind(dates.period.0)
                .bind(dates.period.1)
                .bind(renewal_day),
            )
            .await?;
        if let Some(license) = inserted {
            tx.record_new(&LICENSE, "license.created", &license);
            return Ok((key.as_str().to_owned(), license));
        }
    }
    Err(Error {
        cause: Some("no free license key was found".into()),
        ..Error::new(Code::Unavailable)
    })
}
