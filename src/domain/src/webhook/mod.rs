//! What receivers of webhooks are told, when, and how they know who told them.

mod delivery;
mod signature;

pub(crate) use delivery::http_date_ms;
pub use delivery::{
    Verdict, has_failed_too_long, next_attempt, reason_of, retry_after_ms, verdict,
};
pub use signature::{SigningSecret, signature};

use chrono::{DateTime, TimeDelta, Utc};
use url::Url;

use crate::access::{Permission, Permissions, Role};

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

impl EventType {
    /// What somebody must be allowed to read to be told of it.
    #[must_use]
    pub fn needs(&self) -> Permission {
        needed_for(self.name)
    }
}

/// What somebody must be allowed to read to be told of such an event: a webhook carries nothing that its
/// owner could not look up. An event that no family is known of needs the most.
#[must_use]
pub fn needed_for(event_type: &str) -> Permission {
    match family_of(event_type) {
        "license" => Permission::LicensesRead,
        "user" => Permission::UsersRead,
        "api_key" => Permission::ApiKeysRead,
        "organization" => Permission::OrganizationsRead,
        "webhook" => Permission::WebhooksRead,
        "order" => Permission::OrdersRead,
        "subscription" => Permission::OrdersRead,
        "invoice" => Permission::InvoicesRead,
        "product" | "release" => Permission::ProductsRead,
        "ai" => Permission::AiRead,
        _ => Permission::SettingsWrite,
    }
}

/// What these subscriptions need. `*` needs nothing by itself: it stands for whatever one may read.
#[must_use]
pub fn needed_by<S: AsRef<str>>(subscriptions: &[S]) -> Permissions {
    let needed: Vec<_> = subscriptions
        .iter()
        .map(AsRef::as_ref)
        .filter(|pattern| *pattern != "*")
        .map(needed_for)
        .collect();
    Permissions::of(&needed)
}

/// Everything that events can need and somebody with these permissions has, by name: what a webhook may
/// carry that they subscribe.
#[must_use]
pub fn carriable(permissions: Permissions) -> Vec<&'static str> {
    let all: Vec<_> = CATALOGUE.iter().map(EventType::needs).collect();
    Permissions::of(&all)
        .common(permissions)
        .iter()
        .map(Permission::as_str)
        .collect()
}

/// The family of events that everybody in the organization may be told of who may read it.
pub const SHARED: &str = "organization";

/// Whether a webhook of somebody with this role and these permissions is told of such an event; `own` says
/// whether it is about something of theirs. A client reads only that, except about the organization.
#[must_use]
pub fn is_told(role: Role, permissions: Permissions, event_type: &str, own: bool) -> bool {
    let shared = family_of(event_type) == SHARED;
    permissions.has(needed_for(event_type)) && (role != Role::Client || own || shared)
}

/// The families of events that somebody with these permissions may read.
#[must_use]
pub fn readable(permissions: Permissions) -> Vec<&'static str> {
    let mut families: Vec<_> = CATALOGUE
        .iter()
        .filter(|event| permissions.has(event.needs()))
        .map(|event| family_of(event.name))
        .collect();
    families.dedup();
    families
}

