//! From the question to the first who answers.

use super::attempt::{self, Got, Patience};
use super::closing::{Closing, End, Facts, price};
use super::license::{self, Granted};
use super::{Ask, Attempt, Completion, Failed, choice};
use crate::error::{self, Code, Error};
use crate::modules::ai::host::Host;
use crate::modules::ai::models::{self, Model};
use crate::modules::ai::pool::{self, Lent, Outcome, Reserved, Wanted};
use crate::platform::clock;
use celaest_domain::ai::chat::{Answer, Usage};
use celaest_domain::ai::failure::{Class, Failure};
use celaest_domain::ai::wire::SoFar;
use futures_util::future::{Either, join, select};
use std::pin::pin;
use std::sync::Arc;
use uuid::{NoContext, Timestamp, Uuid};

/// Attempts of one call, whatever they fail of.
const MOST_ATTEMPTS: usize = 10;
/// Tokens of an answer that a budget holds where nobody said how many it may have.
const HELD_TOKENS: u32 = 4_096;

/// Somebody answers.
pub(super) struct Begun {
    pub got: Got,
    pub model: Arc<Model>,
    pub lent: Box<Lent>,
    pub call: Call,
    /// When the attempt that answers began, in Unix milliseconds.
    pub asked_at: i64,
}

/// A call under way.
pub(super) struct Call {
    pub ask: Ask,
    pub id: Uuid,
    pub granted: Granted,
    pub attempts: Vec<Attempt>,
    /// When it began, in Unix milliseconds, as its id says.
    pub started: i64,
    pub tokens: u64,
}

impl Call {
    /// What those who are told of its end have to know.
    pub fn facts(
        &self,
        last: Option<(Arc<Model>, Uuid)>,
        lent: Option<Box<Lent>>,
        latency_ms: i64,
    ) -> Facts<'_> {
        Facts {
            ask: &self.ask,
            call: self.id,
            granted: &self.granted,
            started: self.started,
            attempts: &self.attempts,
            last,
            lent,
            latency_ms,
            tokens: self.tokens,
        }
    }

    /// The answer with what it took.
    pub fn completion(&self, answer: Answer, model: &Model, pool_key: Uuid) -> Completion {
        let ai_ms = self.attempts.iter().map(|attempt| attempt.ms).sum();
        Completion {
            call: self.id,
            license: self.granted.id,
            requests_left: self.granted.left.requests,
            cost_micro: price(model, answer.usage, self.started),
            answer,
            provider: model.provider,
            model: model.model_id.clone(),
            model_id: model.id,
            pool_key,
            attempts: self.attempts.clone(),
            ai_ms,
            overhead_ms: (clock::now_ms() - self.started - ai_ms).max(0),
        }
    }
}

/// Nobody answers.
pub(super) struct Stopped {
    pub failed: Failed,
    pub closing: Option<Closing>,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self {
            failed: error.into(),
            closing: None,
        }
    }
}

/// Asks for a whole answer.
pub(super) async fn whole<H: Host>(
    host: &H,
    ask: Ask,
) -> (Result<Completion, Failed>, Option<Closing>) {
    match begin(host, ask, false).await {
        Err(stopped) => (Err(stopped.failed), stopped.closing),
        Ok(begun) => {
            let Begun {
                got,
                model,
                lent,
                call,
                asked_at,
            } = begun;
            let Got::Whole(answer) = got else {
                let closing = Closing::given_back(call.granted, call.id, Some(lent));
                let failed = Error::internal("a stream that nobody asked for").into();
                return (Err(failed), Some(closing));
            };
            let key = lent.key_id;
            let facts = call.facts(
                Some((model.clone(), key)),
                Some(lent),
                clock::now_ms() - asked_at,
            );
            let closing = Closing::of(facts, &End::Answered(&answer));
            let completion = call.completion(*answer, &model, key);
            (Ok(completion), Some(closing))
        }
    }
}

