//! What receivers of webhooks are told, when, and how they know who told them.
//!
//! Signatures follow Standard Webhooks (<https://www.standardwebhooks.com>).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far back events can be sent again; the outbox keeps them a day longer.
const REPLAYABLE: TimeDelta = TimeDelta::days(7);

/// One kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    /// The dotted name.
    pub name: &'static str,
    /// When it is sent.
    pub description: &'static str,
    /// Only sent to webhooks that name it exactly.
    pub opt_in: bool,
}

const fn event(name: &'static str, description: &'static str) -> EventType {
    EventType {
        name,
        description,
        opt_in: false,
    }
}

/// Every event a webhook can subscribe to.
pub const CATALOGUE: &[EventType] = &[
    event("license.created", "A license was created."),
    event("license.updated", "A license was changed."),
    event("license.renewed", "A license was renewed."),
    event("license.revoked", "A license was suspended."),
    event("license.reactivated", "A suspended license is valid again."),
    event("license.expired", "A license or trial ended."),
    event("license.cancelled", "A license was cancelled for good."),
    event("license.ip_bound", "An address was bound by hand."),
    event("license.ip_unbound", "An address was unbound."),
    event(
        "license.collision",
        "Too many addresses used a license at the same time.",
    ),
    event("license.collision_resolved", "A collision was settled."),
    EventType {
        name: "license.validated",
        description: "A license was validated. Frequent, so only sent to webhooks that name it.",
        opt_in: true,
    },
    event("user.invited", "Somebody was invited."),
    event("user.activated", "An invitation was accepted."),
    event(
        "user.updated",
        "Somebody's profile, role or scopes changed.",
    ),
    event("user.removed", "Somebody left the organization."),
    event("api_key.created", "An API key was created."),
    event("api_key.rotated", "An API key was replaced by a new one."),
    event("api_key.deleted", "An API key was deleted."),
    event("organization.created", "The organization was founded."),
    event("organization.updated", "The organization was changed."),
    event("organization.deleted", "The organization was closed."),
    event("webhook.created", "A webhook was made."),
    event("webhook.updated", "A webhook was changed."),
    event("webhook.secret_rotated", "A webhook got a new secret."),
    event("webhook.deleted", "A webhook was deleted."),
    event(
        "webhook.disabled",
        "A webhook of the organization was disabled.",
    ),
    event("webhook.test", "Somebody asked for a test delivery."),
];

/// Whether `text` is a subscription: an event's name, a family (`license.*`)
/// or everything (`*`).
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    text == "*"
        || CATALOGUE.iter().any(|event| {
            event.name == text
                || text
                    .strip_suffix(".*")
                    .is_some_and(|family| family_of(event.name) == family)
        })
}

/// The subscriptions that receive an event: a webhook with any of them does.
#[must_use]
pub fn patterns(event_type: &str) -> Vec<String> {
    let mut patterns = vec![event_type.to_owned()];
    let opt_in = |event: &EventType| event.name == event_type && event.opt_in;
    if !CATALOGUE.iter().any(opt_in) {
        patterns.push(format!("{}.*", family_of(event_type)));
        patterns.push("*".to_owned());
    }
    patterns
}

/// Whether a webhook with these subscriptions is sent such an event.
#[must_use]
pub fn is_subscribed(subscriptions: &[String], event_type: &str) -> bool {
    let matching = patterns(event_type);
    matching.iter().any(|one| subscriptions.contains(one))
}

/// Whether everything that happened from `since` on can still be sent again.
///
/// # Errors
/// What is wrong with the moment, for the caller.
pub fn can_replay(since: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), &'static str> {
    if since > now {
        return Err("is in the future");
    }
    if since < now - REPLAYABLE {
        return Err("is more than seven days ago");
    }
    Ok(())
}

fn family_of(event_type: &str) -> &str {
    event_type
        .split_once('.')
        .map_or(event_type, |(family, _)| family)
}

