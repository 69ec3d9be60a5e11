//! The texts of e-mails, in Spanish and English. A new one is a function here and a line in [`TEMPLATES`].
//!
//! What fills them in comes from people, so everything is escaped in HTML, and line breaks never reach
//! the subject.

mod selling;

use crate::language::Language;
use serde_json::Value;

/// The longest text that is taken over, in characters.
const MAX_TEXT: usize = 300;
/// The longest link, in bytes.
const MAX_LINK: usize = 2_000;

/// An e-mail ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as a simple page.
    pub html: String,
}

/// What a text is made from.
struct Facts<'a> {
    data: &'a Value,
    dashboard: Option<&'a str>,
    language: Language,
}

impl<'a> Facts<'a> {
    /// A text of the data on one line; empty when it is not there.
    fn get(&self, name: &str) -> String {
        let text = self.data[name].as_str().unwrap_or_default();
        let words: Vec<&str> = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .collect();
        let mut line = words.join(" ");
        if let Some((end, _)) = line.char_indices().nth(MAX_TEXT) {
            line.truncate(end);
        }
        line.trim().to_owned()
    }

    /// A text, or what stands in for it.
    fn or(&self, name: &str, es: &str, en: &str) -> String {
        match self.get(name) {
            text if text.is_empty() => self.say(es, en).to_owned(),
            text => text,
        }
    }

    fn say<'t>(&self, es: &'t str, en: &'t str) -> &'t str {
        match self.language {
            Language::Es => es,
            Language::En => en,
        }
    }

    /// The link of the data, in whole; none but http(s).
    fn link(&self) -> Option<String> {
        let url = self.data["url"].as_str()?;
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        let is_one_word = !url.contains(|c: char| c.is_whitespace() || c.is_control());
        (is_web && is_one_word && url.len() <= MAX_LINK).then(|| url.to_owned())
    }

    /// A greeting by name, where there is one.
    fn greeting(&self) -> String {
        match (self.get("name"), self.language) {
            (name, _) if name.is_empty() => self.say("Hola:", "Hello,").to_owned(),
            (name, Language::Es) => format!("Hola, {name}:"),
            (name, Language::En) => format!("Hello {name},"),
        }
    }

    /// A page of the dashboard.
    fn page(&self, path: &str) -> Option<String> {
        self.dashboard.map(|dashboard| format!("{dashboard}{path}"))
    }
}

