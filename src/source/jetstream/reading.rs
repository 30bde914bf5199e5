//! The source's one loop: pulls, takes, lets in, settles, and keeps the server informed.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::{Duration, Instant},
};

use async_nats::{Message, Subscriber, jetstream::consumer::Info};
use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    JetStreamOptions,
    consumer::{Consumer, Limits, check, still_there},
    earlier::Earlier,
    flight::{Delivered, Flight},
    given_up::{GivenUp, Lost},
    lag::Lag,
    position::Delivery,
    requests::{Requests, Word},
    waiting::{Next, Waiting, delivered},
};
use crate::{
    message::{Home, InFlight, Lane, Outcome, Position, Reject, Stage},
    nats::{Connection, ready, scratch::Scratch},
    source::{Incoming, Intake, SourceError, nats::headers_of},
};

/// Messages taken from the client before anything else gets a turn.
const TURN: usize = 1024;
const TICK_MAX: Duration = Duration::from_millis(250);
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
/// What the server has given up and we could not get rid of is taken up again after this pause.
const LOST_AGAIN_AFTER: Duration = Duration::from_secs(30);
const DRAIN_WITHIN: Duration = Duration::from_secs(1);

type Check = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The state of the loop.
pub(super) struct Reading {
    connection: Connection,
    options: JetStreamOptions,
    consumer: Consumer,
    intake: Intake,
    requests: Requests,
    flight: Flight,
    /// Here and not let in: bytes ran out meanwhile, or it must go in alone.
    waiting: Waiting,
    given_up: GivenUp,
    lag: Lag,
    scratch: Scratch,
    /// When the server was last told outcomes.
    told: Option<Instant>,
    check: Option<Check>,
    /// Where results stay in order.
    earlier: Option<Earlier>,
}

impl Reading {
    pub(super) fn new(
        connection: Connection,
        options: JetStreamOptions,
        limit: InFlight,
        consumer: Consumer,
        (inbox, given_up): (String, GivenUp),
        intake: Intake,
    ) -> Self {
        Self {
            flight: Flight::new(connection.clone(), options.ack_wait),
            requests: Requests::new(connection.clone(), &options, limit, &consumer, inbox),
            lag: Lag::new(connection.clone(), options.clone()),
            waiting: Waiting::new(
                options.max_deliver,
                options.ack_wait / 3,
                Instant::now() + options.ack_wait + options.ack_wait / 4,
            ),
            connection,
            options,
            consumer,
            intake,
            given_up,
            scratch: Scratch::default(),
            told: None,
            check: None,
            earlier: None,
        }
    }

    pub(super) fn keeping_order(mut self, earlier: Option<Earlier>) -> Self {
        if earlier.is_some() {
            self.waiting.keep_order();
        }
        self.earlier = earlier;
        self
    }

