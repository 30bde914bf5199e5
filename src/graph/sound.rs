//! Constants for spectra of sound: windows, the Fourier transform as a matrix, mel filters.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::Deserialize;

/// How a frame fades in and out. All are periodic (the first value does not come again at the end), as librosa,
/// PyTorch and scipy's `get_window` have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// `0.5 - 0.5 cos(2 pi n / N)`.
    #[default]
    Hann,
    /// `0.54 - 0.46 cos(2 pi n / N)`.
    Hamming,
    /// 1 everywhere.
    Ones,
}

impl Window {
    /// The window of this length, in the middle of a frame.
    pub fn values(self, length: usize, frame: usize) -> Vec<f64> {
        let before = (frame - length) / 2;
        let mut values = vec![0.0; frame];
        for (n, value) in values.iter_mut().skip(before).take(length).enumerate() {
            let turn = (2.0 * PI * n as f64 / length as f64).cos();
            *value = match self {
                Self::Hann => 0.5 - 0.5 * turn,
                Self::Hamming => 0.54 - 0.46 * turn,
                Self::Ones => 1.0,
            };
        }
        values
    }
}

/// The Fourier transform of a frame under a window, as a matrix `[frame, 2 * bins]`, bins = frame / 2 + 1: the real
/// parts of all bins, then the imaginary ones.
pub fn fourier(window: &[f64]) -> Vec<f64> {
    let frame = window.len();
    let bins = frame / 2 + 1;
    let mut matrix = Vec::with_capacity(frame * 2 * bins);
    for (n, weight) in window.iter().enumerate() {
        // The angle as a whole number of n-ths of a turn: exact for any product.
        let angle = |bin: usize| 2.0 * PI * ((bin * n) % frame) as f64 / frame as f64;
        matrix.extend((0..bins).map(|bin| weight * angle(bin).cos()));
        matrix.extend((0..bins).map(|bin| -weight * angle(bin).sin()));
    }
    matrix
}

/// Which scale of pitch is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Slaney's Auditory Toolbox: linear up to 1000 Hz, logarithmic above.
    Slaney,
    /// `2595 log10(1 + f / 700)`, as HTK has it.
    Htk,
}

/// Slaney's scale: Hz of a mel below the knee, the knee in Hz, and the logarithm of a step above it.
const LINEAR: f64 = 200.0 / 3.0;
const KNEE: f64 = 1000.0;

fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

impl Scale {
    fn mel(self, hz: f64) -> f64 {
        match self {
            Self::Htk => 2595.0 * (1.0 + hz / 700.0).log10(),
            Self::Slaney if hz < KNEE => hz / LINEAR,
            Self::Slaney => KNEE / LINEAR + (hz / KNEE).ln() / log_step(),
        }
    }

    fn hz(self, mel: f64) -> f64 {
        match self {
            Self::Htk => 700.0 * (10_f64.powf(mel / 2595.0) - 1.0),
            Self::Slaney if mel < KNEE / LINEAR => mel * LINEAR,
            Self::Slaney => KNEE * (log_step() * (mel - KNEE / LINEAR)).exp(),
        }
    }
}

/// Triangles over the bins of a frame's spectrum, as a matrix `[count, bins]`, bins = frame / 2 + 1: each rises from the middle of the one before it to its own and falls
/// to that of the next, at equal steps of `scale` from `low` to `high` Hz. With `even`, all have the same area (Slaney's norm).
pub fn mel_filters(
    scale: Scale,
    even: bool,
    count: usize,
    frame: usize,
    sample_rate: f64,
    [low, high]: [f64; 2],
) -> Vec<f64> {
    let bins = frame / 2 + 1;
    let (from, to) = (scale.mel(low), scale.mel(high));
    let middle =
        |index: usize| scale.hz(from + (to - from) * index as f64 / (count + 1) as f64);
    let frequency = |bin: usize| sample_rate * bin as f64 / frame as f64;
    let mut matrix = Vec::with_capacity(count * bins);
    for index in 0..count {
        let [left, peak, right] = [index, index + 1, index + 2].map(middle);
        let height = if even { 2.0 / (right - left) } else { 1.0 };
        matrix.extend((0..bins).map(|bin| {
            let hz = frequency(bin);
            let rising = (hz - left) / (peak - left);
            let falling = (right - hz) / (right - peak);
            height * rising.min(falling).max(0.0)
        }));
    }
    matrix
}
