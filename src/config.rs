//! Variables and secrets, read and checked once per isolate. `Debug` never shows a secret.

use crate::error::{Error, Result as Outcome};
use celaest_domain::ai::provider::Provider;
use celaest_domain::secrets::listed;
use celaest_domain::vault::Vault;
use std::fmt;
use std::sync::OnceLock;
use worker::Env;

/// A secret value: readable through [`Secret::expose`], never printed.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret under which things are issued, and those it took the place of: what is issued uses the newest,
/// what was issued under any of them is good. `Debug` shows none.
#[derive(Debug, Clone)]
pub struct Secrets {
    newest: Secret,
    /// The newest first.
    older: Vec<Secret>,
}

impl Secrets {
    /// Reads the list of a variable.
    fn parse(name: &str, text: &str) -> Result<Self, String> {
        // Anybody knows the empty secret.
        if listed(text).any(str::is_empty) {
            return Err(format!("variable {name} has an empty secret in its list"));
        }
        let mut secrets = listed(text).rev().map(|secret| Secret(secret.to_owned()));
        let newest = secrets
            .next()
            .ok_or_else(|| format!("variable {name} is not set"))?;
        Ok(Self {
            newest,
            older: secrets.collect(),
        })
    }

    /// What is issued now is issued under this one.
    pub fn newest(&self) -> &str {
        self.newest.expose()
    }

    /// All that may have been issued under, the newest first.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.newest)
            .chain(&self.older)
            .map(Secret::expose)
    }
}

/// Everything that can be configured. `.dev.vars.example` documents each variable.
#[derive(Debug, Clone)]
pub struct Config {
    /// `development`, `staging` or `production`.
    pub app_env: String,
    /// Log lines below this level are dropped: `debug`, `info`, `warn`, `error`.
    pub log_level: String,
    /// The Supabase project's URL, without a slash at the end.
    pub supabase_url: String,
    /// The legacy HS256 secret. Without it, HS256 tokens are refused.
    pub supabase_jwt_secret: Option<Secret>,
    /// The `aud` that a token must carry.
    pub supabase_jwt_audience: String,
    /// Make and check the last four characters of a license key.
    pub license_key_secret: Secrets,
    /// Key the hash under which API keys are stored.
    pub api_key_pepper: Secrets,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Requests a minute for a caller without a limit of its own.
    pub rate_limit_per_min: u32,
    /// Validations a minute of one license.
    pub validate_limit_per_license: u32,
    /// Validations a minute from one address.
    pub validate_limit_per_ip: u32,
    /// Looks a minute from one address at what is open to everybody: catalogue, search, updates, downloads.
    pub browse_limit_per_ip: u32,
    /// Keys for secrets at rest, the newest last. Without them nothing that has a secret works.
    pub encryption_key: Option<Secret>,
    /// The seed of the key that signs audit seals.
    pub audit_signing_key: Option<Secret>,
    /// The public key of the Supabase project, which its own API asks for.
    pub supabase_anon_key: Option<Secret>,
    /// The service key of the Supabase project, with which links to files are made. Without it there are none.
    pub supabase_service_key: Option<Secret>,
    /// The storage's own URL, without a slash at the end.
    pub storage_url: String,
    /// The bucket that the files of releases are in.
    pub storage_bucket: String,
    /// Seconds for which a link to a file is good.
    pub download_link_seconds: u32,
    /// Webhooks may go to addresses inside; for local development only.
    pub webhook_allow_private: bool,
    /// Seconds of nothing but failures after which a webhook is disabled.
    pub webhook_disable_after_s: u32,
    /// Where e-mails are posted to. Settings win over these three.
    pub email_api_url: Option<String>,
    /// The key of that API.
    pub email_api_key: Option<Secret>,
    /// The sender of e-mails.
    pub email_from: Option<String>,
    /// The key of the Stripe account. Without it nothing is paid by card.
    pub stripe_secret_key: Option<Secret>,
    /// What Stripe signs events with; several while one is being changed.
    pub stripe_webhook_secret: Option<Secrets>,
    /// Stripe's API, without a slash at the end.
    pub stripe_api_url: String,
    /// The organization that sells the plans themselves.
    pub platform_organization: Option<uuid::Uuid>,
    /// The dashboard, for links in e-mails, without a slash at the end.
    pub dashboard_url: Option<String>,
    /// Age in seconds after which the edge reads a license from PostgreSQL again.
    pub snapshot_ttl_seconds: u32,
    /// Keys of AI providers that the platform begins with.
    pub ai_keys: Vec<(Provider, Secret)>,
    /// Where the APIs of AI providers are, for those that are somewhere else.
    ai_base_urls: Vec<(Provider, String)>,
}

