//! Licenses that are sold: made, extended, stopped and given back by what becomes of the payment. The key that
//! each function returns is for [`super::notices::around`].

use super::create::{dates, issue};
use super::model::{BillingCycle, License, NewLicense, Status};
use super::queries::{self, LICENSE, Locked};
use super::slots;
use crate::call::Call;
use crate::config::Config;
use crate::db::{Raw, Set, Tx};
use crate::error::{Code, Error, Result};
use crate::http::types::{Ident, Moment};
use celaest_domain::license::Life;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Why a payment stops a license. A suspension for any other reason is none of its business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// All of the order was paid back.
    Refund,
    /// The buyer disputes the payment.
    Dispute,
    /// The subscription is not paid.
    Unpaid,
}

impl Hold {
    /// The `suspension_reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "order refunded",
            Self::Dispute => "payment disputed",
            Self::Unpaid => "subscription unpaid",
        }
    }

    /// Whether it is one of these.
    fn is(reason: Option<&str>) -> bool {
        let all = [Self::Refund, Self::Dispute, Self::Unpaid];
        reason.is_some_and(|reason| all.iter().any(|one| one.as_str() == reason))
    }
}

/// What the reason of a suspension by whoever sold the license begins with.
const BY_SELLER: &str = "seller: ";
/// The reason of a suspension by the license's object.
const BY_EDGE: &str = "COLLISION_LIMIT";

/// Whether a reason is in the words by which payments, sellers and the edge suspend, and go on with what they
/// suspended: it is nobody else's.
pub fn is_reserved(reason: &str) -> bool {
    Hold::is(Some(reason)) || reason.starts_with(BY_SELLER) || reason == BY_EDGE
}

/// What is sold.
pub struct Sold<'a> {
    /// The buyer's organization.
    pub organization: Uuid,
    /// The buyer.
    pub owner: Uuid,
    /// The plan.
    pub plan: Uuid,
    /// The product, with the code that is part of the key.
    pub product: Option<(Uuid, &'a str)>,
    /// How it is billed.
    pub cycle: BillingCycle,
    /// Until when; none for what is bought once.
    pub expires_at: Option<DateTime<Utc>>,
    /// The order that it came from.
    pub order_number: &'a str,
}

/// Makes the license of a purchase. Returns its id and its key.
///
/// # Errors
/// As [`issue`].
pub async fn make(
    tx: &mut Tx,
    config: &Config,
    sold: &Sold<'_>,
    now: DateTime<Utc>,
) -> Result<(Uuid, String)> {
    let mut metadata = Map::new();
    metadata.insert("order_number".into(), json!(sold.order_number));
    let new = NewLicense {
        plan_id: Ident(sold.plan),
        organization_id: None,
        product_id: sold.product.map(|(id, _)| Ident(id)),
        owner_id: Some(Ident(sold.owner)),
        billing_cycle: sold.cycle,
        starts_at: Some(Moment(now)),
        expires_at: sold.expires_at.map(Moment),
        trial_ends_at: None,
        custom_limits: None,
        notes: None,
        metadata,
    };
    let dates = dates(&new, now)?;
    let code = sold
        .product
        .map_or(super::create::NO_PRODUCT, |(_, code)| code);
    let secret = config.license_key_secret.newest();
    let (key, license) = issue(tx, secret, sold.organization, code, &new, &dates).await?;
    Ok((id_of(&license.tree()), key))
}

fn id_of(license: &Value) -> Uuid {
    let id = license["id"]
        .as_str()
        .and_then(|id| Uuid::try_parse(id).ok());
    id.unwrap_or_default()
}

async fn change(
    tx: &mut Tx,
    before: &Locked,
    event: &'static str,
    set: Set,
) -> Result<Raw<License>> {
    let after = queries::set(tx, before.id, set).await?;
    tx.record_change(&LICENSE, event, &before.row, &after);
    Ok(after)
}

/// Lets a license go on until `until`, on another plan if one is given. A cancelled one stays cancelled. One
/// that ran out or was stopped for want of payment works again.
///
/// # Errors
/// When the database fails.
pub async fn extend(
    tx: &mut Tx,
    id: Uuid,
    until: DateTime<Utc>,
    next_billing: DateTime<Utc>,
    plan: Option<Uuid>,
) -> Result<Option<String>> {
    let before = queries::lock(tx, id).await?;
    if before.life.status == Status::Cancelled {
        return Ok(None);
    }
    let reason = before.row.tree()["suspension_reason"]
        .as_str()
        .map(str::to_owned);
    let unpaid = reason.as_deref() == Some(Hold::Unpaid.as_str());
    let mut set = Set::new()
        .to("expires_at = {}::timestamptz", until)
        .to("next_billing_date = {}::timestamptz::date", next_billing)
        .when("plan_id = {}::uuid", plan);
    set = match before.life.status {
        Status::Suspended if !unpaid => set,
        Status::Suspended => set.fixed(
            "status = 'active', suspended_at = NULL, suspension_reason = NULL, reactivations = l.reactivations + 1",
        ),
        _ => set.fixed("status = 'active'"),
    };
    change(tx, &before, "license.renewed", set).await?;
    Ok(Some(before.key))
}

