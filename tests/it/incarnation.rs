//! Streams and consumers that are made anew start counting at 1 again; their results are new ones.

use crate::support::{
    connect, eventually,
    line::{Line, echo},
    server::NatsServer,
    streams::{Streams, sink, source},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_made_anew_has_new_results() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let streams = Streams::make(&connection).await;
    let line = Line::start(source(&connection), sink(&connection), echo);
    streams.feed(0..100).await;
    streams.audit(100).await;
    line.finish().await;

    streams.js.delete_stream("IN").await.expect("deleted");
    streams.add("IN", "in.>").await;
    let line = Line::start(source(&connection), sink(&connection), echo);
    // The same sequence numbers, within the window in which the server knows the ids of the first.
    streams.feed(100..200).await;
    eventually("the results of both", async || {
        streams.messages("OUT").await == 200
    })
    .await;
    streams.audit(200).await;
    line.finish().await;
}
