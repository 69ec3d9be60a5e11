//! From what somebody wants to buy to an order with its totals.

use super::model::{Billing, Kind, Order};
use super::offers::Offer;
use super::queries::COLUMNS;
use crate::db::{Raw, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::modules::tax_rates::queries::{Charged, of_place};
use celaest_domain::billing::document::Tax;
use celaest_domain::billing::money::Currency;
use celaest_domain::billing::totals::{Discount, Line, Totals, price};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

/// Who buys, as the invoice will have it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Buyer {
    /// Name.
    pub name: Option<String>,
    /// Tax number.
    pub tax_id: Option<String>,
    /// The address, as `orders.billing_address` keeps it.
    pub address: Address,
}

/// An address, as `orders.billing_address` keeps it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Street and number.
    pub address_line1: Option<String>,
    /// More of it.
    pub address_line2: Option<String>,
    /// City.
    pub city: Option<String>,
    /// State.
    pub state: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Country.
    pub country_code: Option<String>,
}

/// What everybody may know of an organization that sells; what an organization says of itself when it buys.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Company {
    /// Name.
    pub name: String,
    /// Tax number.
    pub tax_id: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Address.
    #[serde(flatten)]
    pub address: Address,
}

/// What an organization says of itself.
///
/// # Errors
/// When the database fails.
pub async fn company(tx: &mut Tx, id: Uuid) -> Result<Option<Company>> {
    tx.value(sql("SELECT seller_details($1::uuid)::text").bind(id))
        .await
}

impl Buyer {
    /// What the body says, and where it says nothing the organization itself. An address is taken whole.
    pub fn of(billing: &Billing, company: Company) -> Self {
        let given = Address {
            address_line1: billing.address_line1.clone(),
            address_line2: billing.address_line2.clone(),
            city: billing.city.clone(),
            state: billing.state.clone(),
            postal_code: billing.postal_code.clone(),
            country_code: billing.country_code.clone(),
        };
        Self {
            name: billing.name.clone().or(Some(company.name)),
            tax_id: billing.tax_id.clone().or(company.tax_id),
            address: match given.country_code {
                Some(_) => given,
                None => company.address,
            },
        }
    }
}

/// An order before it is written down.
pub struct Draft {
    /// The organization that buys.
    pub organization: Uuid,
    /// Who orders.
    pub user: Uuid,
    /// Who sells.
    pub seller: Uuid,
    /// Who is on the invoice.
    pub buyer: Buyer,
    /// Why.
    pub kind: Kind,
    /// Of everything.
    pub currency: Currency,
    /// What, and how many.
    pub lines: Vec<(Offer, Line)>,
    /// What comes off.
    pub discount: Discount,
    /// The coupon, with its code.
    pub coupon: Option<(Uuid, String)>,
    /// The subscription that it pays.
    pub subscription: Option<Uuid>,
    /// What the buyer wrote.
    pub notes: Option<String>,
    /// Until when it can be paid.
    pub expires_at: DateTime<Utc>,
}

/// Prices an order with the taxes of its buyer's place, and writes it down.
///
/// # Errors
/// 422 for an amount beyond what can be sold, or a buyer in no country.
pub async fn write(tx: &mut Tx, draft: &Draft) -> Result<Raw<Order>> {
    let country = draft.buyer.address.country_code.as_deref();
    let country = country.ok_or_else(|| Error::field("billing.country_code", "is required"))?;
    let state = draft.buyer.address.state.as_deref();
    let seller = company(tx, draft.seller).await?.unwrap_or_default();
    let rates = of_place(tx, country, state).await?;
    let home = seller.address.country_code.as_deref();
    let abroad = home.is_some_and(|home| home != country);
    let foreign_business = abroad && draft.buyer.tax_id.is_some();
    let charged: Vec<_> = rates
        .iter()
        .map(|rate| rate.rate(foreign_business))
        .collect();
    let lines: Vec<Line> = draft.lines.iter().map(|(_, line)| *line).collect();
    let totals = price(draft.currency, &lines, draft.discount, &charged)
        .map_err(|_| Error::field("items", "comes to more than can be sold in one order"))?;
    let order = insert(
        tx,
        draft,
        &totals,
        &tax_lines(draft.currency, &totals, &rates, &charged),
    )
    .await?;
    let id = order.tree()["id"].as_str().map(str::to_owned);
    insert_items(tx, draft, &totals, id.as_deref()).await?;
    Ok(order)
}

