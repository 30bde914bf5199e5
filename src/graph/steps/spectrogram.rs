//! `spectrogram`: sound as strength by pitch and time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::graph::{
    GraphBuilder, Value,
    sound::{self, Scale, Window},
};

/// A power spectrogram of a row's samples, `|STFT|^2`, with `mel` a mel spectrogram, with `log` its logarithm: librosa's
/// `stft`, `melspectrogram` and `power_to_db`, under librosa's names. `[samples]` become `[n_fft / 2 + 1, frames]`, or `[n_mels, frames]`;
/// there is a frame for every `hop_length` samples. Equal to librosa within 1e-5 of the largest value. Whole
/// numbers become `f32`, unscaled. Example: `{ n_fft: 4, hop_length: 4, center: false, window: ones }` makes 1, 0, -1, 0 into [[0], [4], [0]].
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spectrogram {
    /// Samples in a frame, 2 to 4096.
    pub n_fft: usize,
    /// Samples from one frame to the next; a quarter of `win_length` where left out.
    pub hop_length: Option<usize>,
    /// Samples under the window, which lies in the middle of the frame; `n_fft` where left out.
    pub win_length: Option<usize>,
    /// How a frame fades in and out: `hann`, `hamming` or `ones`.
    #[serde(default)]
    pub window: Window,
    /// Whether `n_fft / 2` samples are put before and behind, so that the first frame has its middle on the first sample; true where left out.
    pub center: Option<bool>,
    /// What `center` puts there: `constant` (zeros, as librosa) or `reflect` (as torchaudio).
    #[serde(default)]
    pub pad_mode: Pad,
    /// 2 for power, 1 for magnitude; 2 where left out.
    pub power: Option<u8>,
    /// Bands of equal pitch in place of bins of equal width.
    pub mel: Option<Mel>,
    /// The logarithm: `db` is `10 log10(x)` (`20 log10(x)` with `power: 1`), `ln` and `log10` are what they say.
    pub log: Option<Log>,
    /// The smallest value that `log` is taken of, smaller ones count as this; 1e-10 where left out.
    pub amin: Option<f64>,
    /// With `log`: what is more than this below the row's highest value is raised to that; as it is where left out.
    pub top_db: Option<f64>,
}

/// What stands before and behind the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pad {
    /// Zeros.
    #[default]
    Constant,
    /// The samples mirrored, without the first and the last themselves.
    Reflect,
}

/// A logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Decibels.
    Db,
    /// The natural logarithm.
    Ln,
    /// The logarithm to base 10.
    Log10,
}

/// Bands of equal pitch: librosa's `filters.mel`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mel {
    /// Samples in a second.
    pub sample_rate: f64,
    /// How many bands there are.
    pub n_mels: usize,
    /// Where the lowest band starts, in Hz; 0 where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fmin: Option<f64>,
    /// Where the highest band ends, in Hz; half of `sample_rate` where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fmax: Option<f64>,
    /// Whether pitch is measured as in HTK (torchaudio's default) and not as in Slaney's toolbox (librosa's default); false where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub htk: Option<bool>,
    /// `slaney` makes the areas of all bands the same (librosa's default), `none` their heights (torchaudio's default).
    #[serde(default)]
    pub norm: Norm,
}

/// What is the same for all bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// Their areas.
    #[default]
    Slaney,
    /// Their heights.
    None,
}

/// What `n_fft`, `hop_length` and the input come to.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    frame: usize,
    hop: usize,
    window: usize,
    /// Samples before and behind.
    edge: usize,
    frames: usize,
}

impl Sizes {
    fn bins(self) -> usize {
        self.frame / 2 + 1
    }
}

impl TensorStep for Spectrogram {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        let sizes = self.sizes(value)?;
        let power = self.power()?;
        let filters = (self.mel.as_ref())
            .map(|mel| mel.filters(sizes.frame))
            .transpose()?;
        let value = graph.float(value);
        let parts = self.parts(graph, &value, sizes);
        let squares = graph.with_constant("Mul", &parts, &parts.name);
        let bins = sizes.bins();
        let spectrum = match filters {
            // Real and imaginary squares go through the filters side by side, which adds them up.
            Some(filters) if power == 2 => banded(graph, &squares, &filters, 2),
            filters => {
                let pairs = graph.reshape(&squares, &[sizes.frames, 2, bins]);
                let mut spectrum = graph.reduce("ReduceSum", &pairs, &[1], false);
                if power == 1 {
                    spectrum = graph.map("Sqrt", &spectrum, Vec::new());
                }
                match filters {
                    Some(filters) => banded(graph, &spectrum, &filters, 1),
                    None => spectrum,
                }
            }
        };
        let spectrum = graph.transpose(&spectrum, &[1, 0]);
        Ok(Output::only(self.logarithm(graph, &spectrum, power)?))
    }
}