/// Pauses before the attempts, in milliseconds: the first comes at once.
const PAUSES_MS: [i64; 10] = [
    0,
    5_000,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The longest pause a receiver may ask for.
const MAX_RETRY_AFTER_MS: i64 = 24 * HOUR_MS;

/// When an event is tried again, in Unix milliseconds, after `tried` attempts
/// the last of which failed at `now_ms`. `None`: no more. The pause is up to a
/// tenth longer, by `random`, so that receivers are not hit by everything at
/// once; and never shorter than what the receiver asked for.
#[must_use]
pub fn next_attempt(
    tried: usize,
    now_ms: i64,
    retry_after_ms: Option<i64>,
    random: u32,
) -> Option<i64> {
    let pause = *PAUSES_MS.get(tried)?;
    let jitter = (pause / 10).saturating_mul(i64::from(random)) / i64::from(u32::MAX);
    let asked = retry_after_ms.unwrap_or(0).clamp(0, MAX_RETRY_AFTER_MS);
    Some(now_ms.saturating_add((pause + jitter).max(asked)))
}

/// The pause that a `Retry-After` header asks for, in milliseconds: seconds or
/// an HTTP date. `None` when it is neither.
#[must_use]
pub fn retry_after_ms(header: &str, now_ms: i64) -> Option<i64> {
    let text = header.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has are simply long.
        let seconds = text.parse::<i64>().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1_000).min(MAX_RETRY_AFTER_MS));
    }
    let until = http_date_ms(text)?;
    Some(until.saturating_sub(now_ms).clamp(0, MAX_RETRY_AFTER_MS))
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is sent today.
fn http_date_ms(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_weekday, rest) = text.split_once(", ")?;
    let mut parts = rest.split(' ');
    let day = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u32 + 1;
    let year = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.split(':').map(str::parse::<u32>);
    let (hour, minute, second) = (
        clock.next()?.ok()?,
        clock.next()?.ok()?,
        clock.next()?.ok()?,
    );
    if parts.next()? != "GMT" || parts.next().is_some() || clock.next().is_some() {
        return None;
    }
    let moment = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, minute, second)?;
    Some(moment.and_utc().timestamp_millis())
}

/// What an answer means. Nothing but 2xx is success, redirects included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// The receiver wants nothing any more.
    Gone,
    /// To be tried again.
    Failed,
}

/// Judges an answer; no status means there was none.
#[must_use]
pub fn verdict(status: Option<u16>) -> Verdict {
    match status {
        Some(200..=299) => Verdict::Delivered,
        Some(410) => Verdict::Gone,
        _ => Verdict::Failed,
    }
}

/// Whether a webhook that has only failed since `failing_since_ms` is to be
/// disabled.
#[must_use]
pub fn has_failed_too_long(failing_since_ms: i64, now_ms: i64, disable_after_s: u32) -> bool {
    now_ms.saturating_sub(failing_since_ms) >= i64::from(disable_after_s) * 1_000
}

const SECRET_PREFIX: &str = "whsec_";

/// What deliveries are signed with: 24 to 64 bytes, written `whsec_` + base64.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningSecret(Vec<u8>);

impl SigningSecret {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(random: [u8; 32]) -> Self {
        Self(random.to_vec())
    }

