//! Who does the tasks. The queue's consumer wakes a runner and is done, so that nobody waits behind a provider that
//! hangs. A runner takes up tasks, asks, and writes down what came of it, until there are none or its time is over.
//!
//! A message says only that there is something to do, so it may come twice, or late, or not at all: what is taken up
//! is PostgreSQL's decision, and each task is one runner's alone until its time is over. One whose runner dies is
//! taken up again, under the same call, which its license knows and charges once.

use super::queries::TOPIC;
use super::turns::{self, Claimed, Messages, Settled, Turn};
use crate::db::facts::Message;
use crate::db::outbox;
use crate::error::{Code, Error, Result};
use crate::language::Language;
use crate::log;
use crate::modules::ai::engine::{self, Ask, CallerKey, Completion, Failed, TaskRef, Who};
use crate::modules::ai::prompts::active::{self, Version};
use crate::modules::ai::tasks::asking;
use crate::platform::{clock, queues, random};
use crate::run::{self, Run};
use celaest_domain::access::{Permission, Role, effective};
use celaest_domain::ai::chat::Options;
use celaest_domain::ai::task::{self, Next};
use celaest_durable::task_runner;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use uuid::Uuid;
use worker::{Delay, Env};

/// Those who do tasks: each by its number is an object. Together they have five times as many tasks under way.
const RUNNERS: u8 = 64;
/// Runners that are asked, one after the other, until one is not at work already.
const MOST_ASKED: u8 = 8;
/// After so many milliseconds one that could not work tries again.
const PAUSE_MS: i32 = 10_000;
/// Tasks that one runner has under way: the platform allows six connections to the outside, and PostgreSQL's is
/// one of them.
const AT_ONCE: usize = 5;
/// Tasks that one runner takes up at a time: each costs a handful of the platform's calls,
/// of which there are a thousand.
const MOST_TASKS: usize = 100;
/// How long it takes up tasks, in milliseconds.
const MOST_MS: i64 = 60_000;
/// How often an outcome is written again before it is given up, and the pause between: as long as the time that is
/// left of the task's, about.
const STORES: usize = 25;
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// After so many seconds somebody looks again for tasks that others held.
const HELD_S: u64 = 1;
/// Runners that are called at most for one reason.
const MOST_CALLED: usize = 8;

/// What arrives: a message of the outbox, its name, or nothing but a call.
#[derive(Deserialize)]
#[serde(untagged)]
enum Arrived {
    Message(Message),
    Named { outbox: Uuid },
    Called { topic: String },
}

/// Wakes a runner.
///
/// # Errors
/// When the database fails or no runner can be reached; the messages come again then.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    let mut messages = Vec::new();
    let mut names = Vec::new();
    for body in bodies {
        match run::of(body)? {
            Arrived::Message(message) => messages.push(message),
            Arrived::Named { outbox } => names.push(outbox),
            Arrived::Called { topic } if topic == TOPIC => {}
            Arrived::Called { topic } => {
                return Err(Error::internal(format!("no consumer for {topic}")));
            }
        }
    }
    messages.extend(outbox::named(&run.database, &names).await?);
    // What they say is in the queue of the database by now, and found there whatever becomes of this run.
    run.processed(&messages).await?;
    wake(&run.env).await
}

/// Wakes one runner. When all that are asked are at work, the last of them looks again.
async fn wake(env: &Env) -> Result<()> {
    // Without randomness it is always the same ones, which is no harm.
    let first = random::bytes::<1>().map_or(0, |[byte]| byte);
    for place in 0..MOST_ASKED {
        let name = (first.wrapping_add(place) % RUNNERS).to_string();
        let woken = task_runner::wake(env, &name).await;
        if woken.map_err(Error::unavailable)? {
            break;
        }
    }
    Ok(())
}

/// What a woken runner does. Returns after how many milliseconds it has more to do, if it has.
pub async fn work(run: &Run) -> Option<i32> {
    match drain(run).await {
        Ok(more) => more.then_some(0),
        Err(error) => {
            log::error(&run.name, "tasks wait", &error);
            Some(PAUSE_MS)
        }
    }
}

/// How many runners so many tasks are worth.
pub fn runners(tasks: usize) -> usize {
    tasks.div_ceil(MOST_TASKS / 2).min(MOST_CALLED)
}

/// Calls runners.
///
/// # Errors
/// When the queue refuses.
pub async fn call(env: &Env, runners: usize) -> Result<()> {
    let body = || json!({ "topic": TOPIC }).to_string();
    queues::send(env, "AI_TASKS", (0..runners).map(|_| body())).await
}

/// What goes on side by side.
enum Event {
    /// A turn came to its end.
    Done(Box<Settled>),
    /// Outcomes were written down, and others taken up.
    Stored(Result<Stored>),
}

struct Stored {
    /// The tasks that were taken up.
    turns: Vec<Turn>,
    /// Whether there may be others.
    more: bool,
    /// The shortest pause of those that come again, in seconds.
    wait_s: Option<u64>,
}

/// The versions of prompts that a runner has met.
type Versions = Rc<RefCell<HashMap<Uuid, Rc<Version>>>>;

