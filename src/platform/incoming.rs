//! A request as it comes from the platform: its head in one text, its body when somebody asks for it.
//!
//! Each look at a header from here would be a call into JavaScript, and 25 of them cost more than a
//! whole validation. So `src/entry/http.mjs` reads all that the door needs and hands it over at once.

use std::cell::RefCell;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::js_sys::{Promise, Uint8Array, futures::JsFuture};

#[wasm_bindgen]
extern "C" {
    /// The rest of a request, as `src/entry/http.mjs` offers it.
    pub type Rest;

    /// At most `limit` bytes of the body, or null when there are more.
    #[wasm_bindgen(method, catch)]
    fn read(this: &Rest, limit: u32) -> Result<Promise, JsValue>;

    /// A promise that is kept when the caller leaves before the end.
    #[wasm_bindgen(method, catch)]
    fn left(this: &Rest) -> Result<Promise, JsValue>;
}

macro_rules! head {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// Which line of the head is which: the order in which `src/entry/http.mjs` writes them.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Line { $($name),* }

        impl Head {
            /// How many lines there are.
            const LINES: usize = [$(Line::$name),*].len();

            $(
                $(#[$doc])*
                pub fn $name(&self) -> Option<&str> {
                    self.line(Line::$name)
                }
            )*
        }
    };
}

/// Method, URL and headers. A header that is there and empty is a NUL.
#[derive(Debug, Clone)]
pub struct Head {
    text: String,
    /// Where each line ends.
    ends: [usize; Head::LINES],
}

head! {
    /// `X-Request-Id`.
    request_id;
    /// `Accept-Language`.
    accept_language;
    /// `CF-Connecting-IP`.
    connecting_ip;
    /// `User-Agent`.
    user_agent;
    /// `Origin`.
    origin;
    /// `Access-Control-Request-Method`.
    requested_method;
    /// `Authorization`.
    authorization;
    /// `X-API-Key`.
    api_key;
    /// `Idempotency-Key`.
    idempotency_key;
    /// `Content-Length`.
    length;
    /// `Content-Type`.
    content_type;
    /// `Content-Encoding`.
    content_encoding;
    /// `Stripe-Signature`.
    stripe_signature;
    /// `If-None-Match`.
    if_none_match;
    /// `CF-IPCountry`.
    connecting_country;
    /// `X-Organization-ID`, under `/v1/`.
    organization;
    /// `X-User-ID`, under `/v1/`.
    user;
    /// `X-License-ID`, under `/v1/`.
    license;
    /// The request's method; always there.
    verb;
    /// The request's URL; always there.
    address;
}

impl Head {
    /// Takes the lines apart. Missing ones are as if empty.
    pub fn new(text: String) -> Self {
        let mut ends = [text.len(); Self::LINES];
        let breaks = text.match_indices('\n').map(|(at, _)| at);
        for (end, at) in ends.iter_mut().zip(breaks) {
            *end = at;
        }
        Self { text, ends }
    }

    fn line(&self, line: Line) -> Option<&str> {
        let index = line as usize;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] + 1,
        };
        self.text
            .get(start..self.ends[index])
            .filter(|text| !text.is_empty())
    }

    /// `GET`, `POST`, ….
    pub fn method(&self) -> &str {
        self.verb().unwrap_or_default()
    }

    /// `Content-Length` as a number.
    pub fn content_length(&self) -> Option<usize> {
        self.length().and_then(|text| text.parse().ok())
    }

    /// Scheme and host of the URL: where the caller reaches the worker.
    pub fn base(&self) -> &str {
        let url = self.address().unwrap_or_default();
        let after_scheme = url.find("://").map_or(0, |at| at + 3);
        let end = url[after_scheme..].find(['/', '?']);
        end.map_or(url, |at| &url[..after_scheme + at])
    }

    /// The URL's path.
    pub fn path(&self) -> &str {
        self.target().0
    }

    /// What follows the path's question mark.
    pub fn query(&self) -> Option<&str> {
        self.target().1
    }

    fn target(&self) -> (&str, Option<&str>) {
        let url = self.address().unwrap_or_default();
        let after_scheme = url.find("://").map_or(0, |at| at + 3);
        let rest = url[after_scheme..]
            .find('/')
            .map_or("/", |at| &url[after_scheme + at..]);
        match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        }
    }
}

/// The body of a request: a small one came along with the head, another is read when it is asked for.
pub struct Incoming {
    early: RefCell<Option<Vec<u8>>>,
    rest: Rest,
}

impl Incoming {
    /// What the platform's side handed over.
    pub fn new(early: Option<Vec<u8>>, rest: Rest) -> Self {
        Self {
            early: RefCell::new(early),
            rest,
        }
    }

    /// The body, once; `None` when it has more than `limit` bytes.
    ///
    /// # Errors
    /// What the platform said when the body could not be read.
    pub async fn body(&self, limit: usize) -> Result<Option<Vec<u8>>, String> {
        if let Some(bytes) = self.early.take() {
            return Ok(Some(bytes).filter(|bytes| bytes.len() <= limit));
        }
        let reading = self.rest.read(limit as u32).map_err(words)?;
        let bytes = JsFuture::from(reading).await.map_err(words)?;
        Ok(bytes.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec))
    }

    /// Ends when the caller has left before the end of the answer, which may be never.
    pub async fn left(&self) {
        if let Ok(left) = self.rest.left() {
            let _ = JsFuture::from(left).await;
        }
    }
}

fn words(thrown: JsValue) -> String {
    format!("{thrown:?}")
}

#[cfg(test)]
mod tests {
    use super::Head;

    fn of(url: &str) -> Head {
        Head::new(format!(
            "id\nen\n\n\n\n\n\n\n\n12\ntext/json\n\n\n\n\n\n\n\nGET\n{url}"
        ))
    }

    #[test]
    fn path_and_query() {
        let parts = |url| {
            let head = of(url);
            (head.path().to_owned(), head.query().map(str::to_owned))
        };
        assert_eq!(parts("http://h:1/api/x"), ("/api/x".into(), None));
        assert_eq!(
            parts("https://h/api?a=/b?c"),
            ("/api".into(), Some("a=/b?c".into()))
        );
        assert_eq!(of("http://h:1/api/x").base(), "http://h:1");
        assert_eq!(of("https://h?a").base(), "https://h");
        assert_eq!(of("https://h").base(), "https://h");
        // No path, and `OPTIONS *`.
        assert_eq!(parts("https://h"), ("/".into(), None));
        assert_eq!(parts("https://h*"), ("/".into(), None));
    }

    #[test]
    fn lines() {
        let head = of("https://h/");
        assert_eq!(head.request_id(), Some("id"));
        assert_eq!(head.accept_language(), Some("en"));
        assert_eq!(head.authorization(), None);
        assert_eq!(head.content_length(), Some(12));
        assert_eq!(head.content_type(), Some("text/json"));
        assert_eq!(head.content_encoding(), None);
        assert_eq!(head.method(), "GET");
        assert_eq!(Head::new(String::new()).method(), "");
    }
}
