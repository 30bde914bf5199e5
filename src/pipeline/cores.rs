//! Cores shared by the pipelines of a process, by their weights.
//!
//! A worker has a core while it decodes, runs a model on the CPU, or encodes. Where all cores are taken, the
//! one that comes free goes to the pipeline that had least of them for its weight (start-time fair
//! queueing: Goyal, Vin, Cheng, 1996). One that was idle has no claim from that time.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The cores of the machine, as the workers of several pipelines take them.
#[derive(Debug)]
pub struct Cores(Mutex<State>);

#[derive(Debug)]
struct State {
    free: usize,
    /// What each pipeline has had, in seconds for each weight of 1.
    had: Vec<f64>,
    /// What the pipeline had that was last given a core for which it waited.
    level: f64,
    waiting: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    pipeline: usize,
    bell: Arc<Bell>,
}

/// Rings when its worker has a core.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        while !*rung {
            rung = self
                .changed
                .wait(rung)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Cores {
    /// So many.
    pub fn new(cores: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: cores.max(1),
            had: Vec::new(),
            level: 0.0,
            waiting: VecDeque::new(),
        })))
    }

    /// The share of one more pipeline.
    pub fn share(self: &Arc<Self>, weight: usize) -> Share {
        let mut state = self.lock();
        state.had.push(0.0);
        Share {
            cores: Arc::clone(self),
            pipeline: state.had.len() - 1,
            weight: weight.max(1) as f64,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two whole steps leaves the state sound.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one pipeline may take of the cores. Clones are the same share.
#[derive(Debug, Clone)]
pub struct Share {
    cores: Arc<Cores>,
    pipeline: usize,
    weight: f64,
}

impl Share {
    /// Waits for a core, and has it until the guard is dropped.
    pub fn take(&self) -> Core<'_> {
        let bell = {
            let mut state = self.cores.lock();
            if state.free > 0 {
                state.free -= 1;
                None
            } else {
                let bell = Arc::new(Bell::default());
                state.waiting.push_back(Waiter {
                    pipeline: self.pipeline,
                    bell: Arc::clone(&bell),
                });
                Some(bell)
            }
        };
        if let Some(bell) = bell {
            bell.wait();
        }
        Core {
            share: self,
            since: Instant::now(),
        }
    }

    /// A core, where one is free.
    pub fn try_take(&self) -> Option<Core<'_>> {
        let mut state = self.cores.lock();
        state.free = state.free.checked_sub(1)?;
        Some(Core {
            share: self,
            since: Instant::now(),
        })
    }

    fn give_back(&self, had: Duration) {
        let next = self
            .cores
            .lock()
            .given_back(self.pipeline, had.as_secs_f64() / self.weight);
        if let Some(waiter) = next {
            waiter.bell.ring();
        }
    }
}

impl State {
    /// A pipeline gives a core back that it had for so long by its weight; says who has it now.
    fn given_back(&mut self, pipeline: usize, had: f64) -> Option<Waiter> {
        let level = self.level;
        if let Some(sum) = self.had.get_mut(pipeline) {
            *sum = sum.max(level) + had;
        }
        let had = |waiter: &Waiter| {
            let had = self.had.get(waiter.pipeline).copied();
            had.unwrap_or_default().max(level)
        };
        // The first of those who had least.
        let least = (0..self.waiting.len()).min_by(|a, b| {
            let had = |at: &usize| self.waiting.get(*at).map_or(f64::INFINITY, had);
            had(a).total_cmp(&had(b))
        });
        let next = least.and_then(|at| self.waiting.remove(at));
        match &next {
            Some(waiter) => {
                let had = self.had.get(waiter.pipeline).copied();
                self.level = had.unwrap_or_default().max(level);
            }
            None => self.free += 1,
        }
        next
    }
}

/// A core that a worker has.
#[derive(Debug)]
pub struct Core<'a> {
    share: &'a Share,
    since: Instant,
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        self.share.give_back(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use proptest::prelude::*;

    use super::*;

    fn waiter(pipeline: usize) -> Waiter {
        Waiter {
            pipeline,
            bell: Arc::default(),
        }
    }

    /// How often each pipeline gets a core, when all always want one, and each keeps it for its own time.
    fn served(weights: &[f64], times: &[f64], turns: usize) -> Vec<f64> {
        let mut state = State {
            free: 0,
            had: vec![0.0; weights.len()],
            level: 0.0,
            waiting: (1..weights.len()).map(waiter).collect(),
        };
        let (mut at, mut got) = (0, vec![0.0; weights.len()]);
        for _ in 0..turns {
            got[at] += times[at];
            state.waiting.push_back(waiter(at));
            at = state
                .given_back(at, times[at] / weights[at])
                .expect("all wait")
                .pipeline;
        }
        got
    }

    proptest! {
        /// Whatever each does with a core, all get their share of the time, and nobody is left out.
        #[test]
        fn time_is_shared_by_weight(pipelines in prop::collection::vec((1u8..6, 1u8..20), 2..8)) {
            let weights: Vec<f64> = pipelines.iter().map(|(weight, _)| f64::from(*weight)).collect();
            let times: Vec<f64> = pipelines.iter().map(|(_, time)| f64::from(*time)).collect();
            let got = served(&weights, &times, 20_000);
            let all: f64 = got.iter().sum::<f64>() / weights.iter().sum::<f64>();
            for (got, weight) in got.iter().zip(&weights) {
                prop_assert!((got / weight / all - 1.0).abs() < 0.05, "{got} of {all} for {weight}");
            }
        }
    }

    #[test]
    fn who_was_idle_has_no_claim_from_that_time() {
        let mut state = State {
            free: 0,
            had: vec![0.0; 3],
            level: 0.0,
            waiting: VecDeque::from([waiter(1)]),
        };
        let mut at = 0;
        for _ in 0..1000 {
            state.waiting.push_back(waiter(at));
            at = state.given_back(at, 1.0).expect("one waits").pipeline;
        }
        // The third comes late: it gets one in three from now on, not all until it has caught up.
        state.waiting.push_back(waiter(2));
        let mut third = 0;
        for _ in 0..300 {
            state.waiting.push_back(waiter(at));
            at = state.given_back(at, 1.0).expect("two wait").pipeline;
            third += usize::from(at == 2);
        }
        assert!((95..=105).contains(&third), "{third}");
    }

    #[test]
    fn who_does_not_wait_gets_a_core_where_one_is_free() {
        let cores = Cores::new(1);
        let share = cores.share(1);
        let core = share.try_take().expect("it is free");
        assert!(share.try_take().is_none());
        drop(core);
        assert!(share.try_take().is_some());
    }

    #[test]
    fn no_more_workers_than_cores_work_at_once() {
        let cores = Cores::new(2);
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for weight in 1..6 {
                let share = cores.share(weight);
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    for _ in 0..50 {
                        let core = share.take();
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_micros(100));
                        now.fetch_sub(1, Ordering::SeqCst);
                        drop(core);
                    }
                });
            }
        });
        assert_eq!(most.into_inner(), 2);
        assert_eq!(cores.lock().free, 2, "all are given back");
    }
}
