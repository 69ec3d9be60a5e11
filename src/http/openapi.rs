//! The OpenAPI document, made from the handlers' own signatures: what an extractor needs and what a
//! reply carries is said once, here, for each kind. Native only; the worker serves the result as a file.

mod events;
mod finish;
mod inputs;
mod outputs;

use crate::error::openai;
use crate::http::endpoint::Handler;
use aide::generate::{in_context, reset_context};
use aide::openapi::{
    Info, MediaType, OpenApi, Operation, PathItem, ReferenceOr, SchemaObject, SecurityScheme,
    Server, StatusCode, Tag,
};
use schemars::Schema;
use serde_json::Value;

/// What a body of this shape is in the document.
fn media(schema: Schema) -> MediaType {
    MediaType {
        schema: Some(SchemaObject {
            json_schema: schema,
            example: None,
            external_docs: None,
        }),
        ..MediaType::default()
    }
}

/// The document while it is made.
pub struct Document {
    paths: Vec<(&'static str, PathItem)>,
}

impl Document {
    /// Adds an endpoint.
    pub fn operation<I, H: Handler<I>>(
        &mut self,
        method: &str,
        path: &'static str,
        (name, summary): (&str, &str),
        _: H,
    ) {
        let mut operation = Operation {
            summary: Some(summary.into()),
            operation_id: Some(name.into()),
            tags: vec![tag(path).into()],
            ..Operation::default()
        };
        let found = in_context(|context| H::describe(context, &mut operation));
        let responses = operation.responses.get_or_insert_with(Default::default);
        for (status, response) in found {
            let response = ReferenceOr::Item(response);
            match status {
                Some(status) => {
                    responses
                        .responses
                        .insert(StatusCode::Code(status), response);
                }
                None if openai::is_at(path) => {
                    let failed = in_context(outputs::openai_failed);
                    responses.default = Some(ReferenceOr::Item(failed));
                }
                None => responses.default = Some(response),
            }
        }
        if !self.paths.iter().any(|(known, _)| *known == path) {
            self.paths.push((path, PathItem::default()));
        }
        let item = self.paths.iter_mut().find(|(known, _)| *known == path);
        let Some((_, item)) = item else { return };
        let place = match method {
            "get" => &mut item.get,
            "post" => &mut item.post,
            "patch" => &mut item.patch,
            _ => &mut item.delete,
        };
        *place = Some(operation);
    }

    /// Moves everything into `api`.
    fn finish(self, api: &mut OpenApi) {
        let paths = self
            .paths
            .into_iter()
            .map(|(path, item)| (path.to_owned(), ReferenceOr::Item(item)));
        api.paths.get_or_insert_with(Default::default).paths = paths.collect();
        let definitions = in_context(|context| context.schema.take_definitions(true));
        let schemas = definitions.into_iter().filter_map(|(name, schema)| {
            let schema = SchemaObject {
                json_schema: schema.try_into().ok()?,
                example: None,
                external_docs: None,
            };
            Some((name, schema))
        });
        let components = api.components.get_or_insert_with(Default::default);
        components.schemas.extend(schemas);
        reset_context();
    }
}

fn tag(path: &str) -> &str {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    match words.next() {
        Some("api") => words.next().unwrap_or("api"),
        other => other.unwrap_or("api"),
    }
}

/// The whole document, as pretty JSON with a newline at the end; `describe` adds the endpoints.
pub fn document(describe: fn(&mut Document)) -> String {
    aide::generate::extract_schemas(true);
    let mut api = OpenApi {
        info: Info {
            title: "CELAEST Core".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            description: Some(
                "Licensing, billing and AI for software vendors. Answers come in an envelope: `success`, then `data` \
                 (with `meta` for pages) or `error`. `error.code` never changes; `error.message` follows `Accept-Language` \
                 (`es` by default, `en`). Where a body takes `null` for an optional field, it is the same as leaving it out; in a `PATCH` \
                 it clears what is there."
                    .into(),
            ),
            ..Info::default()
        },
        servers: vec![Server { url: "/".into(), ..Server::default() }],
        ..OpenApi::default()
    };
    let mut document = Document { paths: Vec::new() };
    describe(&mut document);
    document.finish(&mut api);
    let components = api.components.get_or_insert_with(Default::default);
    components.security_schemes.insert(
        "token".into(),
        ReferenceOr::Item(SecurityScheme::Http {
            scheme: "bearer".into(),
            bearer_format: Some("JWT".into()),
            description: Some("An access token of Supabase Auth.".into()),
            extensions: Default::default(),
        }),
    );
    components.security_schemes.insert(
        "apiKey".into(),
        ReferenceOr::Item(SecurityScheme::ApiKey {
            location: aide::openapi::ApiKeyLocation::Header,
            name: "X-API-Key".into(),
            description: Some(
                "An API key of a user; its scopes narrow what the user may do.".into(),
            ),
            extensions: Default::default(),
        }),
    );
    let tags = [
        ("health", "Is it up?"),
        ("users", "People, their sessions and their API keys."),
        (
            "organizations",
            "Tenants, their members and their subscription.",
        ),
        ("auth", "Who is calling."),
        ("licenses", "Licenses and their validation."),
        ("settings", "The configuration of the system."),
        ("feature-flags", "What is switched on, and for whom."),
        ("webhooks", "What other systems are told."),
        (
            "audit-logs",
            "Who did what, and the proof that the log is whole.",
        ),
        ("telemetry", "What programs report of themselves."),
        (
            "analytics",
            "Numbers over time, shaped for charts; each is defined in `docs/metrics.md`.",
        ),
        (
            "plans",
            "What organizations subscribe to and licenses grant.",
        ),
        ("orders", "What is bought and sold, paid and paid back."),
        ("subscriptions", "What is paid again and again."),
        ("invoices", "Invoices and credit notes."),
        ("payment-methods", "Saved cards."),
        ("coupons", "What takes something off a price."),
        ("tax-rates", "Taxes by country and state."),
        ("payment-events", "What payment gateways told."),
        (
            "payment-differences",
            "Where a payment gateway and the orders differ.",
        ),
        ("system", "What operators look after."),
        (
            "ai",
            "Models, their providers' keys, prompts, questions, tasks and batches.",
        ),
        ("v1", "The same questions as OpenAI's clients ask them."),
        ("categories", "What products are sorted into."),
        (
            "products",
            "What is on sale; everybody reads it. `ETag` and `If-None-Match` are understood.",
        ),
        ("reviews", "What people say of products."),
        (
            "releases",
            "Versions of products, and what programs that look for updates are told.",
        ),
        ("downloads", "Links to what was bought."),
        (
            "my",
            "The own products and releases, as their vendor sees them, and what was bought.",
        ),
    ];
    api.tags = tags
        .map(|(name, description)| Tag {
            name: name.into(),
            description: Some(description.into()),
            ..Tag::default()
        })
        .into();
    let mut whole = serde_json::to_value(&api).unwrap_or(Value::Null);
    events::add(&mut whole);
    finish::finish(&mut whole);
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}
