//! The least that a worker between two streams can do: pull, publish with a message id, wait for
//! the broker's word on it, acknowledge. Once with the client's own JetStream API, and once by hand.

use std::time::Duration;

use async_nats::{
    Client, HeaderMap, Subject,
    client::traits::Publisher,
    header::NATS_MESSAGE_ID,
    jetstream::{self, consumer::PullConsumer, context::ContextBuilder, message::PublishMessage},
    message::OutboundMessage,
};
use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, stream::FuturesUnordered};
use tokio::runtime::Builder;

use crate::sides::{Job, Side};

// Windows of 256 to 4096, pulls of 1000 and 4000, one and two threads, a task for each message, and
// a task for the broker's words were tried: what stands here was the best of them for each loop.
/// Results without the broker's word at which no more are sent.
const WINDOW: usize = 1024;
const PULL: usize = 4000;

pub(crate) fn main(side: Side, job: &Job) {
    let mut runtime = match side {
        Side::Api => Builder::new_multi_thread(),
        _ => Builder::new_current_thread(),
    };
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let client = async_nats::ConnectOptions::new()
            .subscription_capacity(65_536)
            .connect(&job.url)
            .await
            .unwrap();
        let working = match side {
            Side::Api => tokio::spawn(api(client, job.clone())),
            _ => tokio::spawn(by_hand(client, job.clone())),
        };
        working.await.unwrap();
    });
}

/// With what async-nats offers: its pull stream, its publish, its acknowledgements. The broker's
/// words are awaited together, as they come.
async fn api(client: Client, job: Job) {
    let js = ContextBuilder::new()
        .timeout(Duration::from_secs(10))
        .build(client);
    let consumer: PullConsumer = js
        .get_consumer_from_stream(&job.consumer, &job.stream)
        .await
        .unwrap();
    let mut messages = consumer
        .stream()
        .max_messages_per_batch(PULL)
        .expires(Duration::from_secs(10))
        .heartbeat(Duration::from_secs(2))
        .messages()
        .await
        .unwrap();
    let subject = Subject::from(job.subject.as_str());
    let mut unconfirmed = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(message) = unconfirmed.next() => {
                let message: jetstream::Message = message;
                message.ack().await.unwrap();
            }
            Some(message) = messages.next(), if unconfirmed.len() < WINDOW => {
                let message = message.unwrap();
                let sequence = message.info().unwrap().stream_sequence;
                let publish = PublishMessage::build()
                    .payload(message.payload.clone())
                    .message_id(format!("{}.{sequence}", job.consumer));
                let stored = js.send_publish(subject.clone(), publish).await.unwrap();
                unconfirmed.push(async move {
                    stored.await.unwrap();
                    message
                });
            }
        }
    }
}

/// With inboxes of our own: no future, no timer and no look-up for each message.
async fn by_hand(client: Client, job: Job) {
    let (deliveries_at, words_at) = (client.new_inbox(), client.new_inbox());
    let mut deliveries = client.subscribe(deliveries_at.clone()).await.unwrap();
    let mut words = client.subscribe(format!("{words_at}.*")).await.unwrap();
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", job.stream, job.consumer);
    let ask = async |messages: usize| {
        let request = format!("{{\"batch\":{messages},\"expires\":60000000000}}");
        client
            .publish_with_reply(next.clone(), deliveries_at.clone(), request.into())
            .await
            .unwrap();
    };
    let subject = Subject::from(job.subject.as_str());
    let mut window: Vec<Option<Subject>> = vec![None; WINDOW];
    let mut free: Vec<usize> = (0..WINDOW).collect();
    let mut asked = PULL;
    ask(PULL).await;
    loop {
        tokio::select! {
            biased;
            Some(word) = words.next() => {
                let mut word = Some(word);
                while let Some(stored) = word {
                    let place = stored.subject.rsplit('.').next().unwrap().parse::<usize>().unwrap();
                    assert!(stored.payload.starts_with(b"{\"stream\""), "{:?}", stored.payload);
                    let reply = window[place].take().unwrap();
                    free.push(place);
                    client.publish(reply, Bytes::from_static(b"+ACK")).await.unwrap();
                    word = ready(&mut words);
                }
            }
            Some(message) = deliveries.next(), if !free.is_empty() => {
                let mut delivery = Some(message);
                while let Some(message) = delivery {
                    let Some(reply) = message.reply.filter(|_| message.status.is_none()) else {
                        break;
                    };
                    let sequence = reply.split('.').nth(5).unwrap();
                    let mut headers = HeaderMap::new();
                    headers.insert(NATS_MESSAGE_ID, format!("{}.{sequence}", job.consumer));
                    let place = free.pop().unwrap();
                    window[place] = Some(reply);
                    let publish = OutboundMessage {
                        subject: subject.clone(),
                        reply: Some(format!("{words_at}.{place}").into()),
                        payload: message.payload,
                        headers: Some(headers),
                    };
                    client.publish_message(publish).await.unwrap();
                    asked -= 1;
                    if asked < PULL / 2 {
                        ask(PULL / 2).await;
                        asked += PULL / 2;
                    }
                    delivery = if free.is_empty() { None } else { ready(&mut deliveries) };
                }
            }
        }
    }
}

fn ready<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    stream.next().now_or_never().flatten()
}
