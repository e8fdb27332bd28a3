//! Stored weights as matrices that products read (`quant.cu`).
