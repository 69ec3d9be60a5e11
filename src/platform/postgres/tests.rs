//! A server that speaks just enough of the protocol, well or badly, at the other end of a pipe.

use super::greeting::connect;
use super::scram::Keyring;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};

/// What the server does once it has the client's start-up message.
#[derive(Clone)]
enum Method {
    /// Asks for nothing.
    Trust,
    /// Says these bytes and hangs up.
    Says(Vec<u8>),
    /// Asks for a password in this message and takes any.
    Password(Vec<u8>),
    /// SCRAM-SHA-256.
    Scram(Scram),
}

#[derive(Clone)]
struct Scram {
    mechanisms: &'static [u8],
    password: &'static [u8],
    salt: &'static [u8],
    rounds: u32,
    /// What it sends in the place of the message with this number.
    instead: Option<(usize, Vec<u8>)>,
    /// How many bytes of its own it sends before the client has read them.
    at_once: usize,
    /// Ends the connection after so many bytes of its own.
    breaks_after: usize,
}

const SCRAM: Scram = Scram {
    mechanisms: b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
    password: b"right",
    salt: b"a salt of the server",
    rounds: 4_096,
    instead: None,
    at_once: usize::MAX,
    breaks_after: usize::MAX,
};
const LARGE: usize = 3 << 20;

fn config() -> Config {
    "postgres://app:right@db/celaest?application_name=core"
        .parse()
        .unwrap()
}

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag], &length[..], body].concat()
}

fn authentication(method: i32, body: &[u8]) -> Vec<u8> {
    framed(b'R', &[&method.to_be_bytes(), body].concat())
}

fn error(sqlstate: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{sqlstate}\0Mno entry\0\0");
    framed(b'E', fields.as_bytes())
}

