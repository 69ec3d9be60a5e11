//! The OpenAPI document, made from the handlers' own signatures: what an extractor needs and what a
//! reply carries is said once, here, for each kind. Native only; the worker serves the result as a file.

use crate::error::Error;
use crate::http::body::{Body, Parts};
use crate::http::change::Stop;
use crate::http::endpoint::{Handler, NoBody};
use crate::http::idempotency::Once;
use crate::http::params::{Caller, Counted, Id, Ids, Inner, Key, Known, Paged, Query};
use crate::http::permit::{OnPerson, OwnProfile, Permit, Required, SignedIn};
use crate::db::{Listing};
use crate::db::page::Meta;
use crate::http::reply::{Reply, Streamed};
use crate::http::strict::AskedPage;
use aide::generate::{GenContext, in_context, reset_context};
use aide::openapi::{
    HeaderStyle, Info, MediaType, OpenApi, Operation, Parameter, ParameterData,
    ParameterSchemaOrContent, PathItem, PathStyle, ReferenceOr, RequestBody, Response,
    SchemaObject, SecurityScheme, Server, StatusCode, Tag,
};
use aide::operation::{
    OperationInput, OperationOutput, ParamLocation, add_parameters, parameters_from_schema,
    set_body,
};
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::json;

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
        summary: &str,
        _: H,
    ) {
        let mut operation = Operation {
            summary: Some(summary.into()),
            operation_id: Some(operation_id(method, path)),
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

fn operation_id(method: &str, path: &str) -> String {
    let words: Vec<_> = path
        .split(['/', '-'])
        .filter(|word| !word.is_empty() && *word != "api")
        .map(|word| word.trim_matches(['{', '}']))
        .collect();
    format!("{method}_{}", words.join("_"))
}

fn tag(path: &str) -> &str {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    match words.next() {
        Some("api") => words.next().unwrap_or("api"),
        other => other.unwrap_or("api"),
    }
}

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

fn response(description: &str, schema: Schema) -> Response {
    Response {
        description: description.into(),
        content: [("application/json".to_owned(), media(schema))]
            .into_iter()
            .collect(),
        ..Response::default()
    }
}

fn parameter(name: &str, description: &str, required: bool, schema: Schema) -> ParameterData {
    ParameterData {
        name: name.into(),
        description: Some(description.into()),
        required,
        format: ParameterSchemaOrContent::Schema(SchemaObject {
            json_schema: schema,
            example: None,
            external_docs: None,
        }),
        extensions: Default::default(),
        deprecated: None,
        example: None,
        examples: Default::default(),
        explode: None,
    }
}

fn path_id(name: &str) -> Parameter {
    let data = parameter(
        name,
        "UUID",
        true,
        json_schema!({ "type": "string", "format": "uuid" }),
    );
    Parameter::Path {
        parameter_data: data,
        style: PathStyle::Simple,
    }
}

/// Either way of signing in.
fn secure(operation: &mut Operation) {
    operation.security = ["token", "apiKey"]
        .into_iter()
        .map(|name| [(name.to_owned(), Vec::new())].into_iter().collect())
        .collect();
}

impl OperationInput for SignedIn {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        secure(operation);
        operation.description = Some("Any signed-in caller.".into());
    }
}

impl OperationInput for OwnProfile {}

impl<Own: Required, All: Required> OperationInput for OnPerson<Own, All> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        secure(operation);
        let (own, all) = (Own::PERMISSION.as_str(), All::PERMISSION.as_str());
        for (name, permission) in [("x-permission", all), ("x-permission-own", own)] {
            operation.extensions.insert(name.into(), json!(permission));
        }
        operation.description = Some(format!(
            "Requires the permission `{own}` for oneself, `{all}` for others."
        ));
        add_parameters(ctx, operation, [path_id("id")]);
    }
}

impl<P: Required> OperationInput for Permit<P> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        secure(operation);
        operation
            .extensions
            .insert("x-permission".into(), json!(P::PERMISSION.as_str()));
        operation.description = Some(format!(
            "Requires the permission `{}`.",
            P::PERMISSION.as_str()
        ));
    }
}

impl<T: JsonSchema, const LIMIT: usize> OperationInput for Body<T, LIMIT> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let schema = ctx.schema.subschema_for::<T>();
        let body = RequestBody {
            content: [("application/json".to_owned(), media(schema))]
                .into_iter()
                .collect(),
            required: true,
            ..RequestBody::default()
        };
        set_body(ctx, operation, body);
    }
}

impl<T: JsonSchema> OperationInput for Parts<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Body::<T>::operation_input(ctx, operation);
    }
}

impl<T: OperationInput> OperationInput for Once<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        T::operation_input(ctx, operation);
        let data = parameter(
            "Idempotency-Key",
            "The same key with the same request replays the first answer for a day; with another request it is refused.",
            false,
            json_schema!({ "type": "string", "minLength": 1, "maxLength": 255 }),
        );
        add_parameters(
            ctx,
            operation,
            [Parameter::Header {
                parameter_data: data,
                style: HeaderStyle::Simple,
            }],
        );
    }
}

