//! One campaign: a broker, workers, a load, what may be done to them, and the audit at the end.

use std::{
    fs,
    ops::Range,
    time::{Duration, Instant},
};

use async_nats::jetstream::stream;
use tempfile::TempDir;

use crate::{
    audit::Audit,
    fleet::Fleet,
    inputs,
    load::{Load, Plan},
    random::Random,
    recovery::{Moment, longest_pause, now},
    report::{Report, Tally},
    stored::Stored,
    support::{
        self,
        cluster::{Cluster, free_ports},
        proxy::Proxy,
        server::NatsServer,
        streams::Streams,
    },
};

/// What a campaign is made of.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) name: &'static str,
    pub(crate) seed: u64,
    /// Places for workers.
    pub(crate) workers: usize,
    /// How many of them have a worker at first.
    pub(crate) at_first: usize,
    pub(crate) messages: u64,
    pub(crate) per_second: u64,
    pub(crate) ack_wait: Duration,
    pub(crate) servers: usize,
    pub(crate) link: Link,
    /// Say now and then how far it is.
    pub(crate) talk: bool,
}

impl Setup {
    /// Three workers on one server, with nothing between them.
    pub(crate) fn new(name: &'static str, seed: u64) -> Self {
        Self {
            name,
            seed,
            workers: 3,
            at_first: 3,
            messages: u64::MAX,
            per_second: 1000,
            ack_wait: Duration::from_secs(2),
            servers: 1,
            link: Link::Direct,
            talk: false,
        }
    }
}

/// How workers reach the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    Direct,
    /// Each worker through its own proxy.
    Proxies,
    /// Only results and dead letters, each worker's through its own proxy.
    SinkProxies,
}

pub(crate) enum Broker {
    One(NatsServer),
    Many(Cluster),
}

/// A campaign under way.
pub(crate) struct Rig {
    pub(crate) setup: Setup,
    pub(crate) random: Random,
    pub(crate) broker: Broker,
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) fleet: Fleet,
    pub(crate) streams: Streams,
    pub(crate) load: Load,
    pub(crate) tally: Tally,
    folder: TempDir,
    began: Moment,
    said: Instant,
}

/// What is in flight when the faults are over has this long to settle.
const SETTLES_WITHIN: Duration = Duration::from_mins(2);

/// The streams of all campaigns, with their subjects.
const STREAMS: [(&str, &str); 3] = [("IN", "in.>"), ("OUT", "out.>"), ("DEAD", "dead.>")];

/// One of [`STREAMS`]; `most` messages, or any number.
pub(crate) fn stream_config(name: &str, replicas: usize, most: i64) -> stream::Config {
    let (name, subject) = STREAMS
        .into_iter()
        .find(|(known, _)| *known == name)
        .expect("one of three");
    stream::Config {
        name: name.into(),
        subjects: vec![subject.into()],
        num_replicas: replicas,
        discard: stream::DiscardPolicy::New,
        max_messages: most,
        ..stream::Config::default()
    }
}

