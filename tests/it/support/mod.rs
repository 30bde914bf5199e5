//! What the tests stand on: a nats-server per test or three in a cluster, a proxy that misbehaves, a
//! pipeline of nothing but a source and a sink, the real program, and the examples. Shared by the
//! binaries `it` and `faults`.

#[allow(dead_code, reason = "one of the binaries that share it needs it")]
pub(crate) mod cluster;
pub(crate) mod examples;
#[allow(dead_code, reason = "one of the binaries that share it needs it")]
pub(crate) mod fake_cuda;
pub(crate) mod identities;
pub(crate) mod line;
pub(crate) mod offline;
pub(crate) mod ordered;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod streams;

use std::time::{Duration, Instant};

use forebay::nats::{Auth, Connection, ServerOptions, TlsOptions};

/// Options for one server and nothing else.
pub(crate) fn options(url: &str) -> ServerOptions {
    server_options(&[url.to_owned()])
}

/// Options for several servers of one cluster and nothing else.
pub(crate) fn server_options(urls: &[String]) -> ServerOptions {
    ServerOptions {
        urls: urls.to_vec(),
        auth: Auth::None,
        tls: TlsOptions::default(),
        inbox_prefix: None,
    }
}

/// A connection to `url`.
pub(crate) async fn connect(url: &str) -> Connection {
    Connection::connect(&options(url), "test")
        .await
        .expect("the test's server is up")
}

/// Waits until `done` says so; fails after 20 seconds with `what`.
pub(crate) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "still not: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Replaces port numbers, which differ from run to run.
pub(crate) fn without_ports(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("127.0.0.1:");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str("127.0.0.1:PORT");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}
