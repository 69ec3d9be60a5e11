//! What analytics answer. The statement makes it; these types are its description.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The period that was asked about, as it was counted.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsPeriod")]
pub struct Period {
    /// The first moment of it, on a quarter of an hour.
    pub from: DateTime<Utc>,
    /// The first moment after it, on a quarter of an hour.
    pub to: DateTime<Utc>,
    /// How long each point stands for.
    pub granularity: super::question::By,
    /// Where its days begin.
    pub timezone: String,
    /// What it is compared with.
    pub compare: Option<super::question::With>,
    /// It is over, and all of it is summed up: the same question has the same answer from now on, unless something of
    /// that time comes late.
    pub closed: bool,
}

/// What was narrowed.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsFilters")]
pub struct Narrowed {
    /// Of this organization; `null` for a super administrator who asks about all together.
    pub organization_id: Option<Uuid>,
    /// Of this person alone: the caller, if they may not see the organization's numbers.
    pub user_id: Option<Uuid>,
    /// Of this product.
    pub product_id: Option<Uuid>,
    /// Of this plan.
    pub plan_id: Option<Uuid>,
    /// Of this AI provider.
    pub provider: Option<String>,
}

/// Numbers by their names, as `docs/metrics.md` defines them; `null` where there is nothing to divide by.
pub type Measures = BTreeMap<String, Option<f64>>;

/// A value of a series.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsPoint")]
pub struct Point {
    /// Where what it stands for begins.
    pub at: DateTime<Utc>,
    /// Nothing happened: 0; nothing to divide by: `null`.
    pub value: Option<f64>,
}

/// A line of a chart.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsSeries")]
pub struct Series {
    /// The measure, or the thing that the line is of.
    pub name: String,
    /// The id of that thing.
    pub key: Option<String>,
    /// What its values count: `count`, `ratio`, `ms`, `hours`, `tokens` or a currency.
    pub unit: String,
    /// One for each hour, day, week or month, also for those in which nothing happened.
    pub points: Vec<Point>,
}

/// One thing of a kind, with its numbers over the whole period.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsRow")]
pub struct Row {
    /// Its id; `null` for what belongs to none.
    pub key: Option<String>,
    /// What people call it.
    pub label: Option<String>,
    /// Its numbers.
    pub values: Measures,
    /// Why some of them are `null`, by their names.
    pub reasons: BTreeMap<String, String>,
    /// Its numbers in the other period, where one was asked for and had it.
    pub compare: Option<Measures>,
}

/// The numbers by one kind of things, the largest first.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsGroup")]
pub struct Group {
    /// The kind.
    pub by: String,
    /// Up to 100 of them.
    pub rows: Vec<Row>,
    /// How many more there are.
    pub more: i64,
}

/// What the period before, or a year before, came to.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsComparison")]
pub struct Comparison {
    /// The first moment of it.
    pub from: DateTime<Utc>,
    /// The first moment after it.
    pub to: DateTime<Utc>,
    /// Its numbers.
    pub totals: Measures,
    /// Why some of them are `null`, by their names.
    pub reasons: BTreeMap<String, String>,
    /// Its lines.
    pub series: Vec<Series>,
}

/// A report.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what the statement makes")]
#[schemars(rename = "AnalyticsReport")]
pub struct Answer {
    /// Which one; the export knows it by this name.
    pub report: String,
    /// The period.
    pub period: Period,
    /// What was narrowed.
    pub filters: Narrowed,
    /// Up to which moment facts are in it.
    pub as_of: DateTime<Utc>,
    /// The currency of money that is not said to be in US dollars; `null` where there is none.
    pub currency: Option<String>,
    /// The currencies in which something was sold in the period. Nothing is converted.
    pub currencies: Vec<String>,
    /// The numbers of the whole period.
    pub totals: Measures,
    /// Why some of them are `null`, by their names.
    pub reasons: BTreeMap<String, String>,
    /// The period it is compared with, where that was asked.
    pub compare: Option<Comparison>,
    /// Lines of a chart.
    pub series: Vec<Series>,
    /// The numbers by kinds of things.
    pub groups: Vec<Group>,
}
