//! The output layer: only the rows and the classes that somebody asked for.

use super::workspace::Workspace;
use crate::nn::gemm::Start;
use crate::nn::matmul::{self, Dense, Matrix, Precision};
use crate::nn::{rows, softmax};

/// Rows whose logits are in memory at once.
pub(super) const BLOCK: usize = 64;

/// Scores of the classes `ids` for each row of `hidden`, in f32 whatever the precision of the layers.
///
/// `# Shapes: head (v, d), hidden (m, d); gives (m, ids)`
pub(super) fn scores(head: &dyn Matrix, hidden: &[f32], ids: &[u32], workspace: &mut Workspace) -> Vec<f32> {
    let d = head.cols();
    let m = hidden.len() / d;
    let letters = workspace.letters.reset(ids.len() * d);
    rows::embed(head, ids, letters);
    let mut scores = vec![0.0; m * ids.len()];
    let letters = Dense { data: letters, rows: ids.len(), cols: d };
    let products = &mut workspace.scratch.products;
    matmul::forward(Precision::F32, m, hidden, &letters, &mut scores, Start::Zero, products);
    scores
}

/// The sum of the cross-entropies of the rows of `hidden` in the workspace, times `share`; `share` times its gradient goes to
/// `d_hidden`.
///
/// `# Shapes: head (v, d), hidden (m, d), labels (m)`
pub(super) fn loss(
    head: &dyn Matrix,
    labels: &[u32],
    share: f64,
    precision: Precision,
    workspace: &mut Workspace,
) -> f64 {
    let (v, d) = (head.rows(), head.cols());
    let Workspace { hidden, d_hidden, logits, scratch, .. } = workspace;
    let products = &mut scratch.products;
    d_hidden.reset(hidden.len());
    let mut total = 0.0;
    for (block, labels) in labels.chunks(BLOCK).enumerate() {
        let (at, m) = (block * BLOCK * d, labels.len());
        let logits = logits.reset(m * v);
        matmul::forward(precision, m, &hidden[at..][..m * d], head, logits, Start::Zero, products);
        total += softmax::cross_entropy(v, logits, labels, share as f32);
        matmul::backward(precision, m, logits, head, &mut d_hidden[at..][..m * d], Start::Zero, products);
    }
    total
}