static CONFIG: OnceLock<Config> = OnceLock::new();

impl Config {
    /// Whether real money is moved: events of the other mode are none of ours.
    pub fn stripe_is_live(&self) -> bool {
        let key = self.stripe_secret_key.as_ref().map(Secret::expose);
        key.is_some_and(|key| key.starts_with("sk_live_") || key.starts_with("rk_live_"))
    }

    /// The configuration of this isolate.
    ///
    /// # Errors
    /// Names the first variable that is missing or malformed.
    pub fn get(env: &Env) -> Result<&'static Config, String> {
        if let Some(config) = CONFIG.get() {
            return Ok(config);
        }
        let config = Self::read(|name| env.var(name).ok().map(|value| value.to_string()))?;
        Ok(CONFIG.get_or_init(|| config))
    }

    /// The configuration, where this isolate has read it already.
    pub fn known() -> Option<&'static Self> {
        CONFIG.get()
    }

    /// A configuration with the least there must be, and these variables.
    #[cfg(test)]
    pub fn for_tests(variables: &[(&str, &str)]) -> Self {
        let required = [
            ("SUPABASE_URL", "https://x.supabase.co"),
            ("LICENSE_KEY_SECRET", "l"),
            ("API_KEY_PEPPER", "p"),
        ];
        let find = |name: &str| {
            let all = variables.iter().chain(&required);
            all.clone()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Self::read(find).expect("the variables of a test")
    }

    /// Whether lines of this level are written.
    pub fn logs(&self, level: &str) -> bool {
        let rank = |name: &str| {
            ["debug", "info", "warn", "error"]
                .iter()
                .position(|known| *known == name)
                .unwrap_or(1)
        };
        rank(level) >= rank(&self.log_level)
    }

    /// The keys for secrets at rest.
    ///
    /// # Errors
    /// [`crate::error::Code::Unavailable`] when there are none: nothing that has a secret works then.
    pub fn vault(&self) -> Outcome<Vault> {
        let keys = self
            .encryption_key
            .as_ref()
            .ok_or_else(|| Error::unavailable("variable ENCRYPTION_KEY is not set"))?;
        Vault::parse(keys.expose())
            .map_err(|problem| Error::unavailable(format!("variable ENCRYPTION_KEY: {problem}")))
    }

    /// Where the API of an AI provider is, without a slash at the end.
    pub fn ai_base_url(&self, provider: Provider) -> &str {
        let mut known = self.ai_base_urls.iter();
        known
            .find(|(other, _)| *other == provider)
            .map_or(provider.base_url(), |(_, url)| url)
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let optional = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let required =
            |name: &str| optional(name).ok_or_else(|| format!("variable {name} is not set"));
        let secrets = |name: &str| Secrets::parse(name, &required(name)?);
        let number = |name: &str, default: u32| match optional(name) {
            None => Ok(default),
            Some(text) => text
                .trim()
                .parse::<u32>()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| format!("variable {name} must be a whole number above zero")),
        };
        let ai_keys = |provider: Provider| {
            let keys = optional(&ai_keys_variable(provider)).unwrap_or_default();
            let keys = keys.split(',').map(str::trim).map(str::to_owned);
            let keys = keys.filter(|key| !key.is_empty());
            keys.map(|key| (provider, Secret(key))).collect::<Vec<_>>()
        };
        let supabase_url = required("SUPABASE_URL")?.trim_end_matches('/').to_owned();
        Ok(Self {
            app_env: optional("APP_ENV").unwrap_or_else(|| "production".into()),
            log_level: optional("LOG_LEVEL").unwrap_or_else(|| "info".into()),
            supabase_service_key: optional("SUPABASE_SERVICE_KEY").map(Secret),
            storage_url: optional("STORAGE_URL")
                .map(|url| url.trim_end_matches('/').to_owned())
                .unwrap_or_else(|| format!("{supabase_url}/storage/v1")),
            storage_bucket: optional("STORAGE_BUCKET").unwrap_or_else(|| "releases".into()),
            download_link_seconds: number("DOWNLOAD_LINK_SECONDS", 120)?,
            supabase_url,
            supabase_jwt_secret: optional("SUPABASE_JWT_SECRET").map(Secret),
            supabase_jwt_audience: optional("SUPABASE_JWT_AUDIENCE")
                .unwrap_or_else(|| "authenticated".into()),
            license_key_secret: secrets("LICENSE_KEY_SECRET")?,
            api_key_pepper: secrets("API_KEY_PEPPER")?,
            cors_origins: optional("CORS_ORIGINS")
                .map(|list| {
                    list.split(',')
                        .map(|origin| origin.trim().trim_end_matches('/').to_owned())
                        .collect()
                })
                .unwrap_or_default(),
            rate_limit_per_min: number("RATE_LIMIT_PER_MIN", 100)?,
            validate_limit_per_license: number("VALIDATE_LIMIT_PER_LICENSE", 600)?,
            validate_limit_per_ip: number("VALIDATE_LIMIT_PER_IP", 300)?,
            browse_limit_per_ip: number("BROWSE_LIMIT_PER_IP", 300)?,
            encryption_key: optional("ENCRYPTION_KEY").map(Secret),
            audit_signing_key: optional("AUDIT_SIGNING_KEY").map(Secret),
            supabase_anon_key: optional("SUPABASE_ANON_KEY").map(Secret),
            webhook_allow_private: optional("WEBHOOK_ALLOW_PRIVATE").as_deref() == Some("true"),
            webhook_disable_after_s: number("WEBHOOK_DISABLE_AFTER_SECONDS", 432_000)?,
            email_api_url: optional("EMAIL_API_URL"),
            email_api_key: optional("EMAIL_API_KEY").map(Secret),
            email_from: optional("EMAIL_FROM"),
            stripe_secret_key: optional("STRIPE_SECRET_KEY").map(Secret),
            stripe_webhook_secret: match optional("STRIPE_WEBHOOK_SECRET") {
                Some(list) => Some(Secrets::parse("STRIPE_WEBHOOK_SECRET", &list)?),
                None => None,
            },
            stripe_api_url: optional("STRIPE_API_URL")
                .unwrap_or_else(|| "https://api.stripe.com".into())
                .trim_end_matches('/')
                .to_owned(),
            platform_organization: match optional("PLATFORM_ORGANIZATION_ID") {
                Some(id) => Some(
                    id.trim()
                        .parse()
                        .map_err(|_| "variable PLATFORM_ORGANIZATION_ID must be a UUID")?,
                ),
                None => None,
            },
            dashboard_url: optional("DASHBOARD_URL")
                .map(|url| url.trim_end_matches('/').to_owned()),
            snapshot_ttl_seconds: number("SNAPSHOT_TTL_SECONDS", 300)?,
            ai_keys: Provider::ALL.into_iter().flat_map(ai_keys).collect(),
            ai_base_urls: base_urls(optional("AI_BASE_URLS").as_deref().unwrap_or_default())?,
        })
    }
}

