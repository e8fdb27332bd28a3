//! Checkpoints of a cell that is being computed: `<runs>/<stage>/<first 16 hex digits of its key>.checkpoint/<part>.safetensors`.
//!
//! A file is replaced atomically, and holds the hash of what is in it. It is the business of the process that computes the cell, and
//! is removed when the cell is stored.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{CellKey, Error, atomic};
use crate::checkpoint::{Checkpoints, Snapshot};
use crate::events::{Event, Reporter};

/// The field of a safetensors header that holds [`About`].
const METADATA: &str = "bench";
const FORMAT: u32 = 2;
/// A place that is no device.
const PROCESSOR: &str = "the processor";
/// Between two places.
const THEN: &str = ", then ";

/// Whether a cell whose manifest names this device was computed on a device alone, or on the processor alone: its times tell how long that takes.
#[must_use]
pub fn is_of_one_place(device: Option<&str>) -> bool {
    device.is_none_or(|device| !device.contains(THEN))
}
/// Time between two checkpoints is at least so many times what the last one took, so that they take less than 2 % of it.
const SPARSE: u32 = 60;

/// Seconds between two checkpoints unless somebody says otherwise, in milliseconds.
static PAUSE: AtomicU64 = AtomicU64::new(15_000);

/// Ask for a checkpoint about every `pause` in this process; with zero, at every place where there may be one. Results do not depend
/// on it.
pub fn set_checkpoint_pause(pause: Duration) {
    PAUSE.store(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// What a checkpoint says about itself.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    format: u32,
    key: String,
    part: String,
    resumed: u32,
    /// How long all processes worked on the cell so far.
    #[serde(default)]
    seconds: f64,
    words: String,
    /// Where it was computed so far, one place after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    places: Vec<String>,
    /// Of the other fields, and of the arrays with their names.
    #[serde(default)]
    sha256: String,
}

impl About {
    /// SHA-256 in hex of the other fields and of named arrays, each with its length.
    fn hash<'b>(&self, arrays: impl Iterator<Item = (&'b str, &'b [u8])>) -> String {
        let Self { format, key, part, resumed, seconds, words, places, sha256: _ } = self;
        let about = format!("{format} {key} {part} {resumed} {:016x}", seconds.to_bits());
        let mut hasher = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        add(about.as_bytes());
        add(words.as_bytes());
        places.iter().for_each(|place| add(place.as_bytes()));
        for (name, bytes) in arrays {
            add(name.as_bytes());
            add(bytes);
        }
        hex::encode(hasher.finalize())
    }
}

/// The checkpoints of one cell.
pub struct CellCheckpoints<'a> {
    folder: PathBuf,
    key: CellKey,
    reporter: &'a dyn Reporter,
    pace: Mutex<Pace>,
}

struct Pace {
    began: Instant,
    /// What earlier processes needed.
    before: Duration,
    last: Instant,
    cost: Duration,
    /// Whether a failure was told.
    told: bool,
    /// How often the work was taken up again.
    resumed: u32,
    taken_up: bool,
    /// Parts that this process kept.
    kept: BTreeSet<String>,
    /// Where earlier processes computed, and where this one does.
    places: [Vec<String>; 2],
}

impl Pace {
    /// All places in their order; none where it was the processor alone.
    fn places(&self) -> Vec<String> {
        let mut all = self.places.concat();
        all.dedup();
        if all.iter().all(|place| place == PROCESSOR) { Vec::new() } else { all }
    }
}

impl<'a> CellCheckpoints<'a> {
    /// Those in `folder`, which need not be there.
    pub(super) fn at(folder: PathBuf, key: CellKey, reporter: &'a dyn Reporter) -> Self {
        let (now, zero) = (Instant::now(), Duration::ZERO);
        let pace = Pace {
            began: now,
            before: zero,
            last: now,
            cost: zero,
            told: false,
            resumed: 0,
            taken_up: false,
            kept: BTreeSet::new(),
            places: [Vec::new(), Vec::new()],
        };
        Self { folder, key, reporter, pace: Mutex::new(pace) }
    }