    pub(super) async fn run(
        mut self,
        mut subscriber: Subscriber,
        stop: CancellationToken,
    ) -> Result<(), SourceError> {
        let home = Arc::clone(self.intake.home());
        let connection = self.connection.clone();
        let mut fatal = pin!(connection.fatal());
        let mut tick =
            interval((self.options.ack_wait / 12).clamp(Duration::from_millis(5), TICK_MAX));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let few = self.few();
            if !self.waiting.is_quarantined(Instant::now()) {
                self.requests.refill(self.used(), few).await;
            }
            // Word that is given while disconnected is lost, so outcomes wait.
            let up = self.connection.is_connected();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                sentence = &mut fatal => return Err(SourceError::new(sentence)),
                _ = tick.tick() => self.tick().await,
                () = home.wait_settled(), if up => self.settle(&home).await,
                message = subscriber.next() => {
                    let Some(message) = message else {
                        return Err(SourceError::new("the client closed the subscription"));
                    };
                    self.take(message);
                    self.take_ready(&mut subscriber);
                }
                info = self.lag.answer() => {
                    if let Some(info) = info {
                        self.look(&info)?;
                    }
                }
                lost = self.given_up.next() => self.take_lost(lost).await,
                answer = answered(&mut self.earlier) => {
                    if let Some(earlier) = &mut self.earlier {
                        earlier.answered(answer, self.flight.tally());
                    }
                }
                checked = checked(&mut self.check) => {
                    self.check = None;
                    checked.map_err(SourceError::unavailable)?;
                }
            }
            self.admit()?;
        }
        self.give_back(subscriber).await;
        self.intake.close();
        while home.in_flight().messages > 0 {
            let up = self.connection.is_connected();
            tokio::select! {
                biased;
                sentence = &mut fatal => return Err(SourceError::new(sentence)),
                _ = tick.tick() => self.flight.progress(Instant::now()).await,
                () = home.wait_settled(), if up => self.settle(&home).await,
            }
        }
        if !(self.connection.flush_last(self.told, FLUSH_WITHIN)).await {
            tracing::warn!(
                "the last acknowledgements may not have reached the server; it delivers those messages again"
            );
        }
        Ok(())
    }

    async fn settle(&mut self, home: &Home) {
        self.told = Some(Instant::now());
        while self.connection.is_connected()
            && let Some(settled) = home.next_settled()
        {
            if let Outcome::Retry { .. } = settled.outcome {
                self.intake.metrics().retried(1);
            }
            let lost = self.flight.settle(settled.ticket, settled.outcome).await;
            match (lost, settled.outcome) {
                (None, _) => {}
                (Some(lost), Outcome::Retry { after }) => {
                    let after = after.unwrap_or(LOST_AGAIN_AFTER);
                    self.given_up.again(lost.sequence, lost.times - 1, after);
                }
                (Some(lost), _) => self.given_up.settled(lost.sequence).await,
            }
        }
    }

    /// Looks at the consumer as it is now.
    fn look(&mut self, info: &Info) -> Result<(), SourceError> {
        let unacknowledged = info.num_ack_pending as u64;
        self.intake.metrics().left(info.num_pending, unacknowledged);
        if info.created.unix_timestamp_nanos() != self.consumer.created {
            return Err(SourceError::unavailable(format!(
                "the consumer `{}` of the stream `{}` was deleted and made anew; it delivers everything again, so this is for you to decide: start again to go on with it",
                self.options.consumer, self.options.stream
            )));
        }
        check(&info.config, &self.options).map_err(SourceError::unavailable)?;
        self.requests.set_limits(Limits::of(&info.config));
        Ok(())
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        self.intake.set_attached(!self.requests.is_refused());
        self.flight.progress(now).await;
        self.requests.tick(now);
        self.lag.tick(now);
    }

    /// How many to ask for, where order does not let us ask for all that there is room for.
    fn few(&mut self) -> Option<usize> {
        let (now, room) = (Instant::now(), self.intake.room() > self.waiting.len());
        let earlier = self.earlier.as_mut()?;
        earlier.tick(self.flight.tally(), now);
        earlier.few(room, now)
    }

    /// What has been delivered and has not settled.
    fn used(&self) -> InFlight {
        let admitted = self.intake.home().in_flight();
        InFlight {
            messages: admitted.messages + self.waiting.len(),
            bytes: admitted.bytes + self.waiting.bytes(),
        }
    }

    /// Takes what is there without waiting; says whether that was all.
    fn take_ready(&mut self, subscriber: &mut Subscriber) -> bool {
        for _ in 0..TURN {
            let Some(message) = ready(subscriber) else {
                return true;
            };
            self.take(message);
        }
        false
    }

    fn take(&mut self, message: Message) {
        let now = self.requests.heard();
        if message.status.is_some() {
            if self.requests.status(&message) == Word::Gone && self.check.is_none() {
                let check = still_there(self.connection.clone(), self.options.clone());
                self.check = Some(Box::pin(check));
            }
            return;
        }
        self.requests.came(message.length);
        let Some((reply, delivery)) = message
            .reply
            .as_ref()
            .and_then(|reply| Some((reply, Delivery::parse(reply)?)))
        else {
            tracing::warn!(subject = %message.subject, "a message that is no delivery came to the source's inbox");
            return;
        };
        if let Some(earlier) = &mut self.earlier {
            earlier.came(delivery, now);
        }
        if delivery.delivered > 1 {
            self.intake.metrics().redelivered(1);
            let reply = self.scratch.subject(reply);
            if self.flight.knows(delivery, reply, now) {
                return;
            }
        }
        let ticket = self.flight.insert(Delivered {
            reply: Some(self.scratch.subject(reply)),
            sequence: delivery.sequence,
            times: delivery.delivered,
            told: now,
        });
        let incoming = Incoming {
            ticket,
            subject: self.scratch.copy(&message.subject),
            // Its reply subject is for acknowledgements; nobody waits there for an answer.
            reply: None,
            payload: message.payload,
            headers: message
                .headers
                .as_ref()
                .map(|headers| headers_of(headers).into()),
            position: Some(self.position(delivery)),
        };
        self.waiting.push(incoming);
    }

    /// Takes in what the server has given up, as if it came once more, and once too often.
    async fn take_lost(&mut self, lost: Lost) {
        let (sequence, times) = (lost.message.sequence, lost.deliveries + 1);
        if self.flight.holds(sequence) {
            // Its last delivery is not over for us. Look again when it may be.
            let after = self.options.ack_wait;
            return self.given_up.again(sequence, lost.deliveries, after);
        }
        if self.flight.has_done(sequence) {
            return self.given_up.settled(sequence).await;
        }
        tracing::warn!(
            sequence,
            deliveries = lost.deliveries,
            "the server has given up delivering a message; it goes to the dead letter"
        );
        let ticket = self.flight.insert(Delivered {
            reply: None,
            sequence,
            times,
            told: Instant::now(),
        });
        let incoming = Incoming {
            ticket,
            subject: self.scratch.copy(&lost.message.subject),
            reply: None,
            payload: lost.message.payload,
            headers: Some(headers_of(&lost.message.headers).into()),
            position: Some(self.position(Delivery {
                sequence,
                delivered: times,
                number: 0,
                stored: lost.message.time.unix_timestamp_nanos(),
            })),
        };
        self.waiting.push_lost(incoming);
    }

    fn position(&self, delivery: Delivery) -> Arc<Position> {
        let Consumer { stream, kept, .. } = &self.consumer;
        delivery.position(stream, &self.options.consumer, *kept)
    }

    /// Lets in what there is credit for, and sends to the dead letter what comes too often.
    fn admit(&mut self) -> Result<(), SourceError> {
        if let Some(earlier) = &mut self.earlier {
            if earlier.holds() {
                return Ok(());
            }
            if earlier.is_over() {
                self.waiting.sort();
            }
        }
        let now = Instant::now();
        let mut lane = Lane::First;
        while self.intake.room() > 0
            && let Some(next) = self.waiting.pop(self.intake.in_flight(), now)
        {
            let incoming = match next {
                Next::In(incoming) => incoming,
                Next::TooOften(incoming) => {
                    let times = delivered(&incoming).saturating_sub(1);
                    let reason =
                        format!("delivered {times} times and not acknowledged once (max_deliver)");
                    self.intake
                        .reject(incoming, Reject::new(Stage::Source, "deliveries", reason));
                    continue;
                }
            };
            // A block is of one lane.
            if std::mem::replace(&mut lane, Lane::of(delivered(&incoming))) != lane
                || self.intake.is_full()
            {
                self.intake.flush()?;
            }
            self.intake.push(incoming);
        }
        self.intake.flush()
    }

    /// Ends all requests, and gives back what was not let in, so that another process has it at once.
    async fn give_back(&mut self, mut subscriber: Subscriber) {
        let rest = async {
            if subscriber.drain().await.is_ok() {
                while let Some(message) = self.connection.next_drained(&mut subscriber).await {
                    self.take(message);
                }
            }
        };
        drop(timeout(DRAIN_WITHIN, rest).await);
        for incoming in self.waiting.take() {
            self.flight.give_back(incoming.ticket).await;
        }
    }
}

/// Waits for what the consumer says about its deliveries, where it was asked.
async fn answered(earlier: &mut Option<Earlier>) -> Option<usize> {
    match earlier {
        Some(earlier) => earlier.answer().await,
        None => std::future::pending().await,
    }
}

/// Waits for a check, where one is under way.
async fn checked(check: &mut Option<Check>) -> Result<(), String> {
    match check {
        Some(check) => check.await,
        None => std::future::pending().await,
    }
}
