//! Causal attention over packed prompts (`attention.cu`).

use std::cmp::Reverse;
use std::f64::consts::LOG2_E;
use std::sync::Arc;

use super::{Kernels, arguments};
use crate::cuda::Error;
use crate::cuda::array::{Activation, Array, Slice, SliceMut};
use crate::cuda::machine::{Machine, Shape as Launch};
use crate::nn::attention::{Shape, Span, check_shape, check_spans};

/// Queries, and keys, of a block.
const BLOCK: usize = 64;
/// Columns of a result that a block has on plain cores.
const COLUMNS: usize = 128;
/// Queries that one block goes through for the gradient of keys; where more see them, several blocks share the work.
const QUERIES: usize = 1024;
/// About as many blocks share, at most: each has its own sums in memory.
const PARTS: usize = 128;
/// The part of a tile that has but one.
const WHOLE: u32 = u32::MAX;

/// The spans of a batch on a device, and what work they are. All layers of a model use the same.
pub struct Spans {
    /// Spans, five numbers each.
    spans: Array<u32>,
    /// (span, first query in it): at most 64 queries each, those that see most first.
    works: Array<u32>,
    /// (first row, rows, first visit, visits, part): at most 64 rows of keys each, those that are seen most first. Every row is in one, or
    /// in several that are parts of a sum.
    tiles: Array<u32>,
    /// (first row, rows, first part, parts): tiles that are sums of parts.
    summed: Array<u32>,
    parts: usize,
    /// (span, position of the first row in it, rows that it sees), in the order of the spans.
    visits: Array<u32>,
    rows: usize,
    key_rows: usize,
}

impl Spans {
    /// None.
    #[must_use]
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        let array = || Array::new(machine);
        Self {
            spans: array(),
            works: array(),
            tiles: array(),
            summed: array(),
            parts: 0,
            visits: array(),
            rows: 0,
            key_rows: 0,
        }
    }

    /// Those of a batch with so many rows of queries and of keys.
    ///
    /// # Errors
    /// As all functions here.
    ///
    /// # Panics
    /// When the spans do not lie in order and inside the rows (a programming error of this crate).
    pub fn set(&mut self, spans: &[Span], rows: usize, key_rows: usize) -> Result<(), Error> {
        check_spans(spans, rows, key_rows);
        assert!(rows.max(key_rows) < 1 << 30, "{rows} rows of queries, {key_rows} of keys");
        (self.rows, self.key_rows) = (rows, key_rows);
        let numbers = spans.iter().flat_map(|span| {
            [span.queries.start, span.queries.len(), span.keys.start, span.keys.len(), span.prefix]
        });
        self.spans.set(&numbers.map(|number| number as u32).collect::<Vec<_>>())?;
        self.works.set(&works(spans))?;
        let Tiles { tiles, summed, parts, visits } = tiles(spans, key_rows);
        self.parts = parts;
        self.tiles.set(&tiles)?;
        self.summed.set(&summed)?;
        self.visits.set(&visits)
    }
}

fn works(spans: &[Span]) -> Vec<u32> {
    let mut works = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        for from in (0..span.queries.len()).step_by(BLOCK) {
            works.push((span.first() + from, [index as u32, from as u32]));
        }
    }
    works.sort_by_key(|(position, _)| Reverse(*position));
    works.into_iter().flat_map(|(_, work)| work).collect()
}

/// One of [`Spans::visits`], and how many queries it has.
type Visit = ([u32; 3], usize);

/// Lists of [`Spans`].
struct Tiles {
    tiles: Vec<u32>,
    summed: Vec<u32>,
    parts: usize,
    visits: Vec<u32>,
}

fn tiles(spans: &[Span], key_rows: usize) -> Tiles {
    // (first row, rows, its visits)
    let mut all: Vec<(usize, usize, Vec<Visit>)> = Vec::new();
    let mut cover = |from: usize, to: usize, owner: Option<usize>| {
        for row in (from..to).step_by(BLOCK) {
            let rows = BLOCK.min(to - row);
            let visit = |(index, span): (usize, &Span)| {
                let (position, seen) = if owner == Some(index) {
                    (span.prefix + row - span.keys.start, rows)
                } else if row < span.prefix {
                    (row, rows.min(span.prefix - row))
                } else {
                    return None;
                };
                let queries = span.positions() - position.max(span.first());
                Some(([index as u32, position as u32, seen as u32], queries))
            };
            all.push((row, rows, spans.iter().enumerate().filter_map(visit).collect()));
        }
    };
    let mut end = 0;
    for (index, span) in spans.iter().enumerate() {
        cover(end, span.keys.start, None);
        cover(span.keys.start, span.keys.end, Some(index));
        end = span.keys.end;
    }
    cover(end, key_rows, None);

    let shared = all.iter().filter(|(.., seen)| seen.len() > 1).flat_map(|(.., seen)| seen);
    let most = (shared.map(|(_, queries)| queries).sum::<usize>() / PARTS).max(QUERIES);
    let (mut tiles, mut summed, mut parts, mut visits) = (Vec::new(), Vec::new(), 0, Vec::new());
    for (row, rows, seen) in all {
        // Runs of visits of at most so many queries, if no visit has more.
        let mut runs = vec![(visits.len() / 3, 0, 0)];
        for (visit, queries) in seen {
            let last = runs.len() - 1;
            if runs[last].1 > 0 && runs[last].2 + queries > most {
                runs.push((visits.len() / 3, 1, queries));
            } else {
                runs[last].1 += 1;
                runs[last].2 += queries;
            }
            visits.extend(visit);
        }
        if runs.len() > 1 {
            summed.extend([row as u32, rows as u32, parts as u32, runs.len() as u32]);
        }
        let several = runs.len() > 1;
        for (first, count, queries) in runs {
            let part = if several { parts as u32 } else { WHOLE };
            parts += usize::from(several);
            tiles.push((queries, [row as u32, rows as u32, first as u32, count, part]));
        }
    }
    tiles.sort_by_key(|(queries, _)| Reverse(*queries));
    Tiles { tiles: tiles.into_iter().flat_map(|(_, tile)| tile).collect(), summed, parts, visits }
}

