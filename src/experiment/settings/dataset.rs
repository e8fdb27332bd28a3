//! `[dataset]`.

use super::{DATASETS, NO, SEED_MAX, YES, closed, count, word};
use crate::experiment::schema::{
    Default::{Absent, ByDataset, Is, Required},
    Kind::{Bool, Character, Choice, Column, File, Integer, NameOrFalse, Text},
    Lit::{Int, Num},
    Spec, When,
};

const CSV: When = When::Is("dataset.name", "csv");
const RECBOLE: When = When::Is("dataset.name", "recbole");
const SYNTHETIC: When = When::Is("dataset.name", "synthetic");

pub(super) const ROWS: &[Spec] = &[
    Spec::new("dataset.name", Choice(DATASETS), Required, "Where interactions and titles come from."),
    Spec::new(
        "dataset.min_user_interactions",
        Integer { min: 0, max: 1000 },
        Is(Int(5)),
        "Users with fewer interactions are dropped, repeatedly together with the items.",
    ),
    Spec::new(
        "dataset.min_item_interactions",
        Integer { min: 0, max: 1000 },
        Is(Int(5)),
        "Items with fewer interactions are dropped, repeatedly together with the users.",
    ),
    Spec::new(
        "dataset.min_rating",
        closed(0.0, 1e6),
        Is(Num(0.0)),
        "Interactions rated lower are dropped first; 0 means that ratings are not read.",
    ),
    Spec::new(
        "dataset.tie_rule",
        Choice(&["item-id", "file-order"]),
        Is(word("item-id")),
        "Order of a user's interactions that share a timestamp: by dense item id, or by position in the file.",
    )
    .quirk(word("item-id")),
    Spec::new(
        "dataset.item_order",
        Choice(&["raw-id", "first-seen", "python-set", "hashed"]),
        ByDataset { ml_100k: word("python-set"), others: word("hashed") },
        "How dense item ids are dealt, which decides ties in time: by ascending raw id, by first appearance in the \
         ratings file, in the order of a set of integers in CPython (what the reference does on ml-100k), or by \
         SHA-256 of the raw id (the reference's order of string ids changes from process to process and cannot be \
         reproduced; this is as unrelated to the items, but always the same).",
    )
    .quirk_when(When::Is("dataset.name", "ml-100k"), word("python-set")),
    Spec::new(
        "dataset.title_encoding",
        Choice(&["utf8", "latin1"]),
        Is(word("utf8")),
        "How the bytes of a titles file become text.",
    )
    .quirk_when(When::Is("dataset.name", "ml-100k"), word("latin1")),
    // dataset.name = "synthetic"
    Spec::new("dataset.users", count(1_000_000), Is(Int(800)), "Users to draw.").when(SYNTHETIC),
    Spec::new("dataset.items", count(1_000_000), Is(Int(300)), "Items to draw.").when(SYNTHETIC),
    Spec::new("dataset.seed", Integer { min: 0, max: SEED_MAX }, Is(Int(42)), "Seed of the generator.")
        .when(SYNTHETIC),
    Spec::new("dataset.mean_length", closed(5.0, 1000.0), Is(Num(12.0)), "Mean interactions of a user.")
        .when(SYNTHETIC),
    Spec::new("dataset.genres", count(1000), Is(Int(6)), "Genres to draw.").when(SYNTHETIC),
    Spec::new("dataset.brands", count(1000), Is(Int(10)), "Brands to draw.").when(SYNTHETIC),
    Spec::new(
        "dataset.series_length",
        Integer { min: 3, max: 1000 },
        Is(Int(6)),
        "Parts of the longest series; lengths are uniform from 3 to this.",
    )
    .when(SYNTHETIC),
    Spec::new(
        "dataset.editions",
        count(100),
        Is(Int(1)),
        "Editions of every part, each an item of its own; a user keeps to one of them.",
    )
    .when(SYNTHETIC),
    Spec::new(
        "dataset.continue_series",
        closed(0.0, 1.0),
        Is(Num(0.6)),
        "Chance that a user goes on to the next part of a series.",
    )
    .when(SYNTHETIC),
    Spec::new(
        "dataset.popular",
        closed(0.0, 1.0),
        Is(Num(0.15)),
        "Chance that a user takes a popular item instead of following a taste.",
    )
    .when(SYNTHETIC),
    // dataset.name = "csv"
    Spec::new(
        "dataset.ratings_file",
        File,
        Required,
        "Delimited text of interactions, plain or .gz; below the data folder if relative.",
    )
    .when(CSV),
    Spec::new(
        "dataset.titles_file",
        File,
        Absent,
        "Delimited text of titles, plain or .gz; without it every raw item id is its title.",
    )
    .when(CSV),
    Spec::new("dataset.delimiter", Character, Is(word(",")), "Delimiter of the ratings file.").when(CSV),
    Spec::new("dataset.header", Bool, Is(YES), "Whether the first row of the ratings file names its columns.").when(CSV),
    Spec::new("dataset.quotes", Bool, Is(YES), "Whether double quotes enclose fields, in both files.").when(CSV),
    Spec::new("dataset.user_column", Column { optional: false }, Is(word("user")), "Raw user id.").when(CSV),
    Spec::new("dataset.item_column", Column { optional: false }, Is(word("item")), "Raw item id.").when(CSV),
    Spec::new(
        "dataset.rating_column",
        Column { optional: true },
        Is(NO),
        "Rating; read only where dataset.min_rating is above 0.",
    )
    .when(CSV),
    Spec::new(
        "dataset.time_column",
        Column { optional: true },
        Is(word("timestamp")),
        "Any number that grows with time; with false, the order of rows is the order in time.",
    )
    .when(CSV),
    Spec::new("dataset.titles_delimiter", Character, Is(word(",")), "Delimiter of the titles file.").when(CSV),
    Spec::new("dataset.titles_header", Bool, Is(YES), "Whether the first row of the titles file names its columns.")
        .when(CSV),
    Spec::new(
        "dataset.title_item_column",
        Column { optional: false },
        Is(word("item")),
        "Raw item id in the titles file.",
    )
    .when(CSV),
    Spec::new("dataset.title_column", Column { optional: false }, Is(word("title")), "Title in the titles file.")
        .when(CSV),
    // dataset.name = "recbole"
    Spec::new("dataset.inter_file", File, Required, "The .inter file; below the data folder if relative.").when(RECBOLE),
    Spec::new("dataset.item_file", File, Absent, "The .item file; without it every raw item id is its title.")
        .when(RECBOLE),
    Spec::new("dataset.user_field", Text, Is(word("user_id")), "Field of the user, without its type.").when(RECBOLE),
    Spec::new("dataset.item_field", Text, Is(word("item_id")), "Field of the item, in both files.").when(RECBOLE),
    Spec::new(
        "dataset.rating_field",
        NameOrFalse,
        Is(word("rating")),
        "Field of the rating; read only where dataset.min_rating is above 0.",
    )
    .when(RECBOLE),
    Spec::new(
        "dataset.time_field",
        NameOrFalse,
        Is(word("timestamp")),
        "Field of the time; with false, the order of rows is the order in time.",
    )
    .when(RECBOLE),
    Spec::new("dataset.title_field", Text, Is(word("title")), "Field of the title in the .item file.").when(RECBOLE),
];
