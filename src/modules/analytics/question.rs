//! What can be asked of every report.

use crate::error::{Error, Result};
use crate::platform::{clock, zone};
use celaest_domain::analytics::period::{self, Edge, Granularity, Period, Wrong};
use celaest_domain::billing::money::Currency;
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long each point stands for.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `Granularity` reads")]
#[schemars(rename = "AnalyticsGranularity", rename_all = "lowercase")]
pub enum By {
    /// An hour.
    Hour,
    /// A day of the zone.
    Day,
    /// Monday to Sunday.
    Week,
    /// A calendar month.
    Month,
}

/// What a period is compared with.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `Asked::of` reads")]
#[schemars(rename = "AnalyticsCompare", rename_all = "lowercase")]
pub enum With {
    /// The one right before it, as long: in calendar months if it is calendar months, else in days.
    Previous,
    /// The same a year before.
    Year,
}

/// What is asked. All of it is text until its field can be named.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schemars(rename = "AnalyticsQuestion")]
pub struct Question {
    /// From here: RFC 3339, or a date, whose day begins in `timezone`. Thirty days before `to` unless said.
    #[garde(length(bytes, max = 40))]
    pub from: Option<String>,
    /// Up to here, not included: RFC 3339, or a date. The end of today unless said.
    #[garde(length(bytes, max = 40))]
    pub to: Option<String>,
    /// How long each point stands for; what suits the period unless said. An answer has up to 1,000 points.
    #[schemars(with = "Option<By>")]
    pub granularity: Option<String>,
    /// An IANA time zone, as `America/Mexico_City`; `UTC` unless said.
    #[garde(length(bytes, max = 64))]
    pub timezone: Option<String>,
    /// Also answers what the period before it came to.
    #[schemars(with = "Option<With>")]
    pub compare: Option<String>,
    /// The currency of what is sold; `USD` unless said.
    pub currency: Option<String>,
    /// Only this measure.
    #[garde(length(bytes, max = 64))]
    pub metric: Option<String>,
    /// Only of this product.
    pub product_id: Option<Uuid>,
    /// Only of this plan.
    pub plan_id: Option<Uuid>,
    /// Only of this AI provider.
    #[garde(length(bytes, max = 64))]
    pub provider: Option<String>,
    /// Only of this organization. Everybody but a super administrator sees the own one anyway.
    #[serde(skip_serializing)]
    pub organization_id: Option<Uuid>,
}

/// What is asked, as it can be answered.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When, and into what it is cut.
    pub period: Period,
    /// The zone's name.
    pub timezone: String,
    /// The rest of the question.
    pub question: Question,
}

impl Question {
    /// Reads the question.
    ///
    /// # Errors
    /// 422 naming the field.
    pub fn read(mut self) -> Result<Asked> {
        let edge = |name: &str, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| {
                let problem = "must be an RFC 3339 time or a date, years 1970 to 9999";
                Edge::parse(text).ok_or_else(|| Error::field(name, problem))
            })
            .transpose()
        };
        let (from, to) = (edge("from", &self.from)?, edge("to", &self.to)?);
        let granularity = one_of(
            "granularity",
            &self.granularity,
            "must be one of: hour, day, week, month",
            Granularity::parse,
        )?;
        one_of(
            "compare",
            &self.compare,
            "must be one of: previous, year",
            |text| matches!(text, "previous" | "year").then_some(()),
        )?;
        let currency = self.currency.get_or_insert_with(|| "USD".into());
        if Currency::parse(currency).is_none() {
            let problem = "must be three capital letters, as USD";
            return Err(Error::field("currency", problem));
        }
        let timezone = self.timezone.take().unwrap_or_else(|| "UTC".into());
        if !zone::is_zone(&timezone) {
            return Err(unknown_zone());
        }
        let period = Period::between(from, to, granularity, clock::now()).map_err(wrong)?;
        Ok(Asked {
            period,
            timezone,
            question: self,
        })
    }
}

/// A field that is one of a few words.
fn one_of<T>(
    name: &str,
    text: &Option<String>,
    problem: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    let found = read(text).ok_or_else(|| Error::field(name, problem))?;
    Ok(Some(found))
}

/// The zone is none, or one that PostgreSQL has not heard of yet.
pub fn unknown_zone() -> Error {
    Error::field(
        "timezone",
        "is not an IANA time zone, as America/Mexico_City",
    )
}

/// The period does not lie on whole hours, and is of before there is anything less.
pub fn no_quarters() -> Error {
    Error::field(
        "from",
        "is of a time that is only kept by the hour: ask in a zone that is whole hours from UTC, from and to whole hours",
    )
}

/// The period ends before it begins, which with a date and a moment only PostgreSQL finds out.
pub fn backward() -> Error {
    Error::field("from", "must be before `to`")
}

fn wrong(wrong: Wrong) -> Error {
    match wrong {
        Wrong::Backward => backward(),
        Wrong::TooLong => {
            let years = period::MOST_YEARS;
            Error::field(
                "from",
                &format!("must be at most {years} years before `to`"),
            )
        }
        Wrong::TooFine(points) => {
            let most = period::MOST_POINTS;
            Error::field(
                "granularity",
                &format!("gives {points} points, of which at most {most} are possible"),
            )
        }
    }
}
