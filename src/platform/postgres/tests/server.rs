//! A server that speaks just enough of the protocol, well or badly, at the other end of a pipe.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// What the server does once it has the client's start-up message.
#[derive(Clone)]
pub enum Method {
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
pub struct Scram {
    pub mechanisms: &'static [u8],
    pub password: &'static [u8],
    pub salt: &'static [u8],
    pub rounds: u32,
    /// What it sends in the place of the message with this number.
    pub instead: Option<(usize, Vec<u8>)>,
    /// How many bytes of its own it sends before the client has read them.
    pub at_once: usize,
    /// Ends the connection after so many bytes of its own.
    pub breaks_after: usize,
}

pub const SCRAM: Scram = Scram {
    mechanisms: b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
    password: b"right",
    salt: b"a salt of the server",
    rounds: 4_096,
    instead: None,
    at_once: usize::MAX,
    breaks_after: usize::MAX,
};
pub const LARGE: usize = 3 << 20;

pub fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 4).to_be_bytes();
    [&[tag], &length[..], body].concat()
}

pub fn authentication(method: i32, body: &[u8]) -> Vec<u8> {
    framed(b'R', &[&method.to_be_bytes(), body].concat())
}

pub fn error(sqlstate: &str) -> Vec<u8> {
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
pub struct Server {
    pipe: DuplexStream,
    pub heard: Vec<u8>,
    said: usize,
    at_once: usize,
    breaks_after: usize,
}

impl Server {
    pub fn new(pipe: DuplexStream, method: &Method) -> Self {
        let (at_once, breaks_after) = match method {
            Method::Scram(scram) => (scram.at_once, scram.breaks_after),
            _ => (1, usize::MAX),
        };
        Self {
            pipe,
            heard: Vec::new(),
            said: 0,
            at_once,
            breaks_after,
        }
    }

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

    /// Serves one connection; `None` when it ended before its time.
    pub async fn serve(&mut self, method: &Method) -> Option<()> {
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
