//! Wire shapes of tenants.

use crate::http::checks;
use crate::http::types::Patch;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// An organization as the API shows it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Organization {
    /// Identifier.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its name in links.
    pub slug: String,
    /// Where it is written to.
    pub email: Option<String>,
    /// Telephone number.
    pub phone: Option<String>,
    /// Web site.
    pub website: Option<String>,
    /// First line of the address.
    pub address_line1: Option<String>,
    /// Second line of the address.
    pub address_line2: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State or province.
    pub state: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Its number with the tax office.
    pub tax_id: Option<String>,
    /// Settings.
    pub settings: Value,
    /// Anything it wants to keep.
    pub metadata: Map<String, Value>,
    /// How many people it may have, the invited included; -1 for any number.
    pub max_users: i64,
    /// How many calls with API keys a month are agreed on; -1 for any number. Its subscription says how many it
    /// made; calls beyond are counted and not refused.
    pub max_api_calls_per_month: i64,
    /// When it was founded.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// What an organization sets for its people.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
#[schemars(rename = "OrganizationSettings")]
pub struct Settings {
    /// A time zone of the IANA database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(checks::line::<50>))]
    pub timezone: Option<String>,
    /// A language.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(checks::locale))]
    pub locale: Option<String>,
    /// How it looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub branding: Option<Branding>,
    /// What its return on AI is measured by.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(dive)]
    pub analytics: Option<Rates>,
    /// What is switched on for it in its own front end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(flags))]
    pub feature_flags: Option<Vec<String>>,
}

/// What an organization's return on AI is measured by; the system's settings `analytics.…` count for what it leaves out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "OrganizationRates")]
pub struct Rates {
    /// Minutes that a person needs for what one AI task does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(range(max = 1_440))]
    pub manual_minutes_per_task: Option<u32>,
    /// What an hour of that person costs, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(range(max = 10_000))]
    pub hourly_rate_usd: Option<u32>,
    /// What running everything costs in a month beside AI, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(range(max = 10_000_000))]
    pub infrastructure_cost_usd_per_month: Option<u32>,
}

/// How an organization looks.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct Branding {
    /// `#RRGGBB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(checks::color))]
    pub primary_color: Option<String>,
    /// `#RRGGBB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(checks::color))]
    pub secondary_color: Option<String>,
    /// An `https` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(checks::https_url))]
    pub logo_url: Option<String>,
    /// An `https` address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[garde(custom(checks::https_url))]
    pub favicon_url: Option<String>,
}

fn flags(flags: &Option<Vec<String>>, _: &()) -> garde::Result {
    let named = |flag: &String| {
        (1..=100).contains(&flag.len())
            && flag
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    };
    let flags = flags.as_deref().unwrap_or_default();
    if flags.len() <= 100 && flags.iter().all(named) {
        Ok(())
    } else {
        Err(garde::Error::new(
            "at most 100 entries of letters, digits, _ - and .",
        ))
    }
}

fn country(code: &Patch<String>, _: &()) -> garde::Result {
    let good = |code: &String| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase());
    if code.value().is_none_or(good) {
        Ok(())
    } else {
        Err(garde::Error::new("must be two capital letters"))
    }
}

/// Within what JSON numbers hold exactly.
const MOST_CALLS: i64 = 1_000_000_000_000;

fn limit(limit: &Patch<i64>, _: &()) -> garde::Result {
    let good = |limit: &i64| (-1..=MOST_CALLS).contains(limit);
    if limit.value().is_none_or(good) {
        Ok(())
    } else {
        Err(garde::Error::new(format!("must be -1 to {MOST_CALLS}")))
    }
}

fn people(people: &Patch<i32>, _: &()) -> garde::Result {
    if people.value().is_none_or(|people| *people >= -1) {
        Ok(())
    } else {
        Err(garde::Error::new("must be -1 or more"))
    }
}

