//! Sends rows, as many as results come back, and takes in the results.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use async_nats::Subscriber;
use futures_util::StreamExt as _;
use tokio::{sync::watch, task::AbortHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    rows::{Rows, Scored},
    score::Score,
    scrape::{self, Numbers},
    screen::Screen,
};
use crate::cli::{
    Failure,
    send::{Pace, Rate},
    server::{ANSWER_TIMEOUT, Broker},
};

/// What to send.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) subject: String,
    pub(super) length: Duration,
    pub(super) rate: Option<Rate>,
    /// Rows that may be without a result.
    pub(super) window: usize,
    /// Where the pipeline's metrics are.
    pub(super) http: SocketAddr,
}

/// Rows going out, results coming in.
pub(super) struct Traffic<'a> {
    broker: &'a Broker,
    rows: &'a Rows,
    plan: Plan,
    scores: Subscriber,
    dead: Subscriber,
    score: Score,
}

/// How long results may take to come in once the last row is sent.
const LAST_RESULT_TIMEOUT: Duration = Duration::from_secs(10);
const SHOW_EVERY: Duration = Duration::from_millis(200);
const SCRAPE_EVERY: Duration = Duration::from_millis(500);

impl<'a> Traffic<'a> {
    /// Listens for results, before there can be any.
    ///
    /// # Errors
    /// The server does not answer.
    pub(super) async fn start(
        broker: &'a Broker,
        rows: &'a Rows,
        plan: Plan,
    ) -> Result<Self, Failure> {
        let listen = async |subject: &'static str| {
            let subscriber = broker.client().subscribe(subject).await;
            subscriber.map_err(|error| broker.gone(&error.to_string()))
        };
        let (scores, dead) = (listen("scores.>").await?, listen("dead.>").await?);
        broker.flush().await?;
        Ok(Self {
            broker,
            rows,
            plan,
            scores,
            dead,
            score: Score::new(),
        })
    }

    /// Sends until the time is over or `stop`, and waits for what is still to come. `start` is when
    /// the user started waiting.
    ///
    /// # Errors
    /// The server is gone, or standard output cannot be written.
    pub(super) async fn play(
        mut self,
        stop: &CancellationToken,
        screen: &mut Screen,
        start: Instant,
    ) -> Result<(Score, Numbers), Failure> {
        let scraper = Scraper::start(self.plan.http);
        let mut pace = Pace::new(self.plan.rate);
        let mut show = tokio::time::interval(SHOW_EVERY);
        show.set_missed_tick_behavior(MissedTickBehavior::Skip);
        self.score.started = Instant::now();
        let end = tokio::time::sleep(self.plan.length);
        tokio::pin!(end);
        let mut first = true;
        loop {
            let room = self.score.outstanding() < self.plan.window;
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = &mut end => break,
                _ = show.tick() => {
                    let numbers = scraper.latest();
                    let shown = screen.show(&mut self.score, &numbers, self.plan.length)?;
                    if shown.is_gone() {
                        break;
                    }
                }
                Some(message) = self.scores.next() => {
                    self.score.result(&message.payload, self.rows);
                    if std::mem::take(&mut first) {
                        let text = self.first(&message.payload, start);
                        if screen.say(&text)?.is_gone() {
                            break;
                        }
                    }
                }
                Some(message) = self.dead.next() => self.score.dead_letter(&message.payload),
                () = pace.due(), if room => {
                    self.send().await?;
                    pace.sent();
                }
            }
        }
        self.wait_for_the_last().await;
        // Asked once more, so that the numbers go with the results.
        let numbers = scrape::numbers(self.plan.http).await;
        Ok((self.score, numbers.unwrap_or_else(|| scraper.latest())))
    }

    /// What to say of the first result: how soon it was there, and the row and its prediction.
    fn first(&self, result: &[u8], start: Instant) -> String {
        let row = serde_json::from_slice(result).map(|scored: Scored| self.rows.message(scored.id));
        format!(
            "the first result was there {:.1} s after the start:\n  row     {}\n  result  {}",
            start.elapsed().as_secs_f64(),
            String::from_utf8_lossy(&row.unwrap_or_default()),
            String::from_utf8_lossy(result),
        )
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let row = self.rows.message(self.score.sent);
        self.score.send();
        let publish = self.broker.client().publish(self.plan.subject.clone(), row);
        match tokio::time::timeout(ANSWER_TIMEOUT, publish).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.broker.gone(&error.to_string())),
            Err(_) => Err(self.broker.gone("rows cannot be handed over for 5 s")),
        }
    }

    async fn wait_for_the_last(&mut self) {
        let end = tokio::time::Instant::now() + LAST_RESULT_TIMEOUT;
        while self.score.outstanding() > 0 {
            tokio::select! {
                biased;
                Some(message) = self.scores.next() => self.score.result(&message.payload, self.rows),
                Some(message) = self.dead.next() => self.score.dead_letter(&message.payload),
                () = tokio::time::sleep_until(end) => return,
            }
        }
        // A row that has two results has the second one soon.
        let late = tokio::time::timeout(Duration::from_millis(100), async {
            while let Some(message) = self.scores.next().await {
                self.score.result(&message.payload, self.rows);
            }
        });
        drop(late.await);
    }
}

/// Reads the metrics now and then, beside the traffic.
struct Scraper {
    numbers: watch::Receiver<Numbers>,
    task: AbortHandle,
}

impl Scraper {
    fn start(http: SocketAddr) -> Self {
        let (sender, numbers) = watch::channel(Numbers::default());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(SCRAPE_EVERY);
            loop {
                tick.tick().await;
                if let Some(numbers) = scrape::numbers(http).await {
                    sender.send_replace(numbers);
                }
            }
        });
        Self {
            numbers,
            task: task.abort_handle(),
        }
    }

    fn latest(&self) -> Numbers {
        *self.numbers.borrow()
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.task.abort();
    }
}
