//! Equal to libsndfile and numpy (`tests/data/audio/make.py`), and every fault as a sentence.

mod equal;
mod faults;

use super::*;

const FRAMES: usize = 200;
const RATE: u32 = 8_000;

fn bytes(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audio");
    std::fs::read(format!("{folder}/{name}")).expect("readable")
}

fn step(change: impl FnOnce(&mut AudioOptions)) -> AudioStep {
    let mut options = AudioOptions::new(RATE, FRAMES);
    change(&mut options);
    AudioStep::new(options).expect("good options")
}

fn samples(step: &AudioStep, bytes: &[u8]) -> Vec<f32> {
    let mut out = Vec::new();
    step.run(bytes, &mut out).expect("good samples");
    out
}
