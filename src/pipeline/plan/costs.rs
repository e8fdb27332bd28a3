//! Where the stages of an experiment would compute, and what that costs.

use super::{Plan, Timed};
use crate::events::{Event, Interrupt};
use crate::experiment::{Experiment, RankerSpec, RetrieverSpec};
use crate::pipeline::estimate::{Cost, estimate, matrix_speed};
use crate::pipeline::paces::{Paces, paces};
use crate::pipeline::ranking_cost::{
    Size, cost, cost_at, device_speed, parts, pretraining_cost, prompt_tokens,
};
use crate::pipeline::{BackboneSource, Error, Footprint, Located, Place, Prepared, Purpose, device_bytes};
use crate::run::{Manifest, is_of_one_place};

/// What is to be computed of an experiment whose data are there.
pub(super) struct ToDo<'a> {
    pub experiment: &'a Experiment,
    pub data: &'a Prepared,
    /// Its backbone, where something is to be ranked.
    pub ranks: Option<(&'a Located, &'a RankerSpec)>,
    /// Whether candidates are to be retrieved.
    pub retrieves: bool,
    /// How many seeds.
    pub seeds: usize,
    /// Stored seeds of both stages.
    pub stored: [Vec<Manifest>; 2],
    /// Users of validation and test whose held-out item is retrieved, where that is stored.
    pub reach: Option<[usize; 2]>,
}

/// What that takes.
#[derive(Default)]
pub(super) struct Costs {
    pub place: Option<(Place, u64)>,
    pub ranker: Option<(Place, u64)>,
    pub ranker_memory: Option<u64>,
    pub timed: Option<Timed>,
    pub cost: Option<Cost>,
    pub is_measured: bool,
    pub is_estimated: bool,
}

impl Plan<'_> {
    pub(super) fn costs(&mut self, todo: ToDo<'_>) -> Costs {
        let ToDo { experiment, data, ranks, retrieves, seeds, stored: [retrieved, ranked], reach } = todo;
        // One that cannot be used is among the needs.
        let look = |needed: u64| Some((self.devices.look(experiment.device, needed).ok()?, needed));
        let needed = if retrieves { device_bytes(experiment, &data.split) } else { None };
        let place = needed.and_then(look);
        let footprint = ranks.and_then(|(located, _)| Footprint::of(experiment, located));
        let mut ranker = footprint.as_ref().and_then(|footprint| look(footprint.least()));
        let (mut all, mut is_measured, mut is_estimated) = (Vec::new(), true, false);
        if retrieves {
            let stored = measured_at(&place, retrieved);
            is_measured &= stored.is_some();
            // Others take no time to speak of.
            is_estimated |= stored.is_none() && matches!(experiment.retriever, RetrieverSpec::Lru(_));
            all.push(stored.unwrap_or_else(|| estimate(experiment, &data.split, self.speed())));
        }
        let (mut ranker_memory, mut timed) = (None, None);
        if let (Some((located, spec)), Some(footprint)) = (ranks, &footprint) {
            let stored = measured_at(&ranker, ranked);
            is_measured &= stored.is_some();
            // What other seeds took is better known than what a few layers take.
            let found = if self.measure && stored.is_none() {
                self.paces(experiment, data, located, footprint.least())
            } else {
                None
            };
            let paces = found.map(|(paces, on_device)| {
                // The device that was hoped for cannot do it now.
                if let (false, Some((place @ Place::Device(_), _))) = (on_device, &mut ranker) {
                    *place = Place::Processor(None);
                }
                paces
            });
            is_estimated |= stored.is_none() && paces.is_none();
            let largest = match paces {
                Some(paces) => paces.largest,
                None => footprint.largest(prompt_tokens(experiment, data, spec) as usize),
            };
            let size = Size::of(&located.config);
            let mut ranking = match (paces, &ranker) {
                (Some(paces), _) => cost_at(experiment, data, size, (paces.learned, paces.scored), reach),
                (None, place) => {
                    let speed = on_device(experiment, place).unwrap_or_else(|| self.speed());
                    cost(experiment, data, size, speed, reach)
                }
            };
            if let Some((Place::Device(facts), _)) = &ranker {
                ranker_memory = Some(footprint.expected(largest, self.devices.free(facts)));
                ranking.memory_bytes = footprint.beside_device();
            } else {
                ranking.memory_bytes = footprint.on_processor(largest);
            }
            timed = paces.map(|paces| Timed {
                paces,
                parts: parts(spec, data, ranking.steps, reach, (paces.learned, paces.scored)),
            });
            all.push(stored.unwrap_or(ranking));
            let made = self.made_once(located, seeds);
            is_estimated |= made.is_some();
            all.extend(made);
        }
        let cost = all.into_iter().reduce(Cost::then);
        let is_measured = is_measured && cost.is_some();
        Costs { place, ranker, ranker_memory, timed, cost, is_measured, is_estimated }
    }

    /// A seed's share of making a built-in backbone, whatever the number of seeds; a cost is that of one seed.
    fn made_once(&mut self, located: &Located, seeds: usize) -> Option<Cost> {
        let identity = located.identity(&Interrupt::default()).ok()?;
        let is_first = located.is_to_be_made(self.store.root()) && self.begun.insert(identity.to_owned());
        if !is_first {
            return None;
        }
        let made = pretraining_cost(&located.config, located.pretraining_tokens, self.speed());
        let computing = seeds.max(1) as f64;
        let (seconds, most_seconds) = (made.seconds / computing, made.most_seconds / computing);
        Some(Cost { seconds, most_seconds, ..made })
    }

    fn speed(&mut self) -> f64 {
        *self.speed.get_or_insert_with(matrix_speed)
    }

    /// What layers of the backbone take where it would compute, and whether that is a device; a failure is told, and the cost is estimated.
    fn paces(
        &self,
        experiment: &Experiment,
        data: &Prepared,
        located: &Located,
        needed: u64,
    ) -> Option<(Paces, bool)> {
        let Self { devices, reporter, .. } = *self;
        let name = &experiment.name;
        if located.source == BackboneSource::Embedded {
            reporter.emit(Event::Note(&format!(
                "{name}: built-in backbones are not timed, their cost is estimated"
            )));
            return None;
        }
        reporter.emit(Event::Note(&format!("timing layers of the backbone of {name}")));
        let opened = devices.open(experiment.device, (Purpose::Ranker, needed), reporter);
        let found = opened.map_err(|source| Error::Device { source, kept: false }).and_then(|device| {
            Ok(paces(experiment, data, located, device.as_ref())?.map(|paces| (paces, device.is_some())))
        });
        found.unwrap_or_else(|error| {
            reporter.emit(Event::Warning(&format!("{name}: nothing could be timed: {error}")));
            None
        })
    }
}

