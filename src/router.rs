//! The contents page: every endpoint of the API, one line each.
//!
//! A handler's signature says what it needs. One without a `Permit` is open to everybody; those are
//! the routes under `open`, and the test that walks every route knows them by name.

use crate::error::{Code, Error};
use crate::modules::{
    audit, auth, feature_flags, health, licenses, organizations, settings, telemetry, users,
    webhooks,
};
use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::OnceLock;

/// Makes, from one list, the router that serves and the documented one that `openapi.json` comes from.
macro_rules! endpoints {
    ($($method:ident $path:literal => $handler:path, $summary:literal;)*) => {
        fn routes() -> Router {
            Router::new()$(.route($path, axum::routing::$method($handler)))*
        }

        /// The same routes with their documentation.
        #[cfg(not(target_arch = "wasm32"))]
        pub fn documented() -> aide::axum::ApiRouter {
            use crate::http::openapi::operation;
            aide::axum::ApiRouter::new()$(.api_route($path, operation::$method($handler, $path, $summary)))*
        }
    };
}

endpoints! {
    // Foundation, open
    get    "/health"                                        => health::overview,                 "Whether the worker is up, with its version";
    get    "/health/live"                                   => health::live,                     "Whether the worker answers at all";
    get    "/health/ready"                                  => health::ready,                    "Whether PostgreSQL and the Durable Objects answer";

    // Users
    get    "/api/users"                                     => users::list::list,                "Lists people";
    post   "/api/users"                                     => users::invite::create,            "Invites a person";
    get    "/api/users/{id}"                                => users::read::read,                "One person";
    patch  "/api/users/{id}"                                => users::update::update,            "Changes a person's role, scopes and names";
    delete "/api/users/{id}"                                => users::remove::remove,            "Removes a person";
    get    "/api/users/{id}/profile"                        => users::profile::read,             "The profile of a person";
    patch  "/api/users/{id}/profile"                        => users::profile::update,           "Changes the profile of a person";
    get    "/api/users/{id}/sessions"                       => users::sessions::list,            "The sign-ins of a person";
    delete "/api/users/{id}/sessions/{inner_id}"            => users::sessions::end,             "Ends a sign-in";
    get    "/api/users/{id}/api-keys"                       => users::api_keys::list::list,      "The API keys of a person";
    post   "/api/users/{id}/api-keys"                       => users::api_keys::create::create,  "Makes an API key and shows it once";
    delete "/api/users/{id}/api-keys/{inner_id}"            => users::api_keys::remove::remove,  "Deletes an API key";
    post   "/api/users/{id}/api-keys/{inner_id}/rotate"     => users::api_keys::rotate::rotate,  "Makes a new API key in the place of another";

    // Organizations
    get    "/api/organizations"                             => organizations::list::list,        "Lists organizations";
    post   "/api/organizations"                             => organizations::create::create,    "Founds an organization";
    get    "/api/organizations/{id}"                        => organizations::read::read,        "One organization";
    patch  "/api/organizations/{id}"                        => organizations::update::update,    "Changes an organization";
    delete "/api/organizations/{id}"                        => organizations::remove::remove,    "Closes an organization";
    get    "/api/organizations/{id}/members"                => organizations::members::members,  "The people of an organization";
    post   "/api/organizations/{id}/members"                => organizations::members::invite,   "Invites a person into an organization";
    patch  "/api/organizations/{id}/members/{inner_id}"     => organizations::members::update,   "Changes the role and scopes of a member";
    delete "/api/organizations/{id}/members/{inner_id}"     => organizations::members::remove,   "Removes a member";
    get    "/api/organizations/{id}/subscription"           => organizations::subscription::subscription, "Plan, limits and usage of an organization";

    // Authentication, open
    post   "/api/auth/refresh"                              => auth::refresh::refresh,           "Exchanges a refresh token for new tokens";

    // Authentication
    post   "/api/auth/verify"                               => auth::verify::verify,             "What the sent credential is worth";
    get    "/api/auth/me"                                   => auth::me::me,                     "The caller, their organization and permissions";
    post   "/api/auth/logout"                               => auth::logout::logout,             "Ends the own sign-in";

    // Licensing, open
    post   "/api/licenses/validate"                         => licenses::validate::documented,   "Validates a license key for an address";
    post   "/api/licenses/batch-validate"                   => licenses::batch_validate::batch,  "Validates up to 100 license keys";

    // Licensing
    get    "/api/licenses"                                  => licenses::list::list,             "Lists licenses";
    post   "/api/licenses"                                  => licenses::create::create,         "Creates a license with a new key";
    get    "/api/licenses/{id}"                             => licenses::read::read,             "One license";
    patch  "/api/licenses/{id}"                             => licenses::update::update,         "Changes a license";
    delete "/api/licenses/{id}"                             => licenses::cancel::cancel,         "Cancels a license for good";
    post   "/api/licenses/{id}/bind-ip"                     => licenses::actions::bind::bind,    "Binds an address to a license";
    delete "/api/licenses/{id}/unbind-ip"                   => licenses::actions::bind::unbind,  "Frees the slot of an address";
    get    "/api/licenses/{id}/ips"                         => licenses::ips::ips,               "The addresses of a license";
    get    "/api/licenses/{id}/collisions"                  => licenses::collisions::list,       "The collisions of a license";
    post   "/api/licenses/{id}/collisions/{inner_id}/resolve" => licenses::collisions::resolve,  "Marks a collision as resolved";
    get    "/api/licenses/{id}/validations"                 => licenses::validations::list,      "The validation log of a license";
    post   "/api/licenses/{id}/renew"                       => licenses::actions::renew::renew,  "Extends a license by calendar months";
    post   "/api/licenses/{id}/revoke"                      => licenses::actions::revoke::revoke, "Suspends a license with a reason";
    post   "/api/licenses/{id}/reactivate"                  => licenses::actions::revoke::reactivate, "Lifts a suspension";
    get    "/api/licenses/{id}/usage"                       => licenses::usage::usage,           "What a license has consumed, by period";

    // Settings and feature flags
    get    "/api/settings"                                  => settings::read::list,             "Every setting of the system";
    patch  "/api/settings"                                  => settings::update::update,         "Changes settings, all or none";
    get    "/api/settings/{key}"                            => settings::read::one,              "One setting of the system";
    get    "/api/feature-flags"                             => feature_flags::list::list,        "Lists feature flags";
    post   "/api/feature-flags"                             => feature_flags::create::create,    "Creates a feature flag";
    get    "/api/feature-flags/evaluate"                    => feature_flags::evaluate::all,     "Every flag's value for the caller";
    get    "/api/feature-flags/{key}"                       => feature_flags::read::read,        "One feature flag";
    patch  "/api/feature-flags/{key}"                       => feature_flags::update::update,    "Changes a feature flag";
    delete "/api/feature-flags/{key}"                       => feature_flags::delete::delete,    "Deletes a feature flag";
    post   "/api/feature-flags/{key}/toggle"                => feature_flags::toggle::toggle,    "Switches a feature flag on or off";
    get    "/api/feature-flags/{key}/evaluate"              => feature_flags::evaluate::one,     "A flag's value for the caller";

    // Outgoing webhooks
    get    "/api/webhooks"                                  => webhooks::list::list,             "Lists webhooks";
    post   "/api/webhooks"                                  => webhooks::create::create,         "Makes a webhook; shows its secret once";
    get    "/api/webhooks/events"                           => webhooks::events::events,         "The events that webhooks can subscribe to";
    get    "/api/webhooks/{id}"                             => webhooks::list::read,             "One webhook";
    patch  "/api/webhooks/{id}"                             => webhooks::update::update,         "Changes, pauses or reactivates a webhook";
    delete "/api/webhooks/{id}"                             => webhooks::remove::remove,         "Deletes a webhook";
    get    "/api/webhooks/{id}/deliveries"                  => webhooks::deliveries::list,       "The attempts to deliver events to a webhook";
    post   "/api/webhooks/{id}/deliveries/{inner_id}/replay" => webhooks::replay::one,           "Sends the event of a delivery again";
    post   "/api/webhooks/{id}/replay"                      => webhooks::replay::since,          "Sends all events since a moment again";
    post   "/api/webhooks/{id}/test"                        => webhooks::send_test::send_test,   "Sends a test event";
    post   "/api/webhooks/{id}/rotate-secret"               => webhooks::rotate::rotate,         "Gives a webhook a new secret; both sign for 24 hours";

    // Audit
    get    "/api/audit-logs"                                => audit::list::list,                "Lists the audit log";
    get    "/api/audit-logs/search"                         => audit::list::search,              "Searches the audit log";
    get    "/api/audit-logs/export"                         => audit::export::export,            "The audit log as a file of any size";
    get    "/api/audit-logs/verify"                         => audit::verify::verify,            "Verifies the audit log against its seals, and names the first break";
    get    "/api/audit-logs/{id}"                           => audit::list::read,                "One row of the audit log";

    // Telemetry
    post   "/api/telemetry"                                 => telemetry::intake::intake,        "Takes in up to 100 events";
    get    "/api/telemetry"                                 => telemetry::list::list,            "Lists reported events";
    get    "/api/telemetry/errors"                          => telemetry::errors::errors,        "Lists reported errors, those of one name together";
    get    "/api/telemetry/events/{key}"                    => telemetry::list::of_type,         "Lists reported events of one kind";
}

/// The router, built once per isolate.
pub fn router() -> Router {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    ROUTER
        .get_or_init(|| {
            routes()
                .route_layer(axum::middleware::from_fn(pattern))
                .fallback(|| async { Error::new(Code::RouteNotFound) })
                .method_not_allowed_fallback(|| async { Error::new(Code::MethodNotAllowed) })
        })
        .clone()
}

/// Leaves the matched pattern with the response, for the log.
async fn pattern(path: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(path);
    response
}
