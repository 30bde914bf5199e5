//! What the machine did meanwhile: how busy it was, how much of it others took, and how long threads that could have run
//! had no core.

use std::{fs, time::Instant};

/// Since a moment.
pub(crate) struct Watch {
    since: Instant,
    machine: Machine,
    processes: Vec<u32>,
    waited: f64,
}

/// What it saw.
#[derive(Clone, Copy)]
pub(crate) struct Watched {
    /// Of all cores, 0 to 1.
    pub(crate) busy: f64,
    /// Of all cores: what the host gave to other machines.
    pub(crate) stolen: f64,
    /// Seconds in each second in which threads of the watched processes could have run and had no core, summed.
    pub(crate) waited: f64,
}

#[derive(Clone, Copy)]
struct Machine {
    busy: f64,
    idle: f64,
    stolen: f64,
}

impl Watch {
    /// Of the machine, and of these processes.
    pub(crate) fn start(processes: &[u32]) -> Self {
        Self {
            since: Instant::now(),
            machine: Machine::now(),
            processes: processes.to_vec(),
            waited: waited(processes),
        }
    }

    pub(crate) fn stop(&self) -> Watched {
        let now = Machine::now();
        let (busy, stolen) = (
            now.busy - self.machine.busy,
            now.stolen - self.machine.stolen,
        );
        let all = busy + stolen + now.idle - self.machine.idle;
        Watched {
            busy: busy / all.max(1.0),
            stolen: stolen / all.max(1.0),
            waited: (waited(&self.processes) - self.waited) / self.since.elapsed().as_secs_f64(),
        }
    }
}

impl Machine {
    /// In the kernel's ticks (proc(5)).
    fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap();
        let first = text.lines().next().unwrap();
        let times: Vec<f64> = first
            .split_whitespace()
            .skip(1)
            .map(|n| n.parse().unwrap())
            .collect();
        let [
            user,
            nice,
            system,
            idle,
            waiting,
            interrupts,
            soft,
            stolen,
            ..,
        ] = times[..]
        else {
            panic!("not a line of /proc/stat: {first}");
        };
        Self {
            busy: user + nice + system + interrupts + soft,
            idle: idle + waiting,
            stolen,
        }
    }
}

/// Seconds that all threads of these processes waited for a core; 0 where the kernel does not count that.
fn waited(processes: &[u32]) -> f64 {
    let threads = processes.iter().flat_map(|process| {
        let threads = fs::read_dir(format!("/proc/{process}/task"));
        threads.into_iter().flatten().flatten()
    });
    let nanoseconds = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().nth(1)?.parse::<f64>().ok()
    });
    nanoseconds.sum::<f64>() / 1e9
}