/// The variable with the keys of a provider: `GEMINI_API_KEYS`.
pub fn ai_keys_variable(provider: Provider) -> String {
    format!("{}_API_KEYS", provider.as_str().to_ascii_uppercase())
}

/// Reads `local=http://127.0.0.1:11434,openai=https://…`.
fn base_urls(text: &str) -> Result<Vec<(Provider, String)>, String> {
    let pairs = text
        .split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, url) = pair.split_once('=').unwrap_or((pair, ""));
            let provider = Provider::named(name.trim());
            let is_url = url.trim().starts_with("http");
            match provider.filter(|_| is_url) {
                Some(provider) => Ok((provider, url.trim().trim_end_matches('/').to_owned())),
                None => Err("variable AI_BASE_URLS must be a list such as local=http://host:11434,openai=https://host/v1".into()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    const MINIMUM: [(&str, &str); 3] = [
        ("SUPABASE_URL", "https://x.supabase.co/"),
        ("LICENSE_KEY_SECRET", "l"),
        ("API_KEY_PEPPER", "p"),
    ];

    #[test]
    fn defaults_fill_what_may_be_absent() {
        let config = read(&MINIMUM).unwrap();
        assert_eq!(config.supabase_url, "https://x.supabase.co");
        assert_eq!(config.rate_limit_per_min, 100);
        assert!(config.supabase_jwt_secret.is_none());
    }

    #[test]
    fn a_missing_variable_is_named() {
        assert_eq!(
            read(&MINIMUM[..1]).unwrap_err(),
            "variable LICENSE_KEY_SECRET is not set"
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let config = read(&[
            MINIMUM[0],
            ("LICENSE_KEY_SECRET", "hush"),
            ("API_KEY_PEPPER", "silent,quiet"),
        ])
        .unwrap();
        let text = format!("{config:?}");
        for secret in ["hush", "silent", "quiet"] {
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn the_last_secret_of_a_list_is_the_newest() {
        let of = |text| {
            let config = read(&[MINIMUM[0], ("LICENSE_KEY_SECRET", text), MINIMUM[2]])?;
            Ok::<_, String>(config.license_key_secret)
        };
        let three = of("first, second,third").unwrap();
        assert_eq!(three.newest(), "third");
        assert_eq!(
            three.all().collect::<Vec<_>>(),
            ["third", "second", "first"]
        );
        assert_eq!(of("only").unwrap().all().collect::<Vec<_>>(), ["only"]);
        for text in [",", "old,", ",new", "old, ,new"] {
            assert_eq!(
                of(text).unwrap_err(),
                "variable LICENSE_KEY_SECRET has an empty secret in its list"
            );
        }
    }

    #[test]
    fn keys_and_addresses_of_ai_providers() {
        let config = Config::for_tests(&[
            ("GEMINI_API_KEYS", "hush-1, hush-2,"),
            ("LOCAL_API_KEYS", "any"),
            (
                "AI_BASE_URLS",
                "local=http://127.0.0.1:1/, openai=https://x.example/v1",
            ),
        ]);
        let of = |provider| {
            let all = config.ai_keys.iter();
            all.filter(|(other, _)| *other == provider).count()
        };
        assert_eq!(
            (
                of(Provider::Gemini),
                of(Provider::Local),
                of(Provider::Groq)
            ),
            (2, 1, 0)
        );
        assert_eq!(config.ai_base_url(Provider::Local), "http://127.0.0.1:1");
        assert_eq!(config.ai_base_url(Provider::OpenAi), "https://x.example/v1");
        assert_eq!(
            config.ai_base_url(Provider::Groq),
            Provider::Groq.base_url()
        );
        assert!(!format!("{config:?}").contains("hush"));
        for wrong in ["local", "ollama=http://x", "local=x"] {
            assert!(base_urls(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_below_the_level_is_not_logged() {
        let logged = |level| {
            let config = Config::for_tests(&[("LOG_LEVEL", level)]);
            ["debug", "info", "warn", "error"].map(|line| config.logs(line))
        };
        assert_eq!(logged("debug"), [true, true, true, true]);
        assert_eq!(logged("info"), [false, true, true, true]);
        assert_eq!(logged("error"), [false, false, false, true]);
        assert_eq!(logged("nonsense"), logged("info"));
    }
}