/// A text before it is set: paragraphs, and at most one link.
struct Draft {
    subject: String,
    paragraphs: Vec<String>,
    /// Where it leads, and what it says.
    link: Option<(String, &'static str)>,
}

type Template = fn(&Facts<'_>) -> Draft;

const TEMPLATES: &[(&str, Template)] = &[
    ("invitation", invitation),
    ("webhook_disabled", webhook_disabled),
    ("order_completed", selling::order_completed),
    ("order_refunded", selling::order_refunded),
    ("invoice", selling::invoice),
    ("payment_failed", selling::payment_failed),
    ("subscription_suspended", selling::subscription_suspended),
    ("license_suspended", selling::license_suspended),
    ("license_reactivated", selling::license_reactivated),
    ("card_expiring", selling::card_expiring),
];

/// Somebody is invited into an organization. Data: `organization`, `inviter`, `name`, `url`.
fn invitation(facts: &Facts<'_>) -> Draft {
    let organization = facts.or("organization", "una organización", "an organization");
    let inviter = facts.or("inviter", "Un administrador", "An administrator");
    let (subject, invited, how) = match facts.language {
        Language::Es => (
            format!("Invitación a {organization} en CELAEST"),
            format!("{inviter} le ha invitado a unirse a {organization} en CELAEST."),
            "Para aceptar, abra el enlace e inicie sesión o cree una cuenta con esta misma dirección de \
             correo. El enlace vale siete días y una sola vez. \
             Si no esperaba esta invitación, puede ignorar este mensaje.",
        ),
        Language::En => (
            format!("Invitation to {organization} on CELAEST"),
            format!("{inviter} has invited you to join {organization} on CELAEST."),
            "To accept, open the link and sign in or create an account with this same e-mail address. \
             The link is good for seven days, and once. \
             If you did not expect this invitation, you can ignore this message.",
        ),
    };
    Draft {
        subject,
        paragraphs: vec![facts.greeting(), invited, how.to_owned()],
        link: facts.link().or_else(|| facts.page("")).map(|url| {
            (
                url,
                facts.say("Aceptar la invitación", "Accept the invitation"),
            )
        }),
    }
}

/// A webhook has failed for too long, or its receiver does not want it. Data: `name`, `address` (the
/// receiver's), `reason` (`gone`, `failing`, `backlog` or `owner`).
fn webhook_disabled(facts: &Facts<'_>) -> Draft {
    let name = facts.or("name", "sin nombre", "unnamed");
    let address = facts.or("address", "su dirección", "its address");
    let why = match (facts.get("reason").as_str(), facts.language) {
        ("gone", Language::Es) => "El receptor respondió 410: no quiere recibir más eventos.",
        ("gone", Language::En) => "The receiver answered 410: it wants no more events.",
        ("backlog", Language::Es) => "Se acumularon demasiados eventos sin entregar.",
        ("backlog", Language::En) => "Too many events were waiting for it.",
        ("owner", Language::Es) => "Quien lo creó ya no pertenece a la organización.",
        ("owner", Language::En) => "Whoever made it is no longer in the organization.",
        (_, Language::Es) => "Todas las entregas de los últimos días han fallado.",
        (_, Language::En) => "Every delivery of the last days has failed.",
    };
    let (subject, what, how) = match facts.language {
        Language::Es => (
            format!("Webhook desactivado: {name}"),
            format!("Hemos desactivado el webhook «{name}», que enviaba eventos a {address}."),
            "Los eventos que no se entregaron se conservan: cuando el receptor vuelva a responder, \
             actívelo de nuevo y repita las entregas.",
        ),
        Language::En => (
            format!("Webhook disabled: {name}"),
            format!("We have disabled the webhook \"{name}\", which sent events to {address}."),
            "The events that were not delivered are kept: once the receiver answers again, \
             activate the webhook and replay them.",
        ),
    };
    Draft {
        subject,
        paragraphs: vec![what, why.to_owned(), how.to_owned()],
        link: facts
            .page("/settings/webhooks")
            .map(|url| (url, facts.say("Ver los webhooks", "See the webhooks"))),
    }
}

/// Sets a text. `None`: there is no such template.
pub fn render(
    template: &str,
    locale: &str,
    data: &Value,
    dashboard: Option<&str>,
) -> Option<Letter> {
    let (_, draft) = TEMPLATES.iter().find(|(name, _)| *name == template)?;
    let language = Language::negotiate(Some(locale));
    let draft = draft(&Facts {
        data,
        dashboard,
        language,
    });
    Some(set(&draft, language))
}

fn set(draft: &Draft, language: Language) -> Letter {
    let mut text = draft.paragraphs.join("\n\n");
    let mut body: String = draft
        .paragraphs
        .iter()
        .map(|paragraph| format!("<p>{}</p>\n", escaped(paragraph)))
        .collect();
    if let Some((url, label)) = &draft.link {
        text.push_str(&format!("\n\n{label}: {url}"));
        body.push_str(&format!(
            "<p><a href=\"{}\">{}</a></p>\n",
            escaped(url),
            escaped(label)
        ));
    }
    text.push_str("\n\nCELAEST\n");
    let html = format!(
        "<!doctype html>\n<html lang=\"{}\">\n<head><meta charset=\"utf-8\"><title>{}</title></head>\n\
         <body style=\"font-family: sans-serif; line-height: 1.5\">\n{body}<p>CELAEST</p>\n</body>\n</html>\n",
        language.tag(),
        escaped(&draft.subject),
    );
    Letter {
        subject: draft.subject.clone(),
        text,
        html,
    }
}

/// Text as HTML, also within quotes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests;
