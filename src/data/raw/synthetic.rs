//! The built-in dataset: users who follow series, with titles that say which.
//!
//! What comes next is partly in the titles (the next part of a series; another series of the same genre and brand), partly
//! only in what others did (every series has a companion that its title does not betray, and there is a popular head).
//! A part may come in several editions, of which a user keeps to one: titles say so at once, while interactions are thinned out
//! by as much and tell it late.
//! Only additions, products and quotients of f64 and 64-bit integers are used, so the data are the same everywhere.

use rand::Rng;
use rand_pcg::Pcg64;

use super::{Context, Interaction, Interactions, Raw, Titles, intern_made};
use crate::data::error::Error;
use crate::experiment::SyntheticSpec;
use crate::seed::Seed;

const GENRES: [&str; 12] = [
    "Mystery",
    "Fantasy",
    "Science Fiction",
    "Cooking",
    "Travel",
    "History",
    "Romance",
    "Gardening",
    "Horror",
    "Music",
    "Nature",
    "Sports",
];
const BRANDS: [&str; 16] = [
    "Halcyon Press",
    "Northlight",
    "Copper Fox",
    "Bluestem",
    "Orchard House",
    "Red Lantern",
    "Tidewater",
    "Stonebridge",
    "Silver Birch",
    "Meridian",
    "Lark & Sons",
    "Greywood",
    "Sunfield",
    "Ironbark",
    "Paper Crane",
    "Wild Harbor",
];
const ADJECTIVES: [&str; 24] = [
    "Amber",
    "Silent",
    "Crimson",
    "Hidden",
    "Golden",
    "Broken",
    "Winter",
    "Distant",
    "Emerald",
    "Hollow",
    "Burning",
    "Secret",
    "Ivory",
    "Wandering",
    "Frozen",
    "Scarlet",
    "Ancient",
    "Velvet",
    "Restless",
    "Painted",
    "Lonely",
    "Shining",
    "Forgotten",
    "Gentle",
];
const NOUNS: [&str; 24] = [
    "Citadel",
    "River",
    "Garden",
    "Compass",
    "Lighthouse",
    "Orchard",
    "Mirror",
    "Harbor",
    "Crown",
    "Forest",
    "Bridge",
    "Tower",
    "Valley",
    "Island",
    "Lantern",
    "Mountain",
    "Market",
    "Library",
    "Meadow",
    "Station",
    "Theatre",
    "Canyon",
    "Workshop",
    "Horizon",
];

const EDITIONS: [&str; 6] =
    ["Hardcover", "Paperback", "Audiobook", "E-book", "Large Print", "Collector's Edition"];

/// Chance that a user of several editions takes the one that he or she always takes.
const KEEP_EDITION: f64 = 0.95;

/// Every user has at least this many interactions, so that the 5-core keeps the users.
const MIN_LENGTH: u32 = 5;

/// Where a user turns after a series: chances of its companion, of a series of the same genre and brand, and of one of the
/// user's favourite genre; the rest is any series.
const COMPANION: f64 = 0.35;
const SAME_GENRE_AND_BRAND: f64 = 0.35;
const FAVOURITE_GENRE: f64 = 0.2;

/// Chance to enter a series at its first part that is still unread.
const ENTER_AT_FIRST: f64 = 0.85;

pub(crate) fn read(spec: &SyntheticSpec, context: Context<'_>) -> Result<Raw, Error> {
    check(spec)?;
    let seed = Seed::new(spec.seed);
    let world = World::new(spec, &mut Draw(seed.stream("data/synthetic/items")));
    let mut titles = Titles::default();
    let mut interactions = Interactions::default();
    for (item, title) in world.titles.iter().enumerate() {
        titles.insert(context.data_dir, item as u64 + 1, world.raw_ids[item].as_bytes(), title)?;
    }
    let mut reader = ReadParts { stamps: vec![0; world.series_of.len()], stamp: 0 };
    let mut draw = Draw(seed.stream("data/synthetic/users"));
    let width = digits(spec.users);
    for user in 1..=spec.users {
        let raw_user = format!("u{user:0width$}");
        let user = intern_made(&mut interactions.users, &raw_user, "users", context)?;
        let mut time = 1_600_000_000 + draw.below(1 << 25) as i64;
        let usual = world.edition(&mut draw);
        for part in world.walk(spec, &mut reader, &mut draw) {
            time += 3_600 + draw.below(3 * 86_400) as i64;
            let item = world.item(part, usual, &mut draw);
            let item = intern_made(&mut interactions.items, &world.raw_ids[item], "items", context)?;
            interactions.rows.push(Interaction { user, item, time });
        }
    }
    interactions.rows_read = interactions.rows.len() as u64;
    Ok(Raw { name: "synthetic".to_owned(), interactions, titles: Some(titles), source_files: Vec::new() })
}