impl<T: JsonSchema> OperationInput for Query<T> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let schema = ctx.schema.subschema_for::<T>();
        let parameters = parameters_from_schema(ctx, schema, ParamLocation::Query);
        add_parameters(ctx, operation, parameters);
    }
}

impl<F: JsonSchema> OperationInput for Paged<F> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        for schema in [
            ctx.schema.subschema_for::<F>(),
            ctx.schema.subschema_for::<AskedPage>(),
        ] {
            let parameters = parameters_from_schema(ctx, schema, ParamLocation::Query);
            add_parameters(ctx, operation, parameters);
        }
    }
}

impl OperationInput for Id {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters(ctx, operation, [path_id("id")]);
    }
}

impl OperationInput for Caller {}

impl OperationInput for NoBody {}

impl OperationInput for Known {}

impl OperationInput for Counted {}

impl OperationInput for Key {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        let text = json_schema!({ "type": "string", "maxLength": 100 });
        let key = Parameter::Path {
            parameter_data: parameter("key", "Key", true, text),
            style: PathStyle::Simple,
        };
        add_parameters(ctx, operation, [key]);
    }
}

impl OperationInput for Inner {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters(ctx, operation, [path_id("inner_id")]);
    }
}

impl OperationInput for Ids {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters(ctx, operation, [path_id("id"), path_id("inner_id")]);
    }
}

impl<T: JsonSchema, const STATUS: u16> OperationOutput for Reply<T, STATUS> {
    type Inner = T;

    fn inferred_responses(ctx: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        if STATUS == 204 {
            let done = Response {
                description: "Done".into(),
                ..Response::default()
            };
            return vec![(Some(204), done)];
        }
        let data = ctx.schema.subschema_for::<T>();
        let schema = json_schema!({
            "type": "object",
            "required": ["success", "data"],
            "additionalProperties": false,
            "properties": { "success": { "const": true }, "data": data },
        });
        let description = match STATUS {
            201 => "Created",
            202 => "Accepted",
            _ => "OK",
        };
        vec![(Some(STATUS), response(description, schema))]
    }
}

impl<T: JsonSchema> OperationOutput for Listing<T> {
    type Inner = T;

    fn inferred_responses(ctx: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let (row, meta) = (
            ctx.schema.subschema_for::<T>(),
            ctx.schema.subschema_for::<Meta>(),
        );
        let schema = json_schema!({
            "type": "object",
            "required": ["success", "data", "meta"],
            "additionalProperties": false,
            "properties": { "success": { "const": true }, "data": { "type": "array", "items": row }, "meta": meta },
        });
        vec![(Some(200), response("One page", schema))]
    }
}

impl OperationOutput for Streamed {
    type Inner = String;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let text = || media(json_schema!({ "type": "string" }));
        let response = Response {
            description: "The file, streamed".into(),
            content: Streamed::CONTENT_TYPES
                .into_iter()
                .map(|content_type| (content_type.to_owned(), text()))
                .collect(),
            ..Response::default()
        };
        vec![(Some(200), response)]
    }
}

/// The body of every error.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `Error::body` writes")]
struct Failed {
    /// Always false.
    success: bool,
    /// What went wrong.
    error: Problem,
}

/// What went wrong.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "describes what `Error::object` writes")]
struct Problem {
    /// Stable, for programs.
    #[schemars(schema_with = "codes")]
    code: String,
    /// For people, in their language.
    message: String,
    /// Quote it to support.
    request_id: String,
    /// Particulars, such as the fields that are wrong.
    details: Option<serde_json::Map<String, serde_json::Value>>,
}

fn codes(_: &mut schemars::SchemaGenerator) -> Schema {
    let codes: Vec<_> = crate::error::Code::ALL
        .iter()
        .map(|code| code.as_str())
        .collect();
    json_schema!({ "type": "string", "enum": codes })
}

impl OperationOutput for Error {
    type Inner = ();

    fn operation_response(ctx: &mut GenContext, _: &mut Operation) -> Option<Response> {
        Some(response(
            "What went wrong",
            ctx.schema.subschema_for::<Failed>(),
        ))
    }

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        Self::operation_response(ctx, operation)
            .map(|response| (None, response))
            .into_iter()
            .collect()
    }
}

impl OperationOutput for Stop {
    type Inner = ();

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        Error::inferred_responses(ctx, operation)
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
                 (`es` by default, `en`)."
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
    ];
    api.tags = tags
        .map(|(name, description)| Tag {
            name: name.into(),
            description: Some(description.into()),
            ..Tag::default()
        })
        .into();
    let mut text = serde_json::to_string_pretty(&api).unwrap_or_default();
    text.push('\n');
    text
}
