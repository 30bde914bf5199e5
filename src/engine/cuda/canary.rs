//! Whether a GPU computes: a kernel whose answer is known, run every few seconds on a stream of its own.
//!
//! A model that hangs on the device cannot be broken off, and a device that is lost tells only whoever calls it. So someone
//! must call it while no batch does, and be waited for by nobody.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    device::{Argument, Caching, CudaError, Launch, Memory, Pinned, Stream},
    gpu::Gpu,
};

/// From one run to the next.
const EVERY: Duration = Duration::from_secs(5);
/// A kernel of a model may take its time, and the canary waits behind it; longer than this nothing should.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a run that is under way is waited for when nobody watches any more. The driver must not be called while the process
/// ends, and a device that hangs must not keep the process.
const GRACE: Duration = Duration::from_secs(2);
/// Numbers that it writes: a few blocks.
const COUNT: u32 = 4096;
const BYTES: usize = COUNT as usize * 4;

/// Watches a GPU as long as it is kept.
#[derive(Debug)]
pub struct Canary {
    device: usize,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What is wrong with a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A run has not come back.
    Silent(String),
    /// A run failed, or gave something else.
    Failed(String),
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// When the run that is under way began.
    since: Option<Instant>,
    failed: Option<String>,
    /// Nobody watches any more.
    ended: bool,
    /// The driver is not called any more.
    gone: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Canary {
    /// Watches the GPU of this number from now on. What cannot be started is told by [`Canary::trouble`].
    pub fn start(device: usize) -> Self {
        let shared = Arc::<Shared>::default();
        let watch = Arc::clone(&shared);
        let started = thread::Builder::new()
            .name(format!("canary-{device}"))
            .spawn(move || {
                run_often(device, &watch);
                watch.state().gone = true;
                watch.changed.notify_all();
            });
        let thread = started.map_err(|error| {
            shared.state().failed = Some(format!("no thread can be started: {error}"));
        });
        Self {
            device,
            shared,
            thread: thread.ok(),
        }
    }

    /// What is wrong with the device; `None` where it computes, as far as is known.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble_at(Instant::now())
    }

    fn trouble_at(&self, now: Instant) -> Option<Trouble> {
        let state = self.shared.state();
        let device = self.device;
        if let Some(why) = &state.failed {
            return Some(Trouble::Failed(format!(
                "cuda:{device} does not compute: {why}"
            )));
        }
        let waited = now.saturating_duration_since(state.since?);
        (waited > PATIENCE).then(|| {
            let seconds = waited.as_secs();
            Trouble::Silent(format!("cuda:{device} has not answered for {seconds} s"))
        })
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        self.shared.changed.notify_all();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, GRACE, |state| !state.gone);
        let gone = waited.unwrap_or_else(PoisonError::into_inner).0.gone;
        // It has nothing left to do, or hangs in the driver.
        if gone && thread.join().is_err() {
            tracing::error!(
                "the thread that looks after cuda:{} panicked; this is a bug in forebay",
                self.device
            );
        }
    }
}

fn run_often(device: usize, shared: &Shared) {
    let mut cage = None;
    let mut seed = 1_u32;
    loop {
        shared.state().since = Some(Instant::now());
        let ran = match &mut cage {
            Some(cage) => Ok(cage),
            none => Cage::new(device).map(|made| none.insert(made)),
        }
        .and_then(|cage| cage.run(seed));
        let failed = match ran {
            Ok(true) => None,
            Ok(false) => Some("a kernel with a known answer gave another".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        seed = seed.wrapping_mul(747_796_405).wrapping_add(1);
        let mut state = shared.state();
        state.since = None;
        state.failed = failed;
        let until = Instant::now() + EVERY;
        while !state.ended {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.ended {
            return;
        }
    }
}

/// What a run needs, made once.
struct Cage {
    gpu: Arc<Gpu>,
    stream: Stream,
    memory: Memory,
    host: Pinned,
}

impl Cage {
    fn new(device: usize) -> Result<Self, CudaError> {
        let gpu = Gpu::open(device)?;
        Ok(Self {
            stream: gpu.stream()?,
            memory: gpu.memory(BYTES)?,
            host: gpu.pinned(BYTES, Caching::Cached)?,
            gpu,
        })
    }

    /// Whether the kernel writes what it should; another seed is another answer.
    fn run(&mut self, seed: u32) -> Result<bool, CudaError> {
        // `CanaryArgs`: an address, the count and the seed.
        let mut params = vec![0; 8];
        params.extend(COUNT.to_le_bytes());
        params.extend(seed.to_le_bytes());
        let function = self.gpu.function("canary")?;
        self.stream.launch(&Launch {
            function: &function,
            grid: [4, 1, 1],
            block: [256, 1, 1],
            shared: 0,
            params: &params,
            arguments: &[Argument {
                at: 0,
                memory: &self.memory,
                offset: 0,
            }],
        })?;
        self.stream
            .copy_down(&self.memory, 0..BYTES, &self.host, 0)?;
        self.stream.synchronize()?;
        let bytes = self.host.read()?;
        let (cells, _) = bytes.as_chunks();
        let right = |(at, cell): (u32, &[u8; 4])| {
            u32::from_le_bytes(*cell) == at.wrapping_mul(2_654_435_761) ^ seed
        };
        Ok((0..).zip(cells).all(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_does_not_come_back_is_told() {
        let shared = Arc::<Shared>::default();
        let begun = Instant::now();
        shared.state().since = Some(begun);
        let canary = Canary {
            device: 1,
            shared,
            thread: None,
        };
        assert_eq!(canary.trouble_at(begun + PATIENCE), None);
        assert_eq!(
            canary.trouble_at(begun + Duration::from_secs(20)),
            Some(Trouble::Silent(
                "cuda:1 has not answered for 20 s".to_owned()
            ))
        );
    }

    #[test]
    fn a_device_that_is_not_there_is_told() {
        let canary = Canary::start(7);
        let mut waited = 0;
        let trouble = loop {
            match canary.trouble() {
                Some(trouble) => break trouble,
                None if waited < 1000 => thread::sleep(Duration::from_millis(10)),
                None => panic!("nothing is told"),
            }
            waited += 1;
        };
        let Trouble::Failed(why) = trouble else {
            panic!("{trouble:?}")
        };
        assert!(why.starts_with("cuda:7 does not compute: "), "{why}");
    }
}
