//! The start of a connection, without deriving a key each time.
//!
//! The driver derives the SCRAM keys anew for every connection, which costs more than all else that a
//! request does, and has no door for keys that are kept already (see [`super::scram`]). But it takes any stream.
//! [`Greeting`] is one around the socket: the driver's start-up message goes through it to the server; if the
//! server then asks for SCRAM-SHA-256, the stream answers in the driver's place, and the first thing that
//! the driver reads is that it is authenticated. Everything else, be it another method or an error, the
//! driver sees as it came and deals with itself.

use super::scram::{Exchange, Keyring, MECHANISM, Refusal};
use crate::platform::random;
use bytes::BytesMut;
use postgres_protocol::message::backend::{AUTHENTICATION_TAG, Header};
use postgres_protocol::message::frontend;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Config, Connection, NoTls};

/// What an authentication message asks for or says, in its first four bytes.
mod method {
    pub const OK: i32 = 0;
    pub const SASL: i32 = 10;
    pub const SASL_CONTINUE: i32 = 11;
    pub const SASL_FINAL: i32 = 12;
}

/// Tag, length and method of an authentication message; what follows is the method's own.
const HEAD: usize = 9;
/// Authentication messages are far shorter; a longer one is not waited for.
const LONGEST: usize = 8_192;
/// What a server says between the driver's start-up message and the first statement fits in.
const USUAL: usize = 1_024;

/// Starts the protocol on a connected `socket`, with keys from `keyring`.
///
/// # Errors
/// As the driver's own; a server that breaks the rules of SCRAM is an I/O error.
pub async fn connect<S>(
    socket: S,
    config: &Config,
    keyring: &Rc<Keyring>,
) -> std::result::Result<(Client, Connection<Greeting<S>, NoTlsStream>), tokio_postgres::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // Without a password there is nothing to prove; the driver says so if the server wants one.
    let stage = match config.get_password() {
        Some(password) => Stage::Silent(
            socket,
            Login {
                user: config.get_user().unwrap_or_default().to_owned(),
                password: password.to_owned(),
                keyring: keyring.clone(),
            },
        ),
        None => Stage::Over(socket, BytesMut::new()),
    };
    config.connect_raw(Greeting { stage }, NoTls).await
}

struct Login {
    user: String,
    password: Vec<u8>,
    keyring: Rc<Keyring>,
}

/// A stream that answers the server's request for SCRAM-SHA-256 itself.
pub struct Greeting<S> {
    stage: Stage<S>,
}

enum Stage<S> {
    /// Nothing was read yet.
    Silent(S, Login),
    /// The server's first words are being dealt with.
    Speaking(Speaking<S>),
    /// The rest is the driver's, beginning with what was read already.
    Over(S, BytesMut),
    /// There is no connection any more.
    Broken,
}

type Speaking<S> = Pin<Box<dyn Future<Output = Result<(S, BytesMut)>>>>;

