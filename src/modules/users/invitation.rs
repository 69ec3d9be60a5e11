//! What lets somebody invited in: a token in an e-mail, of which the database keeps a hash.

use crate::db::facts::Mail;
use crate::db::{Set, Tx, sql};
use crate::error::Result;
use crate::http::permit::Access;
use crate::platform::random;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use celaest_domain::hex::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// For how long an invitation can be accepted, in days.
const DAYS: u32 = 7;
/// Random bytes of a token.
const BYTES: usize = 32;

/// What the person `$1` of the organization `$2` is called.
const INVITER: &str = "SELECT to_json(coalesce(nullif(display_name, ''), nullif(concat_ws(' ', first_name, last_name), ''), email))::text
    FROM users_profile WHERE id = $1::uuid AND ($2::uuid IS NULL OR organization_id = $2::uuid)";

/// A token, drawn for one e-mail.
pub struct Token(String);

impl Token {
    /// Draws one.
    ///
    /// # Errors
    /// When the platform has no random numbers.
    pub fn draw() -> Result<Self> {
        Ok(Self(URL_SAFE_NO_PAD.encode(random::bytes::<BYTES>()?)))
    }

    /// Sets what the database keeps of it.
    pub fn kept(&self, set: Set) -> Set {
        set.to("invitation_hash = {}", hash(&self.0)).to(
            "invitation_expires_at = now() + make_interval(days => {}::integer)",
            DAYS,
        )
    }

    /// Sends it to the invited `user`, who learns what the organization is called and who invites.
    ///
    /// # Errors
    /// When the database fails; 503 when the link cannot be sealed.
    pub async fn post(
        self,
        access: &Access,
        tx: &mut Tx,
        user: &Value,
        organization: &str,
    ) -> Result<()> {
        let inviter: Option<String> = tx
            .value(
                sql(INVITER)
                    .bind(access.principal.user_id)
                    .bind(access.principal.organization_id),
            )
            .await?;
        let text = |name: &str| user[name].as_str().unwrap_or_default().to_owned();
        let (config, id) = (access.call.config, Uuid::new_v4());
        let link = config
            .dashboard_url
            .as_deref()
            .map(|dashboard| {
                let parameters = [("token", &self.0), ("email", &text("email"))];
                let query = serde_urlencoded::to_string(parameters).unwrap_or_default();
                Mail::seal_link(config, id, &format!("{dashboard}/invitation?{query}"))
            })
            .transpose()?;
        tx.post(Mail {
            id,
            organization_id: user["organization_id"]
                .as_str()
                .and_then(|id| Uuid::try_parse(id).ok()),
            to: text("email"),
            locale: text("locale"),
            template: "invitation".into(),
            data: json!({
                "organization": organization, "inviter": inviter, "name": user["first_name"],
            }),
            link,
        });
        Ok(())
    }
}

/// The form in which a token is kept.
pub fn hash(token: &str) -> String {
    hex(&Sha256::digest(token))
}
