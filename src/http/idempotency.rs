//! `Idempotency-Key`: the same key with the same request gets the stored answer, with another request 409.
//!
//! The claim is the first statement of the change's own transaction. A second request with the same
//! key waits for the first one's row lock and then finds its answer, so the change happens once even
//! when both arrive together; and if the first dies, its claim is rolled back with everything else.

use crate::config::Config;
use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::call::Call;
use crate::http::reply::Reply;
use crate::platform::random;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use uuid::Uuid;

use super::body::MAX_BODY_BYTES;

/// The request's idempotency key, if it has one, with what the request must equal to be a repeat.
#[derive(Debug, Clone)]
pub struct Idempotency {
    config: &'static Config,
    key: Option<String>,
    method: String,
    path: String,
    request_hash: String,
}

/// `T` together with the idempotency key of the request that it came in.
#[derive(Debug)]
pub struct Once<T>(pub Idempotency, pub T);

impl<S: Send + Sync, T: FromRequest<S, Rejection = Error>> FromRequest<S> for Once<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let (parts, body) = request.into_parts();
        let call = parts.extensions.get::<Arc<Call>>();
        let config = call.ok_or_else(|| Error::internal("no call"))?.config;
        let bytes = to_bytes(body, MAX_BODY_BYTES)
            .await
            .map_err(|_| Error::new(Code::BodyTooLarge))?;
        let key = match parts.headers.get("idempotency-key") {
            None => None,
            Some(value) => match value.to_str() {
                Ok(key) if (1..=255).contains(&key.len()) => Some(key.to_owned()),
                _ => {
                    let problem = json!({ "header": "Idempotency-Key", "problem": "1 to 255 printable ASCII characters" });
                    return Err(Error::new(Code::InvalidHeader).with_details(problem));
                }
            },
        };
        let idempotency = Idempotency {
            config,
            key,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            request_hash: Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        };
        let inner = T::from_request(Request::from_parts(parts, Body::from(bytes)), state).await?;
        Ok(Self(idempotency, inner))
    }
}

#[derive(Deserialize)]
struct Stored {
    same: bool,
    response: Option<Box<RawValue>>,
}

/// An answer that holds a secret, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedAnswer {
    sealed: SealedText,
}

/// What the vault made of it; `bytes` in base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedText {
    version: u32,
    bytes: String,
}

impl Idempotency {
    /// Whether the request has a key at all.
    pub fn is_set(&self) -> bool {
        self.key.is_some()
    }

    /// Claims the key in `tx`. `Some` is the answer that was given before: return it and change nothing.
    ///
    /// # Errors
    /// 409 when the key was used for a different request.
    pub async fn claim<T, const STATUS: u16>(
        &self,
        tx: &mut Tx,
        caller: Uuid,
    ) -> Result<Option<Reply<T, STATUS>>> {
        let Some(key) = &self.key else {
            return Ok(None);
        };
        let claimed: Option<bool> = tx
            .value(
                sql("WITH claimed AS (
                       INSERT INTO idempotency_keys (caller, key, organization_id, method, path, request_hash)
                       VALUES ($1, $2, $3::uuid, $4, left($5, 500), $6)
                       ON CONFLICT (caller, key) DO NOTHING RETURNING true AS done)
                     SELECT to_json(done)::text FROM claimed")
                .bind(caller)
                .bind(key)
                .bind(tx.scope().organization())
                .bind(&self.method)
                .bind(&self.path)
                .bind(&self.request_hash),
            )
            .await?;
        if claimed.is_some() {
            return Ok(None);
        }
        let stored: Option<Stored> = tx
            .row(
                sql("SELECT method = $3 AND path = left($4, 500) AND request_hash = $5 AS same, response
                     FROM idempotency_keys WHERE caller = $1 AND key = $2")
                .bind(caller)
                .bind(key)
                .bind(&self.method)
                .bind(&self.path)
                .bind(&self.request_hash),
            )
            .await?;
        match stored {
            Some(Stored {
                same: true,
                response: Some(response),
            }) => self
                .opened(caller, key, response.get())
                .map(|text| Some(Reply::text(text))),
            Some(Stored { same: false, .. }) => Err(Code::IdempotencyConflict.into()),
            // Swept away between the two statements; the caller may simply try again.
            _ => Err(Error::unavailable("the idempotency key disappeared")),
        }
    }

    /// Stores the answer with the change.
    pub fn settle<T, const STATUS: u16>(
        &self,
        tx: &mut Tx,
        caller: Uuid,
        reply: &Reply<T, STATUS>,
    ) {
        if let Some(key) = &self.key {
            store::<STATUS>(tx, caller, key, reply.data());
        }
    }

    /// Like [`Idempotency::settle`] for an answer that shows a secret once: it is stored encrypted.
    ///
    /// # Errors
    /// 503 when there is no key to encrypt with.
    pub fn settle_sealed<T, const STATUS: u16>(
        &self,
        tx: &mut Tx,
        caller: Uuid,
        reply: &Reply<T, STATUS>,
    ) -> Result<()> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        let sealed = self
            .config
            .vault()?
            .seal(
                reply.data().as_bytes(),
                &associated(caller, key),
                random::bytes()?,
            )
            .map_err(Error::internal)?;
        let answer = json!(SealedAnswer {
            sealed: SealedText {
                version: sealed.version,
                bytes: STANDARD.encode(sealed.bytes),
            },
        });
        store::<STATUS>(tx, caller, key, &answer.to_string());
        Ok(())
    }

    /// The stored answer as it was given.
    fn opened(&self, caller: Uuid, key: &str, stored: &str) -> Result<String> {
        let Ok(SealedAnswer { sealed }) = serde_json::from_str(stored) else {
            return Ok(stored.to_owned());
        };
        let bytes = STANDARD.decode(sealed.bytes).map_err(Error::internal)?;
        self.config
            .vault()?
            .open(sealed.version, &bytes, &associated(caller, key))
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Error::internal("a stored answer does not open"))
    }
}

/// A sealed answer opens only for the caller and the key that it was given for.
fn associated(caller: Uuid, key: &str) -> Vec<u8> {
    format!("idempotency:{caller}:{key}").into_bytes()
}

fn store<const STATUS: u16>(tx: &mut Tx, caller: Uuid, key: &str, response: &str) {
    tx.finally(
        sql("UPDATE idempotency_keys SET status = $3::int, response = $4::jsonb WHERE caller = $1 AND key = $2")
            .bind(caller)
            .bind(key)
            .bind(i32::from(STATUS))
            .bind(response),
    );
}
