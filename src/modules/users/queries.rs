//! The SQL of people.

use super::model::UserStatus;
use crate::db::{Query, Raw, Rows, Set, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::permit::Access;
pub use crate::identity::person::{COLUMNS, MORE_COLUMNS, USER};
use celaest_domain::access::{Role, effective};
use celaest_domain::analytics::period::may_be_zone;
use celaest_domain::membership::{Caller, Member, Wish};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// The people in the caller's reach: of a client only themselves. Who was removed is nobody's.
pub fn mine(tx: &Tx) -> Rows {
    Rows::of("users_profile", "u")
        .when("u.organization_id = {}::uuid", tx.scope().organization())
        .when("u.id = {}::uuid", tx.scope().owner())
        .only("u.deleted_at IS NULL")
}

/// What rules look at.
#[derive(Debug, Deserialize)]
pub struct Facts {
    /// Identifier.
    pub id: Uuid,
    /// The organization.
    pub organization_id: Option<Uuid>,
    /// The role.
    pub role: String,
    /// The scopes.
    pub scopes: Vec<String>,
    /// Whether they came.
    pub status: UserStatus,
    /// How many others hold the same office and came.
    #[serde(default)]
    pub others_in_office: u64,
}

/// A person whose row is held until the transaction ends.
pub struct Locked {
    /// The row, as selected.
    pub tree: Value,
    /// The parts.
    pub facts: Facts,
}

impl Facts {
    /// The role.
    ///
    /// # Errors
    /// When this version does not know it.
    pub fn role(&self) -> Result<Role> {
        Role::parse(&self.role).ok_or_else(|| Error::internal("a role this version does not know"))
    }

    /// What the person may do.
    ///
    /// # Errors
    /// As [`Facts::role`].
    pub fn powers(&self) -> Result<Caller> {
        let role = self.role()?;
        Ok(Caller {
            role,
            permissions: effective::<_, &str>(role, &self.scopes, None),
        })
    }

    /// The person as rules see them.
    ///
    /// # Errors
    /// As [`Facts::role`].
    pub fn member(&self, access: &Access) -> Result<Member<'_>> {
        Ok(Member {
            role: self.role()?,
            scopes: &self.scopes,
            is_active: self.status == UserStatus::Active,
            is_caller: self.id == access.principal.user_id,
            others_in_office: self.others_in_office,
        })
    }

    /// Whether the caller may do this to the person.
    ///
    /// # Errors
    /// 403 or 409 with the reason why not.
    pub fn allow(&self, access: &Access, wish: Wish) -> Result<()> {
        access.principal.powers().may(&self.member(access)?, wish)?;
        Ok(())
    }
}

/// Holds a person's row.
///
/// # Errors
/// 404 when they are not there or not in the caller's reach.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).lock(&columns());
    held(tx, query).await
}

/// Reads a person within a transaction that goes on.
///
/// # Errors
/// As [`lock`].
pub async fn peek(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).read(&columns());
    held(tx, query).await
}

/// Holds a person's organization and row, and of a super administrator all of them: what depends on the
/// others is decided one after the other.
///
/// # Errors
/// As [`lock`].
pub async fn lock_member(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let query = mine(tx).id(id).joined(HOME).lock_as("o", "u.role");
    // Statements of their own: the next one sees what whoever held the row before has done.
    let home: Option<Value> = tx.row(query).await?;
    let role = match home {
        Some(home) => home["role"].as_str().map(str::to_owned),
        None => Some(peek(tx, id).await?.facts.role),
    };
    if role.as_deref() == Some(Role::SuperAdmin.as_str()) {
        lock_super_admins(tx).await?;
    }
    lock(tx, id).await
}

/// Holds every super administrator, always in the same order.
///
/// # Errors
/// When the database fails.
pub async fn lock_super_admins(tx: &mut Tx) -> Result<()> {
    let all =
        "SELECT u.id FROM users_profile u WHERE u.role = 'super_admin' AND u.deleted_at IS NULL
               ORDER BY u.id FOR NO KEY UPDATE";
    tx.execute(sql(all)).await
}

const HOME: &str = "JOIN organizations o ON o.id = u.organization_id";

fn columns() -> String {
    format!(
        "{COLUMNS}, {MORE_COLUMNS},
         CASE u.role
           WHEN 'admin' THEN (SELECT count(*) FROM users_profile a
             WHERE a.organization_id = u.organization_id AND a.role = 'admin' AND {OTHER})
           WHEN 'super_admin' THEN (SELECT count(*) FROM users_profile a
             LEFT JOIN organizations h ON h.id = a.organization_id
             WHERE a.role = 'super_admin' AND h.deleted_at IS NULL AND {OTHER})
           ELSE 0 END AS others_in_office"
    )
}

/// Another than `u`, who came.
const OTHER: &str = "a.id <> u.id AND a.deleted_at IS NULL AND (a.invited_at IS NULL OR a.activated_at IS NOT NULL)";

async fn held(tx: &mut Tx, query: Query) -> Result<Locked> {
    let tree: Value = tx.one(query, Code::UserNotFound).await?;
    let facts = Facts::deserialize(&tree).map_err(Error::internal)?;
    tx.happens_in(facts.organization_id);
    Ok(Locked { tree, facts })
}

/// Reads one person.
///
/// # Errors
/// 404 as [`lock`].
pub async fn read<T>(tx: Tx, id: Uuid, columns: &str) -> Result<Raw<T>> {
    let query = mine(&tx).id(id).read(columns);
    tx.only_one(query, Code::UserNotFound).await
}

/// Changes one person.
///
/// # Errors
/// 404 as [`lock`].
pub async fn set<T>(tx: &mut Tx, id: Uuid, set: Set, columns: &str) -> Result<Raw<T>> {
    let query = mine(tx).id(id).set(set, columns);
    tx.one(query, Code::UserNotFound).await
}

/// Refuses a time zone that is of no place, or that PostgreSQL does not know.
///
/// # Errors
/// 422 for `field`.
pub async fn check_timezone(tx: &mut Tx, field: &str, name: &str) -> Result<()> {
    let known =
        sql("SELECT to_json(EXISTS (SELECT 1 FROM pg_timezone_names WHERE name = $1))::text");
    if may_be_zone(name) && tx.value(known.bind(name)).await? {
        Ok(())
    } else {
        Err(Error::field(
            field,
            "is not a time zone of the IANA database",
        ))
    }
}

/// Records that a person changed, if they did.
pub fn record(tx: &mut Tx, event: &'static str, before: &Locked, after: &Value) {
    let mut was = before.tree.clone();
    if let Some(fields) = was.as_object_mut() {
        fields.retain(|name, _| after.get(name).is_some());
    }
    tx.record_between(&USER, event, &was, after);
}
