// Products of bf16 matrices on tensor cores.
