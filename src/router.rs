//! The contents page: every endpoint of the API, one line each.
//!
//! A line has the method, the path, the handler, and what generated clients and the documentation call it.
//! A handler's signature says what it needs. One without a `Permit` is open to everybody; those are
//! the routes under `open`, and the test that walks every route knows them by name.

use crate::error::{Code, Error, Result};
use crate::http::endpoint::Endpoint;
use crate::http::params::Params;
use crate::modules::{
    ai, analytics, assets, audit, auth, categories, coupons, feature_flags, health, invoices,
    licenses, orders, organizations, payment_methods, payments, plans, products, releases, reviews,
    settings, subscriptions, system, tax_rates, telemetry, users, webhooks,
};
use std::cell::OnceCell;

/// What is at a path, by method.
type Methods = Vec<(&'static str, Endpoint)>;

/// Makes, from one list, the routes that serve and the documented ones that `openapi.json` comes from.
macro_rules! endpoints {
    ($($method:ident $path:literal => $handler:path, $name:literal, $summary:literal;)*) => {
        fn routes() -> Methods {
            vec![$((stringify!($method), Endpoint::new($path, $handler)),)*]
        }

        /// The same routes with their documentation.
        #[cfg(not(target_arch = "wasm32"))]
        pub fn describe(document: &mut crate::http::openapi::Document) {
            $(document.operation(stringify!($method), $path, ($name, $summary), $handler);)*
        }
    };
}

endpoints! {
    // Foundation, open
    get    "/health"                                        => health::overview,                          "getHealth",                "Whether the worker is up, with its version";
    get    "/health/live"                                   => health::live,                              "checkLiveness",            "Whether the worker answers at all";
    get    "/health/ready"                                  => health::ready,                             "checkReadiness",           "Whether PostgreSQL and the Durable Objects answer";

    // Users
    get    "/api/users"                                     => users::list::list,                         "listUsers",                "Lists people";
    post   "/api/users"                                     => users::invite::create,                     "inviteUser",               "Invites a person";
    get    "/api/users/{id}"                                => users::read::read,                         "getUser",                  "One person";
    patch  "/api/users/{id}"                                => users::update::update,                     "updateUser",               "Changes a person's role, scopes and names";
    delete "/api/users/{id}"                                => users::remove::remove,                     "removeUser",               "Removes a person";
    post   "/api/users/{id}/resend-invitation"              => users::resend::resend,                     "resendInvitation",         "Sends an invitation again";
    post   "/api/users/me/leave"                            => users::leave::leave,                       "leaveOrganization",        "Leaves the own organization";
    get    "/api/users/{id}/profile"                        => users::profile::read,                      "getUserProfile",           "The profile of a person";
    patch  "/api/users/{id}/profile"                        => users::profile::update,                    "updateUserProfile",        "Changes the profile of a person";
    get    "/api/users/{id}/sessions"                       => users::sessions::list,                     "listUserSessions",         "The sign-ins of a person";
    delete "/api/users/{id}/sessions/{inner_id}"            => users::sessions::end,                      "endUserSession",           "Ends a sign-in";
    get    "/api/users/{id}/api-keys"                       => users::api_keys::list::list,               "listApiKeys",              "The API keys of a person";
    post   "/api/users/{id}/api-keys"                       => users::api_keys::create::create,           "createApiKey",             "Makes an API key and shows it once";
    delete "/api/users/{id}/api-keys/{inner_id}"            => users::api_keys::remove::remove,           "deleteApiKey",             "Deletes an API key";
    post   "/api/users/{id}/api-keys/{inner_id}/rotate"     => users::api_keys::rotate::rotate,           "rotateApiKey",             "Makes a new API key in the place of another";

    // Organizations
    get    "/api/organizations"                             => organizations::list::list,                 "listOrganizations",        "Lists organizations";
    post   "/api/organizations"                             => organizations::create::create,             "createOrganization",       "Founds an organization";
    get    "/api/organizations/{id}"                        => organizations::read::read,                 "getOrganization",          "One organization";
    patch  "/api/organizations/{id}"                        => organizations::update::update,             "updateOrganization",       "Changes an organization";
    delete "/api/organizations/{id}"                        => organizations::remove::remove,             "closeOrganization",        "Closes an organization";
    get    "/api/organizations/{id}/members"                => organizations::members::members,           "listMembers",              "The people of an organization";
    post   "/api/organizations/{id}/members"                => organizations::members::invite,            "inviteMember",             "Invites a person into an organization";
    patch  "/api/organizations/{id}/members/{inner_id}"     => organizations::members::update,            "updateMember",             "Changes the role and scopes of a member";
    delete "/api/organizations/{id}/members/{inner_id}"     => organizations::members::remove,            "removeMember",             "Removes a member";
    get    "/api/organizations/{id}/subscription"           => organizations::subscription::subscription, "getSubscription",          "Plan, limits and usage of an organization";

    // Authentication, open
    post   "/api/auth/refresh"                              => auth::refresh::refresh,                    "refreshToken",             "Exchanges a refresh token for new tokens";
    post   "/api/auth/accept-invitation"                    => auth::accept::accept,                      "acceptInvitation",         "Accepts an invitation, with the provider's token of whoever was invited";

    // Authentication
    post   "/api/auth/verify"                               => auth::verify::verify,                      "verifyCredential",         "What the sent credential is worth";
    get    "/api/auth/me"                                   => auth::me::me,                              "getCaller",                "The caller, their organization and permissions";
    post   "/api/auth/logout"                               => auth::logout::logout,                      "logOut",                   "Ends the own sign-in";

    // Licensing, open
    post   "/api/licenses/validate"                         => licenses::validate::validate,              "validateLicense",          "Validates a license key for an address";
    post   "/api/licenses/batch-validate"                   => licenses::batch_validate::batch,           "validateLicenses",         "Validates up to 100 license keys";

    // Licensing
    get    "/api/licenses"                                  => licenses::list::list,                      "listLicenses",             "Lists licenses";
    post   "/api/licenses"                                  => licenses::create::create,                  "createLicense",            "Creates a license with a new key";
    get    "/api/licenses/{id}"                             => licenses::read::read,                      "getLicense",               "One license";
    patch  "/api/licenses/{id}"                             => licenses::update::update,                  "updateLicense",            "Changes a license";
    delete "/api/licenses/{id}"                             => licenses::cancel::cancel,                  "cancelLicense",            "Cancels a license for good";
    post   "/api/licenses/{id}/bind-ip"                     => licenses::actions::bind::bind,             "bindLicenseIp",            "Binds an address to a license";
    delete "/api/licenses/{id}/unbind-ip"                   => licenses::actions::bind::unbind,           "unbindLicenseIp",          "Frees the slot of an address";
    get    "/api/licenses/{id}/ips"                         => licenses::ips::ips,                        "listLicenseIps",           "The addresses of a license";
    get    "/api/licenses/{id}/collisions"                  => licenses::collisions::list,                "listLicenseCollisions",    "The collisions of a license";
    post   "/api/licenses/{id}/collisions/{inner_id}/resolve" => licenses::collisions::resolve,             "resolveLicenseCollision",  "Marks a collision as resolved";
    get    "/api/licenses/{id}/validations"                 => licenses::validations::list,               "listLicenseValidations",   "The validation log of a license";
    post   "/api/licenses/{id}/renew"                       => licenses::actions::renew::renew,           "renewLicense",             "Extends a license by calendar months";
    post   "/api/licenses/{id}/revoke"                      => licenses::actions::revoke::revoke,         "revokeLicense",            "Suspends a license with a reason";
    post   "/api/licenses/{id}/reactivate"                  => licenses::actions::revoke::reactivate,     "reactivateLicense",        "Lifts a suspension";
    get    "/api/licenses/{id}/usage"                       => licenses::usage::usage,                    "getLicenseUsage",          "What a license has consumed, by period";

    // Plans
    get    "/api/plans"                                     => plans::list::list,                         "listPlans",                "Lists plans";
    post   "/api/plans"                                     => plans::create::create,                     "createPlan",               "Makes a plan";
    get    "/api/plans/{id}"                                => plans::read::read,                         "getPlan",                  "One plan";
    patch  "/api/plans/{id}"                                => plans::update::update,                     "updatePlan",               "Changes a plan";
    delete "/api/plans/{id}"                                => plans::delete::delete,                     "deletePlan",               "Takes a plan off the list";

    // AI: providers, models and the pool of keys
    post   "/api/ai/chat"                                   => ai::chat::conversation::chat,              "createChat",               "Answers a conversation, whole or piece by piece";
    post   "/api/ai/completions"                            => ai::chat::completions::complete,           "createCompletion",         "Answers a text, whole or piece by piece";
    post   "/api/v1/ai/process"                             => ai::chat::process::process,                "processText",              "Processes a text with a prompt, as the dashboard asks for it";
    post   "/v1/chat/completions"                           => ai::openai::chat::chat,                    "createOpenAiChat",         "Answers a conversation, as OpenAI's clients ask for it";
    get    "/v1/models"                                     => ai::openai::models::list,                  "listOpenAiModels",         "The models that can be called, as OpenAI's clients ask for them";
    get    "/v1/models/{key}"                               => ai::openai::models::read,                  "getOpenAiModel",           "A model that can be called, as OpenAI's clients ask for it";
    get    "/api/ai/providers"                              => ai::models::providers::list,               "listAiProviders",          "The AI providers, and which can be called now";
    get    "/api/ai/models"                                 => ai::models::list::list,                    "listAiModels",             "Lists AI models";
    post   "/api/ai/models"                                 => ai::models::create::create,                "createAiModel",            "Makes an AI model known";
    get    "/api/ai/models/{id}"                            => ai::models::list::read,                    "getAiModel",               "One AI model";
    patch  "/api/ai/models/{id}"                            => ai::models::update::update,                "updateAiModel",            "Changes an AI model";
    delete "/api/ai/models/{id}"                            => ai::models::remove::remove,                "deleteAiModel",            "Takes an AI model out of the catalogue";
    get    "/api/ai/pool/stats"                             => ai::pool::stats::stats,                    "getAiPoolStats",           "What was called in the last hour and day, and how the keys are";
    get    "/api/ai/pool/keys"                              => ai::pool::list::list,                      "listAiKeys",               "Lists the keys of AI providers";
    post   "/api/ai/pool/keys"                              => ai::pool::create::create,                  "createAiKey",              "Adds a key of an AI provider";
    get    "/api/ai/pool/keys/{id}"                         => ai::pool::list::read,                      "getAiKey",                 "One key of an AI provider, but for the key itself";
    patch  "/api/ai/pool/keys/{id}"                         => ai::pool::update::update,                  "updateAiKey",              "Changes a key of an AI provider, or takes it in or out of use";
    delete "/api/ai/pool/keys/{id}"                         => ai::pool::remove::remove,                  "deleteAiKey",              "Deletes a key of an AI provider";
    post   "/api/ai/pool/keys/{id}/test"                    => ai::pool::test::test,                      "testAiKey",                "Tries a key of an AI provider now";

    // AI: prompts
    post   "/api/ai/prompts"                                => ai::prompts::create::create,               "createPrompt",             "Makes a prompt";
    get    "/api/ai/prompts"                                => ai::prompts::list::list,                   "listPrompts",              "Lists versions of prompts";
    get    "/api/ai/prompts/{id}"                           => ai::prompts::read::read,                   "getPrompt",                "One version of a prompt, with what was measured of it";
    patch  "/api/ai/prompts/{id}"                           => ai::prompts::update::update,               "updatePrompt",             "Changes a version of a prompt";
    delete "/api/ai/prompts/{id}"                           => ai::prompts::remove::remove,               "deletePrompt",             "Deletes a version of a prompt";
    get    "/api/ai/prompts/{id}/versions"                  => ai::prompts::versions::list,               "listPromptVersions",       "The versions of a prompt, with what was measured of each";
    post   "/api/ai/prompts/{id}/versions"                  => ai::prompts::versions::create,             "createPromptVersion",      "Makes a new version of a prompt";
    post   "/api/ai/prompts/{id}/activate"                  => ai::prompts::activate::activate,           "activatePrompt",           "Lets a version serve calls, alone or beside others";
    post   "/api/ai/prompts/{id}/render"                    => ai::prompts::render::render,               "renderPrompt",             "What a model would be told, without calling it";
    get    "/api/ai/prompts/{id}/diff"                      => ai::prompts::diff::diff,                   "diffPrompt",               "What differs between two versions of a prompt";

    // AI: tasks
    post   "/api/ai/tasks"                                  => ai::tasks::create::create,                 "createTask",               "Takes an AI task in; its answer is there later";
    get    "/api/ai/tasks"                                  => ai::tasks::list::list,                     "listTasks",                "Lists AI tasks";
    get    "/api/ai/tasks/{id}"                             => ai::tasks::read::read,                     "getTask",                  "One AI task";
    get    "/api/ai/tasks/{id}/result"                      => ai::tasks::read::result,                   "getTaskResult",            "What came of an AI task";
    delete "/api/ai/tasks/{id}"                             => ai::tasks::cancel::cancel,                 "cancelTask",               "Cancels an AI task";
    post   "/api/ai/tasks/{id}/retry"                       => ai::tasks::retry::retry,                   "retryTask",                "Has an AI task done again that failed or was cancelled";
    post   "/api/ai/batches"                                => ai::batches::create::create,               "createBatch",              "Takes a batch of AI tasks in";
    get    "/api/ai/batches"                                => ai::batches::read::list,                   "listBatches",              "Lists batches of AI tasks, with their progress";
    get    "/api/ai/batches/{id}"                           => ai::batches::read::read,                   "getBatch",                 "One batch of AI tasks, with its progress";
    get    "/api/ai/batches/{id}/tasks"                     => ai::batches::read::tasks,                  "listBatchTasks",           "The tasks of a batch, in their order";
    get    "/api/ai/batches/{id}/results"                   => ai::batches::results::results,             "getBatchResults",          "What came of the tasks of a batch, as a file of any size";
    delete "/api/ai/batches/{id}"                           => ai::batches::change::cancel,               "cancelBatch",              "Cancels what has not ended of a batch";
    post   "/api/ai/batches/{id}/retry"                     => ai::batches::change::retry,                "retryBatch",               "Has the failed tasks of a batch done again";

    // Marketplace, open
    get    "/api/categories"                                => categories::list::list,                    "listCategories",           "The tree of categories";
    get    "/api/categories/{id}"                           => categories::read::read,                    "getCategory",              "One category";
    get    "/api/products"                                  => products::catalogue::list::list,           "listProducts",             "Lists what is on sale";
    get    "/api/products/featured"                         => products::catalogue::featured::featured,   "listFeaturedProducts",     "Lists what the platform features";
    get    "/api/products/search"                           => products::catalogue::search::search,       "searchProducts",           "Finds products by words, with facets";
    get    "/api/products/by-slug/{key}"                    => products::catalogue::read::by_slug,        "getProductBySlug",         "One product by its name in links; old names lead to the new one";
    get    "/api/products/{id}"                             => products::catalogue::read::read,           "getProduct",               "One product that is on sale";
    get    "/api/products/{id}/reviews"                     => reviews::list::list,                       "listProductReviews",       "Lists what is said of a product";
    get    "/api/products/{id}/releases"                    => releases::list::list,                      "listProductReleases",      "Lists the published releases of a product";
    get    "/api/releases/latest/{id}"                      => releases::latest::read,                    "getLatestRelease",         "What a program that looks for updates of a product is told";
    get    "/api/releases/{id}"                             => releases::read::read,                      "getRelease",               "One published release";
    get    "/api/releases/{id}/changelog"                   => releases::changelog::read,                 "getChangelog",             "What changed, as Markdown and as safe HTML";

    // Marketplace
    get    "/api/categories/all"                            => categories::list::all,                     "listAllCategories",        "The tree of categories, with those that are not shown";
    post   "/api/categories"                                => categories::create::create,                "createCategory",           "Makes a category";
    patch  "/api/categories/{id}"                           => categories::update::update,                "updateCategory",           "Changes or moves a category";
    delete "/api/categories/{id}"                           => categories::delete::delete,                "deleteCategory",           "Deletes a category that has nothing in it";
    get    "/api/my/products"                               => products::list::list,                      "listOwnProducts",          "Lists the organization's own products";
    get    "/api/my/products/{id}"                          => products::read::read,                      "getOwnProduct",            "One of the organization's own products";
    post   "/api/products"                                  => products::create::create,                  "createProduct",            "Makes a product";
    patch  "/api/products/{id}"                             => products::update::update,                  "updateProduct",            "Changes a product, puts it on sale or takes it off";
    delete "/api/products/{id}"                             => products::delete::delete,                  "deleteProduct",            "Deletes a product that nobody has";
    get    "/api/my/reviews"                                => reviews::list::own,                        "listOwnReviews",           "Lists what the caller said of products";
    post   "/api/products/{id}/reviews"                     => reviews::create::create,                   "createReview",             "Reviews a product";
    patch  "/api/reviews/{id}"                              => reviews::update::update,                   "updateReview",             "Changes a review of one's own";
    delete "/api/reviews/{id}"                              => reviews::delete::delete,                   "deleteReview",             "Takes back a review of one's own";
    post   "/api/reviews/{id}/helpful"                      => reviews::vote::vote,                       "voteForReview",            "Finds a review helpful";
    delete "/api/reviews/{id}/helpful"                      => reviews::vote::unvote,                     "unvoteForReview",          "No longer finds a review helpful";
    post   "/api/reviews/{id}/reply"                        => reviews::reply::reply,                     "replyToReview",            "Says the vendor's word to a review";
    delete "/api/reviews/{id}/reply"                        => reviews::reply::remove,                    "deleteReviewReply",        "Takes the vendor's word back";
    post   "/api/reviews/{id}/moderate"                     => reviews::moderate::moderate,               "moderateReview",           "Hides a review, or shows it again";
    get    "/api/my/products/{id}/releases"                 => releases::list::own,                       "listOwnReleases",          "Lists all releases of an own product";
    get    "/api/my/releases/{id}"                          => releases::read::own,                       "getOwnRelease",            "One release of an own product";
    post   "/api/products/{id}/releases"                    => releases::create::create,                  "createRelease",            "Makes a release";
    patch  "/api/releases/{id}"                             => releases::update::update,                  "updateRelease",            "Changes a release, publishes it or takes it back";
    delete "/api/releases/{id}"                             => releases::delete::delete,                  "deleteRelease",            "Deletes a draft";
    post   "/api/releases/{id}/upload"                      => releases::upload::upload,                  "createReleaseUpload",      "A link to send the file of a draft to";
    get    "/api/releases/{id}/download"                    => assets::download::of_release,              "downloadRelease",          "A link to the file of a release";
    get    "/api/my/assets"                                 => assets::list::list,                        "listAssets",               "Lists what was bought";
    get    "/api/my/assets/{id}"                            => assets::list::read,                        "getAsset",                 "One thing that was bought";
    get    "/api/downloads/{id}"                            => assets::follow::follow,                    "followDownload",           "Leads to the file of a download";
    get    "/api/my/assets/{id}/download"                   => assets::download::of_asset,                "downloadAsset",            "A link to the file of what was bought";
    post   "/api/my/assets/{id}/transfer"                   => assets::transfer::transfer,                "transferAsset",            "Hands over what was bought to somebody else of the organization";

    // Settings and feature flags
    get    "/api/settings"                                  => settings::read::list,                      "listSettings",             "Every setting of the system";
    patch  "/api/settings"                                  => settings::update::update,                  "updateSettings",           "Changes settings, all or none";
    get    "/api/settings/{key}"                            => settings::read::one,                       "getSetting",               "One setting of the system";
    get    "/api/feature-flags"                             => feature_flags::list::list,                 "listFeatureFlags",         "Lists feature flags";
    post   "/api/feature-flags"                             => feature_flags::create::create,             "createFeatureFlag",        "Creates a feature flag";
    get    "/api/feature-flags/evaluate"                    => feature_flags::evaluate::all,              "evaluateFeatureFlags",     "Every flag's value for the caller";
    get    "/api/feature-flags/{key}"                       => feature_flags::read::read,                 "getFeatureFlag",           "One feature flag";
    patch  "/api/feature-flags/{key}"                       => feature_flags::update::update,             "updateFeatureFlag",        "Changes a feature flag";
    delete "/api/feature-flags/{key}"                       => feature_flags::delete::delete,             "deleteFeatureFlag",        "Deletes a feature flag";
    post   "/api/feature-flags/{key}/toggle"                => feature_flags::toggle::toggle,             "toggleFeatureFlag",        "Switches a feature flag on or off";
    get    "/api/feature-flags/{key}/evaluate"              => feature_flags::evaluate::one,              "evaluateFeatureFlag",      "A flag's value for the caller";

    // Coupons and taxes
    get    "/api/coupons"                                   => coupons::list::list,                       "listCoupons",              "Lists coupons";
    post   "/api/coupons"                                   => coupons::create::create,                   "createCoupon",             "Makes a coupon";
    patch  "/api/coupons/{id}"                              => coupons::update::update,                   "updateCoupon",             "Changes a coupon";
    delete "/api/coupons/{id}"                              => coupons::delete::delete,                   "deleteCoupon",             "Deletes a coupon";
    get    "/api/coupons/{key}/validate"                    => coupons::validate::validate,               "validateCoupon",           "What a coupon takes off a product";
    get    "/api/tax-rates"                                 => tax_rates::list::list,                     "listTaxRates",             "Lists tax rates";
    post   "/api/tax-rates"                                 => tax_rates::create::create,                 "createTaxRate",            "Makes a tax rate";
    patch  "/api/tax-rates/{id}"                            => tax_rates::update::update,                 "updateTaxRate",            "Changes a tax rate";

    // Orders
    get    "/api/orders"                                    => orders::list::list,                        "listOrders",               "Lists orders, bought or sold";
    post   "/api/orders"                                    => orders::create::create,                    "createOrder",              "Orders something, at prices that are frozen";
    get    "/api/orders/{id}"                               => orders::read::read,                        "getOrder",                 "One order";
    get    "/api/orders/{id}/items"                         => orders::items::items,                      "listOrderItems",           "The lines of an order, with what they gave";
    post   "/api/orders/{id}/pay"                           => orders::pay::pay,                          "payOrder",                 "Begins to pay an order, or goes on with it";
    post   "/api/orders/{id}/cancel"                        => orders::cancel::cancel,                    "cancelOrder",              "Gives up an order that is not paid";
    post   "/api/orders/{id}/settle"                        => orders::settle::settle,                    "settleOrder",              "Confirms that a bank transfer arrived";
    get    "/api/orders/{id}/refunds"                       => orders::items::refunds,                    "listRefunds",              "What was paid back of an order";
    post   "/api/orders/{id}/refund"                        => orders::refund::create,                    "refundOrder",              "Pays back an order, in part or in whole";
    get    "/api/orders/{id}/licenses"                      => orders::licenses::list,                    "listSoldLicenses",         "The licenses that an order gave, for whoever sold it";
    post   "/api/orders/{id}/licenses/{inner_id}/suspend"   => orders::licenses::suspend,                 "suspendSoldLicense",       "Suspends a license that was sold, with a reason";
    post   "/api/orders/{id}/licenses/{inner_id}/reactivate" => orders::licenses::reactivate,              "reactivateSoldLicense",    "Lifts the suspension of a license that was sold";

    // Subscriptions
    get    "/api/subscriptions"                             => subscriptions::list::list,                 "listSubscriptions",        "Lists subscriptions, paid or sold";
    get    "/api/subscriptions/{id}"                        => subscriptions::list::read,                 "getPaidSubscription",      "One subscription";
    post   "/api/subscriptions/{id}/cancel"                 => subscriptions::change::cancel,             "cancelSubscription",       "Lets a subscription end with its period";
    post   "/api/subscriptions/{id}/resume"                 => subscriptions::change::resume,             "resumeSubscription",       "Lets a cancelled subscription go on";
    post   "/api/subscriptions/{id}/change-plan"            => subscriptions::change::change_plan,        "changeSubscriptionPlan",   "Changes the plan of a subscription";

    // Invoices
    get    "/api/invoices"                                  => invoices::list::list,                      "listInvoices",             "Lists invoices and credit notes";
    get    "/api/invoices/{id}"                             => invoices::list::read,                      "getInvoice",               "One invoice";
    get    "/api/invoices/{id}/pdf"                         => invoices::pdf::pdf,                        "getInvoicePdf",            "An invoice as a PDF";
    post   "/api/invoices/{id}/send"                        => invoices::send::send,                      "sendInvoice",              "Sends an invoice by e-mail";

    // Saved cards
    get    "/api/payment-methods"                           => payment_methods::list::list,               "listPaymentMethods",       "Lists saved cards";
    post   "/api/payment-methods"                           => payment_methods::create::create,           "createPaymentMethod",      "Begins to save a card, or keeps the one that was confirmed";
    delete "/api/payment-methods/{id}"                      => payment_methods::remove::remove,           "deletePaymentMethod",      "Removes a saved card";
    post   "/api/payment-methods/{id}/default"              => payment_methods::default::prefer,          "preferPaymentMethod",      "Makes a card the one that subscriptions are charged to";

    // What payment gateways tell, open: signed by the gateway
    post   "/api/webhooks/stripe"                           => payments::webhook::stripe,                 "receiveStripeEvent",       "Takes an event of Stripe's";

    // What payment gateways told
    get    "/api/payment-events"                            => payments::parked::list,                    "listPaymentEvents",        "Lists what gateways told, and what of it does not fit";
    get    "/api/payment-differences"                       => payments::differences::list,               "listPaymentDifferences",   "Lists where a gateway and we differ";
    post   "/api/payment-events/{id}/replay"                => payments::parked::replay,                  "replayPaymentEvent",       "Tries a parked event again, or is done with it";

    // Outgoing webhooks
    get    "/api/webhooks"                                  => webhooks::list::list,                      "listWebhooks",             "Lists webhooks";
    post   "/api/webhooks"                                  => webhooks::create::create,                  "createWebhook",            "Makes a webhook; shows its secret once";
    get    "/api/webhooks/events"                           => webhooks::events::events,                  "listWebhookEvents",        "The events that webhooks can subscribe to";
    get    "/api/webhooks/{id}"                             => webhooks::list::read,                      "getWebhook",               "One webhook";
    patch  "/api/webhooks/{id}"                             => webhooks::update::update,                  "updateWebhook",            "Changes, pauses or reactivates a webhook";
    delete "/api/webhooks/{id}"                             => webhooks::remove::remove,                  "deleteWebhook",            "Deletes a webhook";
    get    "/api/webhooks/{id}/deliveries"                  => webhooks::deliveries::list,                "listWebhookDeliveries",    "The attempts to deliver events to a webhook";
    post   "/api/webhooks/{id}/deliveries/{inner_id}/replay" => webhooks::replay::one,                     "replayWebhookDelivery",    "Sends the event of a delivery again";
    post   "/api/webhooks/{id}/replay"                      => webhooks::replay::since,                   "replayWebhookEvents",      "Sends all events since a moment again";
    post   "/api/webhooks/{id}/test"                        => webhooks::send_test::send_test,            "testWebhook",              "Sends a test event";
    post   "/api/webhooks/{id}/rotate-secret"               => webhooks::rotate::rotate,                  "rotateWebhookSecret",      "Gives a webhook a new secret; both sign for 24 hours";

    // Audit
    get    "/api/audit-logs"                                => audit::list::list,                         "listAuditLogs",            "Lists the audit log";
    get    "/api/audit-logs/search"                         => audit::list::search,                       "searchAuditLogs",          "Searches the audit log";
    get    "/api/audit-logs/export"                         => audit::export::export,                     "exportAuditLogs",          "The audit log as a file of any size";
    get    "/api/audit-logs/verify"                         => audit::verify::verify,                     "verifyAuditLogs",          "Verifies the audit log against its seals, and names the first break";
    post   "/api/audit-logs/acknowledge"                    => audit::acknowledge::acknowledge,           "acknowledgeAuditBreak",    "Accepts that the end of an audit log is lost, and seals what is left anew";
    get    "/api/audit-logs/{id}"                           => audit::list::read,                         "getAuditLog",              "One row of the audit log";

    // Telemetry
    post   "/api/telemetry"                                 => telemetry::intake::intake,                 "reportTelemetry",          "Takes in up to 100 events";
    get    "/api/telemetry"                                 => telemetry::list::list,                     "listTelemetry",            "Lists reported events";
    get    "/api/telemetry/errors"                          => telemetry::errors::errors,                 "listTelemetryErrors",      "Lists reported errors, those of one name together";
    get    "/api/telemetry/events/{key}"                    => telemetry::list::of_type,                  "listTelemetryOfType",      "Lists reported events of one kind";

    // Analytics
    get    "/api/analytics/dashboard"                       => analytics::read::read_own,                 "getDashboard",             "Everything at a glance, compared with the period before or a year before";
    get    "/api/analytics/licenses"                        => analytics::read::read_own,                 "getLicenseReport",         "Licenses, and what subscriptions bring in a month and lose";
    get    "/api/analytics/licenses/validations"            => analytics::read::read_own,                 "getValidationReport",      "Validations by verdict, country and version";
    get    "/api/analytics/sales"                           => analytics::read::read,                     "getSalesReport",           "What was sold, and paid back";
    get    "/api/analytics/sales/by-product"                => analytics::read::read,                     "getSalesByProduct",        "What was sold by product and plan, and what coupons brought";
    get    "/api/analytics/sales/by-period"                 => analytics::read::read,                     "getSalesByPeriod",         "What was sold, hour by hour to month by month";
    get    "/api/analytics/ai-usage"                        => analytics::read::read_own,                 "getAiUsage",               "AI requests by model, prompt and key, with how long they took";
    get    "/api/analytics/ai-usage/by-provider"            => analytics::read::read_own,                 "getAiUsageByProvider",     "AI requests by provider";
    get    "/api/analytics/ai-usage/costs"                  => analytics::read::read_own,                 "getAiCosts",               "What AI requests cost";
    get    "/api/analytics/roi"                             => analytics::read::read,                     "getRoi",                   "What came of what was spent, and what was saved";
    get    "/api/analytics/roi/by-product"                  => analytics::read::read,                     "getRoiByProduct",          "What came of what was spent, by product";
    get    "/api/analytics/users"                           => analytics::read::read,                     "getUserReport",            "Who came, and how many there are";
    get    "/api/analytics/users/active"                    => analytics::read::read,                     "getActiveUsers",           "How many were active within a day, a week and a month";
    get    "/api/analytics/export"                          => analytics::export::export,                 "exportAnalytics",          "A report as a file, or all of a period in one archive";

    // The system itself
    get    "/api/system/status"                             => system::status::status,                    "getSystemStatus",          "Backlogs, dead letters, jobs and events of the system";
    get    "/api/system/dead-letters"                       => system::dead_letters::list,                "listDeadLetters",          "Lists messages that no consumer could deal with";
    get    "/api/system/dead-letters/{id}"                  => system::dead_letters::read,                "getDeadLetter",            "One dead letter with its message";
    post   "/api/system/dead-letters/{id}/replay"           => system::replay::replay,                    "replayDeadLetter",         "Sends a dead letter to its queue again";
    delete "/api/system/dead-letters/{id}"                  => system::discard::discard,                  "discardDeadLetter",        "Drops a dead letter for good";
}

/// What a request is for.
///
/// # Errors
/// 404 for a path that is none, 405 naming the methods that a path has.
pub fn find(method: &str, path: &str) -> Result<(&'static Endpoint, Params)> {
    let found = router().at(path);
    let found = found.map_err(|_| Error::new(Code::RouteNotFound))?;
    // Whatever can be read can be asked about (RFC 9110, 9.3.2).
    let wanted = match method {
        "HEAD" => "GET",
        method => method,
    };
    let mut methods = found.value.iter();
    match methods.find(|(known, _)| known.eq_ignore_ascii_case(wanted)) {
        Some((_, endpoint)) => Ok((endpoint, Params::of(&found.params))),
        None => Err(Error {
            allow: Some(allowed(found.value)),
            ..Error::new(Code::MethodNotAllowed)
        }),
    }
}

/// The methods of a path, as the `Allow` header has them.
fn allowed(methods: &Methods) -> String {
    let mut names: Vec<String> = methods
        .iter()
        .map(|(method, _)| method.to_ascii_uppercase())
        .collect();
    if names.iter().any(|name| name == "GET") {
        names.push("HEAD".into());
    }
    names.join(", ")
}

thread_local! {
    static ROUTER: OnceCell<&'static matchit::Router<Methods>> = const { OnceCell::new() };
}

/// The paths, made ready once per isolate.
fn router() -> &'static matchit::Router<Methods> {
    ROUTER.with(|router| *router.get_or_init(|| Box::leak(Box::new(matcher(routes())))))
}

