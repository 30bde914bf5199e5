//! Short campaigns, for every run of the tests.

use std::time::Duration;

use crate::{
    rig::{Link, Rig, Setup},
    storms,
};

/// Chosen once, so that two runs are as alike as time lets them be.
const SEED: u64 = 20_260_101;

/// The seed of this run.
pub(crate) fn seed(otherwise: u64) -> u64 {
    match std::env::var("FOREBAY_FAULTS_SEED") {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("FOREBAY_FAULTS_SEED is no number: {text}")),
        Err(_) => otherwise,
    }
}

fn setup(name: &'static str) -> Setup {
    Setup {
        messages: 3000,
        per_second: 600,
        ack_wait: Duration::from_secs(1),
        ..Setup::new(name, seed(SEED))
    }
}

async fn campaign(setup: Setup, storm: impl AsyncFn(&mut Rig)) {
    let mut rig = Rig::start(setup).await;
    storm(&mut rig).await;
    let report = rig.finish().await;
    assert!(report.findings.is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_die() {
    let setup = Setup {
        messages: 4000,
        per_second: 1000,
        ..setup("workers")
    };
    campaign(setup, storms::workers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_dies_and_stands_still() {
    campaign(setup("server"), storms::server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_cut_and_go_nowhere() {
    let setup = Setup {
        link: Link::Proxies,
        ..setup("network")
    };
    campaign(setup, storms::network).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_is_full_and_slow() {
    let setup = Setup {
        workers: 2,
        at_first: 2,
        messages: 1500,
        link: Link::SinkProxies,
        ..setup("output")
    };
    campaign(setup, storms::output).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_come_and_go() {
    let setup = Setup {
        workers: 4,
        at_first: 1,
        ..setup("scale")
    };
    campaign(setup, storms::scale).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_of_a_cluster_die() {
    let setup = Setup {
        servers: 3,
        messages: 1200,
        per_second: 150,
        ..setup("cluster")
    };
    campaign(setup, storms::cluster).await;
}
