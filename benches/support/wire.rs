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
        Self::over(&[subject], payloads, numbered)
    }

    /// The same to several subjects in turns: all payloads to one, then to the next. Where they are `numbered`, the
    /// subjects are equally long.
    pub(crate) fn over<P: AsRef<[u8]>>(subjects: &[&str], payloads: &[P], numbered: bool) -> Self {
        let frame = |subject: &str, payload: &[u8]| {
            let head = format!("PUB {subject} {}\r\n", payload.len());
            [head.as_bytes(), payload, b"\r\n"].concat()
        };
        let frames = subjects.iter().flat_map(|subject| {
            let payloads = payloads.iter();
            payloads.map(move |payload| frame(subject, payload.as_ref()))
        });
        let frames: Vec<Vec<u8>> = frames.collect();
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
    /// Of the answers, as they came.
    pub(crate) latencies: Vec<Duration>,
    /// When they came, since the start.
    pub(crate) came: Vec<Duration>,
    /// By a timetable: how late the first message was each time that some were written.
    pub(crate) late: Vec<Duration>,
    pub(crate) seconds: f64,
}

/// Below which times these parts of all are, in microseconds.
pub(crate) fn parts_us<const N: usize>(mut times: Vec<Duration>, parts: [f64; N]) -> [f64; N] {
    times.sort_unstable();
    parts.map(|part| {
        let index = (times.len().saturating_sub(1) as f64 * part) as usize;
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e6)
    })
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
    seen: Seen,
}

impl Waiting {
    fn new(messages: &Messages) -> Self {
        Self {
            start: Instant::now(),
            numbered: messages.number_at.is_some(),
            since: VecDeque::new(),
            oldest: 0,
            seen: Seen::default(),
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
        self.seen
            .latencies
            .push(now.saturating_duration_since(since));
        self.seen
            .came
            .push(now.saturating_duration_since(self.start));
        while let Some(None) = self.since.front() {
            self.since.pop_front();
            self.oldest += 1;
        }
    }

    fn seen(self) -> Seen {
        Seen {
            seconds: self.start.elapsed().as_secs_f64(),
            ..self.seen
        }
    }

    fn answers(&self) -> usize {
        self.seen.latencies.len()
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
            let free = window - (sent as usize - waiting.answers());
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
            if sent as usize == waiting.answers() {
                return waiting.seen();
            }
            self.take(&mut waiting);
        }
    }

    /// Sends so many a second by a timetable, whatever comes back, and waits for the last answer.
    pub(crate) fn at_a_rate(
        &mut self,
        messages: &Arc<Messages>,
        rate: f64,
        time: Duration,
    ) -> Seen {
        self.by_timetable(messages, &[(rate, time)])
    }

    /// Sends by a timetable of rates, each for its time, whatever comes back, and waits for the last answer. Latency
    /// counts from when a message should have been sent.
    pub(crate) fn by_timetable(
        &mut self,
        messages: &Arc<Messages>,
        rates: &[(f64, Duration)],
    ) -> Seen {
        let due = due(rates);
        let all = due.len();
        let mut waiting = Waiting::new(messages);
        // What it takes to write the timetable must not make the first ones late.
        let start = Instant::now() + Duration::from_millis(50);
        waiting.start = start;
        waiting.seen.latencies.reserve(all);
        waiting.seen.came.reserve(all);
        // Each is expected from the start on: its time is known.
        (waiting.since).extend(due.iter().map(|after| Some(start + *after)));
        let (sender, messages) = (self.sender.clone(), Arc::clone(messages));
        let timetable = move || {
            let (mut sent, mut bytes, mut late) = (0, Vec::new(), Vec::new());
            while sent < all {
                bytes.clear();
                let now = Instant::now().saturating_duration_since(start);
                let first = due[sent];
                let mut turn = 0;
                while turn < TURN && sent < all && due[sent] <= now {
                    messages.add(sent as u64, &mut bytes);
                    sent += 1;
                    turn += 1;
                }
                if turn > 0 {
                    late.push(now.saturating_sub(first));
                    sender.write(&bytes);
                }
                if turn < TURN && sent < all {
                    thread::sleep(due[sent].saturating_sub(now).max(EVERY));
                }
            }
            late
        };
        let sending = thread::Builder::new()
            .name("timetable".to_owned())
            .spawn(timetable)
            .unwrap();
        while waiting.answers() < all {
            self.take(&mut waiting);
        }
        waiting.seen.late = sending.join().unwrap();
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

/// When each message is due, from the start on.
fn due(rates: &[(f64, Duration)]) -> Vec<Duration> {
    let mut from = Duration::ZERO;
    let mut due = Vec::new();
    for (rate, time) in rates {
        let count = ((rate * time.as_secs_f64()) as u64).max(1);
        due.extend((0..count).map(|n| from + Duration::from_secs_f64(n as f64 / rate)));
        from += *time;
    }
    due
}