fn ready() -> Vec<u8> {
    [
        authentication(0, b""),
        framed(b'S', b"server_version\x0018.0\0"),
        framed(b'K', &[0, 0, 0, 7, 0, 0, 0, 9]),
        framed(b'Z', b"I"),
    ]
    .concat()
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// The server's end, which remembers every byte that it was sent.
struct Server {
    pipe: DuplexStream,
    heard: Vec<u8>,
    said: usize,
    at_once: usize,
    breaks_after: usize,
}

impl Server {
    async fn say(&mut self, bytes: &[u8]) -> Option<()> {
        let left = self.breaks_after - self.said;
        let (bytes, broken) = (&bytes[..bytes.len().min(left)], bytes.len() > left);
        self.said += bytes.len();
        for piece in bytes.chunks(self.at_once) {
            self.pipe.write_all(piece).await.ok()?;
            // The client reads before there is more.
            tokio::task::yield_now().await;
        }
        (!broken).then_some(())
    }

    /// The next message's body; the start-up message has no tag.
    async fn hear(&mut self, tagged: bool) -> Option<Vec<u8>> {
        let mut head = vec![0; 4 + usize::from(tagged)];
        self.pipe.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes(*head.last_chunk()?) as usize - 4;
        let mut body = vec![0; length];
        self.pipe.read_exact(&mut body).await.ok()?;
        self.heard.extend(head);
        self.heard.extend(&body);
        Some(body)
    }

    async fn scram(&mut self, scram: &Scram) -> Option<()> {
        let said = |number, message: Vec<u8>| match &scram.instead {
            Some((place, other)) if *place == number => other.clone(),
            _ => message,
        };
        let request = authentication(10, scram.mechanisms);
        self.say(&said(0, request)).await?;
        let first = String::from_utf8(self.hear(true).await?).unwrap();
        let (mechanism, first) = first.split_once('\0')?;
        assert_eq!(mechanism, "SCRAM-SHA-256");
        let bare = first.get(4..)?.strip_prefix("n,,")?;
        let nonce = bare.strip_prefix("n=,r=")?;
        let salt = STANDARD.encode(scram.salt);
        let challenge = format!("r={nonce}srv,s={salt},i={}", scram.rounds);
        self.say(&said(1, authentication(11, challenge.as_bytes())))
            .await?;

        let last = String::from_utf8(self.hear(true).await?).unwrap();
        let (answer, proof) = last.split_once(",p=")?;
        assert_eq!(answer, format!("c=biws,r={nonce}srv"));
        let transcript = format!("{bare},{challenge},{answer}");
        let salted: [u8; 32] =
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(scram.password, scram.salt, scram.rounds);
        let stored = Sha256::digest(mac(&salted, b"Client Key"));
        let mut client = mac(&stored, transcript.as_bytes());
        for (client, proof) in client.iter_mut().zip(STANDARD.decode(proof).unwrap()) {
            *client ^= proof;
        }
        if Sha256::digest(client) != stored {
            self.say(&error("28P01")).await?;
            return None;
        }
        let server = mac(&mac(&salted, b"Server Key"), transcript.as_bytes());
        let signature = format!("v={}", STANDARD.encode(server));
        self.say(&said(2, authentication(12, signature.as_bytes())))
            .await?;
        if let Some((3, other)) = &scram.instead {
            self.say(other).await?;
        }
        Some(())
    }

    async fn serve(&mut self, method: &Method) -> Option<()> {
        self.hear(false).await?;
        match method {
            Method::Trust => {}
            Method::Says(bytes) => return self.say(bytes).await,
            Method::Password(request) => {
                self.say(request).await?;
                self.hear(true).await?;
            }
            Method::Scram(scram) => self.scram(scram).await?,
        }
        self.say(&ready()).await?;
        // Parse, Bind, Describe, Execute, Sync; the answer is one large text.
        for _ in 0..5 {
            self.hear(true).await?;
        }
        let column = [b"t\0".as_slice(), &[0; 6], &[0, 0, 0, 25], &[0; 8]].concat();
        let row = [&[0, 1], &(LARGE as u32).to_be_bytes()[..], &[b'x'; LARGE]].concat();
        let answer = [
            framed(b'1', b""),
            framed(b'2', b""),
            framed(b't', &[0, 0]),
            framed(b'T', &[&[0, 1], &column[..]].concat()),
            framed(b'D', &row),
            framed(b'C', b"SELECT 1\0"),
            framed(b'Z', b"I"),
        ]
        .concat();
        self.pipe.write_all(&answer).await.ok()?;
        // Terminate.
        self.hear(true).await.map(drop)
    }
}

/// What came of one connection: the failure as a person would read it, and what the server heard.
struct Outcome {
    failure: Option<String>,
    heard: Vec<u8>,
}

enum Who<'a> {
    Driver,
    Greeting(&'a Rc<Keyring>),
}

/// Connects, sends and receives something large, and hangs up.
async fn attempt(who: Who<'_>, config: &Config, method: Method) -> Outcome {
    let (ours, pipe) = duplex(1 << 16);
    let (at_once, breaks_after) = match &method {
        Method::Scram(scram) => (scram.at_once, scram.breaks_after),
        _ => (1, usize::MAX),
    };
    let serving = async move {
        let mut server = Server {
            pipe,
            heard: Vec::new(),
            said: 0,
            at_once,
            breaks_after,
        };
        // Whatever happens, it hangs up afterwards.
        let _ = server.serve(&method).await;
        server.heard
    };
    let calling = async {
        match who {
            Who::Driver => {
                let (client, driver) = config.connect_raw(ours, NoTls).await?;
                tokio::join!(use_it(client), async { driver.await.unwrap() }).0
            }
            Who::Greeting(keyring) => {
                let (client, driver) = connect(ours, config, keyring).await?;
                tokio::join!(use_it(client), async { driver.await.unwrap() }).0
            }
        }
    };
    let both = async { tokio::join!(calling, serving) };
    let (called, heard) = tokio::time::timeout(std::time::Duration::from_secs(20), both)
        .await
        .expect("neither side waits for ever");
    let failure = called.err().map(|error| match error.as_db_error() {
        Some(db) => format!("{error}: {} {}", db.code().code(), db.message()),
        None => match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    });
    Outcome { failure, heard }
}

async fn use_it(client: Client) -> Result<(), tokio_postgres::Error> {
    let large = "y".repeat(LARGE);
    let rows = client
        .query_typed("SELECT $1", &[(&large, Type::TEXT)])
        .await?;
    assert_eq!(rows[0].get::<_, &str>(0).len(), LARGE);
    Ok(())
}

async fn greeted(keyring: &Rc<Keyring>, scram: Scram) -> Option<String> {
    attempt(Who::Greeting(keyring), &config(), Method::Scram(scram))
        .await
        .failure
}

async fn driven(method: Method) -> Option<String> {
    attempt(Who::Driver, &config(), method).await.failure
}

#[tokio::test]
async fn keys_are_derived_once() {
    let keyring = Rc::default();
    for at_once in [usize::MAX, 1, 7] {
        let scram = Scram { at_once, ..SCRAM };
        let outcome = attempt(Who::Greeting(&keyring), &config(), Method::Scram(scram)).await;
        assert_eq!(outcome.failure, None);
        let start = b"user\0app\0database\0celaest\0application_name\0core\0\0";
        assert!(
            outcome
                .heard
                .windows(start.len())
                .any(|bytes| bytes == start)
        );
    }
    assert_eq!(keyring.derived.get(), 1);
}

#[tokio::test]
async fn connections_that_are_opened_together_derive_once() {
    let keyring = Rc::default();
    let four = [(); 4].map(|()| greeted(&keyring, SCRAM));
    let outcomes = futures_util::future::join_all(four).await;
    assert_eq!(outcomes, [None, None, None, None]);
    assert_eq!(keyring.derived.get(), 1);
}

#[tokio::test]
async fn another_salt_or_number_of_rounds_is_another_key() {
    let keyring = Rc::default();
    let salted = Scram {
        salt: b"another salt",
        ..SCRAM
    };
    let longer = Scram {
        rounds: 5_000,
        ..SCRAM
    };
    for (derived, scram) in [(1, SCRAM), (2, salted), (3, longer), (3, SCRAM)] {
        assert_eq!(greeted(&keyring, scram).await, None);
        assert_eq!(keyring.derived.get(), derived);
    }
}

#[tokio::test]
async fn a_wrong_password_is_reported_as_by_the_driver_and_not_kept() {
    let keyring = Rc::default();
    let changed = Scram {
        password: b"changed",
        ..SCRAM
    };
    assert_eq!(greeted(&keyring, SCRAM).await, None);
    for derived in [1, 2] {
        let failure = greeted(&keyring, changed.clone()).await;
        assert_eq!(failure.as_deref(), Some("db error: 28P01 no entry"));
        assert_eq!(failure, driven(Method::Scram(changed.clone())).await);
        assert_eq!(keyring.derived.get(), derived);
    }
    assert_eq!(greeted(&keyring, SCRAM).await, None);
    assert_eq!(keyring.derived.get(), 3);
}

/// The server hears the same bytes, and the caller the same failure, as without a keyring.
#[tokio::test]
async fn everything_but_scram_is_the_drivers() {
    let keyring = Rc::default();
    let says = |bytes: &[u8]| Method::Says(bytes.to_vec());
    let methods = [
        ("trust", Method::Trust),
        ("silence", says(b"")),
        ("cleartext", Method::Password(authentication(3, b""))),
        ("md5", Method::Password(authentication(5, b"salt"))),
        (
            "another mechanism",
            says(&authentication(10, b"OAUTHBEARER\0\0")),
        ),
        ("no mechanism", says(&authentication(10, b""))),
        (
            "the exchange's middle",
            says(&authentication(11, b"r=,s=,i=")),
        ),
        ("Kerberos", says(&authentication(2, b""))),
        ("GSS", says(&authentication(7, b""))),
        ("a method of the future", says(&authentication(99, b"?"))),
        ("refused", says(&error("3D000"))),
        ("a notice first", says(&framed(b'N', b"SNOTICE\0\0"))),
        ("no method", says(&framed(b'R', b""))),
        ("half a method", says(&framed(b'R', b"\0\0"))),
        ("a length below its own", says(b"R\0\0\0\x03")),
        ("a negative length", says(b"R\xff\xff\xff\xff")),
        ("no PostgreSQL", says(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        ("no TLS", says(b"N")),
    ];
    let configs = [
        "postgres://app:right@db/celaest",
        "postgres://app@db/celaest",
        "postgres://app:right@db/celaest?channel_binding=require",
        "postgres://app:right@db/celaest?sslmode=require",
    ];
    for text in configs {
        let config = text.parse().unwrap();
        for (name, method) in &methods {
            let driver = attempt(Who::Driver, &config, method.clone()).await;
            let ours = attempt(Who::Greeting(&keyring), &config, method.clone()).await;
            assert_eq!(ours.failure, driver.failure, "{name}, {text}");
            assert!(ours.heard == driver.heard, "{name}, {text}");
            if text == configs[0] {
                let fine = ["trust", "cleartext", "md5"].contains(name);
                assert_eq!(ours.failure.is_none(), fine, "{name}");
            }
        }
    }
    let config = configs[1].parse().unwrap();
    let driver = attempt(Who::Driver, &config, Method::Scram(SCRAM)).await;
    let ours = attempt(Who::Greeting(&keyring), &config, Method::Scram(SCRAM)).await;
    assert_eq!(ours.failure, driver.failure);
    assert_eq!(keyring.derived.get(), 0);
}

#[tokio::test]
async fn a_server_that_lies_is_refused_and_learns_nothing() {
    let ok = authentication(0, b"");
    let cleartext = authentication(3, b"");
    let md5 = authentication(5, b"salt");
    let proof = |text: &str| authentication(12, text.as_bytes());
    let challenge = |text: &str| authentication(11, text.as_bytes());
    let zeros = format!("v={}", STANDARD.encode([0; 32]));
    let lies = [
        (1, ok.clone()),
        (1, cleartext.clone()),
        (1, md5.clone()),
        (1, proof(&zeros)),
        (1, challenge("r=somebody,s=AAAA,i=4096")),
        (1, challenge("r=somebody,s=AAAA,i=4096,x=y")),
        (1, authentication(11, &[b'r'; 9_000])),
        (2, ok),
        (2, cleartext.clone()),
        (2, md5.clone()),
        (2, challenge("r=,s=AAAA,i=4096")),
        (2, proof(&zeros)),
        (2, proof("v=")),
        (2, proof("e=invalid-proof")),
        (2, proof("")),
        (3, cleartext),
        (3, md5),
        (3, proof(&zeros)),
    ];
    for (place, lie) in lies {
        let name = format!(
            "{place}: {:?}",
            String::from_utf8_lossy(&lie[..lie.len().min(40)])
        );
        let keyring = Rc::default();
        let scram = Scram {
            instead: Some((place, lie)),
            ..SCRAM
        };
        let outcome = attempt(Who::Greeting(&keyring), &config(), Method::Scram(scram)).await;
        let failure = outcome.failure.expect(&name);
        assert!(
            failure.starts_with("error communicating with the server: "),
            "{name}: {failure}"
        );
        assert!(
            !outcome.heard.windows(5).any(|bytes| bytes == b"right"),
            "{name}"
        );
        // A server that had already proved itself leaves keys that are right.
        let derived = keyring.derived.get();
        assert_eq!(derived, u32::from(place > 1), "{name}");
        assert_eq!(greeted(&keyring, SCRAM).await, None);
        let again = u32::from(place != 3);
        assert_eq!(keyring.derived.get(), derived + again, "{name}");
    }
    for rounds in [0, 100_001, 4_000_000_000] {
        let keyring = Rc::default();
        let failure = greeted(&keyring, Scram { rounds, ..SCRAM }).await.unwrap();
        assert!(
            failure.ends_with("too many or no SCRAM rounds"),
            "{failure}"
        );
        assert_eq!(keyring.derived.get(), 0);
    }
}

#[tokio::test]
async fn an_error_in_the_middle_reaches_the_caller() {
    for place in 0..=3 {
        for other in [
            error("53300"),
            framed(b'N', b"SNOTICE\0\0"),
            framed(b'Z', b"I"),
        ] {
            let scram = Scram {
                instead: Some((place, other)),
                rounds: 1,
                ..SCRAM
            };
            let ours = greeted(&Rc::default(), scram.clone()).await;
            assert!(ours.is_some());
            assert_eq!(ours, driven(Method::Scram(scram)).await);
        }
    }
}

#[tokio::test]
async fn a_connection_may_end_after_any_byte() {
    for at_once in [1, usize::MAX] {
        let mut last = None;
        for breaks_after in 0.. {
            let scram = Scram {
                at_once,
                breaks_after,
                rounds: 1,
                ..SCRAM
            };
            let driver = driven(Method::Scram(scram.clone())).await;
            let ours = greeted(&Rc::default(), scram).await;
            assert_eq!(ours, driver, "{breaks_after}");
            if driver.is_none() {
                last = Some(breaks_after);
                break;
            }
        }
        assert!(last > Some(200));
    }
}

/// With the connection string of a server that asks for SCRAM, in `CELAEST_TEST_POSTGRES`.
#[tokio::test]
#[ignore = "needs a PostgreSQL"]
async fn a_real_server_accepts_kept_keys() {
    let url = std::env::var("CELAEST_TEST_POSTGRES").unwrap();
    let config: Config = url.parse().unwrap();
    let tokio_postgres::config::Host::Tcp(host) = &config.get_hosts()[0] else {
        panic!("not over TCP");
    };
    let keyring = Rc::default();
    for _ in 0..3 {
        let socket = tokio::net::TcpStream::connect((host.as_str(), config.get_ports()[0]))
            .await
            .unwrap();
        let (client, driver) = connect(socket, &config, &keyring).await.unwrap();
        tokio::join!(use_it(client), async { driver.await.unwrap() })
            .0
            .unwrap();
    }
    assert_eq!(keyring.derived.get(), 1);
}
