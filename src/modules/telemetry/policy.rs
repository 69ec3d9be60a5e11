//! Whether telemetry is taken in, and for how long it is kept.

use crate::db::Database;
use crate::error::Result;

/// Whether telemetry is taken in.
pub fn enabled() -> bool {
    true
}

/// Days after which telemetry is deleted.
///
/// # Errors
/// When the database fails.
pub async fn retention_days(_: &Database) -> Result<u32> {
    Ok(90)
}
