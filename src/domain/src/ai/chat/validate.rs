//! What may be asked at all.

use serde_json::Value;

use super::{ChatRequest, Content, Format, ImageUrl, Message, Part, Role, ToolChoice, ToolMode};
use crate::ai::provider::Provider;
use crate::egress;

/// Messages in a conversation.
const MAX_MESSAGES: usize = 1_000;
/// Functions that a model may be told of, and that it may ask for at once.
pub const MAX_TOOLS: usize = 128;
/// Images in a conversation.
const MAX_IMAGES: usize = 20;
/// Texts at which an answer ends.
const MAX_STOPS: usize = 4;
/// The longest of these, in bytes.
const MAX_STOP: usize = 500;
/// The longest name of a function, a schema or a speaker.
const MAX_NAME: usize = 64;
/// The longest id of a call, in bytes.
const MAX_CALL_ID: usize = 256;
/// The media types that every provider that takes images takes.
pub const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// The longest URL of an image, in bytes: those that are signed are long.
const MAX_IMAGE_URL: usize = 4_096;
/// How long to think.
const EFFORTS: [&str; 6] = ["none", "minimal", "low", "medium", "high", "xhigh"];

/// A field that cannot be as it is, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field's path: `messages[2].role`.
    pub field: String,
    /// Why, for whoever programs the caller.
    pub reason: &'static str,
}

/// The problems found so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn unless(&mut self, good: bool, field: impl Into<String>, reason: &'static str) {
        if !good {
            self.0.push(Problem {
                field: field.into(),
                reason,
            });
        }
    }
}

impl ChatRequest {
    /// Whether this can be asked of anybody. `allow_private` is for local development: images may then be
    /// anywhere.
    ///
    /// # Errors
    /// Every field that is not as it must be.
    pub fn validate(&self, allow_private: bool) -> Result<(), Vec<Problem>> {
        let mut problems = Problems::default();
        self.check_messages(allow_private, &mut problems);
        self.check_numbers(&mut problems);
        self.check_tools(&mut problems);
        match problems.0.is_empty() {
            true => Ok(()),
            false => Err(problems.0),
        }
    }

    fn check_messages(&self, allow_private: bool, problems: &mut Problems) {
        let count = self.messages.len();
        problems.unless(count > 0, "messages", "must not be empty");
        problems.unless(count <= MAX_MESSAGES, "messages", "too many messages");
        if count == 0 || count > MAX_MESSAGES {
            return;
        }
        let speaks = self.messages.iter().any(|it| !it.role.is_system());
        problems.unless(
            speaks,
            "messages",
            "needs a message that is not the system's",
        );
        let images: usize = self
            .messages
            .iter()
            .map(|it| it.content.images().count())
            .sum();
        problems.unless(images <= MAX_IMAGES, "messages", "too many images");
        // The calls whose results are still to come, and where they stand.
        let (mut open, mut asked_at): (Vec<&str>, usize) = (Vec::new(), 0);
        for (at, message) in self.messages.iter().enumerate() {
            let field = |name: &str| format!("messages[{at}].{name}");
            check_message(message, &field, problems);
            check_images(message, allow_private, &field, problems);
            if let (Role::Tool, Some(id)) = (message.role, &message.tool_call_id) {
                let known = open.iter().position(|it| it == id);
                problems.unless(
                    known.is_some(),
                    field("tool_call_id"),
                    "names no call of the message before that waits for a result",
                );
                known.map(|place| open.swap_remove(place));
                continue;
            }
            if message.role != Role::Tool {
                problems.unless(
                    open.is_empty(),
                    format!("messages[{asked_at}].tool_calls"),
                    "a call has no result",
                );
                open = message.tool_calls.iter().map(|it| it.id.as_str()).collect();
                asked_at = at;
            }
        }
        problems.unless(
            open.is_empty(),
            format!("messages[{asked_at}].tool_calls"),
            "a call has no result",
        );
    }

