//! An answer that comes in pieces.

use serde_json::Value;

use super::anthropic::Blocks;
use super::collect::Collected;
use super::lines::Lines;
use super::{Event, Head, anthropic, gemini, ollama, openai};
use crate::ai::chat::{Answer, ToolCall, Usage, estimate_text};
use crate::ai::failure::{Failure, code};
use crate::ai::provider::Provider;

/// The longest stream, in bytes: what is around the text is many times the text.
const MAX_STREAM_BYTES: u64 = 256 * 1024 * 1024;

/// Reads an answer that comes in pieces. An answer whose status is not 200 is no stream: [`super::answer`] says
/// what it means.
#[derive(Debug)]
pub struct Stream {
    provider: Provider,
    head: Head,
    now_ms: i64,
    lines: Lines,
    found: Collected,
    blocks: Blocks,
    bytes: u64,
    done: bool,
    /// What ended it, to be told after the events before it.
    failed: Option<Failure>,
}

impl Stream {
    /// A stream that has just begun.
    ///
    /// # Errors
    /// When the answer is no stream of this provider's, by its `content-type`.
    pub fn new(provider: Provider, head: &Head, now_ms: i64) -> Result<Self, Failure> {
        let types: &[&str] = match provider {
            Provider::Local => &["application/x-ndjson", "application/json"],
            _ => &["text/event-stream"],
        };
        if !head.is_of(types) {
            return Err(Failure::invalid_answer());
        }
        Ok(Self {
            provider,
            head: head.clone(),
            now_ms,
            lines: Lines::default(),
            found: Collected::new(provider),
            blocks: Blocks::default(),
            bytes: 0,
            done: false,
            failed: None,
        })
    }

    /// The next piece, cut anywhere. What failed after some events is told when nothing else is left to tell:
    /// by the next piece or by [`Self::end`].
    ///
    /// # Errors
    /// An error inside the stream, garbage, or more than may come.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, Failure> {
        self.bytes += bytes.len() as u64;
        if !self.done
            && let Err(failure) = self.read(bytes)
        {
            self.failed = Some(failure);
            self.done = true;
        }
        let events = std::mem::take(&mut self.found.events);
        match &self.failed {
            Some(failure) if events.is_empty() => Err(failure.clone()),
            _ => Ok(events),
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.bytes > MAX_STREAM_BYTES {
            return Err(Failure::too_large());
        }
        let mut lines = std::mem::take(&mut self.lines);
        let read = lines.push(bytes, |line| {
            self.line(line)?;
            Ok(!self.done)
        });
        self.lines = lines;
        read
    }

    /// One line: of an event stream or of JSON lines.
    fn line(&mut self, line: &str) -> Result<(), Failure> {
        let data = match self.provider {
            Provider::Local => line.trim(),
            // Names of events and comments say nothing that the data does not.
            _ => match line.strip_prefix("data:") {
                Some(data) => data.trim(),
                None => return Ok(()),
            },
        };
        if data.is_empty() {
            return Ok(());
        }
        if data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let value: Value = serde_json::from_str(data).map_err(|_| Failure::invalid_answer())?;
        let found = &mut self.found;
        match self.provider {
            Provider::OpenAi | Provider::Groq | Provider::DeepSeek => {
                openai::chunk(found, &value, self.now_ms)?;
            }
            Provider::Anthropic => {
                self.done = anthropic::event(found, &mut self.blocks, &value, self.now_ms)?;
            }
            Provider::Gemini => gemini::chunk(found, &value, self.now_ms)?,
            Provider::Local => {
                ollama::chunk(found, &value, self.now_ms)?;
                self.done = found.is_finished();
            }
        }
        Ok(())
    }

    /// Whether nothing follows that matters: no need to wait for the connection's end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The connection's end: the events of a last line without its end, and all that came as one answer, as
    /// [`super::answer`] would have read it. What is no answer stays, for [`Self::so_far`].
    ///
    /// # Errors
    /// What failed, or that it ended before it was finished.
    pub fn end(&mut self) -> Result<(Vec<Event>, Answer), Failure> {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        if !self.done {
            let rest = self.lines.rest();
            match self.line(&rest) {
                // A line that was cut off is no garbage: the stream was cut.
                Err(failure) if failure.code != code::INVALID_ANSWER => return Err(failure),
                _ => {}
            }
        }
        let events = std::mem::take(&mut self.found.events);
        Ok((events, self.found.answer(&self.head)?))
    }

    /// What came until now, when a stream is given up.
    #[must_use]
    pub fn so_far(&self) -> SoFar<'_> {
        SoFar {
            usage: self.found.usage,
            content: &self.found.content,
            tool_calls: self.found.tool_calls(),
            written: self.found.written(),
        }
    }
}

/// What came of an answer that did not come to its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct SoFar<'a> {
    /// Tokens, as far as the provider said.
    pub usage: Option<Usage>,
    /// The text.
    pub content: &'a str,
    /// The functions that it asked for; the arguments of the last may be cut off.
    pub tool_calls: &'a [ToolCall],
    /// About how many tokens all of it is, refusal and thoughts included.
    pub written: u64,
}

impl<'a> SoFar<'a> {
    /// A whole answer that nobody waited for.
    #[must_use]
    pub fn all_of(answer: &'a Answer) -> Self {
        let calls = answer
            .tool_calls
            .iter()
            .map(|it| estimate_text(&it.function.name) + estimate_text(&it.function.arguments));
        let refusal = answer.refusal.as_deref().unwrap_or_default();
        Self {
            usage: answer.usage,
            content: &answer.content,
            tool_calls: &answer.tool_calls,
            written: estimate_text(&answer.content) + estimate_text(refusal) + calls.sum::<u64>(),
        }
    }
}
