//! Which device an experiment computes on: found, opened, and held against the processor before it is trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cuda::{self, Driver, Facts, Installed, Machine};
use crate::events::{Event, Reporter};
use crate::experiment::DeviceChoice;
use crate::rank::engine;
use crate::retrieve::lru;

/// A device that was opened, or why it cannot be used.
pub type Opened = Result<Arc<dyn Machine>, cuda::Error>;

/// The devices of this machine. Each is opened once, when something is to be computed on it, and stays open.
pub struct Devices {
    driver: Box<dyn Driver>,
    /// Each has a lock of its own, which is held while it is opened and checked.
    known: Mutex<BTreeMap<u32, Arc<Mutex<Known>>>>,
    /// Of which devices it was told that they are passed over for a purpose; `None`: of all.
    told: Mutex<BTreeSet<(Purpose, Option<u32>)>>,
}

/// What is known of a device that was to be used.
#[derive(Default)]
struct Known {
    opened: Option<Opened>,
    /// How it ended that it was held against the processor for a purpose.
    trusted: BTreeMap<Purpose, Result<(), cuda::Error>>,
    /// How fast it multiplies matrices, where that was asked; `None` inside if it cannot be measured.
    matrix_rate: Option<Option<f64>>,
}

/// What a device is to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The retriever, to the bit as on the processor.
    Retriever,
    /// The ranker, as on the processor but for rounding.
    Ranker,
}

/// Rows of the largest matrix by which a device is timed.
const MATRIX: usize = 4096;

/// Where an experiment would compute.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// On the processor, and why where a device was hoped for.
    Processor(Option<cuda::Error>),
    /// On a device.
    Device(Facts),
}

/// A device that computes.
#[derive(Clone)]
pub struct Computing {
    /// What it is.
    pub facts: Facts,
    /// Its memory and kernels.
    pub machine: Arc<dyn Machine>,
    /// Multiplications and additions a second in products of large bf16 matrices, if it is to rank.
    pub matrix_rate: Option<f64>,
}

impl Default for Devices {
    fn default() -> Self {
        Self::of(Box::new(Installed))
    }
}

/// The device that it has to be, if it may be one.
const fn wanted(choice: DeviceChoice) -> Option<Option<u32>> {
    match choice {
        DeviceChoice::Cpu => None,
        DeviceChoice::Auto => Some(None),
        DeviceChoice::Cuda(ordinal) => Some(Some(ordinal)),
    }
}

