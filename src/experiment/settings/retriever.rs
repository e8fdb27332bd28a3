//! `[retriever]`.

use super::{LRU, NO, YES, above, below, closed, count, word};
use crate::experiment::schema::{
    Default::{ByDataset, Is, Required},
    Kind::{Bool, Choice, Integer, Metric},
    Lit::{Int, Num},
    Spec,
};

pub(super) const ROWS: &[Spec] = &[
    Spec::new(
        "retriever.kind",
        Choice(&["lru", "popularity", "random"]),
        Required,
        "Who scores the catalogue.",
    ),
    Spec::new(
        "retriever.hidden_dim",
        count(4096),
        Is(Int(64)),
        "Width of item embeddings and between blocks.",
    )
    .when(LRU),
    Spec::new("retriever.state_dim", count(8192), Is(Int(128)), "Complex states of a recurrence.").when(LRU),
    Spec::new("retriever.blocks", count(64), Is(Int(2)), "Blocks of a recurrence and a feed-forward layer.")
        .when(LRU),
    Spec::new(
        "retriever.feed_forward_dim",
        count(16384),
        Is(Int(256)),
        "Inner width of feed-forward layers.",
    )
    .when(LRU),
    Spec::new(
        "retriever.r_min",
        below(0.0, 1.0),
        Is(Num(0.8)),
        "Inner radius of the ring of initial eigenvalues.",
    )
    .when(LRU),
    Spec::new(
        "retriever.r_max",
        below(1e-3, 1.0),
        Is(Num(0.99)),
        "Outer radius of the ring of initial eigenvalues.",
    )
    .when(LRU),
    Spec::new(
        "retriever.max_len",
        Integer { min: 2, max: 10_000 },
        ByDataset { ml_100k: Int(200), others: Int(50) },
        "Last items of a history that the model sees, and the length of a training window.",
    )
    .when(LRU),
    Spec::new(
        "retriever.batch_size",
        count(65_536),
        ByDataset { ml_100k: Int(16), others: Int(64) },
        "Training windows in a step.",
    )
    .when(LRU),
    Spec::new(
        "retriever.dropout",
        below(0.0, 1.0),
        Is(Num(0.5)),
        "Chance of dropping an activation after the embedding and in feed-forward layers.",
    )
    .when(LRU),
    Spec::new(
        "retriever.lru_dropout",
        below(0.0, 1.0),
        Is(Num(0.5)),
        "Chance of dropping an activation after a recurrence.",
    )
    .when(LRU),
    Spec::new("retriever.learning_rate", above(0.0, 10.0), Is(Num(1e-3)), "Step size of AdamW.").when(LRU),
    Spec::new(
        "retriever.weight_decay",
        closed(0.0, 10.0),
        ByDataset { ml_100k: Num(0.0), others: Num(0.01) },
        "Decoupled weight decay of AdamW; biases and layer norms have none.",
    )
    .when(LRU),
    Spec::new(
        "retriever.adam_beta1",
        below(0.0, 1.0),
        Is(Num(0.9)),
        "AdamW's decay of the mean of gradients.",
    )
    .when(LRU),
    Spec::new(
        "retriever.adam_beta2",
        below(0.0, 1.0),
        Is(Num(0.999)),
        "AdamW's decay of the mean square of gradients.",
    )
    .when(LRU),
    Spec::new(
        "retriever.adam_epsilon",
        above(0.0, 1.0),
        Is(Num(1e-9)),
        "What AdamW adds to the root of the mean square.",
    )
    .when(LRU),
    Spec::new(
        "retriever.max_grad_norm",
        above(0.0, 1e6),
        Is(Num(5.0)),
        "Global norm at which gradients are clipped.",
    )
    .when(LRU),
    Spec::new("retriever.max_epochs", count(100_000), Is(Int(500)), "Most passes over the training windows.")
        .when(LRU),
    Spec::new(
        "retriever.validate_every_steps",
        count(10_000_000),
        Is(Int(500)),
        "Steps between validations; there is one before the first step too.",
    )
    .when(LRU),
    Spec::new(
        "retriever.patience",
        count(1_000_000),
        Is(Int(20)),
        "Validations in a row without a better one after which training stops.",
    )
    .when(LRU),
    Spec::new(
        "retriever.select_by",
        Metric,
        Is(word("recall@10")),
        "The validation metric that chooses the weights.",
    )
    .when(LRU),
    Spec::new(
        "retriever.first_item_label",
        Bool,
        Is(YES),
        "Whether the last padding position is trained to predict the first item of a window.",
    )
    .when(LRU)
    .quirk(YES),
    Spec::new(
        "retriever.window_remainder",
        Choice(&["drop", "keep"]),
        Is(word("drop")),
        "What happens to the leading items of a long sequence that do not fill a training window.",
    )
    .when(LRU)
    .quirk(word("drop")),
    Spec::new(
        "retriever.mask_history_in_validation",
        Bool,
        Is(NO),
        "Whether validation during training leaves out items of the history, as the test does.",
    )
    .when(LRU)
    .quirk(NO),
    Spec::new(
        "retriever.weight_decay_rule",
        Choice(&["given", "reference-0.01"]),
        Is(word("given")),
        "Whether weight_decay is used as given; the reference overwrites it with 0.01.",
    )
    .when(LRU)
    .quirk(word("reference-0.01")),
];