/// The speed to be hoped for on a device, if that is the place.
fn on_device(experiment: &Experiment, place: &Option<(Place, u64)>) -> Option<f64> {
    match (place, &experiment.backbone) {
        (Some((Place::Device(facts), _)), Some(spec)) => device_speed(facts, spec.compute_type),
        _ => None,
    }
}

/// The mean cost of finished seeds of such a place, if there are any.
fn measured_at(place: &Option<(Place, u64)>, cells: Vec<Manifest>) -> Option<Cost> {
    let on_device = matches!(place, Some((Place::Device(_), _)));
    measured(&cells.into_iter().filter(|cell| is_alike(cell, on_device)).collect::<Vec<_>>())
}

/// Whether a cell was computed on a device alone, or on the processor alone.
pub(in crate::pipeline) fn is_alike(cell: &Manifest, on_device: bool) -> bool {
    let device = cell.machine.device.as_deref();
    device.is_some() == on_device && is_of_one_place(device)
}

/// The mean cost of finished seeds, if there are any.
pub(in crate::pipeline) fn measured(cells: &[Manifest]) -> Option<Cost> {
    let n = cells.len();
    if n == 0 {
        return None;
    }
    let seconds: Vec<f64> = cells.iter().map(|cell| cell.times.wall_seconds.values().sum()).collect();
    let steps = |cell: &Manifest| cell.training.as_ref().map_or(0, |training| training.steps);
    Some(Cost {
        steps: (cells.iter().map(|cell| u64::from(steps(cell))).sum::<u64>() / n as u64) as u32,
        most_steps: cells.iter().map(steps).max().unwrap_or(0),
        seconds: seconds.iter().sum::<f64>() / n as f64,
        most_seconds: seconds.iter().copied().fold(0.0, f64::max),
        memory_bytes: cells.iter().filter_map(|cell| cell.peak_memory_bytes).max().unwrap_or(0),
    })
}