/// Whether somebody wants to know why no device computes. Most machines have no driver.
#[must_use]
pub fn is_news(error: &cuda::Error) -> bool {
    *error != cuda::Error::Absent(cuda::Absent::NoDriver)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What lies in these is whole at any moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Devices {
    /// Those of a driver.
    #[must_use]
    pub fn of(driver: Box<dyn Driver>) -> Self {
        Self { driver, known: Mutex::default(), told: Mutex::default() }
    }

    /// Where an experiment with this choice, which needs so many bytes, would compute. No device is opened: how much of its memory is
    /// free is not known yet.
    ///
    /// # Errors
    /// If it names a device that is not there, or cannot do it.
    pub fn look(&self, choice: DeviceChoice, needed: u64) -> Result<Place, cuda::Error> {
        let Some(wanted) = wanted(choice) else { return Ok(Place::Processor(None)) };
        match self.candidates(wanted, needed) {
            Ok(mut found) => Ok(Place::Device(found.swap_remove(0))),
            Err(error) if wanted.is_none() => Ok(Place::Processor(Some(error))),
            Err(error) => Err(error),
        }
    }

    /// A device for an experiment with this choice, which needs so many bytes for `purpose`; `None` for the processor. With
    /// [`DeviceChoice::Auto`] a device that cannot do it is passed over, with a warning.
    ///
    /// # Errors
    /// If it names a device that is not there, or cannot do it now.
    pub fn open(
        &self,
        choice: DeviceChoice,
        (purpose, needed): (Purpose, u64),
        reporter: &dyn Reporter,
    ) -> Result<Option<Computing>, cuda::Error> {
        let Some(wanted) = wanted(choice) else { return Ok(None) };
        let pass_over = |ordinal: Option<u32>, error: cuda::Error| {
            if is_news(&error) && locked(&self.told).insert((purpose, ordinal)) {
                reporter.emit(Event::Warning(&format!("a device is passed over: {error}")));
            }
        };
        let found = match self.candidates(wanted, needed) {
            Err(error) if wanted.is_none() => {
                pass_over(None, error);
                return Ok(None);
            }
            found => found?,
        };
        for facts in found {
            match self.ready(&facts, purpose, needed) {
                Ok(machine) => {
                    let matrix_rate = match purpose {
                        Purpose::Retriever => None,
                        Purpose::Ranker => self.matrix_rate(&facts, &machine),
                    };
                    return Ok(Some(Computing { facts, machine, matrix_rate }));
                }
                Err(error) if wanted.is_none() => pass_over(Some(facts.ordinal), error),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What every device is, and whether it gives the processor's results; opens those that can.
    ///
    /// # Errors
    /// Why there are none.
    pub fn examine(&self) -> Result<Vec<(Facts, Opened)>, cuda::Absent> {
        let all = self.driver.devices()?;
        let examined = |facts: Facts| {
            let ready = |purpose| facts.supported().and_then(|()| self.ready(&facts, purpose, 0));
            let found = ready(Purpose::Retriever).and_then(|_| ready(Purpose::Ranker));
            (facts, found)
        };
        Ok(all.into_iter().map(examined).collect())
    }

    /// Free bytes of a device: all of them where it was not opened yet.
    #[must_use]
    pub fn free(&self, facts: &Facts) -> u64 {
        let opened = locked(&self.known(facts)).opened.clone();
        let memory = opened.and_then(|opened| opened.ok()?.memory().ok());
        memory.map_or(facts.memory, |(free, _)| free)
    }

    /// The devices that may do it, at least one.
    fn candidates(&self, wanted: Option<u32>, needed: u64) -> Result<Vec<Facts>, cuda::Error> {
        let all = self.driver.devices()?;
        let count = all.len();
        let (mut found, mut failed) = (Vec::new(), None);
        for facts in all.into_iter().filter(|facts| wanted.is_none_or(|wanted| wanted == facts.ordinal)) {
            match facts.supported().and_then(|()| facts.holds(needed)) {
                Ok(()) => found.push(facts),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
        let absent = match wanted {
            Some(ordinal) => cuda::Absent::NoSuch { ordinal, count },
            None => cuda::Absent::NoDevice,
        };
        Err(failed.unwrap_or_else(|| absent.into()))
    }

    fn known(&self, facts: &Facts) -> Arc<Mutex<Known>> {
        Arc::clone(locked(&self.known).entry(facts.ordinal).or_default())
    }

    fn ready(&self, facts: &Facts, purpose: Purpose, needed: u64) -> Opened {
        let known = self.known(facts);
        let mut known = locked(&known);
        let machine = known.opened.get_or_insert_with(|| self.driver.open(facts.ordinal)).clone()?;
        let (free, total) = machine.memory()?;
        if free < needed {
            return Err(cuda::Error::Memory { device: facts.to_string(), needed, free, total });
        }
        let check = || match purpose {
            Purpose::Retriever => lru::check(&machine),
            Purpose::Ranker => engine::check::check(&machine),
        };
        known.trusted.entry(purpose).or_insert_with(check).clone()?;
        Ok(machine)
    }

    /// How fast a device multiplies matrices; progress does without it where it cannot be measured.
    fn matrix_rate(&self, facts: &Facts, machine: &Arc<dyn Machine>) -> Option<f64> {
        let known = self.known(facts);
        let mut known = locked(&known);
        *known.matrix_rate.get_or_insert_with(|| cuda::matrix_rate(machine, MATRIX).ok())
    }
}
