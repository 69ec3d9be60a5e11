//! What a handler answers: the envelope of the API around data that is usually JSON already.

use crate::db::{Listing, Raw};
use crate::error::{Error, Result as Outcome};
use crate::http::endpoint::{Documented, DocumentedOutput};
use futures_util::stream::{LocalBoxStream, Stream};
use serde::Serialize;
use std::marker::PhantomData;

/// What a handler may return.
pub trait Output: DocumentedOutput {
    /// The answer without its type.
    ///
    /// # Errors
    /// The handler's own.
    fn answer(self) -> Outcome<Answer>;
}

impl<O: Output> Output for Outcome<O> {
    fn answer(self) -> Outcome<Answer> {
        self.and_then(O::answer)
    }
}

/// An answer without its type.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// What is answered.
    pub content: Content,
}

/// What an answer consists of.
#[derive(Debug)]
pub enum Content {
    /// JSON; empty for nothing.
    Json(String),
    /// JSON that is everybody's, and may be kept as long as it is asked for by its `ETag`.
    Shared(String),
    /// Where it is now.
    Moved(String),
    /// A file that is made while it is sent.
    File(Streamed),
    /// Events, as they happen.
    Events(Events),
}

impl Answer {
    /// An answer with this data; 204 has none.
    pub fn data(status: u16, data: &str) -> Self {
        match status {
            204 => Self::json(204, String::new()),
            _ => Self::json(status, enveloped(data, None)),
        }
    }

    /// An answer that is JSON.
    pub fn json(status: u16, text: String) -> Self {
        Self {
            status,
            content: Content::Json(text),
        }
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

impl<T: Documented, const STATUS: u16> Output for Reply<T, STATUS> {
    fn answer(self) -> Outcome<Answer> {
        Ok(Answer::data(STATUS, &self.data))
    }
}

/// 204: done, nothing to say.
pub type NoContent = Reply<(), 204>;

impl NoContent {
    /// Done.
    pub fn done() -> Self {
        Self::text("null".into())
    }
}

/// An answer that is the same for everybody: it has an `ETag`, and whoever has it already is told so with
/// 304 (RFC 9110, 13.1.2).
#[derive(Debug)]
pub struct Shared<O>(pub O);

impl<O: Output> Output for Shared<O> {
    fn answer(self) -> Outcome<Answer> {
        let mut answer = self.0.answer()?;
        if let Content::Json(text) = answer.content {
            answer.content = Content::Shared(text);
        }
        Ok(answer)
    }
}

/// A thing that everybody may see, or the place where it is now (301).
#[derive(Debug)]
pub enum Found<T> {
    /// Here.
    Here(Data<T>),
    /// There: a path of this API.
    Moved(String),
}

impl<T: Documented> Output for Found<T> {
    fn answer(self) -> Outcome<Answer> {
        match self {
            Self::Here(data) => Shared(data).answer(),
            Self::Moved(path) => Ok(Answer {
                status: 301,
                content: Content::Moved(path),
            }),
        }
    }
}

/// 302: what is asked for is at another address for now.
#[derive(Debug)]
pub struct Elsewhere(pub String);

impl Output for Elsewhere {
    fn answer(self) -> Outcome<Answer> {
        Ok(Answer {
            status: 302,
            content: Content::Moved(self.0),
        })
    }
}

/// The pieces of a streamed body.
pub type Pieces = LocalBoxStream<'static, Result<Vec<u8>, Error>>;

/// What kinds of files an operation has.
pub trait Files: 'static {
    /// Their media types.
    const TYPES: &'static [&'static str];
}

/// A table: rows of text, or a JSON document a line.
#[derive(Debug)]
pub struct Tables;

/// A JSON document a line, and nothing else.
#[derive(Debug)]
pub struct Lines;

/// A table, or several of them in one file.
#[derive(Debug)]
pub struct Archives;

impl Files for Tables {
    const TYPES: &'static [&'static str] = &[Streamed::CSV, Streamed::JSON_LINES];
}

impl Files for Lines {
    const TYPES: &'static [&'static str] = &[Streamed::JSON_LINES];
}

impl Files for Archives {
    const TYPES: &'static [&'static str] = &[Streamed::CSV, Streamed::JSON_LINES, Streamed::ZIP];
}