/// Reserves and asks, one after the other, until somebody answers.
pub(super) async fn begin<H: Host>(host: &H, ask: Ask, streams: bool) -> Result<Begun, Stopped> {
    let now = clock::now_ms();
    choice::checked(&ask, host.config()?.webhook_allow_private)?;
    let license = license::of(host, &ask.who, ask.license).await?;
    let catalogue = models::catalogue(host).await?;
    let tokens = ask.request.estimate_tokens();
    let models = choice::models(&catalogue, &ask, tokens, streams)?;
    let id = ask.call.unwrap_or_else(|| drawn(now));
    let first = &models[0];
    let granted = license::reserve(
        host,
        &ask,
        id,
        license,
        held(first, &ask, tokens, now),
        streams,
    );
    let wanted = wanted(&ask, first, tokens, &[]);
    let (granted, reserved) = join(granted, pool::reserve(host, &wanted)).await;
    let granted = match granted {
        Ok(granted) => granted,
        Err(error) => {
            if let Ok(Reserved::Key(lent)) = reserved {
                give_back(host, &lent).await;
            }
            return Err(error.into());
        }
    };
    let mut call = Call {
        started: begun(id).unwrap_or(now),
        id,
        granted,
        attempts: Vec::new(),
        tokens,
        ask,
    };
    let deadline = now + i64::from(call.ask.deadline_ms);
    let mut search = Search::new(&models, reserved);
    loop {
        match search.step(host, &mut call, deadline, streams).await {
            Step::Answered {
                got,
                model,
                lent,
                asked_at,
            } => {
                return Ok(Begun {
                    got,
                    model,
                    lent,
                    call,
                    asked_at,
                });
            }
            Step::Gone {
                model,
                lent,
                asked_at,
            } => {
                let key = lent.key_id;
                let facts = call.facts(Some((model, key)), Some(lent), clock::now_ms() - asked_at);
                let closing = Closing::of(facts, &End::Gone(SoFar::default()));
                return Err(Stopped {
                    failed: Error::internal("nobody waits for the answer").into(),
                    closing: Some(closing),
                });
            }
            Step::Ended(failed) => {
                let facts = call.facts(search.last.take(), None, 0);
                let closing = Closing::of(facts, &End::Failed(&failed.error));
                return Err(Stopped {
                    failed: failed.after(call.attempts),
                    closing: Some(closing),
                });
            }
            Step::Next => {}
        }
    }
}

/// The state of the search for somebody who answers.
struct Search<'a> {
    models: &'a [Arc<Model>],
    place: usize,
    /// What the first model's pool had already.
    reserved: Option<error::Result<Reserved>>,
    /// Keys that failed.
    tried: Vec<Uuid>,
    faults: u8,
    /// When the first key that rests comes back, in Unix milliseconds.
    rests_until: Option<i64>,
    /// The model that was asked last, and the key.
    last: Option<(Arc<Model>, Uuid)>,
}

enum Step {
    Answered {
        got: Got,
        model: Arc<Model>,
        lent: Box<Lent>,
        asked_at: i64,
    },
    Gone {
        model: Arc<Model>,
        lent: Box<Lent>,
        asked_at: i64,
    },
    Ended(Failed),
    Next,
}

impl<'a> Search<'a> {
    fn new(models: &'a [Arc<Model>], reserved: error::Result<Reserved>) -> Self {
        Self {
            models,
            place: 0,
            reserved: Some(reserved),
            tried: Vec::new(),
            faults: 0,
            rests_until: None,
            last: None,
        }
    }

