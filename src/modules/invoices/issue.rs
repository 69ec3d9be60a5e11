//! Invoices and credit notes come to be with the payment and the refund that they are of, in one transaction.
//! Their numbers have no gaps: each is the next of its seller's series, whose row is held until the end.

use super::model::Invoice;
use super::queries::{COLUMNS, INVOICE};
use crate::db::{Raw, Rows, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::modules::orders::pricing::{Address, Company, company};
use crate::modules::orders::queries::{Parts, record_for_both};
use celaest_domain::billing::credit::credited;
use celaest_domain::billing::document::{Document, Kind, Line, Party, Tax};
use celaest_domain::billing::money::{Currency, share};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Deserialize)]
struct Printed {
    billing_name: Option<String>,
    billing_tax_id: Option<String>,
    billing_address: Address,
    email: Option<String>,
    subtotal: String,
    discount: String,
    tax: String,
    total: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    quantity: u32,
    list: String,
    discount: String,
    net: String,
}

fn lines_of(address: &Address) -> Vec<String> {
    let words = |parts: &[&Option<String>]| {
        let given: Vec<_> = parts.iter().filter_map(|part| part.as_deref()).collect();
        given.join(" ")
    };
    let all = [
        words(&[&address.address_line1]),
        words(&[&address.address_line2]),
        words(&[&address.postal_code, &address.city]),
        words(&[&address.state]),
        words(&[&address.country_code]),
    ];
    all.into_iter().filter(|line| !line.is_empty()).collect()
}

fn party(company: Company) -> Party {
    Party {
        name: company.name,
        tax_id: company.tax_id,
        address: lines_of(&company.address),
        email: company.email,
    }
}

/// Amounts of the database, `9.0` or `9.00`, as they are printed.
fn printed(currency: Currency, text: &str) -> String {
    match currency.minor(text) {
        Some(minor) => currency.major(minor),
        None => text.to_owned(),
    }
}

/// Issues the invoice of an order that was just paid; returns its number. Nothing costs nothing, and is invoiced
/// all the same.
///
/// # Errors
/// When the database fails.
pub async fn invoice(tx: &mut Tx, order: &Parts, now: DateTime<Utc>) -> Result<String> {
    let found: Printed = tx
        .value(
            sql("SELECT json_build_object('billing_name', o.billing_name, 'billing_tax_id', o.billing_tax_id,
                   'billing_address', o.billing_address, 'email', (SELECT u.email FROM users_profile u WHERE u.id = o.user_id),
                   'subtotal', o.subtotal::text, 'discount', o.discount_total::text, 'tax', o.tax_total::text,
                   'total', o.total::text,
                   'items', (SELECT coalesce(json_agg(json_build_object('name', i.name, 'quantity', i.quantity,
                       'list', i.list_total::text, 'discount', i.discount_total::text, 'net', i.net_total::text)
                       ORDER BY i.position, i.id), '[]')
                     FROM order_items i WHERE i.order_id = o.id))::text
                 FROM orders o WHERE o.id = $1::uuid AND o.organization_id = $2::uuid")
            .bind(order.id)
            .bind(order.organization_id),
        )
        .await?;
    let seller = order.seller()?;
    let currency = order.currency;
    let text = |amount: &str| printed(currency, amount);
    let lines = found.items.iter().map(|item| {
        let list = currency.minor(&item.list).unwrap_or(0);
        let each = share(list, 1, i64::from(item.quantity), currency.step());
        Line {
            description: item.name.clone(),
            quantity: item.quantity,
            unit_price: currency.major(each),
            discount: text(&item.discount),
            amount: text(&item.net),
        }
    });
    let document = Document {
        kind: Kind::Invoice,
        number: String::new(),
        issued_on: now.date_naive().to_string(),
        order_number: order.order_number.clone(),
        corrects: None,
        currency: currency.to_string(),
        seller: party(company(tx, seller).await?.unwrap_or_default()),
        buyer: Party {
            name: found.billing_name.unwrap_or_default(),
            tax_id: found.billing_tax_id,
            address: lines_of(&found.billing_address),
            email: found.email,
        },
        lines: lines.collect(),
        subtotal: text(&found.subtotal),
        discount: text(&found.discount),
        taxes: order.tax_lines.clone(),
        tax: text(&found.tax),
        total: text(&found.total),
    };
    write(tx, order, document, None, None).await
}

/// What an earlier document was of.
#[derive(Deserialize)]
struct Original {
    id: Uuid,
    invoice_number: String,
    document: Document,
}

async fn original(
    tx: &mut Tx,
    order: &Parts,
    kind: Kind,
    refund: Option<Uuid>,
) -> Result<Option<Original>> {
    tx.row(
        Rows::of("invoices", "v")
            .when("v.organization_id = {}::uuid", Some(order.organization_id))
            .when("v.order_id = {}::uuid", Some(order.id))
            .when("v.kind = {}", Some(kind.as_str()))
            .when("v.refund_id = {}::uuid", refund)
            .only("v.invoice_number IS NOT NULL")
            .only(match refund {
                None => "v.corrects_id IS NULL",
                Some(_) => "true",
            })
            .read("v.id, v.invoice_number, v.document"),
    )
    .await
}

/// The taxes of one credit note, or of an invoice that takes one back.
#[derive(Deserialize)]
struct Noted {
    kind: String,
    taxes: Vec<Tax>,
}

