//! What receivers of webhooks are sent, as the `webhooks` of the document. What an event carries is a part
//! of what the API shows of the same thing.

use celaest_domain::license::Severity;
use celaest_domain::webhook::CATALOGUE;
use serde_json::{Map, Value, json};

/// Adds the events and the schemas of what they carry.
pub fn add(document: &mut Value) {
    let schemas = &document["components"]["schemas"];
    let mut new = told(schemas);
    let mut webhooks = Map::new();
    for event in CATALOGUE {
        let name = format!("{}Event", pascal(event.name));
        let data = reference(data_of(event.name));
        new.insert(
            name.clone(),
            json!({
                "description": event.description,
                "type": "object",
                "required": ["type", "timestamp", "data"],
                "properties": {
                    "type": { "type": "string", "enum": [event.name] },
                    "timestamp": { "type": "string", "description": "When it happened." },
                    "data": data,
                },
            }),
        );
        webhooks.insert(event.name.into(), json!({ "post": {
            "operationId": format!("on{}", pascal(event.name)),
            "summary": event.description,
            "description": format!(
                "For webhooks whose owner has the permission `{}`. Signed by the rules of Standard Webhooks.",
                event.needs().as_str()
            ),
            "tags": ["webhooks"],
            "security": [],
            "parameters": [
                header("webhook-id", "The event, the same on every attempt."),
                header("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
                header("webhook-signature", "One `v1,…` for each secret that signs, separated by spaces."),
            ],
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": reference(&name) } },
            },
            "responses": {
                "2XX": { "description": "Taken." },
                "410": { "description": "Nothing more is wanted: the webhook is disabled." },
                "default": { "description": "Not taken: it is sent again later." },
            },
        } }));
    }
    document["webhooks"] = webhooks.into();
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.extend(new);
    }
}

fn header(name: &str, description: &str) -> Value {
    json!({ "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" } })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// `license.ip_bound` as `LicenseIpBound`.
fn pascal(event: &str) -> String {
    let words = event.split(['.', '_']);
    words
        .filter_map(|word| {
            let (first, rest) = word.split_at_checked(1)?;
            Some(first.to_ascii_uppercase() + rest)
        })
        .collect()
}

/// The schema of an event's `data`.
fn data_of(event: &str) -> &'static str {
    match event {
        "license.collision" => "ToldCollision",
        "license.validated" => "ToldValidation",
        "ai.batch.completed" => "ToldBatch",
        _ => match event.split('.').next().unwrap_or_default() {
            "license" => "ToldLicense",
            "user" => "ToldUser",
            "api_key" => "ToldApiKey",
            "organization" => "ToldOrganization",
            "order" => "ToldOrder",
            "subscription" => "ToldSubscription",
            "invoice" => "ToldInvoice",
            "product" => "ToldProduct",
            "release" => "ToldRelease",
            "ai" => "ToldTask",
            _ => "ToldWebhook",
        },
    }
}

/// What events carry, from the schemas of the API.
fn told(schemas: &Value) -> Map<String, Value> {
    let text = json!({ "type": "string" });
    let maybe = json!({ "type": ["string", "null"] });
    let id = json!({ "type": "string", "format": "uuid" });
    let severities = [
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ]
    .map(Severity::as_str);
    let made = [
        (
            "ToldLicense",
            json!({ "license": part(&schemas["License"], |name| name != "notes", &["id", "license_key"],
            "The license; of an event about its addresses, or of one that the system made itself, only what concerns it.") }),
        ),
        (
            "ToldCollision",
            json!({
            "collision_id": id, "license_id": id, "address_count": { "type": "integer" },
            "severity": { "type": "string", "enum": severities } }),
        ),
        (
            "ToldValidation",
            json!({ "validation": { "type": "object",
            "required": ["id", "license_id", "is_valid", "failure_reason", "ip_address", "machine_id", "hostname"],
            "properties": {
                "id": id, "license_id": id, "is_valid": { "type": "boolean" }, "failure_reason": maybe,
                "ip_address": text, "machine_id": maybe, "hostname": maybe } } }),
        ),
        (
            "ToldUser",
            json!({ "user": part(&schemas["User"], |name| {
            ["id", "organization_id", "email", "first_name", "last_name", "display_name", "role", "scopes", "status"]
                .contains(&name)
        }, &["id", "email"], "The person.") }),
        ),
        (
            "ToldApiKey",
            json!({ "api_key": part(&schemas["ApiKey"], |name| {
            ["id", "user_id", "organization_id", "name", "key_prefix", "scopes", "rate_limit_rpm", "expires_at"]
                .contains(&name)
        }, &["id", "user_id"], "The key, without what it is used with.") }),
        ),
        (
            "ToldOrder",
            json!({ "order": part(&schemas["Order"], |name| name != "notes", &["id", "order_number"], "The order.") }),
        ),
        (
            "ToldSubscription",
            json!({ "subscription": reference("PaidSubscription") }),
        ),
        ("ToldInvoice", json!({ "invoice": reference("Invoice") })),
        (
            "ToldProduct",
            json!({ "product": part(&schemas["Product"], |name| name != "metadata", &["id", "code", "status"], "The product.") }),
        ),
        (
            "ToldRelease",
            json!({ "release": part(&schemas["Release"], |name| !["metadata", "storage_path"].contains(&name),
            &["id", "product_id", "version", "status"], "The release.") }),
        ),
        (
            "ToldOrganization",
            json!({ "organization": reference("Organization") }),
        ),
        ("ToldTask", json!({ "task": reference("AiTask") })),
        ("ToldBatch", json!({ "batch": reference("AiBatch") })),
        (
            "ToldWebhook",
            json!({ "webhook": part(&schemas["Webhook"], |name| name != "url", &["id"],
            "The webhook; of an event that the system made itself, only what concerns it.") }),
        ),
    ];
    let mut told: Map<_, _> = made
        .into_iter()
        .map(|(name, properties)| {
            let required: Vec<_> = properties
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect();
            (
                name.to_owned(),
                json!({ "type": "object", "required": required, "properties": properties }),
            )
        })
        .collect();
    told["ToldApiKey"]["properties"]["replaced"] = json!({
        "description": "Of a rotation: the key that it replaces, and until when that one works.",
        "type": "object", "required": ["id", "expires_at"],
        "properties": { "id": id, "expires_at": maybe },
    });
    // Shown without what receivers keep secret in it, so it need not be a URL any more.
    told["ToldWebhook"]["properties"]["webhook"]["properties"]["url"] = json!({
        "type": "string", "format": "text", "description": "Where events are posted to, without the query.",
    });
    told
}

/// A schema with some of the properties of another.
fn part(whole: &Value, keep: impl Fn(&str) -> bool, required: &[&str], description: &str) -> Value {
    let properties: Map<_, _> = whole["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| keep(name))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect();
    json!({ "type": "object", "description": description, "required": required, "properties": properties })
}

#[cfg(test)]
mod tests {
    use super::pascal;

    #[test]
    fn names_of_schemas() {
        assert_eq!(pascal("license.ip_bound"), "LicenseIpBound");
        assert_eq!(pascal("api_key.created"), "ApiKeyCreated");
    }
}
