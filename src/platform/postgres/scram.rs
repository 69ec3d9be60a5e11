//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), with keys that outlive the connection.
//!
//! Deriving the keys takes thousands of rounds on purpose; as they depend on the password, the salt and
//! the number of rounds alone, RFC 5802 (3) lets a client keep them. The exchange itself is as in any
//! client: a nonce of its own, a proof, and a server that has to prove in return that it knows the password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::cell::RefCell;

/// The name of the mechanism.
pub const MECHANISM: &str = "SCRAM-SHA-256";
/// "No channel binding": there is no TLS on the platform's socket to bind to.
const GS2: &str = "n,,";
/// The driver's own limit. PostgreSQL's default is 4,096; without a limit a server could keep us busy.
const MOST_ROUNDS: u32 = 100_000;
/// How many sets of keys are kept. One is in use, and another while a password is being changed.
const MOST_KEPT: usize = 4;

/// Why the exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The server's message is none of this mechanism.
    Malformed,
    /// The server's nonce does not begin with ours: an answer to somebody else.
    Nonce,
    /// No rounds, or more than we are willing to compute.
    Rounds,
    /// The server does not know the password.
    Signature,
}

impl Refusal {
    /// For the log.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "the server's SCRAM message is malformed",
            Self::Nonce => "the server answers another client's SCRAM nonce",
            Self::Rounds => "the server asks for too many or no SCRAM rounds",
            Self::Signature => "the server could not prove that it knows the password",
        }
    }
}

/// What is derived from a password: enough to prove to the server that we know it, and the other way round.
#[derive(Clone)]
struct Keys {
    client: [u8; 32],
    server: [u8; 32],
}

/// The keys of the last few combinations of user, password, salt and rounds.
#[derive(Default)]
pub struct Keyring {
    kept: RefCell<Vec<([u8; 32], Keys)>>,
    #[cfg(test)]
    pub derived: std::cell::Cell<u32>,
}

impl Keyring {
    fn keys(&self, print: [u8; 32], password: &[u8], salt: &[u8], rounds: u32) -> Keys {
        let mut kept = self.kept.borrow_mut();
        if let Some((_, keys)) = kept.iter().find(|(known, _)| *known == print) {
            return keys.clone();
        }
        #[cfg(test)]
        self.derived.set(self.derived.get() + 1);
        let salted: [u8; 32] =
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(&normalized(password), salt, rounds);
        let keys = Keys {
            client: mac(&salted, b"Client Key"),
            server: mac(&salted, b"Server Key"),
        };
        if kept.len() == MOST_KEPT {
            kept.remove(0);
        }
        // At once, not after success: connections that are opened at the same time share them.
        kept.push((print, keys.clone()));
        keys
    }

    fn forget(&self, print: &[u8; 32]) {
        self.kept.borrow_mut().retain(|(known, _)| known != print);
    }
}

/// One exchange. Keys of an exchange that does not end in [`Exchange::finish`] are not kept.
pub struct Exchange<'a> {
    keyring: &'a Keyring,
    user: &'a str,
    password: &'a [u8],
    nonce: String,
    answered: Option<Answered>,
}

struct Answered {
    print: [u8; 32],
    server: [u8; 32],
    transcript: String,
    trusted: bool,
}

impl<'a> Exchange<'a> {
    /// An exchange for `user`. The nonce is made of `random`, which nobody may be able to guess.
    pub fn new(keyring: &'a Keyring, user: &'a str, password: &'a [u8], random: [u8; 18]) -> Self {
        Self {
            keyring,
            user,
            password,
            nonce: STANDARD.encode(random),
            answered: None,
        }
    }

