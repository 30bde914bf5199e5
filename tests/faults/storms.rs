//! Faults that come as fast as the seed wants them, for as long as there is something to publish.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use crate::{
    recovery::{Moment, now},
    rig::{Rig, stream_config},
    support::{eventually, proxy::Proxy},
};

/// Workers die, and are started again at once.
pub(crate) async fn workers(rig: &mut Rig) {
    while rig.is_loading() {
        rig.pause(50..300).await;
        rig.kill_and_start_worker();
    }
}

/// The server dies, or stands still; workers die meanwhile.
pub(crate) async fn server(rig: &mut Rig) {
    while rig.is_loading() {
        rig.pause(300..900).await;
        match rig.random.below(4) {
            0 => freeze(rig).await,
            1 => {
                rig.kill_and_start_worker();
                kill_server(rig).await;
            }
            _ => kill_server(rig).await,
        }
    }
}

/// Workers die all the time, and the server every few seconds.
pub(crate) async fn everything(rig: &mut Rig) {
    let mut next = Instant::now() + rig.random.millis(3000..6000);
    while rig.is_loading() {
        rig.pause(50..300).await;
        rig.kill_and_start_worker();
        if next <= Instant::now() {
            kill_server(rig).await;
            next = Instant::now() + rig.random.millis(3000..6000);
        }
    }
}

pub(crate) async fn kill_server(rig: &mut Rig) {
    rig.broker.one().kill();
    rig.tally.server_kills += 1;
    rig.pause(1..400).await;
    rig.broker.one().restart();
}

pub(crate) async fn freeze(rig: &mut Rig) {
    rig.broker.one().freeze();
    rig.tally.freezes += 1;
    rig.pause(200..1500).await;
    if rig.random.below(2) == 0 {
        rig.kill_and_start_worker();
    }
    rig.broker.one().resume();
}

/// Links are cut in the middle of messages, go nowhere for a while, or are slow.
pub(crate) async fn network(rig: &mut Rig) {
    while rig.is_loading() {
        rig.pause(20..250).await;
        let proxy = rig.proxies[rig.random.index(rig.proxies.len())].clone();
        match rig.random.below(8) {
            0 => {
                // A link that goes nowhere is never whole again: what was in it is gone.
                proxy.swallow();
                rig.pause(100..1500).await;
                proxy.cut();
                rig.pause(10..50).await;
                proxy.pass();
                rig.tally.cuts += 1;
            }
            1 => {
                proxy.cut();
                rig.pause(10..400).await;
                proxy.pass();
                rig.tally.cuts += 1;
            }
            2 => {
                proxy.delay(rig.random.millis(1..20));
                rig.pause(100..500).await;
                proxy.delay(Duration::ZERO);
            }
            _ => proxy.cut_after(rig.random.below(20_000)),
        }
    }
    rig.tally.cuts += rig.proxies.iter().map(Proxy::cuts).sum::<u64>();
}

/// The load of the longest campaign is over by then.
const FULL_WITHIN: Duration = Duration::from_mins(2);

/// The streams of results and of dead letters are full, again and again, and slow in between;
/// workers die meanwhile.
pub(crate) async fn output(rig: &mut Rig) {
    const JAMS: u64 = 4;
    for jam in 1..=JAMS {
        let part = |of: u64| (of * jam / (JAMS + 1)).cast_signed();
        limit(rig, "OUT", part(rig.setup.messages)).await;
        // A little less than will come.
        limit(rig, "DEAD", part(rig.setup.messages / 26)).await;
        let full = part(rig.setup.messages).cast_unsigned();
        let asked = Instant::now();
        while rig.streams.messages("OUT").await < full {
            assert!(asked.elapsed() < FULL_WITHIN, "the output does not fill");
            rig.pause(20..50).await;
            let slow = rig.random.millis(0..8);
            rig.proxies.iter().for_each(|proxy| proxy.delay(slow));
        }
        rig.tally.jams += 1;
        rig.pause(200..1000).await;
        rig.kill_and_start_worker();
        rig.pause(200..1000).await;
    }
    limit(rig, "OUT", -1).await;
    limit(rig, "DEAD", -1).await;
    while rig.is_loading() {
        rig.pause(20..50).await;
    }
}

async fn limit(rig: &Rig, stream: &str, most: i64) {
    let config = stream_config(stream, rig.setup.servers, most);
    let updated = rig.streams.js.update_stream(config).await;
    updated.expect("the stream takes another limit");
}

/// Workers come and go, asked to and not.
pub(crate) async fn scale(rig: &mut Rig) {
    while rig.is_loading() {
        rig.pause(50..300).await;
        let running = rig.fleet.running();
        let free: Vec<_> = (0..rig.fleet.len())
            .filter(|index| !running.contains(index))
            .collect();
        match rig.random.below(4) {
            0 if running.len() > 1 => {
                rig.kill_worker();
            }
            1 if running.len() > 1 => {
                let victim = running[rig.random.index(running.len())];
                rig.fleet.stop(victim).await;
                rig.tally.worker_stops += 1;
            }
            _ if !free.is_empty() => rig.fleet.start(free[rig.random.index(free.len())]),
            _ => {}
        }
    }
}

/// The leader of a stream dies; then the server that workers are connected to says that it will go.
pub(crate) async fn cluster(rig: &mut Rig) {
    while rig.is_loading() {
        rig.pause(500..1500).await;
        let stream = ["IN", "OUT"][rig.random.index(2)];
        kill_leader(rig, stream).await;
        rig.pause(500..1500).await;
        lame_duck(rig, 1500..2500).await;
    }
}

/// Kills the leader of a stream, and starts that server again when there is another leader. Says
/// when it was dead.
pub(crate) async fn kill_leader(rig: &mut Rig, stream: &str) -> Moment {
    let cluster = rig.broker.many();
    let leader = cluster.leader_of(stream).await;
    cluster.kill(leader);
    let at = now();
    rig.tally.server_kills += 1;
    rig.pause(100..500).await;
    let cluster = rig.broker.many();
    cluster.leader_of(stream).await;
    cluster.restart(leader);
    cluster.wait_healthy().await;
    at
}

/// The server with most of the workers' connections says that it will go, and is killed and started
/// again after so many milliseconds. Says when it began.
pub(crate) async fn lame_duck(rig: &mut Rig, goes_after: Range<u64>) -> Moment {
    let cluster = rig.broker.many();
    let workers = |index: &usize| {
        let connections = cluster.node(*index).monitor("/connz");
        connections.matches(r#""name": "faults"#).count()
    };
    let victim = (0..cluster.urls().len()).max_by_key(workers);
    let victim = victim.expect("there are servers");
    assert!(workers(&victim) > 0, "no worker is connected anywhere");
    let at = now();
    cluster.lame_duck(victim);
    rig.tally.lame_ducks += 1;
    rig.pause(goes_after).await;
    rig.broker.many().restart(victim);
    rig.broker.many().wait_healthy().await;
    eventually("the streams have leaders", async || {
        rig.streams.messages("OUT").await > 0
    })
    .await;
    at
}
