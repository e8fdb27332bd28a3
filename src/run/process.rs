//! The process that computed a cell.

use serde::{Deserialize, Serialize};

use super::command::command_line;
use super::energy::EnergyMeter;
use crate::checkpoint::Checkpoints;

/// How a cell was computed, beside where and when.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessRecord {
    /// The command line, without secrets and without the folders of absolute paths.
    pub command: String,
    /// How often the work was begun, stopped and gone on with from a checkpoint.
    pub resumed: u32,
    /// Energy of the processor and its memory while the cell was computed, in joules, where the machine tells; of all processes together, and
    /// since the last resumption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_joules: Option<f64>,
    /// How it ended. A cell is stored only when all of it is done, so this is `finished`.
    pub exit: String,
}

impl ProcessRecord {
    /// Whether nothing is known: of a cell from before there was such a record.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// The entry of a manifest's wall times for the work of earlier processes, where this one went on from what they had kept.
#[must_use]
pub fn earlier(checkpoints: &dyn Checkpoints) -> Option<(String, f64)> {
    let earlier = checkpoints.earlier();
    (!earlier.is_zero()).then(|| ("earlier".to_owned(), earlier.as_secs_f64()))
}

/// What is measured while a cell is computed.
#[derive(Debug, Default)]
pub struct Effort {
    energy: Option<EnergyMeter>,
}

impl Effort {
    /// Begin to measure.
    #[must_use]
    pub fn begin() -> Self {
        Self { energy: EnergyMeter::begin() }
    }

    /// What a manifest says of it, now that the work is done, which was taken up again `resumed` times.
    #[must_use]
    pub fn finished(self, resumed: u32) -> ProcessRecord {
        ProcessRecord {
            command: command_line(),
            resumed,
            energy_joules: self.energy.and_then(EnergyMeter::end),
            exit: "finished".to_owned(),
        }
    }
}
