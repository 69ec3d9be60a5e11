//! The providers' dialects: a question into a request, an answer or a stream back.

use std::fmt;

use super::chat::{Answer, ChatRequest, Finish, Usage};
use super::failure::Failure;
use super::provider::Provider;

/// Who is asked, where, with which key, and what the catalogue knows about the model.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The dialect.
    pub provider: Provider,
    /// Where its API is, without a slash at the end.
    pub base_url: &'a str,
    /// The key; empty where none is needed.
    pub secret: &'a str,
    /// The provider's name of the model.
    pub model: &'a str,
    /// The most tokens the model answers with, if known.
    pub max_output: Option<u32>,
    /// Whether it keeps to a JSON schema; `None` when nobody said, which is then guessed from its name.
    pub json_schema: Option<bool>,
}

/// A request as it goes out: a POST with a JSON body.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Where to.
    pub url: String,
    /// Names in lower case. The key is among them.
    pub headers: Vec<(&'static str, String)>,
    /// The JSON.
    pub body: String,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither key nor prompt belongs into any log.
        f.debug_struct("HttpRequest")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// What an answer begins with.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case; those that [`HEADERS`] lists are enough.
    pub headers: Vec<(String, String)>,
}

/// The headers of an answer that mean something here. `x-ratelimit-*` and `anthropic-ratelimit-*` are meant whole.
pub const HEADERS: [&str; 7] = [
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "request-id",
    "x-ratelimit-*",
    "anthropic-ratelimit-*",
];

/// The longest answer, in bytes: a longer one is a failure.
pub const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// One step of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// More text.
    Text(String),
    /// More of why it declines.
    Refusal(String),
    /// A function that it asks for, or more of its arguments.
    ToolCall {
        /// Which call, from 0.
        index: u32,
        /// With a call's first step.
        id: Option<String>,
        /// With a call's first step.
        name: Option<String>,
        /// More of the arguments' text.
        arguments: String,
    },
    /// What was used until now; the last one counts.
    Usage(Usage),
    /// Why it ended. Usage may still follow.
    Finish(Finish),
}

/// The request that asks this.
///
/// # Errors
/// [`super::failure::Class::Model`] when this provider cannot be asked it in any way, such as an image by its
/// URL where only images themselves are taken.
pub fn request(
    target: &Target<'_>,
    request: &ChatRequest,
    stream: bool,
) -> Result<HttpRequest, Failure> {
    let _ = (target, request, stream);
    todo!()
}

/// Reads a whole answer, good or bad. `now_ms` is for what says "in 5 seconds".
///
/// # Errors
/// What the answer means when it is none.
pub fn answer(
    provider: Provider,
    head: &Head,
    body: &[u8],
    now_ms: i64,
) -> Result<Answer, Failure> {
    let _ = (provider, head, body, now_ms);
    todo!()
}

/// Reads an answer that comes in pieces. An answer whose status is not 200 is no stream: [`answer`] says what
/// it means.
#[derive(Debug)]
pub struct Stream {
    provider: Provider,
}

impl Stream {
    /// A stream that has just begun.
    ///
    /// # Errors
    /// When the answer is no stream of this provider's, by its `content-type`.
    pub fn new(provider: Provider, head: &Head, now_ms: i64) -> Result<Self, Failure> {
        let _ = (head, now_ms);
        Ok(Self { provider })
    }

    /// The next piece, cut anywhere.
    ///
    /// # Errors
    /// An error inside the stream, garbage, or more than may come.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Failure> {
        let _ = (bytes, self.provider);
        todo!()
    }

    /// Whether the provider said that nothing follows: no need to wait for the connection's end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        todo!()
    }

    /// The connection's end: all that came as one answer, as [`answer`] would have read it.
    ///
    /// # Errors
    /// When it ended before it was finished.
    pub fn end(self) -> Result<Answer, Failure> {
        todo!()
    }

    /// What was used as far as is known, when a stream is given up.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        todo!()
    }

    /// The text that came until now.
    #[must_use]
    pub fn content(&self) -> &str {
        todo!()
    }
}
