//! The SQL of categories. They are nobody's: everybody reads them, only the system (a super administrator)
//! writes.

use super::model::Category;
use crate::db::facts::Subject;
use crate::db::{Query, Raw, Rows, Tx, sql};
use crate::error::{Code, Result};
use serde::Deserialize;
use std::collections::HashMap;
use uuid::Uuid;

/// The columns of [`Category`], from alias `c`.
pub const COLUMNS: &str =
    "c.id, c.parent_id, c.name, c.slug, c.description, c.icon, c.sort_order, c.is_active,
    c.created_at, c.updated_at";

/// What the log learns of a category.
pub const CATEGORY: Subject = Subject {
    kind: "category",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// Every category.
pub fn all() -> Rows {
    Rows::of("product_categories", "c")
}

/// The whole tree from the top, each category before what is in it: a list of
/// [`super::model::CategoryInTree`]. Of what is not shown nothing inside is shown either, unless `hidden`
/// ones are wanted too.
pub fn tree(hidden: bool) -> Query {
    let shown = if hidden { "true" } else { "c.is_active" };
    sql(format!(
        "WITH RECURSIVE tree AS (
           SELECT c.id, 1 AS depth, ARRAY[ROW(c.sort_order, c.name::text, c.id)] AS place
           FROM product_categories c WHERE c.parent_id IS NULL AND {shown}
           UNION ALL
           SELECT c.id, t.depth + 1, t.place || ROW(c.sort_order, c.name::text, c.id)
           FROM tree t JOIN product_categories c ON c.parent_id = t.id AND {shown}
         ) SELECT coalesce(json_agg(row_to_json(line) ORDER BY line_place), '[]')::text
         FROM (SELECT line, t.place AS line_place FROM tree t JOIN LATERAL (
           SELECT {COLUMNS}, t.depth FROM product_categories c WHERE c.id = t.id) AS line ON true) AS lines"
    ))
}

/// A category and everything inside it, as a sub-query with `{}` for its id.
pub const WITHIN: &str = "(WITH RECURSIVE inside AS (
      SELECT id FROM product_categories WHERE id = {}::uuid
      UNION SELECT p.id FROM inside i JOIN product_categories p ON p.parent_id = i.id
    ) SELECT id FROM inside)";

/// Holds the whole tree until the transaction ends, and says of each category what it is inside of: two
/// moves at the same time could make a circle together, and of two new ones neither counts the other.
///
/// # Errors
/// When the database fails.
pub async fn lock_tree(tx: &mut Tx) -> Result<HashMap<Uuid, Option<Uuid>>> {
    #[derive(Deserialize)]
    struct Place {
        id: Uuid,
        parent_id: Option<Uuid>,
    }
    // First, and by itself: what others made meanwhile is seen by the statement after it.
    tx.execute(sql(
        "SELECT pg_advisory_xact_lock(hashtextextended('categories', 0))",
    ))
    .await?;
    let query =
        sql("SELECT c.id, c.parent_id FROM product_categories c ORDER BY c.id FOR NO KEY UPDATE");
    let places: Vec<Place> = tx.rows(query).await?;
    let places = places.into_iter();
    Ok(places.map(|place| (place.id, place.parent_id)).collect())
}

/// Reads one category and holds its row until the transaction ends.
///
/// # Errors
/// 404.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Raw<Category>> {
    tx.one(all().id(id).lock(COLUMNS), Code::CategoryNotFound)
        .await
}
