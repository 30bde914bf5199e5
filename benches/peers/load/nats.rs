//! Rows over core NATS: published on one subject, answered on another.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use async_nats::{Client, Subscriber};
use futures_util::{FutureExt, StreamExt};

use crate::{
    Load, Seen,
    rows::{self, Messages},
    ticks::Ticks,
};

/// Longer than anything may take to answer.
const LOST_AFTER: Duration = Duration::from_secs(20);
/// Messages that are sent before it is looked at what has come back.
const TURN: usize = 64;

struct Run {
    client: Client,
    answers: Subscriber,
    input: String,
    messages: Messages,
    load: Load,
    start: Instant,
    sent: u64,
    /// When each message that has no answer was sent, or should have been, from the oldest on.
    waiting: VecDeque<Option<Instant>>,
    /// The number of the oldest.
    oldest: u64,
    latencies: Vec<Duration>,
}

impl Run {
    async fn new(url: &str, input: &str, output: &str, load: Load) -> Self {
        let client = async_nats::ConnectOptions::new()
            .subscription_capacity(1 << 20)
            .connect(url)
            .await
            .unwrap();
        let answers = client.subscribe(output.to_owned()).await.unwrap();
        client.flush().await.unwrap();
        Self {
            client,
            answers,
            input: input.to_owned(),
            messages: Messages::new(),
            load,
            start: Instant::now(),
            sent: 0,
            waiting: VecDeque::new(),
            oldest: 0,
            latencies: Vec::new(),
        }
    }

    fn in_flight(&self) -> usize {
        self.sent as usize - self.latencies.len()
    }

    async fn send(&mut self, since: Instant) {
        let message = self.messages.get(self.sent);
        let sending = self.client.publish(self.input.clone(), message);
        sending.await.unwrap();
        self.waiting.push_back(Some(since));
        self.sent += 1;
    }

    /// Takes an answer: to the message that it names, or else to the oldest.
    fn answered(&mut self, answer: &[u8], now: Instant) {
        let number = rows::number_in(answer).unwrap_or(self.oldest);
        let place = number.checked_sub(self.oldest).map(|place| place as usize);
        let since = place.and_then(|place| self.waiting.get_mut(place)?.take());
        let since = since.expect("an answer to a message that waits for one");
        self.latencies.push(now - since);
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.oldest += 1;
        }
    }

    fn take_what_is_there(&mut self) {
        let now = Instant::now();
        for _ in 0..4 * TURN {
            let Some(Some(answer)) = self.answers.next().now_or_never() else {
                break;
            };
            self.answered(&answer.payload, now);
        }
    }

    async fn take_one(&mut self) {
        let next = tokio::time::timeout(LOST_AFTER, self.answers.next()).await;
        let answer = next.expect("an answer in time: one was lost").unwrap();
        self.answered(&answer.payload, Instant::now());
        self.take_what_is_there();
    }

    async fn flood(&mut self) {
        while self.start.elapsed() < self.load.time {
            let mut turn = 0;
            while self.in_flight() < self.load.in_flight && turn < TURN {
                self.send(Instant::now()).await;
                turn += 1;
            }
            if turn == 0 {
                self.take_one().await;
            } else {
                // The client writes and reads only while we wait.
                tokio::task::yield_now().await;
                self.take_what_is_there();
            }
        }
    }

    async fn at_a_rate(&mut self, all: u64) {
        let ticks = Ticks::start();
        while self.sent < all {
            let mut turn = 0;
            while let Some(due) = self.load.due(self.start, self.sent)
                && due <= Instant::now()
                && self.sent < all
                && turn < TURN
            {
                self.send(due).await;
                turn += 1;
            }
            self.take_what_is_there();
            if turn == TURN {
                tokio::task::yield_now().await;
            } else {
                tokio::select! {
                    () = ticks.next() => {}
                    answer = self.answers.next() => {
                        self.answered(&answer.unwrap().payload, Instant::now());
                    }
                }
            }
        }
    }
}

pub(crate) async fn run(url: &str, input: &str, output: &str, load: Load) -> Seen {
    let mut run = Run::new(url, input, output, load).await;
    match load.all() {
        None => run.flood().await,
        Some(all) => run.at_a_rate(all).await,
    }
    while run.in_flight() > 0 {
        run.take_one().await;
    }
    Seen {
        seconds: run.start.elapsed().as_secs_f64(),
        latencies: run.latencies,
    }
}

pub(crate) async fn check(url: &str, input: &str, output: &str, count: usize) -> Vec<Vec<u8>> {
    let load = Load {
        in_flight: 1,
        time: Duration::ZERO,
        rate: None,
    };
    let mut run = Run::new(url, input, output, load).await;
    let mut answers = Vec::new();
    for _ in 0..count {
        run.send(Instant::now()).await;
        let next = tokio::time::timeout(LOST_AFTER, run.answers.next()).await;
        let answer = next.expect("an answer in time: one was lost").unwrap();
        run.answered(&answer.payload, Instant::now());
        answers.push(answer.payload.to_vec());
    }
    answers
}
