//! What each kind of input and output is in the document.

use crate::db::Listing;
use crate::db::page::Meta;
use crate::error::Error;
use crate::http::body::{Body, Bytes, Parts};
use crate::http::change::Stop;
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::{
    Browser, Caller, Counted, Id, Ids, Inner, Key, Known, Paged, Query, Ranked,
};
use crate::http::permit::{Light, OnPerson, OwnProfile, Permit, Required, SignedIn};
use crate::http::problem::{Failed, OpenAiFailed};
use crate::http::reply::{
    Bare, Data, Elsewhere, Events, Files, Found, Output, Pdf, Reply, Shared, Spoken, Streamed,
};
use crate::http::strict::{AskedPage, LISTED, RANKED};
use aide::generate::GenContext;
use aide::openapi::{
    Header, HeaderStyle, MediaType, Operation, Parameter, ParameterData, ParameterSchemaOrContent,
    PathStyle, ReferenceOr, RequestBody, Response, SchemaObject,
};
use aide::operation::{
    OperationInput, OperationOutput, ParamLocation, add_parameters, parameters_from_schema,
    set_body,
};
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::json;

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

impl<P: Required> OperationInput for Light<P> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        Permit::<P>::operation_input(ctx, operation);
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
            "The same key with the same request, byte for byte, replays the first answer for a day; with another request it is refused.",
            false,
            json_schema!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$" }),
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

/// The filters of a list, and what is `known` of a page.
fn add_page<F: JsonSchema>(ctx: &mut GenContext, operation: &mut Operation, known: &[&str]) {
    Query::<F>::operation_input(ctx, operation);
    let schema = ctx.schema.subschema_for::<AskedPage>();
    let mut parameters = parameters_from_schema(ctx, schema, ParamLocation::Query);
    parameters.retain(|one| known.contains(&one.parameter_data_ref().name.as_str()));
    add_parameters(ctx, operation, parameters);
}

impl<F: JsonSchema> OperationInput for Paged<F> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_page::<F>(ctx, operation, LISTED);
    }
}

impl<F: JsonSchema> OperationInput for Ranked<F> {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_page::<F>(ctx, operation, RANKED);
    }
}

impl OperationInput for Id {
    fn operation_input(ctx: &mut GenContext, operation: &mut Operation) {
        add_parameters(ctx, operation, [path_id("id")]);
    }
}

impl OperationInput for Caller {}

impl OperationInput for Browser {}

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

/// What it looks like is for its sender to say.
impl<const LIMIT: usize> OperationInput for Bytes<LIMIT> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        operation.description = Some(
            "The body is as its sender signed it, and described in the sender's documentation."
                .into(),
        );
    }
}

impl OperationOutput for Pdf {
    type Inner = String;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let file = media(json_schema!({ "type": "string", "format": "binary" }));
        let response = Response {
            description: "The file".into(),
            content: [(Pdf::CONTENT_TYPE.to_owned(), file)].into_iter().collect(),
            ..Response::default()
        };
        vec![(Some(200), response)]
    }
}

/// The header by which an answer is asked for again.
fn etag() -> (String, ReferenceOr<Header>) {
    let header = Header {
        description: Some("Of this content; for `If-None-Match`.".into()),
        style: HeaderStyle::Simple,
        required: true,
        deprecated: None,
        format: ParameterSchemaOrContent::Schema(SchemaObject {
            json_schema: json_schema!({ "type": "string" }),
            example: None,
            external_docs: None,
        }),
        example: None,
        examples: Default::default(),
        extensions: Default::default(),
    };
    ("ETag".into(), ReferenceOr::Item(header))
}

impl<O: OperationOutput> OperationOutput for Shared<O> {
    type Inner = O::Inner;

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        let mut responses = O::inferred_responses(ctx, operation);
        for (_, response) in &mut responses {
            response.headers.extend([etag()]);
        }
        let unchanged = Response {
            description: "It is what `If-None-Match` names".into(),
            ..Response::default()
        };
        responses.push((Some(304), unchanged));
        responses
    }
}

impl<T: JsonSchema> OperationOutput for Found<T> {
    type Inner = T;

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        let mut responses = Shared::<Data<T>>::inferred_responses(ctx, operation);
        let moved = Response {
            description: "It is found at `Location` now".into(),
            ..Response::default()
        };
        responses.push((Some(301), moved));
        responses
    }
}

impl OperationOutput for Elsewhere {
    type Inner = ();

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let moved = Response {
            description: "It is at `Location` for now".into(),
            ..Response::default()
        };
        vec![(Some(302), moved)]
    }
}

impl<F: Files> OperationOutput for Streamed<F> {
    type Inner = String;

    fn inferred_responses(_: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let body = |content_type: &str| match content_type == Streamed::ZIP {
            true => media(json_schema!({ "type": "string", "format": "binary" })),
            false => media(json_schema!({ "type": "string" })),
        };
        let response = Response {
            description: "The file, streamed".into(),
            content: F::TYPES
                .iter()
                .map(|content_type| ((*content_type).to_owned(), body(content_type)))
                .collect(),
            ..Response::default()
        };
        vec![(Some(200), response)]
    }
}

impl<T: JsonSchema> OperationOutput for Bare<T> {
    type Inner = T;

    fn inferred_responses(ctx: &mut GenContext, _: &mut Operation) -> Vec<(Option<u16>, Response)> {
        let schema = ctx.schema.subschema_for::<T>();
        vec![(Some(200), response("Good", schema))]
    }
}

impl<W: Output> OperationOutput for Spoken<W> {
    type Inner = W::Inner;

    fn inferred_responses(
        ctx: &mut GenContext,
        operation: &mut Operation,
    ) -> Vec<(Option<u16>, Response)> {
        let mut responses = W::inferred_responses(ctx, operation);
        for (_, response) in &mut responses {
            let text = media(json_schema!({ "type": "string" }));
            response
                .content
                .insert(Events::CONTENT_TYPE.to_owned(), text);
        }
        responses
    }
}

/// What every operation of OpenAI's API answers when something went wrong.
pub(super) fn openai_failed(ctx: &mut GenContext) -> Response {
    response(
        "What went wrong",
        ctx.schema.subschema_for::<OpenAiFailed>(),
    )
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