/// Body of `PATCH /api/organizations/{id}`, and of `POST /api/organizations` where the name is required.
/// Left out: stays, or the default; null: cleared.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct OrganizationChanges {
    /// Its name.
    #[garde(custom(checks::line::<255>))]
    pub name: Patch<String>,
    /// Its name in links. Default: made from the name.
    #[garde(custom(checks::slug))]
    pub slug: Patch<String>,
    /// Where it is written to.
    #[garde(custom(checks::email))]
    pub email: Patch<String>,
    /// Telephone number.
    #[garde(custom(checks::phone))]
    pub phone: Patch<String>,
    /// Web site.
    #[garde(custom(checks::web_url))]
    pub website: Patch<String>,
    /// First line of the address.
    #[garde(custom(checks::line::<255>))]
    pub address_line1: Patch<String>,
    /// Second line of the address.
    #[garde(custom(checks::line::<255>))]
    pub address_line2: Patch<String>,
    /// City.
    #[garde(custom(checks::line::<100>))]
    pub city: Patch<String>,
    /// State or province.
    #[garde(custom(checks::line::<100>))]
    pub state: Patch<String>,
    /// Postal code.
    #[garde(custom(checks::line::<20>))]
    pub postal_code: Patch<String>,
    /// ISO 3166-1 alpha-2.
    #[garde(custom(country))]
    pub country_code: Patch<String>,
    /// Its number with the tax office.
    #[garde(custom(checks::line::<50>))]
    pub tax_id: Patch<String>,
    /// All settings: what is left out is not set any more.
    #[garde(dive)]
    pub settings: Patch<Settings>,
    /// Anything, up to 16 KB.
    #[garde(custom(checks::small_object))]
    pub metadata: Patch<Map<String, Value>>,
    /// Only for super_admin: how many people it may have; -1 for any number.
    #[garde(custom(people))]
    pub max_users: Patch<i32>,
    /// Only for super_admin: how many calls with API keys a month are agreed on; -1 for any number. Calls beyond are
    /// counted and not refused.
    #[garde(custom(limit))]
    pub max_api_calls_per_month: Patch<i64>,
}

/// What an organization has, may and did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Subscription {
    /// The organization.
    pub organization_id: Uuid,
    /// Its plan: that of its own license, or `free`. Not shown to clients, as are license and limits.
    pub plan: Option<SubscribedPlan>,
    /// The license that the plan comes from; `null` for the free plan.
    pub license: Option<SubscribedLicense>,
    /// The plan's limits, with the license's own over them and the organization's over both; -1 is none. Beyond
    /// `max_api_calls_per_month` calls are counted and not refused.
    pub limits: Map<String, Value>,
    /// What is used of them.
    pub usage: SubscriptionUsage,
}

/// A plan.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SubscribedPlan {
    /// Identifier.
    pub id: Uuid,
    /// Its name for programs.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Price of a month.
    pub price_monthly: Option<f64>,
    /// Price of a year.
    pub price_yearly: Option<f64>,
    /// ISO 4217.
    pub currency: String,
    /// What it includes.
    pub features: Vec<String>,
}

/// The license of an organization itself.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SubscribedLicense {
    /// Identifier.
    pub id: Uuid,
    /// `active` or `trial`.
    pub status: String,
    /// From when it is valid.
    pub starts_at: String,
    /// Until when.
    pub expires_at: Option<String>,
    /// End of the trial.
    pub trial_ends_at: Option<String>,
    /// How it is billed.
    pub billing_cycle: String,
    /// When it is billed next.
    pub next_billing_date: Option<String>,
}

/// What is used of the limits.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SubscriptionUsage {
    /// People, the invited included.
    pub users: i64,
    /// AI requests in the running period.
    pub ai_requests: i64,
    /// Storage, in bytes.
    pub storage_bytes: i64,
    /// Licenses that were not cancelled.
    pub licenses: i64,
    /// Outgoing webhooks.
    pub webhooks: i64,
    /// API keys that work.
    pub api_keys: i64,
    /// Calls with API keys in this calendar month (UTC), counted within seconds.
    pub api_calls: i64,
}
