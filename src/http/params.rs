//! Path and query parameters.

use crate::error::{Code, Error, Result};
use crate::http::body::validate;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use garde::Validate;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

/// The `{id}` of the path.
#[derive(Debug, Clone, Copy)]
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let axum::extract::Path(path) = axum::extract::Path::<
            std::collections::HashMap<String, String>,
        >::from_request_parts(parts, state)
        .await
        .map_err(|_| Error::new(Code::InvalidId))?;
        uuid(&path, "id").map(Self)
    }
}

/// The `{id}` of the path and the id of something inside it, `{inner_id}`.
#[derive(Debug, Clone, Copy)]
pub struct Ids(pub Uuid, pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let axum::extract::Path(path) = axum::extract::Path::<
            std::collections::HashMap<String, String>,
        >::from_request_parts(parts, state)
        .await
        .map_err(|_| Error::new(Code::InvalidId))?;
        Ok(Self(uuid(&path, "id")?, uuid(&path, "inner_id")?))
    }
}

/// The `{inner_id}` of a path whose `{id}` another extractor reads.
#[derive(Debug, Clone, Copy)]
pub struct Inner(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Inner {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        Ids::from_request_parts(parts, state)
            .await
            .map(|Ids(_, inner)| Self(inner))
    }
}

/// The `{key}` of the path, a name rather than an id.
#[derive(Debug, Clone)]
pub struct Key(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let missing = || Error::new(Code::NotFound);
        let axum::extract::Path(mut path) = axum::extract::Path::<
            std::collections::HashMap<String, String>,
        >::from_request_parts(parts, state)
        .await
        .map_err(|_| missing())?;
        // Nothing has a name that no column could hold.
        path.remove("key")
            .filter(|key| key.chars().count() <= 100 && !key.contains('\0'))
            .map(Self)
            .ok_or_else(missing)
    }
}

fn uuid(path: &std::collections::HashMap<String, String>, name: &str) -> Result<Uuid> {
    // Only the hyphenated form, so that an id has one spelling in logs and caches.
    path.get(name)
        .filter(|text| text.len() == 36)
        .and_then(|text| Uuid::try_parse(text).ok())
        .ok_or_else(|| Error::new(Code::InvalidId))
}

/// The query string as `T`. Unknown parameters are refused by `T` itself (`deny_unknown_fields`).
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Validate<Context = ()>> FromRequestParts<S>
    for Query<T>
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let text = parts.uri.query().unwrap_or_default();
        let refuse = |problem: String| {
            Error::new(Code::InvalidQuery).with_details(json!({ "problem": problem }))
        };
        if text.contains("%00") {
            return Err(refuse("text must not contain the NUL character".into()));
        }
        let query: T =
            serde_urlencoded::from_str(text).map_err(|error| refuse(error.to_string()))?;
        validate(&query)?;
        Ok(Self(query))
    }
}

/// For routes without query parameters: refuses any. Bodies do the same on their own.
#[derive(Debug, Clone, Copy)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        no_query(parts.uri.query()).map(|()| Self)
    }
}

/// Refuses query parameters where there are none.
///
/// # Errors
/// 400.
pub fn no_query(query: Option<&str>) -> Result<()> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => Err(Error::new(Code::InvalidQuery)
            .with_details(json!({ "problem": "this route has no query parameters" }))),
    }
}

/// The default of `page`.
pub fn first_page() -> u32 {
    1
}

/// The default of `per_page`.
pub fn page_size() -> u32 {
    20
}

/// How many rows come before this page.
pub fn offset(page: u32, per_page: u32) -> u64 {
    u64::from(page.saturating_sub(1)) * u64::from(per_page)
}
