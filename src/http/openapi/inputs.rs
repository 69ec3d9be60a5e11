//! What each kind of input is in the document.

use super::media;
use crate::http::body::{Body, Bytes, Parts};
use crate::http::endpoint::NoBody;
use crate::http::idempotency::Once;
use crate::http::params::{
    Browser, Caller, Counted, Id, Ids, Inner, Key, Known, Paged, Query, Ranked,
};
use crate::http::permit::{Light, OnPerson, OwnProfile, Permit, Required, SignedIn};
use crate::http::strict::{AskedPage, LISTED, RANKED};
use aide::generate::GenContext;
use aide::openapi::{
    HeaderStyle, Operation, Parameter, ParameterData, ParameterSchemaOrContent, PathStyle,
    RequestBody, SchemaObject,
};
use aide::operation::{
    OperationInput, ParamLocation, add_parameters, parameters_from_schema, set_body,
};
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::json;

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

/// What it looks like is for its sender to say.
impl<const LIMIT: usize> OperationInput for Bytes<LIMIT> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        operation.description = Some(
            "The body is as its sender signed it, and described in the sender's documentation."
                .into(),
        );
    }
}
