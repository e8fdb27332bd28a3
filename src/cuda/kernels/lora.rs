//! Low-rank adapters (`lora.cu`).