fn matcher(routes: Methods) -> matchit::Router<Methods> {
    let mut paths: Vec<(&'static str, Methods)> = Vec::new();
    for (method, endpoint) in routes {
        let pattern = endpoint.pattern;
        match paths.iter_mut().find(|(known, _)| *known == pattern) {
            Some((_, methods)) => methods.push((method, endpoint)),
            None => paths.push((pattern, vec![(method, endpoint)])),
        }
    }
    let mut router = matchit::Router::new();
    for (pattern, methods) in paths {
        let inserted = router.insert(pattern, methods);
        debug_assert!(inserted.is_ok(), "{pattern} contradicts another path");
    }
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_found_by_its_path() {
        for (method, endpoint) in routes() {
            let path = endpoint.pattern.replace(['{', '}'], "");
            let found = find(&method.to_ascii_uppercase(), &path);
            assert_eq!(
                found.ok().map(|(found, _)| found.pattern),
                Some(endpoint.pattern)
            );
        }
    }

    #[test]
    fn the_published_document_is_the_current_one() {
        let published = std::fs::read_to_string("public/openapi.json").unwrap_or_default();
        assert!(
            published == crate::http::openapi::document(describe),
            "public/openapi.json is out of date: run `npm run openapi`"
        );
    }

    #[test]
    fn what_is_not_there_says_what_is() {
        let refused = |method, path| {
            find(method, path)
                .err()
                .map(|error| (error.code, error.allow))
        };
        assert_eq!(
            refused("GET", "/api/nothing"),
            Some((Code::RouteNotFound, None))
        );
        assert_eq!(
            refused("DELETE", "/health"),
            Some((Code::MethodNotAllowed, Some("GET, HEAD".into())))
        );
        assert!(find("HEAD", "/health").is_ok());
    }
}
