//! Where a model runs.

use std::fmt;

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
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
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
}

impl Placed {
    /// On this device, for this reason.
    pub fn new(device: Device, reason: impl Into<String>) -> Self {
        Self {
            device,
            reason: reason.into(),
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
