//! Sign-ins: noticed when a token of theirs is used, and ended for all their tokens at once.
//!
//! A session is read with its caller, whose object remembers it, so it costs nothing of its own; its end
//! makes the object forget, and is seen everywhere by the next request. That it is in use is written behind.

use crate::call::Call;
use crate::db::facts::{Action, Actor, Fact, Subject};
use crate::db::{Database, Scope, sql};
use crate::error::Result;
use crate::identity::Principal;
use crate::log;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// What the log learns of a sign-in.
pub const SESSION: Subject = Subject {
    kind: "session",
    tenant: "organization_id",
    secret: &[],
    told: None,
};

#[derive(Deserialize)]
struct Noted {
    id: Uuid,
    is_new: bool,
}

/// Writes down, after the answer, that a session is in use. The first time is a sign-in.
pub fn note(call: &Call, principal: &Principal, session: Uuid) {
    // A connection of its own: the request's may be in the middle of a transaction.
    let database = call.another_database();
    let actor = Actor {
        kind: "user",
        ..principal.actor(call)
    };
    let (principal, request_id) = (principal.clone(), call.request_id.clone());
    call.background(async move {
        if let Err(error) = write(&database, actor, &principal, session).await {
            log::warn(&request_id, "a session was not noted", &error);
        }
        database.close();
    });
}

async fn write(
    database: &Database,
    actor: Actor,
    principal: &Principal,
    session: Uuid,
) -> Result<()> {
    let (ip, agent) = (actor.ip.clone(), actor.user_agent.clone());
    let mut tx = database.begin(Scope::System, actor);
    // The person is held: whoever removes them comes before, and nothing is noted, or finds the session.
    let noted: Option<Noted> = tx
        .row(
            sql(
                "INSERT INTO user_sessions AS s (user_id, organization_id, session_token, ip_address, user_agent, device_info)
                 SELECT u.id, $2::uuid, $3, $4::inet, $5, $6::jsonb
                 FROM (SELECT id FROM users_profile WHERE id = $1::uuid AND deleted_at IS NULL FOR NO KEY UPDATE) u
                 ON CONFLICT (session_token) DO UPDATE SET last_seen_at = now(), ip_address = excluded.ip_address,
                   user_agent = excluded.user_agent, device_info = excluded.device_info
                 WHERE s.is_active AND s.user_id = excluded.user_id
                 RETURNING s.id, s.xmax = 0 AS is_new",
            )
            .bind(principal.user_id)
            .bind(principal.organization_id)
            .bind(session)
            .bind(ip)
            .bind(agent.as_deref())
            .bind(device(agent.as_deref())),
        )
        .await?;
    if let Some(Noted { id, is_new: true }) = noted {
        tx.finally(
            sql("UPDATE users_profile SET last_login_at = now(), login_count = login_count + 1 WHERE id = $1::uuid")
                .bind(principal.user_id),
        );
        tx.record(fact(
            principal,
            id,
            Action::Login,
            "user.login",
            Value::Null,
        ));
    }
    tx.commit().await.map(|_| ())
}

/// Somebody came or went.
pub fn fact(
    principal: &Principal,
    session: Uuid,
    action: Action,
    event: &'static str,
    changes: Value,
) -> Fact {
    Fact {
        organization_id: principal.organization_id,
        action,
        event,
        resource_type: SESSION.kind,
        resource_id: session,
        changes,
        payload: None,
    }
}

/// What a `User-Agent` tells of the device, roughly: enough for people to recognise their own.
pub fn device(agent: Option<&str>) -> Value {
    let agent = agent.unwrap_or_default();
    let first = |known: &[(&str, &'static str)]| {
        known
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| *name)
    };
    // The order matters: most browsers also name the ones they descend from.
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let os = first(&[
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    let kind = if agent.contains("iPad") || agent.contains("Tablet") {
        Some("tablet")
    } else if agent.contains("Mobile") || agent.contains("iPhone") {
        Some("mobile")
    } else {
        os.map(|_| "desktop")
    };
    json!({ "browser": browser, "os": os, "device_type": kind })
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn devices() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0";
        assert_eq!(
            device(Some(edge)),
            serde_json::json!({"browser": "Edge", "os": "Windows", "device_type": "desktop"})
        );
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile/15E148 Safari/604.1";
        assert_eq!(
            device(Some(phone)),
            serde_json::json!({"browser": "Safari", "os": "iOS", "device_type": "mobile"})
        );
        assert_eq!(device(None)["device_type"], serde_json::Value::Null);
    }
}