/// Does tasks until there are none or its time is over; whether there may be others.
async fn drain(run: &Run) -> Result<bool> {
    let began = clock::now_ms();
    let mut working: FuturesUnordered<LocalBoxFuture<'_, Event>> = FuturesUnordered::new();
    let versions = Versions::default();
    let mut done: Vec<Settled> = Vec::new();
    let (mut under_way, mut taken_up) = (0, 0);
    let (mut storing, mut more) = (false, true);
    let mut outcome = Ok(());
    loop {
        let is_over =
            taken_up >= MOST_TASKS || clock::now_ms() - began >= MOST_MS || outcome.is_err();
        let room = match is_over {
            true => 0,
            false => (AT_ONCE - under_way).min(MOST_TASKS - taken_up),
        };
        if !storing && (!done.is_empty() || (more && room > 0)) {
            storing = true;
            let settled = std::mem::take(&mut done);
            working.push(store(run, settled, room).map(Event::Stored).boxed_local());
        }
        let Some(event) = working.next().await else {
            break;
        };
        match event {
            Event::Done(settled) => {
                under_way -= 1;
                done.push(*settled);
            }
            Event::Stored(stored) => {
                storing = false;
                let stored = match stored {
                    Ok(stored) => stored,
                    Err(error) => {
                        outcome = Err(error);
                        continue;
                    }
                };
                if let Some(wait_s) = stored.wait_s {
                    call_later(run, wait_s).await;
                }
                more = stored.more;
                under_way += stored.turns.len();
                taken_up += stored.turns.len();
                for turn in stored.turns {
                    let host = Run::new(
                        run.env.clone(),
                        run.background.clone(),
                        format!("task:{}", turn.task_id),
                    );
                    let work = turn_of(host, turn, versions.clone());
                    working.push(work.map(|done| Event::Done(Box::new(done))).boxed_local());
                }
            }
        }
        // With what ends there may be room again for the others of its license.
        more |= !done.is_empty();
    }
    outcome.map(|()| more)
}

/// Calls a runner for what comes again by itself. If nobody hears it, the job of the minute finds it.
async fn call_later(run: &Run, wait_s: u64) {
    let delay_s = u32::try_from(wait_s).unwrap_or(u32::MAX);
    let body = json!({ "topic": TOPIC }).to_string();
    if let Err(error) = queues::send_later(&run.env, "AI_TASKS", body, delay_s).await {
        log::warn(
            &run.name,
            "nobody is called for a task that comes again",
            &error,
        );
    }
}

/// Writes outcomes down, and takes up as many tasks as there is room for.
async fn store(run: &Run, settled: Vec<Settled>, room: usize) -> Result<Stored> {
    let wait_s = settled.iter().filter_map(|one| one.wait_s).min();
    if !settled.is_empty() {
        settle(run, &settled).await?;
    }
    if room == 0 {
        return Ok(Stored {
            turns: Vec::new(),
            more: true,
            wait_s,
        });
    }
    let claimed: Claimed = run.begin().only_value(turns::claim(room)).await?;
    let held_s = claimed.passed_over.then_some(HELD_S);
    Ok(Stored {
        more: !claimed.turns.is_empty(),
        turns: claimed.turns,
        wait_s: wait_s.into_iter().chain(held_s).min(),
    })
}

/// Writes outcomes down, each on its own where PostgreSQL does not take them together: one that it does not take at
/// all has failed.
///
/// # Errors
/// When PostgreSQL is away for longer than a task's time: the tasks are taken up again then.
pub async fn settle(run: &Run, settled: &[Settled]) -> Result<()> {
    let error = match write(run, settled).await {
        Err(error) if error.code != Code::Unavailable => error,
        outcome => return outcome,
    };
    log::error(&run.name, "outcomes were not taken", &error);
    for one in settled {
        let alone = match settled.len() {
            1 => Err(error.clone()),
            _ => write(run, std::slice::from_ref(one)).await,
        };
        if alone.is_err() {
            write(run, &[one.without_answer()]).await?;
        }
    }
    Ok(())
}

