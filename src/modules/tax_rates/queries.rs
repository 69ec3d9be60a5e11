//! The SQL of tax rates.

use crate::db::facts::Subject;
use crate::db::{Rows, Tx, sql};
use crate::error::Result;
use celaest_domain::billing::totals::Rate;
use serde::{Deserialize, Serialize};

/// The columns of [`super::model::TaxRate`], from alias `t`.
pub const COLUMNS: &str =
    "t.id, t.name, t.code, t.rate, t.country_code, t.state, t.is_inclusive, t.replaces_country,
    t.exempt_with_tax_id, t.is_active, t.created_at, t.updated_at";

/// What the log learns of a tax rate. It is nobody's, so nobody outside is told.
pub const TAX_RATE: Subject = Subject {
    kind: "tax_rate",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// Every tax rate.
pub fn all() -> Rows {
    Rows::of("tax_rates", "t")
}

/// A tax that a buyer pays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Charged {
    /// What it is called.
    pub name: String,
    /// Percent, as people write it: `21` or `9.975`.
    pub percent: String,
    /// Millionths.
    pub parts: i64,
    /// Prices include it.
    pub inclusive: bool,
    /// Whether a foreign business with a tax id pays it.
    pub exempt_with_tax_id: bool,
}

impl Charged {
    /// As totals are counted with it.
    pub fn rate(&self, foreign_business: bool) -> Rate {
        Rate {
            parts: self.parts,
            inclusive: self.inclusive,
            exempt: foreign_business && self.exempt_with_tax_id,
        }
    }
}

/// The taxes of a place: its country's, and its state's beside it or in its place.
///
/// # Errors
/// When the database fails.
pub async fn of_place(tx: &mut Tx, country: &str, state: Option<&str>) -> Result<Vec<Charged>> {
    tx.rows(
        sql("WITH here AS (
               SELECT * FROM tax_rates WHERE is_active AND country_code = $1
                 AND (state IS NULL OR lower(state) = lower($2)))
             SELECT name, trim_scale(rate)::text AS percent, (rate * 10000)::bigint AS parts, is_inclusive AS inclusive,
               exempt_with_tax_id
             FROM here
             WHERE state IS NOT NULL OR NOT EXISTS (SELECT 1 FROM here WHERE state IS NOT NULL AND replaces_country)
             ORDER BY state IS NOT NULL, name")
        .bind(country)
        .bind(state),
    )
    .await
}
