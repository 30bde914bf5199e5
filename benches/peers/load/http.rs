//! Rows over HTTP/1.1: connections that are kept, one request at a time on each.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::LocalSet,
};

use crate::{
    Load, Seen,
    requests::{self, Form},
    ticks::Ticks,
};

/// Longer than anything may take to answer.
const LOST_AFTER: Duration = Duration::from_secs(20);

/// What all connections share.
struct Shared {
    requests: Vec<Vec<u8>>,
    load: Load,
    start: Instant,
    /// The next message's number.
    next: Cell<u64>,
    /// At a rate: how many messages may go out. One more for each connection lets it end.
    due: Semaphore,
}

impl Shared {
    /// Lets messages out when they are due.
    async fn pace(&self) {
        let Some(all) = self.load.all() else { return };
        let ticks = Ticks::start();
        let mut let_out = 0;
        while let_out < all {
            let before = let_out;
            while let_out < all
                && (self.load.due(self.start, let_out)).is_some_and(|due| due <= Instant::now())
            {
                let_out += 1;
            }
            self.due.add_permits((let_out - before) as usize);
            ticks.next().await;
        }
        self.due.add_permits(self.load.in_flight);
    }
}

pub(crate) async fn run(address: &str, path: &str, form: Form, load: Load) -> Seen {
    let mut connections = Vec::new();
    for _ in 0..load.in_flight {
        connections.push(Connection::open(address).await);
    }
    let shared = Rc::new(Shared {
        requests: requests::requests(address, path, form),
        load,
        start: Instant::now(),
        next: Cell::new(0),
        due: Semaphore::new(0),
    });
    let local = LocalSet::new();
    let mut latencies = Vec::new();
    local
        .run_until(async {
            let start = |connection: Connection| {
                tokio::task::spawn_local(work(connection, Rc::clone(&shared)))
            };
            let running: Vec<_> = connections.into_iter().map(start).collect();
            shared.pace().await;
            for one in running {
                latencies.extend(one.await.unwrap());
            }
        })
        .await;
    Seen {
        seconds: shared.start.elapsed().as_secs_f64(),
        latencies,
        ..Seen::default()
    }
}

/// Sends on one connection until there is no more to send.
async fn work(mut connection: Connection, shared: Rc<Shared>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    loop {
        if shared.load.rate.is_some() {
            shared.due.acquire().await.unwrap().forget();
        }
        let number = shared.next.get();
        let over = match shared.load.all() {
            Some(all) => number >= all,
            None => shared.start.elapsed() >= shared.load.time,
        };
        if over {
            return latencies;
        }
        shared.next.set(number + 1);
        let due = shared.load.due(shared.start, number);
        let since = due.unwrap_or_else(Instant::now);
        let request = &shared.requests[number as usize % shared.requests.len()];
        connection.ask(request).await;
        latencies.push(since.elapsed());
    }
}

pub(crate) async fn check(address: &str, path: &str, form: Form, count: usize) -> Vec<Vec<u8>> {
    let mut connection = Connection::open(address).await;
    let mut answers = Vec::new();
    for request in requests::requests(address, path, form).iter().take(count) {
        let body = connection.ask(request).await;
        answers.push(connection.buffer[body].to_vec());
    }
    answers
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Sends a request and reads the answer; gives the place of its body.
    async fn ask(&mut self, request: &[u8]) -> std::ops::Range<usize> {
        let asking = async {
            self.stream.write_all(request).await.unwrap();
            self.buffer.clear();
            loop {
                if let Some(body) = body(&self.buffer) {
                    return body;
                }
                let read = self.stream.read_buf(&mut self.buffer).await.unwrap();
                assert!(read > 0, "the connection was closed");
            }
        };
        let body = tokio::time::timeout(LOST_AFTER, asking).await;
        let body = body.expect("an answer in time");
        let answer = &self.buffer;
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "not a good answer: {}",
            String::from_utf8_lossy(answer)
        );
        body
    }
}

/// The place of the body, once it is there whole.
fn body(answer: &[u8]) -> Option<std::ops::Range<usize>> {
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&answer[..head]);
    let header = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length")
        .unwrap_or_else(|| panic!("an answer without a length: {text}"))
        .parse()
        .unwrap();
    (answer.len() >= head + length).then_some(head..head + length)
}
