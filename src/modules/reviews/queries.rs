//! The SQL of reviews. They are their authors'; everybody reads a copy that names nobody
//! (`migrations/V051__reviews.sql`).

use super::model::Review;
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Tx};
use crate::error::{Code, Result};
use uuid::Uuid;

/// The columns of [`super::model::PublicReview`], from alias `r`.
pub const PUBLIC: &str =
    "r.review_id AS id, r.product_id, r.rating, r.title, r.comment, r.author_name, r.is_verified,
    r.helpful_count, r.reply, r.replied_at, r.created_at, r.edited_at";

/// The columns of [`Review`], from alias `r`.
pub const COLUMNS: &str = "r.id, r.product_id, r.organization_id, r.user_id, r.rating, r.title, r.comment,
    r.author_name, r.is_verified, r.is_hidden, r.hidden_reason, r.helpful_count, r.created_at, r.updated_at,
    r.edited_at";

/// Whether the author's organization has the product, for a row of alias `r`.
pub const HAS_IT: &str = "EXISTS (SELECT 1 FROM customer_assets a WHERE a.product_id = r.product_id
    AND a.organization_id = r.organization_id AND a.status <> 'revoked')";

/// What the log learns of a review.
pub const REVIEW: Subject = Subject {
    kind: "review",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The reviews that everybody sees.
pub fn public() -> Rows {
    Rows::of("catalogue_reviews", "r").known_by("review_id")
}

/// The reviews of the caller's organization; for a super administrator all.
pub fn ours(tx: &Tx) -> Rows {
    Rows::of("product_reviews", "r").when("r.organization_id = {}::uuid", tx.scope().organization())
}

/// The reviews that a person of the organization wrote.
pub fn mine(tx: &Tx, author: Uuid) -> Rows {
    ours(tx).when("r.user_id = {}::uuid", Some(author))
}

/// The reviews that the caller may change: the own ones; for a super administrator all.
pub fn changeable(tx: &Tx, author: Uuid) -> Rows {
    let author = tx.scope().organization().map(|_| author);
    ours(tx).when("r.user_id = {}::uuid", author)
}

/// Reads one of these reviews and holds its row until the transaction ends.
///
/// # Errors
/// 404.
pub async fn lock(tx: &mut Tx, rows: Rows) -> Result<Raw<Review>> {
    tx.one(rows.lock(COLUMNS), Code::ReviewNotFound).await
}