    /// One key of one model.
    async fn step<H: Host>(
        &mut self,
        host: &H,
        call: &mut Call,
        deadline: i64,
        streams: bool,
    ) -> Step {
        let Some(model) = self.models.get(self.place).cloned() else {
            return Step::Ended(self.exhausted(call));
        };
        let reserved = match self.reserved.take() {
            Some(reserved) => reserved,
            None if clock::now_ms() >= deadline => return Step::Ended(late()),
            None => pool::reserve(host, &wanted(&call.ask, &model, call.tokens, &self.tried)).await,
        };
        let lent = match reserved {
            Ok(Reserved::Key(lent)) => lent,
            Ok(Reserved::Cooling { until_ms, .. }) => {
                let first = self.rests_until.unwrap_or(until_ms).min(until_ms);
                self.rests_until = Some(first);
                self.place += 1;
                return Step::Next;
            }
            Ok(Reserved::Empty) => {
                self.place += 1;
                return Step::Next;
            }
            Err(error) => return Step::Ended(error.into()),
        };
        let asked_at = clock::now_ms();
        let patience = Patience {
            left_ms: deadline - asked_at,
            first_ms: call.ask.first_token_ms,
        };
        let outcome = {
            let asking = pin!(attempt::ask(
                &model,
                &lent,
                &call.ask.request,
                streams,
                patience
            ));
            match call.ask.gone.clone() {
                None => Some(asking.await),
                Some(gone) => match select(asking, gone).await {
                    Either::Left((outcome, _)) => Some(outcome),
                    Either::Right(_) => None,
                },
            }
        };
        let ms = clock::now_ms() - asked_at;
        let mut note = |outcome: &str, status| {
            call.attempts.push(Attempt {
                provider: model.provider,
                model: model.model_id.clone(),
                outcome: outcome.to_owned(),
                status,
                ms,
            });
        };
        let failure = match outcome {
            None => {
                note("given_up", None);
                return Step::Gone {
                    model,
                    lent,
                    asked_at,
                };
            }
            Some(Ok(got)) => {
                note(Attempt::ANSWERED, Some(200));
                return Step::Answered {
                    got,
                    model,
                    lent,
                    asked_at,
                };
            }
            Some(Err(failure)) => failure,
        };
        note(failure.code, failure.status);
        self.last = Some((model.clone(), lent.key_id));
        let outcome = Outcome {
            failure: Some(&failure),
            latency_ms: u64::try_from(ms).unwrap_or(0),
            ..Outcome::default()
        };
        if let Err(error) = pool::settle(host, &lent, &outcome).await {
            return Step::Ended(error.into());
        }
        self.after(call, &model, lent.key_id, &failure)
    }

    /// Who is next after a failure.
    fn after(&mut self, call: &Call, model: &Model, key: Uuid, failure: &Failure) -> Step {
        match failure.class {
            Class::Caller => {
                return Step::Ended(Failed::rejected(model.provider, &model.model_id, failure));
            }
            Class::Model => self.place += 1,
            Class::Key | Class::Capacity => self.tried.push(key),
            Class::Fault => {
                self.tried.push(key);
                self.faults += 1;
            }
        }
        if self.faults > call.ask.retries || call.attempts.len() >= MOST_ATTEMPTS {
            return Step::Ended(self.exhausted(call));
        }
        Step::Next
    }

    /// What is said when nobody is left to ask.
    fn exhausted(&self, call: &Call) -> Failed {
        let now = clock::now_ms();
        let seconds = |until: i64| u32::try_from(((until - now + 999) / 1_000).max(1)).ok();
        match self.rests_until {
            Some(until) => Failed::refused(Error {
                retry_after: seconds(until),
                ..Error::new(Code::ProvidersUnavailable)
            }),
            None if call.attempts.is_empty() => Failed::refused(Error {
                retry_after: Some(30),
                ..Error::new(Code::ProvidersUnavailable)
            }),
            None => Failed::refused(Error::new(Code::ProvidersFailed)),
        }
    }
}

fn late() -> Failed {
    Failed::refused(Error::new(Code::DeadlineExceeded))
}

fn wanted<'a>(ask: &Ask, model: &'a Model, tokens: u64, tried: &'a [Uuid]) -> Wanted<'a> {
    Wanted {
        provider: model.provider,
        organization: ask.who.organization,
        model: &model.model_id,
        tokens: tokens + u64::from(ask.request.how.max_tokens.unwrap_or(0)),
        tried,
    }
}

/// What a call may cost, for budgets; nothing where no price is known.
pub(super) fn held(model: &Model, ask: &Ask, tokens: u64, now: i64) -> i64 {
    let usage = Usage {
        input: tokens,
        output: u64::from(ask.request.how.max_tokens.unwrap_or(HELD_TOKENS)),
        ..Usage::default()
    };
    price(model, Some(usage), now).unwrap_or(0)
}

async fn give_back(host: &impl Host, lent: &Lent) {
    let outcome = Outcome {
        given_up: true,
        ..Outcome::default()
    };
    // Whoever cannot be told takes it back alone.
    let _ = pool::settle(host, lent, &outcome).await;
}

/// An id that says when the call began.
fn drawn(now: i64) -> Uuid {
    let now = u64::try_from(now).unwrap_or(0);
    let nanos = (now % 1_000) as u32 * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, now / 1_000, nanos))
}

fn begun(id: Uuid) -> Option<i64> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    i64::try_from(seconds * 1_000 + u64::from(nanos) / 1_000_000).ok()
}