fn check(spec: &SyntheticSpec) -> Result<(), Error> {
    let wrong = |setting, found: String, expected| Err(Error::Synthetic { setting, found, expected });
    let counts = [
        ("users", spec.users, 1, "at least 1"),
        ("items", spec.items, 1, "at least 1"),
        ("genres", spec.genres, 1, "at least 1"),
        ("brands", spec.brands, 1, "at least 1"),
        ("series_length", spec.series_length, 3, "at least 3"),
        ("editions", spec.editions, 1, "at least 1"),
    ];
    for (setting, found, least, expected) in counts {
        if found < least {
            return wrong(setting, found.to_string(), expected);
        }
    }
    if !spec.items.is_multiple_of(spec.editions) {
        return wrong("items", spec.items.to_string(), "a multiple of dataset.editions");
    }
    if !(f64::from(MIN_LENGTH)..=10_000.0).contains(&spec.mean_length) {
        return wrong("mean_length", spec.mean_length.to_string(), "between 5 and 10000");
    }
    for (setting, found) in [("continue_series", spec.continue_series), ("popular", spec.popular)] {
        if !(0.0..=1.0).contains(&found) {
            return wrong(setting, found.to_string(), "a chance between 0 and 1");
        }
    }
    Ok(())
}

/// A run of parts, first part first.
struct Series {
    genre: u32,
    brand: u32,
    first: usize,
    parts: usize,
}

struct World {
    series: Vec<Series>,
    /// For each series the one that its readers like too.
    companion: Vec<usize>,
    by_genre: Vec<Weighted>,
    /// At `genre * brands + brand`.
    by_both: Vec<Weighted>,
    any: Weighted,
    popular: Weighted,
    brands: u32,
    /// At `part * editions + edition`, as raw ids are.
    titles: Vec<String>,
    /// Dealt at random, so that neither ids nor their order say anything.
    raw_ids: Vec<String>,
    /// For each part its series.
    series_of: Vec<usize>,
    editions: u32,
}

impl World {
    fn new(spec: &SyntheticSpec, draw: &mut Draw) -> Self {
        let n = (spec.items / spec.editions) as usize;
        let names = draw.permutation(ADJECTIVES.len() * NOUNS.len());
        let mut series: Vec<Series> = Vec::new();
        let (mut titles, mut series_of) = (Vec::with_capacity(spec.items as usize), Vec::with_capacity(n));
        while series_of.len() < n {
            let (genre, brand) = (draw.below(spec.genres), draw.below(spec.brands));
            let parts = 3 + draw.below(spec.series_length - 2) as usize;
            let parts = parts.min(n - series_of.len());
            let name = series_name(names[series.len() % names.len()], series.len() / names.len());
            series.push(Series { genre, brand, first: series_of.len(), parts });
            for part in 1..=parts {
                let (brand, genre) = (listed(&BRANDS, brand, "Brand"), listed(&GENRES, genre, "Genre"));
                for edition in 0..spec.editions {
                    let edition = match spec.editions {
                        1 => String::new(),
                        _ => format!(" [{}]", listed(&EDITIONS, edition, "Edition")),
                    };
                    titles.push(format!("{brand}: {name}, Part {part} ({genre}){edition}"));
                }
                series_of.push(series.len() - 1);
            }
        }
        let companion = draw.permutation(series.len());
        // Series were drawn at random, so their order can serve as their popularity: weights fall as 1 / rank.
        let weight = |series: usize| 1.0 / (series as f64 + 8.0);
        let of = |wanted: &dyn Fn(&Series) -> bool| {
            Weighted::new((0..series.len()).filter(|&at| wanted(&series[at])).map(|at| (at, weight(at))))
        };
        let by_genre = (0..spec.genres).map(|genre| of(&|series| series.genre == genre)).collect();
        let pairs = (0..spec.genres).flat_map(|genre| (0..spec.brands).map(move |brand| (genre, brand)));
        let by_both = pairs
            .map(|(genre, brand)| of(&|series| series.genre == genre && series.brand == brand))
            .collect();
        let any = of(&|_| true);
        let popular = Weighted::new(series_of.iter().enumerate().map(|(item, &at)| {
            let part = item - series[at].first;
            (item, weight(at) / (part as f64 + 1.0))
        }));
        let width = digits(spec.items);
        let raw_ids =
            draw.permutation(titles.len()).into_iter().map(|id| format!("i{:0width$}", id + 1)).collect();
        let (brands, editions) = (spec.brands, spec.editions);
        Self {
            series,
            companion,
            by_genre,
            by_both,
            any,
            popular,
            brands,
            titles,
            raw_ids,
            series_of,
            editions,
        }
    }

    /// The edition that a user keeps to. Nothing is drawn where there is only one.
    fn edition(&self, draw: &mut Draw) -> u32 {
        if self.editions > 1 { draw.below(self.editions) } else { 0 }
    }

    /// A part in the usual edition, or now and then in any.
    fn item(&self, part: usize, usual: u32, draw: &mut Draw) -> usize {
        let edition =
            if self.editions == 1 || draw.unit() < KEEP_EDITION { usual } else { self.edition(draw) };
        part * self.editions as usize + edition as usize
    }

