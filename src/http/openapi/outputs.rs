//! What each kind of output is in the document.

use super::media;
use crate::db::Listing;
use crate::db::page::Meta;
use crate::error::Error;
use crate::http::change::Stop;
use crate::http::problem::{Failed, OpenAiFailed};
use crate::http::reply::{
    Bare, Data, Elsewhere, Events, Files, Found, Output, Pdf, Reply, Shared, Spoken, Streamed,
};
use aide::generate::GenContext;
use aide::openapi::{
    Header, HeaderStyle, Operation, ParameterSchemaOrContent, ReferenceOr, Response, SchemaObject,
};
use aide::operation::OperationOutput;
use schemars::{JsonSchema, Schema, json_schema};

fn response(description: &str, schema: Schema) -> Response {
    Response {
        description: description.into(),
        content: [("application/json".to_owned(), media(schema))]
            .into_iter()
            .collect(),
        ..Response::default()
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
