// Matrix products in f32. Each element is one chain of fused multiply-adds in the order of p, as in src/nn/gemm.rs.

// A matrix of any strides: element (i, j) is data[i * row + j * column].
struct Matrix {
    const float *data;
    u64 row;
    u64 column;
};

// C (m, n) = start + A (m, k) B (k, n). 256 threads have a tile of 16 EACH by 16 EACH elements and bring DEPTH steps of k at a time.
template <u32 EACH, u32 DEPTH>
__device__ inline void product(u32 m, u32 n, u32 k, Matrix a, Matrix b, float *c, u64 c_row, u32 start, const float *bias) {
    const u32 TILE = 16 * EACH;
    __shared__ float left[DEPTH][TILE + 1];
    __shared__ float right[DEPTH][TILE + 1];
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    u32 first_i = blockIdx.y * TILE, first_j = blockIdx.x * TILE;
    float sums[EACH][EACH];
    for (u32 i = 0; i < EACH; i++) {
        for (u32 j = 0; j < EACH; j++) {
            u32 row = first_i + y + 16 * i, column = first_j + x + 16 * j;
            float from = 0.0f;
            if (row < m && column < n) {
                if (start == START_SUM) from = c[row * c_row + column];
                if (start == START_COLUMNS) from = bias[column];
                if (start == START_ROWS) from = bias[row];
            }
            sums[i][j] = from;
        }
    }
    for (u32 from = 0; from < k; from += DEPTH) {
        for (u32 at = threadIdx.x; at < DEPTH * TILE; at += 256) {
            // Neighbours read neighbours, whichever way the matrix lies.
            u32 i = a.column == 1 ? at / DEPTH : at % TILE, p = a.column == 1 ? at % DEPTH : at / TILE;
            bool inside = first_i + i < m && from + p < k;
            left[p][i] = inside ? a.data[(u64)(first_i + i) * a.row + (u64)(from + p) * a.column] : 0.0f;
            u32 j = b.column == 1 ? at % TILE : at / DEPTH;
            p = b.column == 1 ? at / TILE : at % DEPTH;
            inside = first_j + j < n && from + p < k;
            right[p][j] = inside ? b.data[(u64)(from + p) * b.row + (u64)(first_j + j) * b.column] : 0.0f;
        }
        __syncthreads();
        // Not beyond k: a zero more would turn a sum of -0 to +0.
        u32 depth = k - from < DEPTH ? k - from : DEPTH;
        for (u32 p = 0; p < depth; p++) {
            float l[EACH], r[EACH];
            for (u32 i = 0; i < EACH; i++) l[i] = left[p][y + 16 * i];
            for (u32 j = 0; j < EACH; j++) r[j] = right[p][x + 16 * j];
            for (u32 i = 0; i < EACH; i++)
                for (u32 j = 0; j < EACH; j++) sums[i][j] = fmaf(l[i], r[j], sums[i][j]);
        }
        __syncthreads();
    }
    for (u32 i = 0; i < EACH; i++) {
        for (u32 j = 0; j < EACH; j++) {
            u32 row = first_i + y + 16 * i, column = first_j + x + 16 * j;
            if (row < m && column < n) c[row * c_row + column] = sums[i][j];
        }
    }
}

// For many elements.
extern "C" __global__ void product_wide(u32 m, u32 n, u32 k, Matrix a, Matrix b, float *c, u64 c_row, u32 start,
                                        const float *bias) {
    product<4, 16>(m, n, k, a, b, c, c_row, start, bias);
}

// For few elements and a deep k.
extern "C" __global__ void product_deep(u32 m, u32 n, u32 k, Matrix a, Matrix b, float *c, u64 c_row, u32 start,
                                        const float *bias) {
    product<1, 64>(m, n, k, a, b, c, c_row, start, bias);
}
