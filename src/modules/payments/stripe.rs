//! Stripe's API: form in, JSON out, and an idempotency key with whatever changes something.

use super::facts::{self, Fact};
use super::gateway::{Answered, Due, Failed, Gateway, PaidBack, Payment, State};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::log;
use crate::platform::fetch::{self, Answer};
use celaest_domain::billing::money::Currency;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;
use worker::{Delay, Method};

/// The shape of what is asked and answered.
pub const VERSION: &str = "2026-07-29.dahlia";
/// Pauses before an attempt is repeated, in milliseconds.
const PAUSES_MS: [u64; 2] = [200, 800];
/// After these words of a bank no attempt with the same card can succeed.
const FINAL: &[&str] = &[
    "authentication_required",
    "expired_card",
    "incorrect_number",
    "lost_card",
    "pickup_card",
    "restricted_card",
    "stolen_card",
    "fraudulent",
    "do_not_try_again",
    "revocation_of_authorization",
    "revocation_of_all_authorizations",
];

/// The account.
pub struct Stripe {
    url: &'static str,
    key: &'static str,
}

type Form<'a> = Vec<(&'a str, String)>;

impl Stripe {
    /// The configured account.
    ///
    /// # Errors
    /// 409 when there is none: nobody's asking again changes that.
    pub fn of(config: &'static Config) -> Result<Self> {
        let key = config.stripe_secret_key.as_ref();
        let key = key.ok_or(Code::NoCardPayments)?;
        Ok(Self {
            url: &config.stripe_api_url,
            key: key.expose(),
        })
    }

