//! An answer piece by piece.

use super::attempt::{Flow, Got, milliseconds};
use super::closing::{self, Closing, End};
use super::run::{self, Begun};
use super::{Ask, Attempt, Beside, Completion, Failed};
use crate::call::Call;
use crate::error::{Code, Error};
use crate::platform::clock;
use celaest_domain::ai::failure::Failure;
use celaest_domain::ai::provider::Provider;
use celaest_domain::ai::wire::Event;
use futures_channel::{mpsc, oneshot};
use futures_util::SinkExt;
use futures_util::future::{Either, select};
use serde_json::json;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;
use worker::Delay;

/// All of a stream from its first content, in milliseconds.
pub const MOST_MS: i64 = 600_000;
/// Pieces that wait for a slow reader.
const WAITING: usize = 16;
/// How long a reader may take no piece before it counts as gone.
const READER_PATIENCE: Duration = Duration::from_secs(60);

/// An answer that has begun.
pub struct Streaming {
    /// The call.
    pub call: Uuid,
    /// Who answers.
    pub provider: Provider,
    /// The provider's name of the model that answers.
    pub model: String,
    /// Every attempt, the last one answers.
    pub attempts: Vec<Attempt>,
    /// The answer. Its last piece is [`Piece::End`] or [`Piece::Failed`].
    pub pieces: mpsc::Receiver<Piece>,
}

/// A piece of an answer.
pub enum Piece {
    /// More of it.
    Event(Event),
    /// All of it has come.
    End(Box<Completion>),
    /// No more will come.
    Failed(Error),
}

/// Asks, and pumps what comes to whoever reads, apart from the request: what was used is told however it ends.
pub(super) async fn open(call: &Rc<Call>, ask: Ask) -> Result<Streaming, Failed> {
    let (tell, told) = oneshot::channel();
    let host = Beside::new(call);
    call.background(async move {
        match run::begin(&host, ask, true).await {
            Ok(begun) => {
                let (mut pieces, reader) = mpsc::channel(WAITING);
                let _ = tell.send(Ok(Streaming {
                    call: begun.call.id,
                    provider: begun.model.provider,
                    model: begun.model.model_id.clone(),
                    attempts: begun.call.attempts.clone(),
                    pieces: reader,
                }));
                let (closing, last) = pump(begun, &mut pieces).await;
                let told = async {
                    if let Some(last) = last {
                        let _ = pieces.send(last).await;
                    }
                    pieces.close_channel();
                };
                closing::around(&host, Some(closing), told).await;
            }
            Err(stopped) => {
                let told = async { drop(tell.send(Err(stopped.failed))) };
                closing::around(&host, stopped.closing, told).await;
            }
        }
        host.database.close();
    });
    match told.await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::internal("a call without an end").into()),
    }
}

/// How the pumping ended.
enum Stop {
    Finished,
    Gone,
    Failed(Failure),
}

/// Hands on what comes; returns what is to be told of it, and the piece that is its end.
async fn pump(begun: Begun, pieces: &mut mpsc::Sender<Piece>) -> (Closing, Option<Piece>) {
    let Begun {
        got,
        model,
        lent,
        mut call,
        asked_at,
    } = begun;
    let key = lent.key_id;
    let mut flow = match got {
        Got::Flow(flow) => flow,
        Got::Whole(_) => {
            let closing = Closing::given_back(call.granted, call.id, Some(lent));
            return (closing, None);
        }
    };
    let stop = {
        let flowing = pin!(flows(&mut flow, pieces, call.ask.between_tokens_ms));
        match call.ask.gone.clone() {
            None => flowing.await,
            Some(gone) => match select(flowing, gone).await {
                Either::Left((stop, _)) => stop,
                Either::Right(_) => Stop::Gone,
            },
        }
    };
    let latency_ms = clock::now_ms() - asked_at;
    if let Some(last) = call.attempts.last_mut() {
        last.ms = latency_ms;
    }
    let last = Some((model.clone(), key));
    match stop {
        Stop::Finished => {
            // An end without an answer does not get here.
            let Some(answer) = flow.ended.take() else {
                let closing = Closing::given_back(call.granted, call.id, Some(lent));
                return (closing, None);
            };
            let facts = call.facts(last, Some(lent), latency_ms);
            let closing = Closing::of(facts, &End::Answered(&answer));
            let completion = call.completion(*answer, &model, key);
            (closing, Some(Piece::End(Box::new(completion))))
        }
        Stop::Gone => {
            let facts = call.facts(last, Some(lent), latency_ms);
            (Closing::of(facts, &End::Gone(flow.so_far())), None)
        }
        Stop::Failed(failure) => {
            let error = Error::new(Code::ProvidersFailed).with_details(json!({
                "provider": model.provider, "model": model.model_id, "reason": failure.code,
            }));
            let end = End::Broken {
                error: &error,
                failure: &failure,
                so_far: flow.so_far(),
            };
            let facts = call.facts(last, Some(lent), latency_ms);
            let closing = Closing::of(facts, &end);
            (closing, Some(Piece::Failed(error)))
        }
    }
}

/// Hands on what comes until its end.
async fn flows(flow: &mut Flow, pieces: &mut mpsc::Sender<Piece>, between_ms: u32) -> Stop {
    let end = clock::now_ms() + MOST_MS;
    let mut events = std::mem::take(&mut flow.early);
    loop {
        for event in events {
            let sending = pieces.send(Piece::Event(event));
            match select(pin!(sending), Delay::from(READER_PATIENCE)).await {
                Either::Left((Ok(()), _)) => {}
                _ => return Stop::Gone,
            }
        }
        let now = clock::now_ms();
        if now >= end {
            return Stop::Failed(Failure::timeout());
        }
        let patience = milliseconds(i64::from(between_ms).min(end - now));
        events = match flow.next(patience).await {
            Ok(Some(events)) => events,
            Ok(None) => return Stop::Finished,
            Err(failure) => return Stop::Failed(failure),
        };
    }
}
