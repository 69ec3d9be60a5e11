//! A request to the outside whose answer is read whole or piece by piece, with a bound on everything: how long it
//! takes, how much there may be. Dropping it ends the request.

use futures_util::future::{Either, select};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use worker::Delay;
use worker::js_sys::{Promise, Reflect, Uint8Array, futures::JsFuture};
use worker::web_sys::{AbortController, ReadableStreamDefaultReader, Response};

// One step out of WebAssembly for a request, and one for what its answer begins with; of an answer that is wanted whole,
// one for everything: a timer or a promise on this side costs as much as what it waits for. So does each step of a stream
// on the platform's side: what fits is read in one.
#[wasm_bindgen(
    inline_js = "export const send = (url, headers, body, signal) => fetch(url, { method: body === undefined ? 'GET' : 'POST', \
                 headers: Object.fromEntries(headers.split('\\n').filter(Boolean).map((line) => { const at = line.indexOf(': '); \
                 return [line.slice(0, at), line.slice(at + 2)]; })), body, signal, redirect: 'manual' }); \
                 export const head = (response) => [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\\n'); \
                 export const rest = async (reader, most) => { const parts = []; let bytes = 0; \
                 for (let part = await reader.read(); !part.done; part = await reader.read()) { \
                 parts.push(part.value); bytes += part.value.length; if (bytes > most) return; } \
                 if (parts.length === 1) return parts[0]; const whole = new Uint8Array(bytes); let at = 0; \
                 for (const part of parts) { whole.set(part, at); at += part.length; } return whole; }; \
                 const decoder = new TextDecoder(); \
                 const SMALL = 16384; \
                 const all = async (body, most) => { const reader = body.getReader({ mode: 'byob' }); let text = ''; let bytes = 0; \
                 const parts = new TextDecoder(); for (;;) { const { value, done } = await reader.readAtLeast(SMALL, new Uint8Array(SMALL)); \
                 const length = value?.length ?? 0; bytes += length; if (bytes > most) return; const ended = done || length < SMALL; \
                 if (ended && bytes === length) return decoder.decode(value); \
                 text += parts.decode(value, { stream: !ended }); if (ended) return text; } }; \
                 const asked = async (url, headers, body, ms, most, abort) => { let late = false; \
                 const timer = setTimeout(() => { late = true; abort.abort(); }, ms); \
                 try { const response = await send(url, headers, body, abort.signal); \
                 const text = response.body ? await all(response.body, most) : ''; \
                 if (text !== undefined) return `${response.status}\n${head(response)}\n\n${text}`; \
                 abort.abort(); return 'long'; } catch { return late ? 'late' : 'broken'; } finally { clearTimeout(timer); } }; \
                 export const whole = (url, headers, body, ms, most) => { const abort = new AbortController(); \
                 const answer = asked(url, headers, body, ms, most, abort); answer.stop = () => abort.abort(); return answer; };"
)]
extern "C" {
    #[wasm_bindgen(catch)]
    fn send(
        url: &str,
        headers: &str,
        body: Option<&str>,
        signal: &JsValue,
    ) -> Result<Promise, JsValue>;

    fn head(response: &Response) -> String;

    fn rest(reader: &ReadableStreamDefaultReader, most: f64) -> Promise;

    /// A promise of a whole answer, with a way to end its request.
    #[wasm_bindgen(extends = Promise)]
    type Asked;

    #[wasm_bindgen(js_name = whole)]
    fn ask(url: &str, headers: &str, body: &str, ms: f64, most: f64) -> Asked;

    #[wasm_bindgen(method)]
    fn stop(this: &Asked);
}

/// A whole answer.
pub struct Whole {
    /// HTTP status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body; what is no UTF-8 in it is replaced.
    pub body: String,
}

/// Ends the request unless its answer has come.
struct Pending(Option<Asked>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(asked) = &self.0 {
            asked.stop();
        }
    }
}

