//! What of an answer has come until now, the same for a whole one and for a stream.

use super::{Event, Head, MAX_ANSWER_BYTES, bounded_id};
use crate::ai::chat::{
    Answer, Finish, FunctionCall, FunctionType, MAX_TOOLS, Replay, ToolCall, Usage, quarters,
};
use crate::ai::failure::{Class, Failure, code};
use crate::ai::provider::Provider;

#[derive(Debug)]
pub(super) struct Collected {
    pub provider: Provider,
    pub content: String,
    refusal: String,
    calls: Vec<ToolCall>,
    finish: Option<Finish>,
    pub usage: Option<Usage>,
    pub request_id: Option<String>,
    pub replay: Option<Replay>,
    /// Bytes of everything that is kept.
    size: usize,
    /// Quarters of tokens that were written, about: text, refusal, calls and thoughts.
    quarters: u64,
    /// What a stream passes on; of a whole answer nobody looks.
    pub events: Vec<Event>,
}

impl Collected {
    pub(super) fn new(provider: Provider) -> Self {
        Self {
            provider,
            content: String::new(),
            refusal: String::new(),
            calls: Vec::new(),
            finish: None,
            usage: None,
            request_id: None,
            replay: None,
            size: 0,
            quarters: 0,
            events: Vec::new(),
        }
    }

    /// Counts what is about to be kept.
    ///
    /// # Errors
    /// It is too much.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        self.size = self.size.saturating_add(bytes);
        match self.size <= MAX_ANSWER_BYTES {
            true => Ok(()),
            false => Err(Failure::too_large()),
        }
    }

    /// What the model wrote; what it thought is paid for like what it says.
    pub(super) fn wrote(&mut self, text: &str) -> Result<(), Failure> {
        self.quarters += quarters(text);
        self.grow(text.len())
    }

    /// About how many tokens were written until now.
    pub(super) fn written(&self) -> u64 {
        self.quarters.div_ceil(4)
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.wrote(text)?;
        self.content.push_str(text);
        if !text.is_empty() {
            self.events.push(Event::Text(text.to_owned()));
        }
        Ok(())
    }

    pub(super) fn refusal(&mut self, text: &str) -> Result<(), Failure> {
        self.wrote(text)?;
        self.refusal.push_str(text);
        if !text.is_empty() {
            self.events.push(Event::Refusal(text.to_owned()));
        }
        Ok(())
    }

    /// How many calls there are.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// The calls.
    pub(super) fn tool_calls(&self) -> &[ToolCall] {
        &self.calls
    }

    /// The next call begins. Without an id it is given one.
    pub(super) fn call(
        &mut self,
        id: Option<&str>,
        name: &str,
        arguments: &str,
    ) -> Result<(), Failure> {
        let index = self.calls.len();
        if index >= MAX_TOOLS || name.is_empty() {
            return Err(Failure::invalid_answer());
        }
        let made = || match &self.request_id {
            Some(request) => format!("call_{request}_{index}"),
            None => format!("call_{index}"),
        };
        let id = id
            .filter(|it| !it.is_empty())
            .map_or_else(made, str::to_owned);
        self.grow(id.len())?;
        self.wrote(name)?;
        self.wrote(arguments)?;
        self.events.push(Event::ToolCall {
            index: index as u32,
            id: Some(id.clone()),
            name: Some(name.to_owned()),
            arguments: arguments.to_owned(),
        });
        self.calls.push(ToolCall {
            id,
            kind: FunctionType::Function,
            function: FunctionCall {
                name: name.to_owned(),
                arguments: arguments.to_owned(),
            },
        });
        Ok(())
    }

    /// The id of the newest call.
    pub(super) fn last_call_id(&self) -> Option<&str> {
        self.calls.last().map(|it| it.id.as_str())
    }

    /// More of a call's arguments.
    pub(super) fn arguments(&mut self, index: usize, more: &str) -> Result<(), Failure> {
        self.wrote(more)?;
        let call = self
            .calls
            .get_mut(index)
            .ok_or_else(Failure::invalid_answer)?;
        call.function.arguments.push_str(more);
        if !more.is_empty() {
            self.events.push(Event::ToolCall {
                index: index as u32,
                id: None,
                name: None,
                arguments: more.to_owned(),
            });
        }
        Ok(())
    }

    /// Whether a call has arguments yet.
    pub(super) fn has_arguments(&self, index: usize) -> bool {
        self.calls
            .get(index)
            .is_some_and(|it| !it.function.arguments.is_empty())
    }

    pub(super) fn id(&mut self, id: Option<&str>) {
        if self.request_id.is_none() {
            self.request_id = id.and_then(bounded_id);
        }
    }

    pub(super) fn used(&mut self, usage: Usage) {
        if self.usage != Some(usage) {
            self.usage = Some(usage);
            self.events.push(Event::Usage(usage));
        }
    }

    /// It is finished. Some providers say `stop` where functions are to be called.
    pub(super) fn finished(&mut self, finish: Finish) {
        let finish = match finish {
            Finish::Stop if !self.calls.is_empty() => Finish::ToolCalls,
            other => other,
        };
        if self.finish.is_none() {
            self.finish = Some(finish);
            self.events.push(Event::Finish(finish));
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// All of it, which is no longer here then. What is no answer stays.
    ///
    /// # Errors
    /// It is not finished, or is nothing where something must be.
    pub(super) fn answer(&mut self, head: &Head) -> Result<Answer, Failure> {
        let finish = self
            .finish
            .ok_or_else(|| Failure::new(Class::Fault, code::CUT))?;
        let nothing =
            self.content.trim().is_empty() && self.refusal.is_empty() && self.calls.is_empty();
        // DeepSeek's JSON mode may give nothing but spaces.
        if nothing && finish == Finish::Stop && self.provider == Provider::DeepSeek {
            return Err(Failure::new(Class::Fault, code::EMPTY));
        }
        let found = std::mem::replace(self, Self::new(self.provider));
        Ok(Answer {
            content: found.content,
            refusal: Some(found.refusal).filter(|it| !it.is_empty()),
            tool_calls: found.calls,
            finish,
            usage: found.usage,
            provider_request_id: head.request_id().or(found.request_id),
            replay: found.replay,
        })
    }
}
