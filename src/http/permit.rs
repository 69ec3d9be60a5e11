//! Permission as a handler argument. A handler that takes a `Permit<LicensesWrite>` cannot run for a
//! caller without `licenses:write`, and without a permit there is no tenant and no transaction.

use crate::call::Call;
use crate::db::{Scope, Tx};
use crate::error::{Code, Error, Result};
use crate::http::endpoint::{Door, Input, Needs, Prepared};
use crate::http::params::Params;
use crate::identity::{self, Principal, Wants};
use celaest_domain::access::Permission;
use futures_util::future::LocalBoxFuture;
use serde_json::json;
use serde_json::value::RawValue;
use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;
use uuid::Uuid;

/// A permission as a type.
pub trait Required: 'static {
    /// The permission.
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($name:ident),* $(,)?) => {
        $(
            #[doc = concat!("Requires [`Permission::", stringify!($name), "`].")]
            #[derive(Debug)]
            pub struct $name;

            impl Required for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )*
    };
}

permissions!(
    LicensesRead,
    LicensesWrite,
    LicensesDelete,
    LicensesRevoke,
    AccountRead,
    AccountWrite,
    UsersRead,
    UsersWrite,
    ApiKeysRead,
    ApiKeysWrite,
    OrganizationsRead,
    OrganizationsWrite,
    OrganizationsCreate,
    OrganizationsDelete,
    SettingsRead,
    SettingsWrite,
    PlansRead,
    PlansWrite,
    CategoriesWrite,
    ProductsRead,
    ProductsWrite,
    ReleasesWrite,
    ReviewsWrite,
    ReviewsModerate,
    AssetsRead,
    AssetsWrite,
    FeatureFlagsRead,
    FeatureFlagsWrite,
    FlagsEvaluate,
    WebhooksRead,
    WebhooksWrite,
    AuditRead,
    AuditExport,
    TelemetryRead,
    TelemetryWrite,
    SystemRead,
    SystemWrite,
    OrdersRead,
    OrdersWrite,
    OrdersRefund,
    InvoicesRead,
    InvoicesSend,
    PaymentMethodsRead,
    PaymentMethodsWrite,
    CouponsRead,
    CouponsWrite,
    TaxRatesRead,
    TaxRatesWrite,
    AiRead,
    AiPromptsRead,
    AiUse,
    AiPromptsWrite,
    AiKeysRead,
    AiKeysWrite,
    AiModelsWrite,
    AnalyticsOwn,
    AnalyticsRead,
);

/// A caller that may go on, and its way to the data. Only the door makes one.
pub struct Access {
    /// The request.
    pub call: Rc<Call>,
    /// Who is calling.
    pub principal: Principal,
    scope: Scope,
    /// The person of the path, where the door asks about one.
    person: Uuid,
}

/// Lets somebody in who proved who they are and may do what the door asks.
///
/// # Errors
/// 401 for nobody, 429 for a caller over its limit, 403 naming the permission that is missing.
pub async fn enter(call: &Rc<Call>, needs: &Needs, params: &Params) -> Result<Access> {
    let wants = match needs.door {
        _ if needs.profile => Wants::Profile,
        _ if needs.light => Wants::Nothing,
        Door::Permit(_) | Door::OnPerson { .. } => Wants::Connection,
        _ => Wants::Nothing,
    };
    let principal = identity::authenticate(call, wants).await?;
    let permissions = principal.permissions;
    let mut of_path = Ok(principal.user_id);
    let missing = match needs.door {
        Door::Open | Door::Browsed | Door::Known | Door::Counted | Door::SignedIn => None,
        Door::Permit(required) => Some(required).filter(|required| !permissions.has(*required)),
        Door::OnPerson { own, all } => {
            // A malformed id is nobody's, so it needs the larger permission; told after the caller is known.
            of_path = params.id("id");
            let oneself = of_path.as_ref().is_ok_and(|id| *id == principal.user_id);
            let may = permissions.has(all) || (oneself && permissions.has(own));
            Some(all).filter(|_| !may)
        }
    };
    if let Some(required) = missing {
        let details = json!({ "required": required.as_str() });
        return Err(Error::new(Code::Forbidden).with_details(details));
    }
    Ok(Access {
        call: call.clone(),
        scope: principal.scope()?,
        principal,
        person: of_path?,
    })
}

impl Access {
    /// A transaction that sees the caller's rows and nothing else.
    pub fn begin(&self) -> Tx {
        self.call
            .database
            .begin(self.scope, self.principal.actor(&self.call))
    }

