//! What is written on an invoice or a credit note, frozen when it is issued. Amounts are text already, so that
//! nothing rounds or formats them anew.

use serde::{Deserialize, Serialize};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "InvoiceKind"))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What was sold.
    Invoice,
    /// What is taken back of an invoice.
    CreditNote,
}

impl Kind {
    /// The database's spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
        }
    }

    /// What its numbers begin with; each is a series without gaps.
    #[must_use]
    pub fn series(self) -> &'static str {
        match self {
            Self::Invoice => "INV",
            Self::CreditNote => "CRN",
        }
    }
}

/// Who sells, or who buys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "InvoiceParty"))]
#[serde(default)]
pub struct Party {
    /// Name of the company or person.
    pub name: String,
    /// Tax number.
    pub tax_id: Option<String>,
    /// Address, line by line; the last one is the country.
    pub address: Vec<String>,
    /// E-mail address.
    pub email: Option<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "InvoiceLine"))]
pub struct Line {
    /// What it is.
    pub description: String,
    /// How many.
    pub quantity: u32,
    /// Net price of one, before the discount; rounded where prices include tax.
    pub unit_price: String,
    /// What came off the line.
    pub discount: String,
    /// Net amount of the line.
    pub amount: String,
}

/// One tax, over all lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "TaxLine"))]
pub struct Tax {
    /// What it is called: `IVA`.
    pub name: String,
    /// Percent: `21`.
    pub rate: String,
    /// What it is a part of.
    pub base: String,
    /// How much.
    pub amount: String,
    /// It is not charged, because the buyer owes it (reverse charge).
    #[serde(default)]
    pub exempt: bool,
}

/// An invoice or a credit note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "InvoiceDocument"))]
pub struct Document {
    /// Which of the two.
    pub kind: Kind,
    /// Its number.
    pub number: String,
    /// Its date: `2026-03-01`.
    pub issued_on: String,
    /// The order it is for.
    pub order_number: String,
    /// Of a credit note: the number of the invoice.
    pub corrects: Option<String>,
    /// ISO 4217.
    pub currency: String,
    /// Who sells.
    pub seller: Party,
    /// Who buys.
    pub buyer: Party,
    /// What was sold, or is taken back.
    pub lines: Vec<Line>,
    /// Net, before the discount.
    pub subtotal: String,
    /// What came off.
    pub discount: String,
    /// The taxes.
    pub taxes: Vec<Tax>,
    /// All taxes.
    pub tax: String,
    /// What is paid, or paid back.
    pub total: String,
}
