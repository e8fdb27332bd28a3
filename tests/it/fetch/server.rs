//! A small HTTP server on 127.0.0.1 that does what a test tells it, however rude.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    headers: BTreeMap<String, String>,
}

impl Request {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The first byte asked for.
    pub fn offset(&self) -> Option<usize> {
        self.header("range").strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// The answering side of one connection.
pub struct Answer {
    stream: TcpStream,
    stop: Arc<AtomicBool>,
    /// How many requests came before this one.
    pub number: usize,
}

impl Answer {
    /// Send a status line, headers (one a line) and a body, whether they fit together or not.
    pub fn send(&mut self, status: &str, headers: &str, body: &[u8]) {
        let lines: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
        // A client that hangs up early is part of many tests.
        let _ = write!(self.stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{lines}\r\n");
        let _ = self.stream.write_all(body);
        let _ = self.stream.flush();
    }

    /// Send all of `body` with its true length.
    pub fn whole(&mut self, body: &[u8]) {
        self.send("200 OK", &format!("Content-Length: {}", body.len()), body);
    }

    /// Add to the body.
    pub fn more(&mut self, body: &[u8]) -> bool {
        self.stream.write_all(body).is_ok()
    }

    /// Say nothing until the test is over (a few seconds at most).
    pub fn stall(&self) {
        let start = Instant::now();
        while !self.stop.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Serve `body` as a good server does, ranges and all.
    pub fn good(&mut self, request: &Request, body: &[u8], etag: &str) {
        let total = body.len();
        match request.offset() {
            Some(from) if request.header("if-range") == etag && from < total => self.send(
                "206 Partial Content",
                &format!(
                    "Content-Length: {}\nContent-Range: bytes {from}-{}/{total}\nETag: {etag}",
                    total - from,
                    total - 1
                ),
                &body[from..],
            ),
            _ => self.send("200 OK", &format!("Content-Length: {total}\nETag: {etag}"), body),
        }
    }
}

/// The running server; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answer every request with `handler`, at most 100 of them.
    pub fn start(handler: impl Fn(&Request, &mut Answer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (seen, stop, handler) = (Arc::clone(&seen), Arc::clone(&stop), Arc::new(handler));
            move || {
                let mut connections = Vec::new();
                for stream in listener.incoming().take(100) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    let (seen, stop, handler) = (Arc::clone(&seen), Arc::clone(&stop), Arc::clone(&handler));
                    connections.push(std::thread::spawn(move || {
                        let Some(request) = read(&stream) else { return };
                        let number = {
                            let mut seen: std::sync::MutexGuard<'_, Vec<Request>> = seen.lock().unwrap();
                            seen.push(request.clone());
                            seen.len() - 1
                        };
                        handler(&request, &mut Answer { stream, stop, number });
                    }));
                }
                for connection in connections {
                    connection.join().expect("the handler of a test server does not panic");
                }
            }
        });
        Self { address, seen, stop, thread: Some(thread) }
    }

    /// The mirror address of this server.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address of `tiny/NAME` on this server.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/tiny/{name}", self.address)
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The `Range` header of every request so far.
    pub fn ranges(&self) -> Vec<String> {
        self.seen().iter().map(|request| request.header("range").to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(std::thread::panicking() || joined.is_ok(), "the test server panicked");
        }
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    for line in lines {
        let line = line.ok()?;
        match line.split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => break,
        };
    }
    Some(Request { path, headers })
}
