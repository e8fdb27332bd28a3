//! Learning curves as TensorBoard event files.
//!
//! A file is a list of records: length (u64, little endian), masked CRC-32C of those 8 bytes, the bytes, their masked CRC-32C
//! (TensorFlow, `tensorflow/core/lib/io/record_writer.h`). Each record is an `Event` in protocol buffers
//! (`tensorflow/core/util/event.proto`): `wall_time` = 1 (double), `step` = 2 (varint), `file_version` = 3 (string), `summary` = 5
//! with repeated `value` = 1, each `tag` = 1 (string) and `simple_value` = 2 (float). That is all that scalars need.

use std::path::{Path, PathBuf};

use super::{Error, Source};
use crate::run::{CurvePoint, Manifest, atomic};

/// CRC-32C (Castagnoli) as TFRecord files mask it: rotated right by 15 bits, plus 0xa282ead8.
///
/// ```
/// // The CRC-32C of "123456789" is 0xe3069283 (RFC 3720 has the polynomial; the value is the usual check).
/// assert_eq!(bench::export::masked_crc32c(b"123456789"), 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8));
/// ```
#[must_use]
pub fn masked_crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            // The polynomial 0x1edc6f41, reflected.
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// One point of a curve: seconds since 1970, step, and tags with values.
pub type Point = (f64, u64, Vec<(String, f32)>);

/// The bytes of an event file that begins at `start`, in seconds since 1970.
#[must_use]
pub fn scalar_events(start: f64, points: &[Point]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut first = double(1, start);
    bytes(&mut first, 3, b"brain.Event:2");
    record(&mut out, &first);
    for (time, step, values) in points {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut one = Vec::new();
            bytes(&mut one, 1, tag.as_bytes());
            one.push(2 << 3 | 5);
            one.extend(value.to_le_bytes());
            bytes(&mut summary, 1, &one);
        }
        let mut event = double(1, *time);
        event.push(2 << 3);
        varint(&mut event, *step);
        bytes(&mut event, 5, &summary);
        record(&mut out, &event);
    }
    out
}

fn record(out: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc32c(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked_crc32c(data).to_le_bytes());
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn double(field: u8, value: f64) -> Vec<u8> {
    let mut out = vec![field << 3 | 1];
    out.extend(value.to_le_bytes());
    out
}

fn bytes(out: &mut Vec<u8>, field: u8, data: &[u8]) {
    out.push(field << 3 | 2);
    varint(out, data.len() as u64);
    out.extend(data);
}

/// `tensorboard/seed-<n>/<stage>/events.out.tfevents.<start>.bench` for every stage that trained.
pub(super) fn write(source: &Source<'_>, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut written = Vec::new();
    for seed in source.seeds {
        let first = ("retrieval", &seed.retrieval.manifest, &seed.retrieval.curve);
        let second = seed.ranking.map(|cell| ("ranking", &cell.manifest, &cell.curve));
        for (stage, manifest, curve) in std::iter::once(first).chain(second) {
            if curve.is_empty() {
                continue;
            }
            let start = seconds(&manifest.times.started);
            let place = folder.join("tensorboard").join(format!("seed-{}", manifest.seed)).join(stage);
            let path = place.join(format!("events.out.tfevents.{start:.0}.bench"));
            atomic::write(&path, &scalar_events(start, &points(manifest, curve, start)))?;
            written.push(path);
        }
    }
    if written.is_empty() {
        let what = "no stored seed has a learning curve; popularity and random do not train";
        return Err(Error::Nothing { what });
    }
    Ok(written)
}

fn points(manifest: &Manifest, curve: &[CurvePoint], start: f64) -> Vec<Point> {
    let metric = manifest.training.as_ref().map_or("metric", |training| training.selected_by.as_str());
    let point = |point: &CurvePoint| {
        let mut values = vec![(format!("validation/{metric}"), point.metric as f32)];
        values.extend(point.train_loss.map(|loss| ("train/loss".to_owned(), loss as f32)));
        (start + point.wall_seconds, u64::from(point.step), values)
    };
    curve.iter().map(point).collect()
}

/// RFC 3339 as seconds since 1970; 0 where a manifest has another text.
fn seconds(text: &str) -> f64 {
    text.parse::<jiff::Timestamp>().map_or(0.0, |time| time.as_millisecond() as f64 / 1000.0)
}
