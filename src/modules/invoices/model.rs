//! An invoice as the API shows it.

pub use celaest_domain::billing::document::{Document, Kind};
use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where an invoice is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "InvoiceStatus")]
pub enum Status {
    /// Not issued.
    Draft,
    /// Issued, not paid.
    Issued,
    /// Paid.
    Paid,
    /// Of no effect.
    Void,
    /// Paid back.
    Refunded,
}

impl Status {
    /// The database's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Issued => "issued",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Refunded => "refunded",
        }
    }
}

/// An invoice or a credit note.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Invoice {
    /// Identifier.
    pub id: Uuid,
    /// `INV-YYYY-XXXXXX` or `CRN-YYYY-XXXXXX`: without gaps for each seller.
    pub invoice_number: Option<String>,
    /// Which of the two.
    pub kind: Kind,
    /// Where it is in its life.
    pub status: Status,
    /// The organization that bought.
    pub organization_id: Uuid,
    /// The organization that sold.
    pub seller_id: Option<Uuid>,
    /// Who bought.
    pub user_id: Uuid,
    /// The order.
    pub order_id: Option<Uuid>,
    /// The invoice that this one corrects.
    pub corrects_id: Option<Uuid>,
    /// ISO 4217.
    pub currency: String,
    /// Net, before the discount.
    pub subtotal: f64,
    /// What came off.
    pub discount_total: f64,
    /// All taxes.
    pub tax_total: f64,
    /// What was paid, or paid back.
    pub total: f64,
    /// All that is printed, frozen when it was issued.
    pub document: Option<Document>,
    /// When it was issued.
    pub issued_at: Option<String>,
    /// When it was paid.
    pub paid_at: Option<String>,
    /// When it was last sent by e-mail.
    pub sent_at: Option<String>,
    /// When it was made.
    pub created_at: String,
}

/// The language of the words on a PDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "InvoiceLanguage")]
pub enum Words {
    /// Spanish.
    Es,
    /// English.
    En,
}

/// Query of `GET /api/invoices/{id}/pdf`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
#[garde(allow_unvalidated)]
pub struct PdfQuery {
    /// The language. Default that of the request.
    pub lang: Option<Words>,
}

/// Body of `POST /api/invoices/{id}/send`.
#[derive(Debug, Default, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Sending {}
