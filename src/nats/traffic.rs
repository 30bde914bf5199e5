//! What goes over a connection; every wait has an end.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use async_nats::{
    HeaderMap, Message, PublishErrorKind, Request, RequestErrorKind, Subscriber,
    client::traits::Publisher, message::OutboundMessage,
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::{connection::Connection, ready};

/// The longest wait for the client to take a message while the connection is up.
const PUBLISH_WITHIN: Duration = Duration::from_secs(5);

/// The client writes at once what it is given; where the server takes it, it is out by then.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// Why the client did not take a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PublishFailure {
    /// Larger than the server allows.
    Size,
    /// Not a subject that can be published to.
    Subject,
    /// Disconnected, or stuck: time may help.
    Later,
}

impl Connection {
    /// Subscribes, alone or in a queue group.
    pub(crate) async fn subscribe(
        &self,
        subject: &str,
        queue_group: Option<&str>,
    ) -> Result<Subscriber, String> {
        let subscribe = async {
            match queue_group {
                Some(group) => {
                    self.inner
                        .client
                        .queue_subscribe(subject.to_owned(), group.to_owned())
                        .await
                }
                None => self.inner.client.subscribe(subject.to_owned()).await,
            }
        };
        match timeout(PUBLISH_WITHIN, subscribe).await {
            Ok(Ok(subscriber)) => Ok(subscriber),
            Ok(Err(error)) => Err(format!("cannot subscribe to `{subject}`: {error}")),
            Err(_) => Err(format!(
                "cannot subscribe to `{subject}`: the connection to {} is down",
                self.inner.server
            )),
        }
    }

    /// Hands a message to the client; `Later` at once while disconnected, because what the client
    /// holds then may be lost.
    pub(crate) async fn publish(&self, message: OutboundMessage) -> Result<(), PublishFailure> {
        if !self.is_connected() {
            return Err(PublishFailure::Later);
        }
        let mut publish = pin!(self.inner.client.publish_message(message));
        // Nearly always there is room, and then no timer is needed.
        let first = poll_fn(|context| Poll::Ready(publish.as_mut().poll(context))).await;
        let result = match first {
            Poll::Ready(result) => result,
            Poll::Pending => match timeout(PUBLISH_WITHIN, publish).await {
                Ok(result) => result,
                Err(_) => return Err(PublishFailure::Later),
            },
        };
        result.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => PublishFailure::Size,
            PublishErrorKind::InvalidSubject => PublishFailure::Subject,
            PublishErrorKind::Send => PublishFailure::Later,
        })
    }

    /// Asks a question; `Ok(None)` when nobody is there to answer.
    pub(crate) async fn request(
        &self,
        subject: String,
        payload: Bytes,
        within: Duration,
    ) -> Result<Option<Message>, String> {
        // An inbox of its own: the client's shared one leaks an entry for every timeout.
        let request = Request::new()
            .payload(payload)
            .timeout(None)
            .inbox(self.new_inbox());
        let send = self.inner.client.send_request(subject.clone(), request);
        let answer = tokio::select! {
            answer = timeout(within, send) => answer,
            () = self.forbidden(&subject) => return Err("not allowed to ask".to_owned()),
        };
        match answer {
            Ok(Ok(message)) => Ok(Some(message)),
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Ok(None),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }

    /// Waits until the socket has taken everything, for as long as `within`; says whether it has.
    pub(crate) async fn flush(&self, within: Duration) -> bool {
        matches!(timeout(within, self.inner.client.flush()).await, Ok(Ok(())))
    }

    /// The same where the last message was published at `last`. While the connection is down, nothing is waited for that
    /// was published some time before: the client had written it, or it went with the connection.
    pub(crate) async fn flush_last(&self, last: Option<Instant>, within: Duration) -> bool {
        let written = last.is_none_or(|last| last.elapsed() > WRITTEN_WITHIN);
        (written && !self.is_connected()) || self.flush(within).await
    }

    /// The next message of a subscription that is being drained; `None` where there is no more. A connection that is
    /// down brings no more than what has been read.
    pub(crate) async fn next_drained(&self, subscriber: &mut Subscriber) -> Option<Message> {
        tokio::select! {
            biased;
            message = subscriber.next() => message,
            () = self.disconnected() => ready(subscriber),
        }
    }

    /// Waits until the server refuses a courtesy.
    async fn forbidden(&self, subject: &str) {
        let mut status = self.inner.status.subscribe();
        let refused = status.wait_for(|status| status.forbidden.contains(subject));
        if refused.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The bytes that `headers` take on the wire, as the server counts them against `max_payload`.
pub(crate) fn wire_len(headers: &HeaderMap) -> usize {
    if headers.is_empty() {
        return 0;
    }
    let lines = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values
            .iter()
            .map(move |value| name.len() + value.as_str().len() + 4)
    });
    12 + lines.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::nats::{Auth, ServerOptions, TlsOptions};

    /// A server that says hello and then stands still, and a connection to it.
    async fn stands_still() -> Connection {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.expect("a client");
            let info = b"INFO {\"server_id\":\"x\",\"version\":\"2.15.1\",\"max_payload\":1048576,\"headers\":true,\"proto\":1}\r\n";
            client.write_all(info).await.expect("sent");
            let mut hello = [0; 4096];
            let _read = client.read(&mut hello).await;
            client.write_all(b"PONG\r\n").await.expect("sent");
            tokio::time::sleep(Duration::from_mins(1)).await;
        });
        let options = ServerOptions {
            urls: vec![format!("nats://{address}")],
            auth: Auth::None,
            tls: TlsOptions::default(),
            inbox_prefix: None,
        };
        Connection::connect(&options, "test").await.expect("hello")
    }

    /// Whatever waits for a server that takes nothing waits for a bounded time.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_wait_has_an_end() {
        let connection = stands_still().await;
        let short = Duration::from_millis(300);
        let ask = || connection.request("a.b".into(), Bytes::new(), short);
        assert!(ask().await.is_err());
        // Fill the socket, then the client's buffer, then its queue.
        let message = OutboundMessage {
            subject: "a".into(),
            reply: None,
            payload: vec![0; 1 << 20].into(),
            headers: None,
        };
        let started = Instant::now();
        while connection.publish(message.clone()).await.is_ok() {
            assert!(started.elapsed() < Duration::from_secs(30), "it takes all");
        }
        let started = Instant::now();
        let (subscribed, published, answer) = tokio::join!(
            connection.subscribe("x", None),
            connection.publish(message.clone()),
            ask(),
        );
        assert!(subscribed.is_err() && answer.is_err());
        assert_eq!(published, Err(PublishFailure::Later));
        assert!(!connection.flush(short).await);
        let waited = started.elapsed();
        assert!(
            waited < PUBLISH_WITHIN + Duration::from_secs(1),
            "{waited:?}"
        );
    }
}
