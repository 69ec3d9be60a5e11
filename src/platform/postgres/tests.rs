//! Connections to a server that speaks well or badly, compared with what the driver makes of them alone.

mod server;

use super::greeting::connect;
use super::scram::Keyring;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use server::{LARGE, Method, SCRAM, Scram, Server, authentication, error, framed};
use std::rc::Rc;
use tokio::io::duplex;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, NoTls};

fn config() -> Config {
    "postgres://app:right@db/celaest?application_name=core"
        .parse()
        .unwrap()
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
    let serving = async move {
        let mut server = Server::new(pipe, &method);
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
