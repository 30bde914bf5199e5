//! WAV files and raw samples into a fixed number of f32 samples of one channel.

mod fault;
mod options;
mod wav;

pub use fault::{AudioFault, OptionFault};
pub use options::{AudioOptions, Channel, Format, Long, Loud, Short};

/// How one sample is written, the low byte first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    U8,
    S16,
    S24,
    S32,
    F32,
}

impl Encoding {
    /// Bytes of one sample of one channel.
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::S16 => 2,
            Self::S24 => 3,
            Self::S32 | Self::F32 => 4,
        }
    }
}

/// Samples of all channels, side by side.
#[derive(Debug, Clone, Copy)]
struct Samples<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    /// Never 0.
    channels: u16,
}

/// Turns bytes into samples. It has no memory of its own, so threads may share it.
#[derive(Debug, Clone)]
pub struct AudioStep {
    options: AudioOptions,
}

impl AudioStep {
    /// A step that does what the options say.
    pub fn new(options: AudioOptions) -> Result<Self, OptionFault> {
        options.check()?;
        Ok(Self { options })
    }

    /// Samples in a row.
    pub fn samples(&self) -> usize {
        self.options.samples
    }

    /// Appends one row of [`Self::samples`] samples to `out` and gives how many of them came from
    /// `bytes`; the rest is silence. On a fault nothing is appended.
    pub fn run(&self, bytes: &[u8], out: &mut Vec<f32>) -> Result<usize, AudioFault> {
        let samples = self.find(bytes)?;
        let frame = samples.encoding.bytes() * usize::from(samples.channels);
        let (found, wanted) = (samples.bytes.len() / frame, self.options.samples);
        if samples.bytes.len() % frame != 0 {
            let bytes = samples.bytes.len();
            return Err(AudioFault::Ragged { bytes, frame });
        }
        if found == 0 {
            return Err(AudioFault::Empty);
        }
        if found < wanted && self.options.short == Short::Reject {
            return Err(AudioFault::Short { found, wanted });
        }
        if found > wanted && self.options.long == Long::Reject {
            return Err(AudioFault::Long { found, wanted });
        }
        let used = found.min(wanted);
        let start = out.len();
        out.reserve(wanted);
        let bytes = samples.bytes.get(..used * frame).unwrap_or(samples.bytes);
        self.append(Samples { bytes, ..samples }, out);
        if samples.encoding == Encoding::F32
            && let Err(fault) = self.bound(out.get_mut(start..).unwrap_or_default())
        {
            out.truncate(start);
            return Err(fault);
        }
        out.resize(start + wanted, 0.0);
        Ok(used)
    }

    /// The samples in `bytes`, of a rate and of channels that the options allow.
    fn find<'a>(&self, bytes: &'a [u8]) -> Result<Samples<'a>, AudioFault> {
        let channels = self.options.channels.unwrap_or(1);
        let raw = |encoding| Samples {
            bytes,
            encoding,
            channels,
        };
        let samples = match self.options.format {
            Format::S16le => return Ok(raw(Encoding::S16)),
            Format::F32le => return Ok(raw(Encoding::F32)),
            Format::Wav => {
                let (samples, found) = wav::read(bytes)?;
                let wanted = self.options.sample_rate;
                if found != wanted {
                    return Err(AudioFault::Rate { found, wanted });
                }
                samples
            }
        };
        let found = samples.channels;
        match self.options.channel {
            Channel::Only if found > 1 => Err(AudioFault::Channels(found)),
            Channel::Index(wanted) if wanted >= found => {
                Err(AudioFault::NoChannel { found, wanted })
            }
            _ => Ok(samples),
        }
    }

    fn append(&self, samples: Samples<'_>, out: &mut Vec<f32>) {
        match samples.encoding {
            Encoding::U8 => self.take(samples, out, |[byte]: [u8; 1]| {
                (f32::from(byte) - 128.0) / 128.0
            }),
            Encoding::S16 => self.take(samples, out, |two: [u8; 2]| {
                f32::from(i16::from_le_bytes(two)) / 32_768.0
            }),
            Encoding::S24 => self.take(samples, out, |[low, middle, high]: [u8; 3]| {
                // In the upper bytes of 32 bits: the sign is right, and all 24 bits fit in a float.
                i32::from_le_bytes([0, low, middle, high]) as f32 / 2_147_483_648.0
            }),
            Encoding::S32 => self.take(samples, out, |four: [u8; 4]| {
                i32::from_le_bytes(four) as f32 / 2_147_483_648.0
            }),
            Encoding::F32 => self.take(samples, out, f32::from_le_bytes),
        }
    }

    /// One channel, each sample of `SIZE` bytes.
    fn take<const SIZE: usize>(
        &self,
        samples: Samples<'_>,
        out: &mut Vec<f32>,
        value: impl Fn([u8; SIZE]) -> f32,
    ) {
        let (each, _) = samples.bytes.as_chunks::<SIZE>();
        let channels = usize::from(samples.channels);
        let each = each.iter().copied();
        match self.options.channel {
            Channel::Index(index) => {
                let index = usize::from(index);
                out.extend(each.skip(index).step_by(channels).map(value));
            }
            Channel::Mean if channels > 1 => {
                let (all, _) = samples.bytes.as_chunks::<SIZE>();
                let one = |sample: &[u8; SIZE]| f64::from(value(*sample));
                let frames = all.chunks_exact(channels);
                out.extend(frames.map(|frame| mean(frame.iter().map(one).sum(), channels)));
            }
            Channel::Only | Channel::Mean => out.extend(each.map(value)),
        }
    }

    /// Keeps floats within -1 to 1, as the options say.
    fn bound(&self, samples: &mut [f32]) -> Result<(), AudioFault> {
        let outside =
            |(at, value): (usize, &f32)| (!(-1.0..=1.0).contains(value)).then_some((at, *value));
        let first = samples.iter().enumerate().find_map(outside);
        let Some((at, value)) = first else {
            return Ok(());
        };
        if self.options.loud == Loud::Reject && value.is_finite() {
            return Err(AudioFault::Loud { at, value });
        }
        let odd = samples.iter().position(|value| !value.is_finite());
        if let Some((at, value)) = odd.and_then(|at| Some((at, *samples.get(at)?))) {
            return Err(AudioFault::NotFinite { at, value });
        }
        for sample in samples {
            *sample = sample.clamp(-1.0, 1.0);
        }
        Ok(())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the sum is exact enough that the float next to the mean is the right one"
)]
fn mean(sum: f64, of: usize) -> f32 {
    (sum / of as f64) as f32
}

#[cfg(test)]
mod tests;