    /// Asks for something, and again with the same words where that is right.
    ///
    /// # Errors
    /// What Stripe refuses, or that nobody knows what became of it.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, String)],
        once: Option<&str>,
    ) -> std::result::Result<Value, Failed> {
        let mut pauses = PAUSES_MS.into_iter();
        loop {
            let answer = self.send(method.clone(), path, form, once).await;
            let again = match &answer {
                Err(_) => true,
                Ok(answer) => should_retry(answer),
            };
            match pauses.next() {
                Some(pause) if again => Delay::from(Duration::from_millis(pause)).await,
                _ => return judge(path, answer),
            }
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, String)],
        once: Option<&str>,
    ) -> Result<Answer> {
        let bearer = format!("Bearer {}", self.key);
        let mut headers = vec![("authorization", &*bearer), ("stripe-version", VERSION)];
        if let Some(once) = once {
            headers.push(("idempotency-key", once));
        }
        let encoded = serde_urlencoded::to_string(form).map_err(Error::internal)?;
        let (url, body) = match method {
            Method::Post => {
                headers.push(("content-type", "application/x-www-form-urlencoded"));
                (format!("{}/v1/{path}", self.url), Some(encoded))
            }
            _ if form.is_empty() => (format!("{}/v1/{path}", self.url), None),
            _ => (format!("{}/v1/{path}?{encoded}", self.url), None),
        };
        fetch::call(method, &url, &headers, body).await
    }

    /// Who the person is at Stripe: a new customer, the same one when asked twice.
    ///
    /// # Errors
    /// As [`Stripe::ask`].
    pub async fn customer(
        &self,
        user: Uuid,
        organization: Uuid,
        email: &str,
    ) -> std::result::Result<String, Failed> {
        let form = [
            ("email", email.to_owned()),
            ("metadata[user_id]", user.to_string()),
            ("metadata[organization_id]", organization.to_string()),
        ];
        let once = format!("customer-{organization}-{user}");
        let customer = self
            .ask(Method::Post, "customers", &form, Some(&once))
            .await?;
        text(&customer["id"]).ok_or_else(|| Failed::Away("a customer without an id".into()))
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The header decides; without it, what was not taken up or what failed for a while.
fn should_retry(answer: &Answer) -> bool {
    match answer.should_retry {
        Some(should) => should,
        None => matches!(answer.status, 409 | 429 | 500..),
    }
}

fn judge(path: &str, answer: Result<Answer>) -> std::result::Result<Value, Failed> {
    let answer = answer.map_err(|error| Failed::Away(error.cause.unwrap_or_default()))?;
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    if (200..300).contains(&answer.status) {
        return Ok(body);
    }
    let error = &body["error"];
    let word = |name: &str| text(&error[name]).filter(|word| is_word(word));
    let code = word("decline_code").or(word("code")).or(word("type"));
    log::info(
        "stripe",
        "Stripe refused",
        json!({ "path": path.split('/').next(), "status": answer.status, "code": code, "stripe_request": answer.request_id }),
    );
    let status = answer.status;
    if !(400..500).contains(&status) || matches!(status, 401 | 403 | 409 | 429) {
        // Its fault or ours, and not the buyer's: nobody knows, and it is asked again.
        return Err(Failed::Away(format!("Stripe answered {status}")));
    }
    let words = [word("code"), word("decline_code"), word("advice_code")];
    let is_final = words
        .iter()
        .flatten()
        .any(|word| FINAL.contains(&word.as_str()));
    Err(Failed::Refused {
        code: code.unwrap_or_else(|| "refused".into()),
        is_final,
        payment: text(&error["payment_intent"]["id"]),
    })
}

/// A word of Stripe's own, and no sentence that could quote somebody.
fn is_word(text: &str) -> bool {
    text.len() <= 60
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Where a PaymentIntent is.
pub fn payment(intent: &Value) -> Payment {
    let currency = intent["currency"].as_str().map(str::to_ascii_uppercase);
    let error = &intent["last_payment_error"];
    let state = match intent["status"].as_str().unwrap_or_default() {
        "succeeded" => State::Succeeded,
        "canceled" => State::Cancelled,
        "processing" | "requires_capture" => State::UnderWay,
        "requires_payment_method" if error.is_object() => {
            let word = |name: &str| text(&error[name]).filter(|word| is_word(word));
            let code = word("decline_code")
                .or(word("code"))
                .unwrap_or_else(|| "failed".into());
            State::Failed {
                is_final: FINAL.contains(&code.as_str()),
                code,
            }
        }
        _ => State::Open,
    };
    Payment {
        id: text(&intent["id"]),
        client_secret: text(&intent["client_secret"]),
        state,
        received: intent["amount_received"].as_i64().unwrap_or(0),
        currency: currency.and_then(|code| Currency::parse(&code)),
    }
}

fn form(due: &Due) -> Form<'static> {
    let mut form = vec![
        ("amount", due.amount.to_string()),
        ("currency", due.currency.as_str().to_ascii_lowercase()),
        ("description", due.order_number.clone()),
        ("metadata[order_id]", due.order_id.to_string()),
        ("automatic_payment_methods[enabled]", "true".into()),
    ];
    if let Some(customer) = &due.customer {
        form.push(("customer", customer.clone()));
    }
    match &due.off_session {
        Some(method) => {
            form.push(("automatic_payment_methods[allow_redirects]", "never".into()));
            form.push(("payment_method", method.clone()));
            form.push(("off_session", "true".into()));
            form.push(("confirm", "true".into()));
        }
        None if due.save_card && due.customer.is_some() => {
            form.push(("setup_future_usage", "off_session".into()));
        }
        None => {}
    }
    form
}

impl Gateway for Stripe {
    fn begin<'a>(&'a self, due: &'a Due) -> Answered<'a, Payment> {
        async move {
            let once = format!("order-{}-{}", due.order_id, due.attempt);
            let intent = self
                .ask(Method::Post, "payment_intents", &form(due), Some(&once))
                .await?;
            Ok(payment(&intent))
        }
        .boxed_local()
    }

    fn look<'a>(&'a self, id: &'a str) -> Answered<'a, Payment> {
        async move {
            let path = format!("payment_intents/{id}");
            Ok(payment(&self.ask(Method::Get, &path, &[], None).await?))
        }
        .boxed_local()
    }

    fn retry<'a>(&'a self, id: &'a str, due: &'a Due) -> Answered<'a, Payment> {
        async move {
            let mut form: Form<'_> = vec![("off_session", "true".into())];
            if let Some(method) = &due.off_session {
                form.push(("payment_method", method.clone()));
            }
            let path = format!("payment_intents/{id}/confirm");
            let once = format!("order-{}-{}-confirm", due.order_id, due.attempt);
            Ok(payment(
                &self.ask(Method::Post, &path, &form, Some(&once)).await?,
            ))
        }
        .boxed_local()
    }

    fn cancel<'a>(&'a self, id: &'a str) -> Answered<'a, Payment> {
        async move {
            let path = format!("payment_intents/{id}/cancel");
            let form = [("cancellation_reason", "abandoned".to_owned())];
            match self
                .ask(Method::Post, &path, &form, Some(&format!("cancel-{id}")))
                .await
            {
                Ok(intent) => Ok(payment(&intent)),
                // It may have succeeded meanwhile, or be given up already.
                Err(Failed::Refused { .. }) => self.look(id).await,
                Err(away) => Err(away),
            }
        }
        .boxed_local()
    }

    fn refund<'a>(
        &'a self,
        id: Option<&'a str>,
        refund: Uuid,
        amount: i64,
    ) -> Answered<'a, PaidBack> {
        async move {
            let form = [
                ("payment_intent", id.unwrap_or_default().to_owned()),
                ("amount", amount.to_string()),
                ("reason", "requested_by_customer".to_owned()),
                ("metadata[refund_id]", refund.to_string()),
            ];
            let once = format!("refund-{refund}");
            let refund = self
                .ask(Method::Post, "refunds", &form, Some(&once))
                .await?;
            Ok(PaidBack {
                id: text(&refund["id"]),
                status: text(&refund["status"]).unwrap_or_else(|| "pending".into()),
                failure: text(&refund["failure_reason"]),
            })
        }
        .boxed_local()
    }

    fn since<'a>(&'a self, id: &'a str) -> Answered<'a, Vec<Fact>> {
        async move {
            let mut facts = Vec::new();
            for (path, event) in [
                ("refunds", "refund.updated"),
                ("disputes", "charge.dispute.updated"),
            ] {
                let form = [("payment_intent", id.to_owned()), ("limit", "100".into())];
                let list = self.ask(Method::Get, path, &form, None).await?;
                let objects = list["data"].as_array().into_iter().flatten();
                facts
                    .extend(objects.filter_map(|object| facts::read(event, object).ok().flatten()));
            }
            Ok(facts)
        }
        .boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, should_retry: Option<bool>, text: &str) -> Answer {
        Answer {
            status,
            retry_after_s: None,
            should_retry,
            request_id: None,
            text: text.into(),
        }
    }

    #[test]
    fn what_is_asked_again() {
        for (status, header, again) in [
            (200, None, false),
            (402, None, false),
            (409, None, true),
            (429, None, true),
            (500, None, true),
            (400, None, false),
            (500, Some(false), false),
            (400, Some(true), true),
        ] {
            assert_eq!(should_retry(&answer(status, header, "")), again, "{status}");
        }
    }

    #[test]
    fn what_a_refusal_means() {
        let refused = |text: &str| match judge("x", Ok(answer(402, None, text))) {
            Err(Failed::Refused {
                code,
                is_final,
                payment,
            }) => (code, is_final, payment),
            other => panic!("{other:?}"),
        };
        let soft = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds","payment_intent":{"id":"pi_1"}}}"#;
        assert_eq!(
            refused(soft),
            ("insufficient_funds".into(), false, Some("pi_1".into()))
        );
        let hard = r#"{"error":{"code":"authentication_required"}}"#;
        assert_eq!(
            refused(hard),
            ("authentication_required".into(), true, None)
        );
        let advice = r#"{"error":{"code":"card_declined","advice_code":"do_not_try_again"}}"#;
        assert!(refused(advice).1);
        assert_eq!(
            refused(r#"{"error":{"code":"Sentence of somebody"}}"#).0,
            "refused"
        );
        assert!(matches!(
            judge("x", Ok(answer(500, None, "{}"))),
            Err(Failed::Away(_))
        ));
        assert!(matches!(
            judge("x", Ok(answer(401, None, "{}"))),
            Err(Failed::Away(_))
        ));
    }

    #[test]
    fn where_an_intent_is() {
        let state = |intent: Value| payment(&intent).state;
        assert_eq!(state(json!({"status": "succeeded"})), State::Succeeded);
        assert_eq!(
            state(json!({"status": "requires_payment_method"})),
            State::Open
        );
        assert_eq!(state(json!({"status": "requires_action"})), State::Open);
        assert_eq!(state(json!({"status": "processing"})), State::UnderWay);
        let failed = json!({"status": "requires_payment_method", "last_payment_error": {"code": "expired_card"}});
        assert_eq!(
            state(failed),
            State::Failed {
                code: "expired_card".into(),
                is_final: true
            }
        );
    }
}