/// Gives a license another end and, where one is given, another plan, without paying for time.
///
/// # Errors
/// When the database fails.
pub async fn redate(
    tx: &mut Tx,
    id: Uuid,
    until: DateTime<Utc>,
    plan: Option<Uuid>,
    billed_again: bool,
) -> Result<Option<String>> {
    let before = queries::lock(tx, id).await?;
    if before.life.status == Status::Cancelled {
        return Ok(None);
    }
    let mut set = Set::new()
        .to("expires_at = {}::timestamptz", until)
        .when("plan_id = {}::uuid", plan);
    if !billed_again {
        set = set.fixed("next_billing_date = NULL");
    }
    change(tx, &before, "license.updated", set).await?;
    Ok(Some(before.key))
}

/// Stops a license for `hold`, or gives it back when nothing holds it any more. What somebody stopped for
/// another reason stays as it is.
///
/// # Errors
/// When the database fails.
pub async fn settle(
    tx: &mut Tx,
    id: Uuid,
    hold: Option<Hold>,
    now: DateTime<Utc>,
) -> Result<Option<String>> {
    let before = queries::lock(tx, id).await?;
    let was = before.row.tree();
    let reason = was["suspension_reason"].as_str();
    let held = before.life.status == Status::Suspended;
    match hold {
        _ if before.life.status == Status::Cancelled => return Ok(None),
        _ if held && !Hold::is(reason) => return Ok(None),
        Some(hold) if held && reason == Some(hold.as_str()) => return Ok(None),
        Some(hold) => {
            let set = Set::new()
                .fixed("status = 'suspended', suspended_at = coalesce(l.suspended_at, now())")
                .to("suspension_reason = {}", hold.as_str());
            change(tx, &before, "license.revoked", set).await?;
        }
        None if held => go_on(tx, &before, (before.life, &was), now).await?,
        None => return Ok(None),
    }
    Ok(Some(before.key))
}

/// Stops a license for whoever sold it.
///
/// # Errors
/// 409 for one that is stopped already, or cancelled.
pub async fn suspend(tx: &mut Tx, id: Uuid, reason: &str) -> Result<String> {
    let before = queries::lock(tx, id).await?;
    let set = Set::new()
        .to(
            "status = {}::license_status",
            before.life.suspend()?.as_str(),
        )
        .fixed("suspended_at = now()")
        .to("suspension_reason = {}", format!("{BY_SELLER}{reason}"));
    change(tx, &before, "license.revoked", set).await?;
    Ok(before.key)
}

/// Lets a license go on for whoever sold it, whoever stopped it; but not what a payment stopped.
///
/// # Errors
/// 409 for one that is not stopped, is held for its payment, or is cancelled; 503 when its object, which may have
/// stopped it, cannot be reached.
pub async fn lift(tx: &mut Tx, call: &Call, id: Uuid, now: DateTime<Utc>) -> Result<String> {
    let before = queries::lock(tx, id).await?;
    let (life, was) = slots::at_edge(call, &before).await?;
    let reason = was["suspension_reason"].as_str();
    if Hold::is(reason) {
        let reason = json!({ "reason": reason });
        return Err(Error::new(Code::LicenseStatusConflict).with_details(reason));
    }
    go_on(tx, &before, (life, &was), now).await?;
    Ok(before.key)
}

/// It becomes what it would be without the suspension.
async fn go_on(
    tx: &mut Tx,
    before: &Locked,
    (life, was): (Life, &Value),
    now: DateTime<Utc>,
) -> Result<()> {
    let status = life.reactivate(now)?;
    let set = Set::new()
        .to("status = {}::license_status", status.as_str())
        .fixed(
            "suspended_at = NULL, suspension_reason = NULL, reactivations = l.reactivations + 1",
        );
    let after = queries::set(tx, before.id, set).await?;
    tx.record_between(&LICENSE, "license.reactivated", was, &after.tree());
    Ok(())
}
