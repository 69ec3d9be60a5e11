//! The SQL of saved cards.

use crate::db::facts::Subject;
use crate::db::{Rows, Tx};

/// The columns of [`super::model::PaymentMethod`], from alias `m`.
pub const COLUMNS: &str =
    "m.id, m.organization_id, m.user_id, m.type, m.card_brand, m.card_last4, m.card_exp_month,
    m.card_exp_year, m.is_default, m.created_at";

/// What the log learns of a saved card.
pub const METHOD: Subject = Subject {
    kind: "payment_method",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The cards of the caller's organization; a client's own.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("payment_methods", "m")
        .when("m.organization_id = {}::uuid", tx.scope().organization())
        .when("m.user_id = {}::uuid", tx.scope().owner())
        .only("m.deleted_at IS NULL")
}
