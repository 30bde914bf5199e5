//! The long campaigns, and the table that they come to: `make soak`.

use std::{fs, path::Path, process::Command};

use crate::{
    recovery::now,
    report::{Recovery, Report, campaigns_table, recoveries_table},
    rig::{Link, Rig, Setup},
    short::seed,
    spaced::{self, Faults},
    storms,
};

/// What the campaigns came to so far.
#[derive(Default)]
struct Outcome {
    reports: Vec<Report>,
    recoveries: Vec<Recovery>,
}

impl Outcome {
    async fn storm(&mut self, setup: Setup, storm: impl AsyncFn(&mut Rig)) {
        if !is_wanted(&setup) {
            return;
        }
        let mut rig = Rig::start(setup).await;
        storm(&mut rig).await;
        self.reports.push(rig.finish().await);
    }

    async fn spaced(&mut self, setup: Setup, faults: impl AsyncFn(&mut Rig) -> Faults) {
        if !is_wanted(&setup) {
            return;
        }
        let mut rig = Rig::start(setup).await;
        let faults = faults(&mut rig).await;
        let report = rig.finish().await;
        let recoveries = spaced::recoveries(&report, &faults);
        for one in &recoveries {
            println!("  {one:?}");
        }
        self.recoveries.extend(recoveries);
        self.reports.push(report);
    }
}

/// Whether this campaign is among those that `FOREBAY_SOAK_ONLY` names by a part of their names.
fn is_wanted(setup: &Setup) -> bool {
    only().is_none_or(|only| setup.name.contains(&only))
}

fn only() -> Option<String> {
    std::env::var("FOREBAY_SOAK_ONLY").ok()
}

/// In percent of the whole thing; for whoever has less than ten minutes.
fn part() -> u64 {
    match std::env::var("FOREBAY_SOAK_PERCENT") {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("FOREBAY_SOAK_PERCENT is no number: {text}")),
        Err(_) => 100,
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes ten minutes: make soak"]
async fn soak() {
    let (seed, part) = (seed(now().cast_unsigned()), part());
    let messages = |whole: u64| (whole * part / 100).max(1000);
    let times = |whole: usize| (whole * usize::try_from(part).expect("percent") / 100).max(2);
    let setup = |name| Setup {
        talk: true,
        ..Setup::new(name, seed)
    };
    let mut outcome = Outcome::default();
    storms(&mut outcome, setup, messages).await;
    recoveries(&mut outcome, setup, times).await;
    let text = page(&outcome, seed);
    println!("\n{text}");
    let whole = part >= 100 && only().is_none();
    if whole {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/soak.md");
        fs::write(path, text).expect("docs/soak.md can be written");
    }
    let enough = (outcome.reports.iter())
        .any(|report| report.tally.worker_kills >= 30 && report.tally.server_kills >= 10);
    assert!(enough || !whole, "too little was killed");
    let wrong: Vec<_> = (outcome.reports.iter())
        .filter(|report| !report.findings.is_empty())
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn storms(
    outcome: &mut Outcome,
    setup: impl Fn(&'static str) -> Setup,
    messages: impl Fn(u64) -> u64,
) {
    outcome
        .storm(
            Setup {
                messages: messages(100_000),
                ..setup("processes and server")
            },
            storms::everything,
        )
        .await;
    outcome
        .storm(
            Setup {
                messages: messages(20_000),
                link: Link::Proxies,
                ..setup("network")
            },
            storms::network,
        )
        .await;
    outcome
        .storm(
            Setup {
                messages: messages(20_000),
                link: Link::SinkProxies,
                ..setup("output full and slow")
            },
            storms::output,
        )
        .await;
    outcome
        .storm(
            Setup {
                workers: 5,
                at_first: 1,
                messages: messages(20_000),
                ..setup("scale")
            },
            storms::scale,
        )
        .await;
    outcome
        .storm(
            Setup {
                messages: messages(6000),
                per_second: 100,
                servers: 3,
                ..setup("cluster")
            },
            storms::cluster,
        )
        .await;
}

async fn recoveries(
    outcome: &mut Outcome,
    setup: impl Fn(&'static str) -> Setup,
    times: impl Fn(usize) -> usize,
) {
    let steady = |name| Setup {
        per_second: 500,
        ..setup(name)
    };
    let alone = Setup {
        workers: 1,
        at_first: 1,
        ..steady("recovery of a process")
    };
    let restarts = async |rig: &mut Rig| spaced::workers(rig, times(12)).await;
    outcome.spaced(alone, restarts).await;
    let faults = async |rig: &mut Rig| spaced::server(rig, times(16)).await;
    outcome.spaced(steady("recovery of a server"), faults).await;
    let cluster = Setup {
        servers: 3,
        per_second: 200,
        ..steady("recovery of a cluster")
    };
    let faults = async |rig: &mut Rig| spaced::cluster(rig, times(9)).await;
    outcome.spaced(cluster, faults).await;
}

/// The page of `docs/`.
fn page(outcome: &Outcome, seed: u64) -> String {
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        text.ok()
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| "unknown".to_owned())
    };
    let version = |part: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!(".runtime/{part}/VERSION"));
        let text = fs::read_to_string(path).unwrap_or_else(|_| "unknown".to_owned());
        text.trim().to_owned()
    };
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find(|line| line.starts_with("model name"));
    let cpu = cpu.and_then(|line| line.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    format!(
        "# Soak

Written by `make soak`: real processes are killed, frozen and cut off under a steady load, one in 25 messages is
bad, and afterwards everything that came out is compared with everything that went in. Each input must have one
result with the right value, or one dead letter with the right reason; and nothing may be left unacknowledged.

{}
*Redeliveries* is what the consumer gave out more than once; *duplicates suppressed* is what was published once more and
not stored again; *longest pause* is the longest time without a result, faults included.

## Until it goes on as before

How long it took after one fault, under a steady load.

- The clock starts when what had failed is there again: the process is started, the server accepts connections or goes
  on. It starts with the fault itself where a leader is killed or a server becomes a lame duck.
- It stops at the first result from which on results are stored about as fast as before the fault: in the next 100 ms,
  and in the median of the next three times 100 ms, at least nine tenths of the median of the last ten times 100 ms.
- In a cluster the broker stands still too, until it has new leaders. How long, is measured without forebay: bare
  publishers write to both streams, and the consumer is asked whether it answers. What took longest is *the broker's
  own pause*; the target is counted on top of it.

{}
Made on {} with {cpu} ({cores} cores), {}; forebay {} at {} ({profile} build), nats-server {}, ONNX Runtime {}; seed
{seed} (`FOREBAY_FAULTS_SEED={seed} make soak` chooses the same faults).
",
        campaigns_table(&outcome.reports),
        recoveries_table(&outcome.recoveries),
        said("date", &["-u", "+%Y-%m-%d"]),
        said("uname", &["-sr"]),
        env!("CARGO_PKG_VERSION"),
        said("git", &["rev-parse", "--short", "HEAD"]),
        version("nats-server"),
        version("onnxruntime"),
        cpu = cpu.unwrap_or("an unknown CPU"),
    )
}
