//! Where an experiment computes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where an experiment computes. Results do not depend on it, so no key of a stored stage has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// On the first device that can, and on the processor where there is none.
    #[default]
    Auto,
    /// On the processor.
    Cpu,
    /// On the NVIDIA device of this number, or not at all.
    Cuda(u32),
}

impl DeviceChoice {
    /// What can be written, as the end of "expected ...".
    pub(crate) const EXPECTED: &str = "\"auto\", \"cpu\" or a device such as \"cuda:0\"";
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => return Ok(Self::Auto),
            "cpu" => return Ok(Self::Cpu),
            _ => {}
        }
        let number = text.strip_prefix("cuda:").filter(|number| {
            let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            digits && (*number == "0" || !number.starts_with('0'))
        });
        let ordinal = number.and_then(|number| number.parse().ok());
        ordinal.map(Self::Cuda).ok_or_else(|| Self::EXPECTED.to_owned())
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|expected| serde::de::Error::custom(format!("expected {expected}")))
    }
}