    /// Whose rows the caller sees.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Under whose name idempotency keys are kept: the API key, or the user.
    pub fn caller(&self) -> Uuid {
        self.principal.api_key_id.unwrap_or(self.principal.user_id)
    }

    /// The organization something new is for: the caller's own, or the one a super administrator names.
    ///
    /// # Errors
    /// 422 for the field `organization_id`.
    pub fn organization(&self, named: Option<Uuid>) -> Result<Uuid> {
        match (self.scope, named) {
            (Scope::Tenant { organization, .. }, None) => Ok(organization),
            (Scope::Tenant { organization, .. }, Some(named)) if named == organization => {
                Ok(organization)
            }
            (Scope::Tenant { .. }, Some(_)) => {
                Err(Error::field("organization_id", "does not exist"))
            }
            (Scope::System | Scope::Nobody, Some(named)) => Ok(named),
            (Scope::System | Scope::Nobody, None) => self
                .principal
                .organization_id
                .ok_or_else(|| Error::field("organization_id", "is required for super_admin")),
        }
    }

    /// The organization that is asked about: the caller's own; for a super administrator the one that is
    /// named, or all.
    ///
    /// # Errors
    /// 422 for somebody else's organization.
    pub fn reach(&self, named: Option<Uuid>) -> Result<Option<Uuid>> {
        match self.scope {
            Scope::Tenant { .. } => self.organization(named).map(Some),
            Scope::System | Scope::Nobody => Ok(named),
        }
    }

    /// Commits what is no change of the caller's and sends the outbox messages on their way after the answer.
    ///
    /// # Errors
    /// When the commit fails; nothing remains then.
    pub fn commit_aside(&self, tx: Tx) -> LocalBoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let messages = tx.commit().await?;
            Call::publish(&self.call, messages);
            Ok(())
        })
    }
}

/// Proof that the caller may do what `P` names.
pub struct Permit<P>(Access, PhantomData<fn() -> P>);

impl<P> Deref for Permit<P> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.0
    }
}

impl<P: Required> Input for Permit<P> {
    const NEEDS: Needs = Needs {
        door: Door::Permit(P::PERMISSION),
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        from.access().map(|access| Self(access, PhantomData))
    }
}

/// A [`Permit`] for what usually asks PostgreSQL nothing: no connection is opened before it is needed.
pub struct Light<P>(Permit<P>);

impl<P> Deref for Light<P> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.0
    }
}

impl<P: Required> Input for Light<P> {
    const NEEDS: Needs = Needs {
        light: true,
        ..Permit::<P>::NEEDS
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        Permit::take(from).map(Self)
    }
}

/// Proof that the caller proved who it is, for what everybody may ask about themselves.
pub struct SignedIn(Access);

impl Deref for SignedIn {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.0
    }
}

impl Input for SignedIn {
    const NEEDS: Needs = Needs {
        door: Door::SignedIn,
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        from.access().map(Self)
    }
}

/// What the caller's own profile shows, known to the caller's object: no statement is needed for it.
pub struct OwnProfile(pub Box<RawValue>);

impl Input for OwnProfile {
    const NEEDS: Needs = Needs {
        profile: true,
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        let access = from.access.as_mut();
        let profile = access.and_then(|access| access.principal.profile.take());
        profile
            .map(Self)
            .ok_or_else(|| Error::internal("nobody's own profile"))
    }
}

/// Proof that the caller may do something to the person `{id}` of the path: to oneself with `Own`, to
/// anybody in reach with `All`.
pub struct OnPerson<Own, All> {
    /// The person of the path.
    pub person: Uuid,
    access: Access,
    required: PhantomData<fn() -> (Own, All)>,
}

impl<Own, All> OnPerson<Own, All> {
    /// Whether the caller is the person.
    pub fn is_self(&self) -> bool {
        self.person == self.principal.user_id
    }
}

impl<Own, All> Deref for OnPerson<Own, All> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl<Own: Required, All: Required> Input for OnPerson<Own, All> {
    const NEEDS: Needs = Needs {
        door: Door::OnPerson {
            own: Own::PERMISSION,
            all: All::PERMISSION,
        },
        ..Needs::NOTHING
    };

    fn take(from: &mut Prepared) -> Result<Self> {
        from.access().map(|access| Self {
            person: access.person,
            access,
            required: PhantomData,
        })
    }
}
