//! What a handler answers: the envelope of the API around data that is usually JSON already.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::marker::PhantomData;

/// JSON that is known to be a `T` because the statement that made it says so. It is passed on as it
/// is; the tests compare real answers with the documented schema of `T`.
#[derive(Debug, Clone)]
pub struct Raw<T>(Box<RawValue>, PhantomData<fn() -> T>);

impl<T> Raw<T> {
    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The same JSON as a tree.
    pub fn tree(&self) -> serde_json::Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl<'de, T> Deserialize<'de> for Raw<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw, PhantomData))
    }
}

impl<T> Serialize for Raw<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// `{"success": true, "data": T}` with status `STATUS`.
#[derive(Debug)]
pub struct Reply<T, const STATUS: u16> {
    data: String,
    data_type: PhantomData<fn() -> T>,
}

/// 200 with data.
pub type Data<T> = Reply<T, 200>;
/// 201 with what was created.
pub type Created<T> = Reply<T, 201>;

impl<T, const STATUS: u16> Reply<T, STATUS> {
    /// From JSON that a statement made.
    pub fn raw(data: &Raw<T>) -> Self {
        Self::text(data.text().to_owned())
    }

    /// From JSON text that is known to be a `T`.
    pub fn text(data: String) -> Self {
        Self {
            data,
            data_type: PhantomData,
        }
    }

    /// The JSON text of the data.
    pub fn data(&self) -> &str {
        &self.data
    }
}

impl<T: Serialize, const STATUS: u16> Reply<T, STATUS> {
    /// From a value.
    pub fn of(data: &T) -> Self {
        Self::text(serde_json::to_string(data).unwrap_or_else(|_| "null".into()))
    }
}

impl<T, const STATUS: u16> IntoResponse for Reply<T, STATUS> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        json(
            status,
            format!(r#"{{"success":true,"data":{}}}"#, self.data),
        )
    }
}

/// 204: done, nothing to say.
#[derive(Debug)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// The numbers of a page.
#[derive(Debug, Clone, Copy, Serialize, schemars::JsonSchema)]
pub struct Meta {
    /// Counted from 1.
    pub page: u32,
    /// Rows on a full page.
    pub per_page: u32,
    /// Rows on all pages, exact.
    pub total: u64,
    /// How many pages there are.
    pub total_pages: u64,
}

/// What a list statement makes: the rows of one page and how many there are in all.
#[derive(Debug, Deserialize)]
pub struct Found<T> {
    /// Rows of all pages.
    pub total: u64,
    /// The rows of this page, JSON.
    pub rows: Raw<Vec<T>>,
}

/// `{"success": true, "data": […], "meta": {…}}`.
#[derive(Debug)]
pub struct Listing<T> {
    rows: Raw<Vec<T>>,
    meta: Meta,
}

impl<T> Listing<T> {
    /// One page of what was found.
    pub fn new(found: Found<T>, page: u32, per_page: u32) -> Self {
        let total_pages = found.total.div_ceil(u64::from(per_page.max(1)));
        Self {
            rows: found.rows,
            meta: Meta {
                page,
                per_page,
                total: found.total,
                total_pages,
            },
        }
    }
}

impl<T> IntoResponse for Listing<T> {
    fn into_response(self) -> Response {
        let meta = serde_json::to_string(&self.meta).unwrap_or_default();
        json(
            StatusCode::OK,
            format!(
                r#"{{"success":true,"data":{},"meta":{meta}}}"#,
                self.rows.text()
            ),
        )
    }
}

/// A response with a JSON body.
pub fn json(status: StatusCode, body: String) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        body,
    )
        .into_response()
}
