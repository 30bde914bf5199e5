//! A load generator that speaks NATS over a socket of its own: it shares the machine with what is measured, so it must
//! take as little processor time as can be. A client library takes more for a message than a fast target does.
//!
//! Messages are written many at a time from frames made beforehand; of answers only the head is read, and the number
//! where they carry one. One thread keeps a window in flight; at a rate, one sends by a timetable and one reads.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// Longer than anything may take to answer.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// Messages that are written at once, at most.
const TURN: usize = 256;
/// At a rate, what is due is looked for as often as this. Five times as often would cost the machine so much, there and
/// in everything that it wakes, that programs at 70 % of their best would have no core left.
const EVERY: Duration = Duration::from_micros(500);
/// Numbers of messages have as many digits as this, so that one can be written over another.
pub(crate) const FIRST_NUMBER: u64 = 1_000_000_000;
const DIGITS: usize = 10;
const ID: &[u8] = b"\"id\":";

/// What is sent, again and again.
pub(crate) struct Messages {
    /// Whole `PUB` commands.
    frames: Vec<Vec<u8>>,
    /// Where in each the digits of its number stand.
    number_at: Option<usize>,
}

impl Messages {
    /// Of payloads. Where they are `numbered`, each begins with `{"id":` and ten digits, over which its number is
    /// written; an answer may say it.
    pub(crate) fn new<P: AsRef<[u8]>>(subject: &str, payloads: &[P], numbered: bool) -> Self {
        let frame = |payload: &P| {
            let payload = payload.as_ref();
            let head = format!("PUB {subject} {}\r\n", payload.len());
            [head.as_bytes(), payload, b"\r\n"].concat()
        };
        let frames: Vec<Vec<u8>> = payloads.iter().map(frame).collect();
        let number_at = numbered.then(|| {
            let found = frames[0].windows(ID.len()).position(|bytes| bytes == ID);
            let at = found.expect("a numbered message has an id") + ID.len();
            // The length of a payload may have another number of digits in another frame.
            assert!(
                frames
                    .iter()
                    .all(|frame| frame[at - ID.len()..].starts_with(ID))
            );
            at
        });
        Self { frames, number_at }
    }

    fn add(&self, number: u64, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        bytes.extend(&self.frames[number as usize % self.frames.len()]);
        if let Some(at) = self.number_at {
            let mut rest = FIRST_NUMBER + number;
            for digit in bytes[start + at..][..DIGITS].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
}

/// The number of the message that this answers.
fn number_in(answer: &[u8]) -> Option<u64> {
    let found = answer.windows(ID.len()).position(|bytes| bytes == ID)?;
    let digits = answer[found + ID.len()..].trim_ascii_start();
    let text = std::str::from_utf8(digits.get(..DIGITS)?).ok()?;
    text.parse::<u64>().ok()?.checked_sub(FIRST_NUMBER)
}

/// What a run saw.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) latencies: Vec<Duration>,
    pub(crate) seconds: f64,
}

/// A connection that has subscribed to where answers come.
pub(crate) struct Wire {
    sender: Sender,
    socket: TcpStream,
    bytes: Vec<u8>,
    /// What of `bytes` has been read but not looked at.
    start: usize,
    end: usize,
}

/// Commands are written whole: the pong of the reader never lands within a message.
#[derive(Clone)]
struct Sender(Arc<Mutex<TcpStream>>);

impl Sender {
    fn write(&self, bytes: &[u8]) {
        self.0.lock().unwrap().write_all(bytes).unwrap();
    }
}

impl Wire {
    /// Connects to `nats://HOST:PORT`.
    pub(crate) fn connect(url: &str, answers: &str) -> Self {
        let address = url.strip_prefix("nats://").unwrap_or(url);
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(LOST_AFTER)).unwrap();
        let sender = Sender(Arc::new(Mutex::new(socket.try_clone().unwrap())));
        let mut wire = Self {
            sender,
            socket,
            bytes: vec![0; 1 << 20],
            start: 0,
            end: 0,
        };
        let connect = r#"CONNECT {"verbose":false,"pedantic":false,"name":"load","lang":"rust","version":"1","protocol":1}"#;
        let commands = format!("{connect}\r\nSUB {answers} 1\r\nPING\r\n");
        wire.sender.write(commands.as_bytes());
        while !wire.read(&mut |_| {}) {}
        wire
    }

    /// Waits for bytes, and calls with each answer in them; whether there was a `PONG`.
    fn read(&mut self, answer: &mut dyn FnMut(&[u8])) -> bool {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.end == self.bytes.len() {
                self.bytes.resize(2 * self.end, 0);
            }
        }
        match self.socket.read(&mut self.bytes[self.end..]) {
            Ok(0) => panic!("the broker closed the connection"),
            Ok(count) => self.end += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("no answer for {LOST_AFTER:?}: one was lost")
            }
            Err(error) => panic!("{error}"),
        }
        let mut pong = false;
        while let Some(length) = self.next(answer, &mut pong) {
            self.start += length;
        }
        pong
    }

    /// Takes one command, if it is there whole; its length.
    fn next(&self, answer: &mut dyn FnMut(&[u8]), pong: &mut bool) -> Option<usize> {
        let bytes = &self.bytes[self.start..self.end];
        let head = bytes.iter().position(|&byte| byte == b'\n')? + 1;
        let line = &bytes[..head];
        if line.starts_with(b"MSG ") {
            let text = std::str::from_utf8(line.trim_ascii_end()).unwrap();
            let size: usize = text.rsplit(' ').next().unwrap().parse().unwrap();
            let whole = head + size + 2;
            answer(bytes.get(..whole)?.get(head..head + size)?);
            return Some(whole);
        }
        match line {
            b"PING\r\n" => self.sender.write(b"PONG\r\n"),
            b"PONG\r\n" => *pong = true,
            other if other.starts_with(b"INFO ") => {}
            other => panic!("the broker says {}", String::from_utf8_lossy(other)),
        }
        Some(head)
    }
}

