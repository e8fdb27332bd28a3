//! What can be wrong with files of weights.

use std::path::PathBuf;

/// Files of weights that cannot be used. Places are `file: tensor`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A text that stands for the file in a git repository.
    #[error(
        "{}: a pointer of Git LFS, not the weights themselves; run `git lfs pull` in its repository, or fetch the model again",
        path.display()
    )]
    Pointer {
        /// The file.
        path: PathBuf,
    },
    /// Bytes that are not a whole safetensors file.
    #[error("{}: {problem}; the file is damaged or was not fetched in full: fetch it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Numbers of a type that is not read.
    #[error(
        "{}: {tensor} has numbers of type {found}, expected F32, F16 or BF16; name the checkpoint that is not quantized \
         (backbone.quantization quantizes it while it is read)",
        path.display()
    )]
    Type {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type in the file.
        found: String,
    },
    /// A shape that disagrees with the description.
    #[error(
        "{}: {tensor} has the shape {found:?}, but config.json makes it {expected:?}; are both of one model? Fetch them again",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape in the file.
        found: Vec<usize>,
        /// The shape by the description.
        expected: Vec<usize>,
    },
    /// A weight that is NaN or infinite.
    #[error(
        "{}: {tensor} holds {value} at {at:?}; the file is damaged or its training diverged: fetch it again, or name another model",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The place of the element, an index for each dimension.
        at: Vec<usize>,
        /// The element.
        value: f32,
    },
    /// Tensors that the description asks for.
    #[error(
        "{}: {} missing, of the {expected} tensors that config.json makes; fetch the model again, or correct config.json",
        path.display(), some(tensors)
    )]
    Lacks {
        /// The file, or the index of several.
        path: PathBuf,
        /// The names.
        tensors: Vec<String>,
        /// How many tensors the description makes.
        expected: usize,
    },
    /// Weights that the description has no place for, without which the model is another one.
    #[error(
        "{}: {} not in the model that config.json describes; are both of one model? Fetch them again",
        path.display(), some(tensors)
    )]
    Unexpected {
        /// The file, or the index of several.
        path: PathBuf,
        /// The names.
        tensors: Vec<String>,
    },
    /// One name in two files.
    #[error("{tensor} is in {} and in {}, expected in one; remove the file that is not of this model", first.display(), second.display())]
    Twice {
        /// The tensor.
        tensor: String,
        /// One file.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A file lacks a tensor that the index places there.
    #[error("{}: {tensor} should be in {}, which has no such tensor; fetch both again", index.display(), path.display())]
    Displaced {
        /// The index.
        index: PathBuf,
        /// The tensor.
        tensor: String,
        /// The file in which it should be.
        path: PathBuf,
    },
    /// A tensor that the index does not list.
    #[error("{}: {tensor} is not listed, but {} has it; fetch both again", index.display(), path.display())]
    Unlisted {
        /// The index.
        index: PathBuf,
        /// The tensor.
        tensor: String,
        /// The file that has it.
        path: PathBuf,
    },
    /// Weights that are stored in fewer bits are not written.
    #[error(
        "weights stored as {found} cannot be written; expected f32 or bf16: load them with backbone.quantization = \"f32\""
    )]
    Quantized {
        /// The storage.
        found: String,
    },
}

/// `a is`, `a and b are`, `a, b, c and 7 more are`.
fn some(names: &[String]) -> String {
    match names {
        [one] => format!("{one} is"),
        [one, two] => format!("{one} and {two} are"),
        [one, two, three] => format!("{one}, {two} and {three} are"),
        [one, two, three, rest @ ..] => format!("{one}, {two}, {three} and {} more are", rest.len()),
        [] => "nothing is".to_owned(),
    }
}
