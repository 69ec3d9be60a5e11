//! One attempt: a model is asked with a key.

use super::images;
use crate::modules::ai::models::Model;
use crate::modules::ai::pool::Lent;
use crate::platform::clock;
use crate::platform::exchange::{self, Exchange, Trouble, Whole};
use celaest_domain::ai::chat::{Answer, ChatRequest};
use celaest_domain::ai::failure::Failure;
use celaest_domain::ai::wire::{self, Event, Head, MAX_ANSWER_BYTES, SoFar, Target};
use std::time::Duration;

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// All of it, of a stream until its first content, in milliseconds.
    pub left_ms: i64,
    /// A stream's first content, in milliseconds.
    pub first_ms: u32,
}

/// What came of it.
pub enum Got {
    /// The answer.
    Whole(Box<Answer>),
    /// A stream that has content.
    Flow(Box<Flow>),
}

/// A stream of events.
pub struct Flow {
    exchange: Exchange,
    /// Gone once it has ended.
    stream: Option<wire::Stream>,
    /// What was read until the first content.
    pub early: Vec<Event>,
    /// All of it as one answer, once it has ended.
    pub ended: Option<Box<Answer>>,
}

/// Asks.
///
/// # Errors
/// How it failed.
pub async fn ask(
    model: &Model,
    lent: &Lent,
    request: &ChatRequest,
    streams: bool,
    patience: Patience,
) -> Result<Got, Failure> {
    let target = Target {
        provider: model.provider,
        base_url: &lent.base_url,
        secret: lent.secret.expose(),
        model: &model.model_id,
        max_output: model.max_tokens_output,
        json_schema: Some(model.capabilities.json_schema),
    };
    let end = clock::now_ms() + patience.left_ms;
    let request = images::put_in(request, model.provider, end).await?;
    let http = wire::request(&target, &request, streams)?;
    let left = |end: i64| milliseconds(end - clock::now_ms());
    if !streams {
        let answer = exchange::whole(
            &http.url,
            &http.headers,
            &http.body,
            left(end),
            MAX_ANSWER_BYTES,
        );
        let Whole {
            status,
            headers,
            body,
        } = answer.await.map_err(failure)?;
        let head = Head { status, headers };
        let answer = wire::answer(model.provider, &head, body.as_bytes(), clock::now_ms())?;
        return Ok(Got::Whole(Box::new(answer)));
    }
    let first = end.min(clock::now_ms() + i64::from(patience.first_ms));
    let mut exchange = Exchange::open(&http.url, &http.headers, Some(&http.body), left(first))
        .await
        .map_err(failure)?;
    let head = Head {
        status: exchange.status,
        headers: std::mem::take(&mut exchange.headers),
    };
    if head.status != 200 {
        let body = exchange.rest(MAX_ANSWER_BYTES, left(end)).await;
        let body = body.map_err(failure)?;
        let answer = wire::answer(model.provider, &head, &body, clock::now_ms())?;
        return Ok(Got::Whole(Box::new(answer)));
    }
    let mut flow = Flow {
        exchange,
        stream: Some(wire::Stream::new(model.provider, &head, clock::now_ms())?),
        early: Vec::new(),
        ended: None,
    };
    // Held back until there is something to show: until then another may still take over.
    while !flow.early.iter().any(is_content) {
        match flow.next(left(first)).await? {
            Some(events) => flow.early.extend(events),
            None => break,
        }
    }
    Ok(Got::Flow(Box::new(flow)))
}

impl Flow {
    /// The next events; nothing at the end, when [`Flow::ended`] has the whole.
    ///
    /// # Errors
    /// How it failed: an end that is none is a failure too.
    pub async fn next(&mut self, patience: Duration) -> Result<Option<Vec<Event>>, Failure> {
        let Some(stream) = &mut self.stream else {
            return Ok(None);
        };
        if !stream.is_done()
            && let Some(bytes) = self.exchange.next(patience).await.map_err(failure)?
        {
            return stream.push(&bytes).map(Some);
        }
        let (events, answer) = stream.end()?;
        self.stream = None;
        self.ended = Some(Box::new(answer));
        Ok(Some(events))
    }

    /// What came until now, whether it is an answer or not.
    pub fn so_far(&self) -> SoFar<'_> {
        match (&self.ended, &self.stream) {
            (Some(answer), _) => SoFar::all_of(answer),
            (None, Some(stream)) => stream.so_far(),
            (None, None) => SoFar::default(),
        }
    }
}

fn is_content(event: &Event) -> bool {
    match event {
        Event::Text(text) | Event::Refusal(text) => !text.is_empty(),
        Event::ToolCall { .. } => true,
        Event::Usage(_) | Event::Finish(_) => false,
    }
}

fn failure(trouble: Trouble) -> Failure {
    match trouble {
        Trouble::Late => Failure::timeout(),
        Trouble::Broken => Failure::unreachable(),
        Trouble::TooLong => Failure::too_large(),
    }
}

/// A pause, of no less than nothing.
pub fn milliseconds(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
