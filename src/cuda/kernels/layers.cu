// Layers of a decoder: norms, rotations, SwiGLU, rows, the softmax cross-entropy of logits.