/// A [`Shape`] as kernels take it.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawShape {
    heads: u32,
    kv_heads: u32,
    head_dim: u32,
    reach: u32,
    scale: f32,
    factor: f32,
}

impl From<Shape> for RawShape {
    fn from(shape: Shape) -> Self {
        const ALL: usize = 1 << 30;
        Self {
            heads: shape.heads as u32,
            kv_heads: shape.kv_heads as u32,
            head_dim: shape.head_dim as u32,
            reach: shape.window.map_or(ALL, |window| window.clamp(1, ALL)) as u32,
            scale: shape.scale(),
            factor: (f64::from(shape.scale()) * LOG2_E) as f32,
        }
    }
}

/// Which kernels are for a head.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cores {
    Plain,
    Tensor64,
    Tensor128,
}

impl Cores {
    fn of<T: Activation>(head_dim: usize, places: &[u64]) -> Self {
        let whole = head_dim.is_multiple_of(8) && places.iter().all(|at| at.is_multiple_of(16));
        match head_dim {
            1..=64 if size_of::<T>() == 2 && whole => Self::Tensor64,
            65..=128 if size_of::<T>() == 2 && whole => Self::Tensor128,
            _ => Self::Plain,
        }
    }

    fn kernel<T: Activation>(self, plain: [&'static str; 2], tensor: [&'static str; 2]) -> &'static str {
        match self {
            Self::Plain => T::kernel(plain),
            Self::Tensor64 => tensor[0],
            Self::Tensor128 => tensor[1],
        }
    }

    /// For so many blocks of each `heads` heads.
    fn launch(self, blocks: usize, heads: usize, head_dim: usize) -> Launch {
        let x = (blocks * heads) as u32;
        match self {
            Self::Plain => Launch { grid: [x, head_dim.div_ceil(COLUMNS) as u32, 1], block: 256 },
            Self::Tensor64 | Self::Tensor128 => Launch { grid: [x, 1, 1], block: 128 },
        }
    }
}

/// What the backward pass has in memory while it works. Calls may use the same.
pub struct AttentionRoom {
    statistics: Array<f32>,
    parts: Array<f32>,
}

impl AttentionRoom {
    /// Nothing yet.
    #[must_use]
    pub fn new(machine: &Arc<dyn Machine>) -> Self {
        Self { statistics: Array::new(machine), parts: Array::new(machine) }
    }

    /// Bytes of it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.statistics.bytes() + self.parts.bytes()
    }
}

/// What a forward pass of attention took and made, and the gradient of the latter.
/// `# Shapes: q, out, d_out (rows, heads * head_dim); k, v (key_rows, kv_heads * head_dim); log_sums (rows, heads)`
#[derive(Clone, Copy)]
pub struct Attended<'a, T> {
    /// Queries.
    pub q: Slice<'a, T>,
    /// Keys.
    pub k: Slice<'a, T>,
    /// Values.
    pub v: Slice<'a, T>,
    /// What was attended.
    pub out: Slice<'a, T>,
    /// Logarithms of the sums.
    pub log_sums: Slice<'a, f32>,
    /// The gradient of `out`.
    pub d_out: Slice<'a, T>,
}

