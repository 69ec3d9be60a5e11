//! What stands between the router and a handler: everything that does not depend on the handler's types,
//! once, and the little that does.

use crate::call::Call;
use crate::error::{Error, Result};
use crate::http::body::{self, MAX_BODY_BYTES};
use crate::http::idempotency::Claim;
use crate::http::params::Params;
use crate::http::permit::{self, Access};
use crate::http::reply::{Answer, Output};
use crate::http::strict;
use crate::identity::{self, limits};
use celaest_domain::access::Permission;
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;

/// Who may come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Everybody.
    Open,
    /// Everybody; whoever shows a credential proves who they are.
    Known,
    /// As [`Door::Known`]; without a credential each address so and so often.
    Counted,
    /// Everybody, each address so and so often.
    Browsed,
    /// Whoever proves who they are.
    SignedIn,
    /// Whoever has the permission.
    Permit(Permission),
    /// Whoever has `own` when the `{id}` of the path is themselves, or else `all`.
    OnPerson {
        /// Enough for oneself.
        own: Permission,
        /// Needed for others.
        all: Permission,
    },
}

/// What has to be seen to before a handler's inputs are read.
#[derive(Debug, Clone, Copy)]
pub struct Needs {
    /// Who may come in.
    pub door: Door,
    /// The handler reads the query string; for others any is refused.
    pub query: bool,
    /// The handler reads a body of at most so many bytes.
    pub body: Option<usize>,
    /// The handler honours `Idempotency-Key`.
    pub once: bool,
    /// The handler shows the caller's own profile.
    pub profile: bool,
    /// The handler usually asks PostgreSQL nothing.
    pub light: bool,
}

impl Needs {
    /// Nothing.
    pub const NOTHING: Self = Self {
        door: Door::Open,
        query: false,
        body: None,
        once: false,
        profile: false,
        light: false,
    };

    /// What two inputs need together. Only one of them is a door.
    pub const fn and(self, other: Self) -> Self {
        Self {
            door: match self.door {
                Door::Open => other.door,
                door => door,
            },
            query: self.query || other.query,
            body: match self.body {
                None => other.body,
                body => body,
            },
            once: self.once || other.once,
            profile: self.profile || other.profile,
            light: self.light || other.light,
        }
    }
}

/// A request that has passed the door, with everything that inputs are made of.
pub struct Prepared {
    /// The request.
    pub call: Rc<Call>,
    /// What the path's placeholders stand for.
    pub params: Params,
    /// The caller, where the door is not open or they showed who they are.
    pub access: Option<Access>,
    /// The body, where one is needed.
    pub body: Vec<u8>,
}

impl Prepared {
    /// The caller, for the inputs that stand for the door.
    ///
    /// # Errors
    /// When the handler has two of them, which is a defect.
    pub fn access(&mut self) -> Result<Access> {
        let access = self.access.take();
        access.ok_or_else(|| Error::internal("a handler with two doors"))
    }

    /// What makes the request a repeat of another.
    ///
    /// # Errors
    /// 400 for a malformed `Idempotency-Key`.
    pub fn claim(&self) -> Result<Claim> {
        Claim::of(&self.call, &self.body)
    }
}

/// Documentation is made natively, from the same types; the worker carries none of it.
#[cfg(not(target_arch = "wasm32"))]
mod documentation {
    pub use aide::operation::{
        OperationInput as DocumentedInput, OperationOutput as DocumentedOutput,
    };
    pub use schemars::JsonSchema as Documented;
}
#[cfg(target_arch = "wasm32")]
mod documentation {
    pub trait Documented {}
    impl<T> Documented for T {}
    pub use Documented as DocumentedInput;
    pub use Documented as DocumentedOutput;
}
pub use documentation::{Documented, DocumentedInput, DocumentedOutput};

/// Something a handler may ask for in its signature.
pub trait Input: DocumentedInput + Sized {
    /// What has to be seen to before.
    const NEEDS: Needs = Needs::NOTHING;

    /// Reads it. Everything that waits has been done.
    ///
    /// # Errors
    /// When the request does not have it in the right form.
    fn take(from: &mut Prepared) -> Result<Self>;
}

