//! The cluster kit itself.

use async_nats::jetstream::stream;

use crate::support::{cluster::Cluster, connect, eventually, streams::Streams};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_outlives_the_leader_of_a_stream() {
    let mut cluster = Cluster::start(3).await;
    let connection = connect(&cluster.urls()[0]).await;
    let streams = Streams::with(&connection, &[]).await;
    let config = stream::Config {
        name: "IN".into(),
        subjects: vec!["in.>".into()],
        num_replicas: 3,
        ..stream::Config::default()
    };
    streams.js.create_stream(config).await.expect("IN");
    streams.feed(0..100).await;
    let first = cluster.leader_of("IN").await;
    cluster.kill(first);
    let second = cluster.leader_of("IN").await;
    assert_ne!(first, second);
    cluster.restart(first);
    cluster.wait_healthy().await;
    eventually("the client is back", async || {
        streams.messages("IN").await == 100
    })
    .await;
    cluster.lame_duck(second);
    assert_ne!(cluster.leader_of("IN").await, second);
    assert_eq!(cluster.urls().len(), 3);
}
