//! What is told behind an answer: to the license's object, to the pool's, and to PostgreSQL by the queue.

use super::license::Granted;
use super::{Ask, Attempt, TaskRef, outgoing, settling};
use crate::error::Error;
use crate::log;
use crate::modules::ai::host::Host;
use crate::modules::ai::models::Model;
use crate::modules::ai::pool::{self, Lent, Outcome};
use crate::platform::clock;
use celaest_domain::ai::chat::{Answer, Content, Format, Usage};
use celaest_domain::ai::cost;
use celaest_domain::ai::failure::Failure;
use celaest_domain::ai::wire::SoFar;
use celaest_domain::text::clip_bytes;
use celaest_durable::license::{Ended, Record, Settle, SettleCall};
use futures_util::future::join;
use futures_util::poll;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use uuid::Uuid;

/// The most of a question and of an answer that is kept, in bytes: a message of the queue has a limit.
const MAX_INPUT: usize = 24_000;
const MAX_OUTPUT: usize = 48_000;
/// The most that a call can be written down to cost, in millionths of a dollar: `processed_tasks.cost_usd` is
/// `numeric(10,6)`.
const MOST_COST: i64 = 9_999_999_999;

/// What became of a call, for those who have to know.
pub struct Closing {
    granted: Granted,
    settle: SettleCall,
    record: Option<Record>,
    lent: Option<(Box<Lent>, Used)>,
}

/// What a key did.
#[derive(Debug, Clone, Default)]
struct Used {
    failure: Option<Failure>,
    given_up: bool,
    usage: Option<Usage>,
    latency_ms: i64,
    cost_micro: Option<i64>,
}