impl Kernels {
    /// What [`nn::attention::forward`](crate::nn::attention::forward) computes, near to its numbers. In bf16, probabilities are rounded to bf16
    /// before they multiply values (but for widths that tensor cores do not take: no multiple of 8, or above 128).
    ///
    /// # Errors
    /// As all functions here.
    #[allow(clippy::too_many_arguments, reason = "attention has this many inputs and outputs")]
    pub fn attention_forward<T: Activation>(
        &self,
        shape: Shape,
        spans: &Spans,
        q: Slice<'_, T>,
        k: Slice<'_, T>,
        v: Slice<'_, T>,
        out: SliceMut<'_, T>,
        log_sums: SliceMut<'_, f32>,
    ) -> Result<(), Error> {
        let (q_len, k_len) = check(shape, spans);
        assert!(q.len() == q_len && out.len() == q_len, "queries {} out {}", q.len(), out.len());
        assert!(k.len() == k_len && v.len() == k_len, "keys {} values {}", k.len(), v.len());
        assert_eq!(log_sums.len(), spans.rows * shape.heads, "logarithms of sums");
        let cores = Cores::of::<T>(shape.head_dim, &[q.at(), k.at(), v.at(), out.at()]);
        let kernel = cores.kernel::<T>(
            ["attention_forward_f32", "attention_forward_bf16"],
            ["attention_forward_64", "attention_forward_128"],
        );
        let launch = cores.launch(spans.works.len() / 2, shape.heads, shape.head_dim);
        let (list, works) = (spans.spans.all().at(), spans.works.all().at());
        let raw = RawShape::from(shape);
        let arguments = arguments![raw, list, works, q.at(), k.at(), v.at(), out.at(), log_sums.at()];
        self.launch(kernel, launch, arguments)
    }

    /// What [`nn::attention::backward`](crate::nn::attention::backward) computes, near to its numbers: the gradients of queries, keys and
    /// values. Rows of keys that no span has become 0; rows of queries that no span has are left as they are.
    ///
    /// # Errors
    /// As all functions here.
    pub fn attention_backward<T: Activation>(
        &self,
        shape: Shape,
        spans: &Spans,
        inputs: Attended<'_, T>,
        (d_q, d_k, d_v): (SliceMut<'_, T>, SliceMut<'_, T>, SliceMut<'_, T>),
        room: &mut AttentionRoom,
    ) -> Result<(), Error> {
        let Attended { q, k, v, out, log_sums, d_out } = inputs;
        let (q_len, k_len) = check(shape, spans);
        assert!(q.len() == q_len && out.len() == q_len && d_out.len() == q_len, "queries {}", q.len());
        assert!(k.len() == k_len && v.len() == k_len, "keys {} values {}", k.len(), v.len());
        assert!(d_q.len() == q_len && d_k.len() == k_len && d_v.len() == k_len, "gradients");
        assert_eq!(log_sums.len(), spans.rows * shape.heads, "logarithms of sums");
        let (rows, heads, d) = (spans.rows as u32, shape.heads, shape.head_dim);
        room.statistics.reset(2 * spans.rows * heads)?;
        room.parts.reset(spans.parts * shape.kv_heads * 2 * BLOCK * d)?;
        let (facts, parts) = (room.statistics.all().at(), room.parts.all().at());
        let kernel = T::kernel(["attention_statistics_f32", "attention_statistics_bf16"]);
        let arguments = arguments![rows, heads as u32, d as u32, out.at(), d_out.at(), log_sums.at(), facts];
        self.launch(kernel, Launch::blocks((spans.rows * heads).div_ceil(8), 1, 1), arguments)?;

        let places = [q.at(), k.at(), v.at(), d_out.at(), d_q.at(), d_k.at(), d_v.at()];
        let cores = Cores::of::<T>(d, &places);
        let [q, k, v, d_out, d_q, d_k, d_v] = places;
        let (list, works) = (spans.spans.all().at(), spans.works.all().at());
        let (tiles, visits) = (spans.tiles.all().at(), spans.visits.all().at());
        let raw = RawShape::from(shape);
        let kernel = cores.kernel::<T>(
            ["attention_queries_f32", "attention_queries_bf16"],
            ["attention_queries_64", "attention_queries_128"],
        );
        let arguments = arguments![raw, list, works, rows, q, k, v, d_out, facts, d_q];
        self.launch(kernel, cores.launch(spans.works.len() / 2, heads, d), arguments)?;
        let kernel = cores.kernel::<T>(
            ["attention_keys_f32", "attention_keys_bf16"],
            ["attention_keys_64", "attention_keys_128"],
        );
        let arguments = arguments![raw, list, tiles, visits, rows, q, k, v, d_out, facts, d_k, d_v, parts];
        self.launch(kernel, cores.launch(spans.tiles.len() / 5, shape.kv_heads, d), arguments)?;
        let kernel = T::kernel(["attention_sum_f32", "attention_sum_bf16"]);
        let summed = spans.summed.all().at();
        let launch = Launch::blocks(spans.summed.len() / 4 * shape.kv_heads, 1, 1);
        self.launch(kernel, launch, arguments![summed, shape.kv_heads as u32, d as u32, parts, d_k, d_v])
    }
}

/// How many numbers queries and keys have.
fn check(shape: Shape, spans: &Spans) -> (usize, usize) {
    check_shape(shape);
    (spans.rows * shape.heads * shape.head_dim, spans.key_rows * shape.kv_heads * shape.head_dim)
}
