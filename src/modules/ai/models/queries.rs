//! The SQL of models. They belong to no tenant: every transaction may read them, only the system's (a super
//! administrator's) may write.

use super::model::AiModel;
use crate::db::facts::Subject;
use crate::db::{Raw, Rows, Tx, sql};
use crate::error::{Code, Result};
use uuid::Uuid;

/// The columns of [`AiModel`], from alias `m`.
pub const COLUMNS: &str =
    "m.id, m.provider, m.model_id, m.display_name, m.aliases, m.capabilities, m.max_tokens_input, m.max_tokens_output,
    m.context_window, m.cost_per_1k_input, m.cost_per_1k_cached, m.cost_per_1k_output, m.is_active, m.is_default,
    m.priority, m.notes, m.metadata, m.created_at, m.updated_at";

/// Assignments from JSON; null is an empty list.
pub const ALIASES: &str =
    "aliases = ARRAY(SELECT DISTINCT jsonb_array_elements_text({}::jsonb) ORDER BY 1)";

/// What the log learns of a model. It is nobody's, so nobody outside is told.
pub const MODEL: Subject = Subject {
    kind: "ai_model",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

/// The models that the caller sees: those that can be called; for a super administrator all.
pub fn mine(tx: &Tx) -> Rows {
    let rows = Rows::of("ai_models", "m");
    match tx.scope().organization() {
        Some(_) => rows.only("m.is_active"),
        None => rows,
    }
}

/// Reads one model and holds its row until the transaction ends.
///
/// # Errors
/// 404 when it is not there.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Raw<AiModel>> {
    let query = mine(tx).id(id).lock(COLUMNS);
    tx.one(query, Code::ModelNotFound).await
}

/// There is one default: another one takes its place.
///
/// # Errors
/// When the database fails.
pub async fn clear_default(tx: &mut Tx) -> Result<()> {
    tx.execute(sql(
        "UPDATE ai_models SET is_default = false WHERE is_default",
    ))
    .await
}
