//! What a file can ask of the second stage: a language model and how it is taught to rank candidates.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};

use super::SelectBy;

/// The language model that ranks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneSpec {
    /// A Hugging Face repository (`meta-llama/Llama-2-7b-hf`) or a local folder of weights.
    pub name: String,
    /// A branch, tag or commit of the repository; none means the default branch.
    pub revision: Option<String>,
    /// Where its weights come from.
    pub weights: WeightsFrom,
    /// How the frozen linear layers are stored.
    pub quantization: Quantization,
    /// Whether the scales of NF4 blocks are quantized as well.
    pub double_quantization: bool,
    /// The type that activations are computed in.
    pub compute_type: ComputeType,
}

/// Where the weights of the language model come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightsFrom {
    /// Its files.
    #[default]
    Files,
    /// They are drawn at random for its shape, to measure speed and memory.
    Random,
}

/// How frozen linear layers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantization {
    /// 4-bit normal float (QLoRA).
    Nf4,
    /// 8-bit integers.
    Int8,
    /// bfloat16: not quantized.
    Bf16,
    /// 32-bit float: not quantized.
    F32,
}

/// The type that activations are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComputeType {
    /// bfloat16.
    Bf16,
    /// 32-bit float.
    F32,
}

/// Prompt, training and read-out of the ranker (protocol section 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankerSpec {
    /// Whether adapters are trained.
    pub tune: bool,
    /// Last items of the history that the prompt shows.
    pub history_items: u32,
    /// Tokens at which a title is cut.
    pub title_tokens: u32,
    /// Tokens at which a prompt is cut on the left.
    pub max_prompt_tokens: u32,
    /// What a longer prompt loses.
    pub overlong_prompts: OverlongPrompts,
    /// Rank of the adapters.
    pub lora_r: u32,
    /// Scale of the adapters, divided by their rank.
    pub lora_alpha: f64,
    /// Probability of dropping an input of an adapter.
    pub lora_dropout: f64,
    /// Linear layers that get an adapter: each once, in the order of a layer, however they were written.
    #[serde(deserialize_with = "each_once")]
    pub lora_targets: Vec<LoraTarget>,
    /// Peak step size of AdamW.
    pub learning_rate: f64,
    /// Steps in which the learning rate rises to its peak; it then falls linearly to 0.
    pub warmup_steps: u32,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// AdamW's decay of the mean of gradients.
    pub adam_beta1: f64,
    /// AdamW's decay of the mean of squared gradients.
    pub adam_beta2: f64,
    /// What AdamW adds to the root of the mean squared gradient.
    pub adam_epsilon: f64,
    /// Global norm at which gradients are clipped.
    pub max_grad_norm: f64,
    /// Prompts in a step.
    pub batch_size: u32,
    /// Passes over the training prompts.
    pub epochs: u32,
    /// Most steps, if the epochs have more.
    pub max_steps: Option<u32>,
    /// Steps between two validations.
    pub validate_every_steps: u32,
    /// Validations in a row without a better one after which training stops.
    pub patience: u32,
    /// The validation metric that chooses the adapter.
    pub select_by: SelectBy,
    /// Users of R that a validation ranks; 0 means all.
    pub validation_users: u32,
    /// Tokens that go through the model at once.
    pub micro_batch_tokens: u32,
    /// Whether layers are computed again in the backward pass. Results do not depend on it.
    pub gradient_checkpointing: Checkpointing,
    /// How a device holds the quantized layers of the backbone. Results do not depend on it.
    pub device_weights: DeviceWeights,
    /// Negatives beside the target in a training prompt.
    pub negatives: u32,
    /// Quirk: whether one item can be drawn twice as a negative of one prompt.
    pub negatives_with_repetition: bool,
    /// Quirk: whether items that the user consumes later can be negatives.
    pub negatives_from_future: bool,
    /// Quirk: the order in which candidates are shown in validation and test.
    pub candidate_order: CandidateOrder,
    /// Quirk: which token ids stand for the letters.
    pub read_out: ReadOut,
    /// Quirk: whether an over-long training prompt loses its first token to the end token appended.
    pub truncated_training_loses_bos: bool,
}

/// Whether layers are computed again in the backward pass instead of kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checkpointing {
    /// Where keeping them would take much memory.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// How a device holds quantized layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceWeights {
    /// As they are stored.
    Stored,
    /// As bf16.
    Bf16,
}

/// Settings of the second stage on which no result depends.
pub const WITHOUT_INFLUENCE: [&str; 2] = ["gradient_checkpointing", "device_weights"];

/// A linear layer of a Llama block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoraTarget {
    /// Attention queries.
    QProj,
    /// Attention keys.
    KProj,
    /// Attention values.
    VProj,
    /// Attention output.
    OProj,
    /// Feed-forward gate.
    GateProj,
    /// Feed-forward input.
    UpProj,
    /// Feed-forward output.
    DownProj,
}

/// A set is meant, so neither order nor repetition may decide a result or its key.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<LoraTarget>, D::Error> {
    let targets = BTreeSet::<LoraTarget>::deserialize(deserializer)?;
    Ok(targets.into_iter().collect())
}

/// What a prompt that is too long loses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OverlongPrompts {
    /// Tokens on the left, so the beginning of the instruction first (what the reference does).
    CutLeft,
    /// Its oldest history items, one by one; the last item stays. What is still too long then is cut on the left.
    DropOldest,
}

/// The order in which candidates are shown in validation and test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateOrder {
    /// Best first, as retrieved: a letter gives away the retriever's rank.
    Retriever,
    /// In a seeded random order.
    Shuffled,
}

/// Which token ids stand for the letters A to T when scores are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadOut {
    /// The ids that follow the newline of the prompt: those that training sees.
    InContext,
    /// The ids of letters tokenized on their own (what the reference reads).
    Standalone,
}
