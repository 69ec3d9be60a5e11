//! A license, how it is made and how it is changed.

use crate::http::checks;
use crate::http::types::{Ident, Moment, Patch, not_null};
use crate::modules::plans::limits::with_limits;
use celaest_domain::address::Cidr;
pub use celaest_domain::calendar::BillingCycle;
pub use celaest_domain::license::Status;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// A license as the API shows it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct License {
    /// Identifier.
    pub id: Uuid,
    /// The organization it belongs to.
    pub organization_id: Uuid,
    /// The user who holds it; users with the role `client` see only their own.
    pub owner_id: Option<Uuid>,
    /// The plan.
    pub plan_id: Uuid,
    /// The product it is for.
    pub product_id: Option<Uuid>,
    /// `CELAEST-{PRODUCT}-{RANDOM}-{CHECKSUM}`.
    pub license_key: String,
    /// Where it is in its life.
    pub status: Status,
    /// From when it is valid.
    pub starts_at: String,
    /// Until when it is valid; `null`: for ever.
    pub expires_at: Option<String>,
    /// End of the trial. Set as long as the license is one.
    pub trial_ends_at: Option<String>,
    /// How it is billed.
    pub billing_cycle: BillingCycle,
    /// When it is billed next.
    pub next_billing_date: Option<String>,
    /// The day of the month that renewals end on, where the month has it; `null`: as the dates have it.
    pub renewal_day: Option<u32>,
    /// What differs from the plan.
    pub custom_limits: Option<Value>,
    /// Start of the running usage period.
    pub current_period_start: Option<String>,
    /// End of the running usage period.
    pub current_period_end: Option<String>,
    /// AI requests in the running period.
    pub ai_requests_used: i64,
    /// Storage in use, in bytes.
    pub storage_used_bytes: i64,
    /// Internal notes; not shown to clients.
    pub notes: Option<String>,
    /// Anything the vendor wants to keep with it.
    pub metadata: Map<String, Value>,
    /// Why it is suspended.
    pub suspension_reason: Option<String>,
    /// When it was suspended.
    pub suspended_at: Option<String>,
    /// When it was cancelled.
    pub cancelled_at: Option<String>,
    /// When it was created.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

with_limits! {
    /// What differs from the plan for one license; -1 is no limit. What is left out is as the plan, or else
    /// the system, has it.
    #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
    #[serde(deny_unknown_fields, default)]
    #[garde(allow_unvalidated)]
    pub struct CustomLimits {
        /// Addresses that can be bound; -1 for any number up to 10,000, 5 if left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[garde(range(min = -1, max = 10_000))]
        pub max_ips: Option<i32>,
        /// Networks the license may be used from; connections from them don't count as collisions.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[garde(length(max = 100), custom(cidrs))]
        pub allowed_cidrs: Option<Vec<String>>,
        /// Collisions in 24 hours that are still tolerated.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[garde(range(min = 1, max = 100_000))]
        pub collision_threshold: Option<u32>,
        /// Whether more collisions than that suspend the license.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub collision_auto_revoke: Option<bool>,
    }
}

fn cidrs(networks: &Option<Vec<String>>, _: &()) -> garde::Result {
    match networks
        .iter()
        .flatten()
        .find(|text| Cidr::parse(text).is_none())
    {
        None => Ok(()),
        Some(_) => Err(garde::Error::new(
            "every entry must be a network such as 203.0.113.0/24 or 2001:db8::/32",
        )),
    }
}

fn notes_if_set(patch: &Patch<String>, _: &()) -> garde::Result {
    let fits = patch
        .value()
        .is_none_or(|notes| notes.chars().count() <= 5000);
    if fits {
        Ok(())
    } else {
        Err(garde::Error::new("is longer than 5000 characters"))
    }
}

/// Body of `POST /api/licenses`.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct NewLicense {
    /// The plan.
    pub plan_id: Ident,
    /// Only for super_admin: the organization. Everybody else creates in their own.
    #[serde(default)]
    pub organization_id: Option<Ident>,
    /// A product of the same organization; its code becomes part of the key.
    #[serde(default)]
    pub product_id: Option<Ident>,
    /// A user of the same organization.
    #[serde(default)]
    pub owner_id: Option<Ident>,
    /// How it is billed. Default `monthly`.
    #[serde(default)]
    pub billing_cycle: BillingCycle,
    /// From when it is valid. Default now.
    #[serde(default)]
    pub starts_at: Option<Moment>,
    /// Until when. Default the end of the running billing cycle, counted from the start; a `lifetime`
    /// license and a trial have none.
    #[serde(default)]
    pub expires_at: Option<Moment>,
    /// Makes the license a trial that ends then.
    #[serde(default)]
    pub trial_ends_at: Option<Moment>,
    /// What differs from the plan.
    #[serde(default)]
    #[garde(dive)]
    pub custom_limits: Option<CustomLimits>,
    /// Internal notes.
    #[serde(default)]
    #[garde(length(chars, max = 5000))]
    pub notes: Option<String>,
    /// Anything, up to 16 KB.
    #[serde(default)]
    #[garde(custom(checks::small_object))]
    pub metadata: Map<String, Value>,
}

/// Body of `PATCH /api/licenses/{id}`. Left out: stays; null: cleared.
#[derive(Debug, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[derive(Default)]
pub struct LicenseChanges {
    /// Another plan.
    #[garde(custom(not_null))]
    #[schemars(with = "Ident")]
    pub plan_id: Patch<Ident>,
    /// Another holder.
    pub owner_id: Patch<Ident>,
    /// Another billing cycle.
    #[garde(custom(not_null))]
    #[schemars(with = "BillingCycle")]
    pub billing_cycle: Patch<BillingCycle>,
    /// Another expiry; null: never.
    pub expires_at: Patch<Moment>,
    /// Another end of the trial; null ends the trial and makes the license a full one, which expires at the
    /// end of the running billing cycle unless the same change says otherwise.
    pub trial_ends_at: Patch<Moment>,
    /// What differs from the plan.
    #[garde(dive)]
    pub custom_limits: Patch<CustomLimits>,
    /// Internal notes.
    #[garde(custom(notes_if_set))]
    pub notes: Patch<String>,
    /// Anything, up to 16 KB.
    #[garde(custom(checks::small_object))]
    pub metadata: Patch<Map<String, Value>>,
}

impl LicenseChanges {
    /// Whether what the license allows, and for how long, stays as it is.
    pub fn keeps_its_worth(&self) -> bool {
        !(self.plan_id.is_present()
            || self.billing_cycle.is_present()
            || self.expires_at.is_present()
            || self.trial_ends_at.is_present()
            || self.custom_limits.is_present())
    }
}
