//! Constants for spectra of sound: windows, the Fourier transform as a matrix, mel filters.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a frame fades in and out. All are periodic (the first value does not come again at the end), as librosa,
/// PyTorch and scipy's `get_window` have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
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
    let middle = |index: usize| scale.hz(from + (to - from) * index as f64 / (count + 1) as f64);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pitch_goes_there_and_back(hz in 0.0_f64..24_000.0) {
            for scale in [Scale::Slaney, Scale::Htk] {
                prop_assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-6);
            }
        }

        #[test]
        fn a_window_lies_in_the_middle(frame in 1_usize..600, shorter in 0_usize..600) {
            let length = frame - shorter.min(frame - 1);
            let values = Window::Ones.values(length, frame);
            prop_assert_eq!(values.len(), frame);
            prop_assert_eq!(values.iter().filter(|value| **value != 0.0).count(), length);
            let before = values.iter().take_while(|value| **value == 0.0).count();
            prop_assert_eq!(before, (frame - length) / 2);
        }

        #[test]
        fn energy_stays_the_same(samples in prop::collection::vec(-1.0_f64..1.0, 2..40)) {
            // Parseval's theorem: bins but the first, and the last of an even frame, stand for two each.
            let frame = samples.len();
            let (bins, matrix) = (frame / 2 + 1, fourier(&vec![1.0; frame]));
            let part = |column: usize| -> f64 {
                samples.iter().enumerate().map(|(n, sample)| sample * matrix[n * 2 * bins + column]).sum()
            };
            let energy: f64 = (0..bins)
                .map(|bin| {
                    let single = bin == 0 || 2 * bin == frame;
                    let power = part(bin).powi(2) + part(bins + bin).powi(2);
                    if single { power } else { 2.0 * power }
                })
                .sum();
            let expected = samples.iter().map(|sample| sample * sample).sum::<f64>() * frame as f64;
            prop_assert!((energy - expected).abs() < 1e-9 * (1.0 + expected));
        }
    }
}