    /// The parts that one user reads, in order, none twice.
    fn walk(&self, spec: &SyntheticSpec, read: &mut ReadParts, draw: &mut Draw) -> Vec<usize> {
        read.forget();
        let favourite = self.series[self.any.draw(draw)].genre;
        let length = draw.length(spec.mean_length).min(self.series_of.len());
        let mut items: Vec<usize> = Vec::with_capacity(length);
        while items.len() < length {
            let last = items.last().copied();
            let next = self.step(spec, last, favourite, read, draw);
            let next = next.filter(|&item| read.is_new(item)).or_else(|| self.anything(read, draw));
            let Some(next) = next else { break };
            read.mark(next);
            items.push(next);
        }
        items
    }

    fn step(
        &self,
        spec: &SyntheticSpec,
        last: Option<usize>,
        favourite: u32,
        read: &ReadParts,
        draw: &mut Draw,
    ) -> Option<usize> {
        if draw.unit() < spec.popular {
            return Some(self.popular.draw(draw));
        }
        let Some(last) = last else {
            return self.enter(self.by_genre[favourite as usize].draw(draw), read, draw);
        };
        let current = self.series_of[last];
        let Series { genre, brand, first, parts } = self.series[current];
        if last + 1 < first + parts && draw.unit() < spec.continue_series {
            return Some(last + 1);
        }
        let turn = draw.unit();
        let series = if turn < COMPANION {
            self.companion[current]
        } else if turn < COMPANION + SAME_GENRE_AND_BRAND {
            self.by_both[(genre * self.brands + brand) as usize].draw(draw)
        } else if turn < COMPANION + SAME_GENRE_AND_BRAND + FAVOURITE_GENRE {
            self.by_genre[favourite as usize].draw(draw)
        } else {
            self.any.draw(draw)
        };
        self.enter(series, read, draw)
    }

    /// An unread part of a series.
    fn enter(&self, series: usize, read: &ReadParts, draw: &mut Draw) -> Option<usize> {
        let Series { first, parts, .. } = self.series[series];
        if draw.unit() < ENTER_AT_FIRST {
            (first..first + parts).find(|&item| read.is_new(item))
        } else {
            Some(first + draw.below(parts as u32) as usize)
        }
    }

    /// A popular unread item, or after some tries the first unread one.
    fn anything(&self, read: &ReadParts, draw: &mut Draw) -> Option<usize> {
        (0..16)
            .map(|_| self.popular.draw(draw))
            .find(|&item| read.is_new(item))
            .or_else(|| (0..self.series_of.len()).find(|&item| read.is_new(item)))
    }
}

/// Which parts the current user has read, cleared in one step.
struct ReadParts {
    stamps: Vec<u32>,
    stamp: u32,
}

impl ReadParts {
    fn forget(&mut self) {
        self.stamp += 1;
    }

    fn is_new(&self, item: usize) -> bool {
        self.stamps[item] != self.stamp
    }

    fn mark(&mut self, item: usize) {
        self.stamps[item] = self.stamp;
    }
}

/// Draws indices in proportion to weights.
struct Weighted {
    indices: Vec<usize>,
    sums: Vec<f64>,
}

impl Weighted {
    fn new(entries: impl Iterator<Item = (usize, f64)>) -> Self {
        let mut total = 0.0;
        let (indices, sums) = entries
            .map(|(index, weight)| {
                total += weight;
                (index, total)
            })
            .unzip();
        Self { indices, sums }
    }

    /// Callers draw only for genres and brands of a series that exists, so there is at least one entry.
    fn draw(&self, draw: &mut Draw) -> usize {
        let at = draw.unit() * self.sums[self.sums.len() - 1];
        self.indices[self.sums.partition_point(|&sum| sum <= at).min(self.indices.len() - 1)]
    }
}

/// The few draws that are needed, spelt out so that a new version of a library changes no data.
struct Draw(Pcg64);

impl Draw {
    /// Uniform in [0, 1), 53 bits.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in 0..n (Lemire 2019, without the rejection: the bias is below n / 2^64).
    fn below(&mut self, n: u32) -> u32 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u32
    }

    /// Fisher-Yates.
    fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            order.swap(last, self.below(last as u32 + 1) as usize);
        }
        order
    }

    /// [`MIN_LENGTH`] plus a geometric number with the rest of the mean, at most ten means.
    fn length(&mut self, mean: f64) -> usize {
        let rest = mean - f64::from(MIN_LENGTH);
        let stop = 1.0 / (1.0 + rest);
        let mut length = MIN_LENGTH as usize;
        while (length as f64) < mean * 10.0 && self.unit() >= stop {
            length += 1;
        }
        length
    }
}

fn series_name(name: usize, round: usize) -> String {
    let (adjective, noun) = (ADJECTIVES[name / NOUNS.len()], NOUNS[name % NOUNS.len()]);
    if round == 0 {
        format!("The {adjective} {noun}")
    } else {
        format!("The {adjective} {noun} {}", round + 1)
    }
}

fn listed(names: &[&str], at: u32, kind: &str) -> String {
    names.get(at as usize).map_or_else(|| format!("{kind} {}", at + 1), |&name| name.to_owned())
}

/// How many digits `n` has, so that ids of one kind have one length.
fn digits(n: u32) -> usize {
    n.to_string().len()
}