impl<S> Greeting<S> {
    fn socket(&mut self) -> Result<Pin<&mut S>>
    where
        S: Unpin,
    {
        match &mut self.stage {
            Stage::Silent(socket, _) | Stage::Over(socket, _) => Ok(Pin::new(socket)),
            Stage::Speaking(_) | Stage::Broken => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> AsyncRead for Greeting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        loop {
            self.stage = match std::mem::replace(&mut self.stage, Stage::Broken) {
                Stage::Silent(socket, login) => Stage::Speaking(Box::pin(greet(socket, login))),
                Stage::Speaking(mut speaking) => match speaking.as_mut().poll(context) {
                    Poll::Pending => {
                        self.stage = Stage::Speaking(speaking);
                        return Poll::Pending;
                    }
                    Poll::Ready(done) => {
                        let (socket, read) = done?;
                        Stage::Over(socket, read)
                    }
                },
                Stage::Over(mut socket, mut read) => {
                    let polled = if read.is_empty() {
                        Pin::new(&mut socket).poll_read(context, into)
                    } else {
                        let fitting = read.len().min(into.remaining());
                        into.put_slice(&read.split_to(fitting));
                        Poll::Ready(Ok(()))
                    };
                    self.stage = Stage::Over(socket, read);
                    return polled;
                }
                Stage::Broken => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.socket()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.socket()?.poll_shutdown(context)
    }
}

/// Signs in if the server wants SCRAM-SHA-256. Returns what was read and is the driver's to see.
async fn greet<S>(mut socket: S, login: Login) -> Result<(S, BytesMut)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = BytesMut::with_capacity(USUAL);
    sign_in(&mut socket, &mut read, &login).await?;
    Ok((socket, read))
}

/// Wherever the server says something else than the exchange expects, or nothing more, it is left in
/// `read`: the driver knows what to make of it. That is safe because the driver still waits for an
/// authentication message, and none but the right one is left there.
async fn sign_in<S>(socket: &mut S, read: &mut BytesMut, login: &Login) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match authentication(socket, read).await? {
        Some((method::SASL, length)) if offers_scram(&read[HEAD..length]) => {
            let _ = read.split_to(length);
        }
        _ => return Ok(()),
    }
    let random = random::bytes().map_err(|_| Error::other("the platform has no randomness"))?;
    let mut exchange = Exchange::new(&login.keyring, &login.user, &login.password, random);
    let mut message = BytesMut::new();
    frontend::sasl_initial_response(MECHANISM, exchange.first().as_bytes(), &mut message)?;
    socket.write_all(&message).await?;
    socket.flush().await?;

    let Some(challenge) = expected(method::SASL_CONTINUE, socket, read).await? else {
        return Ok(());
    };
    let answer = exchange.answer(&challenge[HEAD..]).map_err(refused)?;
    message.clear();
    frontend::sasl_response(answer.as_bytes(), &mut message)?;
    socket.write_all(&message).await?;
    socket.flush().await?;

    let Some(proof) = expected(method::SASL_FINAL, socket, read).await? else {
        return Ok(());
    };
    exchange.finish(&proof[HEAD..]).map_err(refused)?;
    match authentication(socket, read).await? {
        Some((method::OK, _)) | None => Ok(()),
        Some(_) => Err(out_of_turn()),
    }
}

/// The next message, taken out of `read`; `None` when it is none about authentication.
async fn expected<S: AsyncRead + Unpin>(
    wanted: i32,
    socket: &mut S,
    read: &mut BytesMut,
) -> Result<Option<BytesMut>> {
    match authentication(socket, read).await? {
        Some((method, length)) if method == wanted => Ok(Some(read.split_to(length))),
        Some(_) => Err(out_of_turn()),
        None => Ok(None),
    }
}

/// Reads until `read` begins with a whole message. Its method and length, if it is about authentication.
async fn authentication<S: AsyncRead + Unpin>(
    socket: &mut S,
    read: &mut BytesMut,
) -> Result<Option<(i32, usize)>> {
    loop {
        if read.first().is_some_and(|tag| *tag != AUTHENTICATION_TAG) {
            return Ok(None);
        }
        let Ok(header) = Header::parse(read) else {
            return Ok(None);
        };
        if let Some(header) = header {
            let length = usize::try_from(header.len()).map_or(usize::MAX, |length| length + 1);
            if length < HEAD {
                return Ok(None);
            }
            if length > LONGEST {
                return Err(ErrorKind::InvalidData.into());
            }
            if read.len() >= length
                && let Some(method) = read[5..].first_chunk()
            {
                return Ok(Some((i32::from_be_bytes(*method), length)));
            }
        }
        if socket.read_buf(read).await? == 0 {
            return Ok(None);
        }
    }
}

/// Whether the list of mechanisms, each ended by a zero, has the one that we speak.
fn offers_scram(mechanisms: &[u8]) -> bool {
    mechanisms
        .split(|byte| *byte == 0)
        .any(|name| name == MECHANISM.as_bytes())
}

fn refused(refusal: Refusal) -> Error {
    Error::new(ErrorKind::InvalidData, refusal.text())
}

fn out_of_turn() -> Error {
    Error::new(
        ErrorKind::InvalidData,
        "the server left the SCRAM exchange before its end",
    )
}
