//! Three nats-servers in one cluster, on loopback, gone when the test is.

use std::{
    net::TcpListener,
    time::{Duration, Instant, SystemTime},
};

use async_nats::{
    ConnectOptions,
    jetstream::{self, stream},
};
use tokio::time::timeout;

use super::server::NatsServer;

/// Servers `n0`, `n1`, … that know each other; each has an own folder and keeps its ports.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    server: NatsServer,
    up: bool,
}

/// A cluster elects within ten seconds, most times; a busy machine needs longer.
const HEALTHY_WITHIN: Duration = Duration::from_mins(1);
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// Starts of a whole cluster before something other than a taken port must be wrong.
const TRIES: usize = 5;

impl Cluster {
    /// Starts `count` servers and waits until they have agreed on who leads.
    pub(crate) async fn start(count: usize) -> Self {
        let mut why = String::new();
        for _ in 0..TRIES {
            match Self::try_start(count) {
                Ok(cluster) => {
                    cluster.wait_healthy().await;
                    return cluster;
                }
                Err(error) => why = error,
            }
        }
        panic!("a cluster did not start {TRIES} times: {why}");
    }

    fn try_start(count: usize) -> Result<Self, String> {
        let ports = free_ports(2 * count);
        let (clients, routes) = ports.split_at(count);
        let all: Vec<_> = (routes.iter())
            .map(|port| format!("nats://127.0.0.1:{port}"))
            .collect();
        let node = |(index, (&port, listen)): (usize, (&u16, &String))| {
            let args = [
                "--server_name",
                &format!("n{index}"),
                "--cluster_name",
                "test",
                "--cluster",
                listen,
                "--routes",
                &all.join(","),
            ];
            let server = NatsServer::on_port(port, &args.map(ToOwned::to_owned))?;
            Ok(Node { server, up: true })
        };
        let nodes = clients.iter().zip(&all).enumerate().map(node);
        Ok(Self {
            nodes: nodes.collect::<Result<_, String>>()?,
        })
    }

    /// The addresses of all servers, dead ones too, in their order.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.server.url()).collect()
    }

    /// One server; its port stays the same.
    pub(crate) fn node(&self, index: usize) -> &NatsServer {
        &self.nodes[index].server
    }

    /// As a power cut does it.
    pub(crate) fn kill(&mut self, index: usize) {
        self.nodes[index].server.kill();
        self.nodes[index].up = false;
    }

    /// Starts a server again, with its data, and waits until it accepts connections; it may not have
    /// caught up with the others yet ([`Cluster::wait_healthy`]).
    pub(crate) fn restart(&mut self, index: usize) {
        self.nodes[index].server.restart();
        self.nodes[index].up = true;
    }

    /// The server announces that it will stop, and refuses new work; after some seconds it ends.
    /// Start it again with [`Cluster::restart`].
    pub(crate) fn lame_duck(&mut self, index: usize) {
        self.nodes[index].server.lame_duck();
        self.nodes[index].up = false;
    }

    /// Which server leads a stream, once one that is up does; fails when none does for a minute.
    pub(crate) async fn leader_of(&self, stream: &str) -> usize {
        let leader = async || {
            let info = self.stream(stream).await?;
            info.cluster?.leader
        };
        self.led_by(&format!("a leader of {stream}"), leader).await
    }

    /// Which server leads a consumer; as [`Cluster::leader_of`].
    pub(crate) async fn consumer_leader_of(&self, stream: &str, consumer: &str) -> usize {
        let leader = async || {
            let js = self.ask().await?;
            let stream = js.get_stream_no_info(stream).await.ok()?;
            let info = stream.consumer_info(consumer).await.ok()?;
            info.cluster?.leader
        };
        self.led_by(&format!("a leader of {consumer} of {stream}"), leader)
            .await
    }

    async fn led_by(&self, what: &str, leader: impl AsyncFn() -> Option<String>) -> usize {
        let started = Instant::now();
        loop {
            let name = timeout(ASK_WITHIN, leader()).await.ok().flatten();
            let index = name.and_then(|name| name.strip_prefix('n')?.parse::<usize>().ok());
            // Right after a death the others still name the dead one.
            if let Some(index) = index.filter(|&index| self.nodes[index].up) {
                return index;
            }
            self.patience(started, what);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until every server that is up says that all its streams and consumers are current.
    pub(crate) async fn wait_healthy(&self) {
        let started = Instant::now();
        while !self.is_healthy() {
            self.patience(started, "a healthy cluster");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn is_healthy(&self) -> bool {
        let up = self.nodes.iter().filter(|node| node.up);
        up.map(|node| node.server.monitor("/healthz"))
            .all(|answer| answer.contains(" 200 "))
    }

    fn patience(&self, started: Instant, what: &str) {
        if started.elapsed() > HEALTHY_WITHIN {
            let logs = self.nodes.iter().map(|node| node.server.log());
            panic!(
                "still not: {what}\n{}",
                logs.collect::<Vec<_>>().join("\n\n")
            );
        }
    }

    async fn stream(&self, name: &str) -> Option<stream::Info> {
        let js = self.ask().await?;
        let stream = js.get_stream_no_info(name).await.ok()?;
        stream.get_info().await.ok()
    }

    /// JetStream as the servers that are up see it.
    async fn ask(&self) -> Option<jetstream::Context> {
        let up = self.nodes.iter().filter(|node| node.up);
        let urls: Vec<_> = up.map(|node| node.server.url()).collect();
        let options = ConnectOptions::new().ignore_discovered_servers();
        let client = options.connect(urls).await.ok()?;
        Some(jetstream::new(client))
    }
}

/// Ports that nobody listens on, below those that the kernel hands out: nobody gets one of them by
/// chance while a server is down.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    const PORTS: std::ops::Range<u16> = 16_000..32_000;
    let nanos = SystemTime::UNIX_EPOCH
        .elapsed()
        .map_or(0, |since| since.subsec_nanos());
    let start = (nanos / 64) ^ (std::process::id() * 131);
    let mut held = Vec::new();
    for step in 0..u32::from(PORTS.end - PORTS.start) {
        let offset = start.wrapping_add(step) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(offset).expect("below 16 000");
        held.extend(TcpListener::bind(("127.0.0.1", port)).map(|listener| (port, listener)));
        if held.len() == count {
            break;
        }
    }
    assert_eq!(held.len(), count, "no free ports in {PORTS:?}");
    held.into_iter().map(|(port, _)| port).collect()
}
