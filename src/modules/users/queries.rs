//! The SQL of people.

use super::model::UserStatus;
use crate::db::facts::{Action, Fact, changes};
use crate::db::{Query, Tx, sql};
use crate::error::{Code, Error, Result};
use crate::http::permit::Access;
use crate::http::reply::Raw;
use celaest_domain::access::{Permissions, Role, effective};
use celaest_domain::membership::{Member, Wish};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The columns of [`super::model::User`], from alias `u`.
pub const COLUMNS: &str = "u.id, u.organization_id, u.email, u.first_name, u.last_name, u.display_name, u.avatar_url,
    u.role, u.scopes,
    CASE WHEN u.invited_at IS NOT NULL AND u.activated_at IS NULL THEN 'invited' ELSE 'active' END AS status,
    u.timezone, u.locale, u.last_login_at, u.login_count, u.invited_by, u.invited_at, u.activated_at,
    u.created_at, u.updated_at";

/// The columns of [`super::model::Profile`] beyond those.
pub const MORE_COLUMNS: &str = "u.phone, u.preferences, u.onboarding_completed, u.onboarding_step";

/// The tenant in a statement's own WHERE, for `users_profile u`; `$1` is the organization, `$2` the
/// person that a client is. Who was removed is nobody's.
pub const MINE: &str = "($1::uuid IS NULL OR u.organization_id = $1::uuid)
    AND ($2::uuid IS NULL OR u.id = $2::uuid) AND u.deleted_at IS NULL";

/// A statement whose first two parameters are the tenant, as [`MINE`] expects.
pub fn mine(tx: &Tx, text: impl Into<String>) -> Query {
    sql(text)
        .bind(tx.scope().organization())
        .bind(tx.scope().owner())
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
    /// How many other administrators of the organization came.
    #[serde(default)]
    pub other_admins: u64,
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
    pub fn permissions(&self) -> Result<Permissions> {
        Ok(effective::<_, &str>(self.role()?, &self.scopes, None))
    }

    /// Whether the caller may do this to the person.
    ///
    /// # Errors
    /// 403 or 409 with the reason why not.
    pub fn allow(&self, access: &Access, wish: Wish) -> Result<()> {
        let member = Member {
            role: self.role()?,
            scopes: &self.scopes,
            is_active: self.status == UserStatus::Active,
            is_caller: self.id == access.principal.user_id,
            other_admins: self.other_admins,
        };
        access.principal.powers().may(&member, wish)?;
        Ok(())
    }
}

/// Holds a person's row.
///
/// # Errors
/// 404 when they are not there or not in the caller's reach.
pub async fn lock(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    held(tx, id, "FOR NO KEY UPDATE OF u").await
}

/// Reads a person within a transaction that goes on.
///
/// # Errors
/// As [`lock`].
pub async fn peek(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    held(tx, id, "").await
}

/// Holds a person's organization and row: what depends on the other members is decided one after the
/// other. Not `FOR UPDATE`, which would also hold up everybody who only refers to the organization.
///
/// # Errors
/// As [`lock`].
pub async fn lock_member(tx: &mut Tx, id: Uuid) -> Result<Locked> {
    let organization = mine(
        tx,
        format!(
            "SELECT o.id FROM organizations o
             WHERE o.id = (SELECT u.organization_id FROM users_profile u WHERE {MINE} AND u.id = $3::uuid)
             FOR NO KEY UPDATE OF o"
        ),
    )
    .bind(id);
    // A statement of its own: the next one sees what whoever held the row before has done.
    tx.row::<Value>(organization).await?;
    held(tx, id, "FOR NO KEY UPDATE OF u").await
}

async fn held(tx: &mut Tx, id: Uuid, locking: &str) -> Result<Locked> {
    let query = mine(
        tx,
        format!(
            "SELECT {COLUMNS}, {MORE_COLUMNS},
               (SELECT count(*) FROM users_profile a WHERE a.organization_id = u.organization_id AND a.id <> u.id
                  AND a.role = 'admin' AND a.deleted_at IS NULL
                  AND (a.invited_at IS NULL OR a.activated_at IS NOT NULL)) AS other_admins
             FROM users_profile u WHERE {MINE} AND u.id = $3::uuid {locking}"
        ),
    )
    .bind(id);
    let tree: Option<Value> = tx.row(query).await?;
    let tree = tree.ok_or_else(|| Error::new(Code::UserNotFound))?;
    let facts = Facts::deserialize(&tree).map_err(Error::internal)?;
    Ok(Locked { tree, facts })
}

/// Reads one person.
///
/// # Errors
/// 404 as [`lock`].
pub async fn read<T>(tx: Tx, id: Uuid, columns: &str) -> Result<Raw<T>> {
    let query = mine(
        &tx,
        format!("SELECT {columns} FROM users_profile u WHERE {MINE} AND u.id = $3::uuid"),
    )
    .bind(id);
    tx.only_row(query)
        .await?
        .ok_or_else(|| Code::UserNotFound.into())
}

/// Sets columns of one person; `assignments` reads the JSON object in `$4`.
///
/// # Errors
/// 404 as [`lock`].
pub async fn set<T>(
    tx: &mut Tx,
    id: Uuid,
    assignments: &str,
    columns: Map<String, Value>,
    returning: &str,
) -> Result<Raw<T>> {
    let query = mine(
        tx,
        format!("UPDATE users_profile u SET {assignments} WHERE {MINE} AND u.id = $3::uuid RETURNING {returning}"),
    )
    .bind(id)
    .bind(Value::Object(columns));
    tx.row(query)
        .await?
        .ok_or_else(|| Code::UserNotFound.into())
}

/// Refuses a time zone that PostgreSQL does not know.
///
/// # Errors
/// 422 for `field`.
pub async fn check_timezone(tx: &mut Tx, field: &str, name: &str) -> Result<()> {
    let known: bool = tx
        .value(
            sql("SELECT to_json(EXISTS (SELECT 1 FROM pg_timezone_names WHERE name = $1))::text")
                .bind(name),
        )
        .await?;
    if known {
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
    let changes = changes(&was, after);
    if changes["after"] != json!({}) {
        tx.record(Fact {
            id: Uuid::new_v4(),
            organization_id: before.facts.organization_id,
            action: Action::Update,
            event,
            resource_type: "user",
            resource_id: before.facts.id,
            changes,
            payload: Some(public(after)),
        });
    }
}

/// What the outside learns of a person.
pub fn public(user: &Value) -> Value {
    const SHOWN: [&str; 9] = [
        "id",
        "organization_id",
        "email",
        "first_name",
        "last_name",
        "display_name",
        "role",
        "scopes",
        "status",
    ];
    let fields: Map<_, _> = SHOWN
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), user.get(*name)?.clone())))
        .collect();
    json!({ "user": fields })
}
