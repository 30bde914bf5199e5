//! What a pipeline file says about an audio step.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use super::OptionFault;

/// Samples in a row, at most: 256 MiB.
const SAMPLES_MAX: usize = 64 << 20;
/// Channels side by side in raw samples, at most.
pub(super) const CHANNELS_MAX: u16 = 256;

/// Turns a WAV file or raw samples into a fixed number of samples from -1 to 1.
///
/// Integers are divided by the largest power of two of their size, as libsndfile does: 16-bit
/// samples by 32768. Nothing is resampled.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AudioOptions {
    /// What the bytes are.
    #[serde(default)]
    pub format: Format,
    /// Samples for each second that the model was trained on. A WAV file with another rate is
    /// rejected; raw samples do not say theirs.
    #[schemars(range(min = 1))]
    pub sample_rate: u32,
    /// Samples in each row (of one channel).
    #[schemars(range(min = 1, max = 67_108_864))]
    pub samples: usize,
    /// What becomes of fewer samples.
    #[serde(default)]
    pub short: Short,
    /// What becomes of more samples.
    #[serde(default)]
    pub long: Long,
    /// Which channel is taken: `only` rejects a value with several, `mean` takes their average, a
    /// number takes that one, counted from 0.
    #[serde(default)]
    pub channel: Channel,
    /// Channels side by side in raw samples; 1 where left out. A WAV file says so itself.
    #[schemars(range(min = 1, max = 256))]
    pub channels: Option<u16>,
    /// What becomes of floats below -1 or above 1.
    #[serde(default)]
    pub loud: Loud,
}

impl AudioOptions {
    /// Everything left out that can be.
    pub fn new(sample_rate: u32, samples: usize) -> Self {
        Self {
            format: Format::default(),
            sample_rate,
            samples,
            short: Short::default(),
            long: Long::default(),
            channel: Channel::default(),
            channels: None,
            loud: Loud::default(),
        }
    }

    /// What is wrong with them, if anything is.
    pub(super) fn check(&self) -> Result<(), OptionFault> {
        if self.sample_rate == 0 {
            return Err(OptionFault::Rate);
        }
        if !(1..=SAMPLES_MAX).contains(&self.samples) {
            return Err(OptionFault::Samples(self.samples, SAMPLES_MAX));
        }
        match self.channels {
            Some(_) if self.format == Format::Wav => return Err(OptionFault::WavChannels),
            Some(channels) if !(1..=CHANNELS_MAX).contains(&channels) => {
                return Err(OptionFault::Channels(channels));
            }
            _ => {}
        }
        if self.format == Format::Wav {
            return Ok(());
        }
        let channels = self.channels.unwrap_or(1);
        match self.channel {
            Channel::Only if channels > 1 => Err(OptionFault::Only(channels)),
            Channel::Index(index) if index >= channels => Err(OptionFault::Index(index, channels)),
            _ => Ok(()),
        }
    }
}

/// What the bytes of a value are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A WAV file of 8-, 16-, 24- or 32-bit integers or of 32-bit floats.
    #[default]
    Wav,
    /// Raw 16-bit integers, the low byte first.
    S16le,
    /// Raw 32-bit floats, the low byte first.
    F32le,
}

/// What becomes of a value with too few samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Short {
    /// It is rejected.
    #[default]
    Reject,
    /// Silence (zeros) follows it.
    Pad,
}

/// What becomes of a value with too many samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Long {
    /// It is rejected.
    #[default]
    Reject,
    /// Its end is cut off.
    Cut,
}

/// What becomes of floats outside -1 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loud {
    /// The value is rejected.
    #[default]
    Reject,
    /// They become -1 or 1.
    Clip,
}

/// Which channel is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Channel {
    /// The only one; values with several are rejected.
    #[default]
    Only,
    /// The average of all.
    Mean,
    /// This one, counted from 0.
    Index(u16),
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Only => serializer.serialize_str("only"),
            Self::Mean => serializer.serialize_str("mean"),
            Self::Index(number) => serializer.serialize_u16(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChannelVisitor)
    }
}

struct ChannelVisitor;

impl Visitor<'_> for ChannelVisitor {
    type Value = Channel;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`only`, `mean` or the number of a channel, counted from 0")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Channel, E> {
        match word {
            "only" => Ok(Channel::Only),
            "mean" => Ok(Channel::Mean),
            _ => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Channel, E> {
        u16::try_from(number)
            .map(Channel::Index)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Channel, E> {
        u16::try_from(number)
            .map(Channel::Index)
            .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }
}

impl JsonSchema for Channel {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Channel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "oneOf": [
                { "enum": ["only", "mean"] },
                { "type": "integer", "minimum": 0, "maximum": 65_535 },
            ]
        })
    }
}
