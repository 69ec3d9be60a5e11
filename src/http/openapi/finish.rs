//! The last pass over the document: what generators of clients and linters need said in one certain way,
//! whichever library or type it comes from.

use serde_json::{Map, Value, json};

/// True requests and answers of each operation, by its name; `npm run openapi -- --examples` records them.
const EXAMPLES: &str = include_str!("examples.json");

const METHODS: [&str; 4] = ["get", "post", "patch", "delete"];

/// Puts the document in its published form.
pub fn finish(document: &mut Value) {
    tidy(document);
    drop_unused(document);
    let required: Map<String, Value> = schemas_with_required(document);
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    let Some(Value::Object(paths)) = document.get_mut("paths") else {
        return;
    };
    for item in paths.values_mut() {
        for operation in METHODS
            .iter()
            .filter_map(|method| {
                item.get_mut(*method)
                    .map(Value::take)
                    .map(|it| (method, it))
            })
            .collect::<Vec<_>>()
        {
            let (method, mut operation) = operation;
            if operation.get("security").is_none() {
                operation["security"] = json!([]);
            }
            if let Some(body) = operation.get_mut("requestBody") {
                // Nothing is as good as an object without fields where none is required.
                let name = body["content"]["application/json"]["schema"]["$ref"].as_str();
                let name = name
                    .and_then(|path| path.rsplit('/').next())
                    .unwrap_or_default();
                body["required"] = required.contains_key(name).into();
            }
            let name = operation["operationId"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            illustrate(&mut operation, &examples[name]);
            item[*method] = operation;
        }
    }
}

fn schemas_with_required(document: &Value) -> Map<String, Value> {
    let schemas = document["components"]["schemas"].as_object();
    let needed = schemas.into_iter().flatten();
    needed
        .filter(|(_, schema)| {
            schema["required"]
                .as_array()
                .is_some_and(|names| !names.is_empty())
        })
        .map(|(name, _)| (name.clone(), Value::Null))
        .collect()
}

fn illustrate(operation: &mut Value, example: &Value) {
    let mut put = |pointer: &str, example: &Value| {
        if let (Some(media), false) = (operation.pointer_mut(pointer), example.is_null()) {
            media["example"] = example.clone();
        }
    };
    put(
        "/requestBody/content/application~1json",
        &example["request"],
    );
    let status = example["status"].as_u64().unwrap_or_default();
    put(
        &format!("/responses/{status}/content/application~1json"),
        &example["response"],
    );
}

/// Goes through all schemas.
fn tidy(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(tidy),
        Value::Object(fields) => {
            if fields.get("default").is_some_and(Value::is_null) {
                fields.remove("default");
            }
            if fields.get("items") == Some(&Value::Bool(true)) {
                fields.insert("items".into(), json!({}));
            }
            if fields.get("const").is_some_and(Value::is_boolean) {
                fields.insert("type".into(), json!("boolean"));
            }
            as_enum(fields);
            if let Some(Value::Object(properties)) = fields.get_mut("properties") {
                for (name, schema) in properties {
                    if *schema == Value::Bool(true) {
                        *schema = json!({});
                    }
                    add_format(name, schema);
                    say_default(schema);
                }
            }
            fields.values_mut().for_each(tidy);
        }
        _ => {}
    }
}

/// What is taken for a field that is left out is said in words: generators make a field with a default one
/// that has to be there.
fn say_default(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else {
        return;
    };
    let Some(default) = fields.remove("default") else {
        return;
    };
    if default.is_null() || default.is_object() || default.is_array() {
        return;
    }
    let said = fields.get("description").and_then(Value::as_str);
    let text = format!("{} Default: `{default}`.", said.unwrap_or_default());
    fields.insert("description".into(), text.trim().into());
}

/// Takes out the schemas that nothing names, until none is left.
fn drop_unused(document: &mut Value) {
    loop {
        let text = document.to_string();
        let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") else {
            return;
        };
        let before = schemas.len();
        schemas.retain(|name, _| text.contains(&format!("\"#/components/schemas/{name}\"")));
        if schemas.len() == before {
            return;
        }
    }
}

/// Constants to choose from become one enumeration that says what each of them means.
fn as_enum(fields: &mut Map<String, Value>) {
    let Some(Value::Array(choices)) = fields.get("oneOf") else {
        return;
    };
    let mut names = Vec::new();
    let mut meanings = String::new();
    for choice in choices {
        match (&choice["const"], &choice["enum"]) {
            (name @ Value::String(text), _) => {
                names.push(name.clone());
                let meaning = choice["description"]
                    .as_str()
                    .unwrap_or_default()
                    .replace('\n', " ");
                meanings.push_str(&format!("\n- `{text}`: {meaning}"));
            }
            (_, Value::Array(more)) => names.extend(more.iter().cloned()),
            _ => return,
        }
    }
    let said = fields
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let description = format!("{said}\n{meanings}").trim().to_owned();
    fields.remove("oneOf");
    fields.insert("type".into(), json!("string"));
    fields.insert("enum".into(), names.into());
    fields.insert("description".into(), description.into());
}

/// What a text is, by the name that a field of its kind has everywhere in the API.
fn add_format(name: &str, schema: &mut Value) {
    let is_text = match &schema["type"] {
        Value::String(kind) => kind == "string",
        Value::Array(kinds) => kinds.contains(&json!("string")),
        _ => false,
    };
    if !is_text
        || ["format", "enum", "const"]
            .iter()
            .any(|key| schema.get(key).is_some())
    {
        return;
    }
    let format = match name {
        "failing_since" | "first_seen" | "last_seen" | "timestamp" => "date-time",
        _ if name.ends_with("_at") => "date-time",
        "email" => "idn-email",
        // Of either version; no format of JSON Schema is for both.
        "connection_ip" | "ip_address" | "ip_address_a" | "ip_address_b" => "ip",
        "avatar_url" | "favicon_url" | "logo_url" | "url" | "website" => "uri",
        _ => return,
    };
    schema["format"] = format.into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_become_an_enumeration() {
        let mut schema = json!({ "description": "Where.", "oneOf": [
            { "type": "string", "const": "a", "description": "Here." }, { "type": "string", "enum": ["b", "c"] } ] });
        tidy(&mut schema);
        assert_eq!(
            schema,
            json!({ "type": "string", "enum": ["a", "b", "c"], "description": "Where.\n\n- `a`: Here." })
        );
    }

    #[test]
    fn what_generators_stumble_over_is_gone() {
        let mut schema = json!({ "properties": {
            "created_at": { "type": ["string", "null"], "default": null },
            "sort": { "type": "string", "default": "name", "description": "By what." },
            "limits": { "$ref": "#/x", "default": {} },
            "anything": true, "list": { "type": "array", "items": true } } });
        tidy(&mut schema);
        assert_eq!(
            schema,
            json!({ "properties": {
                "created_at": { "type": ["string", "null"], "format": "date-time" },
                "sort": { "type": "string", "description": "By what. Default: `\"name\"`." },
                "limits": { "$ref": "#/x" },
                "anything": {}, "list": { "type": "array", "items": {} } } })
        );
    }
}