    /// Reads the written form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(Self(bytes))
    }

    /// The written form. Shown once, never logged.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }

    /// One signature, with its version.
    fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> Option<String> {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        mac.update(format!("{id}.{timestamp_s}.").as_bytes());
        mac.update(body.as_bytes());
        let digest = mac.finalize().into_bytes();
        Some(format!("v1,{}", STANDARD.encode(digest)))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// The `webhook-signature` header: one signature for each secret.
#[must_use]
pub fn signature(secrets: &[SigningSecret], id: &str, timestamp_s: i64, body: &str) -> String {
    let signatures: Vec<_> = secrets
        .iter()
        .filter_map(|secret| secret.sign(id, timestamp_s, body))
        .collect();
    signatures.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn subscriptions() {
        for pattern in [
            "*",
            "license.*",
            "license.created",
            "license.validated",
            "user.*",
            "api_key.*",
        ] {
            assert!(is_pattern(pattern), "{pattern}");
        }
        for pattern in [
            "",
            "license",
            "license.",
            "lic.*",
            "*.created",
            "license.*.*",
            ".*",
            "**",
            "license.createdx",
        ] {
            assert!(!is_pattern(pattern), "{pattern}");
        }
        assert_eq!(
            patterns("license.created"),
            ["license.created", "license.*", "*"]
        );
        assert_eq!(patterns("license.validated"), ["license.validated"]);
        assert_eq!(
            patterns("order.completed"),
            ["order.completed", "order.*", "*"]
        );
    }

    #[test]
    fn who_is_sent_what() {
        let of = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(is_subscribed(
            &of(&["user.*", "license.*"]),
            "license.created"
        ));
        assert!(!is_subscribed(&of(&["user.*"]), "license.created"));
        assert!(!is_subscribed(&of(&["*"]), "license.validated"));
    }

    #[test]
    fn a_week_can_be_replayed() {
        let now = crate::calendar::parse_timestamp("2026-03-10T12:00:00Z").unwrap();
        let second = TimeDelta::seconds(1);
        assert!(can_replay(now, now).is_ok() && can_replay(now - REPLAYABLE, now).is_ok());
        assert!(can_replay(now + second, now).is_err());
        assert!(can_replay(now - REPLAYABLE - second, now).is_err());
    }

    #[test]
    fn a_known_signature() {
        // The example of the Standard Webhooks libraries.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = r#"{"test": 2432232314}"#;
        let one = signature(std::slice::from_ref(&secret), id, 1_614_265_330, body);
        assert_eq!(one, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = SigningSecret::new([7; 32]);
        let both = signature(&[other.clone(), secret], id, 1_614_265_330, body);
        assert_eq!(both.split(' ').count(), 2);
        assert!(both.ends_with(&one));
        assert_eq!(SigningSecret::parse(&other.expose()), Some(other));
    }

    #[test]
    fn secrets_have_24_to_64_bytes() {
        for (length, valid) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            let text = SigningSecret(vec![1; length]).expose();
            assert_eq!(SigningSecret::parse(&text).is_some(), valid, "{length}");
        }
        assert!(SigningSecret::parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_none());
        assert_eq!(
            format!("{:?}", SigningSecret::new([1; 32])),
            "SigningSecret(…)"
        );
    }

    #[test]
    fn the_schedule() {
        let pauses: Vec<_> = (0..11)
            .map(|tried| next_attempt(tried, 0, None, 0))
            .collect();
        let expected = [
            0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
        ];
        assert_eq!(pauses[..10], expected.map(|seconds| Some(seconds * 1_000)));
        assert_eq!(pauses[10], None);
        assert_eq!(next_attempt(1, 0, None, u32::MAX), Some(5_500));
        assert_eq!(next_attempt(1, 0, Some(20_000), 0), Some(20_000));
        assert_eq!(next_attempt(9, 0, Some(20_000), 0), Some(86_400_000));
        assert_eq!(next_attempt(10, 0, Some(20_000), 0), None);
    }

    #[test]
    fn retry_after_in_both_forms() {
        let now = 784_111_777_000;
        for (header, expected) in [
            ("120", Some(120_000)),
            (" 0 ", Some(0)),
            ("99999999999999999999", Some(MAX_RETRY_AFTER_MS)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:49:37 GMT", Some(MAX_RETRY_AFTER_MS)),
            ("Sun, 31 Feb 1995 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 25:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after_ms(header, now), expected, "{header:?}");
        }
    }

    #[test]
    fn verdicts() {
        for (status, expected) in [
            (Some(200), Verdict::Delivered),
            (Some(204), Verdict::Delivered),
            (Some(299), Verdict::Delivered),
            (Some(410), Verdict::Gone),
            (Some(302), Verdict::Failed),
            (Some(304), Verdict::Failed),
            (Some(404), Verdict::Failed),
            (Some(429), Verdict::Failed),
            (Some(500), Verdict::Failed),
            (None, Verdict::Failed),
        ] {
            assert_eq!(verdict(status), expected, "{status:?}");
        }
        assert!(!has_failed_too_long(0, 431_999_999, 432_000));
        assert!(has_failed_too_long(0, 432_000_000, 432_000));
    }

    proptest! {
        #[test]
        fn never_earlier_than_asked_and_never_much_later(
            tried in 0..10_usize, now in 0..4_000_000_000_000_i64, asked in proptest::option::of(-5..i64::MAX), random: u32,
        ) {
            let at = next_attempt(tried, now, asked, random).unwrap();
            let pause = PAUSES_MS[tried];
            prop_assert!(at - now >= pause && at - now <= (pause + pause / 10).max(MAX_RETRY_AFTER_MS));
            prop_assert!(at - now >= asked.unwrap_or(0).min(MAX_RETRY_AFTER_MS));
        }

        #[test]
        fn no_input_panics(text in ".*", now: i64, tried: usize, random: u32) {
            let _ = (retry_after_ms(&text, now), http_date_ms(&format!("Sun, {text}")), is_pattern(&text), patterns(&text));
            let _ = (SigningSecret::parse(&text), next_attempt(tried, now, Some(now), random));
        }
    }
}
