//! What copies between the host and a GPU can do at most: pinned memory, large pieces, one direction at a time and both.

use std::fmt;

use forebay::engine::cuda::device::{Caching, CudaError, Device, Priority};
use serde_json::{Value, json};

const BYTES: usize = 64 << 20;
const TIMES: usize = 20;

/// GB/s.
pub(crate) struct Copies {
    up: f64,
    down: f64,
    /// Of each, at once.
    both: f64,
}

impl Copies {
    pub(crate) fn json(&self) -> Value {
        json!({ "up_gb_s": self.up, "down_gb_s": self.down, "both_gb_s": self.both })
    }
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { up, down, both } = self;
        write!(
            f,
            "{up:.1} GB/s up, {down:.1} GB/s down, {both:.1} GB/s each way at once"
        )
    }
}

pub(crate) fn measure(number: usize) -> Copies {
    try_measure(number).unwrap_or_else(|error| panic!("{error}"))
}

fn try_measure(number: usize) -> Result<Copies, CudaError> {
    let device = Device::open(number)?;
    let (up, down) = (
        device.stream(Priority::Normal)?,
        device.stream(Priority::Normal)?,
    );
    let source = device.pinned(BYTES, Caching::WriteCombined)?;
    let target = device.pinned(BYTES, Caching::Cached)?;
    let (to, from) = (device.memory(BYTES)?, device.memory(BYTES)?);
    down.fill(&from, 0..BYTES, 1)?;
    down.synchronize()?;
    let timed = |ups: bool, downs: bool| -> Result<f64, CudaError> {
        // Once to warm up, then for good.
        let mut seconds = 0.0;
        for times in [2, TIMES] {
            let started = std::time::Instant::now();
            for _ in 0..times {
                if ups {
                    up.copy_up(&source, 0..BYTES, &to, 0)?;
                }
                if downs {
                    down.copy_down(&from, 0..BYTES, &target, 0)?;
                }
            }
            up.synchronize()?;
            down.synchronize()?;
            seconds = started.elapsed().as_secs_f64() / times as f64;
        }
        Ok(BYTES as f64 / seconds / 1e9)
    };
    Ok(Copies {
        up: timed(true, false)?,
        down: timed(false, true)?,
        both: timed(true, true)?,
    })
}