impl Spectrogram {
    fn sizes(&self, value: &Value) -> Result<Sizes, Fault> {
        let [samples] = *value.shape else {
            return Err(Fault::input(format!(
                "takes a list of samples, and is fed with rows of shape {:?}",
                value.shape
            )));
        };
        let frame = self.n_fft;
        if !(2..=4096).contains(&frame) {
            return Err(
                Fault::key("n_fft", format!("is {frame}")).help("write a number from 2 to 4096")
            );
        }
        let window = self.win_length.unwrap_or(frame);
        if window == 0 || window > frame {
            return Err(Fault::key("win_length", format!("is {window}"))
                .help(format!("write a number from 1 to `n_fft`, {frame}")));
        }
        let hop = self.hop_length.unwrap_or(window / 4);
        if hop == 0 && self.hop_length.is_none() {
            let (key, given) = match self.win_length {
                Some(_) => ("win_length", window),
                None => ("n_fft", frame),
            };
            return Err(Fault::key(
                key,
                format!("is {given}, too short for `hop_length` to be a quarter of it"),
            )
            .help("write a `hop_length` of 1 or more"));
        }
        if hop == 0 {
            return Err(Fault::key("hop_length", "is 0").help("write a number from 1 on"));
        }
        let edge = if self.center == Some(false) {
            0
        } else {
            frame / 2
        };
        if self.pad_mode == Pad::Reflect && edge >= samples.max(1) {
            return Err(Fault::key(
                "pad_mode",
                format!(
                    "is `reflect`, which needs more than {edge} samples, and there are {samples}"
                ),
            )
            .help("write `pad_mode: constant`, or a smaller `n_fft`"));
        }
        let Some(rest) = (samples + 2 * edge).checked_sub(frame) else {
            return Err(Fault::key(
                "n_fft",
                format!("is {frame}, and there are only {samples} samples"),
            )
            .help("write a smaller one, or `center: true`"));
        };
        let frames = 1 + rest / hop;
        Ok(Sizes {
            frame,
            hop,
            window,
            edge,
            frames,
        })
    }

    fn power(&self) -> Result<u8, Fault> {
        match self.power {
            None | Some(2) => Ok(2),
            Some(1) => Ok(1),
            Some(other) => Err(Fault::key("power", format!("is {other}"))
                .help("write 2 for power, 1 for magnitude")),
        }
    }

    /// `[frames, 2 * bins]`: real parts, then imaginary ones.
    fn parts(&self, graph: &mut GraphBuilder, value: &Value, sizes: Sizes) -> Value {
        let Sizes {
            frame, hop, frames, ..
        } = sizes;
        let fill = match self.pad_mode {
            Pad::Constant => Some(0.0),
            Pad::Reflect => None,
        };
        let padded = graph.pad(value, &[sizes.edge], &[sizes.edge], fill);
        // Frames are put together from pieces that all of them share, as long as can be.
        let piece = common_divisor(frame, hop);
        let used = (frames - 1) * hop + frame;
        let used = graph.crop(&padded, &[0], &[0], &[used]);
        let pieces = graph.reshape(&used, &[used.width() / piece, piece]);
        let each = frame / piece;
        let indices: Vec<usize> = (0..frames)
            .flat_map(|at| (0..each).map(move |part| at * hop / piece + part))
            .collect();
        let framed = graph.pick(&pieces, 0, &[frames, each], &indices);
        let framed = graph.reshape(&framed, &[frames, frame]);
        let matrix = sound::fourier(&self.window.values(sizes.window, frame));
        let columns = 2 * sizes.bins();
        let matrix = graph.numbers(value.dtype, &[frame, columns], &matrix);
        let name = graph.node("MatMul", &[&framed.name, &matrix], Vec::new());
        Value::new(name, value.dtype, vec![frames, columns])
    }

