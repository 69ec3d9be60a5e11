//! Who may do what: roles, `resource:verb` permissions and scopes.
//!
//! A new permission is one line in [`permissions!`] below and, where a role
//! other than the administrators holds it, one word in [`Role::permissions`].

use std::fmt;

macro_rules! permissions {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal),+ $(,)?) => {
        /// One thing a caller may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Permission { $($(#[doc = $doc])+ $name),+ }

        impl Permission {
            /// Every permission there is.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The `resource:verb` text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

permissions! {
    /// See licenses, their addresses, collisions, validations and usage.
    LicensesRead = "licenses:read",
    /// Create, change, renew, reactivate and bind licenses.
    LicensesWrite = "licenses:write",
    /// Cancel a license for good.
    LicensesDelete = "licenses:delete",
    /// Suspend a license.
    LicensesRevoke = "licenses:revoke",
    /// Validate licenses of the organization for others: the addresses that are reported count.
    LicensesValidate = "licenses:validate",
    /// See one's own profile, sessions and API keys.
    AccountRead = "account:read",
    /// Change one's own profile, end own sessions, make and delete own API keys.
    AccountWrite = "account:write",
    /// See the people of the organization.
    UsersRead = "users:read",
    /// Invite, change and remove people, and end their sessions.
    UsersWrite = "users:write",
    /// See the API keys of others.
    ApiKeysRead = "api_keys:read",
    /// Make, rotate and delete the API keys of others.
    ApiKeysWrite = "api_keys:write",
    /// See the organization and its subscription.
    OrganizationsRead = "organizations:read",
    /// Change the organization and its settings.
    OrganizationsWrite = "organizations:write",
    /// Found an organization.
    OrganizationsCreate = "organizations:create",
    /// Close an organization.
    OrganizationsDelete = "organizations:delete",
    /// See the configuration of the system.
    SettingsRead = "settings:read",
    /// Change the configuration of the system.
    SettingsWrite = "settings:write",
    /// See the plans that are offered.
    PlansRead = "plans:read",
    /// Make and change plans.
    PlansWrite = "plans:write",
    /// Make, change and delete categories of the catalogue.
    CategoriesWrite = "categories:write",
    /// See the organization's own products and releases, also those that are no longer or not yet on sale.
    ProductsRead = "products:read",
    /// Make, change, publish and delete products, and reply to their reviews.
    ProductsWrite = "products:write",
    /// Make, change, publish and take back releases.
    ReleasesWrite = "releases:write",
    /// Review products and vote for reviews.
    ReviewsWrite = "reviews:write",
    /// Hide reviews, and show them again.
    ReviewsModerate = "reviews:moderate",
    /// See what was bought, and download it.
    AssetsRead = "assets:read",
    /// Hand over what was bought to somebody else of the organization.
    AssetsWrite = "assets:write",
    /// See feature flags with their targets.
    FeatureFlagsRead = "feature_flags:read",
    /// Make, change and delete feature flags.
    FeatureFlagsWrite = "feature_flags:write",
    /// Ask which flags are on for oneself.
    FlagsEvaluate = "flags:evaluate",
    /// See outgoing webhooks and their deliveries.
    WebhooksRead = "webhooks:read",
    /// Make, change, test, replay and delete outgoing webhooks.
    WebhooksWrite = "webhooks:write",
    /// See and verify the audit log.
    AuditRead = "audit:read",
    /// Take the audit log away as a file.
    AuditExport = "audit:export",
    /// See telemetry.
    TelemetryRead = "telemetry:read",
    /// Send telemetry.
    TelemetryWrite = "telemetry:write",
    /// See orders, subscriptions and refunds, also those that one sold.
    OrdersRead = "orders:read",
    /// Order, pay, cancel, and change subscriptions.
    OrdersWrite = "orders:write",
    /// Pay back what one sold, and confirm bank transfers.
    OrdersRefund = "orders:refund",
    /// See invoices.
    InvoicesRead = "invoices:read",
    /// Send invoices by e-mail.
    InvoicesSend = "invoices:send",
    /// See saved cards.
    PaymentMethodsRead = "payment_methods:read",
    /// Save, prefer and remove cards.
    PaymentMethodsWrite = "payment_methods:write",
    /// Ask what a coupon is worth.
    CouponsRead = "coupons:read",
    /// See, make, change and delete coupons.
    CouponsWrite = "coupons:write",
    /// See tax rates.
    TaxRatesRead = "tax_rates:read",
    /// Make and change tax rates.
    TaxRatesWrite = "tax_rates:write",
    /// See dead letters, backlogs, jobs and events of the system itself.
    SystemRead = "system:read",
    /// Send dead letters again, or drop them.
    SystemWrite = "system:write",
    /// See models and AI tasks.
    AiRead = "ai:read",
    /// Ask models, and hand in AI tasks.
    AiUse = "ai:use",
    /// See prompts, with what models are told by them.
    AiPromptsRead = "ai_prompts:read",
    /// Make and change prompts, and say which version serves.
    AiPromptsWrite = "ai_prompts:write",
    /// See the keys of AI providers, never the keys themselves, and what was called with them.
    AiKeysRead = "ai_keys:read",
    /// Add, change, test and delete keys of AI providers.
    AiKeysWrite = "ai_keys:write",
    /// Make and change the models that can be called.
    AiModelsWrite = "ai_models:write",
    /// See the numbers of the own licenses and AI calls, and take them away as a file.
    AnalyticsOwn = "analytics:own",
    /// See the numbers of the organization.
    AnalyticsRead = "analytics:read",
}

/// Permissions nobody but a super administrator holds, whatever a scope says.
const SUPER_ONLY: &[Permission] = &[
    Permission::OrganizationsCreate,
    Permission::OrganizationsDelete,
    Permission::SettingsWrite,
    Permission::PlansWrite,
    Permission::CategoriesWrite,
    Permission::ReviewsModerate,
    Permission::FeatureFlagsRead,
    Permission::FeatureFlagsWrite,
    Permission::TaxRatesWrite,
    Permission::AiModelsWrite,
    Permission::SystemRead,
    Permission::SystemWrite,
];

/// What every role holds.
const EVERYBODY: &[Permission] = &[
    Permission::LicensesRead,
    Permission::AccountRead,
    Permission::AccountWrite,
    Permission::OrganizationsRead,
    Permission::PlansRead,
    Permission::ReviewsWrite,
    Permission::AssetsRead,
    Permission::FlagsEvaluate,
    Permission::TelemetryWrite,
    Permission::AiRead,
    Permission::OrdersRead,
    Permission::InvoicesRead,
    Permission::CouponsRead,
    Permission::TaxRatesRead,
    Permission::AnalyticsOwn,
];

/// What whoever buys holds, and uses what was bought.
const CLIENT: &[Permission] = &[
    Permission::AiUse,
    Permission::OrdersWrite,
    Permission::InvoicesSend,
    Permission::PaymentMethodsRead,
    Permission::PaymentMethodsWrite,
];

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What somebody is in their organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Every tenant.
    SuperAdmin,
    /// Everything of the own organization.
    Admin,
    /// People and reports.
    Manager,
    /// Products, releases, licenses and AI.
    Developer,
    /// Uses the software; no administration.
    Operator,
    /// Only what they own (the queries see to that).
    Client,
    /// Reads dashboards.
    Viewer,
}

impl Role {
    /// Reads the database's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "super_admin" => Self::SuperAdmin,
            "admin" => Self::Admin,
            "manager" => Self::Manager,
            "developer" => Self::Developer,
            "operator" => Self::Operator,
            "client" => Self::Client,
            "viewer" => Self::Viewer,
            _ => return None,
        })
    }

    /// The database's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SuperAdmin => "super_admin",
            Self::Admin => "admin",
            Self::Manager => "manager",
            Self::Developer => "developer",
            Self::Operator => "operator",
            Self::Client => "client",
            Self::Viewer => "viewer",
        }
    }

    /// What the role alone may do.
    #[must_use]
    pub fn permissions(self) -> Permissions {
        use Permission::*;
        let more: &[Permission] = match self {
            Self::SuperAdmin => Permission::ALL,
            Self::Admin => return Permissions::of(Permission::ALL).without(SUPER_ONLY),
            Self::Manager => &[
                UsersRead,
                UsersWrite,
                AuditRead,
                TelemetryRead,
                AiUse,
                AiPromptsRead,
                ProductsRead,
                AssetsWrite,
                OrdersWrite,
                InvoicesSend,
                PaymentMethodsRead,
                PaymentMethodsWrite,
                CouponsWrite,
                AnalyticsRead,
            ],
            Self::Developer => &[
                LicensesWrite,
                LicensesDelete,
                LicensesRevoke,
                LicensesValidate,
                ProductsRead,
                ProductsWrite,
                ReleasesWrite,
                WebhooksRead,
                WebhooksWrite,
                TelemetryRead,
                AiUse,
                AiPromptsRead,
                AiPromptsWrite,
                AiKeysRead,
                AiKeysWrite,
            ],
            Self::Operator => &[AiUse],
            Self::Client => CLIENT,
            Self::Viewer => &[],
        };
        Permissions::of(EVERYBODY).and(Permissions::of(more))
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u128);