impl Rig {
    /// Starts the broker, the workers and, once they work, the load.
    pub(crate) async fn start(setup: Setup) -> Self {
        println!("{}: seed {}", setup.name, setup.seed);
        let broker = Broker::start(setup.servers).await;
        let urls = broker.urls();
        let options = support::server_options(&urls);
        let connection = forebay::nats::Connection::connect(&options, "test")
            .await
            .expect("the broker is up");
        let streams = Streams::with(&connection, &[]).await;
        for (name, _) in STREAMS {
            let config = stream_config(name, setup.servers, -1);
            streams.js.create_stream(config).await.expect("a stream");
        }
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("model.onnx"), inputs::model()).expect("written");
        let (proxies, pipelines) = pipelines(&setup, &broker).await;
        let mut fleet = Fleet::new(folder.path(), &pipelines);
        (0..setup.at_first).for_each(|index| fleet.start(index));
        support::eventually("the consumer is there", async || {
            streams.left("IN", "worker").await.is_some()
        })
        .await;
        let seed = setup.seed;
        let plan = Plan {
            messages: setup.messages,
            per_second: setup.per_second,
            subject: "in.rows",
            payload: Box::new(move |id| inputs::payload(seed, id)),
        };
        let load = Load::start(&urls, plan).await;
        Self {
            random: Random::new(seed),
            setup,
            broker,
            proxies,
            fleet,
            streams,
            load,
            tally: Tally::default(),
            folder,
            began: now(),
            said: Instant::now(),
        }
    }

    /// Whether there is still something to publish.
    pub(crate) fn is_loading(&self) -> bool {
        !self.load.is_done()
    }

    /// Lets it run for so many milliseconds; which number the seed says.
    pub(crate) async fn pause(&mut self, millis: Range<u64>) {
        let ends = Instant::now() + self.random.millis(millis);
        loop {
            self.fleet.tend();
            self.progress(Duration::from_secs(5)).await;
            let left = ends.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(Duration::from_millis(20))).await;
        }
    }

    async fn progress(&mut self, every: Duration) {
        if !self.setup.talk || self.said.elapsed() < every {
            return;
        }
        self.said = Instant::now();
        let count = self.streams.messages("OUT");
        let stored = tokio::time::timeout(Duration::from_millis(200), count).await;
        println!(
            "  {}: {} messages published, {} again; {} results stored; {}",
            self.setup.name,
            self.load.confirmed(),
            self.load.again(),
            stored.map_or("?".to_owned(), |stored| stored.to_string()),
            self.tally
        );
    }

    /// One of the workers that run.
    pub(crate) fn victim(&mut self) -> Option<usize> {
        let running = self.fleet.running();
        (!running.is_empty()).then(|| running[self.random.index(running.len())])
    }

    /// Kills a worker; says which.
    pub(crate) fn kill_worker(&mut self) -> Option<usize> {
        let victim = self.victim()?;
        self.fleet.kill(victim);
        self.tally.worker_kills += 1;
        Some(victim)
    }

    pub(crate) fn kill_and_start_worker(&mut self) {
        if let Some(victim) = self.kill_worker() {
            self.fleet.start(victim);
        }
    }

    /// Ends all faults, waits until everything is settled, and audits.
    pub(crate) async fn finish(mut self) -> Report {
        if let Broker::One(server) = &self.broker {
            server.resume();
        }
        for proxy in &self.proxies {
            proxy.pass();
            proxy.delay(Duration::ZERO);
        }
        self.load.stop().await;
        let load_ended = now();
        self.fleet.start_all();
        let healed = Instant::now();
        let mut left = None;
        while healed.elapsed() < SETTLES_WITHIN && left != Some((0, 0)) {
            self.fleet.tend();
            self.progress(Duration::from_secs(5)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            left = self.streams.left("IN", "worker").await;
            if std::env::var_os("DEBUGX").is_some() {
                println!("{:?} {left:?}", healed.elapsed());
            }
        }
        let settled = healed.elapsed();
        self.fleet.stop_all().await;
        let left = match left {
            // Nothing may come after it has once looked settled.
            Some((0, 0)) => self.streams.left("IN", "worker").await,
            left => left,
        };
        let mut findings = self.fleet.bugs();
        if left != Some((0, 0)) {
            findings.push(format!(
                "not settled after {SETTLES_WITHIN:?}: {left:?} messages are (pending, unacknowledged)"
            ));
        }
        let stored = Stored::read(&self.streams, self.setup.seed).await;
        findings.extend(stored.missing(self.setup.messages.min(self.load.confirmed())));
        let audit = Audit::new(&stored.inputs, &stored.results, &stored.letters);
        findings.extend(audit.findings.iter().map(ToString::to_string));
        let deliveries = self.deliveries().await;
        let report = Report {
            name: self.setup.name,
            seed: self.setup.seed,
            messages: stored.inputs.len(),
            letters: stored.letters.len(),
            redeliveries: deliveries.saturating_sub(stored.inputs.len() as u64),
            duplicates: self.fleet.duplicates(),
            lost: audit.lost(),
            doubled: audit.doubled(),
            wrong: audit.wrong(),
            longest_pause: longest_pause(&stored.at, self.began, load_ended),
            settled,
            ended: std::mem::take(&mut self.fleet.ended),
            tally: self.tally,
            probes: stored.probes,
            stored: stored.at,
            arrived: stored.arrived,
            findings,
        };
        println!("{report}");
        if !report.findings.is_empty() {
            fs::write(self.folder.path().join("server.log"), self.broker.log()).ok();
            self.folder.disable_cleanup(true);
            println!("  the logs are in {}", self.folder.path().display());
        }
        report
    }

    async fn deliveries(&self) -> u64 {
        let stream = self.streams.js.get_stream("IN").await.expect("IN");
        let info = stream.consumer_info("worker").await.expect("the consumer");
        info.delivered.consumer_sequence
    }
}

async fn pipelines(setup: &Setup, broker: &Broker) -> (Vec<Proxy>, Vec<String>) {
    let (mut proxies, mut pipelines) = (Vec::new(), Vec::new());
    for index in 0..setup.workers {
        // Each worker is at another server, as far as there are some.
        let mut direct = broker.urls();
        let count = direct.len();
        direct.rotate_left(index % count);
        let mut through = direct.clone();
        if setup.link != Link::Direct {
            let proxy = Proxy::start(broker.port()).await;
            through = vec![proxy.url()];
            proxies.push(proxy);
        }
        let source = match setup.link {
            Link::Proxies => &through,
            Link::Direct | Link::SinkProxies => &direct,
        };
        let ack_wait = setup.ack_wait.as_millis();
        pipelines.push(inputs::pipeline(source, &through, ack_wait));
    }
    (proxies, pipelines)
}

impl Broker {
    async fn start(servers: usize) -> Self {
        if servers > 1 {
            return Self::Many(Cluster::start(servers).await);
        }
        // A port below those that the kernel hands out: workers that try to connect while the
        // server is down never meet themselves there.
        let mut tries = (0..5).map(|_| NatsServer::on_port(free_ports(1)[0], &[]));
        let server = tries.find_map(Result::ok);
        Self::One(server.expect("a nats-server starts"))
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        match self {
            Self::One(server) => vec![server.url()],
            Self::Many(cluster) => cluster.urls(),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::One(server) => server.port(),
            Self::Many(cluster) => cluster.node(0).port(),
        }
    }

    fn log(&self) -> String {
        match self {
            Self::One(server) => server.log(),
            Self::Many(cluster) => (0..cluster.urls().len())
                .map(|index| cluster.node(index).log())
                .collect(),
        }
    }

    /// The one server of a campaign with one.
    pub(crate) fn one(&mut self) -> &mut NatsServer {
        match self {
            Self::One(server) => server,
            Self::Many(_) => panic!("this campaign has a cluster"),
        }
    }

    /// The cluster of a campaign with one.
    pub(crate) fn many(&mut self) -> &mut Cluster {
        match self {
            Self::Many(cluster) => cluster,
            Self::One(_) => panic!("this campaign has one server"),
        }
    }
}
