//! How the connection is protected: what `sslmode` and `sslrootcert` in the URL, or `SSL_CERT_FILE`, ask for.
//!
//! Whoever asks for TLS gets a checked certificate. `require` and `verify-full` are the same here: a known
//! authority and the server's own name; `verify-ca` leaves out the name.

use std::error::Error as StdError;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where to connect to, and how.
pub struct Target {
    /// Everything that is not about certificates.
    pub config: Config,
    /// The authorities that are believed, and what of the certificate is looked at.
    pub tls: MakeRustlsConnect,
}

impl Target {
    /// Reads a connection string. `file` is used where it names no `sslrootcert`.
    pub fn read(url: &str, file: Option<String>) -> Result<Self, String> {
        let asked = Asked::read(url)?;
        let mut config = Config::from_str(&asked.url)
            .map_err(|error| format!("DATABASE_URL cannot be read: {}", crate::reason(&error)))?;
        config.ssl_mode(match (asked.mode.as_deref(), &asked.root) {
            (Some("disable"), _) => SslMode::Disable,
            (Some("require" | "verify-ca" | "verify-full"), _) => SslMode::Require,
            // Who names an authority wants it asked.
            (None, Some(_)) => SslMode::Require,
            (Some("prefer") | None, _) => SslMode::Prefer,
            (Some(mode), _) => {
                return Err(format!(
                    "sslmode={mode} in DATABASE_URL is not known: give disable, prefer, require, verify-ca or verify-full"
                ));
            }
        });
        let named = asked.mode.as_deref() != Some("verify-ca");
        let tls = connector(roots(asked.root.or(file))?, named)?;
        Ok(Self { config, tls })
    }
}

/// A connection string without what the driver does not know.
#[derive(Debug, PartialEq)]
struct Asked {
    url: String,
    mode: Option<String>,
    root: Option<String>,
}

impl Asked {
    fn read(url: &str) -> Result<Self, String> {
        let Some((place, query)) = url.split_once('?') else {
            return Ok(Self {
                url: url.to_owned(),
                mode: None,
                root: None,
            });
        };
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value.to_owned()),
                Some(("sslrootcert", value)) => root = Some(decoded(value)?),
                _ => rest.push(pair),
            }
        }
        let url = if rest.is_empty() {
            place.to_owned()
        } else {
            format!("{place}?{}", rest.join("&"))
        };
        Ok(Self { url, mode, root })
    }
}

/// A value of the query without its percent signs.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|one| char::from(one).to_digit(16));
        match (digit(), digit()) {
            // Two digits are less than 256.
            (Some(high), Some(low)) => bytes.push((high * 16 + low) as u8),
            _ => {
                return Err(format!(
                    "sslrootcert={text} in DATABASE_URL ends in half a percent sign"
                ));
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("sslrootcert={text} in DATABASE_URL is not UTF-8"))
}

/// The authorities of a PEM file, or those that browsers trust.
fn roots(file: Option<String>) -> Result<RootCertStore, String> {
    let Some(file) = file else {
        return Ok(RootCertStore::from_iter(
            webpki_roots::TLS_SERVER_ROOTS.iter().cloned(),
        ));
    };
    let failed =
        |error: &dyn StdError| format!("the certificates of {file} cannot be read: {error}");
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&file).map_err(|error| failed(&error))? {
        let certificate = certificate.map_err(|error| failed(&error))?;
        store.add(certificate).map_err(|error| failed(&error))?;
    }
    if store.is_empty() {
        return Err(format!("{file} holds no certificate"));
    }
    Ok(store)
}

fn connector(roots: RootCertStore, named: bool) -> Result<MakeRustlsConnect, String> {
    let failed = |error: &dyn StdError| format!("TLS cannot be set up: {error}");
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .build()
        .map_err(|error| failed(&error))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let config = if named {
        builder.with_webpki_verifier(verifier)
    } else {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyName(verifier)))
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// Whether an error says that the certificate is somebody else's.
fn is_about_name(error: &CertificateError) -> bool {
    matches!(
        error,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    )
}

/// Looks at everything but the name, which the verifier inside looks at last.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self
            .0
            .verify_server_cert(certificate, intermediates, name, ocsp, now)
        {
            Err(rustls::Error::InvalidCertificate(error)) if is_about_name(&error) => {
                Ok(ServerCertVerified::assertion())
            }
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// What is wrong with the server's certificate and what to do about it, where that is why an error happened.
pub fn explain(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let inner = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(rustls::Error::InvalidCertificate(error)) =
            inner.and_then(|inner| inner.downcast_ref())
        {
            return Some(match error {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "the server's certificate was issued by an authority that is not trusted here: name the file \
                     with the authority's certificate in the URL (sslrootcert=…) or in SSL_CERT_FILE"
                        .to_owned()
                }
                error if is_about_name(error) => {
                    format!("the server's certificate is for another host name: {error}")
                }
                error => format!("the server's certificate is not valid: {error}"),
            });
        }
        next = cause.source();
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        Target::read(url, None).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn what_is_about_certificates_is_taken_out_of_the_url() {
        let asked = Asked::read(
            "postgres://a:b%40@h/d?sslmode=verify-full&connect_timeout=5&sslrootcert=/a%20b/ca.pem",
        )
        .unwrap();
        assert_eq!(
            asked,
            Asked {
                url: "postgres://a:b%40@h/d?connect_timeout=5".into(),
                mode: Some("verify-full".into()),
                root: Some("/a b/ca.pem".into()),
            }
        );
        assert_eq!(
            Asked::read("postgres://h/d?sslmode=disable").unwrap().url,
            "postgres://h/d"
        );
        assert_eq!(
            Asked::read("host=h dbname=d").unwrap().url,
            "host=h dbname=d"
        );
    }

    #[test]
    fn who_verifies_requires() {
        for (query, wanted) in [
            ("", SslMode::Prefer),
            ("?sslmode=prefer", SslMode::Prefer),
            ("?sslmode=disable", SslMode::Disable),
            ("?sslmode=require", SslMode::Require),
            ("?sslmode=verify-ca", SslMode::Require),
            ("?sslmode=verify-full", SslMode::Require),
        ] {
            assert_eq!(mode(&format!("postgres://h/d{query}")), wanted, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_done_says_why() {
        for (query, wanted) in [
            ("sslmode=always", "sslmode=always"),
            ("sslrootcert=/nowhere/ca.pem", "/nowhere/ca.pem"),
            ("sslrootcert=a%2", "half a percent sign"),
            ("sslrootcert=%ff", "UTF-8"),
            ("sslcert=x", "sslcert"),
        ] {
            let error = Target::read(&format!("postgres://h/d?{query}"), None)
                .err()
                .unwrap();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
