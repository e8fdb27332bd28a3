//! Causal attention over packed prompts (`attention.cu`).
