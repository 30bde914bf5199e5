//! One fault at a time, with time between them: how long until it goes on as before.

use std::time::Duration;

use crate::{
    load::{ConsumerAnswers, Load, Plan},
    recovery::{MILLI, Moment, between, now, recovery},
    report::{Recovery, Report},
    rig::Rig,
    storms,
};

/// One fault, and when what had failed was back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    kind: &'static str,
    at: Moment,
    back: Moment,
}

/// The faults of a campaign.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    all: Vec<Fault>,
    /// When the consumer's leader answered, in a cluster.
    answered: Vec<Moment>,
}

/// Between two faults: until everything that was in flight has settled, and it was steady for more
/// than a second.
async fn calm(rig: &mut Rig) {
    rig.pause(3500..4000).await;
}

/// The only process dies, and is started again after a moment.
pub(crate) async fn workers(rig: &mut Rig, times: usize) -> Faults {
    let mut faults = Faults::default();
    for _ in 0..times {
        calm(rig).await;
        let at = now();
        let victim = rig.kill_worker().expect("it runs");
        rig.pause(100..500).await;
        let back = now();
        rig.fleet.start(victim);
        faults.all.push(Fault {
            kind: "the only process is killed and started again",
            at,
            back,
        });
    }
    calm(rig).await;
    faults
}

/// The server dies or stands still, and is back after a moment.
pub(crate) async fn server(rig: &mut Rig, times: usize) -> Faults {
    let mut faults = Faults::default();
    for turn in 0..times {
        calm(rig).await;
        let at = now();
        let kind = if turn % 2 == 0 {
            storms::kill_server(rig).await;
            "the server is killed and started again"
        } else {
            rig.broker.one().freeze();
            rig.tally.freezes += 1;
            rig.pause(500..3000).await;
            rig.broker.one().resume();
            "the server stands still and goes on"
        };
        faults.all.push(Fault {
            kind,
            at,
            back: now(),
        });
    }
    calm(rig).await;
    faults
}

/// Leaders die, and servers say that they will go, while a bare publisher shows the broker's own pause.
pub(crate) async fn cluster(rig: &mut Rig, times: usize) -> Faults {
    let urls = rig.broker.urls();
    let plan = Plan {
        messages: u64::MAX,
        per_second: 50,
        subject: "out.probe",
        payload: Box::new(|_| String::new()),
    };
    let mut probe = Load::start(&urls, plan).await;
    let consumer = ConsumerAnswers::start(&urls).await;
    let mut faults = Faults::default();
    for turn in 0..times {
        calm(rig).await;
        let (kind, at) = match turn % 3 {
            0 => (
                "the leader of the output's stream is killed",
                storms::kill_leader(rig, "OUT").await,
            ),
            1 => (
                "the leader of the input's stream is killed",
                storms::kill_leader(rig, "IN").await,
            ),
            _ => (
                "the server that processes are connected to becomes a lame duck",
                // It keeps its connections for ten seconds, and then lets them go one by one.
                storms::lame_duck(rig, 13_000..14_000).await,
            ),
        };
        faults.all.push(Fault { kind, at, back: at });
    }
    calm(rig).await;
    probe.stop().await;
    faults.answered = consumer.answered();
    faults
}

/// How long each fault's recovery took, by what the streams say.
pub(crate) fn recoveries(report: &Report, faults: &Faults) -> Vec<Recovery> {
    let one = |fault: &Fault| {
        // The broker works again when both streams and the consumer do.
        let signals = [&report.probes, &report.arrived, &faults.answered];
        let ends = signals.map(|signal| silence_end(signal, fault.at));
        let broker = ends.into_iter().max().filter(|_| !report.probes.is_empty());
        Recovery {
            kind: fault.kind,
            took: recovery(&report.stored, fault.at, fault.back),
            broker: broker.map(|end| between(fault.at, end)),
        }
    };
    faults.all.iter().map(one).collect()
}

/// When the silence ended that began with a fault; the fault's own moment where there was none.
fn silence_end(signal: &[Moment], fault: Moment) -> Moment {
    const SILENCE: Moment = 350 * MILLI;
    const BEGINS_WITHIN: Moment = 1000 * MILLI;
    let silence = signal.windows(2).find(|pair| {
        pair[1] > fault && pair[0] < fault + BEGINS_WITHIN && pair[1] - pair[0] > SILENCE
    });
    silence.map_or(fault, |pair| pair[1])
}

#[test]
fn the_silence_that_a_fault_begins_is_found() {
    let signal: Vec<_> = [0, 100, 200, 900, 1000, 5000, 5100]
        .map(|millis| millis * MILLI)
        .to_vec();
    assert_eq!(silence_end(&signal, 250 * MILLI), 900 * MILLI);
    assert_eq!(silence_end(&signal, 150 * MILLI), 900 * MILLI);
    assert_eq!(silence_end(&signal, 1050 * MILLI), 5000 * MILLI);
    assert_eq!(silence_end(&signal, 5050 * MILLI), 5050 * MILLI);
}

/// The longest that a recovery may take, beside the broker's own pause.
pub(crate) fn target(kind: &str) -> Option<Duration> {
    let millis = match kind {
        kind if kind.starts_with("the only process") => 1000,
        kind if kind.starts_with("the server is killed") => 1500,
        kind if kind.starts_with("the leader") => 1000,
        _ => return None,
    };
    Some(Duration::from_millis(millis))
}
