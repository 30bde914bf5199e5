//! Connections that break: noticed soon, and made again soon.

use std::time::{Duration, Instant};

use forebay::nats::State;

use crate::support::{connect, eventually, proxy::Proxy, server::NatsServer};

/// Three pings without an answer, 5 s apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_link_is_noticed() {
    let server = NatsServer::without_jetstream();
    let proxy = Proxy::start(server.port()).await;
    let connection = connect(&proxy.url()).await;
    let swallowed = Instant::now();
    proxy.swallow();
    eventually("it is noticed", async || {
        connection.state() == State::Disconnected
    })
    .await;
    let after = swallowed.elapsed();
    assert!(after > Duration::from_secs(5), "{after:?}");
    assert!(after < Duration::from_secs(17), "{after:?}");
    proxy.cut();
    proxy.pass();
    eventually("it is back", async || {
        connection.state() == State::Connected
    })
    .await;
}

/// However long the server was away: tries are never more than half a second apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_back_is_found_at_once() {
    let mut server = NatsServer::without_jetstream();
    let connections = [connect(&server.url()).await, connect(&server.url()).await];
    server.kill();
    tokio::time::sleep(Duration::from_secs(4)).await;
    server.restart();
    let back = Instant::now();
    for connection in &connections {
        eventually("it is back", async || {
            connection.state() == State::Connected
        })
        .await;
    }
    let after = back.elapsed();
    assert!(after < Duration::from_millis(700), "{after:?}");
}