/// What credit notes took off each tax of an order, in minor units, without those that were invoiced anew.
async fn taken(tx: &mut Tx, order: &Parts, taxes: usize) -> Result<Vec<i64>> {
    let query = Rows::of("invoices", "v")
        .when("v.organization_id = {}::uuid", Some(order.organization_id))
        .when("v.order_id = {}::uuid", Some(order.id))
        .only("v.corrects_id IS NOT NULL")
        .read("v.kind, v.document->'taxes' AS taxes");
    let noted: Vec<Noted> = tx.rows(query).await?;
    let mut taken = vec![0; taxes];
    for Noted { kind, taxes } in noted {
        let sign = if kind == Kind::Invoice.as_str() {
            -1
        } else {
            1
        };
        for (sum, tax) in taken.iter_mut().zip(taxes) {
            *sum += sign * order.currency.minor(&tax.amount).unwrap_or(0);
        }
    }
    Ok(taken)
}

/// Issues the credit note of a refund; returns its number. Of each tax it takes off its share, so that all
/// refunds of an order together take off exactly what was charged.
///
/// # Errors
/// When the database fails, or the order was never invoiced.
pub async fn credit_note(
    tx: &mut Tx,
    order: &Parts,
    refund: Uuid,
    amount: i64,
    now: DateTime<Utc>,
) -> Result<String> {
    let original = original(tx, order, Kind::Invoice, None).await?;
    let original =
        original.ok_or_else(|| Error::internal("a refund of what was never invoiced"))?;
    let currency = order.currency;
    let minor = |text: &str| currency.minor(text).unwrap_or(0);
    let taxes: Vec<i64> = original
        .document
        .taxes
        .iter()
        .map(|tax| minor(&tax.amount))
        .collect();
    let parts = credited(
        order.total(),
        &taxes,
        &taken(tx, order, taxes.len()).await?,
        (order.refunded(), amount),
        currency.step(),
    );
    let tax: i64 = parts.iter().sum();
    let net = currency.major(amount - tax);
    let whole = amount == order.total();
    let lines = match whole {
        true => original.document.lines.clone(),
        false => vec![Line {
            description: format!("{} {}", order.order_number, original.invoice_number),
            quantity: 1,
            unit_price: net.clone(),
            discount: currency.major(0),
            amount: net.clone(),
        }],
    };
    let document = Document {
        kind: Kind::CreditNote,
        number: String::new(),
        issued_on: now.date_naive().to_string(),
        corrects: Some(original.invoice_number),
        lines,
        subtotal: if whole {
            original.document.subtotal.clone()
        } else {
            net.clone()
        },
        discount: if whole {
            original.document.discount.clone()
        } else {
            currency.major(0)
        },
        taxes: original
            .document
            .taxes
            .iter()
            .zip(&parts)
            .map(|(tax, part)| Tax {
                base: if whole { tax.base.clone() } else { net.clone() },
                amount: currency.major(*part),
                ..tax.clone()
            })
            .collect(),
        tax: currency.major(tax),
        total: currency.major(amount),
        ..original.document
    };
    write(tx, order, document, Some(original.id), Some(refund)).await
}

/// Invoices anew what a credit note took away, because its refund failed after all; returns the number.
///
/// # Errors
/// When the database fails, or there is no such credit note.
pub async fn reinstate(
    tx: &mut Tx,
    order: &Parts,
    refund: Uuid,
    now: DateTime<Utc>,
) -> Result<String> {
    let note = original(tx, order, Kind::CreditNote, Some(refund)).await?;
    let note = note.ok_or_else(|| Error::internal("a refund without a credit note"))?;
    let document = Document {
        kind: Kind::Invoice,
        number: String::new(),
        issued_on: now.date_naive().to_string(),
        corrects: Some(note.invoice_number),
        ..note.document
    };
    write(tx, order, document, Some(note.id), None).await
}

/// Gives a document its number, and writes it down. Late in the transaction: others of the same seller wait.
async fn write(
    tx: &mut Tx,
    order: &Parts,
    mut document: Document,
    corrects: Option<Uuid>,
    refund: Option<Uuid>,
) -> Result<String> {
    let number: String = tx
        .value(
            sql("SELECT to_json(next_invoice_number($1::uuid, $2))::text")
                .bind(order.seller()?)
                .bind(document.kind.series()),
        )
        .await?;
    document.number.clone_from(&number);
    let status = match document.kind {
        Kind::Invoice => "paid",
        Kind::CreditNote => "issued",
    };
    let address: Value = json!({ "lines": document.buyer.address });
    let query = Set::new()
        .to("invoice_number = {}", &number)
        .to("kind = {}", document.kind.as_str())
        .to("status = {}::invoice_status", status)
        .to("organization_id = {}::uuid", order.organization_id)
        .to("seller_id = {}::uuid", order.seller_id)
        .to("order_id = {}::uuid", order.id)
        .to("user_id = {}::uuid", order.user_id)
        .to("corrects_id = {}::uuid", corrects)
        .to("refund_id = {}::uuid", refund)
        .to("currency = {}", &document.currency)
        .to("subtotal = {}::numeric", &document.subtotal)
        .to("discount_total = {}::numeric", &document.discount)
        .to("tax_total = {}::numeric", &document.tax)
        .to("total = {}::numeric", &document.total)
        .to("billing_name = {}", &document.buyer.name)
        .to("billing_tax_id = {}", document.buyer.tax_id.as_deref())
        .to("billing_address = {}::jsonb", address)
        .to("lines = {}::jsonb", json!(document.lines))
        .to("document = {}::jsonb", json!(document))
        .fixed("issued_at = now()")
        .fixed("paid_at = now()")
        .insert("invoices", "v", COLUMNS);
    let invoice: Raw<Invoice> = tx.one(query, Code::Internal).await?;
    let sides = (order.organization_id, order.seller_id);
    let (before, after) = (Value::Null, invoice.tree());
    record_for_both(tx, &INVOICE, "invoice.issued", sides, (&before, &after));
    Ok(number)
}
