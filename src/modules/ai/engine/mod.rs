//! One question to whichever provider is well: within one deadline, at the exact cost, and within what the
//! license allows.
//!
//! The license is reserved while the first key is, so that a call costs three calls to objects and no statement before
//! its answer: the caller's, the license's and the pool's. What became of it is told behind the answer.

mod attempt;
mod choice;
mod closing;
mod images;
pub mod license;
mod outcome;
mod outgoing;
mod run;
mod settling;
mod stream;

pub use closing::Closing;
pub use outcome::{Attempt, Completion, Failed};
pub use stream::{Piece, Streaming};

use crate::call::Call;
use crate::config::Config;
use crate::db::{Background, Database};
use crate::error::Error;
use crate::modules::ai::host::Host;
use crate::modules::ai::models::Catalogue;
use crate::platform::clock;
use celaest_domain::ai::chat::ChatRequest;
use celaest_domain::ai::provider::Provider;
use celaest_durable::license::CallMeta;
use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use std::rc::Rc;
use uuid::Uuid;
use worker::Env;

/// All attempts of a call together, unless the caller says otherwise.
pub const DEADLINE_MS: u32 = 30_000;
/// The first content of a stream, and each next one, unless the caller says otherwise.
pub const SILENCE_MS: u32 = 20_000;
/// Attempts after a provider's own failure, unless the caller says otherwise.
pub const RETRIES: u8 = 2;

/// Ends when nobody waits for the answer any more.
pub type Gone = Shared<LocalBoxFuture<'static, ()>>;

/// On whose behalf something is asked.
#[derive(Debug, Clone, Default)]
pub struct Who {
    /// The organization; none for one who sees all.
    pub organization: Option<Uuid>,
    /// The person.
    pub user: Uuid,
    /// Set for those who may use only their own licenses.
    pub owner: Option<Uuid>,
    /// Their API key.
    pub key: Option<CallerKey>,
    /// The license that they use unless they name one, where it is known already.
    pub license: Option<license::License>,
    /// The request, as the log names it.
    pub request_id: String,
    /// Where it came from.
    pub ip: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
}

/// One of our API keys that a call is made with.
#[derive(Debug, Clone, Copy)]
pub struct CallerKey {
    /// Which one.
    pub id: Uuid,
    /// What it may spend in a period of a license, in millionths of a dollar.
    pub budget_micro: Option<i64>,
    /// The key whose spending it goes on with.
    pub account: Option<Uuid>,
}

/// A task that a call is made for. It has a row of its own, which whoever runs it keeps.
#[derive(Debug, Clone, Copy)]
pub struct TaskRef {
    /// The task.
    pub id: Uuid,
    /// It will not be tried again: a failure counts as the end of the call.
    pub last: bool,
}

/// A question with everything that decides how it is asked.
pub struct Ask {
    /// On whose behalf.
    pub who: Who,
    /// The license that is used; the organization's default one where none is named.
    pub license: Option<Uuid>,
    /// The question, and the model that is named in it: its id, name or alias. The default by priority where none is.
    pub request: ChatRequest,
    /// The model that is asked first where none is named, if it is there.
    pub preferred: Option<Uuid>,
    /// Only models of this provider.
    pub provider: Option<Provider>,
    /// The version of a prompt that the question was made with.
    pub prompt: Option<Uuid>,
    /// Whether another model may answer in the place of the first.
    pub fallback: bool,
    /// Attempts after a provider's own failure.
    pub retries: u8,
    /// All attempts together, in milliseconds; of a stream, until its first content.
    pub deadline_ms: u32,
    /// How long a stream may be silent before its first content, in milliseconds.
    pub first_token_ms: u32,
    /// The same between two pieces.
    pub between_tokens_ms: u32,
    /// What kind of call: `chat`, `completion`, `process`, `task`.
    pub kind: &'static str,
    /// The task it is made for.
    pub task: Option<TaskRef>,
    /// The call's id, a UUID of version 7; drawn where none is given.
    pub call: Option<Uuid>,
    /// Ends when nobody waits any more.
    pub gone: Option<Gone>,
}