    fn check_numbers(&self, problems: &mut Problems) {
        let within = |value: Option<f64>, most: f64| {
            value.is_none_or(|it| it.is_finite() && (0.0..=most).contains(&it))
        };
        problems.unless(
            within(self.how.temperature, 2.0),
            "temperature",
            "must be from 0 to 2",
        );
        problems.unless(within(self.how.top_p, 1.0), "top_p", "must be from 0 to 1");
        problems.unless(
            self.how.max_tokens != Some(0),
            "max_tokens",
            "must be at least 1",
        );
        let stops = self.how.stop.len() <= MAX_STOPS
            && self
                .how
                .stop
                .iter()
                .all(|it| (1..=MAX_STOP).contains(&it.len()));
        problems.unless(
            stops,
            "stop",
            "up to 4 texts, none of them empty or longer than 500 bytes",
        );
        let effort = self.how.reasoning_effort.as_deref();
        problems.unless(
            effort.is_none_or(|it| EFFORTS.contains(&it)),
            "reasoning_effort",
            "must be none, minimal, low, medium, high or xhigh",
        );
    }

    fn check_tools(&self, problems: &mut Problems) {
        problems.unless(
            self.how.tools.len() <= MAX_TOOLS,
            "tools",
            "too many functions",
        );
        for (at, tool) in self.how.tools.iter().enumerate().take(MAX_TOOLS) {
            let function = &tool.function;
            let field = |name: &str| format!("tools[{at}].function.{name}");
            problems.unless(is_name(&function.name), field("name"), NAME);
            let twice = self.how.tools[..at]
                .iter()
                .any(|it| it.function.name == function.name);
            problems.unless(
                !twice,
                field("name"),
                "there is another function of this name",
            );
            let parameters = function.parameters.as_ref();
            problems.unless(
                parameters.is_none_or(Value::is_object),
                field("parameters"),
                "must be a JSON schema of an object",
            );
        }
        let choice = match &self.how.tool_choice {
            None | Some(ToolChoice::Mode(ToolMode::Auto | ToolMode::None)) => true,
            Some(ToolChoice::Mode(ToolMode::Required)) => !self.how.tools.is_empty(),
            Some(ToolChoice::Named { function, .. }) => self
                .how
                .tools
                .iter()
                .any(|it| it.function.name == function.name),
        };
        problems.unless(choice, "tool_choice", "there is no such function in tools");
        if let Format::Schema { json_schema } = self.how.format() {
            let field = |name: &str| format!("response_format.json_schema.{name}");
            problems.unless(is_name(&json_schema.name), field("name"), NAME);
            problems.unless(
                json_schema.schema.is_object(),
                field("schema"),
                "must be a JSON schema",
            );
        }
    }

    /// About how many tokens the question is, before anybody counted.
    #[must_use]
    pub fn estimate_tokens(&self) -> u64 {
        let messages: u64 = self.messages.iter().map(tokens_of_message).sum();
        let tools = self.how.tools.iter().map(|tool| {
            let function = &tool.function;
            let text = |it: &Option<String>| it.as_deref().map_or(0, estimate_text);
            let parameters = function.parameters.as_ref().map_or(0, estimate_json);
            8 + estimate_text(&function.name) + text(&function.description) + parameters
        });
        let schema = match self.how.format() {
            Format::Schema { json_schema } => 8 + estimate_json(&json_schema.schema),
            _ => 0,
        };
        messages + tools.sum::<u64>() + schema + 2
    }