/// A receiver's address as others may see it: without user name, password, query and fragment, where
/// receivers keep their secrets.
#[must_use]
pub fn shown_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return "[redacted]".to_owned();
    };
    let hidden = url.query().is_some() || url.fragment().is_some();
    url.set_query(None);
    url.set_fragment(None);
    // Only addresses without a host have no room for these.
    let _ = (url.set_username(""), url.set_password(None));
    format!("{url}{}", if hidden { "?…" } else { "" })
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
    event("order.created", "Something was ordered."),
    event(
        "order.completed",
        "An order was paid, and what was bought is there.",
    ),
    event(
        "order.cancelled",
        "An order was given up before it was paid.",
    ),
    event(
        "order.payment_failed",
        "An attempt to pay an order failed; it can be paid still.",
    ),
    event(
        "order.refunded",
        "An order was paid back, in part or in whole.",
    ),
    event(
        "order.disputed",
        "A buyer disputes a payment with their bank, or the dispute has an outcome.",
    ),
    event(
        "subscription.created",
        "The first period of a subscription was paid.",
    ),
    event(
        "subscription.renewed",
        "The next period of a subscription was paid.",
    ),
    event(
        "subscription.past_due",
        "A payment of a subscription failed and is tried again.",
    ),
    event(
        "subscription.suspended",
        "Every attempt to charge a subscription failed.",
    ),
    event(
        "subscription.changed",
        "A subscription changed its plan, or is cancelled at its period's end or goes on.",
    ),
    event("subscription.ended", "A subscription is over."),
    event("invoice.issued", "An invoice or a credit note was issued."),
    event("invoice.sent", "An invoice was sent by e-mail again."),
    event("product.created", "A product was made, and is not on sale."),
    event("product.updated", "A product was changed."),
    event("product.published", "A product is on sale."),
    event("product.archived", "A product is not on sale any more."),
    event("product.deleted", "A product that nobody had was deleted."),
    event("release.created", "A draft of a release was made."),
    event("release.updated", "A release was changed."),
    event(
        "release.published",
        "A release can be downloaded, or is offered on another channel.",
    ),
    event(
        "release.deprecated",
        "A release is not recommended any more.",
    ),
    event(
        "release.yanked",
        "A release was taken back: nobody gets it any more.",
    ),
    event("release.deleted", "A draft of a release was deleted."),
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
    event(
        "ai.task.completed",
        "An AI task has its answer. Of a task in a batch only where the batch asks for it.",
    ),
    event(
        "ai.task.failed",
        "An AI task failed for good. Of a task in a batch only where the batch asks for it.",
    ),
    event("ai.batch.completed", "Every task of a batch has ended."),
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

/// The part before the dot.
#[must_use]
pub fn family_of(event_type: &str) -> &str {
    event_type
        .split_once('.')
        .map_or(event_type, |(family, _)| family)
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
    fn a_webhook_carries_what_its_owner_may_read() {
        for event in CATALOGUE {
            assert_ne!(event.needs(), Permission::SettingsWrite, "{}", event.name);
        }
        assert_eq!(needed_for("unheard.of"), Permission::SettingsWrite);
        let developer = Role::Developer.permissions();
        assert_eq!(
            readable(developer),
            [
                "license",
                "order",
                "subscription",
                "invoice",
                "product",
                "release",
                "organization",
                "webhook",
                "ai"
            ]
        );
        assert_eq!(
            readable(Role::Client.permissions()),
            [
                "license",
                "order",
                "subscription",
                "invoice",
                "organization",
                "ai"
            ]
        );
        assert!(developer.covers(needed_by(&["*", "license.*", "webhook.deleted"])));
        assert!(!developer.covers(needed_by(&["license.*", "user.*"])));
        assert!(!developer.covers(needed_by(&["api_key.created"])));
        assert!(
            Role::Admin
                .permissions()
                .covers(needed_by(&["api_key.*", "user.*", "*"]))
        );
    }

    #[test]
    fn a_client_is_told_of_what_is_its_own() {
        let told = |role: Role, event: &str, own| is_told(role, role.permissions(), event, own);
        assert!(told(Role::Client, "license.created", true));
        assert!(!told(Role::Client, "license.created", false));
        assert!(told(Role::Client, "organization.updated", false));
        assert!(!told(Role::Client, "user.updated", true));
        assert!(told(Role::Developer, "license.created", false));
        assert!(!told(Role::Developer, "user.updated", false));
        assert_eq!(
            carriable(Role::Developer.permissions()),
            [
                "licenses:read",
                "organizations:read",
                "products:read",
                "webhooks:read",
                "orders:read",
                "invoices:read",
                "ai:read"
            ]
        );
        let narrowed = Permissions::named(&carriable(Permissions::named(&["webhooks:*"])));
        assert!(!is_told(Role::Admin, narrowed, "license.created", true));
    }

    #[test]
    fn addresses_keep_their_secrets() {
        for (url, shown) in [
            ("https://example.com/hook", "https://example.com/hook"),
            (
                "https://example.com/hook?token=x",
                "https://example.com/hook?…",
            ),
            ("https://u:p@example.com/#f", "https://example.com/?…"),
            ("no address", "[redacted]"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
    }

    proptest! {
        #[test]
        fn no_input_panics(text in ".*") {
            let _ = (is_pattern(&text), patterns(&text), needed_for(&text), shown_url(&text));
        }
    }
}