/// What is without an answer, and what the others took.
struct Waiting {
    start: Instant,
    numbered: bool,
    /// When each message that has no answer was sent, from the oldest on.
    since: VecDeque<Option<Instant>>,
    /// The number of the oldest.
    oldest: u64,
    latencies: Vec<Duration>,
}

impl Waiting {
    fn new(messages: &Messages) -> Self {
        Self {
            start: Instant::now(),
            numbered: messages.number_at.is_some(),
            since: VecDeque::new(),
            oldest: 0,
            latencies: Vec::new(),
        }
    }

    /// An answer to the message that it names, or else to the oldest.
    fn answered(&mut self, answer: &[u8], now: Instant) {
        let place = if self.numbered {
            let number = number_in(answer).unwrap_or(self.oldest);
            number.checked_sub(self.oldest).map(|place| place as usize)
        } else {
            Some(0)
        };
        let since = place.and_then(|place| self.since.get_mut(place)?.take());
        let since = since.unwrap_or_else(|| {
            let answer = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
            panic!(
                "no message waits for this answer (the oldest is {}): {answer}",
                self.oldest
            )
        });
        self.latencies.push(now.saturating_duration_since(since));
        while let Some(None) = self.since.front() {
            self.since.pop_front();
            self.oldest += 1;
        }
    }

    fn seen(self) -> Seen {
        Seen {
            seconds: self.start.elapsed().as_secs_f64(),
            latencies: self.latencies,
        }
    }
}

impl Wire {
    fn take(&mut self, waiting: &mut Waiting) {
        let mut now = None;
        self.read(&mut |answer| {
            let now = *now.get_or_insert_with(Instant::now);
            waiting.answered(answer, now);
        });
    }

    /// Keeps so many messages in flight, and waits for the last answer.
    pub(crate) fn flood(&mut self, messages: &Messages, window: usize, time: Duration) -> Seen {
        let mut waiting = Waiting::new(messages);
        let (mut sent, mut bytes) = (0_u64, Vec::new());
        // A few answers are no reason to write: that would cost the broker and us a call each.
        let worth = (window / 8).clamp(1, TURN / 4);
        loop {
            let free = window - (sent as usize - waiting.latencies.len());
            let over = waiting.start.elapsed() >= time;
            if free >= worth && !over {
                bytes.clear();
                for _ in 0..free.min(TURN) {
                    messages.add(sent, &mut bytes);
                    sent += 1;
                }
                let now = Instant::now();
                waiting.since.extend((0..free.min(TURN)).map(|_| Some(now)));
                self.sender.write(&bytes);
                if free > TURN {
                    continue;
                }
            }
            if sent as usize == waiting.latencies.len() {
                return waiting.seen();
            }
            self.take(&mut waiting);
        }
    }

    /// Sends so many a second by a timetable, whatever comes back, and waits for the last answer. Latency counts from
    /// when a message should have been sent.
    pub(crate) fn at_a_rate(
        &mut self,
        messages: &Arc<Messages>,
        rate: f64,
        time: Duration,
    ) -> Seen {
        let all = ((rate * time.as_secs_f64()) as u64).max(1);
        let mut waiting = Waiting::new(messages);
        // What it takes to write the timetable must not make the first ones late.
        let start = waiting.start + Duration::from_millis(50);
        waiting.start = start;
        waiting.latencies.reserve(all as usize);
        let due = move |number: u64| start + Duration::from_secs_f64(number as f64 / rate);
        // Each is expected from the start on: its time is known.
        waiting
            .since
            .extend((0..all).map(|number| Some(due(number))));
        let (sender, messages) = (self.sender.clone(), Arc::clone(messages));
        let timetable = move || {
            let (mut sent, mut bytes) = (0, Vec::new());
            while sent < all {
                bytes.clear();
                let now = Instant::now();
                let mut turn = 0;
                while turn < TURN && sent < all && due(sent) <= now {
                    messages.add(sent, &mut bytes);
                    sent += 1;
                    turn += 1;
                }
                if turn > 0 {
                    sender.write(&bytes);
                }
                if turn < TURN && sent < all {
                    thread::sleep(due(sent).saturating_duration_since(now).max(EVERY));
                }
            }
        };
        let sending = thread::Builder::new()
            .name("timetable".to_owned())
            .spawn(timetable)
            .unwrap();
        while (waiting.latencies.len() as u64) < all {
            self.take(&mut waiting);
        }
        sending.join().unwrap();
        waiting.seen()
    }

    /// One message after another; what came back.
    pub(crate) fn one_by_one(&mut self, messages: &Messages, count: usize) -> Vec<Vec<u8>> {
        let mut answers = Vec::new();
        for number in 0..count {
            let mut bytes = Vec::new();
            messages.add(number as u64, &mut bytes);
            self.sender.write(&bytes);
            while answers.len() <= number {
                self.read(&mut |answer| answers.push(answer.to_vec()));
            }
        }
        answers
    }
}
