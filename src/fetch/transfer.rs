//! One answer of a server, as messages from a thread of its own. The thread touches nothing but the network, so
//! whoever waits can give up at any moment (a stall, Ctrl-C) without waiting for a blocked read.

use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use ureq::http::{HeaderMap, HeaderValue, Uri, header};

use super::Options;
use super::address;
use super::error::seconds;

/// Redirects followed before a loop is assumed.
const MAX_REDIRECTS: u32 = 5;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What the thread has to say.
pub(super) enum Message {
    /// The server is at work: a redirect was followed.
    Alive,
    /// The answer's status line and headers.
    Head(Head),
    /// The next bytes of the body.
    Chunk(Vec<u8>),
    /// The body is complete as far as the protocol can tell.
    End,
    /// The transfer failed; another try may succeed.
    Failed(String),
    /// The transfer failed and will fail again.
    Refused(String),
}

/// Status and headers of the final answer.
pub(super) struct Head {
    pub status: u16,
    pub headers: HeaderMap,
}

impl Head {
    /// A header's value where it is there and printable.
    pub fn get(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    /// Whether the body is sent in chunks, which mark their own end.
    pub fn is_chunked(&self) -> bool {
        self.get(header::TRANSFER_ENCODING).is_some_and(|v| v.to_ascii_lowercase().contains("chunked"))
    }

    /// The length of the body that the server declares.
    pub fn content_length(&self) -> Option<u64> {
        if self.is_chunked() { None } else { self.get(header::CONTENT_LENGTH)?.parse().ok() }
    }
}

/// Bytes to ask for: from `offset` on, if the file is still the one that `validator` names.
pub(super) struct Resume {
    pub offset: u64,
    pub validator: String,
}

/// Start a transfer of `uri`. `authorization` goes to the server of `uri` and to no other that it redirects to.
pub(super) fn start(
    uri: Uri,
    resume: Option<Resume>,
    authorization: Option<HeaderValue>,
    options: &Options,
) -> Receiver<Message> {
    // Few messages wait: a slow disk slows the network down and memory stays bounded.
    let (sender, receiver) = sync_channel(8);
    let options = options.clone();
    let spawned = std::thread::Builder::new().name("fetch".to_owned()).spawn({
        let sender = sender.clone();
        move || {
            // A closed channel means that nobody waits any more: there is nobody left to tell.
            let _ = transfer(uri, resume.as_ref(), authorization.as_ref(), &options, &sender);
        }
    });
    if let Err(error) = spawned {
        let _ = sender.send(Message::Failed(format!("no thread could be started: {error}")));
    }
    receiver
}

/// The receiver is gone.
struct Hangup;

impl<T> From<std::sync::mpsc::SendError<T>> for Hangup {
    fn from(_: std::sync::mpsc::SendError<T>) -> Self {
        Self
    }
}

fn transfer(
    mut uri: Uri,
    resume: Option<&Resume>,
    authorization: Option<&HeaderValue>,
    options: &Options,
    sender: &SyncSender<Message>,
) -> Result<(), Hangup> {
    let first = uri.clone();
    for _ in 0..=MAX_REDIRECTS {
        let mut request = agent(&uri, options).get(&uri);
        if let Some(value) = authorization.filter(|_| address::same_server(&first, &uri)) {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(Resume { offset, validator }) = resume {
            request =
                request.header(header::RANGE, format!("bytes={offset}-")).header(header::IF_RANGE, validator);
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return Ok(sender.send(failure(error, &uri, options))?),
        };
        let (parts, body) = response.into_parts();
        if matches!(parts.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            let location = parts.headers.get(header::LOCATION).and_then(|v| v.to_str().ok());
            let next = location.ok_or_else(|| "redirected to nowhere".to_owned());
            match next.and_then(|location| address::redirect(&uri, location)) {
                Ok(next) => uri = next,
                Err(problem) => return Ok(sender.send(Message::Refused(problem))?),
            }
            sender.send(Message::Alive)?;
            continue;
        }
        sender.send(Message::Head(Head { status: parts.status.as_u16(), headers: parts.headers }))?;
        return pump(body.into_reader(), options, &uri, sender);
    }
    Ok(sender.send(Message::Refused(format!("redirected more than {MAX_REDIRECTS} times")))?)
}

fn pump(
    mut body: impl Read,
    options: &Options,
    uri: &Uri,
    sender: &SyncSender<Message>,
) -> Result<(), Hangup> {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        match body.read(&mut chunk) {
            Ok(0) => return Ok(sender.send(Message::End)?),
            Ok(n) => {
                chunk.truncate(n);
                sender.send(Message::Chunk(chunk))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Ok(sender.send(failure(error.into(), uri, options))?),
        }
    }
}

/// A client for one request. Redirects and statuses are judged here, not by the client.
fn agent(uri: &Uri, options: &Options) -> ureq::Agent {
    let local = address::is_local_http(uri);
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .https_only(!local)
        .user_agent(concat!("bench/", env!("CARGO_PKG_VERSION")))
        // The bytes as they are stored: hashes and ranges count those.
        .accept_encoding("identity")
        .max_idle_connections(0)
        .timeout_resolve(Some(options.connect_timeout))
        .timeout_connect(Some(options.connect_timeout))
        .timeout_per_read(Some(options.stall_timeout))
        .timeout_per_write(Some(options.stall_timeout));
    if local {
        config = config.proxy(None);
    }
    config.build().new_agent()
}

fn failure(error: ureq::Error, uri: &Uri, options: &Options) -> Message {
    let host = uri.host().unwrap_or_default();
    match error {
        ureq::Error::HostNotFound => {
            Message::Failed(format!("host {host} is not found (is there a network?)"))
        }
        ureq::Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => {
            Message::Failed(format!("no connection to {host} within {}", seconds(options.connect_timeout)))
        }
        ureq::Error::Timeout(_) => Message::Failed(stalled(options)),
        // A certificate that does not fit is no accident that passes.
        ureq::Error::Rustls(error) => Message::Refused(format!("no safe connection to {host}: {error}")),
        ureq::Error::Tls(error) => Message::Refused(format!("no safe connection to {host}: {error}")),
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Message::Refused(format!("no safe connection to {host}: {error}"))
        }
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Message::Failed("the connection was closed".to_owned())
        }
        ureq::Error::Io(error) => Message::Failed(format!("the connection failed: {error}")),
        other => Message::Failed(format!("the transfer failed: {other}")),
    }
}

/// The words for a connection on which nothing moves.
pub(super) fn stalled(options: &Options) -> String {
    format!("nothing arrived for {}", seconds(options.stall_timeout))
}
