//! The description of the API, made from the handlers, and the page that shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, Info, ObjectBuilder, OneOfBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
    Schema, Type,
};
use utoipa::{IntoParams, IntoResponses, PartialSchema, ToSchema};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::answer::Later;
use super::error::ErrorBody;

/// Where the description can be read.
const PAGE: &str = "/api/docs";

/// The headers that every command takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes headers that the errand and the idempotency layer read")]
pub(super) struct CommandHeaders {
    /// The version of the query that the client saw, as its `ETag` said.
    #[param(rename = "If-Match", example = "\"17\"")]
    if_match: Option<String>,
    /// Names this command: sending it again is answered as the first time.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
    /// `respond-async` answers 202 without waiting for the read models.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// The headers of a command that makes something new, which has no version yet.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "describes headers that the errand and the idempotency layer read")]
pub(super) struct FoundingHeaders {
    /// Names this command: sending it again is answered as the first time. Without a token it must be too long to be
    /// guessed: 32 characters or more, such as a UUID.
    #[param(rename = "Idempotency-Key", max_length = 255)]
    idempotency_key: Option<String>,
    /// `respond-async` answers 202 without waiting for the read models.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// What a path answers with where it has two answers: one for staff and one for donors, or one for yes and one for no.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes answers that the handlers make one by one")]
pub(super) enum Either<A, B> {
    One(A),
    Other(B),
}

/// What a read may be answered with instead.
pub(super) struct ReadErrors;

/// What a command may be answered with instead.
pub(super) struct CommandErrors;

/// What a change of an account may be answered with instead.
pub(super) struct WriteErrors;

/// What a request without a credential may be answered with instead.
pub(super) struct PublicErrors;

const PUBLIC: &[(&str, &str)] = &[
    ("400", "The request cannot be read, or breaks rules"),
    ("429", "The caller asks too often; see Retry-After"),
    ("500", "A fault of the service"),
    ("503", "The service is busy or not fresh enough; see Retry-After"),
];

const READ: &[(&str, &str)] = &[
    ("401", "There is no credential, or it is not good"),
    ("403", "The credential is not for this"),
    ("404", "There is no such thing, or not for this caller"),
];

const WRITE: &[(&str, &str)] = &[
    ("409", "The name is taken, or nobody would be left to manage accounts"),
    ("408", "The body took too long"),
    ("413", "The body is too long"),
    ("415", "The body is neither JSON nor a form"),
];

const COMMAND: &[(&str, &str)] = &[
    ("409", "A rule of the query stands against it"),
    ("412", "The query changed since the client saw it"),
    ("408", "The body took too long"),
    ("413", "The body is too long"),
    ("415", "The body is neither JSON nor a form"),
    ("422", "The request means nothing, or its idempotency key was used for another"),
];

impl IntoResponses for PublicErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[PUBLIC])
    }
}

impl IntoResponses for ReadErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[PUBLIC, READ])
    }
}

impl IntoResponses for WriteErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        errors(&[PUBLIC, READ, WRITE])
    }
}

impl IntoResponses for CommandErrors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = errors(&[PUBLIC, READ, COMMAND]);
        responses.insert("202".to_owned(), described("Done, but not visible yet", "Later"));
        responses
    }
}

fn errors(tables: &[&[(&str, &str)]]) -> BTreeMap<String, RefOr<Response>> {
    let lines = tables.iter().copied().flatten();
    lines.map(|(status, text)| ((*status).to_owned(), described(text, "ErrorBody"))).collect()
}

fn described(text: &str, schema: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
    ResponseBuilder::new().description(text).content("application/json", content).build().into()
}

/// Adds what no handler knows: the title, the names of operations, the schemes of credentials, and the schema of errors.
pub(super) fn complete(document: &mut OpenApi) {
    document.info = Info::new("Proof Concierge", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(
        "A support desk where every step is a fact. Commands answer once their effect is visible; every answer says in \
         `Concierge-Position` which fact it is at least as new as."
            .to_owned(),
    );
    name_operations(document);
    let components = document.components.get_or_insert_with(Components::default);
    for (name, text) in [
        ("staff", "The `access_token` of `POST /api/v1/auth/login`; 24 hours"),
        ("donor", "The `donorToken` of `POST /api/v1/donor-queries`; 90 days"),
    ] {
        let scheme =
            HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(text)).build();
        components.add_security_scheme(name, SecurityScheme::Http(scheme));
    }
    let mut schemas = Vec::new();
    ErrorBody::schemas(&mut schemas);
    Later::schemas(&mut schemas);
    schemas.push((ErrorBody::name().into_owned(), ErrorBody::schema()));
    schemas.push((Later::name().into_owned(), Later::schema()));
    components.schemas.extend(schemas);
    let_calls_be_absent(components);
}

/// Names operations after their methods and paths, as in `patchDonorQueriesByIdAccept`: handlers' names are not unique.
fn name_operations(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                operation.operation_id = Some(operation_name(method, path));
            }
        }
    }
}

fn operation_name(method: &str, path: &str) -> String {
    let words = path.trim_start_matches("/api/v1").split(['/', '-', '.']).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |name, word| {
        let (by, word) = word.strip_prefix('{').map_or(("", word), |value| ("By", value.trim_end_matches('}')));
        let (initial, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        format!("{name}{by}{}{rest}", initial.to_uppercase())
    })
}

/// Says that calls may be answered with nothing: the description of a generic type forgets it.
fn let_calls_be_absent(components: &mut Components) {
    let envelopes = components.schemas.iter_mut().filter(|(name, _)| name.starts_with("CallEnvelope"));
    for (_, envelope) in envelopes {
        if let RefOr::T(Schema::Object(envelope)) = envelope
            && let Some(data) = envelope.properties.get_mut("data")
        {
            let nothing = ObjectBuilder::new().schema_type(Type::Null);
            *data = OneOfBuilder::new().item(data.clone()).item(nothing).into();
        }
    }
}

/// The description itself, and the page that shows it; all assets are part of the program.
pub(super) fn pages(document: OpenApi) -> Router {
    let document = Arc::new(document);
    let page = SwaggerUi::new(PAGE).config(Config::from("/api/openapi.json"));
    Router::new().route("/api/openapi.json", get(move || async move { Json(document.as_ref().clone()) })).merge(page)
}
