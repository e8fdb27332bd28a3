//! What kernels cannot do without: bytes to move and operations to do, of one training step.

use bench::retrieve::lru::plan::Shape;

/// Bytes that a kernel has to read and write, and operations that it does, in all launches of a step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Floor {
    pub bytes: f64,
    pub operations: f64,
}

impl Floor {
    /// Seconds at a bandwidth and a rate, and which of the two it is.
    pub fn seconds(self, bandwidth: f64, rate: f64) -> (f64, &'static str) {
        let (moving, computing) = (self.bytes / bandwidth, self.operations / rate);
        if moving >= computing { (moving, "bytes") } else { (computing, "operations") }
    }
}

/// A step: its positions, the weights of the model, and the different tokens.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub shape: Shape,
    pub positions: usize,
    pub weights: usize,
    pub tokens: usize,
}

impl Step {
    /// Of a kernel; `None` of those that touch only a few kilobytes.
    pub fn floor(&self, kernel: &str) -> Option<Floor> {
        let Shape { hidden, state, feed_forward, blocks, .. } = self.shape;
        let [d, c, f, b, m, n, u] =
            [hidden, state, feed_forward, blocks, self.positions, self.weights, self.tokens]
                .map(|n| n as f64);
        let v = self.shape.vocabulary() as f64;
        let floats = |numbers: f64| Some(Floor { bytes: 4.0 * numbers, operations: 0.0 });
        let products = |operations: f64| Some(Floor { bytes: 0.0, operations });
        match kernel {
            "gather_rows" => floats(2.0 * m * d),
            "scatter_rows" => floats(m * d + 2.0 * u * d),
            // Input, residual where there is one, output, and what is kept.
            "norm_forward" => floats(3.0 * m * d + 2.0 * b * 4.0 * m * d),
            "norm_backward" => floats((1.0 + 2.0 * b) * 4.0 * m * d),
            // Two of each norm, of which one reads two matrices, and those of four biases a block.
            "column_sums" => floats((1.0 + 2.0 * b) * 3.0 * m * d + b * m * (2.0 * d + f + 2.0 * c)),
            "gelu_forward" => floats(b * 2.0 * m * f),
            "gelu_backward" => floats(b * 3.0 * m * f),
            "scan_forward" => floats(b * 4.0 * m * c),
            "scan_backward" => floats(b * 8.0 * m * c),
            "product" => products(3.0 * b * 2.0 * m * (4.0 * c * d + 2.0 * d * f)),
            "ce_maxima" | "ce_sums" => products(2.0 * m * v * d),
            // The logits again, and a product of their gradient.
            "ce_weight" | "ce_hidden" => products(4.0 * m * v * d),
            "adamw_step" => floats(7.0 * n),
            "square_sums" => floats(n),
            _ => None,
        }
    }
}