impl Permissions {
    /// The set of exactly these.
    #[must_use]
    pub fn of(permissions: &[Permission]) -> Self {
        Self(permissions.iter().fold(0, |bits, one| bits | bit(*one)))
    }

    /// Whether the set holds `permission`.
    #[must_use]
    pub fn has(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Every permission of the set, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL
            .iter()
            .copied()
            .filter(move |one| self.has(*one))
    }

    /// Whether every permission of `others` is in the set.
    #[must_use]
    pub const fn covers(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// The permissions of the set that are not in `others`.
    #[must_use]
    pub const fn except(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// The permissions of both sets.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// The permissions that both sets have.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn without(self, others: &[Permission]) -> Self {
        Self(self.0 & !Self::of(others).0)
    }

    /// What a list of scopes names; unknown scopes name nothing.
    #[must_use]
    pub fn named<S: AsRef<str>>(scopes: &[S]) -> Self {
        Self(
            scopes
                .iter()
                .fold(0, |bits, scope| bits | scope_bits(scope.as_ref())),
        )
    }
}

const fn bit(permission: Permission) -> u128 {
    1 << permission as u8
}

/// Whoever may see or do the first may see or do the second: it is a part of it, and needs no scope of its own.
const IMPLIED: &[(Permission, Permission)] =
    &[(Permission::AnalyticsRead, Permission::AnalyticsOwn)];

fn scope_bits(scope: &str) -> u128 {
    let matches = |permission: &&Permission| match scope.strip_suffix(":*") {
        Some(resource) => permission
            .as_str()
            .split_once(':')
            .is_some_and(|(of, _)| of == resource),
        None => scope == "*" || permission.as_str() == scope,
    };
    let named = Permission::ALL
        .iter()
        .filter(matches)
        .fold(0, |bits, one| bits | bit(*one));
    let implied = IMPLIED.iter().filter(|(all, _)| named & bit(*all) != 0);
    implied.fold(named, |bits, (_, part)| bits | bit(*part))
}

/// Whether a scope names anything: `*`, `resource:*` or `resource:verb`.
#[must_use]
pub fn is_known_scope(scope: &str) -> bool {
    scope_bits(scope) != 0
}

/// What a caller may do: the role's permissions, plus the scopes of the
/// profile (never what only a super administrator has), and of that only what
/// the API key names when one was used. A key without scopes may do nothing.
#[must_use]
pub fn effective<S: AsRef<str>, K: AsRef<str>>(
    role: Role,
    profile_scopes: &[S],
    key_scopes: Option<&[K]>,
) -> Permissions {
    let own = role.permissions();
    let added = Permissions::named(profile_scopes).without(SUPER_ONLY);
    let all = own.and(added);
    match key_scopes {
        Some(scopes) => Permissions(all.0 & Permissions::named(scopes).0),
        None => all,
    }
}

#[cfg(test)]
mod tests;