    /// Whether there is one, of this process or an earlier one.
    #[must_use]
    pub fn any(&self) -> bool {
        fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// What follows is computed on this device, or on the processor.
    pub fn computes_on(&self, device: Option<String>) {
        self.pace().places[1].push(device.unwrap_or_else(|| PROCESSOR.to_owned()));
    }

    /// The devices on which this process and those computed from which it went on, such as `NVIDIA H100 (cuda:0), then the processor`; `None` if
    /// it was the processor alone.
    #[must_use]
    pub fn devices(&self) -> Option<String> {
        let places = self.pace().places();
        (!places.is_empty()).then(|| places.join(THEN))
    }

    /// Remove them: the cell is stored.
    pub fn done(&self) {
        // What cannot be removed is in nobody's way, and `bench clean` shows it.
        let _ = fs::remove_dir_all(&self.folder);
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, part: &str) -> PathBuf {
        self.folder.join(format!("{part}.safetensors"))
    }

    fn write(&self, part: &str, words: &str, arrays: &[(&str, &[f32])]) -> Result<(), Error> {
        let path = self.file(part);
        let bytes: Vec<(&str, Vec<u8>)> = arrays
            .iter()
            .map(|(name, values)| (*name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
            .collect();
        let (seconds, places) = {
            let pace = self.pace();
            ((pace.before + pace.began.elapsed()).as_secs_f64(), pace.places())
        };
        let mut about = About {
            format: FORMAT,
            key: self.key.as_str().to_owned(),
            part: part.to_owned(),
            resumed: self.resumed(),
            seconds,
            words: words.to_owned(),
            places,
            sha256: String::new(),
        };
        about.sha256 = about.hash(bytes.iter().map(|(name, bytes)| (*name, bytes.as_slice())));
        let encode = |what: String| Error::Encode { path: path.clone(), what };
        let about = serde_json::to_string(&about).map_err(|error| encode(error.to_string()))?;
        let views = bytes
            .iter()
            .map(|(name, bytes)| Ok((*name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| encode(error.to_string()))?;
        let metadata = Some([(METADATA.to_owned(), about)].into_iter().collect());
        let bytes = serialize(views, metadata).map_err(|error| encode(error.to_string()))?;
        atomic::write(&path, &bytes)
    }

    fn read(&self, part: &str) -> Result<Option<(Snapshot, About)>, String> {
        let bytes = match fs::read(self.file(part)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        let broken = |error: safetensors::SafeTensorError| error.to_string();
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        let about = header.metadata().as_ref().and_then(|fields| fields.get(METADATA));
        let about = about.ok_or("it says nothing about itself")?;
        let about: About = serde_json::from_str(about).map_err(|error| error.to_string())?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(broken)?;
        let mut arrays: Vec<(String, TensorView<'_>)> = tensors.tensors();
        arrays.sort_by(|one, other| one.0.cmp(&other.0));
        if about.format != FORMAT {
            return Err(format!("format {}; this bench has {FORMAT}", about.format));
        }
        let sha256 = about.hash(arrays.iter().map(|(name, view)| (name.as_str(), view.data())));
        if sha256 != about.sha256 {
            return Err(format!("SHA-256 {sha256} of its content; it says {}", about.sha256));
        }
        if (about.key.as_str(), about.part.as_str()) != (self.key.as_str(), part) {
            return Err(format!("it is of {} of cell {}", about.part, about.key));
        }
        let floats = |bytes: &[u8]| {
            bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect::<Vec<f32>>()
        };
        let arrays = arrays.into_iter().map(|(name, view)| (name, floats(view.data()))).collect();
        Ok(Some((Snapshot { words: about.words.clone(), arrays }, about)))
    }

    /// Move a file out of the way that cannot be trusted.
    fn set_aside(&self, part: &str) -> Option<PathBuf> {
        let stage = self.folder.parent()?;
        let free = |number: u32| stage.join(format!("{}.{part}.damaged-{number}", self.key));
        let target = (1..).map(free).find(|path| fs::symlink_metadata(path).is_err())?;
        fs::rename(self.file(part), &target).ok().map(|()| target)
    }
}

impl Checkpoints for CellCheckpoints<'_> {
    fn last(&self, part: &str) -> Option<Snapshot> {
        match self.read(part) {
            Ok(found) => {
                let (snapshot, about) = found?;
                let mut pace = self.pace();
                if !pace.taken_up {
                    (pace.resumed, pace.taken_up) = (about.resumed.saturating_add(1), true);
                }
                // Of several parts the one that was kept last. What this process kept has its own time in it.
                let before = Duration::try_from_secs_f64(about.seconds).unwrap_or_default();
                if !pace.kept.contains(part) {
                    pace.before = pace.before.max(before);
                    if about.places.len() > pace.places[0].len() {
                        pace.places[0] = about.places;
                    }
                }
                Some(snapshot)
            }
            Err(what) => {
                let path = self.file(part);
                let left = match self.set_aside(part) {
                    Some(aside) => format!("it was set aside as {}", aside.display()),
                    None => "it is not used".to_owned(),
                };
                self.reporter.emit(Event::Warning(&format!(
                    "read {}: {what}; {left}, and this part is computed again",
                    path.display()
                )));
                None
            }
        }
    }

    fn resumed(&self) -> u32 {
        self.pace().resumed
    }

    fn earlier(&self) -> Duration {
        self.pace().before
    }

    fn due(&self) -> bool {
        let pause = Duration::from_millis(PAUSE.load(Ordering::Relaxed));
        let pace = self.pace();
        pause.is_zero() || pace.last.elapsed() >= pause.max(SPARSE * pace.cost)
    }

    fn keep(&self, part: &str, words: &str, arrays: &[(&str, &[f32])]) {
        let mut arrays = arrays.to_vec();
        arrays.sort_by_key(|(name, _)| *name);
        let began = Instant::now();
        let written = self.write(part, words, &arrays);
        let mut pace = self.pace();
        (pace.last, pace.cost) = (Instant::now(), began.elapsed());
        pace.kept.insert(part.to_owned());
        if let Err(error) = written
            && !std::mem::replace(&mut pace.told, true)
        {
            drop(pace);
            self.reporter.emit(Event::Warning(&format!(
                "{}; the run goes on without this checkpoint, and if it is killed begins this stage again from the last one",
                error.event()
            )));
        }
    }
}

/// The folder of a cell's checkpoints.
pub(super) fn folder(cell: &Path) -> PathBuf {
    let mut name = cell.as_os_str().to_owned();
    name.push(".checkpoint");
    PathBuf::from(name)
}
