//! Who is calling, and how often: one object per caller.
use worker::{ObjectNamespace, Result};

/// Makes the object called `name` forget who it belongs to.
///
/// # Errors
/// The object could not be reached, twice.
pub async fn forget(namespace: &ObjectNamespace, name: &str) -> Result<()> {
    crate::call::send_idempotent(namespace, name, "https://caller/forget", None).await.map(|_| ())
}
