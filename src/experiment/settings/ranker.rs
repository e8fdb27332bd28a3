//! `[backbone]` and `[ranker]`.

use super::{YES, above, below, closed, count, word};
use crate::experiment::schema::{
    Default::{self, Absent, ByDataset, Is, Required},
    Kind::{self, Bool, Choice, Choices, Integer, Metric, Text},
    Lit::{self, Int, Num},
    Spec, When,
};

const fn ranker(key: &'static str, kind: Kind, default: Default, doc: &'static str) -> Spec {
    Spec::new(key, kind, default, doc).when(When::Backbone)
}

pub(super) const ROWS: &[Spec] = &[
    ranker("backbone.name", Text, Required, "A Hugging Face repository or a local folder of weights."),
    ranker("backbone.revision", Text, Absent, "A branch, tag or commit of the repository."),
    ranker(
        "backbone.weights",
        Choice(&["files", "random"]),
        Is(word("files")),
        "Where the weights come from: the model's files, or drawn at random for its shape, to measure speed and memory without \
         them; what is computed with random ones is not for reporting.",
    ),
    ranker(
        "backbone.quantization",
        Choice(&["nf4", "int8", "bf16", "f32"]),
        Is(word("nf4")),
        "How frozen linear layers are stored.",
    ),
    ranker(
        "backbone.double_quantization",
        Bool,
        Is(YES),
        "Whether the scales of nf4 blocks are quantized as well; without effect on the others.",
    ),
    ranker(
        "backbone.compute_type",
        Choice(&["bf16", "f32"]),
        Is(word("bf16")),
        "The type that activations are computed in.",
    ),
    ranker(
        "ranker.tune",
        Bool,
        Is(YES),
        "Whether adapters are trained; false ranks with the backbone as it is.",
    ),
    ranker("ranker.history_items", count(1000), Is(Int(20)), "Last items of the history in the prompt."),
    ranker("ranker.title_tokens", count(10_000), Is(Int(32)), "Tokens at which a title is cut."),
    ranker(
        "ranker.max_prompt_tokens",
        Integer { min: 16, max: 1_000_000 },
        Is(Int(1536)),
        "Tokens at which a prompt is cut on the left.",
    ),
    ranker(
        "ranker.overlong_prompts",
        Choice(&["cut-left", "drop-oldest"]),
        Is(word("cut-left")),
        "What a prompt over max_prompt_tokens loses: tokens on the left, the instruction first, or its oldest history \
         items (then tokens, if candidates alone are too long).",
    ),
    ranker("ranker.lora_r", count(4096), Is(Int(8)), "Rank of the adapters."),
    ranker("ranker.lora_alpha", above(0.0, 1e6), Is(Num(32.0)), "Scale of the adapters, divided by their rank."),
    ranker("ranker.lora_dropout", below(0.0, 1.0), Is(Num(0.05)), "Chance of dropping an input of an adapter."),
    ranker(
        "ranker.lora_targets",
        Choices(&["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]),
        Is(Lit::Texts(&["q_proj", "v_proj"])),
        "Linear layers that get an adapter.",
    ),
    ranker("ranker.learning_rate", above(0.0, 10.0), Is(Num(1e-4)), "Peak step size of AdamW."),
    ranker(
        "ranker.warmup_steps",
        Integer { min: 0, max: 10_000_000 },
        Is(Int(100)),
        "Steps in which the learning rate rises to its peak; it then falls linearly to 0.",
    ),
    ranker("ranker.weight_decay", closed(0.0, 10.0), Is(Num(0.0)), "Decoupled weight decay of AdamW."),
    ranker("ranker.adam_beta1", below(0.0, 1.0), Is(Num(0.9)), "AdamW's decay of the mean of gradients."),
    ranker("ranker.adam_beta2", below(0.0, 1.0), Is(Num(0.999)), "AdamW's decay of the mean square of gradients."),
    ranker("ranker.adam_epsilon", above(0.0, 1.0), Is(Num(1e-8)), "What AdamW adds to the root of the mean square."),
    ranker("ranker.max_grad_norm", above(0.0, 1e6), Is(Num(1.0)), "Global norm at which gradients are clipped."),
    ranker(
        "ranker.batch_size",
        count(65_536),
        ByDataset { ml_100k: Int(16), others: Int(12) },
        "Prompts in a step.",
    ),
    ranker("ranker.epochs", count(100_000), Is(Int(1)), "Passes over the training prompts."),
    ranker(
        "ranker.max_steps",
        count(1_000_000_000),
        Absent,
        "Steps after which training ends, if the epochs have more; the learning rate falls to 0 over them.",
    ),
    ranker("ranker.validate_every_steps", count(10_000_000), Is(Int(100)), "Steps between validations."),
    ranker(
        "ranker.patience",
        count(1_000_000),
        Is(Int(20)),
        "Validations in a row without a better one after which training stops.",
    ),
    ranker("ranker.select_by", Metric, Is(word("ndcg@10")), "The validation metric that chooses the adapter."),
    ranker(
        "ranker.validation_users",
        Integer { min: 0, max: 1_000_000_000 },
        Is(Int(0)),
        "Users of R that a validation ranks, drawn once with the seed; 0 means all.",
    ),
    ranker(
        "ranker.micro_batch_tokens",
        Integer { min: 1, max: 1_000_000_000 },
        Is(Int(4096)),
        "Tokens that go through the model at once, in training and scoring; a step of batch_size prompts is cut into as many \
         such parts as it needs. A prompt is never cut for it. A device with too little memory takes a part in halves.",
    ),
    ranker(
        "ranker.gradient_checkpointing",
        Choice(&["auto", "always", "never"]),
        Is(word("auto")),
        "Whether layers are computed again in the backward pass instead of kept: the same bits with less memory and up \
         to half more time. \"auto\" does so where keeping them would take more than 2 GiB; on a device, for as many layers as its memory demands.",
    ),
    ranker(
        "ranker.device_weights",
        Choice(&["stored", "bf16"]),
        Is(word("stored")),
        "How a device holds the quantized layers of the backbone: as they are stored, and made bf16 each time they are multiplied; or as \
         bf16 from the start, where its memory has room for that: the same numbers in less time, with four times the memory of NF4. Where \
         compute_type is \"f32\" they stay as they are stored.",
    ),
    ranker("ranker.negatives", count(1000), Is(Int(19)), "Negatives beside the target in a training prompt."),
    ranker(
        "ranker.negatives_with_repetition",
        Bool,
        Is(YES),
        "Whether one item can be drawn twice as a negative of one prompt.",
    )
    .quirk(YES),
    ranker(
        "ranker.negatives_from_future",
        Bool,
        Is(YES),
        "Whether items that the user consumes later can be negatives.",
    )
    .quirk(YES),
    ranker(
        "ranker.candidate_order",
        Choice(&["retriever", "shuffled"]),
        Is(word("retriever")),
        "Order of candidates in validation and test; in the retriever's, a letter gives away its rank.",
    )
    .quirk(word("retriever")),
    ranker(
        "ranker.read_out",
        Choice(&["in-context", "standalone"]),
        Is(word("in-context")),
        "Which token ids stand for the letters: those after the prompt's newline, which training sees, or those of \
         letters tokenized on their own.",
    )
    .quirk(word("standalone")),
    ranker(
        "ranker.truncated_training_loses_bos",
        Bool,
        Is(YES),
        "Whether an over-long training prompt loses its first token to the end token appended.",
    )
    .quirk(YES),];
