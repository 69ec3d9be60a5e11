//! E-mails from the outbox to the provider (its API has the shape of Resend's).
//!
//! At least once from here, and once for the recipient: the message's id is the provider's idempotency
//! key. What cannot be delivered now goes back to the queue for a while, then waits in the outbox for its
//! sweep; what never will be is written down as a system event.

pub mod templates;

use crate::config::Config;
use crate::db::facts::{Mail, Message};
use crate::db::sql;
use crate::error::{Error, Result};
use crate::language::Language;
use crate::log;
use crate::modules::invoices::pdf::attachment;
use crate::modules::settings::sealed;
use crate::platform::{clock, fetch};
use crate::run::{self, Run};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use celaest_domain::json;
use celaest_domain::settings::Stored;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use worker::Method;

/// Pauses between attempts in seconds, at least and at most; in between as long as the e-mail has waited
/// already.
const PAUSES_S: (i64, i64) = (10, 300);
/// Age from which an e-mail leaves the queue after a failure: the sweep of the outbox sends it again.
const QUEUED: TimeDelta = TimeDelta::minutes(15);
/// Age from which nobody waits for an e-mail any more.
const STALE: TimeDelta = TimeDelta::days(3);

/// Where e-mails are handed over.
struct Provider {
    url: String,
    key: String,
    from: String,
}

/// What became of an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The provider has it.
    Sent,
    /// It never will; why.
    Refused(Value),
    /// Not now; the pause it asked for, in seconds.
    Later(Option<u32>),
}

#[derive(Deserialize)]
struct Known {
    /// It was dealt with before.
    processed: bool,
    settings: Stored,
}

/// Sends e-mails, one after the other.
///
/// # Errors
/// When one has to wait; it comes again then.
pub async fn consume(run: &Run, bodies: &[&str]) -> Result<()> {
    for body in bodies {
        send(run, run::of(body)?).await?;
    }
    Ok(())
}

async fn send(run: &Run, message: Message) -> Result<()> {
    let config = Config::get(&run.env).map_err(Error::unavailable)?;
    let known: Known = run
        .begin()
        .only_value(
            sql("SELECT json_build_object(
                   'processed', EXISTS (SELECT 1 FROM outbox_messages WHERE id = $1::uuid AND processed_at IS NOT NULL),
                   'settings', (SELECT coalesce(json_object_agg(key, value), '{}') FROM system_config
                     WHERE key LIKE 'email.%'))::text")
            .bind(message.id),
        )
        .await?;
    if known.processed {
        return Ok(());
    }
    let Ok(mut mail) = json::read::<Mail>(&message.payload.to_string()) else {
        return give_up(run, &message, json!({ "reason": "malformed" })).await;
    };
    if let Some(url) = mail.open_link(config)? {
        mail.data["url"] = url.into();
    }
    let dashboard = config.dashboard_url.as_deref();
    let Some(letter) = templates::render(&mail.template, &mail.locale, &mail.data, dashboard)
    else {
        let details = json!({ "reason": "unknown template", "template": mail.template });
        return give_up(run, &message, details).await;
    };
    let Some(provider) = provider(config, &known.settings)? else {
        log::info(
            &run.name,
            "an e-mail was not sent: no provider is configured",
            json!({ "template": mail.template, "message_id": message.id }),
        );
        return run.processed(&[message]).await;
    };
    let attached = invoice(run, &mail).await?;
    match hand_over(&provider, &message, &mail.to, &letter, attached.as_ref()).await {
        Outcome::Sent => run.processed(&[message]).await,
        Outcome::Refused(mut details) => {
            details["template"] = json!(mail.template);
            give_up(run, &message, details).await
        }
        Outcome::Later(asked) => later(run, &message, &mail, asked).await,
    }
}