fn tax_lines(
    currency: Currency,
    totals: &Totals,
    rates: &[Charged],
    charged: &[celaest_domain::billing::totals::Rate],
) -> Vec<Tax> {
    let base: i64 = totals.lines.iter().map(|line| line.net).sum();
    let each = rates.iter().zip(charged).zip(&totals.taxes);
    each.map(|((rate, how), amount)| Tax {
        name: rate.name.clone(),
        rate: rate.percent.clone(),
        base: currency.major(base),
        amount: currency.major(*amount),
        exempt: how.exempt,
    })
    .collect()
}

async fn insert(tx: &mut Tx, draft: &Draft, totals: &Totals, taxes: &[Tax]) -> Result<Raw<Order>> {
    let money = |amount: i64| draft.currency.major(amount);
    let query = Set::new()
        .to("organization_id = {}::uuid", draft.organization)
        .to("user_id = {}::uuid", draft.user)
        .to("seller_id = {}::uuid", draft.seller)
        .to("kind = {}", draft.kind.as_str())
        .to("currency = {}", draft.currency.as_str())
        .to("subtotal = {}::numeric", money(totals.subtotal))
        .to("discount_total = {}::numeric", money(totals.discount))
        .to("tax_total = {}::numeric", money(totals.tax))
        .to("total = {}::numeric", money(totals.total))
        .to("tax_lines = {}::jsonb", json!(taxes))
        .to(
            "coupon_id = {}::uuid",
            draft.coupon.as_ref().map(|(id, _)| *id),
        )
        .to(
            "coupon_code = {}",
            draft.coupon.as_ref().map(|(_, code)| code.as_str()),
        )
        .to("subscription_id = {}::uuid", draft.subscription)
        .to("billing_name = {}", draft.buyer.name.as_deref())
        .to("billing_tax_id = {}", draft.buyer.tax_id.as_deref())
        .to("billing_address = {}::jsonb", json!(draft.buyer.address))
        .to("notes = {}", draft.notes.as_deref())
        .to("expires_at = {}::timestamptz", draft.expires_at)
        .insert("orders", "o", COLUMNS)
        .on("orders_open_renewal_key", Code::SubscriptionConflict);
    tx.one(query, Code::Internal).await
}

async fn insert_items(
    tx: &mut Tx,
    draft: &Draft,
    totals: &Totals,
    order: Option<&str>,
) -> Result<()> {
    let money = |amount: i64| draft.currency.major(amount);
    let items: Vec<_> = draft
        .lines
        .iter()
        .zip(&totals.lines)
        .enumerate()
        .map(|(position, ((offer, line), priced))| {
            json!({
                "position": position, "product_id": offer.product_id, "plan_id": offer.plan_id, "name": offer.name,
                "quantity": line.quantity, "unit_price": money(line.unit),
                "total": money(line.unit * i64::from(line.quantity)), "billing_cycle": offer.cycle.as_str(),
                "list_total": money(priced.list), "discount_total": money(priced.discount),
                "net_total": money(priced.net), "tax_total": money(priced.taxes.iter().sum()),
            })
        })
        .collect();
    tx.execute(
        sql("INSERT INTO order_items (order_id, organization_id, position, product_id, plan_id, name, quantity, unit_price,
               total, billing_cycle, list_total, discount_total, net_total, tax_total)
             SELECT $1::uuid, $2::uuid, position, product_id, plan_id, name, quantity, unit_price, total, billing_cycle,
               list_total, discount_total, net_total, tax_total
             FROM jsonb_to_recordset($3::jsonb) AS i(position int, product_id uuid, plan_id uuid, name text, quantity int,
               unit_price numeric, total numeric, billing_cycle billing_cycle, list_total numeric, discount_total numeric,
               net_total numeric, tax_total numeric)")
        .bind(order)
        .bind(draft.organization)
        .bind(json!(items)),
    )
    .await
}
