//! What can be wrong with the options of an audio step, or with a value.

use super::options::CHANNELS_MAX;

/// Why an audio step cannot be made. The operator must mend it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionFault {
    /// No rate.
    #[error("sample_rate is 0; set it to the rate that the model was trained on, often 16000")]
    Rate,
    /// No samples, or more than a row can have.
    #[error("samples is {0}; it must be from 1 to {1}")]
    Samples(usize, usize),
    /// Channels of a WAV file are in the file.
    #[error("channels is for raw samples; a WAV file says itself how many it has, so leave it out")]
    WavChannels,
    /// No channels, or too many.
    #[error("channels is {0}; it must be from 1 to {CHANNELS_MAX}")]
    Channels(u16),
    /// Several channels and no word which to take.
    #[error(
        "channels is {0}, so channel must say which is taken: `mean`, or a number from 0 to {last}",
        last = .0 - 1
    )]
    Only(u16),
    /// A channel that is not there.
    #[error(
        "channel is {0}, but channels is {1}; it must be a number from 0 to {last}",
        last = .1 - 1
    )]
    Index(u16, u16),
}

/// Why a value has no samples. The sender must mend it.
#[derive(Debug, thiserror::Error, Clone, PartialEq)]
pub enum AudioFault {
    /// Not a WAV file, with what it is instead where that is known.
    #[error("the value is no WAV file{0}; send a WAV file of PCM or 32-bit float samples")]
    NotWav(&'static str),
    /// The file ends before its header says.
    #[error("the WAV file is cut short: {what} should have {wanted} bytes, {found} are there")]
    Truncated {
        /// The part of the file.
        what: String,
        /// Bytes by its header.
        wanted: u64,
        /// Bytes that follow.
        found: u64,
    },
    /// Written to a pipe.
    #[error(
        "the WAV file does not say how long it is, as when it was written to a pipe; write it to \
         a file first, or send raw samples"
    )]
    Endless,
    /// A header that contradicts itself.
    #[error("the WAV file's header is damaged: {0}")]
    Header(String),
    /// Another kind of samples.
    #[error(
        "the WAV file has {0} samples; send 8-, 16-, 24- or 32-bit integers or 32-bit floats \
         (ffmpeg: -c:a pcm_s16le)"
    )]
    Encoding(String),
    /// Another rate.
    #[error(
        "the WAV file has {found} samples for each second, the model takes {wanted}; convert it \
         before it is sent (ffmpeg: -ar {wanted}; sox: rate {wanted})"
    )]
    Rate {
        /// The file's rate.
        found: u32,
        /// The model's rate.
        wanted: u32,
    },
    /// Several channels and no word which to take.
    #[error(
        "the WAV file has {0} channels where one is taken; mix them before it is sent (ffmpeg: \
         -ac 1), or set `channel` of the step to `mean` or to a number"
    )]
    Channels(u16),
    /// A channel that is not there.
    #[error("the WAV file has {found} channels, so channel {wanted} (counted from 0) is not there")]
    NoChannel {
        /// The file's channels.
        found: u16,
        /// The channel that is taken.
        wanted: u16,
    },
    /// Bytes left over behind the last sample.
    #[error("the value has {bytes} bytes, which is no whole number of samples of {frame} bytes")]
    Ragged {
        /// Bytes of all samples.
        bytes: usize,
        /// Bytes of one sample of all channels.
        frame: usize,
    },
    /// No samples at all.
    #[error("the value has no samples")]
    Empty,
    /// Fewer samples than wanted.
    #[error(
        "the value has {found} samples, fewer than the {wanted} that the model takes; send more, or \
         set `short: pad` in the step"
    )]
    Short {
        /// Samples of one channel.
        found: usize,
        /// Samples of a row.
        wanted: usize,
    },
    /// More samples than wanted.
    #[error(
        "the value has {found} samples, more than the {wanted} that the model takes; send fewer, \
         or set `long: cut` in the step"
    )]
    Long {
        /// Samples of one channel.
        found: usize,
        /// Samples of a row.
        wanted: usize,
    },
    /// NaN or an infinity.
    #[error("sample {at} is {value}, not a number from -1 to 1")]
    NotFinite {
        /// The sample's place, counted from 0.
        at: usize,
        /// Its value.
        value: f32,
    },
    /// Outside -1 to 1.
    #[error(
        "sample {at} is {value}, outside -1 to 1; divide floats by their largest, or send integers"
    )]
    Loud {
        /// The sample's place, counted from 0.
        at: usize,
        /// Its value.
        value: f32,
    },
}

impl AudioFault {
    /// The fixed word for metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotWav(_) | Self::Truncated { .. } | Self::Endless | Self::Header(_) => "syntax",
            Self::Encoding(_) | Self::Rate { .. } => "type",
            Self::Channels(_) | Self::NoChannel { .. } => "shape",
            Self::Ragged { .. } | Self::Empty | Self::Short { .. } | Self::Long { .. } => "length",
            Self::NotFinite { .. } | Self::Loud { .. } => "range",
        }
    }
}