/// What settings and variables say together; `None` when it is not enough to send anything.
///
/// # Errors
/// 503 when the key is set but cannot be opened.
fn provider(config: &Config, settings: &Stored) -> Result<Option<Provider>> {
    let or = |set: Option<&str>, variable: Option<&str>| set.or(variable).map(str::to_owned);
    let key = match settings.email_api_key() {
        Some(stored) => Some(sealed::open(config, stored)?),
        None => or(None, config.email_api_key.as_ref().map(|key| key.expose())),
    };
    let url = or(settings.email_api_url(), config.email_api_url.as_deref());
    let from = or(settings.email_from(), config.email_from.as_deref());
    Ok(match (url, key, from) {
        (Some(url), Some(key), Some(from)) => Some(Provider { url, key, from }),
        _ => None,
    })
}

/// The invoice that goes along with an e-mail, which names it: its file name and its bytes.
async fn invoice(run: &Run, mail: &Mail) -> Result<Option<(String, Vec<u8>)>> {
    let id = mail.data["invoice_id"]
        .as_str()
        .and_then(|id| id.parse().ok());
    match id {
        None => Ok(None),
        Some(id) => attachment(run, id, Language::negotiate(Some(&mail.locale))).await,
    }
}

async fn hand_over(
    provider: &Provider,
    message: &Message,
    to: &str,
    letter: &templates::Letter,
    attached: Option<&(String, Vec<u8>)>,
) -> Outcome {
    let mut body = json!({
        "from": provider.from, "to": to, "subject": letter.subject, "text": letter.text, "html": letter.html,
    });
    if let Some((name, bytes)) = attached {
        body["attachments"] = json!([{ "filename": name, "content": STANDARD.encode(bytes) }]);
    }
    let headers = [
        ("authorization", &*format!("Bearer {}", provider.key)),
        ("content-type", "application/json"),
        ("idempotency-key", &*message.id.to_string()),
    ];
    let sent = fetch::call(
        Method::Post,
        &provider.url,
        &headers,
        Some(body.to_string()),
    )
    .await;
    match sent {
        Ok(answer) => judge(answer.status, answer.retry_after_s, &answer.text),
        // Whether it arrived nobody knows; the idempotency key makes the next attempt safe.
        Err(_) => Outcome::Later(None),
    }
}

/// What an answer of the provider means.
fn judge(status: u16, retry_after_s: Option<u32>, text: &str) -> Outcome {
    match status {
        200..=299 => Outcome::Sent,
        408 | 429 => Outcome::Later(retry_after_s),
        400..=499 => {
            // The kind of the problem, a word of the provider's. The sentence beside it can quote the e-mail.
            let problem: Option<String> = serde_json::from_str::<Value>(text)
                .ok()
                .and_then(|error| error["name"].as_str().map(str::to_owned))
                .filter(|name| {
                    name.len() <= 60 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                });
            Outcome::Refused(json!({ "reason": "refused", "status": status, "problem": problem }))
        }
        _ => Outcome::Later(retry_after_s),
    }
}

