//! What a handler answers: the envelope of the API around data that is usually JSON already.

use crate::error::Error;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{LocalBoxStream, Stream};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use worker::send::SendWrapper;

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
/// 202: taken, done later.
pub type Accepted<T> = Reply<T, 202>;

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

/// The pieces of a streamed body.
pub type Pieces = LocalBoxStream<'static, Result<Vec<u8>, Error>>;

/// 200 with a file that is made while it is sent. A failure on the way breaks the connection off, so
/// that nobody takes a part for the whole.
pub struct Streamed {
    content_type: &'static str,
    file_name: String,
    pieces: SendWrapper<Pieces>,
}

impl Streamed {
    /// What files there are.
    pub const CONTENT_TYPES: [&'static str; 2] = [Self::CSV, Self::JSON_LINES];
    /// RFC 4180.
    pub const CSV: &'static str = "text/csv; charset=utf-8";
    /// One JSON document a line.
    pub const JSON_LINES: &'static str = "application/x-ndjson";

    /// A file to save as `file_name`, which is the program's own ASCII.
    pub fn new(
        content_type: &'static str,
        file_name: String,
        pieces: impl Stream<Item = Result<Vec<u8>, Error>> + 'static,
    ) -> Self {
        Self {
            content_type,
            file_name,
            pieces: SendWrapper::new(Box::pin(pieces)),
        }
    }
}

/// A streamed body in the response's extensions; the door takes it out and hands it to the platform.
#[derive(Clone)]
pub struct StreamedBody(Arc<Mutex<Option<SendWrapper<Pieces>>>>);

impl StreamedBody {
    /// The pieces, once.
    pub fn take(&self) -> Option<Pieces> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .map(|pieces| pieces.0)
    }
}

impl IntoResponse for Streamed {
    fn into_response(self) -> Response {
        let disposition = format!("attachment; filename=\"{}\"", self.file_name);
        let mut response = (
            StatusCode::OK,
            [
                (header::CONTENT_TYPE, self.content_type.to_owned()),
                (header::CONTENT_DISPOSITION, disposition),
            ],
        )
            .into_response();
        response
            .extensions_mut()
            .insert(StreamedBody(Arc::new(Mutex::new(Some(self.pieces)))));
        response
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
