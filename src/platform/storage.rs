//! Supabase Storage, where the files are: we sign links, it serves them.
//!
//! `POST /storage/v1/object/sign/{bucket}/{path}` answers a link to get a file,
//! `POST /storage/v1/object/upload/sign/{bucket}/{path}` one to send it; both take the project's service key.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::platform::fetch::{self, Answer};
use celaest_domain::json;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::json;
use worker::Method;

/// What stands for itself in a name (RFC 3986, 2.3).
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A file, there or not.
pub struct Object {
    config: &'static Config,
    /// Bucket and path, as URLs have them.
    place: String,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(rename = "signedURL")]
    url: String,
}

#[derive(Deserialize)]
struct SignedUpload {
    url: String,
}

impl Object {
    /// The file with this path in the bucket.
    pub fn new(config: &'static Config, path: &str) -> Self {
        let names = std::iter::once(config.storage_bucket.as_str()).chain(path.split('/'));
        let names: Vec<_> = names
            .map(|name| utf8_percent_encode(name, PLAIN).to_string())
            .collect();
        Self {
            config,
            place: names.join("/"),
        }
    }

    /// A link to get the file, good for so many seconds; `None` where there is no such file.
    ///
    /// # Errors
    /// 503 when the storage does not answer as it should.
    pub async fn download_link(&self, seconds: u32, name: &str) -> Result<Option<String>> {
        let body = json!({ "expiresIn": seconds }).to_string();
        let answer = self.call("object/sign", body).await?;
        match answer.status {
            200 => {
                let signed: Signed = json::read(&answer.text).map_err(Error::unavailable)?;
                let name = utf8_percent_encode(name, PLAIN);
                Ok(Some(self.whole(&format!("{}&download={name}", signed.url))))
            }
            // It says both.
            400 | 404 if answer.text.contains("not_found") => Ok(None),
            status => Err(unexpected(status)),
        }
    }

    /// A link to send the file, once.
    ///
    /// # Errors
    /// 503 when the storage does not answer as it should.
    pub async fn upload_link(&self) -> Result<String> {
        let answer = self.call("object/upload/sign", "{}".to_owned()).await?;
        match answer.status {
            200 => {
                let signed: SignedUpload = json::read(&answer.text).map_err(Error::unavailable)?;
                Ok(self.whole(&signed.url))
            }
            status => Err(unexpected(status)),
        }
    }

    /// It gives paths as names are written: of what these may have, URLs do not have spaces.
    fn whole(&self, path: &str) -> String {
        format!("{}{}", self.config.storage_url, path.replace(' ', "%20"))
    }

    async fn call(&self, what: &str, body: String) -> Result<Answer> {
        let key = self.config.supabase_service_key.as_ref();
        let key =
            key.ok_or_else(|| Error::unavailable("variable SUPABASE_SERVICE_KEY is not set"))?;
        let bearer = format!("Bearer {}", key.expose());
        let headers = [
            ("apikey", key.expose()),
            ("authorization", &bearer),
            ("content-type", "application/json"),
        ];
        let url = self.whole(&format!("/{what}/{}", self.place));
        fetch::call(Method::Post, &url, &headers, Some(body)).await
    }
}

fn unexpected(status: u16) -> Error {
    Error::unavailable(format!("the storage answered {status}"))
}