    /// The first message. PostgreSQL takes the user from the start-up message, so the name stays empty.
    pub fn first(&self) -> String {
        format!("{GS2}{}", self.bare())
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// The proof that answers the server's first message.
    ///
    /// # Errors
    /// When that message is not what the mechanism allows.
    pub fn answer(&mut self, message: &[u8]) -> Result<String, Refusal> {
        let message = std::str::from_utf8(message).map_err(|_| Refusal::Malformed)?;
        let (nonce, salt, rounds) = challenge(message).ok_or(Refusal::Malformed)?;
        if !nonce.starts_with(&self.nonce) {
            return Err(Refusal::Nonce);
        }
        if !(1..=MOST_ROUNDS).contains(&rounds) {
            return Err(Refusal::Rounds);
        }
        let print = print(self.user, self.password, &salt, rounds);
        let keys = self.keyring.keys(print, self.password, &salt, rounds);
        let answer = format!("c={},r={nonce}", STANDARD.encode(GS2));
        let transcript = format!("{},{message},{answer}", self.bare());
        let mut proof = mac(&Sha256::digest(keys.client), transcript.as_bytes());
        for (proof, key) in proof.iter_mut().zip(keys.client) {
            *proof ^= key;
        }
        self.answered = Some(Answered {
            print,
            server: keys.server,
            transcript,
            trusted: false,
        });
        Ok(format!("{answer},p={}", STANDARD.encode(proof)))
    }

    /// Looks at the server's proof in its final message.
    ///
    /// # Errors
    /// When the server does not prove that it knows the password.
    pub fn finish(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let answered = self.answered.as_mut().ok_or(Refusal::Malformed)?;
        let proof = message.strip_prefix(b"v=").ok_or(Refusal::Malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| Refusal::Malformed)?;
        keyed(&answered.server, answered.transcript.as_bytes())
            .verify_slice(&proof)
            .map_err(|_| Refusal::Signature)?;
        answered.trusted = true;
        Ok(())
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if let Some(answered) = self.answered.as_ref().filter(|answered| !answered.trusted) {
            self.keyring.forget(&answered.print);
        }
    }
}

/// Nonce, salt and rounds of the server's first message, which has exactly these three.
fn challenge(message: &str) -> Option<(&str, Vec<u8>, u32)> {
    let mut parts = message.split(',');
    let nonce = parts.next()?.strip_prefix("r=")?;
    let salt = parts.next()?.strip_prefix("s=")?;
    let rounds = parts.next()?.strip_prefix("i=")?;
    let digits = rounds.bytes().all(|byte| byte.is_ascii_digit());
    let printable = nonce.bytes().all(|byte| byte.is_ascii_graphic());
    if parts.next().is_some() || !digits || !printable {
        return None;
    }
    Some((nonce, STANDARD.decode(salt).ok()?, rounds.parse().ok()?))
}

/// What the keys are kept under; the password itself is not.
fn print(user: &str, password: &[u8], salt: &[u8], rounds: u32) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [user.as_bytes(), password, salt] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(rounds.to_be_bytes());
    hash.finalize().into()
}

/// As PostgreSQL does when the password is set: SASLprep where it is possible, else the bytes as they are.
fn normalized(password: &[u8]) -> Vec<u8> {
    std::str::from_utf8(password)
        .ok()
        .and_then(|text| stringprep::saslprep(text).ok())
        .map_or_else(|| password.to_vec(), |text| text.into_owned().into_bytes())
}