/// POSTs `body` and reads the answer, of at most `most` bytes, all of it within `patience`. Redirects are not followed.
///
/// # Errors
/// [`Trouble`]; every status is an answer.
pub async fn whole(
    url: &str,
    headers: &[(&'static str, String)],
    body: &str,
    patience: Duration,
    most: usize,
) -> Result<Whole, Trouble> {
    let asked = ask(
        url,
        &lines(headers),
        body,
        patience.as_millis() as f64,
        most as f64,
    );
    let answer = JsFuture::from(Promise::clone(&asked));
    let mut pending = Pending(Some(asked));
    let answer = answer.await;
    pending.0 = None;
    let text = answer.ok().and_then(|answer| answer.as_string());
    let text = text.ok_or(Trouble::Broken)?;
    match text.as_str() {
        "late" => return Err(Trouble::Late),
        "long" => return Err(Trouble::TooLong),
        _ => {}
    }
    let (head, body) = text.split_once("\n\n").ok_or(Trouble::Broken)?;
    let (status, headers) = head.split_once('\n').unwrap_or((head, ""));
    Ok(Whole {
        status: status.parse().map_err(|_| Trouble::Broken)?,
        headers: pairs(headers),
        body: body.to_owned(),
    })
}

fn lines(headers: &[(&'static str, String)]) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn pairs(lines: &str) -> Vec<(String, String)> {
    let pairs = lines.lines().filter_map(|line| line.split_once(": "));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It took too long.
    Late,
    /// The connection could not be made, or broke.
    Broken,
    /// There is more of it than may be.
    TooLong,
}

/// An answer that has begun.
pub struct Exchange {
    abort: AbortController,
    reader: Option<ReadableStreamDefaultReader>,
    /// HTTP status.
    pub status: u16,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Whoever sends more learns that nobody listens any more.
        if self.reader.is_some() {
            self.abort.abort();
        }
    }
}

/// Ends a request whose answer nobody waits for any more.
struct Guard(Option<AbortController>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(abort) = &self.0 {
            abort.abort();
        }
    }
}

impl Exchange {
    /// POSTs `body`, or GETs where there is none, and waits for what the answer begins with. Redirects are not
    /// followed.
    ///
    /// # Errors
    /// [`Trouble`]; every status is an answer.
    pub async fn open(
        url: &str,
        headers: &[(&'static str, String)],
        body: Option<&str>,
        patience: Duration,
    ) -> Result<Self, Trouble> {
        let abort = AbortController::new().map_err(|_| Trouble::Broken)?;
        let mut guard = Guard(Some(abort));
        let Some(abort) = &guard.0 else {
            return Err(Trouble::Broken);
        };
        let sent = send(url, &lines(headers), body, &abort.signal());
        let response = JsFuture::from(sent.map_err(|_| Trouble::Broken)?);
        let response = within(patience, response)
            .await?
            .map_err(|_| Trouble::Broken)?;
        let response: Response = response.dyn_into().map_err(|_| Trouble::Broken)?;
        let headers = pairs(&head(&response));
        let stream = response.body();
        let abort = guard.0.take().ok_or(Trouble::Broken)?;
        Ok(Self {
            abort,
            reader: stream.map(|stream| stream.get_reader().unchecked_into()),
            status: response.status(),
            headers,
        })
    }

    /// The next piece of the body; nothing at its end.
    ///
    /// # Errors
    /// [`Trouble::Late`] when none comes within `patience`, [`Trouble::Broken`] when none will.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, Trouble> {
        let Some(reader) = &self.reader else {
            return Ok(None);
        };
        let part = within(patience, JsFuture::from(reader.read())).await?;
        let part = part.map_err(|_| Trouble::Broken)?;
        let get = |name: &str| Reflect::get(&part, &name.into()).map_err(|_| Trouble::Broken);
        if get("done")?.is_truthy() {
            self.reader = None;
            return Ok(None);
        }
        let bytes: Uint8Array = get("value")?.dyn_into().map_err(|_| Trouble::Broken)?;
        Ok(Some(bytes.to_vec()))
    }

    /// The rest of the body, of at most `most` bytes, all of it within `patience`.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn rest(&mut self, most: usize, patience: Duration) -> Result<Vec<u8>, Trouble> {
        let Some(reader) = &self.reader else {
            return Ok(Vec::new());
        };
        let read = within(patience, JsFuture::from(rest(reader, most as f64))).await?;
        let bytes = read.map_err(|_| Trouble::Broken)?;
        if bytes.is_undefined() {
            return Err(Trouble::TooLong);
        }
        self.reader = None;
        let bytes: Uint8Array = bytes.dyn_into().map_err(|_| Trouble::Broken)?;
        Ok(bytes.to_vec())
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, Trouble> {
    match select(pin!(work), Delay::from(patience)).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(_) => Err(Trouble::Late),
    }
}