/// 200 with a file that is made while it is sent. A failure on the way breaks the connection off, so
/// that nobody takes a part for the whole.
pub struct Streamed<F = Tables> {
    /// Of the file.
    pub content_type: &'static str,
    /// What to save it as.
    pub file_name: String,
    /// The body.
    pub pieces: Pieces,
    files: PhantomData<fn() -> F>,
}

impl<F> std::fmt::Debug for Streamed<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streamed")
            .field("file_name", &self.file_name)
            .finish_non_exhaustive()
    }
}

impl Streamed {
    /// RFC 4180.
    pub const CSV: &'static str = "text/csv; charset=utf-8";
    /// One JSON document a line.
    pub const JSON_LINES: &'static str = "application/x-ndjson";
    /// Several files in one.
    pub const ZIP: &'static str = "application/zip";
}

impl<F> Streamed<F> {
    /// A file to save as `file_name`, which is the program's own ASCII.
    pub fn new(
        content_type: &'static str,
        file_name: String,
        pieces: impl Stream<Item = Result<Vec<u8>, Error>> + 'static,
    ) -> Self {
        Self {
            content_type,
            file_name,
            pieces: Box::pin(pieces),
            files: PhantomData,
        }
    }
}

impl<F: Files> Output for Streamed<F> {
    fn answer(self) -> Outcome<Answer> {
        let file = Streamed::new(self.content_type, self.file_name, self.pieces);
        Ok(Answer {
            status: 200,
            content: Content::File(file),
        })
    }
}

/// 200 with a PDF.
#[derive(Debug)]
pub struct Pdf {
    /// What to save it as; the program's own ASCII.
    pub file_name: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Pdf {
    /// Of the file.
    pub const CONTENT_TYPE: &'static str = "application/pdf";
}

impl Output for Pdf {
    fn answer(self) -> Outcome<Answer> {
        let whole = futures_util::stream::iter([Ok(self.bytes)]);
        Streamed::<Tables>::new(Self::CONTENT_TYPE, self.file_name, whole).answer()
    }
}

/// 200 with JSON as others define it, without the envelope.
#[derive(Debug)]
pub struct Bare<T>(pub T);

impl<T: Serialize + Documented> Output for Bare<T> {
    fn answer(self) -> Outcome<Answer> {
        let text = serde_json::to_string(&self.0).map_err(Error::internal)?;
        Ok(Answer::json(200, text))
    }
}

/// 200 with events as they happen (HTML, server-sent events). What goes wrong on the way is an event too.
pub struct Events(pub Pieces);

impl Events {
    /// Of events.
    pub const CONTENT_TYPE: &'static str = "text/event-stream";

    /// An event, with a name where its kind is not in its data.
    pub fn event(name: Option<&str>, data: &impl Serialize) -> Vec<u8> {
        let data = serde_json::to_string(data).unwrap_or_default();
        let text = match name {
            Some(name) => format!("event: {name}\ndata: {data}\n\n"),
            None => format!("data: {data}\n\n"),
        };
        text.into_bytes()
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

/// An answer that comes whole, or piece by piece, as the caller wants it.
#[derive(Debug)]
pub enum Spoken<W> {
    /// Whole.
    Whole(W),
    /// Piece by piece.
    Events(Events),
}

impl<W: Output> Output for Spoken<W> {
    fn answer(self) -> Outcome<Answer> {
        match self {
            Self::Whole(whole) => whole.answer(),
            Self::Events(events) => Ok(Answer {
                status: 200,
                content: Content::Events(events),
            }),
        }
    }
}

impl<T: Documented> Output for Listing<T> {
    fn answer(self) -> Outcome<Answer> {
        let meta = serde_json::to_string(&self.meta).unwrap_or_default();
        Ok(Answer::json(200, enveloped(self.rows.text(), Some(&meta))))
    }
}

/// The envelope of everything that went well.
fn enveloped(data: &str, meta: Option<&str>) -> String {
    match meta {
        None => format!(r#"{{"success":true,"data":{data}}}"#),
        Some(meta) => format!(r#"{{"success":true,"data":{data},"meta":{meta}}}"#),
    }
}