fn keyed(key: &[u8], text: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(text);
    mac
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    keyed(key, text).finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of an exchange that psql had with a server.
    const CHALLENGE: &str =
        "r=9IZ2O01zb9IgiIZ1WJ/zgpJBjx/oIRLs02gGSHcw1KEty3eY,s=fs3IXBy7U7+IvVjZ,i=4096";

    fn exchange(keyring: &Keyring) -> Exchange<'_> {
        let random = STANDARD.decode("9IZ2O01zb9IgiIZ1WJ/zgpJB").unwrap();
        Exchange::new(keyring, "app", b"foobar", random.try_into().unwrap())
    }

    #[test]
    fn an_exchange_recorded_from_psql() {
        let keyring = Keyring::default();
        for _ in 0..2 {
            let mut exchange = exchange(&keyring);
            assert_eq!(exchange.first(), "n,,n=,r=9IZ2O01zb9IgiIZ1WJ/zgpJB");
            assert_eq!(
                exchange.answer(CHALLENGE.as_bytes()).unwrap(),
                "c=biws,r=9IZ2O01zb9IgiIZ1WJ/zgpJBjx/oIRLs02gGSHcw1KEty3eY,\
                 p=AmNKosjJzS31NTlQYNs5BTeQjdHdk7lOflDo5re2an8="
            );
            let proof = b"v=U+ppxD5XUKtradnv8e2MkeupiA8FU87Sg8CXzXHDAzw=";
            assert_eq!(exchange.finish(proof), Ok(()));
        }
        assert_eq!(keyring.derived.get(), 1);
    }

    #[test]
    fn a_server_that_proves_nothing_leaves_no_keys_behind() {
        let keyring = Keyring::default();
        let proofs: [&[u8]; 6] = [
            b"v=U+ppxD5XUKtradnv8e2MkeupiA8FU87Sg8CXzXHDAzx=",
            b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            b"v=U+pp",
            b"v=",
            b"e=invalid-proof",
            b"",
        ];
        for proof in proofs {
            let mut exchange = exchange(&keyring);
            exchange.answer(CHALLENGE.as_bytes()).unwrap();
            assert!(exchange.finish(proof).is_err());
            drop(exchange);
            assert!(keyring.kept.borrow().is_empty());
        }
        let mut exchange = exchange(&keyring);
        assert_eq!(exchange.finish(b"v="), Err(Refusal::Malformed));
    }

    #[test]
    fn challenges_outside_the_mechanism_are_refused_before_anything_is_derived() {
        let ours = "r=9IZ2O01zb9IgiIZ1WJ/zgpJBx";
        for (challenge, refusal) in [
            ("", Refusal::Malformed),
            ("e=other-error", Refusal::Malformed),
            (ours, Refusal::Malformed),
            (&format!("{ours},s=AAAA"), Refusal::Malformed),
            (&format!("{ours},s=A,i=4096"), Refusal::Malformed),
            (&format!("{ours},s=AAAA,i="), Refusal::Malformed),
            (&format!("{ours},s=AAAA,i=-1"), Refusal::Malformed),
            (&format!("{ours},s=AAAA,i=+9"), Refusal::Malformed),
            (&format!("{ours},s=AAAA,i=4096,x=y"), Refusal::Malformed),
            (&format!("{ours},s=AAAA,i=99999999999"), Refusal::Malformed),
            (&format!("m=x,{ours},s=AAAA,i=4096"), Refusal::Malformed),
            (&format!("{ours} ,s=AAAA,i=4096"), Refusal::Malformed),
            (&format!("{ours},s=AAAA,i=0"), Refusal::Rounds),
            (&format!("{ours},s=AAAA,i=100001"), Refusal::Rounds),
            ("r=9IZ2O01zb9IgiIZ1WJ/zgpJ,s=AAAA,i=1", Refusal::Nonce),
            ("r=,s=AAAA,i=1", Refusal::Nonce),
        ] {
            let keyring = Keyring::default();
            let answer = exchange(&keyring).answer(challenge.as_bytes());
            assert_eq!(answer, Err(refusal), "{challenge}");
            assert_eq!(keyring.derived.get(), 0, "{challenge}");
        }
        let keyring = Keyring::default();
        let answer = exchange(&keyring).answer(b"r=\xff,s=AAAA,i=1");
        assert_eq!(answer, Err(Refusal::Malformed));
    }

    #[test]
    fn every_part_counts_and_only_the_last_few_are_kept() {
        let keyring = Keyring::default();
        let get = |user, password: &str, salt: &str, rounds| {
            let password = password.as_bytes();
            let print = print(user, password, salt.as_bytes(), rounds);
            keyring.keys(print, password, salt.as_bytes(), rounds);
            keyring.derived.get()
        };
        assert_eq!(get("a", "bc", "d", 1), 1);
        assert_eq!(get("a", "bc", "d", 1), 1);
        assert_eq!(get("ab", "c", "d", 1), 2);
        assert_eq!(get("a", "b", "cd", 1), 3);
        assert_eq!(get("a", "bc", "d", 2), 4);
        assert_eq!(get("a", "bc", "d", 1), 4);
        assert_eq!(get("a", "bc", "e", 1), 5);
        assert_eq!(keyring.kept.borrow().len(), MOST_KEPT);
        assert_eq!(get("a", "bc", "d", 1), 6);
    }

    #[test]
    fn passwords_are_prepared_as_the_server_does() {
        assert_eq!(normalized("I\u{ad}X".as_bytes()), b"IX");
        assert_eq!(normalized("\u{2168}".as_bytes()), b"IX");
        assert_eq!(normalized(b"\x07"), b"\x07");
        assert_eq!(normalized(b"\xff\xfe"), b"\xff\xfe");
    }
}
