//! `GET /api/analytics/…`: every report, by its path.

use super::model::Answer;
use super::question::{Asked, Question, backward};
use super::report::{Form, Report, Whose};
use super::reports;
use crate::db::{Raw, Scope, Tx};
use crate::error::{Code, Error, Result};
use crate::http::endpoint::{Input, Prepared};
use crate::http::params::Query;
use crate::http::permit::{Access, AnalyticsOwn, AnalyticsRead, Permit};
use crate::http::reply::Data;
use celaest_domain::access::Permission;
use futures_util::future::LocalBoxFuture;
use serde_json::json;

/// The report that the path is of.
#[derive(Debug, Clone, Copy)]
pub struct AtPath(pub &'static Report);

impl Input for AtPath {
    fn take(from: &mut Prepared) -> Result<Self> {
        let path = from.call.head.path();
        let found = reports::ALL.iter().find(|report| report.path == path);
        found
            .copied()
            .map(Self)
            .ok_or_else(|| Error::internal("a path without a report"))
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl aide::operation::OperationInput for AtPath {}

/// Shows an organization's numbers.
pub async fn read(
    permit: Permit<AnalyticsRead>,
    AtPath(report): AtPath,
    Query(question): Query<Question>,
) -> Result<Data<Answer>> {
    answer(&permit, report, question).await
}

/// Shows an organization's numbers, or to whoever may not see those the own ones.
pub async fn read_own(
    permit: Permit<AnalyticsOwn>,
    AtPath(report): AtPath,
    Query(question): Query<Question>,
) -> Result<Data<Answer>> {
    answer(&permit, report, question).await
}

fn answer<'a>(
    access: &'a Access,
    report: &'static Report,
    question: Question,
) -> LocalBoxFuture<'a, Result<Data<Answer>>> {
    Box::pin(async move {
        let asked = question.read()?;
        let view = View::of(access, &asked)?;
        view.allows(report)?;
        fits(report, &asked, view.whose)?;
        let statement = report.statement(&asked, view.whose, Form::Answer);
        let found: Option<Raw<Answer>> = view.begin(access).only_value(statement).await?;
        found.map(|found| Data::raw(&found)).ok_or_else(backward)
    })
}

/// What a caller sees of the numbers.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Whose they are.
    pub whose: Whose,
    /// Whose rows a transaction sees then.
    pub scope: Scope,
}

impl View {
    /// The organization's where the caller may see those, or else the caller's own.
    ///
    /// # Errors
    /// 422 for another organization.
    pub fn of(access: &Access, asked: &Asked) -> Result<Self> {
        let organization = access.reach(asked.question.organization_id)?;
        let principal = &access.principal;
        let sees_all = principal.permissions.has(Permission::AnalyticsRead);
        let person = match access.scope().owner() {
            Some(owner) => Some(owner),
            None => (!sees_all).then_some(principal.user_id),
        };
        let scope = match access.scope() {
            Scope::Tenant { organization, .. } => Scope::Tenant {
                organization,
                owner: person,
            },
            scope => scope,
        };
        Ok(Self {
            whose: Whose {
                organization,
                person,
            },
            scope,
        })
    }

    /// Whether the report is for this caller.
    ///
    /// # Errors
    /// 403 naming the permission.
    pub fn allows(&self, report: &Report) -> Result<()> {
        if report.is_own || self.whose.person.is_none() {
            return Ok(());
        }
        let details = json!({ "required": Permission::AnalyticsRead.as_str() });
        Err(Error::new(Code::Forbidden).with_details(details))
    }

    /// A transaction that sees what the caller does.
    pub fn begin(&self, access: &Access) -> Tx {
        let actor = access.principal.actor(&access.call);
        access.call.database.begin(self.scope, actor)
    }
}

/// Whether the report has what is asked for.
///
/// # Errors
/// 422 naming the field.
pub fn fits(report: &Report, asked: &Asked, whose: Whose) -> Result<()> {
    let question = &asked.question;
    if let Some(metric) = question.metric.as_deref()
        && report
            .shown(Some(metric), whose.person.is_some())
            .next()
            .is_none()
    {
        let names: Vec<_> = report
            .shown(None, whose.person.is_some())
            .map(|measure| measure.name)
            .collect();
        let problem = format!("must be one of: {}", names.join(", "));
        return Err(Error::field("metric", &problem));
    }
    let narrowed = [
        ("product_id", question.product_id.is_some()),
        ("plan_id", question.plan_id.is_some()),
        ("provider", question.provider.is_some()),
    ];
    // Whoever's AI use is told apart by person is not told apart by product.
    let is_able = |name: &str| {
        report.filters.contains(&name)
            && !(name == "product_id" && whose.person.is_some() && report.kinds == "ai")
    };
    match narrowed
        .iter()
        .find(|(name, given)| *given && !is_able(name))
    {
        Some((name, _)) => Err(Error::field(name, "does not narrow this report")),
        None => Ok(()),
    }
}
