//! `Idempotency-Key`: the same key with the same request gets the stored answer, with another request 409.
//!
//! The claim is the first statement of the change's own transaction. A second request with the same
//! key waits for the first one's row lock and then finds its answer, so the change happens once even
//! when both arrive together; and if the first dies, its claim is rolled back with everything else.

use crate::db::{Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::reply::Reply;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::body::MAX_BODY_BYTES;

/// The request's idempotency key, if it has one, with what the request must equal to be a repeat.
#[derive(Debug, Clone)]
pub struct Idempotency {
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
            }) => Ok(Some(Reply::text(response.get().to_owned()))),
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
            tx.finally(
                sql("UPDATE idempotency_keys SET status = $3::int, response = $4::jsonb WHERE caller = $1 AND key = $2")
                    .bind(caller)
                    .bind(key)
                    .bind(i32::from(STATUS))
                    .bind(reply.data()),
            );
        }
    }
}