/// Writes outcomes down. They cost something: PostgreSQL may be away for a while.
async fn write(run: &Run, settled: &[Settled]) -> Result<()> {
    let mut stores = 0;
    let messages: Messages = loop {
        match run.begin().only_value(turns::settle(settled)).await {
            Ok(messages) => break messages,
            Err(error) if stores < STORES && error.code == Code::Unavailable => {
                stores += 1;
                Delay::from(STORE_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    };
    if let Err(error) = outbox::publish(&run.env, &run.database, &messages).await {
        // Not lost: the sweep finds the rows unsent.
        log::warn(&run.name, "outbox messages left for the sweep", &error);
    }
    Ok(())
}

/// One turn of a task, whatever becomes of it.
async fn turn_of(host: Run, turn: Turn, versions: Versions) -> Settled {
    let settled = Settled {
        task_id: turn.task_id,
        lease: turn.lease,
        ..Settled::default()
    };
    let attempts = turn.attempts;
    let wants_json = !options(&turn).format().is_text();
    let asked = match ask(&host, turn, &versions).await {
        Ok(ask) => engine::complete(&host, ask).await,
        Err(error) => Err(Failed::refused(error)),
    };
    host.database.close();
    match asked {
        Ok(completion) => completed(settled, completion, wants_json),
        Err(failed) => failed_turn(settled, failed, attempts),
    }
}

fn options(turn: &Turn) -> &Options {
    turn.common
        .as_ref()
        .map_or(&turn.request.options, |common| &common.options)
}

/// What a task asks.
async fn ask(host: &Run, turn: Turn, versions: &Versions) -> Result<Ask> {
    may_ask(&turn)?;
    let version = match turn.prompt_id {
        None => None,
        Some(id) => Some(version(host, &turn, id, versions).await?),
    };
    let version = version.as_deref();
    let who = Who {
        organization: Some(turn.organization_id),
        user: turn.user_id,
        owner: turn.own_only.then_some(turn.user_id),
        key: turn.caller_key.map(|key| CallerKey {
            id: key.id,
            budget_micro: key.budget_micro,
            account: key.account,
        }),
        request_id: turn.request_id.unwrap_or_default(),
        ip: turn.ip,
        user_agent: turn.user_agent,
        ..Who::default()
    };
    Ok(Ask {
        license: Some(turn.license_id),
        task: Some(TaskRef {
            id: turn.task_id,
            last: turn.attempts >= turns::MOST_ATTEMPTS,
        }),
        call: Some(turn.call_id),
        ..asking::stored(who, turn.request, turn.common, turn.input_text, version)?
    })
}

/// Whoever handed it in may still ask.
fn may_ask(turn: &Turn) -> Result<()> {
    if turn.caller_key.is_some_and(|key| !key.works) {
        return Err(Code::InvalidApiKey.into());
    }
    let scopes = turn.scopes.as_deref().unwrap_or_default();
    let may = Role::parse(&turn.role)
        .is_some_and(|role| effective::<_, &str>(role, scopes, None).has(Permission::AiUse));
    match turn.is_welcome && may {
        true => Ok(()),
        false => Err(Code::Forbidden.into()),
    }
}

async fn version(host: &Run, turn: &Turn, id: Uuid, known: &Versions) -> Result<Rc<Version>> {
    let remembered = known.borrow().get(&id).cloned();
    if let Some(version) = remembered {
        return Ok(version);
    }
    let mut tx = host.begin();
    let version = active::handed_in(&mut tx, turn.organization_id, id).await?;
    tx.commit().await?;
    let version = Rc::new(version);
    known.borrow_mut().insert(id, version.clone());
    Ok(version)
}

fn completed(settled: Settled, done: Completion, wants_json: bool) -> Settled {
    let answer = done.answer;
    let usage = answer.usage.unwrap_or_default();
    let mut outcome = Map::new();
    let mut put = |name: &str, value: Value| {
        if !matches!(&value, Value::Null) && value != json!([]) {
            outcome.insert(name.to_owned(), value);
        }
    };
    put("provider", json!(done.provider));
    put("model", json!(done.model));
    put("finish_reason", json!(answer.finish.as_str()));
    put("refusal", json!(answer.refusal));
    put("tool_calls", json!(answer.tool_calls));
    put("usage", json!(answer.usage));
    put("attempts", json!(done.attempts));
    put("overhead_ms", json!(done.overhead_ms));
    put("replay", json!(answer.replay));
    Settled {
        status: "completed",
        output_json: wants_json
            .then(|| serde_json::from_str(&answer.content).ok())
            .flatten(),
        output_raw: Some(answer.content),
        outcome,
        tokens_input: usage.input,
        tokens_output: usage.output,
        cost_micro: done.cost_micro,
        model_id: Some(done.model_id),
        pool_key: Some(done.pool_key),
        ai_ms: Some(done.ai_ms),
        ..settled
    }
}

fn failed_turn(settled: Settled, failed: Failed, attempts: u32) -> Settled {
    let failure = task::Failure {
        attempts,
        retryable: failed.retryable,
        reached: !failed.attempts.is_empty(),
        retry_after_ms: failed.retry_after_ms,
    };
    // Without randomness they come back together, which is no harm.
    let chance =
        random::bytes::<2>().map_or(0, |bytes| u64::from(u16::from_be_bytes(bytes)) % 1_000);
    let next = task::after(failure, chance);
    let (status, wait_s, hold_s) = match next {
        Next::Fail => ("failed", None, None),
        Next::Again { wait_s } => ("retrying", Some(wait_s), None),
        Next::Later { wait_s, hold_s } => ("retrying", Some(wait_s), Some(hold_s)),
    };
    let outcome = match failed.error.details {
        Some(Value::Object(details)) => details,
        _ => Map::new(),
    };
    let ai_ms: i64 = failed.attempts.iter().map(|attempt| attempt.ms).sum();
    Settled {
        status,
        wait_s,
        hold_s,
        outcome,
        error_code: Some(failed.error.code.as_str().to_owned()),
        error_message: Some(failed.error.code.message(Language::default()).to_owned()),
        ai_ms: Some(ai_ms),
        ..settled
    }
}