/// Puts an e-mail off: in the queue first, in the outbox when that has lasted.
async fn later(run: &Run, message: &Message, mail: &Mail, asked: Option<u32>) -> Result<()> {
    match put_off(message.created_at, clock::now(), asked) {
        PutOff::Queue { pause_s } => Err(Error {
            retry_after: Some(pause_s),
            ..Error::unavailable("the e-mail provider does not take it now")
        }),
        PutOff::Outbox => {
            log::info(
                &run.name,
                "an e-mail waits in the outbox",
                json!({ "template": mail.template, "message_id": message.id }),
            );
            Ok(())
        }
        PutOff::Never => {
            let details = json!({ "reason": "too late", "template": mail.template });
            give_up(run, message, details).await
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum PutOff {
    Queue { pause_s: u32 },
    Outbox,
    Never,
}

fn put_off(created_at: DateTime<Utc>, now: DateTime<Utc>, asked: Option<u32>) -> PutOff {
    let age = now - created_at;
    if age >= STALE {
        PutOff::Never
    } else if age >= QUEUED {
        PutOff::Outbox
    } else {
        let waited = age.num_seconds().clamp(PAUSES_S.0, PAUSES_S.1);
        let asked = i64::from(asked.unwrap_or(0)).min(QUEUED.num_seconds());
        PutOff::Queue {
            pause_s: u32::try_from(waited.max(asked)).unwrap_or_default(),
        }
    }
}

/// Writes down that an e-mail will never be sent, and is done with it. Says nothing of what was in it.
async fn give_up(run: &Run, message: &Message, mut details: Value) -> Result<()> {
    details["message_id"] = json!(message.id);
    details["organization_id"] = json!(message.organization_id);
    log::info(&run.name, "an e-mail was given up", details.clone());
    run
        .begin()
        .only_value::<Option<()>>(
            sql("WITH done AS (
                   UPDATE outbox_messages SET processed_at = now() WHERE id = $1::uuid AND processed_at IS NULL
                   RETURNING id)
                 INSERT INTO system_events (event_type, severity, source, message, details, request_id)
                 SELECT 'email.failed', 'error', 'emails', 'An e-mail could not be sent', $2::jsonb, left($3, 100)
                 FROM done")
            .bind(message.id)
            .bind(details)
            .bind(&run.name),
        )
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_the_provider() {
        assert_eq!(judge(200, None, ""), Outcome::Sent);
        assert_eq!(judge(202, None, ""), Outcome::Sent);
        assert_eq!(judge(429, Some(7), ""), Outcome::Later(Some(7)));
        for status in [301, 408, 500, 503, 0] {
            assert_eq!(judge(status, None, ""), Outcome::Later(None), "{status}");
        }
        let refused = |text: &str| match judge(422, None, text) {
            Outcome::Refused(details) => details["problem"].clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refused(r#"{"name":"validation_error"}"#),
            "validation_error"
        );
        for text in [
            "",
            "x",
            r#"{"name":"Somebody <a@b.c>"}"#,
            r#"{"message":"a@b.c"}"#,
        ] {
            assert_eq!(refused(text), Value::Null, "{text}");
        }
    }

    #[test]
    fn pauses_grow_and_end() {
        let now = clock::now();
        let after = |seconds: i64, asked| put_off(now - TimeDelta::seconds(seconds), now, asked);
        let queue = |pause_s| PutOff::Queue { pause_s };
        assert_eq!(after(0, None), queue(10));
        assert_eq!(after(-100, None), queue(10));
        assert_eq!(after(60, None), queue(60));
        assert_eq!(after(60, Some(90)), queue(90));
        assert_eq!(after(800, None), queue(300));
        assert_eq!(after(10, Some(u32::MAX)), queue(900));
        assert_eq!(after(900, Some(5)), PutOff::Outbox);
        assert_eq!(after(3 * 86_400, None), PutOff::Never);
    }

    #[test]
    fn settings_win_over_variables_and_half_a_configuration_is_none() {
        let config = |pairs: &[(&str, &str)]| Config::for_tests(pairs);
        let all = config(&[
            ("EMAIL_API_URL", "http://127.0.0.1:1/emails"),
            ("EMAIL_API_KEY", "re_variable"),
            ("EMAIL_FROM", "variable@example.com"),
        ]);
        let none = Stored::default();
        let found = provider(&all, &none).unwrap().unwrap();
        assert_eq!(found.from, "variable@example.com");
        assert_eq!(found.key, "re_variable");
        let set: Stored = serde_json::from_value(
            json!({ "email.from": "set@example.com", "email.api_url": "nonsense" }),
        )
        .unwrap();
        let found = provider(&all, &set).unwrap().unwrap();
        assert_eq!(found.from, "set@example.com");
        assert_eq!(found.url, "http://127.0.0.1:1/emails");
        assert!(
            provider(&config(&[("EMAIL_FROM", "a@b.c")]), &none)
                .unwrap()
                .is_none()
        );
        let sealed: Stored =
            serde_json::from_value(json!({ "email.api_key": { "version": 1, "sealed": "x" } }))
                .unwrap();
        assert!(provider(&all, &sealed).is_err());
    }
}
