//! Cards as the gateway tells of them.

use super::model::PaymentMethod;
use super::queries::{COLUMNS, METHOD, remove};
use crate::db::{Raw, Rows, Set, Tx, sql};
use crate::error::Result;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// The brands that the database names.
const BRANDS: &[&str] = &[
    "visa",
    "mastercard",
    "amex",
    "discover",
    "diners",
    "jcb",
    "unionpay",
];

/// What is kept of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// What the gateway calls it.
    pub id: String,
    /// Of the database's brands.
    pub brand: &'static str,
    /// The last four digits.
    pub last4: String,
    /// Month and year in which it expires.
    pub expires: (i64, i64),
}

impl Card {
    /// Reads a PaymentMethod; none for what is no card.
    pub fn read(method: &Value) -> Option<Self> {
        let card = &method["card"];
        let brand = card["brand"].as_str()?;
        let last4 = card["last4"].as_str().filter(|text| text.len() == 4)?;
        let (month, year) = (card["exp_month"].as_i64()?, card["exp_year"].as_i64()?);
        let right = (1..=12).contains(&month)
            && (2000..=2200).contains(&year)
            && last4.bytes().all(|b| b.is_ascii_digit());
        right.then_some(Self {
            id: method["id"].as_str()?.to_owned(),
            brand: BRANDS
                .iter()
                .find(|known| **known == brand)
                .copied()
                .unwrap_or("other"),
            last4: last4.to_owned(),
            expires: (month, year),
        })
    }
}

#[derive(Deserialize)]
struct Known {
    id: Uuid,
}

#[derive(Deserialize)]
struct Owner {
    organization_id: Uuid,
    user_id: Uuid,
    gateway_id: Uuid,
}

/// Keeps what is told of a card whose owner is known at the gateway; the first one is the default. Telling it again
/// changes nothing more, and one that was removed does not come back.
///
/// # Errors
/// When the database fails.
pub async fn keep(
    tx: &mut Tx,
    customer: Option<&str>,
    card: &Card,
) -> Result<Option<Raw<PaymentMethod>>> {
    let owner: Option<Owner> = tx
        .row(
            sql(
                "SELECT c.organization_id, c.user_id, c.gateway_id FROM gateway_customers c
                 JOIN payment_gateways g ON g.id = c.gateway_id
                 WHERE c.customer_id = $1 AND g.code = 'stripe' LIMIT 1 FOR NO KEY UPDATE OF c",
            )
            .bind(customer),
        )
        .await?;
    let Some(owner) = owner else { return Ok(None) };
    let known = || {
        Rows::of("payment_methods", "m")
            .when("m.organization_id = {}::uuid", Some(owner.organization_id))
            .when("m.gateway_method_id = {}", Some(&card.id))
    };
    let same = || known().only("m.deleted_at IS NULL");
    let before: Option<Raw<PaymentMethod>> = tx.row(same().lock(COLUMNS)).await?;
    let (month, year) = card.expires;
    let described = Set::new()
        .to("card_brand = {}::card_brand", card.brand)
        .to("card_last4 = {}", &card.last4)
        .to("card_exp_month = {}::smallint", month)
        .to("card_exp_year = {}::smallint", year);
    if let Some(before) = before {
        // Whoever was warned of the day on which it expires is warned of another one only.
        let described = described.to(
            "expiry_warned_at = CASE WHEN m.card_exp_year * 12 + m.card_exp_month = {}::int THEN m.expiry_warned_at END",
            year * 12 + month,
        );
        let after: Raw<PaymentMethod> = tx
            .one(same().set(described, COLUMNS), crate::error::Code::NotFound)
            .await?;
        tx.record_change(&METHOD, "payment_method.updated", &before, &after);
        return Ok(Some(after));
    }
    // Whatever is told of it is late: the gateway attaches it to nobody again.
    let removed: u32 = tx.value(known().count()).await?;
    if removed > 0 {
        return Ok(None);
    }
    let insert = described
        .to("organization_id = {}::uuid", owner.organization_id)
        .to("user_id = {}::uuid", owner.user_id)
        .to("gateway_id = {}::uuid", owner.gateway_id)
        .to("gateway_customer_id = {}", customer)
        .to("gateway_method_id = {}", &card.id)
        .to(
            "is_default = NOT EXISTS (SELECT 1 FROM payment_methods d JOIN gateway_customers c
               ON c.user_id = d.user_id AND c.organization_id = d.organization_id
               WHERE c.customer_id = {} AND d.is_default AND d.deleted_at IS NULL)",
            customer,
        )
        .insert("payment_methods", "m", COLUMNS)
        .wrapped(|insert| insert.replace(" RETURNING", " ON CONFLICT DO NOTHING RETURNING"));
    let made: Option<Raw<PaymentMethod>> = tx.row(insert).await?;
    if let Some(made) = &made {
        tx.record_new(&METHOD, "payment_method.created", made);
    }
    Ok(made)
}

/// A card is gone at the gateway.
///
/// # Errors
/// When the database fails.
pub async fn removed(tx: &mut Tx, id: &str) -> Result<()> {
    let query = Rows::of("payment_methods", "m")
        .when("m.gateway_method_id = {}", Some(id))
        .only("m.deleted_at IS NULL")
        .read("m.id");
    let known: Option<Known> = tx.row(query).await?;
    if let Some(Known { id }) = known {
        remove(tx, id).await?;
    }
    Ok(())
}
