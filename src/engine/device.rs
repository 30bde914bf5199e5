//! Where a model runs.

use std::fmt;

use super::cuda::product::Math;

/// Where a model runs, as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Device {
    /// The best that there is.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this number, counted as the driver counts them. It runs there or not at all.
    Cuda(usize),
    /// Several of them, each by engines of its own.
    Cudas(Gpus),
}

/// Numbers of GPUs, from 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gpus(u64);

impl Gpus {
    /// These numbers; none where there is no number, one stands twice, or one is too large.
    pub fn of(numbers: &[usize]) -> Option<Self> {
        let mut bits = 0_u64;
        for number in numbers {
            let bit = 1_u64.checked_shl(u32::try_from(*number).ok()?)?;
            if bits & bit != 0 {
                return None;
            }
            bits |= bit;
        }
        (bits != 0).then_some(Self(bits))
    }

    /// The numbers, rising; there is one at least.
    pub fn numbers(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |number| self.0 >> number & 1 == 1)
    }
}

impl Device {
    /// Reads a name as pipeline files and options write it: `auto`, `cpu`, `cuda` for the first GPU,
    /// `cuda:N`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            _ => {
                let number = name.strip_prefix("cuda:")?;
                // One way to write a number: `cuda:+1` and `cuda:01` are slips.
                let plain = number == "0" || !number.starts_with(['0', '+']);
                Some(Self::Cuda(number.parse().ok().filter(|_| plain)?))
            }
        }
    }

    /// Where the engine of this number runs it, counted from 0: engines take several GPUs in turns.
    #[must_use]
    pub fn for_engine(self, engine: usize) -> Self {
        let gpus: Vec<usize> = self.gpus();
        match (self, gpus.get(engine % gpus.len().max(1))) {
            (Self::Cudas(_), Some(number)) => Self::Cuda(*number),
            _ => self,
        }
    }

    /// The GPUs that it demands.
    pub fn gpus(self) -> Vec<usize> {
        match self {
            Self::Auto | Self::Cpu => Vec::new(),
            Self::Cuda(number) => vec![number],
            Self::Cudas(gpus) => gpus.numbers().collect(),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Cudas(gpus) => {
                let names: Vec<String> = (gpus.numbers())
                    .map(|number| format!("cuda:{number}"))
                    .collect();
                write!(f, "[{}]", names.join(", "))
            }
        }
    }
}

/// Where a step runs, and why there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Placed {
    /// `Cpu` or `Cuda`.
    pub device: Device,
    /// Why: `asked for`, `the best that there is`, or what kept it from the GPU.
    pub reason: String,
    /// What its products are multiplied as, where [`Precision::Auto`](super::Precision::Auto) chose that.
    pub chosen: Option<Math>,
}

impl Placed {
    /// On this device, for this reason.
    pub fn new(device: Device, reason: impl Into<String>) -> Self {
        Self {
            device,
            reason: reason.into(),
            chosen: None,
        }
    }
}

/// A step that runs elsewhere from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its number.
    pub step: usize,
    /// Where it ran.
    pub from: Placed,
    /// Where it runs.
    pub to: Placed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_take_several_gpus_in_turns() {
        let several = Device::Cudas(Gpus::of(&[3, 0]).expect("two"));
        assert_eq!(several.to_string(), "[cuda:0, cuda:3]");
        let taken: Vec<Device> = (0..3).map(|engine| several.for_engine(engine)).collect();
        assert_eq!(taken, [Device::Cuda(0), Device::Cuda(3), Device::Cuda(0)]);
        assert_eq!(Device::Auto.for_engine(5), Device::Auto);
        assert_eq!(Device::Cuda(2).for_engine(5), Device::Cuda(2));
        for odd in [&[][..], &[1, 1], &[64]] {
            assert_eq!(Gpus::of(odd), None, "{odd:?}");
        }
        assert_eq!(
            Gpus::of(&[63]).map(|gpus| gpus.numbers().collect()),
            Some(vec![63])
        );
    }

    #[test]
    fn a_name_is_read_as_it_is_written() {
        for name in ["auto", "cpu", "cuda:0", "cuda:7"] {
            assert_eq!(
                Device::parse(name).map(|device| device.to_string()),
                Some(name.to_owned())
            );
        }
        assert_eq!(Device::parse("cuda"), Some(Device::Cuda(0)));
        for name in [
            "", "gpu", "CUDA", "cuda:", "cuda:+1", "cuda:01", "cuda:-1", "cuda:x", "cuda:0,1",
        ] {
            assert_eq!(Device::parse(name), None, "{name}");
        }
    }
}
