//! The load over a NATS server: messages on subjects of our own, by core NATS, and their results.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_nats::{Message, Subscriber};
use futures_util::{FutureExt as _, StreamExt as _};

use super::{drive::Drive, memory::REASON, sample::Sample};
use crate::{
    cli::{
        Exit, Failure,
        server::{self, Broker},
    },
    config::{
        Plan,
        plan::{SinkPlan, SourcePlan},
    },
    decode::key::OrderBy,
    nats::ServerOptions,
    sink::{nats::NatsTarget, template::Template},
    source::nats::NatsOptions,
};

/// What was published is remembered this long, in messages; more are never in flight.
const REMEMBERED: usize = 1 << 16;
/// Tokens in front of the number of a message.
const TOKENS: usize = 4;

/// The number of the message that this answers; none where it was sent to see whether one comes
/// through.
fn number_of(answer: &Message) -> Option<u64> {
    answer.subject.rsplit('.').next()?.parse().ok()
}

/// The subjects of one benchmark.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    prefix: String,
}

impl Subjects {
    pub(super) fn new() -> Self {
        Self {
            // Nobody else's: of this process, and of this moment.
            prefix: format!("forebay.bench.{}-{}", std::process::id(), moment()),
        }
    }

    fn of(&self, end: &str) -> String {
        format!("{}.{end}", self.prefix)
    }
}

fn moment() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_nanos()
}

/// The server that is meant: the one that is named, else that of the file's source.
///
/// # Errors
/// There is none, or its address is none.
pub(super) fn server_of(plan: &Plan, named: &str) -> Result<ServerOptions, Failure> {
    if named.is_empty() {
        return plan.source.server().cloned().ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "the pipeline's source names no NATS server; name one: --nats nats://127.0.0.1:4222",
            )
        });
    }
    let args = server::ServerArgs {
        url: named.to_owned(),
        creds: None,
        ca: None,
    };
    args.options()
}

/// The same pipeline between our subjects. The number of a message is the last token of both.
///
/// # Errors
/// It keeps an order by a token of its own subjects.
pub(super) fn between(
    plan: &Plan,
    server: &ServerOptions,
    subjects: &Subjects,
) -> Result<Plan, Failure> {
    if matches!(plan.order_by, Some(OrderBy::Token(_))) {
        return Err(Failure::new(
            Exit::Usage,
            "`order_by` names a token of the source's subjects, which the subjects of a benchmark over NATS do not have; leave --nats away",
        ));
    }
    let target = |end: &str| {
        let text = subjects.of(&format!("{end}.{{{}}}", TOKENS + 1));
        let template = Template::parse(&text).map_err(Failure::failed)?;
        let target = NatsTarget::Subject(template);
        Ok::<_, Failure>(SinkPlan::Nats(server.clone(), target))
    };
    let options = NatsOptions {
        subject: subjects.of("in.*"),
        queue_group: None,
    };
    Ok(Plan {
        source: SourcePlan::Nats(server.clone(), options),
        sink: target("out")?,
        dead_letter: Some(target("dead")?),
        ..plan.clone()
    })
}

/// Sends by the timetable, and times what comes back.
pub(super) struct Sender {
    broker: Broker,
    results: Subscriber,
    letters: Subscriber,
    subjects: Subjects,
    drive: Arc<Drive>,
    sample: Sample,
    /// When each of the last messages was sent, by its number.
    sent: Vec<Instant>,
}

impl Sender {
    /// Connects, and listens for results.
    ///
    /// # Errors
    /// No server there, or it refuses us.
    pub(super) async fn connect(
        server: &ServerOptions,
        subjects: Subjects,
        drive: Arc<Drive>,
        sample: Sample,
    ) -> Result<Self, Failure> {
        let broker = server::connect(server, "forebay bench").await?;
        let client = broker.client().clone();
        let listen = |end: &str| client.subscribe(subjects.of(end));
        let refused = |error: async_nats::SubscribeError| broker.gone(&error.to_string());
        let results = listen("out.*").await.map_err(refused)?;
        let letters = listen("dead.*").await.map_err(refused)?;
        broker.flush().await?;
        Ok(Self {
            results,
            letters,
            broker,
            subjects,
            drive,
            sample,
            sent: vec![Instant::now(); REMEMBERED],
        })
    }

    /// The address as it may be printed.
    pub(super) fn address(&self) -> &str {
        self.broker.address()
    }

    /// Waits until the pipeline has subscribed: a message that nobody reads is gone.
    ///
    /// # Errors
    /// It does not, or the server is gone.
    pub(super) async fn reached(&mut self) -> Result<(), Failure> {
        let end = Instant::now() + server::ANSWER_TIMEOUT;
        while Instant::now() < end {
            self.publish_on("x", 0).await?;
            let answer = futures_util::future::select(self.results.next(), self.letters.next());
            if tokio::time::timeout(Duration::from_millis(100), answer)
                .await
                .is_ok()
            {
                return Ok(());
            }
        }
        Err(self
            .broker
            .gone("no message came through the pipeline in 5 s"))
    }

    async fn publish(&mut self, number: u64) -> Result<(), Failure> {
        *self.sent_at(number) = Instant::now();
        self.publish_on(&number.to_string(), number).await
    }

    async fn publish_on(&self, name: &str, number: u64) -> Result<(), Failure> {
        let (_, payload) = self.sample.message(number);
        let subject = self.subjects.of(&format!("in.{name}"));
        let published = self.broker.client().publish(subject, payload).await;
        published.map_err(|error| self.broker.gone(&error.to_string()))
    }

    fn sent_at(&mut self, number: u64) -> &mut Instant {
        let place = usize::try_from(number % REMEMBERED as u64).unwrap_or_default();
        &mut self.sent[place]
    }

    /// Runs until it is dropped.
    ///
    /// # Errors
    /// The server is gone.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let drive = Arc::clone(&self.drive);
        loop {
            tokio::select! {
                biased;
                result = self.results.next() => self.answered(result)?,
                letter = self.letters.next() => {
                    let letter = letter.ok_or_else(|| self.broker.gone("the connection was closed"))?;
                    if number_of(&letter).is_some() {
                        let headers = letter.headers.as_ref();
                        let reason = headers.and_then(|headers| headers.get(REASON));
                        drive.rejected(reason.map_or("no reason is given", |reason| reason.as_str()));
                    }
                }
                () = drive.wait() => {}
            }
            let (first, count) = drive.take(REMEMBERED / 2);
            for number in first..first + count {
                self.publish(number).await?;
            }
        }
    }

    /// Takes a result, and what else has come.
    fn answered(&mut self, result: Option<Message>) -> Result<(), Failure> {
        let now = Instant::now();
        let mut next = result.ok_or_else(|| self.broker.gone("the connection was closed"))?;
        let mut done = Vec::new();
        loop {
            if let Some(number) = number_of(&next) {
                done.push((number, *self.sent_at(number)));
            }
            match self.results.next().now_or_never().flatten() {
                Some(another) if done.len() < 1024 => next = another,
                Some(another) => {
                    next = another;
                    self.drive.done(done.drain(..), now);
                }
                None => break,
            }
        }
        self.drive.done(done.into_iter(), now);
        Ok(())
    }
}
