//! A steady open-loop load, and those who look on.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_nats::{Client, ConnectOptions, HeaderMap, connection::State, header::NATS_MESSAGE_ID};
use futures_util::StreamExt;
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::recovery::{Moment, now};

const TICK: Duration = Duration::from_millis(10);
/// What is not confirmed by then is published again, with the same id.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);

/// A client that is back as soon as a server is.
async fn client(urls: &[String], inboxes: &str) -> Client {
    let options = ConnectOptions::new()
        .custom_inbox_prefix(inboxes)
        .ping_interval(Duration::from_secs(1))
        .connection_timeout(Duration::from_secs(1))
        .reconnect_delay_callback(|_| Duration::from_millis(20));
    let urls: Vec<async_nats::ServerAddr> = urls
        .iter()
        .map(|url| url.parse().expect("an address"))
        .collect();
    options.connect(urls).await.expect("the server is up")
}

/// Numbered messages on their way into a stream, at a steady pace whatever happens.
pub(crate) struct Load {
    task: JoinHandle<()>,
    state: Arc<LoadState>,
}

#[derive(Default)]
struct LoadState {
    confirmed: AtomicU64,
    again: AtomicU64,
    stop: AtomicBool,
}

/// What is published: how many, how many a second, where to, and what.
pub(crate) struct Plan {
    pub(crate) messages: u64,
    pub(crate) per_second: u64,
    pub(crate) subject: &'static str,
    pub(crate) payload: Box<dyn Fn(u64) -> String + Send + Sync>,
}

impl Load {
    /// Publishes until all are confirmed, or [`Load::stop`] is called.
    pub(crate) async fn start(urls: &[String], plan: Plan) -> Self {
        let client = client(urls, "_LOAD").await;
        let state = Arc::new(LoadState::default());
        let task = tokio::spawn(publish(client, plan, Arc::clone(&state)));
        Self { task, state }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.task.is_finished()
    }

    /// How many the server has confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.state.confirmed.load(Ordering::Relaxed)
    }

    /// How many were published once more, because nothing was heard of them.
    pub(crate) fn again(&self) -> u64 {
        self.state.again.load(Ordering::Relaxed)
    }

    /// Takes up no more numbers; waits until those taken up are confirmed.
    pub(crate) async fn stop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        (&mut self.task).await.expect("the load does not panic");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn publish(client: Client, plan: Plan, state: Arc<LoadState>) {
    let inbox = client.new_inbox();
    let mut answers = client
        .subscribe(format!("{inbox}.*"))
        .await
        .expect("the server is up");
    let mut unconfirmed: BTreeMap<u64, Instant> = BTreeMap::new();
    let mut next = 0;
    let started = Instant::now();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            answer = answers.next() => {
                let Some(answer) = answer else { return };
                let id = answer.subject.rsplit('.').next().and_then(|id| id.parse().ok());
                // An error (no leader, say) is like silence: it is published again.
                let stored = answer.status.is_none() && !find(&answer.payload, br#""error""#);
                if stored && id.is_some_and(|id: u64| unconfirmed.remove(&id).is_some()) {
                    state.confirmed.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ = tick.tick() => {
                let all = if state.stop.load(Ordering::Relaxed) { next } else { plan.messages };
                if next >= all && unconfirmed.is_empty() {
                    return;
                }
                if client.connection_state() != State::Connected {
                    continue;
                }
                let due = started.elapsed().as_micros() * u128::from(plan.per_second) / 1_000_000;
                let due = all.min(u64::try_from(due).unwrap_or(u64::MAX));
                let (fresh, now) = (next..due, Instant::now());
                let late = |sent: &&Instant| now.duration_since(**sent) > CONFIRMED_WITHIN;
                let again: Vec<u64> =
                    unconfirmed.iter().filter(|(_, sent)| late(sent)).map(|(&id, _)| id).collect();
                state.again.fetch_add(again.len() as u64, Ordering::Relaxed);
                for id in again.into_iter().chain(fresh) {
                    unconfirmed.insert(id, now);
                    send(&client, &plan, &inbox, id).await;
                }
                next = next.max(due);
            }
        }
    }
}

async fn send(client: &Client, plan: &Plan, inbox: &str, id: u64) {
    let mut headers = HeaderMap::new();
    headers.insert(NATS_MESSAGE_ID, format!("{}-{id}", plan.subject));
    let sent = client.publish_with_reply_and_headers(
        plan.subject,
        format!("{inbox}.{id}"),
        headers,
        (plan.payload)(id).into(),
    );
    // What does not get out is published again, like what gets lost.
    drop(tokio::time::timeout(Duration::from_secs(2), sent).await);
}

/// Notes when the consumer's leader answers: the broker's own pause on the side of the input.
pub(crate) struct ConsumerAnswers {
    task: JoinHandle<()>,
    answered: Arc<Mutex<Vec<Moment>>>,
}

impl ConsumerAnswers {
    pub(crate) async fn start(urls: &[String]) -> Self {
        const EVERY: Duration = Duration::from_millis(50);
        let client = client(urls, "_LOOKS").await;
        let answered = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&answered);
        let task = tokio::spawn(async move {
            loop {
                let ask = client.request("$JS.API.CONSUMER.INFO.IN.worker", "".into());
                let answer = tokio::time::timeout(4 * EVERY, ask).await;
                if let Ok(Ok(answer)) = answer
                    && !find(&answer.payload, br#""error""#)
                {
                    noted.lock().expect("lock").push(now());
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { task, answered }
    }

    /// When it answered, in order.
    pub(crate) fn answered(&self) -> Vec<Moment> {
        self.answered.lock().expect("lock").clone()
    }
}

impl Drop for ConsumerAnswers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn find(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}