/// How a call ended.
pub(super) enum End<'a> {
    /// With an answer.
    Answered(&'a Answer),
    /// Nobody waits any more: what had come until then.
    Gone(SoFar<'a>),
    /// Without an answer.
    Failed(&'a Error),
    /// With an error after some content had been shown.
    Broken {
        error: &'a Error,
        failure: &'a Failure,
        so_far: SoFar<'a>,
    },
}

/// What is known of a call when it ends.
pub(super) struct Facts<'a> {
    pub ask: &'a Ask,
    pub call: Uuid,
    pub granted: &'a Granted,
    /// When it began, in Unix milliseconds.
    pub started: i64,
    pub attempts: &'a [Attempt],
    /// The model that was asked last, and the key.
    pub last: Option<(Arc<Model>, Uuid)>,
    /// The key that is lent still.
    pub lent: Option<Box<Lent>>,
    /// How long its attempt took, in milliseconds.
    pub latency_ms: i64,
    /// What the question has, about.
    pub tokens: u64,
}

/// What a call cost, in millionths of a dollar.
pub(super) fn price(model: &Model, usage: Option<Usage>, at: i64) -> Option<i64> {
    let micro = cost::micro_dollars(&model.prices, usage?, at)?;
    Some(i64::try_from(micro).map_or(MOST_COST, |micro| micro.min(MOST_COST)))
}

/// Tells everybody of a call's end, and whoever asked of its answer. Where a limit is near, what the license holds for the
/// call is on its way back before the answer: whoever asks again because of it finds it there. Everything else follows
/// the answer.
pub(super) async fn around(
    host: &impl Host,
    closing: Option<Closing>,
    answer: impl Future<Output = ()>,
) {
    let Some(closing) = closing else {
        return answer.await;
    };
    let key = &closing.granted.key;
    if !closing.granted.near {
        answer.await;
        // The answer leaves before the rest, with the calls counted that it waited for.
        yielded().await;
        host.count_object_call();
        let settled = settling::along(host, key, closing.settle.clone());
        join(settled, closing.record(host)).await;
        return;
    }
    let told = [closing.settle.clone()];
    let mut settled = pin!(settling::now(host, key, &told));
    // It leaves with the first look at it.
    let is_settled = poll!(settled.as_mut()).is_ready();
    answer.await;
    yielded().await;
    host.count_object_call();
    let settled = async {
        if !is_settled {
            settled.await;
        }
    };
    join(settled, closing.record(host)).await;
}

/// Lets everything else that can go on do so.
async fn yielded() {
    let mut has_yielded = false;
    poll_fn(|context| match std::mem::replace(&mut has_yielded, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

impl Closing {
    /// A call that reached nobody.
    pub(super) fn given_back(granted: Granted, call: Uuid, lent: Option<Box<Lent>>) -> Self {
        let used = Used {
            given_up: true,
            ..Used::default()
        };
        Self {
            granted,
            settle: SettleCall {
                id: call,
                settle: Settle::GivenBack,
            },
            record: None,
            lent: lent.map(|lent| (lent, used)),
        }
    }

    /// A call that reached somebody.
    pub(super) fn of(facts: Facts<'_>, end: &End<'_>) -> Self {
        let failed = matches!(end, End::Failed(_));
        let task = facts.ask.task;
        // A task is tried again: until its end nothing of it counts.
        if failed && (facts.attempts.is_empty() || task.is_some_and(|task: TaskRef| !task.last)) {
            return Self::given_back(facts.granted.clone(), facts.call, facts.lent);
        }
        let (usage, estimated) = match end {
            End::Answered(answer) => (answer.usage, false),
            End::Gone(so_far) | End::Broken { so_far, .. } => usage_until(so_far, facts.tokens),
            End::Failed(_) => (None, false),
        };
        let cost_micro = facts
            .last
            .as_ref()
            .and_then(|(model, _)| price(model, usage, facts.started));
        let ended = Ended {
            at: clock::now_ms(),
            completed: matches!(end, End::Answered(_)),
            counts: !failed,
            error_code: match end {
                End::Answered(_) => None,
                End::Gone(_) => Some("CLIENT_GONE".to_owned()),
                End::Failed(error) | End::Broken { error, .. } => {
                    Some(error.code.as_str().to_owned())
                }
            },
            tokens_input: usage.map(|usage| usage.input),
            tokens_output: usage.map(|usage| usage.output),
            cost_micro,
            model_id: facts.last.as_ref().map(|(model, _)| model.id),
            pool_key_id: facts.last.as_ref().map(|(_, key)| *key),
        };
        let used = Used {
            failure: match end {
                End::Broken { failure, .. } => Some((*failure).clone()),
                _ => None,
            },
            given_up: matches!(end, End::Gone(_) | End::Failed(_)),
            usage,
            latency_ms: facts.latency_ms,
            cost_micro,
        };
        let more = more(&facts, end, usage, estimated);
        Self {
            settle: SettleCall {
                id: facts.call,
                settle: Settle::Ended(ended.clone()),
            },
            record: Some(Record {
                license_id: facts.granted.id,
                organization_id: facts.granted.organization,
                call: facts.ask.meta(facts.call),
                started_at: facts.started,
                ended,
                more: to_raw_value(&more).ok(),
            }),
            granted: facts.granted.clone(),
            lent: facts.lent.map(|lent| (lent, used)),
        }
    }

    /// Tells everybody. Whoever does not hear of it finds out alone, a little later.
    pub async fn close(&self, host: &impl Host) {
        host.count_object_call();
        let told = [self.settle.clone()];
        let settled = settling::now(host, &self.granted.key, &told);
        join(settled, self.record(host)).await;
    }

    /// Tells PostgreSQL and the key's pool.
    async fn record(&self, host: &impl Host) {
        let record = self.record.as_ref();
        if let Some(record) = record.and_then(|record| serde_json::to_string(record).ok()) {
            outgoing::send(host, record);
        }
        let Some((lent, used)) = &self.lent else {
            return;
        };
        let outcome = Outcome {
            failure: used.failure.as_ref(),
            given_up: used.given_up,
            usage: used.usage,
            latency_ms: u64::try_from(used.latency_ms).unwrap_or(0),
            cost_micros: used.cost_micro.and_then(|micro| u64::try_from(micro).ok()),
        };
        if let Err(error) = pool::settle(host, lent, &outcome).await {
            log::warn(host.name(), "a key was not given back", &error);
        }
    }
}

/// What the provider said, or about what it must have been: whoever leaves pays for what was read and written.
fn usage_until(so_far: &SoFar<'_>, tokens: u64) -> (Option<Usage>, bool) {
    let written = so_far.written;
    match so_far.usage {
        Some(usage) if usage.output >= written.div_ceil(2) => (Some(usage), false),
        said => {
            let usage = Usage {
                input: said.map_or(tokens, |usage| usage.input),
                output: written.max(said.map_or(0, |usage| usage.output)),
                ..said.unwrap_or_default()
            };
            (Some(usage), true)
        }
    }
}

/// What only the worker knows of a call.
fn more(facts: &Facts<'_>, end: &End<'_>, usage: Option<Usage>, estimated: bool) -> Value {
    let request = &facts.ask.request;
    let who = &facts.ask.who;
    let (output, tool_calls, finish) = match end {
        End::Answered(answer) => (
            answer.content.as_str(),
            answer.tool_calls.as_slice(),
            Some(answer.finish),
        ),
        End::Gone(so_far) | End::Broken { so_far, .. } => (so_far.content, so_far.tool_calls, None),
        End::Failed(_) => ("", [].as_slice(), None),
    };
    let whole_json = match (request.how.format(), output.len() <= MAX_OUTPUT) {
        (Format::Json | Format::Schema { .. }, true) => serde_json::from_str(output).ok(),
        _ => None,
    };
    let output_json: Option<Value> = match tool_calls {
        [] => whole_json.filter(|json: &Value| !json.to_string().contains("\\u0000")),
        calls => Some(json!({ "tool_calls": calls })).filter(|json| {
            json.to_string().len() <= MAX_OUTPUT && !json.to_string().contains("\\u0000")
        }),
    };
    let ai_ms: i64 = facts.attempts.iter().map(|attempt| attempt.ms).sum();
    json!({
        "input_text": clip_bytes(&question(facts.ask), MAX_INPUT),
        "output_raw": clip_bytes(output, MAX_OUTPUT),
        "output_json": output_json,
        "error_message": match end {
            End::Failed(error) | End::Broken { error, .. } =>
                Some(error.code.message(crate::language::Language::En)),
            _ => None,
        },
        "retries": facts.attempts.len().saturating_sub(1),
        "ai_ms": ai_ms,
        "user_agent": who.user_agent.as_deref().map(|agent| clip_bytes(agent, 500)),
        "ip": who.ip,
        "metadata": {
            "provider": facts.last.as_ref().map(|(model, _)| model.provider),
            "model": facts.last.as_ref().map(|(model, _)| &model.model_id),
            "attempts": facts.attempts, "usage": usage, "usage_estimated": estimated, "finish_reason": finish,
        },
    })
}

/// What was asked, as a text to read.
fn question(ask: &Ask) -> String {
    let images = |content: &Content| match content.images().count() {
        0 => String::new(),
        some => format!(" [{some} images]"),
    };
    let text = |content: &Content| content.to_text() + &images(content);
    match ask.request.messages.as_slice() {
        [only] => text(&only.content),
        all => {
            let lines = all.iter().map(|message| {
                let role = serde_json::to_value(message.role).unwrap_or_default();
                let role = role.as_str().unwrap_or_default().to_owned();
                format!("{role}: {}", text(&message.content))
            });
            lines.collect::<Vec<_>>().join("\n\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_pays_for_what_was_read_and_written() {
        let said = |input, output| {
            Some(Usage {
                input,
                output,
                ..Usage::default()
            })
        };
        // Nothing was said and nothing had come: the question was read, as far as anybody can count it.
        let until = |usage, written| {
            let so_far = SoFar {
                usage,
                written,
                ..SoFar::default()
            };
            usage_until(&so_far, 40)
        };
        assert_eq!(until(None, 0), (said(40, 0), true));
        assert_eq!(until(None, 3), (said(40, 3), true));
        // What the provider said stands, unless it is of before the text came.
        assert_eq!(until(said(30, 3), 3), (said(30, 3), false));
        assert_eq!(until(said(30, 1), 3), (said(30, 3), true));
    }
}
