//! Streams and consumers that are made anew start counting at 1 again; their results are new ones.

use std::{fs, path::Path};

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

/// A folder with everything in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("readable") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_its_last_writes_gives_their_numbers_to_new_messages() {
    let mut input = NatsServer::start(&[]);
    let output = NatsServer::start(&[]);
    let (from, to) = (connect(&input.url()).await, connect(&output.url()).await);
    let fed = Streams::with(&from, &[("IN", "in.>")]).await;
    let streams = Streams::with(&to, &[("OUT", "out.>")]).await;
    let line = Line::start(source(&from), sink(&to), echo);
    let results = async |count| {
        eventually("the results", async || {
            streams.messages("OUT").await >= count && fed.left("IN", "worker").await == Some((0, 0))
        })
        .await;
    };
    fed.feed(0..10).await;
    results(10).await;
    input.kill();
    let backup = tempfile::tempdir().expect("a folder");
    copy(&input.data(), backup.path());
    input.restart();
    fed.feed(10..20).await;
    results(20).await;

    // As after a power cut, or from a backup.
    input.kill();
    fs::remove_dir_all(input.data()).expect("removed");
    copy(backup.path(), &input.data());
    input.restart();
    eventually("the stream is there", async || {
        fed.messages("IN").await == 10
    })
    .await;
    fed.feed(20..30).await;
    results(30).await;
    crate::support::line::assert_each_once(streams.results().await, 30);
    line.finish().await;
}