impl Ask {
    /// A question with the usual bounds.
    pub fn new(who: Who, request: ChatRequest, kind: &'static str) -> Self {
        Self {
            who,
            license: None,
            request,
            preferred: None,
            provider: None,
            prompt: None,
            fallback: true,
            retries: RETRIES,
            deadline_ms: DEADLINE_MS,
            first_token_ms: SILENCE_MS,
            between_tokens_ms: SILENCE_MS,
            kind,
            task: None,
            call: None,
            gone: None,
        }
    }

    /// What is kept of the call when it begins.
    fn meta(&self, call: Uuid) -> CallMeta {
        let key = self.who.key;
        CallMeta {
            id: call,
            user_id: self.who.user,
            caller_key_id: key.map(|key| key.id),
            account_id: key.and_then(|key| key.account.filter(|account| *account != key.id)),
            kind: self.kind.to_owned(),
            task_id: self.task.map(|task| task.id),
            prompt_id: self.prompt,
            request_id: self.who.request_id.chars().take(100).collect(),
        }
    }
}

/// Whether a question could be asked now, as far as that is known before its license and a key are: for one that is
/// asked later. `path` stands before what is wrong with its messages. Returns what it may cost, in millionths of a dollar.
///
/// # Errors
/// Why not, as whoever asks at once is told.
pub fn judge(host: &impl Host, catalogue: &Catalogue, ask: &Ask, path: &str) -> Result<i64, Error> {
    let tokens = ask.request.estimate_tokens();
    choice::checked(ask, host.config()?.webhook_allow_private)
        .and_then(|()| choice::models(catalogue, ask, tokens, false))
        .map(|models| run::held(&models[0], ask, tokens, clock::now_ms()))
        .map_err(|error| choice::within(path, error))
}

/// Asks, and tells the license and the pool what became of it before it returns: for work that nobody waits for.
///
/// # Errors
/// Why there is no answer.
pub async fn complete<H: Host>(host: &H, ask: Ask) -> Result<Completion, Failed> {
    let (outcome, closing) = run::whole(host, ask).await;
    if let Some(closing) = closing {
        closing.close(host).await;
    }
    outcome
}

/// Asks for a request, which is answered before anybody else is told. Whoever asked may leave: the provider's call
/// ends then, and what it used is charged.
///
/// # Errors
/// Why there is no answer.
pub async fn answer(call: &Rc<Call>, mut ask: Ask) -> Result<Completion, Failed> {
    ask.gone = Some(gone(call));
    let (tell, told) = oneshot::channel();
    let host = Beside::new(call);
    // Apart from the request, so that it comes to its end even when that does not.
    call.background(async move {
        let (outcome, closing) = run::whole(&host, ask).await;
        closing::around(&host, closing, async { drop(tell.send(outcome)) }).await;
        host.database.close();
    });
    match told.await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::internal("a call without an end").into()),
    }
}

/// Asks for an answer piece by piece. Returns once there is content to show; until then another provider can still
/// take over.
///
/// # Errors
/// Why there is no content.
pub async fn stream(call: &Rc<Call>, mut ask: Ask) -> Result<Streaming, Failed> {
    ask.gone = Some(gone(call));
    stream::open(call, ask).await
}

/// A request's engine, on a connection of its own: the request may hold a transaction open meanwhile.
struct Beside {
    call: Rc<Call>,
    database: Database,
}

impl Beside {
    fn new(call: &Rc<Call>) -> Self {
        Self {
            call: call.clone(),
            database: call.database.beside(),
        }
    }
}

impl Host for Beside {
    fn env(&self) -> &Env {
        self.call.env()
    }

    fn config(&self) -> Result<&'static Config, Error> {
        Ok(self.call.config)
    }

    fn database(&self) -> &Database {
        &self.database
    }

    fn name(&self) -> &str {
        &self.call.request_id
    }

    fn background(&self) -> Background {
        self.call.in_background()
    }

    fn count_object_call(&self) {
        self.call.count_object_call();
    }
}

fn gone(call: &Rc<Call>) -> Gone {
    let call = call.clone();
    async move { call.left().await }.boxed_local().shared()
}