    fn logarithm(
        &self,
        graph: &mut GraphBuilder,
        value: &Value,
        power: u8,
    ) -> Result<Value, Fault> {
        let Some(log) = self.log else {
            return match (self.amin, self.top_db) {
                (None, None) => Ok(value.clone()),
                (Some(_), _) => {
                    Err(Fault::key("amin", "is given, and `log` is not")
                        .help("write `log: db`, say"))
                }
                (_, Some(_)) => {
                    Err(Fault::key("top_db", "is given, and `log` is not")
                        .help("write `log: db`, say"))
                }
            };
        };
        let amin = self.amin.unwrap_or(1e-10);
        // Below this, f32 has no full numbers.
        if !amin.is_finite() || amin < 1e-37 {
            return Err(
                Fault::key("amin", format!("is {amin}")).help("write a number of 1e-37 or more")
            );
        }
        let least = graph.number(value.dtype, amin);
        let value = graph.with_constant("Max", value, &least);
        let mut value = graph.map("Log", &value, Vec::new());
        let factor = match log {
            Log::Ln => 1.0,
            Log::Log10 => std::f64::consts::LOG10_E,
            Log::Db => 20.0 / f64::from(power) * std::f64::consts::LOG10_E,
        };
        if log != Log::Ln {
            let factor = graph.number(value.dtype, factor);
            value = graph.with_constant("Mul", &value, &factor);
        }
        if let Some(range) = self.top_db {
            if !range.is_finite() || range < 0.0 {
                return Err(
                    Fault::key("top_db", format!("is {range}")).help("write a number of 0 or more")
                );
            }
            let highest = graph.reduce("ReduceMax", &value, &[0, 1], true);
            let range = graph.number(value.dtype, range);
            let lowest = graph.with_constant("Sub", &highest, &range);
            value = graph.with_constant("Max", &value, &lowest.name);
        }
        Ok(value)
    }
}

impl Mel {
    /// `[n_mels, bins]` for frames of this length.
    fn filters(&self, frame: usize) -> Result<Vec<f64>, Fault> {
        if !self.sample_rate.is_finite() || self.sample_rate <= 0.0 {
            let what = format!("has the `sample_rate` {}", self.sample_rate);
            return Err(Fault::key("mel", what).help("write the samples in a second, 16000 say"));
        }
        if !(1..=1024).contains(&self.n_mels) {
            let what = format!("has the number of bands `n_mels` {}", self.n_mels);
            return Err(
                Fault::key("mel", what).help("write a number from 1 to 1024; 40 to 128 is usual")
            );
        }
        let half = self.sample_rate / 2.0;
        let (low, high) = (self.fmin.unwrap_or(0.0), self.fmax.unwrap_or(half));
        if !(0.0 <= low && low < high && high <= half) {
            let what = format!("goes from `fmin` {low} Hz to `fmax` {high} Hz");
            return Err(Fault::key("mel", what).help(format!(
                "`fmin` is 0 or more, `fmax` above it and at most {half}, half of `sample_rate`"
            )));
        }
        let scale = if self.htk == Some(true) {
            Scale::Htk
        } else {
            Scale::Slaney
        };
        let even = self.norm == Norm::Slaney;
        Ok(sound::mel_filters(
            scale,
            even,
            self.n_mels,
            frame,
            self.sample_rate,
            [low, high],
        ))
    }
}

/// `[frames, times * bins]` through filters `[count, bins]`, which stand side by side `times` times.
fn banded(graph: &mut GraphBuilder, value: &Value, filters: &[f64], times: usize) -> Value {
    let [frames, width] = *value.shape else {
        return value.clone();
    };
    let bins = width / times;
    let count = filters.len() / bins;
    let columns: Vec<f64> = (0..width)
        .flat_map(|bin| filters.iter().skip(bin % bins).step_by(bins).copied())
        .collect();
    let matrix = graph.numbers(value.dtype, &[width, count], &columns);
    let name = graph.node("MatMul", &[&value.name, &matrix], Vec::new());
    Value::new(name, value.dtype, vec![frames, count])
}

fn common_divisor(left: usize, right: usize) -> usize {
    if right == 0 {
        left
    } else {
        common_divisor(right, left % right)
    }
}