/// In the place of a body where an endpoint has none: `Once(key, NoBody)`.
#[derive(Debug, Clone, Copy)]
pub struct NoBody;

impl Input for NoBody {
    // Read all the same: with the same key another body is another request.
    const NEEDS: Needs = Needs {
        body: Some(MAX_BODY_BYTES),
        ..Needs::NOTHING
    };

    fn take(_: &mut Prepared) -> Result<Self> {
        Ok(Self)
    }
}

/// A handler without its types.
pub type Run = Box<dyn Fn(Prepared) -> LocalBoxFuture<'static, Result<Answer>>>;

/// A function whose arguments are inputs and whose outcome is an output.
pub trait Handler<Inputs>: Copy + 'static {
    /// What its inputs need together.
    const NEEDS: Needs;

    /// Forgets the types.
    fn erase(self) -> Run;

    /// Describes the inputs and the output.
    #[cfg(not(target_arch = "wasm32"))]
    fn describe(
        context: &mut aide::generate::GenContext,
        operation: &mut aide::openapi::Operation,
    ) -> Vec<(Option<u16>, aide::openapi::Response)>;
}

macro_rules! handlers {
    ($(($($input:ident $value:ident),*))*) => {$(
        impl<F, Fut, O, $($input),*> Handler<($($input,)*)> for F
        where
            F: Fn($($input),*) -> Fut + Copy + 'static,
            Fut: Future<Output = O> + 'static,
            O: Output,
            $($input: Input + 'static),*
        {
            const NEEDS: Needs = Needs::NOTHING$(.and($input::NEEDS))*;

            fn erase(self) -> Run {
                #[allow(unused_mut, unused_variables, reason = "a handler may take nothing")]
                Box::new(move |mut prepared| {
                    Box::pin(async move {
                        $(let $value = $input::take(&mut prepared)?;)*
                        drop(prepared);
                        self($($value),*).await.answer()
                    })
                })
            }

            #[cfg(not(target_arch = "wasm32"))]
            #[allow(unused_variables, reason = "a handler may take nothing")]
            fn describe(
                context: &mut aide::generate::GenContext,
                operation: &mut aide::openapi::Operation,
            ) -> Vec<(Option<u16>, aide::openapi::Response)> {
                $($input::operation_input(context, operation);)*
                O::inferred_responses(context, operation)
            }
        }
    )*};
}

handlers! {
    ()
    (A a)
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}

/// One method of one path.
pub struct Endpoint {
    /// The path's pattern, which names no tenant and keeps the log countable.
    pub pattern: &'static str,
    needs: Needs,
    run: Run,
}

impl Endpoint {
    /// An endpoint that calls `handler`.
    pub fn new<I, H: Handler<I>>(pattern: &'static str, handler: H) -> Self {
        Self {
            pattern,
            needs: H::NEEDS,
            run: handler.erase(),
        }
    }

    /// Lets a request through the door, reads what the handler needs, and calls it.
    ///
    /// # Errors
    /// Everything that can be wrong with a request, in this order: who is calling, what they may, the
    /// query string, the body; then whatever the handler says.
    pub async fn answer(&self, call: &Rc<Call>, params: Params) -> Result<Answer> {
        let access = match self.needs.door {
            Door::Open => None,
            Door::Browsed => {
                limits::count_browsing(call)?;
                None
            }
            Door::Known | Door::Counted if !identity::shows_credential(call) => {
                if self.needs.door == Door::Counted {
                    limits::count_validation(call)?;
                }
                None
            }
            _ => Some(permit::enter(call, &self.needs, &params).await?),
        };
        if !self.needs.query {
            strict::no_query(call.head.query())?;
        }
        let body = match self.needs.body {
            Some(limit) => {
                let bytes = call.body(limit).await?;
                if !bytes.is_empty() {
                    body::is_plain_json(&call.head)?;
                }
                bytes
            }
            None => Vec::new(),
        };
        let prepared = Prepared {
            call: call.clone(),
            params,
            access,
            body,
        };
        (self.run)(prepared).await
    }
}
