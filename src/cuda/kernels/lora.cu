// Adapters of low rank beside a large matrix: A (r, k) and B (n, r) in f32, scale * B A dropout(x) of rows x (m, k) in f32 or bf16. All
// arithmetic is f32. Position row * k + column of the mask is that of x. A block reads its part of the large operand once; a rank above 16
// goes in groups of 16, whose blocks are neighbours and find it in the cache.

// Two blocks at a time on a multiprocessor, of which each waits for memory while the other computes.
extern "C" {
__global__ void __launch_bounds__(256, 2) lora_lower_f32(const float *, const float *, Dropout, float, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_lower_bf16(const Bf16 *, const float *, Dropout, float, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_back_low_f32(const float *, const float *, float, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_back_low_bf16(const Bf16 *, const float *, float, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_raise_f32(const float *, const float *, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_raise_bf16(const float *, const float *, u32, u32, u32, Bf16 *);
__global__ void __launch_bounds__(256, 2) lora_back_input_f32(const float *, const float *, Dropout, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_back_input_bf16(const float *, const float *, Dropout, u32, u32, u32, Bf16 *);
__global__ void __launch_bounds__(256, 2) lora_grad_b_f32(const float *, const float *, u32, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_grad_b_bf16(const Bf16 *, const float *, u32, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_grad_a_f32(const float *, const float *, Dropout, u32, u32, u32, u32, float *);
__global__ void __launch_bounds__(256, 2) lora_grad_a_bf16(const Bf16 *, const float *, Dropout, u32, u32, u32, u32, float *);
}

// Rows of a block, columns that it has at a time, and what a row of them takes (no two rows of a thread group in one bank).
#define LOW_ROWS 64u
#define LOW_DEPTH 64u
#define LOW_STRIDE 68u

// low = scale * dropout(x) S^T for R of the r rows of S, which is (r, k), or (k, r) if TURNED. Each of eight warps has an eighth of the
// columns at hand and a sum for each of 64 by R elements; at the end the eight are added as a tree.
template <class E, bool TURNED, u32 R>
__device__ inline void lower(const E *x, const float *small, Dropout dropout, float scale, u32 m, u32 k, u32 r, float *low, float *xs,
                             float *ss) {
    const u32 EACH = R / 4;
    u32 chunks = (r + R - 1) / R, first_j = blockIdx.x % chunks * R, first_row = blockIdx.x / chunks * LOW_ROWS;
    u32 thread = threadIdx.x, warp = thread / 32, lane = thread % 32, group = lane % 8, column = lane / 8;
    bool masked = !dropout_is_off(dropout), wide = k % 8 == 0 && aligned<8>(x);
    bool small_wide = (TURNED ? r : k) % 4 == 0 && aligned<4>(small);
    // Of the small matrix a thread brings four neighbours.
    u32 small_j = TURNED ? thread % EACH * 4 : thread / 16, small_p = TURNED ? thread / EACH : thread % 16 * 4;
    bool brings = thread < R * LOW_DEPTH / 4;
    Raw<E, 8> next[2];
    Raw<float, 4> next_small;
    auto bring = [&](u32 from) {
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            u32 row = first_row + thread / 8 + 32 * i, p = from + thread % 8 * 8;
            next[i] = fetch<8>(x + (u64)row * k + p, row < m && p < k ? k - p : 0, wide);
        }
        if (!brings) return;
        u32 j = first_j + small_j, p = from + small_p;
        bool inside = j < r && p < k;
        if (TURNED) {
            next_small = fetch<4>(small + (u64)p * r + j, inside ? r - j : 0, small_wide);
        } else {
            next_small = fetch<4>(small + (u64)j * k + p, inside ? k - p : 0, small_wide);
        }
    };
    float sums[8][EACH];
#pragma unroll
    for (u32 i = 0; i < 8; i++)
#pragma unroll
        for (u32 j = 0; j < EACH; j++) sums[i][j] = 0.0f;
    // A part of the columns is on its way while the sums take the one before.
#pragma unroll 1
    for (u32 from = 0;; from += LOW_DEPTH) {
        if (from < k) bring(from);
        if (from > 0) {
#pragma unroll 1
            for (u32 half = 0; half < 2; half++) {
                u32 p = warp * 8 + half * 4;
                float b[EACH][4];
#pragma unroll
                for (u32 j = 0; j < EACH; j++) load<4>(ss + (column + 4 * j) * LOW_STRIDE + p, 4, true, b[j]);
#pragma unroll
                for (u32 i = 0; i < 8; i++) {
                    float a[4];
                    load<4>(xs + (group + 8 * i) * LOW_STRIDE + p, 4, true, a);
#pragma unroll
                    for (u32 j = 0; j < EACH; j++)
#pragma unroll
                        for (u32 q = 0; q < 4; q++) sums[i][j] = fmaf(a[q], b[j][q], sums[i][j]);
                }
            }
            __syncthreads();
        }
        if (from >= k) break;
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            u32 row = thread / 8 + 32 * i, p = thread % 8 * 8;
            float v[8];
            spread(next[i], v);
            if (masked) {
                float factors[8];
                dropout_factors<8>(dropout, (u64)(first_row + row) * k + from + p, factors);
#pragma unroll
                for (u32 q = 0; q < 8; q++) v[q] = v[q] * factors[q];
            }
            store<8>(xs + row * LOW_STRIDE + p, 8, true, v);
        }
        if (brings) {
            float v[4];
            spread(next_small, v);
            if (TURNED) {
#pragma unroll
                for (u32 q = 0; q < 4; q++) ss[(small_j + q) * LOW_STRIDE + small_p] = v[q];
            } else {
                store<4>(ss + small_j * LOW_STRIDE + small_p, 4, true, v);
            }
        }
        __syncthreads();
    }
#pragma unroll 1
    for (u32 width = 4; width > 0; width /= 2) {
        if (warp >= width && warp < 2 * width) {
#pragma unroll
            for (u32 i = 0; i < 8 * EACH; i++) xs[((warp - width) * 8 * EACH + i) * 32 + lane] = sums[i / EACH][i % EACH];
        }
        __syncthreads();
        if (warp < width) {
#pragma unroll
            for (u32 i = 0; i < 8 * EACH; i++)
                sums[i / EACH][i % EACH] = sums[i / EACH][i % EACH] + xs[(warp * 8 * EACH + i) * 32 + lane];
        }
        __syncthreads();
    }
    if (warp != 0) return;
#pragma unroll
    for (u32 i = 0; i < 8; i++)
#pragma unroll
        for (u32 j = 0; j < EACH; j++) {
            u32 row = first_row + group + 8 * i, to = first_j + column + 4 * j;
            if (row < m && to < r) low[(u64)row * r + to] = sums[i][j] * scale;
        }
}

template <class E, bool TURNED>
__device__ inline void lower_any(const E *x, const float *small, Dropout dropout, float scale, u32 m, u32 k, u32 r, float *low) {
    alignas(16) __shared__ float xs[LOW_ROWS * LOW_STRIDE];
    alignas(16) __shared__ float ss[16 * LOW_STRIDE];
    if (r <= 8) {
        lower<E, TURNED, 8>(x, small, dropout, scale, m, k, r, low, xs, ss);
    } else {
        lower<E, TURNED, 16>(x, small, dropout, scale, m, k, r, low, xs, ss);
    }
}

// low = scale * dropout(x) A^T. A block has 64 rows and up to 16 of the rank. Shapes: x (m, k), a (r, k), low (m, r).
extern "C" __global__ void lora_lower_f32(const float *x, const float *a, Dropout dropout, float scale, u32 m, u32 k, u32 r, float *low) {
    lower_any<float, false>(x, a, dropout, scale, m, k, r, low);
}
extern "C" __global__ void lora_lower_bf16(const Bf16 *x, const float *a, Dropout dropout, float scale, u32 m, u32 k, u32 r, float *low) {
    lower_any<Bf16, false>(x, a, dropout, scale, m, k, r, low);
}

// d_low = scale * dy B. Shapes: dy (m, n), b (n, r), d_low (m, r).
extern "C" __global__ void lora_back_low_f32(const float *dy, const float *b, float scale, u32 m, u32 n, u32 r, float *d_low) {
    lower_any<float, true>(dy, b, Dropout{0, 65536u, 1.0f}, scale, m, n, r, d_low);
}
extern "C" __global__ void lora_back_low_bf16(const Bf16 *dy, const float *b, float scale, u32 m, u32 n, u32 r, float *d_low) {
    lower_any<Bf16, true>(dy, b, Dropout{0, 65536u, 1.0f}, scale, m, n, r, d_low);
}

// Rows and columns of a block, and how much of the rank it has at a time.
#define RAISE_ROWS 64u
#define RAISE_COLUMNS 128u
#define RAISE_DEPTH 32u
#define RAISE_SMALL 132u
#define RAISE_LOW 36u

// y += mask * (low S), S (r, n), or (n, r) if TURNED. Without a mask a chain of fused multiply-adds in the order of the rank goes on from
// what y holds, with one it starts from 0 and is added: as on the CPU. A thread has eight rows of four columns.
template <class E, bool TURNED>
__device__ inline void raise(const float *low, const float *small, Dropout dropout, u32 m, u32 n, u32 r, E *y) {
    alignas(16) __shared__ float ss[RAISE_DEPTH * RAISE_SMALL];
    alignas(16) __shared__ float ls[RAISE_ROWS * RAISE_LOW];
    u32 tiles = (n + RAISE_COLUMNS - 1) / RAISE_COLUMNS;
    u32 first_column = blockIdx.x % tiles * RAISE_COLUMNS, first_row = blockIdx.x / tiles * RAISE_ROWS;
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, column = first_column + lane * 4;
    bool masked = !dropout_is_off(dropout), wide = n % 4 == 0 && aligned<4>(y);
    bool small_wide = (TURNED ? r : n) % 4 == 0 && aligned<4>(small), low_wide = r % 4 == 0 && aligned<4>(low);
    Raw<E, 4> held[8];
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        u32 row = first_row + warp * 8 + i;
        held[i] = fetch<4>(y + (u64)row * n + column, row < m && column < n ? n - column : 0, wide);
    }
    float sums[8][4];
#pragma unroll 1
    for (u32 from = 0; from < r; from += RAISE_DEPTH) {
        u32 count = r - from < RAISE_DEPTH ? r - from : RAISE_DEPTH, fours = (count + 3) / 4;
        if (TURNED) {
#pragma unroll 1
            for (u32 at = threadIdx.x; at < RAISE_COLUMNS * fours; at += 256) {
                u32 c = at / fours, p = at % fours * 4;
                float v[4];
                load<4>(small + (u64)(first_column + c) * r + from + p, first_column + c < n ? r - from - p : 0, small_wide, v);
#pragma unroll
                for (u32 q = 0; q < 4; q++) ss[(p + q) * RAISE_SMALL + c] = v[q];
            }
        } else {
#pragma unroll 1
            for (u32 at = threadIdx.x; at < RAISE_COLUMNS / 4 * count; at += 256) {
                u32 p = at / (RAISE_COLUMNS / 4), c = at % (RAISE_COLUMNS / 4) * 4;
                float v[4];
                load<4>(small + (u64)(from + p) * n + first_column + c, first_column + c < n ? n - first_column - c : 0, small_wide, v);
                store<4>(ss + p * RAISE_SMALL + c, 4, true, v);
            }
        }
#pragma unroll 1
        for (u32 at = threadIdx.x; at < RAISE_ROWS * fours; at += 256) {
            u32 row = at / fours, p = at % fours * 4;
            float v[4];
            load<4>(low + (u64)(first_row + row) * r + from + p, first_row + row < m ? r - from - p : 0, low_wide, v);
            store<4>(ls + row * RAISE_LOW + p, 4, true, v);
        }
        __syncthreads();
        if (from == 0) {
#pragma unroll
            for (u32 i = 0; i < 8; i++) {
                spread(held[i], sums[i]);
#pragma unroll
                for (u32 c = 0; c < 4; c++) sums[i][c] = masked ? 0.0f : sums[i][c];
            }
        }
        u32 p = 0;
#pragma unroll 1
        for (; p + 4 <= count; p += 4) {
            float s[4][4];
#pragma unroll
            for (u32 q = 0; q < 4; q++) load<4>(ss + (p + q) * RAISE_SMALL + lane * 4, 4, true, s[q]);
#pragma unroll
            for (u32 i = 0; i < 8; i++) {
                float l[4];
                load<4>(ls + (warp * 8 + i) * RAISE_LOW + p, 4, true, l);
#pragma unroll
                for (u32 q = 0; q < 4; q++)
#pragma unroll
                    for (u32 c = 0; c < 4; c++) sums[i][c] = fmaf(l[q], s[q][c], sums[i][c]);
            }
        }
        // Not beyond the rank: a zero more would turn a sum of -0 to +0.
#pragma unroll 1
        for (; p < count; p++) {
#pragma unroll
            for (u32 i = 0; i < 8; i++) {
                float l = ls[(warp * 8 + i) * RAISE_LOW + p];
#pragma unroll
                for (u32 c = 0; c < 4; c++) sums[i][c] = fmaf(l, ss[p * RAISE_SMALL + lane * 4 + c], sums[i][c]);
            }
        }
        __syncthreads();
    }
    if (column >= n) return;
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        u32 row = first_row + warp * 8 + i;
        if (row >= m) continue;
        if (masked) {
            float factors[4], before[4];
            dropout_factors<4>(dropout, (u64)row * n + column, factors);
            spread(held[i], before);
#pragma unroll
            for (u32 c = 0; c < 4; c++) sums[i][c] = before[c] + sums[i][c] * factors[c];
        }
        store<4>(y + (u64)row * n + column, n - column, wide, sums[i]);
    }
}

// y += low B^T. A block has 64 rows and 128 columns. Shapes: low (m, r), b (n, r), y (m, n).
extern "C" __global__ void lora_raise_f32(const float *low, const float *b, u32 m, u32 n, u32 r, float *y) {
    raise<float, true>(low, b, Dropout{0, 65536u, 1.0f}, m, n, r, y);
}
extern "C" __global__ void lora_raise_bf16(const float *low, const float *b, u32 m, u32 n, u32 r, Bf16 *y) {
    raise<Bf16, true>(low, b, Dropout{0, 65536u, 1.0f}, m, n, r, y);
}

// dx += mask * (d_low A). Shapes: d_low (m, r), a (r, k), dx (m, k).
extern "C" __global__ void lora_back_input_f32(const float *d_low, const float *a, Dropout dropout, u32 m, u32 k, u32 r, float *dx) {
    raise<float, false>(d_low, a, dropout, m, k, r, dx);
}
extern "C" __global__ void lora_back_input_bf16(const float *d_low, const float *a, Dropout dropout, u32 m, u32 k, u32 r, Bf16 *dx) {
    raise<Bf16, false>(d_low, a, dropout, m, k, r, dx);
}

// Columns of a block, and rows that it has at a time.
#define GRAD_COLUMNS 128u
#define GRAD_ROWS 32u

// partial = big^T thin over `rows` rows for each part, for R of the r columns of thin; big (m, n) is masked. As (n, r), or as (r, n) if
// TURNED. Each of eight warps has an eighth of the rows at hand, and a thread four columns; at the end the eight sums are added as a tree.
template <class E, bool TURNED, u32 R>
__device__ inline void gradient(const E *big, const float *thin, Dropout dropout, u32 m, u32 n, u32 r, u32 rows, float *partial,
                                float *shared) {
    u32 chunks = (r + R - 1) / R, tiles = (n + GRAD_COLUMNS - 1) / GRAD_COLUMNS;
    u32 first_j = blockIdx.x % chunks * R, first_column = blockIdx.x / chunks % tiles * GRAD_COLUMNS, part = blockIdx.x / chunks / tiles;
    u32 begin = part * rows, end = m - begin < rows ? m : begin + rows;
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, column = first_column + lane * 4;
    bool masked = !dropout_is_off(dropout), wide = n % 4 == 0 && aligned<4>(big), thin_wide = r % 4 == 0 && aligned<4>(thin);
    float sums[4][R];
#pragma unroll
    for (u32 c = 0; c < 4; c++)
#pragma unroll
        for (u32 j = 0; j < R; j++) sums[c][j] = 0.0f;
#pragma unroll 1
    for (u32 from = begin; from < end; from += GRAD_ROWS) {
        Raw<E, 4> next[4];
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            u32 row = from + warp * 4 + i;
            next[i] = fetch<4>(big + (u64)row * n + column, row < end && column < n ? n - column : 0, wide);
        }
        if (threadIdx.x < GRAD_ROWS * R / 4) {
            u32 row = threadIdx.x / (R / 4), j = threadIdx.x % (R / 4) * 4;
            bool inside = from + row < end && first_j + j < r;
            float v[4];
            load<4>(thin + (u64)(from + row) * r + first_j + j, inside ? r - first_j - j : 0, thin_wide, v);
            store<4>(shared + row * R + j, 4, true, v);
        }
        __syncthreads();
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            u32 row = warp * 4 + i;
            float v[4];
            spread(next[i], v);
            if (masked) {
                float factors[4];
                dropout_factors<4>(dropout, (u64)(from + row) * n + column, factors);
#pragma unroll
                for (u32 c = 0; c < 4; c++) v[c] = v[c] * factors[c];
            }
#pragma unroll
            for (u32 j = 0; j < R; j += 4) {
                float t[4];
                load<4>(shared + row * R + j, 4, true, t);
#pragma unroll
                for (u32 c = 0; c < 4; c++)
#pragma unroll
                    for (u32 q = 0; q < 4; q++) sums[c][j + q] = fmaf(v[c], t[q], sums[c][j + q]);
            }
        }
        __syncthreads();
    }
#pragma unroll 1
    for (u32 width = 4; width > 0; width /= 2) {
        if (warp >= width && warp < 2 * width) {
#pragma unroll
            for (u32 i = 0; i < 4 * R; i++) shared[((warp - width) * 4 * R + i) * 32 + lane] = sums[i / R][i % R];
        }
        __syncthreads();
        if (warp < width) {
#pragma unroll
            for (u32 c = 0; c < 4; c++) {
                // Not all loads at once, which would take twice the registers.
                __syncwarp();
#pragma unroll
                for (u32 j = 0; j < R; j++) sums[c][j] = sums[c][j] + shared[((warp * 4 + c) * R + j) * 32 + lane];
            }
        }
        __syncthreads();
    }
    if (warp == 0) {
#pragma unroll
        for (u32 c = 0; c < 4; c++)
#pragma unroll
            for (u32 j = 0; j < R; j++) shared[(lane * 4 + c) * (R + 1) + j] = sums[c][j];
    }
    __syncthreads();
    partial += (u64)part * n * r;
    for (u32 at = threadIdx.x; at < GRAD_COLUMNS * R; at += 256) {
        u32 c = TURNED ? at % GRAD_COLUMNS : at / R, j = TURNED ? at / GRAD_COLUMNS : at % R;
        if (first_column + c >= n || first_j + j >= r) continue;
        u64 place = TURNED ? (u64)(first_j + j) * n + first_column + c : (u64)(first_column + c) * r + first_j + j;
        partial[place] = shared[c * (R + 1) + j];
    }
}

template <class E, bool TURNED>
__device__ inline void gradient_any(const E *big, const float *thin, Dropout dropout, u32 m, u32 n, u32 r, u32 rows, float *partial) {
    alignas(16) __shared__ float shared[4 * GRAD_COLUMNS * 16];
    if (r <= 8) {
        gradient<E, TURNED, 8>(big, thin, dropout, m, n, r, rows, partial, shared);
    } else {
        gradient<E, TURNED, 16>(big, thin, dropout, m, n, r, rows, partial, shared);
    }
}

// The parts of dy^T low. A block has `rows` rows, 128 columns and up to 16 of the rank. Shapes: dy (m, n), low (m, r), partial (parts, n, r).
extern "C" __global__ void lora_grad_b_f32(const float *dy, const float *low, u32 m, u32 n, u32 r, u32 rows, float *partial) {
    gradient_any<float, false>(dy, low, Dropout{0, 65536u, 1.0f}, m, n, r, rows, partial);
}
extern "C" __global__ void lora_grad_b_bf16(const Bf16 *dy, const float *low, u32 m, u32 n, u32 r, u32 rows, float *partial) {
    gradient_any<Bf16, false>(dy, low, Dropout{0, 65536u, 1.0f}, m, n, r, rows, partial);
}

// The parts of d_low^T dropout(x). Shapes: x (m, k), d_low (m, r), partial (parts, r, k).
extern "C" __global__ void lora_grad_a_f32(const float *x, const float *d_low, Dropout dropout, u32 m, u32 k, u32 r, u32 rows,
                                           float *partial) {
    gradient_any<float, true>(x, d_low, dropout, m, k, r, rows, partial);
}
extern "C" __global__ void lora_grad_a_bf16(const Bf16 *x, const float *d_low, Dropout dropout, u32 m, u32 k, u32 r, u32 rows,
                                            float *partial) {
    gradient_any<Bf16, true>(x, d_low, dropout, m, k, r, rows, partial);
}
