//! Requests to the outside.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use worker::send::SendFuture;
use worker::{Fetch, Url};

/// GETs a JSON document.
///
/// # Errors
/// [`crate::error::Code::Unavailable`] when the other side does not answer 200 with such a document.
pub async fn json<T: DeserializeOwned>(url: &str) -> Result<T> {
    let url: Url = url.parse().map_err(Error::internal)?;
    SendFuture::new(async move {
        let mut response = Fetch::Url(url).send().await.map_err(Error::unavailable)?;
        if response.status_code() != 200 {
            return Err(Error::unavailable(format!(
                "the key set answered {}",
                response.status_code()
            )));
        }
        response.json().await.map_err(Error::unavailable)
    })
    .await
}