    /// The images that must be fetched before this provider is asked: those that are named by a URL, where only
    /// images themselves are taken.
    #[must_use]
    pub fn image_urls(&self, provider: Provider) -> Vec<&str> {
        let by_url = |image: &&ImageUrl| image.data().is_none();
        match provider {
            Provider::Gemini | Provider::Local => self
                .messages
                .iter()
                .flat_map(|message| message.content.images())
                .filter(by_url)
                .map(|image| image.url.as_str())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Puts a fetched image in the place of its URL.
    pub fn inline_image(&mut self, url: &str, media_type: &str, base64: &str) {
        for message in &mut self.messages {
            let Content::Parts(parts) = &mut message.content else {
                continue;
            };
            for part in parts {
                match part {
                    Part::ImageUrl { image_url } if image_url.url == url => {
                        image_url.url = format!("data:{media_type};base64,{base64}");
                    }
                    _ => {}
                }
            }
        }
    }
}

const NAME: &str = "1 to 64 letters, digits, _ or -";

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(allowed)
}

fn check_message(message: &Message, field: &dyn Fn(&str) -> String, problems: &mut Problems) {
    let (role, content) = (message.role, &message.content);
    let said = match role {
        Role::Assistant => {
            !content.is_empty() || !message.tool_calls.is_empty() || message.refusal.is_some()
        }
        // A function may well have nothing to say.
        Role::Tool => *content != Content::None,
        _ => !content.is_empty(),
    };
    problems.unless(said, field("content"), "must not be empty");
    let calls = &message.tool_calls;
    problems.unless(
        calls.is_empty() || role == Role::Assistant,
        field("tool_calls"),
        "only messages of the assistant have calls",
    );
    problems.unless(
        calls.len() <= MAX_TOOLS,
        field("tool_calls"),
        "too many calls",
    );
    for (at, call) in calls.iter().enumerate().take(MAX_TOOLS) {
        let inner = |name: &str| field(&format!("tool_calls[{at}].{name}"));
        let id = (1..=MAX_CALL_ID).contains(&call.id.len());
        problems.unless(id, inner("id"), "must be 1 to 256 bytes");
        let twice = calls[..at].iter().any(|it| it.id == call.id);
        problems.unless(!twice, inner("id"), "there is another call of this id");
        problems.unless(is_name(&call.function.name), inner("function.name"), NAME);
    }
    problems.unless(
        message.tool_call_id.is_some() == (role == Role::Tool),
        field("tool_call_id"),
        "messages of a tool have it, and no others",
    );
    let name = message.name.as_deref();
    problems.unless(name.is_none_or(is_name), field("name"), NAME);
    let parts: &[Part] = match content {
        Content::Parts(parts) => parts,
        _ => &[],
    };
    for (at, part) in parts.iter().enumerate() {
        let inner = |name: &str| field(&format!("content[{at}].{name}"));
        match part {
            Part::Text { text } => {
                problems.unless(!text.is_empty(), inner("text"), "must not be empty")
            }
            Part::Refusal { .. } => problems.unless(
                role == Role::Assistant,
                inner("type"),
                "only the assistant refuses",
            ),
            Part::ImageUrl { .. } => {
                problems.unless(role == Role::User, inner("type"), "only users send images");
            }
        }
    }
}

fn check_images(
    message: &Message,
    allow_private: bool,
    field: &dyn Fn(&str) -> String,
    problems: &mut Problems,
) {
    let Content::Parts(parts) = &message.content else {
        return;
    };
    for (at, part) in parts.iter().enumerate() {
        if let Part::ImageUrl { image_url } = part {
            problems.unless(
                is_image(image_url, allow_private),
                field(&format!("content[{at}].image_url.url")),
                "must be a public https:// URL or data:image/…;base64,… of a JPEG, PNG, GIF or WebP image",
            );
        }
    }
}

fn is_image(image: &ImageUrl, allow_private: bool) -> bool {
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    match image.data() {
        Some((media_type, data)) => {
            IMAGES.contains(&media_type) && !data.is_empty() && data.bytes().all(base64)
        }
        None => egress::check_up_to(&image.url, MAX_IMAGE_URL, allow_private).is_ok(),
    }
}

/// What a message is beside its text.
const TOKENS_OF_A_MESSAGE: u64 = 4;
/// What an image is, whatever its size.
const TOKENS_OF_AN_IMAGE: u64 = 1_000;

fn tokens_of_message(message: &Message) -> u64 {
    let content = match &message.content {
        Content::None => 0,
        Content::Text(text) => estimate_text(text),
        Content::Parts(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text { text } | Part::Refusal { refusal: text } => estimate_text(text),
                Part::ImageUrl { .. } => TOKENS_OF_AN_IMAGE,
            })
            .sum(),
    };
    let calls = message.tool_calls.iter().map(|call| {
        8 + estimate_text(&call.function.name) + estimate_text(&call.function.arguments)
    });
    TOKENS_OF_A_MESSAGE + content + calls.sum::<u64>()
}

/// About how many tokens a text is: four letters of English are one, so are two signs of punctuation, two
/// letters with an accent or of Greek or Cyrillic, and a little more than one Chinese character.
#[must_use]
pub fn estimate_text(text: &str) -> u64 {
    quarters(text).div_ceil(4)
}

/// The same in quarters of a token, which add up piece by piece.
pub(crate) fn quarters(text: &str) -> u64 {
    text.chars()
        .map(|char| match char {
            ' ' | 'a'..='z' | 'A'..='Z' | '0'..='9' => 1,
            '\0'..='\u{7ff}' => 2,
            '\u{800}'..='\u{ffff}' => 3,
            _ => 8,
        })
        .sum()
}

fn estimate_json(value: &Value) -> u64 {
    estimate_text(&value.to_string())
}
